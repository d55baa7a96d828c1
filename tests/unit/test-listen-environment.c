/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Handing over descriptors. Where they go, this process has files of its own that its test runner needs,
 * so each placement is done in a child, which answers with its exit status.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/listen-environment.h"

TestSuite(listen_environment, .timeout = 10);

enum {
        N_MAX = 4,
        FD_END = 40,
};

static size_t fds_count(void) {
        size_t n = 0;
        DIR *dir;

        dir = opendir("/proc/self/fd");
        cr_assert(ne(ptr, dir, NULL));
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

/* The exit status of @function in a child, in which everything from 3 upward is closed. */
static int child_run(int (*function)(void)) {
        int status = -1;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                close_range(3, ~0U, 0);
                _exit(function());
        }

        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(eq(int, WIFEXITED(status), 1));
        return WEXITSTATUS(status);
}

/* A file of which @index can be told again, at the descriptor @at. */
static int file_open(size_t index, int at) {
        int fd = memfd_create("test", MFD_CLOEXEC);

        if (fd < 0 || ftruncate(fd, (off_t)(index + 1)) < 0)
                return -1;
        if (fd != at) {
                if (dup3(fd, at, O_CLOEXEC) < 0)
                        return -1;
                close(fd);
        }
        return at;
}

/* Whether the file made with @index is at @fd, and survives execve(). */
static int file_is(int fd, size_t index) {
        struct stat st;

        return fstat(fd, &st) == 0 && st.st_size == (off_t)(index + 1) && fcntl(fd, F_GETFD) == 0;
}

