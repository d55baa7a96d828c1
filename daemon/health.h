/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * How the members of steered groups get on: what waits on each, for leastLoad, and whether a holder that
 * lives has stopped accepting. The kernel tells neither, so the broker asks, and only while flows come:
 * a group that is idle sleeps until the program says that one has come.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/events.h"
#include "daemon/poller.h"
#include "daemon/steering.h"
#include "daemon/timer.h"

enum {
        /* Between two looks at a group, */
        HEALTH_PERIOD_USEC = 100000,
        /* and at one with leastLoad, while flows come. */
        HEALTH_LOAD_PERIOD_USEC = 1000,
        /* A member that accepts nothing for so long while more and more waits on it is stalled. */
        HEALTH_STALL_USEC = 1000000,
};

/* Of a member. */
typedef struct Health {
        bool stalled;
        bool grown;     /* since progress_usec */
        int64_t queue;  /* at the last look */
        int64_t served; /* flows given to it that do not wait any more */
        /* CLOCK_MONOTONIC; when it was last seen to accept, or to have no need */
        uint64_t progress_usec;
} Health;

/* Of a group. */
typedef struct GroupHealth {
        TAILQ_ENTRY(Endpoint) entry;
        bool awake;
        bool busy;            /* flows came since the look before; if not, the next one is told */
        uint64_t flows;       /* at the last look */
        uint64_t looked_usec; /* CLOCK_MONOTONIC */
} GroupHealth;

typedef struct HealthMonitor {
        PollItem item; /* the program says which groups wake up */
        Steering *steering;
        TAILQ_HEAD(HealthQueue, Endpoint) awake;
        bool *timers_changed;
        Timer timer;
        uint64_t due_usec; /* CLOCK_MONOTONIC; what the timer is set to */
} HealthMonitor;

/* @steering may be NULL: then there is nothing to do. Returns 0 or a negative errno;
 * health_monitor_deinit() may follow either. */
int health_monitor_init(HealthMonitor *monitor, Steering *steering, Poller *poller, sd_event *event,
                        bool *timers_changed);

/* No group may be left. */
void health_monitor_deinit(HealthMonitor *monitor);

/* A group is steered from now on, or no longer. */
void health_group_begin(Endpoint *endpoint);
void health_group_end(Endpoint *endpoint);

/* A member is looked at anew: what was seen of it before counts no more. */
void health_member_begin(Member *member);
