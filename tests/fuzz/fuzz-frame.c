/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A stream comes in pieces of any size; what frames it has must not depend on that. Here a stream is cut
 * into its frames by the simplest means there is, and the reader has to agree, fed in every way.
 *
 * In the input, 0xff and two more bytes stand for so many letters: long frames make short files.
 */

#include "proto/frame.h"

#include "proto/limits.h"
#include "tests/fuzz/fuzz.h"

enum {
        STREAM_SIZE_MAX = 3 * CALL_SIZE_MAX,
        /* A longer stream is not cut at every offset: that is work by its square. */
        STREAM_SIZE_SPLIT = 128,
        RANDOM_CUTS = 3,
        RUN = 0xff,
};

typedef struct Stream {
        char *data;
        size_t n;
} Stream;

static Stream stream_make(const uint8_t *data, size_t size) {
        FuzzInput input = { (const char *)data, size };
        static char buffer[STREAM_SIZE_MAX];
        Stream stream = { buffer, 0 };

        while (input.n > 0 && stream.n < STREAM_SIZE_MAX) {
                size_t n = 1;
                uint8_t byte = fuzz_byte(&input);

                if (byte == RUN) {
                        n = (size_t)fuzz_byte(&input) << 8;
                        n |= fuzz_byte(&input);
                        byte = 'x';
                }
                for (; n > 0 && stream.n < STREAM_SIZE_MAX; n--)
                        stream.data[stream.n++] = (char)byte;
        }
        return stream;
}

/* How far the reader should be. */
typedef struct Expected {
        const Stream *stream;
        size_t max;
        size_t start; /* of the frame not whole yet */
        size_t fed;   /* bytes that the reader was given */
        bool oversized;
} Expected;

/* Takes every whole frame out of the reader. */
static void expect_frames(Expected *expected, FrameReader *reader) {
        const char *data = expected->stream->data;
        char *frame;
        size_t n;
        int r;

        while ((r = frame_reader_next(reader, &frame, &n)) == 0) {
                fuzz_expect(n < expected->max);
                fuzz_expect(frame[n] == '\0' && strlen(frame) == n);
                fuzz_expect(expected->start + n < expected->fed);
                fuzz_expect(memcmp(data + expected->start, frame, n + 1) == 0);
                expected->start += n + 1;
        }
        n = expected->fed - expected->start;
        fuzz_expect(!memchr(data + expected->start, '\0', n));
        expected->oversized = n >= expected->max;
        fuzz_expect(r == (expected->oversized ? FRAME_E_OVERSIZED : FRAME_E_NONE));
        fuzz_expect(frame_reader_pending(reader) == n);
}

/* The next @n bytes, or as many as the reader has room for at a time. */
static void feed(Expected *expected, FrameReader *reader, size_t n) {
        while (n > 0 && !expected->oversized) {
                size_t n_room;
                char *room;

                fuzz_expect(frame_reader_room(reader, &room, &n_room) == 0);
                fuzz_expect(n_room > 0 && n_room <= expected->max);
                if (n_room > n)
                        n_room = n;
                memcpy(room, expected->stream->data + expected->fed, n_room);
                frame_reader_commit(reader, n_room);
                expected->fed += n_room;
                n -= n_room;
                expect_frames(expected, reader);
        }
}

/* In two pieces. Returns how many bytes were taken as whole frames. */
static size_t read_split(const Stream *stream, size_t max, size_t at) {
        Expected expected = { .stream = stream, .max = max };
        FrameReader reader;

        frame_reader_init(&reader, max);
        expect_frames(&expected, &reader);
        feed(&expected, &reader, at);
        feed(&expected, &reader, stream->n - at);
        frame_reader_deinit(&reader);
        return expected.start;
}

static size_t read_pieces(const Stream *stream, size_t max, unsigned short seed[3]) {
        Expected expected = { .stream = stream, .max = max };
        /* Of any length up to one that is as long as the stream, or far shorter. */
        size_t longest = (stream->n >> nrand48(seed) % 7) + 1, n;
        FrameReader reader;

        frame_reader_init(&reader, max);
        while (expected.fed < stream->n && !expected.oversized) {
                n = (size_t)nrand48(seed) % longest + 1;
                feed(&expected, &reader, n < stream->n - expected.fed ? n : stream->n - expected.fed);
        }
        frame_reader_deinit(&reader);
        return expected.start;
}

static void try_all(const Stream *stream, size_t max) {
        unsigned short seed[3] = { (unsigned short)stream->n };
        size_t whole = read_split(stream, max, 0);

        for (size_t at = 1; at < stream->n && stream->n <= STREAM_SIZE_SPLIT; at++)
                fuzz_expect(read_split(stream, max, at) == whole);
        for (int i = 0; i < RANDOM_CUTS; i++)
                fuzz_expect(read_pieces(stream, max, seed) == whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const size_t limits[] = { 1, 2, 13, 64, 5000, CALL_SIZE_MAX };
        Stream stream = stream_make(data, size);

        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
                try_all(&stream, limits[i]);
        return 0;
}
