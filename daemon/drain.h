/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Members that drain: off the list, their holders serving what waits. Drained means that nothing waits
 * any more, neither in the queue nor in a handshake that the member will be given at its end. The kernel
 * does not tell when that is so: it is asked, while there are such members.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/events.h"
#include "daemon/handshakes.h"
#include "daemon/timer.h"

typedef struct Drain {
        TAILQ_ENTRY(Member) entry;
        bool waiting;
        uint64_t began; /* usec, CLOCK_MONOTONIC */
        bool handshakes_known;
        Handshakes handshakes; /* that may be the member's: under way when it went off the list */
} Drain;

typedef struct Drains {
        TAILQ_HEAD(DrainQueue, Member) queue;
        bool *timers_changed;
        bool blind; /* the kernel does not show handshakes: time has to do */
        Timer timer;
} Drains;

/* @blind: the kernel does not show handshakes. Returns 0 or a negative errno; drains_deinit() may follow
 * either. */
int drains_init(Drains *drains, sd_event *event, bool *timers_changed, bool blind);

/* None may be left. */
void drains_deinit(Drains *drains);

/* Tells each lease of @member, which is off the list, when it is "drained". */
void drain_begin(Drains *drains, Member *member);

/* It drains no longer. */
void drain_cancel(Drains *drains, Member *member);
