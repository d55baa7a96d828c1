/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Members on their way out: off the list already, and open for a moment more, so that a handshake that
 * is just being given to one finds it there. Then they are closed, and the kernel moves what waits on
 * them to the others.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/events.h"
#include "daemon/timer.h"

enum {
        /* Closed at one time: each takes some microseconds, and others wait. */
        DEPARTURES_PER_TURN_MAX = 64,
        /* Between two such times: a turn of the timer costs more than a departure. */
        DEPARTURE_PERIOD_USEC = 1000,
        /*
         * From "off the list" to closing. A SYN that chose the member just before is in its table a few
         * microseconds later; measured, closing at once loses 5 connections in 5 000 departures, and
         * this loses none.
         */
        DEPARTURE_LINGER_USEC = 5000,
};

typedef struct Departure {
        TAILQ_ENTRY(Member) entry;
        bool waiting;
        uint64_t close_usec; /* CLOCK_MONOTONIC */
} Departure;

/* In the order of their time, which is the same for all. */
typedef struct Departures {
        TAILQ_HEAD(DepartureQueue, Member) queue;
        bool *timers_changed;
        Timer timer;
} Departures;

/* Returns 0 or a negative errno; departures_deinit() may follow either. */
int departures_init(Departures *departures, sd_event *event, bool *timers_changed);

/* None may be left. */
void departures_deinit(Departures *departures);

/*
 * @member, which has no lease, is off the list and not alone, leaves its endpoint's members and will be
 * closed; at once if there is no timer to be had.
 */
void departure_begin(Departures *departures, Member *member);

/* It stays after all, or is closed by somebody else: it is among the members again, first. */
void departure_cancel(Departures *departures, Member *member);
