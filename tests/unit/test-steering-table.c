/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Properties over random lists: nobody off the list has an entry, everybody on it has the share that is
 * due, and no more moves than must. The seed is in each message: $SEED repeats a run.
 */

#include "daemon/steering-table.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "tests/unit/leaks.h"

#define N(x) (sizeof(x) / sizeof((x)[0]))
#define LIST(...) (const SteeringShare[]){ __VA_ARGS__ }, N(((const SteeringShare[]){ __VA_ARGS__ }))

enum {
        SLOTS = 40,
        ROUNDS = 1000,
};

static const SteeringMode hashed[] = { STEERING_HASH, STEERING_SOURCE };

TestSuite(steering_table, .timeout = 30);

/* The next table in place of @table. */
static void change(SteeringTable *table, SteeringMode mode, const SteeringShare *shares, size_t n) {
        SteeringTable next;

        cr_assert(zero(int, steering_table_next(table, mode, shares, n, &next)));
        steering_table_deinit(table);
        *table = next;
}

static size_t count(const SteeringTable *table, uint32_t slot) {
        size_t n = 0;

        for (size_t i = 0; i < table->n; i++)
                n += table->slots[i] == slot;
        return n;
}

/* Where the flow with this hash goes, as the program reckons it. */
static uint32_t slot_of(const SteeringTable *table, uint32_t hash) {
        return table->slots[(uint64_t)hash * table->n >> 32];
}

static void expect_slots(const SteeringTable *table, const char *expected) {
        cr_assert(eq(sz, table->n, strlen(expected)));
        for (size_t i = 0; i < table->n; i++)
                cr_assert(eq(chr, (char)('a' + table->slots[i]), expected[i]), "entry %zu of %s", i,
                          expected);
}

Test(steering_table, has_nothing_for_an_empty_list) {
        for (int mode = 0; mode < _STEERING_N; mode++) {
                SteeringTable table = { 0 };

                change(&table, (SteeringMode)mode, NULL, 0);
                cr_assert(zero(sz, table.n));
                change(&table, (SteeringMode)mode, LIST({ 1, 0 }, { 2, 0 }));
                cr_assert(zero(sz, table.n));
                change(&table, (SteeringMode)mode, LIST({ 1, 10 }, { 2, 10 }));
                cr_assert(gt(sz, table.n, 0));
                change(&table, (SteeringMode)mode, NULL, 0);
                cr_assert(zero(sz, table.n));
                steering_table_deinit(&table);
        }
        leaks_expect_none();
}

Test(steering_table, leaves_out_a_weight_of_zero) {
        for (int mode = 0; mode < _STEERING_N; mode++) {
                SteeringTable table = { 0 };

                change(&table, (SteeringMode)mode, LIST({ 1, 10 }, { 2, 0 }, { 3, 1 }));
                cr_assert(zero(sz, count(&table, 2)));
                cr_assert(gt(sz, count(&table, 1), 0));
                cr_assert(gt(sz, count(&table, 3), 0));
                steering_table_deinit(&table);
        }
        leaks_expect_none();
}

Test(steering_table, is_as_it_was_if_there_is_no_change) {
        static const SteeringShare shares[] = { { 4, 10 }, { 65535, 7 }, { 0, 3 } };
        SteeringTable table = { 0 }, next;

        change(&table, STEERING_HASH, shares, N(shares));
        cr_assert(zero(int, steering_table_next(&table, STEERING_HASH, shares, N(shares), &next)));
        cr_assert(eq(sz, next.n, table.n));
        cr_assert(zero(int, memcmp(next.slots, table.slots, table.n * sizeof(*table.slots))));
        steering_table_deinit(&next);
        steering_table_deinit(&table);
        leaks_expect_none();
}

Test(steering_table, lists_members_in_order_where_weights_do_not_count) {
        SteeringTable table = { 0 };

        change(&table, STEERING_CPU, LIST({ 2, 1 }, { 0, 100 }, { 1, 10 }));
        expect_slots(&table, "cab");
        change(&table, STEERING_LEAST_LOAD, LIST({ 3, 5 }, { 1, 1 }));
        expect_slots(&table, "db");
        steering_table_deinit(&table);
        leaks_expect_none();
}

Test(steering_table, schedules_in_turn) {
        SteeringTable table = { 0 };

        change(&table, STEERING_ROUND_ROBIN, LIST({ 0, 10 }, { 1, 10 }, { 2, 10 }));
        expect_slots(&table, "abc");
        change(&table, STEERING_ROUND_ROBIN, LIST({ 0, 20 }, { 1, 10 }));
        expect_slots(&table, "aba");
        change(&table, STEERING_ROUND_ROBIN, LIST({ 0, 50 }, { 1, 10 }, { 2, 10 }));
        expect_slots(&table, "aaabcaa");
        change(&table, STEERING_ROUND_ROBIN, LIST({ 0, 3 }));
        expect_slots(&table, "a");
        steering_table_deinit(&table);
        leaks_expect_none();
}

