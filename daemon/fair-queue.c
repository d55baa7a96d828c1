/* SPDX-License-Identifier: BSD-2-Clause */

/* Deficit round robin, with time for the size of a packet. */

#include "daemon/fair-queue.h"

#include <assert.h>

void fair_queue_init(FairQueue *queue) {
        *queue = (FairQueue){ .epoch = 1 };
        TAILQ_INIT(&queue->shares);
}

static void share_begin_to_wait(FairQueue *queue, FairShare *share) {
        if (!share->queue) {
                if (share->epoch != queue->epoch)
                        share->credit_usec = FAIR_QUANTUM_USEC;
                share->epoch = queue->epoch;
                share->queue = queue;
                TAILQ_INIT(&share->items);
                TAILQ_INSERT_TAIL(&queue->shares, share, entry);
        }
        queue->n_items++;
}

void fair_queue_add(FairQueue *queue, FairShare *share, FairItem *item) {
        if (item->share)
                return;
        share_begin_to_wait(queue, share);
        item->share = share;
        TAILQ_INSERT_TAIL(&share->items, item, entry);
}

void fair_queue_add_first(FairQueue *queue, FairShare *share, FairItem *item) {
        if (item->share)
                TAILQ_REMOVE(&share->items, item, entry);
        else
                share_begin_to_wait(queue, share);
        item->share = share;
        TAILQ_INSERT_HEAD(&share->items, item, entry);
}

void fair_queue_remove(FairItem *item) {
        FairShare *share = item->share;
        FairQueue *queue;

        if (!share)
                return;
        queue = share->queue;
        TAILQ_REMOVE(&share->items, item, entry);
        item->share = NULL;
        if (TAILQ_EMPTY(&share->items)) {
                TAILQ_REMOVE(&queue->shares, share, entry);
                share->queue = NULL;
        }
        if (--queue->n_items == 0)
                queue->epoch++;
}

static void move_to_tail(FairQueue *queue, FairShare *share) {
        TAILQ_REMOVE(&queue->shares, share, entry);
        TAILQ_INSERT_TAIL(&queue->shares, share, entry);
}

FairItem *fair_queue_take(FairQueue *queue) {
        FairShare *share;
        FairItem *item;

        while ((share = TAILQ_FIRST(&queue->shares)) && share->credit_usec <= 0) {
                share->credit_usec += FAIR_QUANTUM_USEC;
                /* One in debt waits for as many rounds as it takes, but not for nobody. */
                if (share->credit_usec <= 0)
                        move_to_tail(queue, share);
        }
        queue->current = share;
        if (!share)
                return NULL;
        item = TAILQ_FIRST(&share->items);
        fair_queue_remove(item);
        return item;
}

void fair_queue_charge(FairQueue *queue, uint64_t usec) {
        FairShare *share = queue->current;

        queue->current = NULL;
        if (!share)
                return;
        share->credit_usec -= (int64_t)usec;
        if (share->queue && share->credit_usec <= 0)
                move_to_tail(queue, share);
}

void fair_share_forget(FairShare *share, FairQueue *queue) {
        assert(!share->queue);
        if (queue->current == share)
                queue->current = NULL;
}
