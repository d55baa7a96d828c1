/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Identity by credentials, never by /proc: a pid is a number that passes to others. /proc is read for
 * one purpose, to tell people a name beside the number.
 */

#include "daemon/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <systemd/sd-login.h>

#include "daemon/clock.h"
#include "proto/cleanup.h"
#include "proto/error.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum {
        GROUPS_AT_FIRST = 32,
        LABEL_AT_FIRST = 256,
        /* How long what /proc said is good enough. */
        TOLD_USEC = 100 * 1000,
};

static int subject_read_groups(Subject *subject, int fd) {
        socklen_t size = GROUPS_AT_FIRST * sizeof(gid_t);

        for (;;) {
                gid_t *groups = realloc(subject->groups, size);

                if (!groups)
                        return error_origin(-ENOMEM);
                subject->groups = groups;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
                        break;
                if (errno != ERANGE)
                        return error_origin(-errno);
        }
        subject->n_groups = size / sizeof(gid_t);
        if (subject->n_groups == 0) {
                free(subject->groups);
                subject->groups = NULL;
        }
        return 0;
}

/* What the security module calls the peer; one that has no labels leaves it unknown. */
static int subject_read_label(Subject *subject, int fd) {
        socklen_t size = LABEL_AT_FIRST;

        for (;;) {
                char *label = realloc(subject->label, size + 1);

                if (!label)
                        return error_origin(-ENOMEM);
                subject->label = label;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, label, &size) == 0) {
                        /* With or without its NUL: modules differ. */
                        label[size] = '\0';
                        if (label[0])
                                return 0;
                        break;
                }
                if (errno != ERANGE)
                        break;
        }
        free(ptr_take(subject->label));
        return 0;
}

/* Returns 0, CGROUP_E_AGAIN, or a negative errno. */
static int subject_read_cgroup(Subject *subject, int fd, CgroupMap *cgroups, CgroupSearch **ret_search) {
        _cleanup_(fd_closep) int pidfd = -1;
        socklen_t size = sizeof(pidfd);
        int r;

        /* Nothing less will do: a number of a process may be another's by now. */
        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0) {
                pidfd = -1;
                return 0;
        }
        r = cgroup_of_process(cgroups, pidfd, subject->pid, subject->uid, ret_search, &subject->cgroup);
        return r < 0 ? error_trace(r) : r == CGROUP_E_AGAIN ? r : 0;
}

int subject_new(int fd, Subject **ret) {
        struct ucred credentials;
        socklen_t size = sizeof(credentials);
        Subject *subject;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return error_origin(-errno);
        /* Of what is no UNIX socket nobody is known. */
        if (credentials.uid == (uid_t)-1)
                return error_origin(-ENODATA);
        subject = calloc(1, sizeof(*subject));
        if (!subject)
                return error_origin(-ENOMEM);
        subject->n_refs = 1;
        subject->uid = credentials.uid;
        subject->gid = credentials.gid;
        subject->pid = credentials.pid;
        subject->connected_usec = clock_usec(CLOCK_BOOTTIME);
        *ret = subject;
        return 0;
}

int subject_ask(Subject *subject, int fd, const SubjectQuestions *questions, CgroupSearch **ret_search) {
        int r;

        r = subject_read_groups(subject, fd);
        if (r == 0 && questions->label)
                r = subject_read_label(subject, fd);
        if (r == 0 && questions->cgroups)
                r = subject_read_cgroup(subject, fd, questions->cgroups, ret_search);
        if (r < 0)
                return error_trace(r);
        return r == CGROUP_E_AGAIN ? SUBJECT_E_AGAIN : 0;
}

int subject_ask_on(Subject *subject, CgroupMap *cgroups, CgroupSearch *search, uint64_t usec) {
        int r = cgroup_search_go_on(cgroups, search, usec, &subject->cgroup);

        if (r < 0)
                return error_trace(r);
        return r == CGROUP_E_AGAIN ? SUBJECT_E_AGAIN : 0;
}

Subject *subject_ref(Subject *subject) {
        subject->n_refs++;
        return subject;
}

Subject *subject_unref(Subject *subject) {
        if (subject && --subject->n_refs == 0) {
                free(subject->groups);
                free(subject->cgroup);
                free(subject->label);
                free(subject->rest);
                free(subject->unit);
                free(subject);
        }
        return NULL;
}

