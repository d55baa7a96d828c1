/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Which member of a group takes a new flow, and who inherits what waits on one that closes. One
 * SK_REUSEPORT program in the kernel decides, from tables that are shared with it: the broker changes
 * them without a system call, and without the capability that loading the program took.
 *
 * A member is known to the program from steering_member_add() on, and takes flows only while it is on
 * the list of its group.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

enum {
        _STEERING_E_SUCCESS,
        STEERING_E_UNAVAILABLE, /* not built in, not allowed, or not in this kernel */
        STEERING_E_FULL,        /* no room for another group, member or list */
        STEERING_E_FOREIGN,     /* nothing that a broker has counted in */
};

enum {
        STEERING_WEIGHT_MAX = 100,
        STEERING_MEMBERS_MAX = 65536, /* of all groups together */
        STEERING_COST_UNIT = 16,
        STEERING_COST_MAX = 64 * STEERING_COST_UNIT,
};

typedef struct Steering Steering;
typedef struct SteeringGroup SteeringGroup;

/* One member on a list. */
typedef struct SteeringShare {
        uint32_t slot;
        uint32_t weight; /* 0 to STEERING_WEIGHT_MAX; 0 takes no flows. Ignored by leastLoad and cpu, but
                            for 0 */
} SteeringShare;

/*
 * Loads the program: needs CAP_BPF, for this call alone. Before Linux 5.19, if
 * kernel.unprivileged_bpf_disabled is set, adding members takes it too: without, -EPERM. Returns
 * 0, STEERING_E_UNAVAILABLE with *@ret_reason a static text, or a negative errno.
 */
int steering_new(Steering **ret, const char **ret_reason);

/*
 * No group may be left. Takes NULL. The program stays attached; where it knows no group, the kernel
 * chooses in its own way. After a broker that was killed it goes on serving by the last lists.
 */
Steering *steering_free(Steering *steering);

/*
 * Whether members can be added as things are: before Linux 5.19, with kernel.unprivileged_bpf_disabled,
 * that takes CAP_BPF each time.
 */
bool steering_is_usable(const Steering *steering);

/*
 * Readable when a flow has come to a group that was armed; steering_next_woken() takes such groups, one
 * by one, and gives the userdata of each, or NULL when there are no more.
 */
int steering_get_fd(const Steering *steering);
void *steering_next_woken(Steering *steering);

/* A group without members; its list is empty. Returns 0, STEERING_E_FULL or -ENOMEM. */
int steering_group_new(Steering *steering, SteeringMode mode, void *userdata, SteeringGroup **ret);

/* The next flow is told once. */
void steering_group_arm(SteeringGroup *group);

/* No member may be left. Takes NULL. */
SteeringGroup *steering_group_free(SteeringGroup *group);

/*
 * Attaches the program to the SO_REUSEPORT group that @fd is in, or founds; any program there is
 * replaced. @fd must not be locked by SO_LOCK_FILTER. Returns 0 or a negative errno.
 */
int steering_group_attach(SteeringGroup *group, int fd);

/*
 * Makes @fd, listening (TCP) or bound (UDP), with SO_REUSEPORT, a member of @group: it can be on the
 * list under *@ret_slot. @cookie is its SO_COOKIE. Returns 0, STEERING_E_FULL, or a negative errno.
 */
int steering_member_add(SteeringGroup *group, int fd, uint64_t cookie, uint32_t *ret_slot);

/*
 * Undoes it; the slot must be off the list. Never fails: a socket that is closed, or was shut down by
 * somebody, is as good as gone. What it has waiting, and handshakes under way, still move to members on
 * the list, though it be removed before it is closed.
 */
void steering_member_remove(SteeringGroup *group, uint32_t slot, uint64_t cookie);

/*
 * Puts a member that was shut down, and listens again, back under its slot: a shutdown takes it out.
 * Returns 0, -EBUSY if it is there, or another negative errno.
 */
int steering_member_restore(SteeringGroup *group, uint32_t slot, int fd);

/* Whether the program knows the socket of @cookie, as a member or one that was until a while ago. */
bool steering_knows(const Steering *steering, uint64_t cookie);

/* Whether there is a socket under @slot. */
bool steering_has_member(const SteeringGroup *group, uint32_t slot);

/*
 * The map that sockets of members are in, for a broker that comes after this one; borrowed. The kernel
 * lets a socket be in one such map only, so the next has to take each out of this before it can be
 * steered anew: steering_take_out(). Until it is in the other, flows are spread over all that listen.
 */
int steering_get_members_fd(const Steering *steering);

/* @members: the map of an earlier broker. What is not in there is left alone. */
void steering_take_out(int members, uint32_t slot);

/*
 * The socket of @cookie is about to listen or to be bound, and will be added next, or never. The kernel
 * may ask about a flow by any socket of a group, and flows that it asks about by one that is nobody's
 * are not steered. Failures show when it is added.
 */
void steering_announce(SteeringGroup *group, uint64_t cookie);

/*
 * Replaces the list, at once for every flow that comes. With hash and source, flows stay where they are
 * but for those of members that left and the fair part of those that came. With an empty list, or one of
 * zero weights, new flows are refused as if nobody listened, and what waits on a member that closes is
 * lost. Returns 0, STEERING_E_FULL or -ENOMEM; then the old list stays.
 */
int steering_group_set(SteeringGroup *group, const SteeringShare *shares, size_t n);

/*
 * For leastLoad: how many flows wait on a member. The program counts up with each flow that it gives;
 * the broker puts it right.
 */
void steering_set_load(Steering *steering, uint32_t slot, uint32_t waiting);

/*
 * For leastLoad: what one flow costs a member, STEERING_COST_UNIT to STEERING_COST_MAX. Those that wait
 * count so often.
 */
void steering_set_cost(Steering *steering, uint32_t slot, uint32_t cost);

/* Flows that the program gave to a member since it was added, migrated ones included. */
uint64_t steering_selected(const Steering *steering, uint32_t slot);

/*
 * The memory that flows are counted in, for a broker that comes after this one, borrowed; and where in
 * there those of @slot are. The program may count on when this broker is no more.
 */
int steering_get_counts_fd(const Steering *steering);
uint64_t steering_count_at(const Steering *steering, uint32_t slot);

/* The same of a broker that came before. Starts as { 0 }: there is none, and nothing was counted. */
typedef struct SteeringCounts {
        const char *memory;
        size_t size;
} SteeringCounts;

/* Borrows @fd. Returns 0, STEERING_E_FOREIGN, or a negative errno. */
int steering_counts_open(int fd, SteeringCounts *ret);
void steering_counts_close(SteeringCounts *counts);

/* What was counted there; 0 where nothing can be. */
uint64_t steering_counts_read(const SteeringCounts *counts, uint64_t at);

/* Flows that came to the group, whatever became of them. */
uint64_t steering_group_flows(const SteeringGroup *group);