Test(steering_table, schedules_by_weight_exactly) {
        SteeringShare shares[STEERING_WEIGHT_MAX];
        SteeringTable table = { 0 };

        for (uint32_t i = 0; i < STEERING_WEIGHT_MAX; i++)
                shares[i] = (SteeringShare){ .slot = i, .weight = i + 1 };
        change(&table, STEERING_ROUND_ROBIN, shares, N(shares));
        for (uint32_t i = 0; i < STEERING_WEIGHT_MAX; i++)
                cr_assert(eq(sz, count(&table, i), i + 1));
        steering_table_deinit(&table);
        leaks_expect_none();
}

Test(steering_table, has_an_end_of_schedules) {
        SteeringShare *shares = calloc(10000, sizeof(*shares));
        SteeringTable table = { 0 };

        for (uint32_t i = 0; i < 10000; i++)
                shares[i] = (SteeringShare){ .slot = i, .weight = i % 2 ? 100 : 1 };
        change(&table, STEERING_ROUND_ROBIN, shares, 10000);
        cr_assert(le(sz, table.n, (size_t)STEERING_TABLE_TURNS_MAX * 10000));
        cr_assert(eq(sz, count(&table, 0), 1));
        cr_assert(gt(sz, count(&table, 1), 5));
        steering_table_deinit(&table);
        free(shares);
        leaks_expect_none();
}

Test(steering_table, gives_even_the_smallest_weight_an_entry) {
        SteeringShare shares[SLOTS];
        SteeringTable table = { 0 };

        for (uint32_t i = 0; i < SLOTS; i++)
                shares[i] = (SteeringShare){ .slot = i, .weight = i == 7 ? 1 : STEERING_WEIGHT_MAX };
        change(&table, STEERING_HASH, shares, N(shares));
        cr_assert(gt(sz, count(&table, 7), 0));
        steering_table_deinit(&table);
        leaks_expect_none();
}

/* Nobody keeps room that others may need; but few have it and need it not. */
Test(steering_table, gives_room_back) {
        SteeringShare *shares = calloc(4096, sizeof(*shares));
        SteeringTable table = { 0 };
        size_t most;

        for (uint32_t i = 0; i < 4096; i++)
                shares[i] = (SteeringShare){ .slot = i, .weight = i % 2 ? 100 : 1 };
        change(&table, STEERING_HASH, shares, 4096);
        most = table.n;
        cr_assert(le(sz, most, (size_t)STEERING_TABLE_ENTRIES_MAX * 4096));
        for (size_t n = 2048; n > 0; n /= 2) {
                change(&table, STEERING_HASH, shares, n);
                cr_assert(le(sz, table.n, (size_t)STEERING_TABLE_ENTRIES_MAX * 4 * n + 64), "%zu", n);
        }
        cr_assert(eq(sz, table.n, 64));
        steering_table_deinit(&table);
        free(shares);
        leaks_expect_none();
}

Test(steering_table, gives_a_member_that_is_back_what_it_had) {
        SteeringTable table = { 0 }, before = { 0 };

        change(&table, STEERING_HASH, LIST({ 1, 10 }, { 2, 10 }, { 3, 20 }));
        change(&before, STEERING_HASH, LIST({ 1, 10 }, { 2, 10 }, { 3, 20 }));
        change(&table, STEERING_HASH, LIST({ 1, 10 }, { 2, 10 }));
        change(&table, STEERING_HASH, LIST({ 2, 10 }));
        change(&table, STEERING_HASH, LIST({ 3, 20 }, { 2, 10 }));
        change(&table, STEERING_HASH, LIST({ 1, 10 }, { 2, 10 }, { 3, 20 }));
        cr_assert(eq(sz, table.n, before.n));
        cr_assert(zero(int, memcmp(table.slots, before.slots, table.n * sizeof(*table.slots))));
        steering_table_deinit(&before);
        steering_table_deinit(&table);
        leaks_expect_none();
}

