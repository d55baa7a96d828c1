/* SPDX-License-Identifier: BSD-2-Clause */

/* Who is at the other end; and no pidfd is ever of a process that only inherited the number. */

#include "daemon/subject.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "proto/cleanup.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

enum {
        GROUPS_N = 200, /* more than are read at first */
};

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A child that waits to be killed, as @uid, or as it is with -1. */
static pid_t start_child(uid_t uid) {
        int ready[2];
        pid_t pid;
        char byte;

        cr_assert(zero(int, pipe(ready)));
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                /* After setuid() a process of another uid is root's in /proc unless it says this. */
                if (uid != (uid_t)-1 && (setuid(uid) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0))
                        _exit(1);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (write(ready[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(ready[1]);
        cr_assert(eq(int, (int)read(ready[0], &byte, 1), 1));
        close(ready[0]);
        return pid;
}

static void end_child(pid_t pid) {
        kill(pid, SIGKILL);
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

static bool has_exited(int pidfd) {
        struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

        return poll(&poll_fd, 1, 0) == 1;
}

static void expect_gone(const Subject *subject) {
        int n_fds = leaks_count_fds(), pidfd = -1;

        cr_assert(eq(int, subject_open_pidfd_by_number(subject, &pidfd), SUBJECT_E_GONE));
        cr_assert(eq(int, pidfd, -1));
        leaks_expect_fds(n_fds);
}

static const SubjectQuestions no_questions;

TestSuite(subject, .timeout = 10);

/* ---- by number ---------------------------------------------------------------------------------- */

Test(subject, a_process_without_a_number_here) {
        expect_gone(&(Subject){ .pid = 0, .uid = getuid(), .connected_usec = UINT64_MAX });
        expect_gone(&(Subject){ .pid = -1, .uid = getuid(), .connected_usec = UINT64_MAX });
}

Test(subject, a_process_that_has_been_reaped) {
        pid_t pid = start_child((uid_t)-1);

        end_child(pid);
        expect_gone(&(Subject){ .pid = pid, .uid = getuid(), .connected_usec = UINT64_MAX });
}

Test(subject, a_process_that_started_after_the_connection) {
        uint64_t before = now_usec();
        pid_t pid = start_child((uid_t)-1);
        long tick_usec = 1000000 / sysconf(_SC_CLK_TCK);

        expect_gone(&(Subject){ .pid = pid, .uid = getuid(), .connected_usec = 0 });
        /* The start is known to a tick of the kernel's. */
        expect_gone(&(Subject){
                .pid = pid, .uid = getuid(), .connected_usec = before - (uint64_t)tick_usec });
        end_child(pid);
}

Test(subject, a_process_of_somebody_else) {
        pid_t pid;

        if (getuid() != 0)
                cr_skip_test("needs root, for a process of another user");
        pid = start_child(KIT_OTHER_UID);
        expect_gone(&(Subject){ .pid = pid, .uid = KIT_OTHER_UID + 1, .connected_usec = UINT64_MAX });
        expect_gone(&(Subject){ .pid = pid, .uid = 0, .connected_usec = UINT64_MAX });
        end_child(pid);
}

/* The brackets and blanks that a program may put into its name must not move the fields. */
Test(subject, a_name_that_looks_like_the_fields_after_it) {
        static const char *const names[] = { "a) R 1 2 3 4", ") ) )", "(((", "x 0 0 0 0 0 0" };
        int pidfd;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                cr_assert(zero(int, prctl(PR_SET_NAME, names[i])));
                expect_gone(&(Subject){ .pid = getpid(), .uid = getuid(), .connected_usec = 1 });
                cr_assert(zero(int,
                               subject_open_pidfd_by_number(&(Subject){ .pid = getpid(),
                                                                        .uid = getuid(),
                                                                        .connected_usec = now_usec() },
                                                            &pidfd)));
                close(pidfd);
        }
}

Test(subject, the_process_itself_by_number) {
        pid_t pid = start_child((uid_t)-1);
        Subject subject = { .pid = pid, .uid = getuid(), .connected_usec = now_usec() };
        int n_fds = leaks_count_fds(), pidfd;

        cr_assert(zero(int, subject_open_pidfd_by_number(&subject, &pidfd)));
        cr_assert(not(has_exited(pidfd)));
        end_child(pid);
        cr_assert(has_exited(pidfd));
        close(pidfd);
        leaks_expect_fds(n_fds);
}

/* ---- of a connection ---------------------------------------------------------------------------- */

Test(subject, what_is_no_connection) {
        int n_fds = leaks_count_fds(), fds[2], udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
            pidfd;
        Subject *subject = NULL,
                self = { .pid = getpid(), .uid = getuid(), .connected_usec = UINT64_MAX };

        cr_assert(zero(int, pipe(fds)));
        cr_assert(eq(int, subject_new(fds[0], &subject), -ENOTSOCK));
        cr_assert(lt(int, subject_new(udp, &subject), 0));
        cr_assert(eq(int, subject_new(-1, &subject), -EBADF));
        cr_assert(eq(ptr, subject, NULL));
        cr_assert(eq(int, subject_open_pidfd(&self, fds[0], &pidfd), -ENOTSOCK));
        cr_assert(eq(int, subject_open_pidfd(&self, -1, &pidfd), -EBADF));
        close(fds[0]);
        close(fds[1]);
        close(udp);
        leaks_expect_fds(n_fds);
}

Test(subject, a_peer_that_has_been_reaped) {
        int n_fds = leaks_count_fds(), listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, r;
        struct sockaddr_un name = { 0 };
        socklen_t size = sizeof(name);
        Subject *subject;
        int pidfd = -1;
        pid_t pid;

        /* A name that the kernel chooses. */
        cr_assert(zero(int,
                       bind(listener, (struct sockaddr *)&(struct sockaddr_un){ .sun_family = AF_UNIX },
                            sizeof(sa_family_t))));
        cr_assert(zero(int, listen(listener, 1)));
        cr_assert(zero(int, getsockname(listener, (struct sockaddr *)&name, &size)));
        pid = fork();
        if (pid == 0) {
                fd = socket(AF_UNIX, SOCK_STREAM, 0);
                _exit(connect(fd, (struct sockaddr *)&name, size) == 0 ? 0 : 1);
        }
        cr_assert(eq(int, waitpid(pid, &r, 0), pid));
        cr_assert(zero(int, r));
        fd = accept(listener, NULL, NULL);
        cr_assert(ge(int, fd, 0));
        cr_assert(zero(int, subject_new(fd, &subject)));
        cr_assert(zero(int, subject_ask(subject, fd, &no_questions, NULL)));
        cr_assert(eq(int, subject->pid, pid));
        cr_assert(eq(int, subject_open_pidfd(subject, fd, &pidfd), SUBJECT_E_GONE));
        cr_assert(eq(int, pidfd, -1));
        expect_gone(subject);
        close(fd);
        close(listener);
        subject_unref(subject);
        leaks_expect_fds(n_fds);
}

Test(subject, a_peer_that_is_there) {
        int n_fds = leaks_count_fds(), pair[2], pidfd;
        uint64_t before = now_usec();
        Subject *subject;

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        cr_assert(zero(int, subject_new(pair[0], &subject)));
        cr_assert(zero(int, subject_ask(subject, pair[0], &no_questions, NULL)));
        cr_assert(eq(int, subject->pid, getpid()));
        cr_assert(eq(u32, subject->uid, getuid()));
        cr_assert(eq(u32, subject->gid, getgid()));
        cr_assert(ge(u64, subject->connected_usec, before));
        cr_assert(le(u64, subject->connected_usec, now_usec()));
        cr_assert(zero(int, subject_open_pidfd(subject, pair[0], &pidfd)));
        cr_assert(not(has_exited(pidfd)));
        close(pidfd);
        close(pair[0]);
        close(pair[1]);
        cr_assert(eq(ptr, subject_ref(subject), subject));
        cr_assert(eq(ptr, subject_unref(subject), NULL));
        cr_assert(eq(int, subject->pid, getpid()));
        subject_unref(subject);
        leaks_expect_fds(n_fds);
}

Test(subject, no_groups_and_many) {
        static const size_t counts[] = { 0, 1, 31, 32, 33, GROUPS_N };
        gid_t groups[GROUPS_N];
        Subject *subject;
        int pair[2];

        if (getuid() != 0)
                cr_skip_test("needs root, for groups");
        for (size_t i = 0; i < GROUPS_N; i++)
                groups[i] = (gid_t)(1000 + i);
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                cr_assert(zero(int, setgroups(counts[i], groups)));
                cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
                cr_assert(zero(int, subject_new(pair[0], &subject)));
                cr_assert(zero(int, subject_ask(subject, pair[0], &no_questions, NULL)));
                cr_assert(eq(sz, subject->n_groups, counts[i]));
                cr_assert(
                        zero(int, memcmp(subject->groups ?: groups, groups, counts[i] * sizeof(gid_t))));
                subject_unref(subject);
                close(pair[0]);
                close(pair[1]);
        }
        leaks_expect_none();
}

Test(subject, unref_takes_null) {
        cr_assert(eq(ptr, subject_unref(NULL), NULL));
}

/* ---- without descriptors ------------------------------------------------------------------------ */

Test(subject, no_descriptor_is_left) {
        Subject self = { .pid = getpid(), .uid = getuid(), .connected_usec = now_usec() };
        int pair[2], pidfd = -1, by_number, by_connection;
        struct rlimit limit;

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, limit.rlim_max })));
        by_number = subject_open_pidfd_by_number(&self, &pidfd);
        by_connection = subject_open_pidfd(&self, pair[0], &pidfd);
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        cr_assert(eq(int, by_number, SUBJECT_E_NO_DESCRIPTOR));
        cr_assert(eq(int, by_connection, SUBJECT_E_NO_DESCRIPTOR));
        cr_assert(eq(int, pidfd, -1));
        close(pair[0]);
        close(pair[1]);
}

