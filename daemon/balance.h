/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * For leastLoad: the member where a new flow waits the shortest time. That is what waits there times how
 * long its holder takes for one, which is seen from how many it served while it was never idle.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/events.h"

/* Of a member. */
typedef struct Balance {
        uint32_t cost;  /* of one flow, in STEERING_COST_UNITs: how much slower it is than the fastest */
        bool idle;      /* nothing waited at some time since it was weighed */
        int64_t served; /* flows that it had served when it was weighed */
} Balance;

/* A member begins anew: whoever holds it now is as quick as any. */
void balance_begin(Member *member);

/* @load: what waits on it now. */
void balance_look(Member *member, int64_t load);

/* Compares what the members have served. Too little says nothing: then it is left for the next time. */
void balance_weigh(Endpoint *endpoint);
