/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Bytes to frames: a frame is what stands before a NUL. Incremental; knows neither JSON nor sockets.
 */

#include <stddef.h>

typedef struct FrameReader {
        char *buffer;
        size_t size;    /* allocated */
        size_t start;   /* first byte not yet given out */
        size_t end;     /* first byte not yet read */
        size_t scanned; /* no NUL between start and here */
        size_t max;     /* longest frame, its NUL included */
} FrameReader;

enum {
        _FRAME_E_SUCCESS,
        /* No whole frame is there yet. */
        FRAME_E_NONE,
        /* A frame is longer than allowed; the reader is of no further use. */
        FRAME_E_OVERSIZED,
};

void frame_reader_init(FrameReader *reader, size_t max);
void frame_reader_deinit(FrameReader *reader);

/*
 * Room for the next bytes: writes to *@ret, at most *@ret_n. Frames given out before are invalid after.
 * Take every whole frame first: a buffer filled by frames that nobody took is oversized, too.
 * Returns 0, FRAME_E_OVERSIZED, or -ENOMEM.
 */
int frame_reader_room(FrameReader *reader, char **ret, size_t *ret_n);

/* @n bytes of the room were written. */
void frame_reader_commit(FrameReader *reader, size_t n);

/*
 * The next whole frame: *@ret_frame, NUL-terminated, *@ret_n long without the NUL. It is part of the
 * reader and valid until frame_reader_room(). Returns 0, FRAME_E_NONE, or FRAME_E_OVERSIZED.
 */
int frame_reader_next(FrameReader *reader, char **ret_frame, size_t *ret_n);

/* Bytes of a frame not whole yet. */
size_t frame_reader_pending(const FrameReader *reader);
