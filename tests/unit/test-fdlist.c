/* SPDX-License-Identifier: BSD-2-Clause */

/* Ownership is the subject: after each step exactly the descriptors that somebody owns are open. */

#include "proto/fdlist.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/unit/leaks.h"

TestSuite(fdlist, .timeout = 10);

static int open_null(void) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        cr_assert(ge(int, fd, 0));
        return fd;
}

static bool is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

static void fill(FDList *list, int *ret_fds, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int fd = open_null();

                cr_assert(zero(int, fdlist_add(list, fd)));
                if (ret_fds)
                        ret_fds[i] = fd;
        }
        cr_assert(eq(sz, list->n, n));
}

Test(fdlist, deinit_of_an_empty_list_is_harmless) {
        FDList list = FDLIST_INIT;
        int n = leaks_count_fds();

        fdlist_deinit(&list);
        fdlist_deinit(&list);
        cr_assert(eq(sz, list.n, 0));
        leaks_expect_fds(n);
}

Test(fdlist, deinit_closes_what_nobody_took) {
        FDList list = FDLIST_INIT;
        int n = leaks_count_fds();

        fill(&list, NULL, 100);
        cr_assert(eq(int, leaks_count_fds(), n + 100));
        fdlist_deinit(&list);
        leaks_expect_fds(n);
}

/* A connection whose peer reads nothing, and whose close() would wait an hour for it. */
static int open_lingering(int *ret_listener) {
        struct linger linger = { .l_onoff = 1, .l_linger = 3600 };
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        static const char data[65536];

        cr_assert(zero(int, bind(listener, (const struct sockaddr *)&address, size)));
        cr_assert(zero(int, listen(listener, 1)));
        cr_assert(zero(int, getsockname(listener, (struct sockaddr *)&address, &size)));
        cr_assert(zero(int, connect(fd, (const struct sockaddr *)&address, size)));
        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))));
        while (send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                continue;
        *ret_listener = listener;
        return fd;
}

Test(fdlist, deinit_does_not_wait_for_a_peer) {
        FDList list = FDLIST_INIT;
        int n = leaks_count_fds(), listener;

        cr_assert(zero(int, fdlist_add(&list, open_lingering(&listener))));
        fdlist_deinit(&list);
        close(listener);
        leaks_expect_fds(n);
}

/* Others go on with it: closing a copy changes nothing of a listener. */
Test(fdlist, deinit_leaves_the_linger_of_a_listener) {
        struct linger linger = { .l_onoff = 1, .l_linger = 7 };
        socklen_t size = sizeof(linger);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        FDList list = FDLIST_INIT;

        cr_assert(zero(int, listen(listener, 1)));
        cr_assert(zero(int, setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))));
        cr_assert(zero(int, fdlist_add(&list, fcntl(listener, F_DUPFD_CLOEXEC, 3))));
        fdlist_deinit(&list);
        linger = (struct linger){ 0 };
        cr_assert(zero(int, getsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, &size)));
        cr_assert(eq(int, linger.l_linger, 7));
        close(listener);
}

/* What is given away is closed as its receiver likes; that it stays open elsewhere stands for
 * it here. */
Test(fdlist, sent_leaves_the_linger_of_what_is_given) {
        struct linger linger = { .l_onoff = 1, .l_linger = 7 };
        socklen_t size = sizeof(linger);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), n = leaks_count_fds();
        FDList list = FDLIST_GIVING;

        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))));
        cr_assert(zero(int, fdlist_add(&list, fcntl(fd, F_DUPFD_CLOEXEC, 3))));
        fdlist_sent(&list);
        leaks_expect_fds(n);
        cr_assert(zero(sz, list.n));
        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size)));
        cr_assert(eq(int, linger.l_linger, 7));
        close(fd);
}

Test(fdlist, sent_resets_what_is_not_given) {
        struct linger linger = { .l_onoff = 1, .l_linger = 7 };
        socklen_t size = sizeof(linger);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        FDList list = FDLIST_INIT;

        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))));
        cr_assert(zero(int, fdlist_add(&list, fcntl(fd, F_DUPFD_CLOEXEC, 3))));
        fdlist_sent(&list);
        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size)));
        cr_assert(zero(int, linger.l_linger));
        close(fd);
}

