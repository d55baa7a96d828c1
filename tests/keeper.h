/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A service manager for a test, as far as its store of descriptors goes: it takes what the broker sends,
 * and starts the next broker with all of it, and with what else the test adds, as .socket units would.
 */

#include <stdbool.h>
#include <stddef.h>

enum {
        KEEPER_NAME_MAX = 64,
        KEEPER_ITEMS_MAX = 1024,
};

typedef struct KeeperItem {
        int fd;
        char name[KEEPER_NAME_MAX];
        bool passed; /* of a .socket unit: not in the store */
} KeeperItem;

typedef struct Keeper {
        size_t max; /* FileDescriptorStoreMax= */
        int notify; /* -1: not begun */
        char path[96];
        KeeperItem items[KEEPER_ITEMS_MAX];
        size_t n;
        size_t n_refused; /* beyond max: dropped in silence, as the real one does */
} Keeper;

/* With room for @max in its store. */
void keeper_begin(Keeper *keeper, size_t max);

/* A .socket unit called @name that listens with @fd, which is consumed. */
void keeper_pass(Keeper *keeper, const char *name, int fd);

/* Takes what the broker has sent so far. Returns whether it said that it is ready. */
bool keeper_work(Keeper *keeper);

/* How many are in the store. */
size_t keeper_count(Keeper *keeper);

KeeperItem *keeper_find(Keeper *keeper, const char *name);

/* Closes one, as if it had never been kept. */
void keeper_lose(Keeper *keeper, KeeperItem *item);

/* In the child, before it becomes the broker: all descriptors from 3 on, and the environment. */
void keeper_hand_over(const Keeper *keeper);

void keeper_end(Keeper *keeper);
