/* SPDX-License-Identifier: BSD-2-Clause */

/* Limits are kept, and after any sequence of charges the books say what a list of them would. */

#include "daemon/account.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

enum {
        USERS = 5,
        CHARGES_MAX = 64,
        WALK_SEED = 4711,
        WALK_STEPS = 20000,
};

static User *user_of(Accounts *accounts, uid_t uid) {
        User *user;

        cr_assert(zero(int, accounts_user(accounts, uid, &user)));
        return user;
}

TestSuite(account, .timeout = 20);

Test(account, over_the_limit_of_a_user) {
        Accounts accounts = { .limit_per_user = { [RESOURCE_LEASES] = 2 } };
        User *user = user_of(&accounts, 1), *other = user_of(&accounts, 2);
        Charge charges[4] = { 0 }, untouched = { 0 };

        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, &charges[0])));
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, &charges[1])));
        for (int i = 0; i < 3; i++)
                cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, &untouched), ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(ptr, untouched.user, NULL));
        cr_assert(eq(sz, accounts.used[RESOURCE_LEASES], 2));
        cr_assert(eq(sz, user->used[RESOURCE_LEASES], 2));
        /* Another resource, and another user, are not affected. */
        cr_assert(zero(int, user_charge(user, RESOURCE_CONNECTIONS, &charges[2])));
        cr_assert(zero(int, user_charge(other, RESOURCE_LEASES, &charges[3])));
        charge_deinit(&charges[0]);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, &charges[0])));
        for (int i = 0; i < 4; i++)
                charge_deinit(&charges[i]);
        user_unref(user);
        user_unref(other);
        leaks_expect_none();
}

Test(account, over_the_limit_of_all) {
        Accounts accounts = { .limit = { [RESOURCE_CONNECTIONS] = 2 } };
        User *user = user_of(&accounts, 1), *other = user_of(&accounts, 2);
        Charge charges[2], untouched = { 0 };

        cr_assert(zero(int, user_charge(user, RESOURCE_CONNECTIONS, &charges[0])));
        cr_assert(zero(int, user_charge(other, RESOURCE_CONNECTIONS, &charges[1])));
        cr_assert(eq(int, user_charge(user, RESOURCE_CONNECTIONS, &untouched), ACCOUNT_E_LIMIT));
        cr_assert(eq(int, user_charge(other, RESOURCE_CONNECTIONS, &untouched), ACCOUNT_E_LIMIT));
        cr_assert(eq(ptr, untouched.user, NULL));
        /* What one gives back another may have. */
        charge_deinit(&charges[1]);
        cr_assert(zero(int, user_charge(user, RESOURCE_CONNECTIONS, &charges[1])));
        charge_deinit(&charges[0]);
        charge_deinit(&charges[1]);
        user_unref(user);
        user_unref(other);
        leaks_expect_none();
}

Test(account, a_limit_lowered_below_what_is_used) {
        Accounts accounts = { 0 };
        User *user = user_of(&accounts, 1);
        Charge charges[3], untouched = { 0 };

        for (int i = 0; i < 3; i++)
                cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, &charges[i])));
        accounts.limit_per_user[RESOURCE_LEASES] = 2;
        cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, &untouched), ACCOUNT_E_USER_LIMIT));
        charge_deinit(&charges[2]);
        cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, &untouched), ACCOUNT_E_USER_LIMIT));
        charge_deinit(&charges[1]);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, &charges[1])));
        charge_deinit(&charges[1]);
        charge_deinit(&charges[0]);
        user_unref(user);
        leaks_expect_none();
}

Test(account, nothing_is_left_alone) {
        Accounts accounts = { 0 };
        Charge charge = { 0 };
        User *user;

        cr_assert(eq(ptr, user_unref(NULL), NULL));
        charge_deinit(&charge);
        user = user_of(&accounts, 1);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, &charge)));
        charge_deinit(&charge);
        charge_deinit(&charge);
        cr_assert(zero(sz, accounts.used[RESOURCE_LEASES]));
        cr_assert(eq(ptr, user_unref(user), NULL));
        cr_assert(eq(ptr, accounts.users, NULL));
}

