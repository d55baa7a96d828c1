/* SPDX-License-Identifier: BSD-2-Clause */

/* However a stream is cut into reads, the frames are the same. */

#include "proto/frame.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/leaks.h"

TestSuite(frame, .timeout = 10);

/* Empty frames at the start, in the middle and twice at the end; its own NUL is the last of them. */
static const char stream[] = "\0{\"method\":\"a.B\"}\0\0x\0{}\0\0";
static const char *const stream_frames[] = { "", "{\"method\":\"a.B\"}", "", "x", "{}", "", "" };

enum {
        STREAM_FRAMES = sizeof(stream_frames) / sizeof(stream_frames[0]),
};

/* Writes @n bytes through as much room as the reader gives at a time. */
static void feed(FrameReader *reader, const char *data, size_t n) {
        while (n > 0) {
                char *room;
                size_t size;

                cr_assert(zero(int, frame_reader_room(reader, &room, &size)));
                cr_assert(gt(sz, size, 0));
                if (size > n)
                        size = n;
                memcpy(room, data, size);
                frame_reader_commit(reader, size);
                data += size;
                n -= size;
        }
}

/* Takes every whole frame and holds it against the ones that should come next. Returns how many came. */
static size_t expect_frames(FrameReader *reader, const char *const *frames, size_t max) {
        size_t n = 0, size;
        char *frame;
        int r;

        while ((r = frame_reader_next(reader, &frame, &size)) == 0) {
                cr_assert(lt(sz, n, max));
                cr_assert(eq(sz, size, strlen(frames[n])));
                cr_assert(eq(str, frame, (char *)frames[n]));
                n++;
        }
        cr_assert(eq(int, r, FRAME_E_NONE));
        return n;
}

/* A frame of @n letters, without its NUL. */
static char *letters(size_t n) {
        char *data = malloc(n + 1);

        cr_assert(ne(ptr, data, NULL));
        memset(data, 'a', n);
        data[n] = '\0';
        return data;
}

Test(frame, nothing_in_nothing_out) {
        FrameReader reader;
        size_t size;
        char *frame;

        frame_reader_init(&reader, 64);
        cr_assert(eq(int, frame_reader_next(&reader, &frame, &size), FRAME_E_NONE));
        cr_assert(eq(sz, frame_reader_pending(&reader), 0));
        frame_reader_deinit(&reader);
        frame_reader_deinit(&reader);
        leaks_expect_none();
}

Test(frame, stream_that_never_ends_a_frame_is_oversized) {
        static const size_t maxima[] = { 1, 2, 4095, 4096, 4097, 65536 };

        for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
                FrameReader reader;
                size_t size;
                char *frame;

                frame_reader_init(&reader, maxima[i]);
                for (size_t n = 0; n < maxima[i]; n++) {
                        cr_assert(eq(int, frame_reader_next(&reader, &frame, &size), FRAME_E_NONE));
                        feed(&reader, "a", 1);
                        cr_assert(eq(sz, frame_reader_pending(&reader), n + 1));
                }
                cr_assert(eq(int, frame_reader_next(&reader, &frame, &size), FRAME_E_OVERSIZED));
                cr_assert(eq(int, frame_reader_next(&reader, &frame, &size), FRAME_E_OVERSIZED));
                cr_assert(eq(int, frame_reader_room(&reader, &frame, &size), FRAME_E_OVERSIZED));
                cr_assert(le(sz, reader.size, maxima[i]));
                frame_reader_deinit(&reader);
        }
        leaks_expect_none();
}

Test(frame, one_byte_too_many_is_refused_though_its_nul_follows) {
        static const size_t maxima[] = { 1, 2, 100, 4096, 5000, 65536 };

        for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
                FrameReader reader;
                char *data = letters(maxima[i]), *frame, *room;
                size_t size;

                frame_reader_init(&reader, maxima[i]);
                feed(&reader, data, maxima[i]);
                cr_assert(eq(int, frame_reader_next(&reader, &frame, &size), FRAME_E_OVERSIZED));
                cr_assert(eq(int, frame_reader_room(&reader, &room, &size), FRAME_E_OVERSIZED));
                frame_reader_deinit(&reader);
                free(data);
        }
        leaks_expect_none();
}

