/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Leases that end with their connection, and lost it with an earlier broker: they wait here until their
 * clients say Resume, or so long that they are not to come back.
 */

#include "daemon/lease.h"
#include "daemon/timer.h"

typedef struct Grace {
        LeaseOwner owner;
        Timer timer;
        bool *timers_changed;
} Grace;

/* Returns 0 or a negative errno; grace_deinit() may follow either. */
int grace_init(Grace *grace, sd_event *event, bool *timers_changed);

/* Leases have come to grace->owner: from now on they have RESUME_GRACE_SEC. */
void grace_begin(Grace *grace);

/* Leaves the leases alone. */
void grace_deinit(Grace *grace);
