/* SPDX-License-Identifier: BSD-2-Clause */

/* Limits are kept, and after any sequence of charges the books say what a list of them would. */

#include "daemon/account.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/clock.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

enum {
        USERS = 5,
        CHARGES_MAX = 64,
        WALK_SEED = 4711,
        WALK_STEPS = 20000,
        POOL = 1000,
        SECOND = 1000000,
};

static const Rate two_a_second = { .n = 2, .interval_usec = SECOND };

static User *user_of(Accounts *accounts, uid_t uid) {
        User *user;

        cr_assert(zero(int, accounts_user(accounts, uid, &user)));
        return user;
}

TestSuite(account, .timeout = 20);

Test(account, over_the_limit_of_a_user) {
        Charge charges[4] = { 0 }, untouched = { 0 };
        Accounts accounts;
        User *user, *other;

        accounts_init(&accounts);
        accounts.limit_per_user[RESOURCE_LEASES] = 2;
        user = user_of(&accounts, 1);
        other = user_of(&accounts, 2);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, 1, &charges[0])));
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, 1, &charges[1])));
        for (int i = 0; i < 3; i++)
                cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, 1, &untouched),
                             ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(ptr, untouched.user, NULL));
        cr_assert(eq(sz, accounts.used[RESOURCE_LEASES], 2));
        cr_assert(eq(sz, user->used[RESOURCE_LEASES], 2));
        /* Another resource, and another user, are not affected. */
        cr_assert(zero(int, user_charge(user, RESOURCE_CONNECTIONS, 1, &charges[2])));
        cr_assert(zero(int, user_charge(other, RESOURCE_LEASES, 1, &charges[3])));
        charge_deinit(&charges[0]);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, 1, &charges[0])));
        for (int i = 0; i < 4; i++)
                charge_deinit(&charges[i]);
        user_unref(user);
        user_unref(other);
        accounts_deinit(&accounts);
        leaks_expect_none();
}

Test(account, more_at_once_than_there_may_be) {
        Charge charge = { 0 }, untouched = { 0 };
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        accounts.limit_per_user[RESOURCE_BYTES] = 100;
        accounts.limit[RESOURCE_BYTES] = 150;
        user = user_of(&accounts, 1);
        cr_assert(eq(int, user_charge(user, RESOURCE_BYTES, 101, &untouched), ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(int, user_charge(user, RESOURCE_BYTES, 76, &untouched), ACCOUNT_E_LIMIT));
        cr_assert(eq(int, user_charge(user, RESOURCE_BYTES, (size_t)1 << 62, &untouched),
                     ACCOUNT_E_USER_LIMIT));
        cr_assert(zero(int, user_charge(user, RESOURCE_BYTES, 75, &charge)));
        charge_deinit(&charge);
        user_unref(user);
        accounts_deinit(&accounts);
        leaks_expect_none();
}

/* Each takes what it can get; whoever comes next still finds something, and no less than promised. */
Test(account, a_newcomer_always_finds_a_share) {
        Charge charges[POOL];
        Accounts accounts;
        size_t n_charges = 0;

        accounts_init(&accounts);
        accounts.limit[RESOURCE_CONNECTIONS] = POOL;
        for (uid_t uid = 1; uid <= 20; uid++) {
                User *user = user_of(&accounts, uid);
                size_t n = 0;

                while (user_charge(user, RESOURCE_CONNECTIONS, 1, &charges[n_charges]) == 0) {
                        n_charges++;
                        n++;
                }
                cr_assert(ge(sz, n, POOL / (uid * (uid + 1)) - (n > 1)), "user %u found %zu", uid, n);
                cr_assert(le(sz, n, POOL / 2));
                user_unref(user);
        }
        while (n_charges > 0)
                charge_deinit(&charges[--n_charges]);
        accounts_deinit(&accounts);
        leaks_expect_none();
}

/* Many small requests do not add up to more than one large one. */
Test(account, a_share_is_no_larger_for_coming_bit_by_bit) {
        Charge charges[2] = { 0 }, untouched = { 0 };
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        accounts.limit[RESOURCE_IN_FLIGHT] = 100;
        user = user_of(&accounts, 1);
        cr_assert(zero(int, user_charge(user, RESOURCE_IN_FLIGHT, 30, &charges[0])));
        cr_assert(eq(int, user_charge(user, RESOURCE_IN_FLIGHT, 21, &untouched), ACCOUNT_E_LIMIT));
        cr_assert(zero(int, user_charge(user, RESOURCE_IN_FLIGHT, 20, &charges[1])));
        charge_reduce(&charges[0], 10);
        charge_reduce(&charges[0], 10);
        cr_assert(eq(sz, accounts.used[RESOURCE_IN_FLIGHT], 30));
        charge_deinit(&charges[0]);
        charge_deinit(&charges[1]);
        user_unref(user);
        accounts_deinit(&accounts);
        leaks_expect_none();
}

Test(account, a_limit_lowered_below_what_is_used) {
        Charge charges[3], untouched = { 0 };
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        user = user_of(&accounts, 1);
        for (int i = 0; i < 3; i++)
                cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, 1, &charges[i])));
        accounts.limit[RESOURCE_LEASES] = 2;
        cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, 1, &untouched), ACCOUNT_E_LIMIT));
        accounts.limit_per_user[RESOURCE_LEASES] = 2;
        cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, 1, &untouched), ACCOUNT_E_USER_LIMIT));
        accounts.limit[RESOURCE_LEASES] = 0;
        charge_deinit(&charges[2]);
        cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, 1, &untouched), ACCOUNT_E_USER_LIMIT));
        charge_deinit(&charges[1]);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, 1, &charges[1])));
        charge_deinit(&charges[1]);
        charge_deinit(&charges[0]);
        user_unref(user);
        accounts_deinit(&accounts);
        leaks_expect_none();
}

