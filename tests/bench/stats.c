/* SPDX-License-Identifier: BSD-2-Clause */

/* Every sample is kept: percentiles are exact, and nothing is computed while the clock runs. */

#include "tests/bench/stats.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/error.h"

int samples_init(Samples *samples, size_t size) {
        uint64_t *nsec = calloc(size ?: 1, sizeof(*nsec));

        if (!nsec)
                return error_origin(-ENOMEM);
        *samples = (Samples){ .nsec = nsec, .size = size };
        return 0;
}

void samples_deinit(Samples *samples) {
        free(samples->nsec);
        *samples = (Samples){ 0 };
}

void samples_add(Samples *samples, uint64_t nsec) {
        assert(samples->n < samples->size);
        samples->nsec[samples->n++] = nsec;
        samples->sorted = false;
}

static int nsec_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

double samples_percentile(Samples *samples, unsigned percent) {
        size_t rank;

        if (samples->n == 0)
                return 0;
        if (!samples->sorted)
                qsort(samples->nsec, samples->n, sizeof(*samples->nsec), nsec_compare);
        samples->sorted = true;
        rank = (samples->n - 1) * percent / 100;
        return (double)samples->nsec[rank] / 1000;
}