Test(account, a_user_lives_as_long_as_its_charges) {
        Accounts accounts = { .limit_per_user = { [RESOURCE_LEASES] = 1 } };
        User *user = user_of(&accounts, 7);
        Charge charge, untouched = { 0 };

        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, &charge)));
        user_unref(user);
        user = user_of(&accounts, 7);
        cr_assert(eq(ptr, user, charge.user));
        cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, &untouched), ACCOUNT_E_USER_LIMIT));
        user_unref(user);
        charge_deinit(&charge);
        cr_assert(eq(ptr, accounts.users, NULL));
        leaks_expect_none();
}

Test(account, every_resource_has_a_name) {
        KIT_EXPECT_TEXT(resource_name(RESOURCE_CONNECTIONS), "connections");
        KIT_EXPECT_TEXT(resource_name(RESOURCE_LEASES), "leases");
        for (int i = 0; i < _RESOURCE_N; i++)
                cr_assert(ne(ptr, (void *)resource_name((Resource)i), NULL));
}

/* Counts charges of @uid (or of everybody: -1) by looking at each. */
static size_t count(const Charge *charges, size_t n, uid_t uid, Resource resource) {
        size_t found = 0;

        for (size_t i = 0; i < n; i++)
                found += charges[i].resource == resource &&
                         (uid == (uid_t)-1 || charges[i].user->uid == uid);
        return found;
}

static int expected_answer(const Accounts *accounts, const Charge *charges, size_t n, uid_t uid,
                           Resource r) {
        if (accounts->limit_per_user[r] > 0 && count(charges, n, uid, r) >= accounts->limit_per_user[r])
                return ACCOUNT_E_USER_LIMIT;
        if (accounts->limit[r] > 0 && count(charges, n, (uid_t)-1, r) >= accounts->limit[r])
                return ACCOUNT_E_LIMIT;
        return 0;
}

static void walk_step(Accounts *accounts, Charge *charges, size_t *n) {
        uid_t uid = (uid_t)(rand() % USERS);
        Resource resource = (Resource)(rand() % _RESOURCE_N);
        Charge charge = { 0 };
        User *user;
        int r;

        if (*n == CHARGES_MAX || (*n > 0 && rand() % 2)) {
                size_t i = (size_t)rand() % *n;

                charge_deinit(&charges[i]);
                charges[i] = charges[--*n];
                return;
        }
        user = user_of(accounts, uid);
        r = user_charge(user, resource, &charge);
        cr_assert(eq(int, r, expected_answer(accounts, charges, *n, uid, resource)));
        user_unref(user);
        if (r == 0)
                charges[(*n)++] = charge;
}

Test(account, random_charges_agree_with_a_list_of_them) {
        Accounts accounts = {
                .limit_per_user = { [RESOURCE_CONNECTIONS] = 3, [RESOURCE_LEASES] = 6 },
                .limit = { [RESOURCE_LEASES] = 13 },
        };
        Charge charges[CHARGES_MAX];
        size_t n = 0;

        srand(WALK_SEED);
        for (int step = 0; step < WALK_STEPS; step++) {
                walk_step(&accounts, charges, &n);
                for (int r = 0; r < _RESOURCE_N; r++) {
                        cr_assert(eq(sz, accounts.used[r], count(charges, n, (uid_t)-1, (Resource)r)),
                                  "seed %d step %d", WALK_SEED, step);
                        for (User *user = accounts.users; user; user = user->hh.next)
                                cr_assert(
                                        eq(sz, user->used[r], count(charges, n, user->uid, (Resource)r)),
                                        "seed %d step %d", WALK_SEED, step);
                }
        }
        while (n > 0)
                charge_deinit(&charges[--n]);
        cr_assert(eq(ptr, accounts.users, NULL));
        leaks_expect_none();
}
