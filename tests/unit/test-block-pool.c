/* SPDX-License-Identifier: BSD-2-Clause */

/* Blocks never overlap, and whatever was given back can be taken again, as one block or as many. */

#include "daemon/block-pool.h"

#include <stdbool.h>
#include <string.h>

#include "tests/unit/leaks.h"

enum {
        ORDER = 8,
        UNITS = 1 << ORDER,
};

TestSuite(block_pool, .timeout = 10);

static BlockPool *new_pool(void) {
        BlockPool *pool = NULL;

        cr_assert(zero(int, block_pool_new(ORDER, &pool)));
        return pool;
}

static uint32_t must_take(BlockPool *pool, unsigned order) {
        uint32_t begin = UINT32_MAX;

        cr_assert(zero(int, block_pool_take(pool, order, &begin)));
        cr_assert(le(u32, begin + (1U << order), UNITS));
        cr_assert(zero(u32, begin % (1U << order)));
        return begin;
}

static void expect_full(BlockPool *pool, unsigned order) {
        uint32_t begin = 4711;

        cr_assert(eq(int, block_pool_take(pool, order, &begin), BLOCK_POOL_E_FULL));
        cr_assert(eq(u32, begin, 4711));
}

Test(block_pool, refuses_more_than_there_is) {
        BlockPool *pool = new_pool();

        expect_full(pool, ORDER + 1);
        must_take(pool, ORDER);
        for (unsigned order = 0; order <= ORDER; order++)
                expect_full(pool, order);
        block_pool_free(pool);
        leaks_expect_none();
}

Test(block_pool, refuses_what_does_not_fit_in_one_piece) {
        BlockPool *pool = new_pool();

        for (uint32_t i = 0; i < UNITS; i++)
                must_take(pool, 0);
        for (uint32_t i = 0; i < UNITS; i += 2)
                block_pool_give_back(pool, 0, i);
        expect_full(pool, 1); /* half is free, nowhere two side by side */
        block_pool_give_back(pool, 0, 5);
        cr_assert(eq(u32, must_take(pool, 1), 4));
        expect_full(pool, 1);
        block_pool_free(pool);
        leaks_expect_none();
}

Test(block_pool, takes_the_first_that_is_free) {
        BlockPool *pool = new_pool();

        cr_assert(eq(u32, must_take(pool, 0), 0));
        cr_assert(eq(u32, must_take(pool, 2), 4));
        cr_assert(eq(u32, must_take(pool, 0), 1));
        cr_assert(eq(u32, must_take(pool, 1), 2));
        block_pool_give_back(pool, 0, 0);
        cr_assert(eq(u32, must_take(pool, 0), 0));
        block_pool_free(pool);
        leaks_expect_none();
}

Test(block_pool, has_nothing_taken_twice_and_joins_all_again) {
        struct {
                uint32_t begin;
                unsigned order;
        } taken[UNITS];
        BlockPool *pool = new_pool();
        bool used[UNITS] = { 0 };
        size_t n = 0;

        srand(1);
        for (int round = 0; round < 20000; round++) {
                unsigned order = (unsigned)rand() % 5;
                uint32_t begin;

                if (rand() % 2 && block_pool_take(pool, order, &begin) == 0) {
                        for (uint32_t i = begin; i < begin + (1U << order); i++) {
                                cr_assert(not(used[i]));
                                used[i] = true;
                        }
                        taken[n].begin = begin;
                        taken[n++].order = order;
                } else if (n > 0) {
                        size_t at = (size_t)rand() % n;

                        block_pool_give_back(pool, taken[at].order, taken[at].begin);
                        memset(used + taken[at].begin, 0, (size_t)1 << taken[at].order);
                        taken[at] = taken[--n];
                }
        }
        while (n-- > 0)
                block_pool_give_back(pool, taken[n].order, taken[n].begin);
        cr_assert(zero(u32, must_take(pool, ORDER)));
        block_pool_free(pool);
        leaks_expect_none();
}
