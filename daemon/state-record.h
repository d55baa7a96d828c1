/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One object as it is saved: fields, each with a tag that says what it is and its length. A broker steps
 * over tags that it does not know, and keeps them when it writes the record again; so one that is older
 * loses nothing of what a newer one has saved, neither of the object nor of a subject within.
 */

#include <stddef.h>
#include <stdint.h>

/* What a record is of. Never renumbered. */
typedef enum StateKind {
        STATE_NONE,
        STATE_ENDPOINT,
        STATE_MEMBER,
        STATE_LEASE,
        _STATE_KIND_N,
} StateKind;

/* Bytes that are not text; borrowed. */
typedef struct StateBytes {
        const void *data;
        size_t n;
} StateBytes;

typedef struct SavedSubject {
        uint64_t uid;
        uint64_t gid;
        uint64_t pid;
        uint64_t connected_usec;
        StateBytes groups; /* gid_t */
        const char *cgroup;
        const char *label;
        /* From the first field that is not known to the end; those among them that are known are passed
         * over when it is written. It is a part of the subject: another one in its place does not have
         * it. */
        StateBytes rest;
} SavedSubject;

typedef struct SavedEndpoint {
        const char *network;
        const char *address;
        const char *name;
        uint64_t sharing;
        uint64_t steering;
        uint64_t retain_usec;
        uint64_t tenant_uid;
        const char *tenant_name;
        SavedSubject maker;
        const char *options; /* a reply with them, as text */
        uint64_t file_device;
        uint64_t file_inode;
        uint64_t sentinel; /* its id; 0: there is none */
        uint64_t sentinel_cookie;
        uint64_t sentinel_place; /* as SavedMember.place */
        uint64_t passed;
        uint64_t survivors;
        const char *network_namespace; /* its cookie, a blank, its path; NULL: the broker's own */
} SavedEndpoint;

typedef struct SavedMember {
        uint64_t endpoint;
        uint64_t cookie;
        uint64_t state;
        uint64_t weight;
        uint64_t orphan;
        uint64_t retain_until_usec;
        uint64_t parked_usec;
        uint64_t has_holder;
        SavedSubject last_holder;
        uint64_t payer; /* uid */
        uint64_t departs;
        uint64_t place; /* in the map of the steering program, and 1 more; 0: it is not there */
        /* Flows that were given to it: so many before, and what is counted now at @count_at of the
         * memory that is kept as @counted_by; 0: nothing is. */
        uint64_t flows;
        uint64_t counted_by;
        uint64_t count_at;
} SavedMember;

typedef struct SavedLease {
        uint64_t member;
        uint64_t since_usec;
        SavedSubject subject;
        uint64_t process;  /* its id; 0: the lease ends with the connection */
        const char *rule;  /* NULL: none is counted */
        uint64_t lifeline; /* the number of the pipe that it is; 0: it is a process */
} SavedLease;

/* Text to be grown. Empty when zeroed; freed by state_buffer_deinit(). */
typedef struct StateBuffer {
        char *data;
        size_t n;
        size_t size;
} StateBuffer;

void state_buffer_deinit(StateBuffer *buffer);

/* Returns 0 or -ENOMEM. */
int state_buffer_append(StateBuffer *buffer, const void *data, size_t n);

/*
 * Appends the fields of @saved, a Saved* struct for @kind; those that are 0, NULL or empty are left out.
 * Returns 0 or -ENOMEM.
 */
int state_record_encode(StateKind kind, const void *saved, StateBuffer *buffer);

enum {
        _STATE_RECORD_E_SUCCESS,
        STATE_RECORD_E_MALFORMED,
};

/*
 * Fills @ret, a Saved* struct for @kind, which borrows from @data. What is not known of it, but for what
 * is within a subject, is appended to @rest, as it is. Returns 0, STATE_RECORD_E_MALFORMED, or -ENOMEM.
 */
int state_record_decode(StateKind kind, const char *data, size_t n, void *ret, StateBuffer *rest);
