/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One buffer that grows as far as the longest frame allowed. Each byte is looked at once for its NUL,
 * however the stream was cut into reads.
 */

#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/error.h"

enum {
        FRAME_ROOM_MIN = 4096,
};

void frame_reader_init(FrameReader *reader, size_t max) {
        *reader = (FrameReader){ .max = max };
}

void frame_reader_deinit(FrameReader *reader) {
        free(reader->buffer);
        reader->buffer = NULL;
        reader->size = reader->start = reader->end = reader->scanned = 0;
}

int frame_reader_room(FrameReader *reader, char **ret, size_t *ret_n) {
        size_t pending = reader->end - reader->start;

        if (reader->start > 0) {
                memmove(reader->buffer, reader->buffer + reader->start, pending);
                reader->scanned -= reader->start;
                reader->start = 0;
                reader->end = pending;
        }
        if (reader->end == reader->size) {
                size_t size = reader->size > 0 ? reader->size * 2 : FRAME_ROOM_MIN;
                char *buffer;

                if (size > reader->max)
                        size = reader->max;
                /* A full buffer of the greatest size with whole frames in it was not emptied first. */
                if (size == reader->size)
                        return FRAME_E_OVERSIZED;
                buffer = realloc(reader->buffer, size);
                if (!buffer)
                        return error_origin(-ENOMEM);
                reader->buffer = buffer;
                reader->size = size;
        }
        *ret = reader->buffer + reader->end;
        *ret_n = reader->size - reader->end;
        return 0;
}

void frame_reader_commit(FrameReader *reader, size_t n) {
        reader->end += n;
}

int frame_reader_next(FrameReader *reader, char **ret_frame, size_t *ret_n) {
        char *nul;

        if (reader->scanned == reader->end)
                return reader->end - reader->start >= reader->max ? FRAME_E_OVERSIZED : FRAME_E_NONE;
        nul = memchr(reader->buffer + reader->scanned, 0, reader->end - reader->scanned);
        if (!nul) {
                reader->scanned = reader->end;
                return reader->end - reader->start >= reader->max ? FRAME_E_OVERSIZED : FRAME_E_NONE;
        }
        *ret_frame = reader->buffer + reader->start;
        *ret_n = (size_t)(nul - *ret_frame);
        reader->start = reader->scanned = (size_t)(nul - reader->buffer) + 1;
        if (reader->start == reader->end)
                reader->start = reader->scanned = reader->end = 0;
        return 0;
}

size_t frame_reader_pending(const FrameReader *reader) {
        return reader->end - reader->start;
}
