/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Groups that another broker had before: with all their members, as when it is recovered, or with
 * sockets that only clients know, its survivors (daemon/survivors.h).
 */

#include "daemon/group.h"

/* Why a group with survivors is not steered, for people. */
extern const char group_survivors_reason[];

/*
 * Has the members of @endpoint, which an earlier broker made, steered by this one's program: it takes
 * the place of the other's when it knows them all, so that no flow meets half a list. @sentinel: that of
 * the earlier broker, -1 if there was none; it is consumed. Returns as group_join(); then the kernel
 * spreads flows in its own way.
 */
int group_resume(Endpoint *endpoint, int sentinel);

/*
 * A successor was to take over, and did not: has the members steered by this broker's program again.
 * Waits for the other's map to be gone, until @deadline (CLOCK_MONOTONIC, in microseconds).
 */
void group_take_back(Endpoint *endpoint, uint64_t deadline);

/* Before the first group. Returns 0 or a negative errno. */
int group_survivors_init(EndpointRegistry *registry);

/* Whether @endpoint may have survivors. While a group has some it is looked at again from time
 * to time. */
void group_set_survivors(Endpoint *endpoint, bool survivors);

/* The first member, @fd, has founded the group. Returns 1 if it met survivors, so that it cannot be
 * steered, 0, or a negative errno. */
int group_meet_survivors(Endpoint *endpoint, int fd);

/* Has a group that had survivors steered, with all its members, if they have gone. Returns as
 * group_join(): GROUP_E_SURVIVORS if they have not. */
int group_look_again(Endpoint *endpoint);
