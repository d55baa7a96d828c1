/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A service manager, as far as a broker that is killed needs one: a process that keeps the descriptors
 * which the broker sends, and starts the next broker with them as soon as one has died.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "tests/bench/broker.h"

/* Of the broker that was started last. The times are those of clock_nsec(). */
typedef struct StoreBoard {
        _Atomic uint64_t exec_nsec;
        _Atomic uint64_t ready_nsec;
        _Atomic size_t n_kept; /* descriptors that it was started with */
        _Atomic size_t kills;  /* of all brokers */
} StoreBoard;

typedef struct Store {
        BrokerProgram program;
        Child child;
        int orders; /* eventfd */
        int ready;  /* eventfd: one more with each broker that is ready */
        StoreBoard *board;
} Store;

#define STORE_NONE ((Store){ .child = CHILD_NONE, .orders = -1, .ready = -1 })

/* Starts the manager, and has it start a broker as broker_start_with() does, which is waited for.
 * Borrows @daemon and @settings. Returns 0 or a negative errno; the caller ends @store with
 * store_stop().
 */
int store_start(const char *daemon, const char *folder, const char *name, const BrokerSettings *settings,
                Store *store);

/* Has the broker killed, and the next one started; one that is not ready yet, when it is. Returns 0 or a
 * negative errno. */
int store_kill(const Store *store);

/* Waits until a broker is ready that was not when this was called before. Returns 0, -ECHILD when a
 * broker ended by itself, or another negative errno. */
int store_await(const Store *store);

/* Takes STORE_NONE, and leaves it. */
void store_stop(Store *store);
