/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * For hash and source, a flow belongs to an entry and an entry to a member: flows stay where they are if
 * entries do. So members get quotas that add up to the whole table, and then only as many entries move
 * as there are over or without an owner. Entries that a member has of one that left are the first to go,
 * to that one if it is back: a member that comes for one that left takes up its flows.
 */

#include "daemon/steering-table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        NOBODY = 0,
        ENTRIES_MIN = 64, /* of a table for more than one member */
        SHRINK_FACTOR = 4,
};

/* One member's part in a table. */
typedef struct Claim {
        uint32_t slot;
        size_t held;
        size_t quota;
        uint64_t remainder; /* what the quota falls short of what is due */
} Claim;

/* A table being shared out. Claims are known by their index + 1. */
typedef struct Deal {
        Claim *claims;
        Claim **ranked;
        uint32_t *claim_of; /* by slot */
        uint32_t *owners;   /* by entry */
        uint32_t slot_max;
        uint32_t next; /* no claim before this one is short of entries */
} Deal;

/* One entry of a schedule. */
typedef struct Turn {
        uint64_t time;
        uint32_t order;
        uint16_t slot;
} Turn;

void steering_table_deinit(SteeringTable *table) {
        free(table->slots);
        free(table->homes);
        *table = (SteeringTable){ 0 };
}

static int make_list(const SteeringShare *shares, size_t n, SteeringTable *table) {
        table->slots = malloc(n * sizeof(*table->slots));
        if (!table->slots)
                return error_origin(-ENOMEM);
        table->n = n;
        for (size_t i = 0; i < n; i++)
                table->slots[i] = (uint16_t)shares[i].slot;
        return 0;
}

static size_t turns_max(size_t n) {
        return n * STEERING_TABLE_TURNS_MAX > STEERING_TABLE_TURNS_FEW ? n * STEERING_TABLE_TURNS_MAX
                                                                       : STEERING_TABLE_TURNS_FEW;
}

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b) {
        while (b != 0) {
                uint32_t rest = a % b;

                a = b;
                b = rest;
        }
        return a;
}

/* Makes the weights as small as they can be. Returns their sum. */
static size_t reduce_weights(SteeringShare *shares, size_t n) {
        uint32_t divisor = 0;
        size_t sum = 0;

        for (size_t i = 0; i < n; i++)
                divisor = greatest_common_divisor(shares[i].weight, divisor);
        for (size_t i = 0; i < n; i++)
                sum += shares[i].weight /= divisor;
        while (sum > turns_max(n)) {
                sum = 0;
                for (size_t i = 0; i < n; i++)
                        sum += shares[i].weight = (shares[i].weight + 1) / 2;
        }
        return sum;
}

static int compare_turns(const void *a, const void *b) {
        const Turn *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

/* Each member has its turns in the middle of equal parts of the time; who has fewer, has
 * longer parts. */
static int make_schedule(SteeringShare *shares, size_t n, SteeringTable *table) {
        size_t sum = reduce_weights(shares, n), n_turns = 0;
        _cleanup_(freep) Turn *turns = malloc(sum * sizeof(*turns));

        table->slots = malloc(sum * sizeof(*table->slots));
        if (!turns || !table->slots)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++)
                for (uint64_t k = 0; k < shares[i].weight; k++)
                        turns[n_turns++] = (Turn){ .time = ((2 * k + 1) << 32) / shares[i].weight,
                                                   .order = (uint32_t)i,
                                                   .slot = (uint16_t)shares[i].slot };
        qsort(turns, sum, sizeof(*turns), compare_turns);
        table->n = sum;
        for (size_t i = 0; i < sum; i++)
                table->slots[i] = turns[i].slot;
        return 0;
}

static size_t sum_weights(const SteeringShare *shares, size_t n, uint32_t *ret_smallest) {
        size_t sum = 0;

        *ret_smallest = STEERING_WEIGHT_MAX;
        for (size_t i = 0; i < n; i++) {
                sum += shares[i].weight;
                if (shares[i].weight < *ret_smallest)
                        *ret_smallest = shares[i].weight;
        }
        return sum;
}

