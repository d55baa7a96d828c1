/* SPDX-License-Identifier: BSD-2-Clause */

/* Descriptors beside frames. They are counted, for each of them must be closed exactly once. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <sys/resource.h>

#include "proto/channel.h"
#include "tests/unit/channel-pair.h"

TestSuite(channel_fds, .timeout = 10, .init = count_and_setup);

Test(channel_fds, queued_descriptors_are_closed_when_the_channel_ends) {
        FDList fds = open_fds(5);

        stuff(&right);
        cr_assert(eq(int, send_text(&right, "queued", &fds), CHANNEL_E_AGAIN));
        cr_assert(eq(sz, fds.n, 0));
        cr_assert(eq(int, leaks_count_fds(), n_fds + 2 + 5));
        channel_deinit(&left);
        cr_assert(eq(int, channel_flush(&right), CHANNEL_E_EOF));
        cr_assert(eq(int, leaks_count_fds(), n_fds + 1 + 5));
        channel_deinit(&right);
        teardown();
}

Test(channel_fds, received_descriptors_nobody_took_are_closed_when_the_channel_ends) {
        FDList fds = open_fds(5);

        cr_assert(zero(int, send_text(&left, "a", &fds)));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        cr_assert(eq(sz, right.in_fds.n, 5));
        teardown();
}

Test(channel_fds, fault_of_send_closes_the_descriptors) {
        FDList fds = open_fds(2);

        /* Not a descriptor: as after fdlist_take(). */
        cr_assert(zero(int, fdlist_add(&fds, -1)));
        cr_assert(eq(int, send_text(&left, "a", &fds), -EBADF));
        cr_assert(eq(sz, fds.n, 0));
        teardown();
}

Test(channel_fds, s3_27_more_descriptors_than_the_kernel_carries_are_refused) {
        FDList fds = open_fds(FDS_MAX + 1);

        cr_assert(eq(int, send_text(&left, "a", &fds), -ENOBUFS));
        cr_assert(eq(sz, fds.n, 0));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        teardown();
}

Test(channel_fds, descriptors_nobody_asked_for_end_the_connection) {
        static const size_t counts[] = { 1, 2, FDS_MAX };

        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                FDList fds = open_fds(counts[i]);

                right.takes_fds = false;
                send_raw(left.fd, "a", 2, &fds);
                fdlist_deinit(&fds);
                cr_assert(eq(int, receive_all(&right), CHANNEL_E_DESCRIPTORS));
                cr_assert(eq(int, leaks_count_fds(), n_fds + 2));
                expect_no_frame(&right);
                channel_deinit(&left);
                channel_deinit(&right);
                setup();
        }
        teardown();
}

Test(channel_fds, descriptors_nobody_asked_for_are_seen_at_every_byte) {
        static const char data[] = "ab\0cd";

        for (size_t at = 0; at < sizeof(data); at++) {
                FDList fds = open_fds(1);

                right.takes_fds = false;
                if (at > 0)
                        send_raw(left.fd, data, at, NULL);
                send_raw(left.fd, data + at, sizeof(data) - at, &fds);
                fdlist_deinit(&fds);
                cr_assert(eq(int, receive_all(&right), CHANNEL_E_DESCRIPTORS));
                channel_deinit(&left);
                channel_deinit(&right);
                setup();
        }
        teardown();
}

Test(channel_fds, s3_27_descriptors_lost_for_want_of_room_end_the_connection) {
        FDList fds = open_fds(10);
        struct rlimit limit, tight;

        send_raw(left.fd, "a", 2, &fds);
        fdlist_deinit(&fds);
        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        tight = limit;
        tight.rlim_cur = (rlim_t)raw[1] + 4;
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &tight)));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_DESCRIPTORS));
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        cr_assert(lt(sz, right.in_fds.n, 10));
        teardown();
}

Test(channel_fds, s3_27_descriptors_arrive_in_order_and_close_on_exec) {
        static const size_t counts[] = { 1, 2, 3, 64, FDS_MAX };

        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                FDList fds = open_fds(counts[i]);
                ino_t inodes[FDS_MAX];

                for (size_t j = 0; j < fds.n; j++)
                        inodes[j] = inode(fds.fds[j]);
                cr_assert(zero(int, send_text(&left, "a", &fds)));
                cr_assert(eq(sz, fds.n, 0));
                cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
                expect_frame(&right, "a");
                cr_assert(eq(sz, right.in_fds.n, counts[i]));
                for (size_t j = 0; j < counts[i]; j++) {
                        cr_assert(eq(ulong, inode(right.in_fds.fds[j]), inodes[j]));
                        cr_assert(eq(int, fcntl(right.in_fds.fds[j], F_GETFD), FD_CLOEXEC));
                }
                fdlist_deinit(&right.in_fds);
                cr_assert(eq(int, leaks_count_fds(), n_fds + 2));
        }
        teardown();
}

