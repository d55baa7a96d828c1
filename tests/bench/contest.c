/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Times are kept for each step and for both together: the median of a sum is not the sum of medians.
 */

#include "tests/bench/contest.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "proto/error.h"
#include "tests/bench/interrupt.h"

void contest_add(Contest *contest, const char *name, ContestStep acquire, ContestStep release,
                 void *userdata) {
        assert(contest->n < CONTESTANTS_MAX);
        contest->contestants[contest->n++] = (Contestant){
                .name = name,
                .acquire = acquire,
                .release = release,
                .userdata = userdata,
        };
}

static int contestant_run(Contestant *contestant, size_t iterations, bool record) {
        for (size_t i = 0; i < iterations; i++) {
                uint64_t start, middle, end;
                int r;

                r = interrupt_check();
                if (r < 0)
                        return r;
                start = clock_nsec();
                r = contestant->acquire(contestant->userdata);
                if (r < 0)
                        return error_trace(r);
                middle = clock_nsec();
                r = contestant->release(contestant->userdata);
                if (r < 0)
                        return error_trace(r);
                end = clock_nsec();
                if (!record)
                        continue;
                samples_add(&contestant->acquired, middle - start);
                samples_add(&contestant->released, end - middle);
                samples_add(&contestant->both, end - start);
        }
        return 0;
}

static int contestant_prepare(Contestant *contestant, size_t iterations) {
        int r;

        r = samples_init(&contestant->acquired, iterations);
        if (r == 0)
                r = samples_init(&contestant->released, iterations);
        if (r == 0)
                r = samples_init(&contestant->both, iterations);
        if (r == 0)
                r = contestant_run(contestant, CONTEST_WARM_UP, false);
        return r < 0 ? error_trace(r) : 0;
}

int contest_run(Contest *contest, size_t iterations) {
        size_t share = (iterations + CONTEST_ROUNDS - 1) / CONTEST_ROUNDS;
        int r = 0;

        for (size_t i = 0; i < contest->n && r == 0; i++)
                r = contestant_prepare(&contest->contestants[i], share * CONTEST_ROUNDS);
        for (size_t round = 0; round < CONTEST_ROUNDS && r == 0; round++)
                for (size_t i = 0; i < contest->n && r == 0; i++)
                        r = contestant_run(&contest->contestants[i], share, true);
        return r < 0 ? error_trace(r) : 0;
}

void contest_deinit(Contest *contest) {
        for (size_t i = 0; i < contest->n; i++) {
                samples_deinit(&contest->contestants[i].acquired);
                samples_deinit(&contest->contestants[i].released);
                samples_deinit(&contest->contestants[i].both);
        }
        contest->n = 0;
}

Contestant *contest_find(Contest *contest, const char *name) {
        for (size_t i = 0; i < contest->n; i++)
                if (strcmp(contest->contestants[i].name, name) == 0)
                        return &contest->contestants[i];
        return NULL;
}