Test(account, nothing_is_left_alone) {
        Charge charge = { 0 }, taken;
        RuleCharge of_rule = { 0 };
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        cr_assert(eq(ptr, user_unref(NULL), NULL));
        charge_deinit(&charge);
        charge_reduce(&charge, 0);
        rule_charge_deinit(&of_rule);
        cr_assert(eq(ptr, (void *)rule_charge_rule(&of_rule), NULL));
        user = user_of(&accounts, 1);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, 1, &charge)));
        taken = charge_take(&charge);
        charge_deinit(&charge);
        cr_assert(eq(sz, accounts.used[RESOURCE_LEASES], 1));
        charge_deinit(&taken);
        charge_deinit(&taken);
        cr_assert(zero(sz, accounts.used[RESOURCE_LEASES]));
        cr_assert(eq(ptr, user_unref(user), NULL));
        accounts_deinit(&accounts);
}

Test(account, a_user_lives_as_long_as_its_charges) {
        Charge charge, untouched = { 0 };
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        accounts.limit_per_user[RESOURCE_LEASES] = 1;
        user = user_of(&accounts, 7);
        cr_assert(zero(int, user_charge(user, RESOURCE_LEASES, 1, &charge)));
        user_unref(user);
        user = user_of(&accounts, 7);
        cr_assert(eq(ptr, user, charge.user));
        cr_assert(eq(int, user_charge(user, RESOURCE_LEASES, 1, &untouched), ACCOUNT_E_USER_LIMIT));
        user_unref(user);
        charge_deinit(&charge);
        cr_assert(eq(ptr, accounts.users, NULL));
        leaks_expect_none();
}

