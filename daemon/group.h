/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Which members of an endpoint take new flows: the list that the steering program chooses from. Without
 * steering (no CAP_BPF, or not built in) the kernel spreads flows over all members that listen, whatever
 * their state.
 *
 * On the list are the live members; of these, the ones that are stalled, or of weight 0, only while
 * there is no other; parked ones only while nobody is live. While there is nobody at all, TCP
 * connections wait with the sentinel, and datagrams are refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "daemon/events.h"
#include "daemon/health.h"
#include "daemon/sentinel.h"
#include "daemon/steering.h"

enum {
        _GROUP_E_SUCCESS,
        GROUP_E_FULL,      /* the program has no room for another group or member */
        GROUP_E_SURVIVORS, /* it cannot stand by: see group-resume.h */
};

enum {
        /* Members of a group whose list is made anew in some 10 us. */
        GROUP_SMALL = 64,
};

typedef struct EndpointRegistry EndpointRegistry;

typedef struct Group {
        SteeringMode mode;       /* as asked for */
        SteeringGroup *steering; /* NULL: not steered */
        Sentinel sentinel;       /* from the second member on, or by group_anchor() */
        GroupHealth health;
        TAILQ_ENTRY(Endpoint) stale_entry;
        bool stale;   /* its list is not what the states of its members ask for */
        bool failing; /* when last tried it could not be made so, which has been said */
        TAILQ_ENTRY(Endpoint) survivors_entry;
        bool survivors; /* clients hold sockets that this broker does not know: not steered */
} Group;

TAILQ_HEAD(StaleGroups, Endpoint);
TAILQ_HEAD(SurvivorGroups, Endpoint);

/* For SocketSpec.announce: the next member of the steered group of @endpoint. */
void group_announce(void *endpoint, uint64_t cookie);

/*
 * Makes @member, listening or bound already, one that can be on the list, and locks its socket against
 * programs of its holder's. Nothing for endpoints that are no group. Returns 0, GROUP_E_FULL,
 * GROUP_E_SURVIVORS, or a negative errno.
 */
int group_join(Member *member);

/*
 * The endpoint of @only has become a group, is one no longer, or is to be steered otherwise; nobody else
 * is in it. Returns as group_join(), and as group_publish().
 */
int group_refound(Member *only);

/* It is about to be closed. */
void group_leave(Member *member);

/* It was shut down, and listens again. */
void group_rejoin(Member *member);

/*
 * The state of a member has changed. The list follows when the call or the turn of the loop is over,
 * once for however many changes.
 */
void group_touch(Endpoint *endpoint);

/* Before the first group. Returns 0 or a negative errno. */
int group_settle_init(EndpointRegistry *registry);

/*
 * Has all lists follow now, before anybody is told that something was done. One that cannot, for want of
 * memory or room, does so as soon as it can.
 */
void group_settle(EndpointRegistry *registry);

/* Puts the list in force that the states of the members ask for. Returns 0, GROUP_E_FULL or a negative
 * errno; then the old one stays. */
int group_publish(Endpoint *endpoint);

/*
 * Up to a fix of 2026, the kernel does not wake who waits on a listener that it moves a connection to.
 * group_nudge() wakes those that have got some since group_note_flows().
 */
void group_note_flows(Endpoint *endpoint);
void group_nudge(const Endpoint *endpoint);

/* New flows given to @member, which is steered, so far. */
uint64_t group_count_flows(const Member *member);

/* Empties the list, so that nothing moves from one member to the next while all are closed. */
void group_dissolve(Endpoint *endpoint);

/* The endpoint is about to be freed, or no group any more: no member may be steered. */
void group_deinit(Endpoint *endpoint);

/* Whether what waits on a TCP member that is closed goes to the others. */
bool group_migrates(const Endpoint *endpoint);

/* Whether a group at @address could be steered, if this broker steers at all; and why not,
 * for people. */
bool group_can_be_steered(const Address *address);
extern const char group_kernel_reason[];

/* Whether members can be taken off the list. */
bool group_is_steered(const Endpoint *endpoint);

/* Has the sentinel of a steered group there, which stays for as long as the endpoint does, also while
 * there is one member alone. Returns 0, GROUP_E_FULL, or a negative errno. */
int group_anchor(Endpoint *endpoint);

/* Whether another member than @but takes new flows because its holder serves them. */
bool group_has_live(const Endpoint *endpoint, const Member *but);

/* Whether net.ipv4.tcp_migrate_req is on now. */
bool group_migrate_req(void);

/* The same where @endpoint is. */
bool group_migrate_req_of(const Endpoint *endpoint);
