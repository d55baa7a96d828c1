/* SPDX-License-Identifier: BSD-2-Clause */

/* Everybody gets the same time, whatever they ask for and however often. */

#include "daemon/fair-queue.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

enum {
        SHARES = 5,
        ITEMS = 40,
        COST_MAX = 5000,
        WALK_SEED = 4712,
        WALK_STEPS = 200000,
};

TestSuite(fair_queue, .timeout = 20);

Test(fair_queue, nobody_waits) {
        FairShare share = { 0 };
        FairItem item = { 0 };
        FairQueue queue;

        fair_queue_init(&queue);
        cr_assert(zero(ptr, fair_queue_take(&queue)));
        fair_queue_charge(&queue, 1);
        fair_queue_remove(&item);
        fair_queue_add(&queue, &share, &item);
        fair_queue_add(&queue, &share, &item);
        cr_assert(eq(sz, queue.n_items, 1));
        fair_queue_remove(&item);
        cr_assert(zero(ptr, fair_queue_take(&queue)));
        fair_share_forget(&share, &queue);
}

Test(fair_queue, items_of_one_come_in_order) {
        FairShare share = { 0 };
        FairItem items[3] = { 0 };
        FairQueue queue;

        fair_queue_init(&queue);
        for (int i = 0; i < 3; i++)
                fair_queue_add(&queue, &share, &items[i]);
        for (int i = 0; i < 3; i++) {
                cr_assert(eq(ptr, fair_queue_take(&queue), &items[i]));
                /* Whatever they cost: there is nobody else to wait for. */
                fair_queue_charge(&queue, 100000);
        }
        cr_assert(zero(ptr, fair_queue_take(&queue)));
}

Test(fair_queue, what_goes_on_comes_before_the_others_of_its_share) {
        FairShare share = { 0 }, other = { 0 };
        FairItem items[3] = { 0 }, single = { 0 };
        FairQueue queue;

        fair_queue_init(&queue);
        fair_queue_add_first(&queue, &share, &items[0]);
        fair_queue_add(&queue, &share, &items[1]);
        fair_queue_add(&queue, &share, &items[2]);
        fair_queue_add(&queue, &other, &single);
        fair_queue_add_first(&queue, &share, &items[2]);
        cr_assert(eq(sz, queue.n_items, 4));
        cr_assert(eq(ptr, fair_queue_take(&queue), &items[2]));
        fair_queue_add_first(&queue, &share, &items[2]);
        fair_queue_charge(&queue, FAIR_QUANTUM_USEC);
        /* Of its share alone. */
        cr_assert(eq(ptr, fair_queue_take(&queue), &single));
        fair_queue_charge(&queue, FAIR_QUANTUM_USEC);
        cr_assert(eq(ptr, fair_queue_take(&queue), &items[2]));
        cr_assert(eq(ptr, fair_queue_take(&queue), &items[0]));
        cr_assert(eq(ptr, fair_queue_take(&queue), &items[1]));
        cr_assert(zero(ptr, fair_queue_take(&queue)));
}

/* One with many items has its turn no more often than one with a single one. */
Test(fair_queue, many_items_are_no_larger_share) {
        FairShare many = { 0 }, one = { 0 };
        FairItem items[ITEMS] = { 0 }, single = { 0 };
        FairQueue queue;
        size_t n_many = 0, n_one = 0;

        fair_queue_init(&queue);
        for (int i = 0; i < ITEMS; i++)
                fair_queue_add(&queue, &many, &items[i]);
        fair_queue_add(&queue, &one, &single);
        for (int i = 0; i < 1000; i++) {
                FairItem *item = fair_queue_take(&queue);

                fair_queue_charge(&queue, FAIR_QUANTUM_USEC);
                *(item == &single ? &n_one : &n_many) += 1;
                fair_queue_add(&queue, item == &single ? &one : &many, item);
        }
        cr_assert(eq(sz, n_one, 500));
        cr_assert(eq(sz, n_many, 500));
        for (int i = 0; i < ITEMS; i++)
                fair_queue_remove(&items[i]);
        fair_queue_remove(&single);
        cr_assert(zero(sz, queue.n_items));
}

/* What costs much is paid for by waiting, also for one who leaves in between. */
Test(fair_queue, a_debt_is_made_up_for) {
        FairShare dear = { 0 }, cheap = { 0 };
        FairItem costly = { 0 }, light = { 0 };
        FairQueue queue;
        size_t n = 0;

        fair_queue_init(&queue);
        fair_queue_add(&queue, &dear, &costly);
        fair_queue_add(&queue, &cheap, &light);
        cr_assert(eq(ptr, fair_queue_take(&queue), &costly));
        fair_queue_charge(&queue, 100 * FAIR_QUANTUM_USEC);
        fair_queue_add(&queue, &dear, &costly);
        while (fair_queue_take(&queue) == &light) {
                fair_queue_charge(&queue, FAIR_QUANTUM_USEC);
                fair_queue_add(&queue, &cheap, &light);
                n++;
        }
        cr_assert(ge(sz, n, 99));
        cr_assert(le(sz, n, 101));
        fair_queue_remove(&light);
        cr_assert(zero(sz, queue.n_items));
        /* Nobody waited: all is forgiven. */
        fair_queue_add(&queue, &dear, &costly);
        fair_queue_add(&queue, &cheap, &light);
        cr_assert(eq(ptr, fair_queue_take(&queue), &costly));
        fair_queue_remove(&light);
}

Test(fair_queue, a_share_may_end_while_it_is_served) {
        FairShare share = { 0 };
        FairItem item = { 0 };
        FairQueue queue;

        fair_queue_init(&queue);
        fair_queue_add(&queue, &share, &item);
        cr_assert(eq(ptr, fair_queue_take(&queue), &item));
        fair_share_forget(&share, &queue);
        share.credit_usec = 77;
        fair_queue_charge(&queue, 5);
        cr_assert(eq(i64, share.credit_usec, 77));
}

/* Random costs, all always waiting: no share is ahead of another by more than the dearest item. */
Test(fair_queue, random_costs_come_to_the_same_time) {
        FairShare shares[SHARES] = { 0 };
        FairItem items[ITEMS] = { 0 };
        uint64_t spent[SHARES] = { 0 }, most = 0, least = UINT64_MAX;
        FairQueue queue;

        fair_queue_init(&queue);
        srand(WALK_SEED);
        for (int i = 0; i < ITEMS; i++)
                fair_queue_add(&queue, &shares[i < SHARES ? i : rand() % SHARES], &items[i]);
        for (int step = 0; step < WALK_STEPS; step++) {
                uint64_t cost = (uint64_t)(1 + rand() % COST_MAX);
                FairItem *item = fair_queue_take(&queue);
                FairShare *share = queue.current;

                spent[share - shares] += cost;
                fair_queue_charge(&queue, cost);
                fair_queue_add(&queue, share, item);
        }
        for (int i = 0; i < SHARES; i++) {
                most = spent[i] > most ? spent[i] : most;
                least = spent[i] < least ? spent[i] : least;
        }
        cr_assert(le(u64, most - least, COST_MAX + FAIR_QUANTUM_USEC), "seed %d", WALK_SEED);
        for (int i = 0; i < ITEMS; i++)
                fair_queue_remove(&items[i]);
}