Test(account, leases_by_a_rule) {
        RuleCharge charges[3] = { 0 }, untouched = { 0 };
        Accounts accounts;
        User *user, *other;

        accounts_init(&accounts);
        user = user_of(&accounts, 1);
        other = user_of(&accounts, 2);
        cr_assert(zero(int, user_charge_rule(user, "web", 1, &charges[0])));
        cr_assert(eq(int, user_charge_rule(user, "web", 1, &untouched), ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(ptr, untouched.account, NULL));
        KIT_EXPECT_TEXT(rule_charge_rule(&charges[0]), "web");
        /* Another rule, and another user, are not affected; nor is who may have any number. */
        cr_assert(zero(int, user_charge_rule(user, "mail", 1, &charges[1])));
        cr_assert(zero(int, user_charge_rule(other, "web", 1, &charges[2])));
        rule_charge_deinit(&charges[1]);
        cr_assert(zero(int, user_charge_rule(user, "web", 0, &charges[1])));
        user_unref(user);
        user_unref(other);
        for (int i = 0; i < 3; i++)
                rule_charge_deinit(&charges[i]);
        cr_assert(eq(ptr, accounts.users, NULL));
        leaks_expect_none();
}

Test(account, who_asks_too_often_by_a_rule) {
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        user = user_of(&accounts, 1);
        for (int i = 0; i < 5; i++)
                cr_assert(zero(int, user_take(user, "free", (Rate){ 0 }, SECOND)));
        cr_assert(zero(int, user_take(user, "web", two_a_second, SECOND)));
        cr_assert(zero(int, user_take(user, "web", two_a_second, SECOND)));
        cr_assert(eq(int, user_take(user, "web", two_a_second, SECOND), ACCOUNT_E_RATE));
        cr_assert(zero(int, user_take(user, "mail", two_a_second, SECOND)));
        cr_assert(zero(int, user_take(user, "web", two_a_second, 2 * SECOND)));
        /* A rate that was changed begins anew. */
        cr_assert(zero(int, user_take(user, "web", (Rate){ 1, SECOND }, 2 * SECOND)));
        cr_assert(eq(int, user_take(user, "web", (Rate){ 1, SECOND }, 2 * SECOND), ACCOUNT_E_RATE));
        user_unref(user);
        accounts_deinit(&accounts);
        leaks_expect_none();
}

Test(account, going_and_coming_again_does_not_help) {
        const Rate rate = { .n = 1, .interval_usec = UINT64_C(3600) * SECOND };
        uint64_t now = 0;
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        for (uid_t uid = 1; uid < 4; uid++) {
                user = user_of(&accounts, uid);
                now = clock_usec(CLOCK_MONOTONIC);
                cr_assert(zero(int, user_take(user, "web", rate, now)));
                user_unref(user);
        }
        user = user_of(&accounts, 2);
        cr_assert(eq(int, user_take(user, "web", rate, now), ACCOUNT_E_RATE));
        user_unref(user);
        cr_assert(eq(int, HASH_COUNT(accounts.users), 3));
        accounts_deinit(&accounts);
        leaks_expect_none();
}

Test(account, who_is_idle_is_forgotten_when_its_rates_are_whole) {
        Accounts accounts;
        User *user;

        accounts_init(&accounts);
        for (uid_t uid = 1; uid < 4; uid++) {
                user = user_of(&accounts, uid);
                /* Of a time long past. */
                cr_assert(zero(int, user_take(user, "web", two_a_second, 1)));
                user_unref(user);
        }
        cr_assert(eq(ptr, accounts.users, NULL));
        accounts_deinit(&accounts);
        leaks_expect_none();
}

Test(account, every_resource_has_a_name) {
        KIT_EXPECT_TEXT(resource_name(RESOURCE_CONNECTIONS), "connections");
        KIT_EXPECT_TEXT(resource_name(RESOURCE_LEASES), "leases");
        for (int i = 0; i < _RESOURCE_N; i++)
                cr_assert(ne(ptr, (void *)resource_name((Resource)i), NULL));
}

/* Adds up the charges of @uid (or of everybody: -1) by looking at each. */
static size_t add_up(const Charge *charges, size_t n, uid_t uid, Resource resource) {
        size_t sum = 0;

        for (size_t i = 0; i < n; i++)
                if (charges[i].resource == resource && (uid == (uid_t)-1 || charges[i].user->uid == uid))
                        sum += charges[i].n;
        return sum;
}

static size_t count_users(const Charge *charges, size_t n, Resource resource) {
        size_t found = 0;

        for (uid_t uid = 0; uid < USERS; uid++)
                found += add_up(charges, n, uid, resource) > 0;
        return found;
}

static int expected_answer(const Accounts *accounts, const Charge *charges, size_t n, uid_t uid,
                           Resource r, size_t more) {
        size_t mine = add_up(charges, n, uid, r), all = add_up(charges, n, (uid_t)-1, r);
        size_t n_users = count_users(charges, n, r) + (mine == 0);

        if (accounts->limit_per_user[r] > 0 && mine + more > accounts->limit_per_user[r])
                return ACCOUNT_E_USER_LIMIT;
        if (accounts->limit[r] > 0 && (n_users + 1) * (mine + more) - mine > accounts->limit[r] - all)
                return ACCOUNT_E_LIMIT;
        return 0;
}

static void walk_step(Accounts *accounts, Charge *charges, size_t *n) {
        uid_t uid = (uid_t)(rand() % USERS);
        Resource resource = (Resource)(rand() % _RESOURCE_N);
        size_t more = (size_t)(1 + rand() % 3);
        Charge charge = { 0 };
        User *user;
        int r;

        if (*n == CHARGES_MAX || (*n > 0 && rand() % 2)) {
                size_t i = (size_t)rand() % *n;

                if (rand() % 3 == 0) {
                        charge_reduce(&charges[i], charges[i].n / 2);
                        return;
                }
                charge_deinit(&charges[i]);
                charges[i] = charges[--*n];
                return;
        }
        user = user_of(accounts, uid);
        r = user_charge(user, resource, more, &charge);
        cr_assert(eq(int, r, expected_answer(accounts, charges, *n, uid, resource, more)));
        user_unref(user);
        if (r == 0)
                charges[(*n)++] = charge;
}

Test(account, random_charges_agree_with_a_list_of_them) {
        Charge charges[CHARGES_MAX];
        Accounts accounts;
        size_t n = 0;

        accounts_init(&accounts);
        accounts.limit_per_user[RESOURCE_CONNECTIONS] = 3;
        accounts.limit_per_user[RESOURCE_LEASES] = 6;
        accounts.limit[RESOURCE_LEASES] = 40;
        accounts.limit[RESOURCE_BYTES] = 20;
        srand(WALK_SEED);
        for (int step = 0; step < WALK_STEPS; step++) {
                walk_step(&accounts, charges, &n);
                for (int r = 0; r < _RESOURCE_N; r++) {
                        cr_assert(eq(sz, accounts.used[r], add_up(charges, n, (uid_t)-1, (Resource)r)),
                                  "seed %d step %d", WALK_SEED, step);
                        cr_assert(eq(sz, accounts.n_users[r], count_users(charges, n, (Resource)r)),
                                  "seed %d step %d", WALK_SEED, step);
                        for (User *user = accounts.users; user; user = user->hh.next)
                                cr_assert(eq(sz, user->used[r],
                                             add_up(charges, n, user->uid, (Resource)r)),
                                          "seed %d step %d", WALK_SEED, step);
                }
        }
        while (n > 0)
                charge_deinit(&charges[--n]);
        cr_assert(eq(ptr, accounts.users, NULL));
        leaks_expect_none();
}
