/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* One row: a broker, an honest client, and an attack that begins and ends. */

#include "tests/bench/cpu-share.h"
#include "tests/bench/hostile-attack.h"
#include "tests/bench/hostile-honest.h"
#include "tests/bench/hostile-reading.h"

typedef struct RoundOrder {
        const char *daemon;
        const char *folder; /* for the files of the broker */
        CpuShares shares;
        const char *name;
        const Attack *attacks;
        size_t n_attacks; /* of several, one process each, by different users */
        unsigned seconds;
} RoundOrder;

typedef struct Outcome {
        char name[64];
        unsigned n_processes;
        double blows;   /* a second */
        double busy;    /* the broker's share of one CPU, while it was attacked */
        double waiting; /* in which it could have run, and no CPU was free */
        uint64_t served;
        double p50_usec[_HONEST_STEP_N], p99_usec[_HONEST_STEP_N], max_usec[_HONEST_STEP_N];
        double awaited_p99_usec[_HONEST_STEP_N]; /* see HONEST_AWAITED */
        uint64_t errors;
        char reason[256]; /* of the first error */
        Reading before, most, after;
        double clean_msec; /* until all was back; negative: it never was */
        bool died;
        bool failed;   /* to stop in good order when it was told to */
        bool restless; /* it went on working when there was nothing to do */
        size_t log_lines;
        size_t may_stay; /* sockets that the attackers asked to be kept, and may have kept */
} Outcome;

/* Returns 0, or a negative errno when the round could not be held: a broker that suffers is
 * an outcome. */
int round_run(const RoundOrder *order, Outcome *ret);
