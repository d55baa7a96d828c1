/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Who is at the other end of a control connection: what the kernel recorded when it was made. Kept by
 * reference, since a lease may outlive the connection.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/cgroup.h"
#include "proto/wire.h"

typedef struct Subject {
        size_t n_refs;
        uid_t uid;
        gid_t gid;
        pid_t pid;
        uint64_t connected_usec; /* CLOCK_BOOTTIME */
        gid_t *groups;           /* supplementary */
        size_t n_groups;
        char *cgroup; /* NULL: not known, or not asked for */
        char *label;  /* of the security module; the same */
        /* As SavedSubject.rest, for a subject that was saved by a newer broker. */
        void *rest;
        size_t n_rest;
        /* What /proc said of the process, at told_usec (CLOCK_MONOTONIC); empty: nothing. */
        uint64_t told_usec;
        char command[16];
        char *unit;
} Subject;

/* What more than its groups is to be asked of a client. It costs a descriptor for a moment. */
typedef struct SubjectQuestions {
        CgroupMap *cgroups; /* NULL: its control group is not asked for */
        bool label;
} SubjectQuestions;

/* Whose user the peer of @fd is: no more, for those who are to be turned away. Returns 0 with a
 * reference for the caller, or a negative errno. */
int subject_new(int fd, Subject **ret);

enum {
        _SUBJECT_E_SUCCESS,
        SUBJECT_E_GONE,          /* the process that made the connection has exited */
        SUBJECT_E_NO_DESCRIPTOR, /* the broker has no descriptor left */
        SUBJECT_E_AGAIN,         /* its control group is still looked for */
};

/* Its groups, and the answers to @questions; once. Returns 0, SUBJECT_E_AGAIN with *@ret_search, the
 * caller's, or a negative errno. */
int subject_ask(Subject *subject, int fd, const SubjectQuestions *questions, CgroupSearch **ret_search);

/* Goes on with that, for @usec or a little longer. Returns 0, SUBJECT_E_AGAIN, or a negative errno. */
int subject_ask_on(Subject *subject, CgroupMap *cgroups, CgroupSearch *search, uint64_t usec);

Subject *subject_ref(Subject *subject);
Subject *subject_unref(Subject *subject);

/*
 * A pidfd of the process that made the connection @fd: of the kernel's own record where it keeps one
 * (SO_PEERPIDFD), else by number, refused when the number may have passed to another process.
 * Returns 0 with *@ret the caller's, SUBJECT_E_*, or a negative errno.
 */
int subject_open_pidfd(const Subject *subject, int fd, int *ret);

/* The second way alone, for kernels before 6.5. */
int subject_open_pidfd_by_number(const Subject *subject, int *ret);

/*
 * Fills @ret, which points into @subject until it is described again. The command and the unit are what
 * /proc says, or said a moment ago: a list of thousands of leases must not ask for each. Absent if it
 * says nothing.
 */
void subject_describe(Subject *subject, uint64_t since_usec, HolderInfo *ret);