Test(frame, oversized_frame_behind_a_good_one_is_refused) {
        FrameReader reader;
        char *data = letters(64), *frame;
        size_t size;

        frame_reader_init(&reader, 64);
        feed(&reader, "ok", 3);
        feed(&reader, data, 61);
        cr_assert(eq(sz, expect_frames(&reader, (const char *[]){ "ok" }, 1), 1));
        feed(&reader, data, 3);
        cr_assert(eq(int, frame_reader_next(&reader, &frame, &size), FRAME_E_OVERSIZED));
        frame_reader_deinit(&reader);
        free(data);
        leaks_expect_none();
}

Test(frame, room_is_refused_while_a_full_buffer_of_frames_was_not_taken) {
        FrameReader reader;
        char *room;
        size_t size;

        frame_reader_init(&reader, 8);
        feed(&reader, "abc\0abc", 8);
        cr_assert(eq(int, frame_reader_room(&reader, &room, &size), FRAME_E_OVERSIZED));
        cr_assert(eq(sz, expect_frames(&reader, (const char *[]){ "abc", "abc" }, 2), 2));
        feed(&reader, "abc", 4);
        cr_assert(eq(sz, expect_frames(&reader, (const char *[]){ "abc" }, 1), 1));
        frame_reader_deinit(&reader);
        leaks_expect_none();
}

Test(frame, longest_frame_and_one_less_are_taken) {
        static const size_t maxima[] = { 1, 2, 100, 4095, 4096, 4097, 8192, 65536 };

        for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++)
                for (size_t shorter = 0; shorter <= 1 && maxima[i] > shorter; shorter++) {
                        size_t n = maxima[i] - shorter;
                        FrameReader reader;
                        char *data = letters(n - 1);

                        frame_reader_init(&reader, maxima[i]);
                        for (int again = 0; again < 3; again++) {
                                feed(&reader, data, n);
                                cr_assert(
                                        eq(sz, expect_frames(&reader, (const char *[]){ data }, 1), 1));
                        }
                        cr_assert(le(sz, reader.size, maxima[i]));
                        frame_reader_deinit(&reader);
                        free(data);
                }
        leaks_expect_none();
}

Test(frame, longest_frame_behind_another_is_taken) {
        FrameReader reader;
        char *data = letters(63);

        frame_reader_init(&reader, 64);
        feed(&reader, "ok", 3);
        feed(&reader, data, 61);
        cr_assert(eq(sz, expect_frames(&reader, (const char *[]){ "ok" }, 1), 1));
        feed(&reader, data + 61, 3);
        cr_assert(eq(sz, expect_frames(&reader, (const char *[]){ data }, 1), 1));
        frame_reader_deinit(&reader);
        free(data);
        leaks_expect_none();
}

Test(frame, stream_cut_at_every_byte_gives_the_same_frames) {
        for (size_t cut = 0; cut <= sizeof(stream); cut++)
                for (int take_between = 0; take_between <= 1; take_between++) {
                        FrameReader reader;
                        size_t n = 0;

                        frame_reader_init(&reader, 64);
                        feed(&reader, stream, cut);
                        if (take_between)
                                n = expect_frames(&reader, stream_frames, STREAM_FRAMES);
                        feed(&reader, stream + cut, sizeof(stream) - cut);
                        n += expect_frames(&reader, stream_frames + n, STREAM_FRAMES - n);
                        cr_assert(eq(sz, n, STREAM_FRAMES));
                        cr_assert(eq(sz, frame_reader_pending(&reader), 0));
                        frame_reader_deinit(&reader);
                }
        leaks_expect_none();
}

