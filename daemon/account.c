/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Limits per user and for all users together. The books are right by construction: see Charge.
 *
 * A user who asks too often must not be able to begin anew by going and coming again: whoever has used
 * up some of a rate is kept until all of it has come back.
 */

#include "daemon/account.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "proto/error.h"

struct RuleAccount {
        User *user;
        size_t n_leases;
        Rate rate;
        Bucket bucket;
        UT_hash_handle hh;
        char rule[];
};

const char *resource_name(Resource resource) {
        static const char *const names[_RESOURCE_N] = {
                [RESOURCE_CONNECTIONS] = "connections",
                [RESOURCE_REFUSALS] = "connections to be refused",
                [RESOURCE_LEASES] = "leases",
                [RESOURCE_WATCHES] = "watches",
                [RESOURCE_BYTES] = "bytes not yet read",
                [RESOURCE_DESCRIPTORS] = "descriptors",
                [RESOURCE_IN_FLIGHT] = "descriptors not yet received",
        };

        return names[resource];
}

/* ---- users ------------------------------------------------------------------------------------- */

void accounts_init(Accounts *accounts) {
        *accounts = (Accounts){};
        TAILQ_INIT(&accounts->idle);
}

static void rule_account_free(RuleAccount *account) {
        HASH_DEL(account->user->rules, account);
        free(account);
}

static bool rate_is_whole(const RuleAccount *account, uint64_t now_usec) {
        return account->rate.n == 0 || account->bucket.full_usec <= now_usec;
}

/* Forgets the rules by which the user has nothing, and has not asked of late. */
static void user_forget_rules(User *user, uint64_t now_usec) {
        RuleAccount *account, *next;

        HASH_ITER (hh, user->rules, account, next)
                if (account->n_leases == 0 && rate_is_whole(account, now_usec))
                        rule_account_free(account);
}

static void user_free(User *user) {
        RuleAccount *account, *next;

        HASH_ITER (hh, user->rules, account, next)
                rule_account_free(account);
        if (user->idle)
                TAILQ_REMOVE(&user->accounts->idle, user, entry);
        HASH_DEL(user->accounts->users, user);
        if (user->accounts->turns)
                fair_share_forget(&user->turns, user->accounts->turns);
        free(user);
}

/* Those whose rates are whole again. The longest idle is the first, so a few looks are enough. */
static void accounts_forget_idle(Accounts *accounts) {
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        User *user;

        while ((user = TAILQ_FIRST(&accounts->idle))) {
                user_forget_rules(user, now);
                if (user->rules)
                        return;
                user_free(user);
        }
}

void accounts_deinit(Accounts *accounts) {
        while (!TAILQ_EMPTY(&accounts->idle))
                user_free(TAILQ_FIRST(&accounts->idle));
        assert(!accounts->users);
}

int accounts_user(Accounts *accounts, uid_t uid, User **ret) {
        User *user;

        accounts_forget_idle(accounts);
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
        if (user->idle) {
                TAILQ_REMOVE(&accounts->idle, user, entry);
                user->idle = false;
        }
        user->n_refs++;
        *ret = user;
        return 0;
}

User *user_unref(User *user) {
        if (!user || --user->n_refs > 0)
                return NULL;
        if (user->rules)
                user_forget_rules(user, clock_usec(CLOCK_MONOTONIC));
        if (!user->rules) {
                user_free(user);
                return NULL;
        }
        user->idle = true;
        TAILQ_INSERT_TAIL(&user->accounts->idle, user, entry);
        return NULL;
}

/* ---- charges ----------------------------------------------------------------------------------- */

/* Whether a newcomer still finds its share when @user has @n more: see account.h. */
static bool leaves_a_share(const User *user, Resource resource, size_t n) {
        const Accounts *accounts = user->accounts;
        size_t limit = accounts->limit[resource], used = accounts->used[resource];
        size_t share = user->used[resource];
        size_t n_users = accounts->n_users[resource] + (share == 0);

        return used <= limit && n <= limit && (n_users + 1) * (share + n) - share <= limit - used;
}