/* Who is due less than an entry gets one all the same. */
static void raise_weights(SteeringShare *shares, size_t n, size_t size) {
        uint32_t smallest;
        size_t sum = sum_weights(shares, n, &smallest);

        if (size * smallest >= sum)
                return;
        for (size_t i = 0; i < n; i++)
                if (shares[i].weight <= sum / size)
                        shares[i].weight = (uint32_t)(sum / size) + 1;
}

/* Enough that shares are even, and, within bounds, that the smallest is an entry at least. */
static size_t entries_needed(const SteeringShare *shares, size_t n) {
        uint32_t smallest;
        size_t sum = sum_weights(shares, n, &smallest), size = ENTRIES_MIN;

        if (n == 1)
                return 1;
        while (size < STEERING_TABLE_ENTRIES * n ||
               (size * smallest < sum && size * 2 <= STEERING_TABLE_ENTRIES_MAX * n))
                size *= 2;
        return size;
}

/*
 * A table that has become much too large gives room back, though some flows move then: whoever had many
 * members once would keep it from others. A small one keeps its size, and everybody's flows.
 */
static size_t entries_next(size_t needed, size_t old) {
        if (needed > old)
                return needed;
        if (old <= ENTRIES_MIN || needed * SHRINK_FACTOR > old)
                return old;
        return needed > ENTRIES_MIN ? needed : ENTRIES_MIN;
}

static void deal_deinit(Deal *deal) {
        free(deal->claims);
        free(deal->ranked);
        free(deal->claim_of);
        free(deal->owners);
}

/* One claim a share; entries stay with their owners, as far as they are still there. */
static int deal_init(Deal *deal, const SteeringTable *old, const SteeringShare *shares, size_t n,
                     const SteeringTable *table) {
        for (size_t i = 0; i < n; i++)
                if (shares[i].slot > deal->slot_max)
                        deal->slot_max = shares[i].slot;
        deal->claims = calloc(n, sizeof(*deal->claims));
        deal->ranked = calloc(n, sizeof(Claim *));
        deal->claim_of = calloc(deal->slot_max + 1, sizeof(*deal->claim_of));
        deal->owners = calloc(table->n, sizeof(*deal->owners));
        if (!deal->claims || !deal->ranked || !deal->claim_of || !deal->owners)
                return error_origin(-ENOMEM);

        for (size_t i = 0; i < n; i++) {
                deal->claims[i].slot = shares[i].slot;
                deal->claim_of[shares[i].slot] = (uint32_t)i + 1;
        }
        for (size_t i = 0; old->n > 0 && i < table->n; i++) {
                uint16_t slot = old->slots[i * old->n / table->n];

                table->homes[i] = old->homes[i * old->n / table->n];
                if (slot <= deal->slot_max)
                        deal->owners[i] = deal->claim_of[slot];
                if (deal->owners[i] != NOBODY)
                        deal->claims[deal->owners[i] - 1].held++;
        }
        return 0;
}

static int compare_claims(const void *a, const void *b) {
        const Claim *x = *(Claim *const *)a, *y = *(Claim *const *)b;

        if (x->remainder != y->remainder)
                return x->remainder > y->remainder ? -1 : 1;
        /* Who has the entry already keeps it. */
        if ((x->held > x->quota) != (y->held > y->quota))
                return x->held > x->quota ? -1 : 1;
        return x->slot < y->slot ? -1 : 1;
}

/* By the largest remainder: nobody is an entry or more off what is due. */
static void set_quotas(Deal *deal, const SteeringShare *shares, size_t n, size_t size) {
        uint64_t sum = 0;
        size_t left = size;

        for (size_t i = 0; i < n; i++)
                sum += shares[i].weight;
        for (size_t i = 0; i < n; i++) {
                Claim *claim = &deal->claims[i];

                claim->quota = size * shares[i].weight / sum;
                claim->remainder = size * shares[i].weight % sum;
                left -= claim->quota;
                deal->ranked[i] = claim;
        }
        qsort(deal->ranked, n, sizeof(Claim *), compare_claims);
        for (size_t i = 0; i < left; i++)
                deal->ranked[i]->quota++;
}

