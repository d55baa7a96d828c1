/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Times of one step, measured many times, and the percentiles of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct Samples {
        uint64_t *nsec;
        size_t n;
        size_t size;
        bool sorted;
} Samples;

/* Room for @size samples. Returns 0 or -ENOMEM. */
int samples_init(Samples *samples, size_t size);
void samples_deinit(Samples *samples);

/* There must be room. */
void samples_add(Samples *samples, uint64_t nsec);

/* The time, in microseconds, that @percent of the samples did not exceed. 0 without samples. */
double samples_percentile(Samples *samples, unsigned percent);

static inline uint64_t clock_nsec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