Test(fdlist, deinit_leaves_a_list_that_can_be_used_again) {
        FDList list = FDLIST_INIT;
        int n = leaks_count_fds();

        fill(&list, NULL, 5);
        fdlist_deinit(&list);
        fill(&list, NULL, 9);
        fdlist_deinit(&list);
        leaks_expect_fds(n);
}

Test(fdlist, take_refuses_an_index_that_is_not_there) {
        FDList list = FDLIST_INIT;
        int n = leaks_count_fds();

        cr_assert(eq(int, fdlist_take(&list, 0), -1));
        fill(&list, NULL, 3);
        cr_assert(eq(int, fdlist_take(&list, 3), -1));
        cr_assert(eq(int, fdlist_take(&list, 4), -1));
        cr_assert(eq(int, fdlist_take(&list, SIZE_MAX), -1));
        cr_assert(eq(int, leaks_count_fds(), n + 3));
        fdlist_deinit(&list);
        leaks_expect_fds(n);
}

Test(fdlist, take_gives_each_descriptor_once) {
        FDList list = FDLIST_INIT;
        int fds[3], n = leaks_count_fds();

        fill(&list, fds, 3);
        cr_assert(eq(int, fdlist_take(&list, 1), fds[1]));
        cr_assert(eq(int, fdlist_take(&list, 1), -1));
        cr_assert(eq(sz, list.n, 3));

        fdlist_deinit(&list);
        cr_assert(is_open(fds[1]));
        cr_assert(not(is_open(fds[0])));
        cr_assert(not(is_open(fds[2])));
        fd_close(fds[1]);
        leaks_expect_fds(n);
}

Test(fdlist, shift_of_nothing_moves_nothing) {
        FDList from = FDLIST_INIT, to = FDLIST_INIT;
        int n = leaks_count_fds();

        cr_assert(zero(int, fdlist_shift(&from, 0, &to)));
        cr_assert(eq(sz, to.n, 0));

        fill(&from, NULL, 2);
        cr_assert(zero(int, fdlist_shift(&from, 0, &to)));
        cr_assert(eq(sz, from.n, 2));
        cr_assert(eq(sz, to.n, 0));

        fdlist_deinit(&from);
        fdlist_deinit(&to);
        leaks_expect_fds(n);
}

Test(fdlist, shift_moves_the_first_ones_in_order) {
        FDList from = FDLIST_INIT, to = FDLIST_INIT;
        int fds[10], n = leaks_count_fds();

        fill(&from, fds, 10);
        cr_assert(zero(int, fdlist_shift(&from, 3, &to)));
        cr_assert(zero(int, fdlist_shift(&from, 6, &to)));
        cr_assert(eq(sz, from.n, 1));
        cr_assert(eq(sz, to.n, 9));
        for (size_t i = 0; i < 9; i++)
                cr_assert(eq(int, to.fds[i], fds[i]));
        cr_assert(eq(int, from.fds[0], fds[9]));
        cr_assert(eq(int, leaks_count_fds(), n + 10));

        fdlist_deinit(&from);
        cr_assert(eq(int, leaks_count_fds(), n + 9));
        fdlist_deinit(&to);
        leaks_expect_fds(n);
}

Test(fdlist, shift_of_all_leaves_an_empty_list) {
        FDList from = FDLIST_INIT, to = FDLIST_INIT;
        int n = leaks_count_fds();

        fill(&from, NULL, 253);
        cr_assert(zero(int, fdlist_shift(&from, 253, &to)));
        cr_assert(eq(sz, from.n, 0));
        cr_assert(eq(int, fdlist_take(&from, 0), -1));
        fill(&from, NULL, 1);

        fdlist_deinit(&from);
        fdlist_deinit(&to);
        leaks_expect_fds(n);
}

Test(fdlist, shift_keeps_the_holes_of_what_was_taken) {
        FDList from = FDLIST_INIT, to = FDLIST_INIT;
        int fds[2], n = leaks_count_fds();

        fill(&from, fds, 2);
        fd_close(fdlist_take(&from, 0));
        cr_assert(zero(int, fdlist_shift(&from, 2, &to)));
        cr_assert(eq(int, fdlist_take(&to, 0), -1));
        cr_assert(eq(int, fdlist_take(&to, 1), fds[1]));
        fd_close(fds[1]);

        fdlist_deinit(&from);
        fdlist_deinit(&to);
        leaks_expect_fds(n);
}
