/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A bucket of tokens: what may happen so often in so long a time takes one each time. So many can be
 * taken at once; then they come back evenly, all of them within the interval. Pure: the clock is the
 * caller's, and any will do that does not go back.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Bucket {
        uint64_t step_usec; /* one token comes back in this time, */
        uint64_t span_usec; /* and all of them in this */
        uint64_t full_usec; /* when they will all be there, if none is taken */
} Bucket;

/* A full bucket of @capacity tokens, which come back in @interval_usec; with 0 there are never any. */
void bucket_init(Bucket *bucket, uint32_t capacity, uint64_t interval_usec);

/* Takes one. Returns whether there was one. */
bool bucket_take(Bucket *bucket, uint64_t now_usec);
