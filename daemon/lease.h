/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One client's hold on one member, and the ways it ends: Release, the end of its connection, the exit of
 * its process, the last close of its descriptor.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/account.h"
#include "daemon/endpoint.h"
#include "daemon/hash.h"
#include "daemon/state-mark.h"
#include "daemon/subject.h"

typedef struct Process Process;
typedef struct Rule Rule;

/* What leases depend on: a connection, or a process or descriptor (process.h). */
typedef struct LeaseOwner {
        LIST_HEAD(, Lease) leases;
        bool waits; /* for a client that lost its connection with an earlier broker */
} LeaseOwner;

/* The leases of one process, over whatever connections it has them. */
typedef struct LeaseClient {
        uint64_t key; /* its user, and its number */
        LIST_HEAD(, Lease) leases;
        UT_hash_handle hh;
} LeaseClient;

typedef struct LeaseRegistry {
        Lease *by_id;
        LeaseClient *clients;
} LeaseRegistry;

struct Lease {
        uint64_t id;
        LeaseRegistry *registry;
        Member *member;
        LIST_ENTRY(Lease) by_member;
        LIST_ENTRY(Lease) by_owner;
        LeaseOwner *owner;   /* with which it ends */
        LeaseClient *client; /* NULL: its process is not known */
        LIST_ENTRY(Lease) by_client;
        Subject *subject;
        Process *process;    /* NULL: ends with the connection */
        uint64_t since_usec; /* CLOCK_REALTIME */
        Charge charge;
        RuleCharge rule_charge; /* names the rule that gave it */
        StateMark saved;
        UT_hash_handle hh;
};

/* A lease before it exists: everything is borrowed, but for what lease_new() takes references of. */
typedef struct LeaseTerms {
        Subject *subject;
        User *user;
        LeaseOwner *connection;
        Process *process; /* for lifetime process and descriptor, else NULL */
        const Rule *rule; /* that gives it; NULL: none is counted */
        /* Of a lease that an earlier broker gave. It is charged whatever the limits are by now. */
        uint64_t id; /* 0: it is a new one */
        uint64_t since_usec;
        const char *rule_name; /* in place of the rule */
} LeaseTerms;

enum {
        /* Beside ACCOUNT_E_*: the user has as many leases by this rule as it may have. */
        LEASE_E_RULE = 16,
};

/*
 * Charges the user. On success *@ret is a lease on @member; until lease_commit() it can be undone.
 * Returns 0, ACCOUNT_E_*, LEASE_E_RULE, or -ENOMEM; @member is left alone if there is no lease.
 */
int lease_new(LeaseRegistry *registry, Member *member, const LeaseTerms *terms, Lease **ret);

/* The descriptor was handed over: tells the watchers. @adopted: its member is one whose holder
 * was lost. */
void lease_commit(Lease *lease, bool adopted);

/* Ends one lease, and its member if it was the last: see member_leave(). */
void lease_end(Lease *lease, MemberLeave how, const char *reason);

/* It ends with @process from now on, or, where that is NULL, with @connection, and is @subject's. For
 * one that ends with no process yet. */
void lease_move(Lease *lease, LeaseOwner *connection, Process *process, Subject *subject);

/* Ends all leases of a connection or process. */
void lease_owner_end(LeaseOwner *owner, MemberLeave how, const char *reason);

/* The same, for @usec or a little longer. Returns whether none is left. */
bool lease_owner_end_some(LeaseOwner *owner, MemberLeave how, const char *reason, uint64_t usec);

/* Revokes every lease, whatever it depends on. */
void lease_registry_deinit(LeaseRegistry *registry, const char *reason);

size_t lease_registry_count(const LeaseRegistry *registry);

/* By its id as text; NULL if there is none. */
Lease *lease_find(const LeaseRegistry *registry, const IdSource *ids, const char *text);

/*
 * Those that the process of @subject has, by number: it may have passed to another process of the same
 * user. NULL if there is none.
 */
const LeaseClient *lease_client_find(const LeaseRegistry *registry, const Subject *subject);

Lifetime lease_lifetime(const Lease *lease);
