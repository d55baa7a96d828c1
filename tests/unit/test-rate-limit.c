/* SPDX-License-Identifier: BSD-2-Clause */

/* So many at once, so many in the long run, and no more, however the clock goes. */

#include "daemon/rate-limit.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static const uint64_t start = 5000000000;

/* How many can be taken at @now. */
static unsigned drain(Bucket *bucket, uint64_t now) {
        unsigned n = 0;

        while (n < 1000 && bucket_take(bucket, now))
                n++;
        return n;
}

TestSuite(rate_limit, .timeout = 10);

Test(rate_limit, nothing_of_nothing) {
        Bucket bucket;

        bucket_init(&bucket, 0, 1000000);
        cr_assert(zero(uint, drain(&bucket, 0)));
        cr_assert(zero(uint, drain(&bucket, start)));
        cr_assert(zero(uint, drain(&bucket, UINT64_MAX)));
}

Test(rate_limit, no_more_than_its_capacity_at_once) {
        static const struct {
                uint32_t capacity;
                uint64_t interval;
        } table[] = { { 1, 1 },      { 1, 1000000 }, { 3, 1000000 }, { 7, 10 },
                      { 100, 1000 }, { 999, 999 },   { 10, 3 },      { 5, 0 } };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                Bucket bucket;

                bucket_init(&bucket, table[i].capacity, table[i].interval);
                cr_assert(eq(uint, drain(&bucket, start), table[i].capacity), "row %zu", i);
                cr_assert(zero(uint, drain(&bucket, start)));
                /* However long nothing was taken. */
                cr_assert(eq(uint, drain(&bucket, 1000 * start), table[i].capacity), "row %zu", i);
        }
}

Test(rate_limit, tokens_come_back_evenly) {
        Bucket bucket;

        bucket_init(&bucket, 100, 10000000);
        cr_assert(eq(uint, drain(&bucket, start), 100));
        cr_assert(zero(uint, drain(&bucket, start + 99999)));
        cr_assert(eq(uint, drain(&bucket, start + 100000), 1));
        cr_assert(eq(uint, drain(&bucket, start + 350000), 2));
        /* The half of one that was over is not lost. */
        cr_assert(eq(uint, drain(&bucket, start + 400000), 1));
        cr_assert(eq(uint, drain(&bucket, start + 10400000), 100));
}

Test(rate_limit, in_the_long_run_as_many_as_come_back) {
        unsigned n = 0;
        Bucket bucket;

        bucket_init(&bucket, 10, 1000000);
        for (uint64_t now = start; now < start + 10000000; now += 777)
                n += bucket_take(&bucket, now);
        cr_assert(ge(uint, n, 10 + 99));
        cr_assert(le(uint, n, 10 + 100));
}

/* What is refused costs nothing. */
Test(rate_limit, refusals_take_no_token) {
        Bucket bucket;

        bucket_init(&bucket, 1, 1000);
        cr_assert(bucket_take(&bucket, start));
        for (int i = 0; i < 1000; i++)
                cr_assert(not(bucket_take(&bucket, start + 999)));
        cr_assert(bucket_take(&bucket, start + 1000));
}
