/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What each user costs: a charge is an object beside what it pays for, and freeing the thing ends it.
 */

#include <stddef.h>
#include <sys/types.h>

#include "daemon/hash.h"

typedef enum Resource {
        RESOURCE_CONNECTIONS,
        RESOURCE_LEASES,
        _RESOURCE_N,
} Resource;

typedef struct User {
        uid_t uid;
        size_t n_refs;
        size_t used[_RESOURCE_N];
        struct Accounts *accounts;
        UT_hash_handle hh;
} User;

typedef struct Accounts {
        User *users;
        size_t used[_RESOURCE_N];
        size_t limit_per_user[_RESOURCE_N]; /* 0: none */
        size_t limit[_RESOURCE_N];          /* of all users together; 0: none */
} Accounts;

/* One unit of a resource, paid by a user; empty when @user is NULL. */
typedef struct Charge {
        User *user;
        Resource resource;
} Charge;

enum {
        _ACCOUNT_E_SUCCESS,
        ACCOUNT_E_USER_LIMIT, /* this user has as many as one may have */
        ACCOUNT_E_LIMIT,      /* all users together have as many as there may be */
};

/* The name of a resource in QuotaExceeded. */
const char *resource_name(Resource resource);

/* The account of @uid, made on first use; a reference is the caller's. Returns 0 or -ENOMEM. */
int accounts_user(Accounts *accounts, uid_t uid, User **ret);

User *user_unref(User *user);

/* Charges one unit. Returns 0 with *@ret to be ended by charge_deinit(), or ACCOUNT_E_*. */
int user_charge(User *user, Resource resource, Charge *ret);

/* Ends a charge; an empty one is left alone. */
void charge_deinit(Charge *charge);