/* Opens one file at each of @at, in an order that never writes over one, and places them. */
static int place_from(const int *at, size_t n) {
        int fds[N_MAX];
        size_t i;
        int fd;

        for (i = 0; i < n; i++) {
                fds[i] = file_open(i, at[i] + FD_END);
                if (fds[i] < 0)
                        return 10;
        }
        for (i = 0; i < n; i++) {
                if (dup3(fds[i], at[i], O_CLOEXEC) < 0)
                        return 11;
                close(fds[i]);
                fds[i] = at[i];
        }

        if (listen_environment_place(fds, n) != 0)
                return 12;
        for (i = 0; i < n; i++)
                if (fds[i] != 3 + (int)i || !file_is(fds[i], i))
                        return 13;

        /* No copy is left behind, wherever it was on the way. */
        for (fd = 3 + (int)n; fd < 2 * FD_END; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        return 14;
        return 0;
}

static int place_closed(void) {
        int fds[] = { 20 };

        return listen_environment_place(fds, 1) == -EBADF ? 0 : 1;
}

Test(listen_environment, closed_descriptor_is_refused) {
        cr_assert(eq(int, child_run(place_closed), 0));
}

static int place_without_room(void) {
        struct rlimit limit = { 5, 5 };
        int fds[2];

        fds[0] = file_open(0, 4);
        fds[1] = file_open(1, 3);
        if (fds[0] < 0 || fds[1] < 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 1;
        /* 5 is the first that is out of the way, and no longer allowed. */
        if (listen_environment_place(fds, 2) >= 0)
                return 2;
        /* What was to be handed over is still owned by the caller. */
        return fds[0] == 4 && fds[1] == 3 ? 0 : 3;
}

Test(listen_environment, no_room_to_move_is_a_failure) {
        cr_assert(eq(int, child_run(place_without_room), 0));
}

static int keep_closed(void) {
        return listen_environment_keep(20, 2) == -EBADF ? 0 : 1;
}

Test(listen_environment, closed_connection_is_not_kept) {
        cr_assert(eq(int, child_run(keep_closed), 0));
}

/* One row a test of where the descriptors were before. */
static const struct {
        size_t n;
        int at[N_MAX];
} places[] = {
        { 1, { 3 } },          { 1, { 4 } },           { 1, { 0 } },          { 2, { 3, 4 } },
        { 2, { 4, 3 } },       { 2, { 4, 5 } },        { 2, { 30, 3 } },      { 3, { 4, 5, 3 } },
        { 3, { 5, 30, 4 } },   { 3, { 0, 1, 2 } },     { 4, { 6, 5, 4, 3 } }, { 4, { 4, 3, 6, 5 } },
        { 4, { 4, 5, 6, 7 } }, { 4, { 9, 6, 3, 30 } },
};

static size_t place_index;

static int place_indexed(void) {
        return place_from(places[place_index].at, places[place_index].n);
}

Test(listen_environment, descriptors_go_from_three_upward_from_anywhere) {
        size_t n_fds = fds_count();

        for (place_index = 0; place_index < sizeof(places) / sizeof(*places); place_index++)
                cr_expect(eq(int, child_run(place_indexed), 0), "row %zu", place_index);
        cr_assert(eq(sz, fds_count(), n_fds));
}

static int keep_in_the_way(void) {
        int fds[2];
        int kept;

        /* As after an Acquire: the connection sits where the first socket has to go. */
        if (file_open(2, 3) < 0)
                return 1;
        fds[0] = file_open(0, 4);
        fds[1] = file_open(1, 5);
        if (fds[0] < 0 || fds[1] < 0)
                return 2;

        kept = listen_environment_keep(3, 2);
        if (kept != 6 || listen_environment_place(fds, 2) != 0)
                return 3;
        return file_is(3, 0) && file_is(4, 1) && file_is(6, 2) && fcntl(5, F_GETFD) < 0 ? 0 : 4;
}

Test(listen_environment, connection_is_kept_above_the_sockets) {
        cr_assert(eq(int, child_run(keep_in_the_way), 0));
}

static int keep_lowest(void) {
        if (file_open(0, 10) < 0)
                return 1;
        return listen_environment_keep(10, 1) == 4 && file_is(4, 0) ? 0 : 2;
}

Test(listen_environment, connection_is_kept_at_the_lowest_free_number) {
        cr_assert(eq(int, child_run(keep_lowest), 0));
}

static void expect_variable(const char *name, const char *value) {
        cr_assert(ne(ptr, getenv(name), NULL));
        cr_assert(eq(str, getenv(name), (char *)value));
}

Test(listen_environment, names_that_would_break_the_list_are_unknown) {
        static const char *const names[] = { "a:b", "a\\b", "", NULL, "a b", "\303\274", "ok" };

        cr_assert(eq(int, listen_environment_set(1, names, 7), 0));
        expect_variable("LISTEN_FDNAMES", "unknown:unknown:unknown:unknown:unknown:unknown:ok");
        expect_variable("LISTEN_FDS", "7");
}

Test(listen_environment, inherited_variables_are_replaced) {
        static const char *const names[] = { "web" };

        setenv("LISTEN_FDS", "9", 1);
        setenv("LISTEN_PID", "1", 1);
        setenv("LISTEN_FDNAMES", "old:older", 1);
        setenv("LISTEN_PIDFDID", "12345", 1);
        cr_assert(eq(int, listen_environment_set(4711, names, 1), 0));

        expect_variable("LISTEN_FDS", "1");
        expect_variable("LISTEN_PID", "4711");
        expect_variable("LISTEN_FDNAMES", "web");
        cr_assert(eq(ptr, getenv("LISTEN_PIDFDID"), NULL));
}

Test(listen_environment, every_descriptor_has_a_name) {
        static const char *const names[] = { "web-1.a_B", NULL, "quic" };

        cr_assert(eq(int, listen_environment_set(42, names, 3), 0));
        expect_variable("LISTEN_FDS", "3");
        expect_variable("LISTEN_PID", "42");
        expect_variable("LISTEN_FDNAMES", "web-1.a_B:unknown:quic");
}

Test(listen_environment, leases_are_words_of_a_shell) {
        static const char *const leases[] = { "l1-3f9a1c07", "l12-3f9a1c07" };
        static const char *const odd[] = { "l1 l2", "$(id)", NULL, "*", "" };

        setenv("REUSE_LEASES", "l9-00000000", 1);
        cr_assert(eq(int, listen_environment_set_leases(odd, 5), 0));
        expect_variable("REUSE_LEASES", "unknown unknown unknown unknown unknown");
        cr_assert(eq(int, listen_environment_set_leases(leases, 2), 0));
        expect_variable("REUSE_LEASES", "l1-3f9a1c07 l12-3f9a1c07");
        cr_assert(eq(int, listen_environment_set_leases(leases, 1), 0));
        expect_variable("REUSE_LEASES", "l1-3f9a1c07");
}

Test(listen_environment, lifetime_that_was_inherited_is_gone) {
        setenv("REUSE_LIFETIME_FD", "9", 1);
        cr_assert(eq(int, listen_environment_set_lifetime(-1), 0));
        cr_assert(eq(ptr, getenv("REUSE_LIFETIME_FD"), NULL));
        cr_assert(eq(int, listen_environment_set_lifetime(-1), 0));
        setenv("REUSE_LIFETIME_FD", "9", 1);
        cr_assert(eq(int, listen_environment_set_lifetime(12), 0));
        expect_variable("REUSE_LIFETIME_FD", "12");
}
