/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the four files of a recovery share: recovery.c has all of it done, recovery-record.c makes an
 * object of a record, recovery-claim.c finds the descriptors, recovery-steering.c has the steering
 * program in the kernel let go of the sockets.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/hash.h"
#include "daemon/recovery.h"
#include "daemon/state-file.h"

enum {
        /* Of one, or, where a broker was killed while it saved, of two. */
        RECOVERY_PROGRAMS_MAX = 4,
};

/* An object that was made of a record. */
typedef struct Found {
        uint64_t id;
        void *object;
        UT_hash_handle hh;
} Found;

typedef struct Recovery {
        Services *services;
        Inherited *inherited;
        StateFile *file;
        RecoveryTally *tally;
        Found *endpoints;
        Found *members;
        Found *processes;
        Found *clients;                           /* by pid: with whom the leases wait */
        uint64_t programs[RECOVERY_PROGRAMS_MAX]; /* by which members were steered:
                                                     SavedMember.counted_by */
        size_t n_programs;
        int map; /* of the earlier broker's steering program, borrowed; -1: nothing is in there */
        SteeringCounts counts; /* of the program of this id */
        uint64_t counts_id;
} Recovery;

/* ---- recovery-claim.c ---- */

/* What was kept of a socket or a process, and fits its record. */
typedef struct Claimed {
        int fd;    /* -1: there is none */
        bool anew; /* it is to go into the store once more */
} Claimed;

/*
 * The descriptor of @id: the socket of @cookie in @endpoint or, if that is NULL, the pipe of that
 * number, or, if that is 0, a process. All others that are called so are closed; the manager then gives
 * up every one of the name.
 */
Claimed recovery_claim(Recovery *recovery, uint64_t id, uint64_t cookie, const Endpoint *endpoint);

/* It goes on to be kept. */
void recovery_keep(const Recovery *recovery, FdStoreEntry *entry, uint64_t id, int fd, bool anew);

/* Something that was saved and cannot be had. */
void recovery_count_lost(Recovery *recovery, const char *what, uint64_t id, const char *why);

/* A descriptor of that name is not what it should be. */
void recovery_note_foreign(Recovery *recovery, const char *name, const char *why);

/* The same of @fd, which is consumed; all of the name leave the store. */
void recovery_count_foreign(Recovery *recovery, int fd, const char *name, const char *why);

/* ---- recovery-steering.c ---- */

/* Looks at what earlier brokers have left of their steering programs. Returns 0 or -ENOMEM. */
int recovery_steering_begin(Recovery *recovery);

/* The socket at that place, a SavedMember.place, is in no map any more, and can be steered anew. */
void recovery_steering_release(const Recovery *recovery, uint64_t place);

/* The flows that a member was given so far, once its socket is out of the map. */
uint64_t recovery_steering_count(Recovery *recovery, const SavedMember *saved);

/* Everything is in this broker's program: what is left of others is given up. */
void recovery_steering_end(Recovery *recovery);

/* ---- recovery-record.c ---- */

/* Forgets what was found; the objects are left alone. */
void found_clear(Found **table);

/*
 * Make an object of the record at @slot. What they do not know of it is taken out of @rest. Return 0, 1
 * when the record is of no use, or a negative errno.
 */
int recovery_make_endpoint(Recovery *recovery, const StateSlot *slot, StateBuffer *rest);
int recovery_make_member(Recovery *recovery, const StateSlot *slot, StateBuffer *rest);
int recovery_make_lease(Recovery *recovery, const StateSlot *slot, StateBuffer *rest);
