/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Who is served next, when many want to be: the shares (users) in turn, each for the same time, however
 * many items (connections) it has and whatever one of them costs. Pure: costs are measured by the
 * caller.
 *
 * By deficit: a share is served while it has credit, and gets a quantum more when its turn comes round.
 * What took longer than there was credit for is made up for by waiting, for as long as anybody else
 * waits.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
        FAIR_QUANTUM_USEC = 100,
};

typedef struct FairQueue FairQueue;
typedef struct FairShare FairShare;
typedef struct FairItem FairItem;

struct FairItem {
        FairShare *share; /* NULL: it is in no queue */
        TAILQ_ENTRY(FairItem) entry;
};

/* Zeroed is one that nothing waits for; it must not go while something does. */
struct FairShare {
        FairQueue *queue; /* NULL: nothing waits */
        TAILQ_HEAD(FairItems, FairItem) items;
        TAILQ_ENTRY(FairShare) entry;
        int64_t credit_usec;
        uint64_t epoch; /* of the queue, when it was last in it */
};

struct FairQueue {
        TAILQ_HEAD(FairShares, FairShare) shares;
        size_t n_items;
        FairShare *current; /* whose item was taken last */
        uint64_t epoch;     /* debts are forgiven when nobody waits */
};

void fair_queue_init(FairQueue *queue);

/* @item waits for its turn, as one of @share; once, however often it is said. */
void fair_queue_add(FairQueue *queue, FairShare *share, FairItem *item);

/* The same, before all others of @share, also if it waited already. */
void fair_queue_add_first(FairQueue *queue, FairShare *share, FairItem *item);

/* It does not wait any more; one that did not is left alone. */
void fair_queue_remove(FairItem *item);

/* Takes out the one whose turn it is; NULL if none waits. */
FairItem *fair_queue_take(FairQueue *queue);

/* What was taken last has cost so much. Its share may be gone by now: see fair_share_forget(). */
void fair_queue_charge(FairQueue *queue, uint64_t usec);

/* Before a share ends. Nothing of it may wait. */
void fair_share_forget(FairShare *share, FairQueue *queue);