static void user_take_on(User *user, Resource resource, size_t n) {
        Accounts *accounts = user->accounts;

        accounts->n_users[resource] += user->used[resource] == 0 && n > 0;
        user->used[resource] += n;
        accounts->used[resource] += n;
}

static int user_pay(User *user, Resource resource, size_t n) {
        const Accounts *accounts = user->accounts;

        if (accounts->limit_per_user[resource] > 0 &&
            user->used[resource] + n > accounts->limit_per_user[resource])
                return ACCOUNT_E_USER_LIMIT;
        if (accounts->limit[resource] > 0 && !leaves_a_share(user, resource, n))
                return ACCOUNT_E_LIMIT;
        user_take_on(user, resource, n);
        return 0;
}

static void charge_begin(User *user, Resource resource, size_t n, Charge *ret) {
        user->n_refs++;
        *ret = (Charge){ .user = user, .resource = resource, .n = n };
}

int user_charge(User *user, Resource resource, size_t n, Charge *ret) {
        int r = user_pay(user, resource, n);

        if (r == 0)
                charge_begin(user, resource, n, ret);
        return r;
}

void user_charge_anyway(User *user, Resource resource, size_t n, Charge *ret) {
        user_take_on(user, resource, n);
        charge_begin(user, resource, n, ret);
}

int charge_grow(Charge *charge, size_t n) {
        int r = user_pay(charge->user, charge->resource, n);

        if (r == 0)
                charge->n += n;
        return r;
}

void charge_reduce(Charge *charge, size_t n) {
        User *user = charge->user;

        if (!user)
                return;
        assert(n <= charge->n && user->used[charge->resource] >= charge->n);
        user->accounts->used[charge->resource] -= charge->n - n;
        user->used[charge->resource] -= charge->n - n;
        user->accounts->n_users[charge->resource] -= charge->n > n && user->used[charge->resource] == 0;
        charge->n = n;
}

void charge_deinit(Charge *charge) {
        charge_reduce(charge, 0);
        charge->user = user_unref(charge->user);
}

/* ---- rules ------------------------------------------------------------------------------------- */

static int user_account(User *user, const char *rule, RuleAccount **ret) {
        size_t n = strlen(rule);
        RuleAccount *account;

        HASH_FIND(hh, user->rules, rule, n, account);
        if (!account) {
                account = calloc(1, sizeof(*account) + n + 1);
                if (!account)
                        return error_origin(-ENOMEM);
                account->user = user;
                memcpy(account->rule, rule, n + 1);
                HASH_ADD_KEYPTR(hh, user->rules, account->rule, n, account);
                if (hash_add_failed(hh, account)) {
                        free(account);
                        return error_origin(-ENOMEM);
                }
        }
        *ret = account;
        return 0;
}

int user_charge_rule(User *user, const char *rule, size_t max, RuleCharge *ret) {
        RuleAccount *account;
        int r = user_account(user, rule, &account);

        if (r < 0)
                return error_trace(r);
        if (max > 0 && account->n_leases >= max)
                return ACCOUNT_E_USER_LIMIT;
        account->n_leases++;
        user->n_refs++;
        *ret = (RuleCharge){ .account = account };
        return 0;
}

void rule_charge_deinit(RuleCharge *charge) {
        RuleAccount *account = charge->account;

        if (!account)
                return;
        assert(account->n_leases > 0);
        account->n_leases--;
        charge->account = NULL;
        user_unref(account->user);
}

const char *rule_charge_rule(const RuleCharge *charge) {
        return charge->account ? charge->account->rule : NULL;
}

int user_take(User *user, const char *rule, Rate rate, uint64_t now_usec) {
        RuleAccount *account;
        int r;

        if (rate.n == 0)
                return 0;
        r = user_account(user, rule, &account);
        if (r < 0)
                return error_trace(r);
        if (account->rate.n != rate.n || account->rate.interval_usec != rate.interval_usec) {
                account->rate = rate;
                bucket_init(&account->bucket, (uint32_t)rate.n, rate.interval_usec);
        }
        return bucket_take(&account->bucket, now_usec) ? 0 : ACCOUNT_E_RATE;
}