/* ---- for people --------------------------------------------------------------------------------- */

/* What is told of a process that connected then, as one that has not been asked about before. */
static HolderInfo describe_since(pid_t pid, uint64_t connected_usec, Subject **ret) {
        HolderInfo info;

        *ret = calloc(1, sizeof(**ret));
        cr_assert(ne(ptr, *ret, NULL));
        **ret = (Subject){
                .n_refs = 1, .pid = pid, .uid = 1, .gid = 2, .connected_usec = connected_usec
        };
        subject_describe(*ret, 3, &info);
        return info;
}

static HolderInfo describe(pid_t pid, Subject **ret) {
        return describe_since(pid, 0, ret);
}

Test(subject, nothing_is_said_of_a_process_that_is_not_there) {
        /* 0 is a process of another pid namespace: not to be taken for this one. */
        pid_t pids[] = { -1, 0, start_child((uid_t)-1) };
        Subject *subject;
        HolderInfo info;

        end_child(pids[2]);
        for (int i = 0; i < 3; i++) {
                info = describe(pids[i], &subject);
                cr_assert(eq(ptr, (void *)info.command, NULL));
                cr_assert(eq(ptr, (void *)info.unit, NULL));
                cr_assert(eq(i64, info.uid, 1));
                cr_assert(eq(i64, info.gid, 2));
                cr_assert(eq(i64, info.pid, pids[i]));
                cr_assert(eq(i64, info.since_usec, 3));
                subject_unref(subject);
        }
        leaks_expect_none();
}