Test(channel_fds, empty_list_of_descriptors_is_none) {
        FDList fds = FDLIST_INIT;

        right.takes_fds = false;
        cr_assert(zero(int, send_text(&left, "a", &fds)));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        expect_frame(&right, "a");
        teardown();
}

/*
 * The kernel may join what came before the descriptors with the first bytes of their frame, and stops
 * behind those: so descriptors are never seen before their frame begins, nor after it ends.
 */
Test(channel_fds, descriptors_come_with_the_first_byte_of_their_frame) {
        FDList fds = open_fds(2), more = open_fds(1);

        cr_assert(zero(int, send_text(&left, "plain", NULL)));
        cr_assert(zero(int, send_text(&left, "with", &fds)));
        cr_assert(zero(int, send_text(&left, "after", NULL)));
        cr_assert(zero(int, send_text(&left, "again", &more)));

        cr_assert(zero(int, channel_receive(&right, false)));
        expect_frame(&right, "plain");
        expect_frame(&right, "with");
        cr_assert(eq(sz, right.in_fds.n, 2));
        expect_no_frame(&right);

        cr_assert(zero(int, channel_receive(&right, false)));
        expect_frame(&right, "after");
        expect_frame(&right, "again");
        cr_assert(eq(sz, right.in_fds.n, 3));
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        teardown();
}

/* Whatever a raw writer does with cuts and descriptors, frames and descriptors all arrive. */
Test(channel_fds, stream_cut_at_every_byte_with_descriptors_at_every_byte) {
        static const char data[] = "one\0\0three";

        for (size_t cut = 1; cut < sizeof(data); cut++)
                for (size_t at = 0; at < sizeof(data); at++) {
                        size_t sent = 0,
                               steps[] = { cut < at ? cut : at, cut < at ? at : cut, sizeof(data) };
                        FDList fds = open_fds(2);

                        for (size_t i = 0; i < 3; i++) {
                                if (steps[i] == sent)
                                        continue;
                                send_raw(left.fd, data + sent, steps[i] - sent,
                                         sent == at ? &fds : NULL);
                                sent = steps[i];
                                cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
                        }
                        expect_frame(&right, "one");
                        expect_frame(&right, "");
                        expect_frame(&right, "three");
                        expect_no_frame(&right);
                        cr_assert(eq(sz, right.in_fds.n, 2));
                        fdlist_deinit(&right.in_fds);
                        fdlist_deinit(&fds);
                }
        teardown();
}

/* A frame that is half sent has given its descriptors away: they must not be sent twice. */
Test(channel_fds, descriptors_of_a_half_sent_frame_arrive_once) {
        char *data = big_frame(FRAME_MAX - 2);
        FDList fds = open_fds(3);

        cr_assert(zero(int, setsockopt(left.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int))));
        cr_assert(eq(int, send_text(&left, data, &fds), CHANNEL_E_AGAIN));
        cr_assert(eq(int, leaks_count_fds(), n_fds + 2));
        do
                cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        while (channel_flush(&left) == CHANNEL_E_AGAIN);
        cr_assert(eq(int, receive_all(&right), CHANNEL_E_AGAIN));
        expect_frame(&right, data);
        cr_assert(eq(sz, right.in_fds.n, 3));
        free(data);
        teardown();
}

Test(channel_fds, queued_frames_keep_order_and_descriptors) {
        FDList fds = open_fds(2), more = open_fds(1);
        size_t n = 0;
        int r;

        stuff(&left);
        cr_assert(eq(int, send_text(&left, "plain", NULL), CHANNEL_E_AGAIN));
        cr_assert(eq(int, send_text(&left, "with", &fds), CHANNEL_E_AGAIN));
        cr_assert(eq(int, send_text(&left, "after", NULL), CHANNEL_E_AGAIN));
        cr_assert(eq(int, send_text(&left, "again", &more), CHANNEL_E_AGAIN));
        do {
                char *frame;
                size_t size;

                r = channel_flush(&left);
                cr_assert(ge(int, r, 0));
                while (channel_receive(&right, false) == 0)
                        while (channel_next(&right, &frame, &size) == 0) {
                                static const char *const texts[] = { "plain", "with", "after", "again" };

                                if (size == FRAME_MAX - 1)
                                        continue;
                                cr_assert(lt(sz, n, 4));
                                cr_assert(eq(str, frame, (char *)texts[n]));
                                cr_assert(eq(sz, right.in_fds.n, n == 0 || n == 1 ? 2 : 3));
                                n++;
                        }
        } while (r == CHANNEL_E_AGAIN);
        cr_assert(eq(sz, n, 4));
        cr_assert(zero(sz, channel_pending(&left)));
        teardown();
}
