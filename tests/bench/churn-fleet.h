/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* As many members as there should be: they leave, one after the other, and are replaced. */

#include "tests/bench/churn-member.h"

typedef enum Manner {
        MANNER_STAY,
        MANNER_RELEASE, /* SIGTERM: finishes what it has in hand, and gives its socket back */
        MANNER_DRAIN,   /* SIGTERM: serves what waits, until the broker says that nothing does */
        MANNER_KILL,
        MANNER_GAP,    /* all are killed at once, and new ones come a turn later */
        MANNER_RELOAD, /* of a server that replaces its workers itself */
        _MANNER_N
} Manner;

enum {
        FLEET_MEMBERS_MAX = 64,
        /* Those that are leaving included. */
        FLEET_PLACES = 256,
        FLEET_SLOW_FACTOR = 5,
};

typedef struct FleetOrder {
        LeaseOrder lease;
        size_t members; /* FLEET_MEMBERS_MAX at most */
        Manner manner;
        uint64_t work_nsec;
        bool one_slow; /* the first takes FLEET_SLOW_FACTOR times as long */
} FleetOrder;

/* What a member had in its hands when it was killed. */
typedef struct Note {
        uint64_t killed_nsec;
        uint64_t dead_nsec; /* it did nothing any more, at the latest */
        uint64_t holds;     /* see Hand; never HAND_EMPTY */
} Note;

typedef struct Fleet {
        FleetOrder order;
        Hand *hands; /* one for each place */
        Child places[FLEET_PLACES];
        size_t live[FLEET_MEMBERS_MAX]; /* places, the oldest member first */
        size_t n_live;
        int ready;
        size_t departures;
        Note *notes; /* by time */
        size_t n_notes, notes_size;
} Fleet;

/* Starts the members, and waits until they serve. Returns 0 or a negative errno; the caller ends @fleet
 * with fleet_stop(), also on failure. */
int fleet_start(const FleetOrder *order, Fleet *fleet);
void fleet_stop(Fleet *fleet);

/* How many sockets members had to acquire anew. */
size_t fleet_replaced(const Fleet *fleet);

/* One departure, and the arrival of the replacement. Returns 0, -ECHILD when a member ended by itself,
 * or another negative errno. */
int fleet_turn(Fleet *fleet);