static bool is_short(const Deal *deal, uint32_t claim) {
        return deal->claims[claim - 1].held < deal->claims[claim - 1].quota;
}

/* Nobody's, or of somebody who has too many. */
static bool is_free(const Deal *deal, size_t entry) {
        uint32_t owner = deal->owners[entry];

        return owner == NOBODY || deal->claims[owner - 1].held > deal->claims[owner - 1].quota;
}

static uint32_t next_short(Deal *deal) {
        while (!is_short(deal, deal->next + 1))
                deal->next++;
        return deal->next + 1;
}

static void give(Deal *deal, size_t entry, uint32_t claim) {
        if (deal->owners[entry] != NOBODY)
                deal->claims[deal->owners[entry] - 1].held--;
        deal->owners[entry] = claim;
        deal->claims[claim - 1].held++;
}

/* What is free goes home. */
static void give_back(Deal *deal, const SteeringTable *table) {
        for (size_t i = 0; i < table->n; i++) {
                uint32_t home =
                        table->homes[i] <= deal->slot_max ? deal->claim_of[table->homes[i]] : NOBODY;

                if (home != NOBODY && is_short(deal, home) && is_free(deal, i))
                        give(deal, i, home);
        }
}

/* What members have too many of goes to others for good; if @borrowed, only what was not their own. */
static void hand_on(Deal *deal, SteeringTable *table, bool borrowed) {
        for (size_t i = 0; i < table->n; i++) {
                uint32_t owner = deal->owners[i], taker;

                if (owner == NOBODY || !is_free(deal, i))
                        continue;
                if (borrowed && table->homes[i] == deal->claims[owner - 1].slot)
                        continue;
                taker = next_short(deal);
                give(deal, i, taker);
                table->homes[i] = (uint16_t)deal->claims[taker - 1].slot;
        }
}

/* What is nobody's goes to others until its owner is back. */
static void lend_rest(Deal *deal, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (deal->owners[i] == NOBODY)
                        give(deal, i, next_short(deal));
}

static int make_shares(const SteeringTable *old, SteeringShare *shares, size_t n, SteeringTable *table) {
        _cleanup_(deal_deinit) Deal deal = { 0 };
        size_t needed = entries_needed(shares, n);
        int r;

        table->n = entries_next(needed, old->n);
        raise_weights(shares, n, table->n);
        table->slots = malloc(table->n * sizeof(*table->slots));
        table->homes = calloc(table->n, sizeof(*table->homes));
        if (!table->slots || !table->homes)
                return error_origin(-ENOMEM);
        r = deal_init(&deal, old, shares, n, table);
        if (r < 0)
                return error_trace(r);

        set_quotas(&deal, shares, n, table->n);
        if (old->n > 0)
                give_back(&deal, table);
        hand_on(&deal, table, true);
        hand_on(&deal, table, false);
        lend_rest(&deal, table->n);
        for (size_t i = 0; i < table->n; i++)
                table->slots[i] = (uint16_t)deal.claims[deal.owners[i] - 1].slot;
        if (old->n == 0)
                memcpy(table->homes, table->slots, table->n * sizeof(*table->homes));
        return 0;
}

int steering_table_next(const SteeringTable *old, SteeringMode mode, const SteeringShare *shares,
                        size_t n, SteeringTable *ret) {
        _cleanup_(steering_table_deinit) SteeringTable table = { 0 };
        _cleanup_(freep) SteeringShare *live = malloc((n + 1) * sizeof(*live));
        size_t n_live = 0;
        int r = 0;

        if (!live)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++)
                if (shares[i].weight > 0)
                        live[n_live++] = shares[i];

        if (n_live > 0 && (mode == STEERING_HASH || mode == STEERING_SOURCE))
                r = make_shares(old, live, n_live, &table);
        else if (n_live > 0 && mode == STEERING_ROUND_ROBIN)
                r = make_schedule(live, n_live, &table);
        else if (n_live > 0)
                r = make_list(live, n_live, &table);
        if (r < 0)
                return error_trace(r);
        *ret = table;
        table = (SteeringTable){ 0 };
        return 0;
}
