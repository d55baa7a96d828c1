/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A socket of the broker's own in a steered group. Any holder of a member can detach the program, and
 * the kernel tells nobody; but then the sentinel, which is not on the list, gets its share of the flows,
 * and so knows. Not locked and never handed out, it is also the socket to attach the program through
 * again.
 *
 * While a group has nobody to take connections, because all stand by or drain, they wait with the
 * sentinel, and go to the first member that is ready.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/alarm.h"
#include "daemon/events.h"
#include "daemon/fd-store.h"

typedef struct Sentinel {
        Endpoint *endpoint; /* NULL: there is none */
        Alarm alarm;
        uint64_t cookie;
        uint32_t slot;
        bool listed;            /* connections are meant to come */
        uint64_t unlisted_usec; /* CLOCK_MONOTONIC; when they were last */
        uint64_t id;            /* once it is saved; 0: it was not */
        FdStoreEntry kept;
} Sentinel;

/* Opens one in the group of @endpoint, and attaches the program. Returns 0, STEERING_E_FULL, or a
 * negative errno. */
int sentinel_open(Sentinel *sentinel, Endpoint *endpoint);

/*
 * Takes over the one that an earlier broker had in the group, @fd, which is consumed, also on failure.
 * The program is not attached. Returns as sentinel_open().
 */
int sentinel_resume(Sentinel *sentinel, Endpoint *endpoint, int fd);

bool sentinel_is_open(const Sentinel *sentinel);

/* Whether it is on the list, from now on. What waits on one that no longer is goes to the members. */
void sentinel_set_listed(Sentinel *sentinel, bool listed);

/* Takes one that is not open. */
void sentinel_close(Sentinel *sentinel);
