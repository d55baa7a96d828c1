/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The honest client, beside whom the others do what they do: every few milliseconds somebody new wants a
 * socket, and somebody who is connected another one. It is a process with a user of its own.
 */

#include <stdint.h>

#include "tests/bench/child.h"
#include "tests/bench/stats.h"

typedef enum HonestStep {
        HONEST_NEWCOMER, /* connect, Acquire, Release, hang up */
        HONEST_KEPT,     /* Acquire and Release over a connection that is there */
        _HONEST_STEP_N,
} HonestStep;

typedef enum HonestClock {
        HONEST_ELAPSED, /* all of the time */
        HONEST_AWAITED, /* without that in which it was ready to run and no CPU was free */
        _HONEST_CLOCK_N,
} HonestClock;

typedef struct HonestRecord HonestRecord;

typedef struct Honest {
        Child child;
        HonestRecord *record; /* shared with the child */
        Samples samples[_HONEST_STEP_N][_HONEST_CLOCK_N];
} Honest;

#define HONEST_NONE ((Honest){ .child = CHILD_NONE })

/* Starts with the broker at @path, for @seconds at most, and waits until it is served. Returns 0 or a
 * negative errno. */
int honest_start(const char *path, unsigned seconds, Honest *ret);

/* From here on times and errors count. */
void honest_record(Honest *honest);

/* Ends the client; what it has measured stays. */
void honest_stop(Honest *honest);

/*
 * The times of one step, by one clock. One that takes long keeps all those waiting who would have come
 * meanwhile: they are in there as well, each with what it had to wait.
 */
Samples *honest_samples(Honest *honest, HonestStep step, HonestClock clock);

/* How often it got what it asked for. */
uint64_t honest_served(const Honest *honest);

/* How often it did not get what it asked for; *@ret_first is the first reason, or "". */
uint64_t honest_errors(const Honest *honest, const char **ret_first);

/* Takes HONEST_NONE, and leaves it. */
void honest_deinit(Honest *honest);