Test(steering_table, has_a_newcomer_take_up_what_another_left) {
        SteeringTable table = { 0 }, before = { 0 };

        change(&table, STEERING_HASH, LIST({ 1, 10 }, { 2, 10 }, { 3, 10 }));
        change(&before, STEERING_HASH, LIST({ 1, 10 }, { 2, 10 }, { 3, 10 }));
        change(&table, STEERING_HASH, LIST({ 1, 10 }, { 3, 10 }));
        change(&table, STEERING_HASH, LIST({ 1, 10 }, { 3, 10 }, { 9, 10 }));
        for (size_t i = 0; i < table.n; i++)
                if (before.slots[i] == 1 || before.slots[i] == 3)
                        cr_assert(eq(u16, table.slots[i], before.slots[i]), "entry %zu", i);
        steering_table_deinit(&before);
        steering_table_deinit(&table);
        leaks_expect_none();
}

/* A random list: each slot on it or not, mostly with equal weights. */
static size_t random_list(SteeringShare shares[static SLOTS]) {
        bool equal = rand() % 3 > 0;
        unsigned rarity = 1 + (unsigned)rand() % 4;
        size_t n = 0;

        for (uint32_t slot = 0; slot < SLOTS; slot++)
                if ((unsigned)rand() % rarity == 0)
                        shares[n++] = (SteeringShare){ .slot = slot * 1600,
                                                       .weight = equal ? 10 : (uint32_t)(rand() % 101) };
        return n;
}

static size_t total_weight(const SteeringShare *shares, size_t n) {
        size_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += shares[i].weight;
        return sum;
}

/* Each has what is due, and is less than an entry off. */
static void expect_fair(const SteeringTable *table, const SteeringShare *shares, size_t n,
                        unsigned seed) {
        size_t sum = total_weight(shares, n), counted = 0;

        for (size_t i = 0; i < n; i++) {
                double due = sum > 0 ? (double)table->n * shares[i].weight / (double)sum : 0;
                size_t has = count(table, shares[i].slot);
                /* Where a weight of 1 is worth less than an entry, weights are coarser. */
                bool fair = sum > table->n || ((double)has > due - 1 && (double)has < due + 1);

                counted += has;
                cr_assert(fair, "seed %u: slot %u has %zu of %zu entries and is due %f", seed,
                          shares[i].slot, has, table->n, due);
                if (shares[i].weight > 0)
                        cr_assert(gt(sz, has, 0), "seed %u: slot %u", seed, shares[i].slot);
        }
        cr_assert(eq(sz, counted, table->n), "seed %u: somebody off the list has entries", seed);
}

/* Every entry that changed hands went to a member that has more now, from one that has less. */
static void expect_minimal(const SteeringTable *old, const SteeringTable *new, unsigned seed) {
        size_t moved = 0, gained = 0, factor;

        /* Nothing is promised of a table that shrinks. */
        if (old->n == 0 || new->n < old->n)
                return;
        factor = new->n / old->n;
        for (size_t i = 0; i < new->n; i++)
                moved += new->slots[i] != old->slots[i / factor];
        for (uint32_t slot = 0; slot < SLOTS * 1600; slot += 1600) {
                size_t before = count(old, slot) * factor, now = count(new, slot);

                gained += now > before ? now - before : 0;
        }
        cr_assert(eq(sz, moved, gained), "seed %u", seed);
}

Test(steering_table, is_fair_and_moves_as_little_as_can_be) {
        const char *text = getenv("SEED");
        unsigned seed = text ? (unsigned)atoi(text) : (unsigned)time(NULL);
        SteeringShare shares[SLOTS];

        srand(seed);
        for (size_t m = 0; m < N(hashed); m++) {
                SteeringTable table = { 0 }, next;

                for (int round = 0; round < ROUNDS; round++) {
                        size_t n = random_list(shares);

                        cr_assert(zero(int, steering_table_next(&table, hashed[m], shares, n, &next)));
                        expect_fair(&next, shares, n, seed);
                        expect_minimal(&table, &next, seed);
                        steering_table_deinit(&table);
                        table = next;
                }
                steering_table_deinit(&table);
        }
        leaks_expect_none();
}

Test(steering_table, moves_no_flow_between_two_that_stay) {
        SteeringShare shares[SLOTS];
        SteeringTable table = { 0 }, next;
        uint32_t hash = 1;

        /* One more at a time, so that the table doubles now and then. */
        for (uint32_t n = 1; n <= SLOTS; n++) {
                shares[n - 1] = (SteeringShare){ .slot = n, .weight = 10 };
                cr_assert(zero(int, steering_table_next(&table, STEERING_HASH, shares, n, &next)));
                for (int flow = 0; flow < 1000 && table.n > 0; flow++) {
                        bool stays;

                        hash = hash * 1664525 + 1013904223;
                        stays = slot_of(&next, hash) == n ||
                                slot_of(&next, hash) == slot_of(&table, hash);
                        cr_assert(stays);
                }
                steering_table_deinit(&table);
                table = next;
        }
        steering_table_deinit(&table);
        leaks_expect_none();
}
