/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What each user costs: a charge is an object beside what it pays for, and freeing the thing ends it.
 *
 * Of what all users share, no one gets so much that a newcomer would find nothing. With n users who have
 * some, one of them may take more as long as
 *
 *      (n + 1) * (what it has then) - (what it has now) <= what is left
 *
 * so a user who is alone gets half, and the n-th to come finds at least 1 / (n * (n + 1)) of it all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/fair-queue.h"
#include "daemon/hash.h"
#include "daemon/rate-limit.h"
#include "daemon/value.h"

typedef enum Resource {
        RESOURCE_CONNECTIONS,
        RESOURCE_REFUSALS, /* connections that are to be told that they are too many */
        RESOURCE_LEASES,
        RESOURCE_WATCHES,
        RESOURCE_BYTES,       /* of answers and events that clients have not taken */
        RESOURCE_DESCRIPTORS, /* that the broker has open for clients */
        RESOURCE_IN_FLIGHT,   /* descriptors sent, and not yet received */
        _RESOURCE_N,
} Resource;

typedef struct Flight Flight;
typedef struct RuleAccount RuleAccount;

typedef struct User {
        uid_t uid;
        size_t n_refs;
        size_t used[_RESOURCE_N];
        struct Accounts *accounts;
        RuleAccount *rules;
        LIST_HEAD(, Flight) flights; /* of its connections: see flight.h */
        FairShare turns;
        bool idle; /* kept for the sake of its rates alone */
        TAILQ_ENTRY(User) entry;
        UT_hash_handle hh;
} User;

/* Zeroed, with accounts_init(), it has no limits. */
typedef struct Accounts {
        FairQueue *turns; /* in which users are served; NULL: in none */
        User *users;
        TAILQ_HEAD(, User) idle; /* the longest first */
        size_t used[_RESOURCE_N];
        size_t n_users[_RESOURCE_N];        /* who have some */
        size_t limit_per_user[_RESOURCE_N]; /* 0: none */
        size_t limit[_RESOURCE_N];          /* of all users together; 0: none */
} Accounts;

/* So much of a resource, paid by a user; empty when @user is NULL. */
typedef struct Charge {
        User *user;
        Resource resource;
        size_t n;
} Charge;

enum {
        _ACCOUNT_E_SUCCESS,
        ACCOUNT_E_USER_LIMIT, /* this user has as many as one may have */
        ACCOUNT_E_LIMIT,      /* what is left is for others */
        ACCOUNT_E_RATE,       /* this user asks too often */
};

/* The name of a resource in QuotaExceeded. */
const char *resource_name(Resource resource);

void accounts_init(Accounts *accounts);

/* Forgets who is kept for the sake of rates. Nobody may be left then. */
void accounts_deinit(Accounts *accounts);

/* The account of @uid, made on first use; a reference is the caller's. Returns 0 or -ENOMEM. */
int accounts_user(Accounts *accounts, uid_t uid, User **ret);

User *user_unref(User *user);

/* Charges @n units. Returns 0 with *@ret to be ended by charge_deinit(), or ACCOUNT_E_USER_LIMIT or
 * ACCOUNT_E_LIMIT. */
int user_charge(User *user, Resource resource, size_t n, Charge *ret);

/* The same for what the user has already, of an earlier broker: no limit takes it away. */
void user_charge_anyway(User *user, Resource resource, size_t n, Charge *ret);

/* What is paid for has become @n more. As user_charge(). */
int charge_grow(Charge *charge, size_t n);

/* What is paid for has become less: @n at most what was charged. */
void charge_reduce(Charge *charge, size_t n);

/* Moves a charge; what is left is empty. */
static inline Charge charge_take(Charge *charge) {
        Charge taken = *charge;

        *charge = (Charge){};
        return taken;
}

/* Ends a charge; an empty one is left alone. */
void charge_deinit(Charge *charge);

/* A lease by a rule, paid by a user; empty when @account is NULL. */
typedef struct RuleCharge {
        RuleAccount *account;
} RuleCharge;

/*
 * Charges one lease by the rule called @rule, of which a user may have @max; 0: any number. Returns 0
 * with
 * *@ret to be ended by rule_charge_deinit(), ACCOUNT_E_USER_LIMIT, or -ENOMEM.
 */
int user_charge_rule(User *user, const char *rule, size_t max, RuleCharge *ret);

void rule_charge_deinit(RuleCharge *charge);

/* The name of the rule, which lives as long as the charge; NULL if it is empty. */
const char *rule_charge_rule(const RuleCharge *charge);

/* One more request by the rule called @rule. Returns 0, ACCOUNT_E_RATE, or -ENOMEM. */
int user_take(User *user, const char *rule, Rate rate, uint64_t now_usec);
