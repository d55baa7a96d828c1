/* SPDX-License-Identifier: BSD-2-Clause */

/* Leases live as long as any copy of the client's end, and by nothing else. */

#include "daemon/lifeline.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/daemon-kit.h"

TestSuite(lifeline, .timeout = 10);

static uint64_t number_of(int fd) {
        struct stat st;

        cr_assert(zero(int, fstat(fd, &st)));
        return st.st_ino;
}

static Process *begin(Kit *kit, int *ret_fd) {
        Process *lifeline;

        kit_init(kit, 1000);
        cr_assert(zero(int, lifeline_new(kit->services.event, ret_fd, &lifeline)));
        return lifeline;
}

static void hold(Kit *kit, Process *lifeline) {
        kit_lease(kit, kit_open(kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), lifeline);
}

static void expect_leases(Kit *kit, size_t n) {
        kit_turn(kit);
        cr_assert(eq(sz, lease_registry_count(&kit->services.leases), n));
}

Test(lifeline, without_descriptors_there_is_none) {
        struct rlimit before, none;
        Process *lifeline = NULL;
        int fd = -1;
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &before)));
        none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &none)));
        cr_assert(eq(int, lifeline_new(kit.services.event, &fd, &lifeline), LIFELINE_E_NO_PIPE));
        cr_assert(eq(int, errno, EMFILE));
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &before)));
        cr_assert(eq(ptr, lifeline, NULL));
        cr_assert(eq(int, fd, -1));
        kit_end(&kit);
}

Test(lifeline, only_the_brokers_end_of_that_very_pipe_fits) {
        int fd, others[2], event = eventfd(0, EFD_CLOEXEC);
        Process *lifeline;
        Kit kit;

        lifeline = begin(&kit, &fd);
        cr_assert(zero(int, pipe2(others, O_CLOEXEC)));
        cr_assert(not(lifeline_fits(-1, lifeline->lifeline)));
        cr_assert(not(lifeline_fits(fd, lifeline->lifeline)));
        cr_assert(not(lifeline_fits(event, number_of(event))));
        cr_assert(not(lifeline_fits(others[1], lifeline->lifeline)));
        cr_assert(not(lifeline_fits(lifeline->fd, lifeline->lifeline + 1)));
        cr_assert(lifeline_fits(lifeline->fd, lifeline->lifeline));
        close(event);
        close(others[0]);
        close(others[1]);
        close(fd);
        process_unref(lifeline);
        kit.n_fds--;
        kit_end(&kit);
}

Test(lifeline, the_client_can_put_nothing_into_it) {
        Process *lifeline;
        int fd, flags;
        Kit kit;

        lifeline = begin(&kit, &fd);
        flags = fcntl(fd, F_GETFL);
        cr_assert(eq(int, (flags & O_ACCMODE), O_RDONLY));
        cr_assert(eq(int, (flags & O_NONBLOCK), O_NONBLOCK));
        cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
        cr_assert(eq(int, (int)write(fd, "", 1), -1));
        cr_assert(eq(u64, number_of(fd), lifeline->lifeline));
        close(fd);
        process_unref(lifeline);
        kit_end(&kit);
}

Test(lifeline, the_last_copy_ends_all_its_leases) {
        Process *lifeline;
        int fd, copy;
        Kit kit;

        lifeline = begin(&kit, &fd);
        hold(&kit, lifeline);
        hold(&kit, lifeline);
        process_unref(lifeline);
        hold(&kit, NULL);
        copy = dup(fd);
        lease_owner_end(&kit.connection, MEMBER_LEAVE_LOST, "hang-up");
        kit.told[0] = '\0';
        close(fd);
        expect_leases(&kit, 2);
        close(copy);
        expect_leases(&kit, 0);
        kit_expect_told(&kit, "released closed released closed ");
        kit_end(&kit);
}

/* Nobody has to ask whether they have ended otherwise. */
Test(lifeline, their_end_is_a_hang_up_to_the_client) {
        struct pollfd pollfd = { .events = POLLIN };
        Process *lifeline;
        Kit kit;

        lifeline = begin(&kit, &pollfd.fd);
        hold(&kit, lifeline);
        process_unref(lifeline);
        expect_leases(&kit, 1);
        cr_assert(zero(int, poll(&pollfd, 1, 0)));
        lease_registry_deinit(&kit.services.leases, "the broker stops");
        cr_assert(eq(int, poll(&pollfd, 1, 0), 1));
        cr_assert(eq(int, pollfd.revents, POLLHUP));
        close(pollfd.fd);
        kit_end(&kit);
}

Test(lifeline, one_that_was_closed_before_it_was_watched) {
        int ends[2];
        Process *lifeline;
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
        close(ends[0]);
        cr_assert(zero(
                int, process_new_lifeline(kit.services.event, ends[1], number_of(ends[1]), &lifeline)));
        hold(&kit, lifeline);
        process_unref(lifeline);
        expect_leases(&kit, 0);
        kit_end(&kit);
}