/* When a process started, in microseconds of CLOCK_BOOTTIME, rounded down to the kernel's tick. */
static int process_started_usec(pid_t pid, uint64_t *ret) {
        char path[32], text[1024], *after;
        _cleanup_(fd_closep) int fd = -1;
        uint64_t ticks;
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_origin(-errno);
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return error_origin(-errno);
        text[n] = '\0';
        /* The command may hold anything, closing brackets too: field 22 is counted from the last. */
        after = strrchr(text, ')');
        /* NOLINTNEXTLINE(cert-err34-c): the kernel's, and fits */
        if (!after || sscanf(after + 1,
                             " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                             "%*d %" SCNu64,
                             &ticks) != 1)
                return error_origin(-EBADMSG);
        *ret = ticks * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
        return 0;
}

static int no_pidfd(int error) {
        switch (error) {
        case ESRCH:
        case EINVAL: /* what 6.5 to 6.15 say of a process that has been reaped */
                return SUBJECT_E_GONE;
        case EMFILE:
        case ENFILE:
                return SUBJECT_E_NO_DESCRIPTOR;
        default:
                return error_origin(-error);
        }
}

int subject_open_pidfd_by_number(const Subject *subject, int *ret) {
        _cleanup_(fd_closep) int pidfd = -1;
        char path[32];
        uint64_t started = 0;
        struct stat st;

        if (subject->pid <= 0)
                return SUBJECT_E_GONE;                         /* of another pid namespace */
        pidfd = (int)syscall(SYS_pidfd_open, subject->pid, 0); /* glibc has a name for it since 2.36 */
        if (pidfd < 0)
                return no_pidfd(errno);

        /*
         * The number may have passed to another process since the connection was made. That one started
         * later than our accept, or belongs to somebody else. What is left is a process of the same user
         * that took the number between connect and accept: it gains nothing that its user does not have.
         */
        snprintf(path, sizeof(path), "/proc/%d", subject->pid);
        if (stat(path, &st) < 0 || process_started_usec(subject->pid, &started) < 0)
                return SUBJECT_E_GONE;
        if (started > subject->connected_usec || (st.st_uid != subject->uid && st.st_uid != 0))
                return SUBJECT_E_GONE;
        *ret = fd_take(&pidfd);
        return 0;
}

int subject_open_pidfd(const Subject *subject, int fd, int *ret) {
        socklen_t size = sizeof(int);
        int pidfd;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) {
                /* Since 6.16 there is one of a process that has been reaped, too. */
                if (poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0) != 0) {
                        fd_close(pidfd);
                        return SUBJECT_E_GONE;
                }
                *ret = pidfd;
                return 0;
        }
        if (errno == ENOPROTOOPT)
                return subject_open_pidfd_by_number(subject, ret);
        return no_pidfd(errno);
}

/* The name of the program, as ps shows it. */
static bool read_command(pid_t pid, char *buffer, size_t size) {
        _cleanup_(fd_closep) int fd = -1;
        char path[32];
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, buffer, size - 1);
        if (n <= 0)
                return false;
        buffer[n] = '\0';
        buffer[strcspn(buffer, "\n")] = '\0';
        /* The program chose the name; a message must stay UTF-8. */
        for (char *c = buffer; *c; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
        return buffer[0] != '\0';
}

/* Whether the number may be that of the process still, and not of one that came after it: who has a
 * descriptor that leases depend on, or the connection, may have outlived it. */
static bool subject_has_its_number(const Subject *subject) {
        uint64_t started;

        if (subject->pid <= 0)
                return false; /* of another pid namespace; 0 would mean the broker itself */
        return subject->connected_usec == 0 || process_started_usec(subject->pid, &started) < 0 ||
               started <= subject->connected_usec;
}

static void subject_ask_proc(Subject *subject) {
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        if (subject->told_usec > 0 && now - subject->told_usec < TOLD_USEC)
                return;
        subject->told_usec = now;
        subject->command[0] = '\0';
        free(ptr_take(subject->unit));
        if (!subject_has_its_number(subject))
                return;
        if (!read_command(subject->pid, subject->command, sizeof(subject->command)))
                subject->command[0] = '\0';
        if (sd_pid_get_unit(subject->pid, &subject->unit) < 0 &&
            sd_pid_get_user_unit(subject->pid, &subject->unit) < 0)
                subject->unit = NULL;
}

void subject_describe(Subject *subject, uint64_t since_usec, HolderInfo *ret) {
        subject_ask_proc(subject);
        *ret = (HolderInfo){
                .uid = subject->uid,
                .gid = subject->gid,
                .pid = subject->pid,
                .command = subject->command[0] ? subject->command : NULL,
                .unit = subject->unit,
                .since_usec = (int64_t)since_usec,
        };
}
