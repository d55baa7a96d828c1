/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tokens are not counted: the time at which the bucket will be full says how many are missing, and
 * passes by itself. So there is no remainder to be carried from one moment to the next.
 */

#include "daemon/rate-limit.h"

void bucket_init(Bucket *bucket, uint32_t capacity, uint64_t interval_usec) {
        uint64_t step = capacity > 0 ? interval_usec / capacity : 0;

        if (step == 0)
                step = 1;
        *bucket = (Bucket){ .step_usec = step, .span_usec = step * capacity };
}

bool bucket_take(Bucket *bucket, uint64_t now_usec) {
        uint64_t full = bucket->full_usec > now_usec ? bucket->full_usec : now_usec;

        if (full - now_usec + bucket->step_usec > bucket->span_usec)
                return false;
        bucket->full_usec = full + bucket->step_usec;
        return true;
}
