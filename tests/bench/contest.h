/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Several servers asked for the same thing, in turns, and the time that each took. */

#include <stddef.h>

#include "tests/bench/stats.h"

enum {
        CONTESTANTS_MAX = 4,
        CONTEST_ROUNDS = 10,
        CONTEST_WARM_UP = 1000,
};

/* Gets one socket, or gives it back. Returns 0 or a negative errno. */
typedef int (*ContestStep)(void *userdata);

typedef struct Contestant {
        const char *name;
        ContestStep acquire;
        ContestStep release;
        void *userdata;
        Samples acquired;
        Samples released;
        Samples both;
} Contestant;

typedef struct Contest {
        const char *key;   /* in the JSON output */
        const char *title; /* for people */
        Contestant contestants[CONTESTANTS_MAX];
        size_t n;
} Contest;

/* Adds one more, after the ones before. Borrows everything. The first is what the others are held
 * against. */
void contest_add(Contest *contest, const char *name, ContestStep acquire, ContestStep release,
                 void *userdata);

/*
 * Has each contestant acquire and release @iterations times, in CONTEST_ROUNDS rounds so that whatever
 * disturbs this machine disturbs all of them. Returns 0 or a negative errno.
 */
int contest_run(Contest *contest, size_t iterations);
void contest_deinit(Contest *contest);

/* The contestant of that name, or NULL. */
Contestant *contest_find(Contest *contest, const char *name);
