/* SPDX-License-Identifier: BSD-2-Clause */

/* Frames from one end of a socket pair to the other. test-channel-fds.c has what travels beside them. */

#include "proto/channel.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sys/syscall.h>

#include "tests/unit/channel-pair.h"

/* It stands in front of the C library's. */
static int n_sends;

ssize_t sendmsg(int fd, const struct msghdr *header, int flags) {
        n_sends += fd == left.fd; /* the test runner sends, too */
        return syscall(SYS_sendmsg, fd, header, flags);
}

TestSuite(channel, .timeout = 10, .init = count_and_setup);

Test(channel, receive_on_an_idle_socket_says_again) {

        cr_assert(eq(int, channel_receive(&right, false), CHANNEL_E_AGAIN));
        expect_no_frame(&right);
        cr_assert(zero(int, channel_flush(&right)));
        teardown();
}

Test(channel, peer_that_hung_up_is_end_of_file) {

        channel_deinit(&left);
        cr_assert(eq(int, channel_receive(&right, false), CHANNEL_E_EOF));
        cr_assert(eq(int, channel_receive(&right, false), CHANNEL_E_EOF));
        teardown();
}

Test(channel, frames_before_the_hang_up_are_still_read) {
        cr_assert(zero(int, send_text(&left, "a", NULL)));
        send_raw(left.fd, "half", 4, NULL);
        channel_deinit(&left);
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_EOF));
        expect_frame(&right, "a");
        expect_no_frame(&right);
        teardown();
}

Test(channel, peer_that_left_unread_bytes_is_end_of_file) {
        cr_assert(zero(int, send_text(&right, "never read", NULL)));
        channel_deinit(&left);
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_EOF));
        teardown();
}

Test(channel, send_to_a_peer_that_hung_up_is_end_of_file_and_no_signal) {
        FDList fds = open_fds(3);

        channel_deinit(&left);
        cr_assert(eq(int, send_text(&right, "a", NULL), CHANNEL_E_EOF));
        cr_assert(eq(int, send_text(&right, "a", &fds), CHANNEL_E_EOF));
        cr_assert(eq(sz, fds.n, 0));
        cr_assert(eq(sz, channel_pending(&right), 0));
        teardown();
}

Test(channel, flush_to_a_peer_that_hung_up_is_end_of_file) {
        stuff(&right);
        channel_deinit(&left);
        cr_assert(eq(int, channel_flush(&right), CHANNEL_E_EOF));
        teardown();
}

Test(channel, frame_over_the_limit_is_refused) {
        char *data = big_frame(FRAME_MAX), *frame;
        size_t n;

        cr_assert(zero(int, send_text(&left, data, NULL)));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_OVERSIZED));
        cr_assert(eq(int, channel_next(&right, &frame, &n), CHANNEL_E_OVERSIZED));
        free(data);
        teardown();
}

Test(channel, full_buffer_of_frames_nobody_took_is_refused) {
        char *data = big_frame(FRAME_MAX - 1);

        cr_assert(zero(int, send_text(&left, data, NULL)));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_OVERSIZED));
        expect_frame(&right, data);
        cr_assert(eq(int, channel_receive(&right, false), CHANNEL_E_AGAIN));
        free(data);
        teardown();
}

Test(channel, what_does_not_fit_leaves_later_and_whole) {
        size_t n = FRAME_MAX - 2;
        char *data = big_frame(n);
        int r, turns = 0;

        cr_assert(zero(int, setsockopt(left.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int))));
        cr_assert(eq(int, send_text(&left, data, NULL), CHANNEL_E_AGAIN));
        cr_assert(gt(sz, channel_pending(&left), 0));
        cr_assert(lt(sz, channel_pending(&left), n + 1));
        cr_assert(eq(int, channel_flush(&left), CHANNEL_E_AGAIN));
        do {
                size_t before = channel_pending(&left);

                cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
                r = channel_flush(&left);
                cr_assert(lt(sz, channel_pending(&left), before));
                turns++;
        } while (r == CHANNEL_E_AGAIN);
        cr_assert(zero(int, r));
        cr_assert(gt(int, turns, 1));
        cr_assert(zero(sz, channel_pending(&left)));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        expect_frame(&right, data);
        free(data);
        teardown();
}

/* There is room again, but what waits goes first. */
Test(channel, frame_does_not_overtake_the_queued_ones) {
        char *data = big_frame(FRAME_MAX / 2);

        cr_assert(zero(int, setsockopt(left.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int))));
        cr_assert(eq(int, send_text(&left, data, NULL), CHANNEL_E_AGAIN));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        cr_assert(eq(int, send_text(&left, "after", NULL), CHANNEL_E_AGAIN));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        while (channel_flush(&left) == CHANNEL_E_AGAIN)
                cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        expect_frame(&right, data);
        expect_frame(&right, "after");
        free(data);
        teardown();
}

Test(channel, what_was_posted_leaves_together) {
        enum { N = 60 };
        FDList fds = open_fds(1);

        for (int i = 0; i < N; i++)
                cr_assert(zero(int, channel_post(&left, "posted", sizeof("posted"))));
        cr_assert(eq(sz, channel_pending(&left), N * sizeof("posted")));
        cr_assert(eq(int, channel_receive(&right, false), CHANNEL_E_AGAIN));
        cr_assert(eq(int, send_text(&left, "with", &fds), CHANNEL_E_AGAIN));
        cr_assert(zero(int, channel_post(&left, "last", sizeof("last"))));
        cr_assert(zero(int, channel_flush(&left)));
        cr_assert(zero(sz, channel_pending(&left)));
        cr_assert(eq(int, n_sends, 3));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        for (int i = 0; i < N; i++)
                expect_frame(&right, "posted");
        expect_frame(&right, "with");
        expect_frame(&right, "last");
        cr_assert(eq(sz, right.in_fds.n, 1));
        teardown();
}

/* Cut anywhere: in a frame, and between two. */
Test(channel, what_was_posted_leaves_in_parts) {
        enum { N = 1000, LONG = 700 };
        char *data = big_frame(LONG), *frame;
        size_t n, n_frames = 0;
        int r;

        cr_assert(zero(int, setsockopt(left.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int))));
        for (int i = 0; i < N; i++)
                cr_assert(
                        zero(int, channel_post(&left, data + i % LONG, LONG + 1 - (size_t)(i % LONG))));
        do {
                r = channel_flush(&left);
                cr_assert(ge(int, r, 0));
                while (channel_receive(&right, false) == 0)
                        for (; channel_next(&right, &frame, &n) == 0; n_frames++)
                                cr_assert(eq(str, frame, data + n_frames % LONG));
        } while (r == CHANNEL_E_AGAIN);
        cr_assert(eq(sz, n_frames, N));
        free(data);
        teardown();
}