Test(frame, stream_byte_by_byte_gives_the_same_frames) {
        FrameReader reader;
        size_t n = 0;

        frame_reader_init(&reader, 64);
        for (size_t i = 0; i < sizeof(stream); i++) {
                size_t came;

                feed(&reader, stream + i, 1);
                came = expect_frames(&reader, stream_frames + n, STREAM_FRAMES - n);
                cr_assert(eq(sz, came, stream[i] == '\0'));
                n += came;
        }
        cr_assert(eq(sz, n, STREAM_FRAMES));
        frame_reader_deinit(&reader);
        leaks_expect_none();
}

Test(frame, many_nuls_are_as_many_empty_frames) {
        static const char nuls[1000];
        FrameReader reader;
        size_t size, n = 0;
        char *frame;

        frame_reader_init(&reader, 4096);
        feed(&reader, nuls, sizeof(nuls));
        while (frame_reader_next(&reader, &frame, &size) == 0) {
                cr_assert(eq(sz, size, 0));
                n++;
        }
        cr_assert(eq(sz, n, sizeof(nuls)));
        frame_reader_deinit(&reader);
        leaks_expect_none();
}

Test(frame, buffer_grows_with_one_long_frame_and_keeps_it_whole) {
        FrameReader reader;
        char *frame, *data = malloc(100000);
        size_t size;

        cr_assert(ne(ptr, data, NULL));
        for (size_t i = 0; i < 99999; i++)
                data[i] = (char)('a' + i % 23);
        data[99999] = '\0';
        frame_reader_init(&reader, 16 * 1024 * 1024);
        for (size_t i = 0; i < 100000; i += 1000) {
                cr_assert(eq(int, frame_reader_next(&reader, &frame, &size), FRAME_E_NONE));
                feed(&reader, data + i, 1000);
        }
        cr_assert(eq(sz, expect_frames(&reader, (const char *[]){ data }, 1), 1));
        cr_assert(lt(sz, reader.size, 300000),
                  "a buffer of the longest frame must not be there at once");
        frame_reader_deinit(&reader);
        free(data);
        leaks_expect_none();
}

Test(frame, frames_given_out_stay_until_room_is_asked_for) {
        FrameReader reader;
        char *frames[STREAM_FRAMES], *none;
        size_t size;

        frame_reader_init(&reader, 64);
        feed(&reader, stream, sizeof(stream));
        for (size_t i = 0; i < STREAM_FRAMES; i++)
                cr_assert(zero(int, frame_reader_next(&reader, &frames[i], &size)));
        cr_assert(eq(int, frame_reader_next(&reader, &none, &size), FRAME_E_NONE));
        for (size_t i = 0; i < STREAM_FRAMES; i++)
                cr_assert(eq(str, frames[i], (char *)stream_frames[i]));
        frame_reader_deinit(&reader);
        leaks_expect_none();
}

Test(frame, frame_may_be_overwritten_by_its_owner) {
        FrameReader reader;
        char *frame;
        size_t size;

        frame_reader_init(&reader, 64);
        feed(&reader, "abc\0def", 8);
        cr_assert(zero(int, frame_reader_next(&reader, &frame, &size)));
        memset(frame, '\0', size);
        cr_assert(eq(sz, expect_frames(&reader, (const char *[]){ "def" }, 1), 1));
        frame_reader_deinit(&reader);
        leaks_expect_none();
}

Test(frame, drained_reader_is_used_again_without_growing) {
        FrameReader reader;

        frame_reader_init(&reader, 65536);
        for (int i = 0; i < 10000; i++) {
                size_t n = 0;

                feed(&reader, stream, sizeof(stream));
                n = expect_frames(&reader, stream_frames, STREAM_FRAMES);
                cr_assert(eq(sz, n, STREAM_FRAMES));
        }
        cr_assert(le(sz, reader.size, 4096));
        frame_reader_deinit(&reader);
        leaks_expect_none();
}
