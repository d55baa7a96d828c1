/* SPDX-License-Identifier: BSD-2-Clause */

/* Limits per user and for all users together. The books are right by construction: see Charge. */

#include "daemon/account.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/error.h"

const char *resource_name(Resource resource) {
        static const char *const names[_RESOURCE_N] = {
                [RESOURCE_CONNECTIONS] = "connections",
                [RESOURCE_LEASES] = "leases",
        };

        return names[resource];
}

int accounts_user(Accounts *accounts, uid_t uid, User **ret) {
        User *user;

        HASH_FIND(hh, accounts->users, &uid, sizeof(uid), user);
        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return error_origin(-ENOMEM);
                user->uid = uid;
                user->accounts = accounts;
                HASH_ADD(hh, accounts->users, uid, sizeof(user->uid), user);
                if (hash_add_failed(hh, user)) {
                        free(user);
                        return error_origin(-ENOMEM);
                }
        }
        user->n_refs++;
        *ret = user;
        return 0;
}

User *user_unref(User *user) {
        if (user && --user->n_refs == 0) {
                HASH_DEL(user->accounts->users, user);
                free(user);
        }
        return NULL;
}

int user_charge(User *user, Resource resource, Charge *ret) {
        Accounts *accounts = user->accounts;

        if (accounts->limit_per_user[resource] > 0 &&
            user->used[resource] >= accounts->limit_per_user[resource])
                return ACCOUNT_E_USER_LIMIT;
        if (accounts->limit[resource] > 0 && accounts->used[resource] >= accounts->limit[resource])
                return ACCOUNT_E_LIMIT;
        user->n_refs++;
        user->used[resource]++;
        accounts->used[resource]++;
        *ret = (Charge){ .user = user, .resource = resource };
        return 0;
}

void charge_deinit(Charge *charge) {
        if (!charge->user)
                return;
        assert(charge->user->used[charge->resource] > 0);
        charge->user->used[charge->resource]--;
        charge->user->accounts->used[charge->resource]--;
        charge->user = user_unref(charge->user);
}
