/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What has changed and is to be saved: objects that have a mark touch it, and state.c writes them before
 * anybody is told of the change. So however much of an object changes in a call, it is written once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/state-record.h"

typedef struct StateFile StateFile;
typedef struct StateMarks StateMarks;

/* In an endpoint, a member or a lease. Zeroed, it is not saved. */
typedef struct StateMark {
        StateMarks *marks;
        TAILQ_ENTRY(StateMark) entry;
        StateKind kind;
        bool touched;
        uint32_t at;      /* of its record; 0: none */
        StateBuffer rest; /* what an earlier broker saved of it, and this one does not know */
} StateMark;

struct StateMarks {
        StateFile *file;
        TAILQ_HEAD(, StateMark) touched;
};

/* @marks may be NULL: then nothing is saved. */
void state_mark_touch(StateMark *mark, StateMarks *marks, StateKind kind);

/* The object ends: its record goes with it. */
void state_mark_end(StateMark *mark);
