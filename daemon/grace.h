/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Leases that end with their connection, and lost it with an earlier broker: they wait here until their
 * clients say Resume, or have ended, or so long that they are not to come back.
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/lease.h"
#include "daemon/timer.h"

typedef struct GraceClient GraceClient;

typedef struct Grace {
        sd_event *event;
        LeaseOwner owner; /* of leases whose clients cannot be watched */
        LIST_HEAD(, GraceClient) clients;
        Timer timer;
        bool *timers_changed;
} Grace;

/* Returns 0 or a negative errno; grace_deinit() may follow either. */
int grace_init(Grace *grace, sd_event *event, bool *timers_changed);

/*
 * With whom leases of the client @pid, 0 if it is not known, are to wait: they end with it, as nobody
 * else would come. Who cannot be watched has the time that all have. NULL: there is no such process any
 * more.
 */
LeaseOwner *grace_expect(Grace *grace, pid_t pid);

/* All leases have come: from now on they have RESUME_GRACE_SEC. */
void grace_begin(Grace *grace);

/* A lease of @owner, which waits, was resumed; with the last one, its client is watched no longer. */
void grace_resumed(Grace *grace, LeaseOwner *owner);

/* Leaves the leases alone. */
void grace_deinit(Grace *grace);
