/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One socket bound to an endpoint, and its states (docs/architecture.md has the picture):
 *
 *   standby   leased; takes nothing until Ready
 *   live      leased, and on the list of its group: takes new flows
 *   draining  leased; off the list, serves what waits on it. Or its lease has ended and it is about to
 *             be closed: see departure.h
 *   parked    without a lease, kept with its queue for the next client
 *
 * The broker keeps one copy of every member. Closing it is also a shutdown(), which UDP does not know:
 * the end of a lease must mean the end of serving, even if a stray process still holds the descriptor.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/account.h"
#include "daemon/alarm.h"
#include "daemon/balance.h"
#include "daemon/departure.h"
#include "daemon/drain.h"
#include "daemon/events.h"
#include "daemon/fd-store.h"
#include "daemon/health.h"
#include "daemon/state-mark.h"
#include "proto/wire.h"

enum {
        /* Share of a member where nothing else is asked for. */
        MEMBER_WEIGHT_DEFAULT = 10,
};

/* How a member whose last lease was lost is kept for another client. */
typedef enum MemberOrphan {
        MEMBER_ORPHAN_NOT,
        MEMBER_ORPHAN_PARKED,
        MEMBER_ORPHAN_DEPARTING, /* for the moment until it is closed, what waits going to the others */
} MemberOrphan;

struct Member {
        uint64_t id;
        Endpoint *endpoint;
        TAILQ_ENTRY(Member) entry;
        int fd;
        Charge charge; /* of the descriptor, to whoever caused it */
        uint64_t cookie;
        MemberState state;
        uint32_t weight;
        LIST_HEAD(, Lease) leases;
        Alarm alarm;            /* a holder shut it down */
        uint64_t repaired_usec; /* CLOCK_MONOTONIC; when it was last made to listen again */
        /* Among those that the program can choose, under this number: see group.h. */
        bool steered;
        uint32_t slot;
        uint64_t flows;        /* given to it, when group_note_flows() looked last */
        uint64_t flows_before; /* given to it before it had this slot, or by an earlier broker's program
                                */
        Departure departure;
        Drain drain;
        Health health;
        Balance balance;
        /* Without a lease; and until an adoption is committed. */
        MemberOrphan orphan;
        sd_event_source *retain_timer; /* while parked */
        uint64_t retain_until_usec;    /* CLOCK_MONOTONIC */
        Subject *last_holder;          /* whose the queue is; a reference */
        uint64_t parked_usec;          /* CLOCK_REALTIME; since when */
        StateMark saved;
        FdStoreEntry kept;
};

/* Adds a live member without a lease, which takes nothing before member_enter(). Consumes @fd, also on
 * failure. Returns 0 or a negative errno. */
int endpoint_add_member(Endpoint *endpoint, int fd, Member **ret);

/* Something of it has changed that is to be saved. */
void member_touch(Member *member);

/*
 * From here on it takes its share, or, standing by, nothing. Returns 0, GROUP_E_FULL, or a negative
 * errno; then it is to be left, undone.
 */
int member_enter(Member *member, bool standby, uint32_t weight);

/* As an earlier broker left it, which group_resume() is to follow, and member_settle() when it has its
 * leases. Returns 0 or a negative errno. */
int member_resume(Member *member, MemberState state, uint32_t weight);

/* Of one that was resumed: parks it until its time, has it drain, or lets it go if nobody holds it. It,
 * and its endpoint, may be gone afterwards. */
void member_settle(Member *member);

/* Ends the socket for everybody who may still hold it. No lease may be left. */
void member_close(Member *member);

/* The same for one of several: what waits goes to the others, where the kernel moves it. */
void member_hand_over(Member *member);

/* How the last lease of a member ended, which decides what becomes of the member. */
typedef enum MemberLeave {
        MEMBER_LEAVE_RELEASED, /* the holder said that it is done: nothing is kept */
        MEMBER_LEAVE_REVOKED,  /* the broker took it back: nothing is kept either */
        MEMBER_LEAVE_LOST,     /* it died or hung up: kept for the next if no other member takes over */
        MEMBER_LEAVE_UNDONE,   /* it was never handed over: as if nothing had happened */
} MemberLeave;

/*
 * The last lease of @member has ended. Parks the member, puts it back where it was, lets it depart or
 * closes it, and the endpoint with its last member: both may be gone afterwards.
 */
void member_leave(Member *member, MemberLeave how, const char *reason);

/* Of a .socket unit, until its first client comes. */
void member_idle(Member *member);

/* Takes an orphan out for a new lease, live. Until member_commit() an undo puts it back. */
void member_adopt(Member *member, uint32_t weight);

/* The lease was handed over: an adoption is final. */
void member_commit(Member *member, Subject *holder);

/* Of several clients of a shared member, what is parked is meant for the one who held it last. */
void member_set_holder(Member *member, Subject *holder);

/* A member standing by, or draining, goes live; any other is left as it is. @lease: whose holder says
 * so. */
void member_ready(Member *member, const Lease *lease);

/* Off the list. When nothing waits any more, "drained" is told for each of its leases. */
void member_drain(Member *member);

/* Its share of new flows from now on. */
void member_set_weight(Member *member, uint32_t weight);

/* What waits on a listening TCP member, its bound, and what a UDP one dropped; WIRE_ABSENT where the
 * kernel does not say. */
void member_read_queue(const Member *member, int64_t *ret_length, int64_t *ret_limit,
                       int64_t *ret_drops);

/* How many connections, or small datagrams, wait; 0 if there are none, or it was shut down. */
int64_t member_read_load(const Member *member);