Test(subject, nothing_is_said_of_who_has_its_number_now) {
        Subject *subject;
        HolderInfo info;

        info = describe_since(getpid(), 1, &subject);
        cr_assert(eq(ptr, (void *)info.command, NULL));
        cr_assert(eq(ptr, (void *)info.unit, NULL));
        cr_assert(eq(i64, info.pid, getpid()));
        subject_unref(subject);
        info = describe_since(getpid(), now_usec(), &subject);
        cr_assert(ne(ptr, (void *)info.command, NULL));
        subject_unref(subject);
}

Test(subject, the_name_of_a_program_is_made_printable) {
        static const char *const names[][2] = {
                { "plain-name", "plain-name" },
                { "a\x01"
                  "b\xff"
                  "c\x7f",
                  "a?b?c?" },
                { "\xc3\xa9t\xc3\xa9", "??t??" },
                { "with blank", "with blank" },
                { "as-long-as-it-b", "as-long-as-it-b" },
        };
        Subject *subject;
        HolderInfo info;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                cr_assert(zero(int, prctl(PR_SET_NAME, names[i][0])));
                info = describe(getpid(), &subject);
                KIT_EXPECT_TEXT(info.command, names[i][1]);
                subject_unref(subject);
        }
        cr_assert(zero(int, prctl(PR_SET_NAME, "")));
        info = describe(getpid(), &subject);
        cr_assert(eq(ptr, (void *)info.command, NULL));
        subject_unref(subject);
}
