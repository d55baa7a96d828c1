/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * For a broker whose host cannot keep the time: each look at the time of day finds it ten years from
 * where it was. Linked in with --wrap=clock_gettime.
 */

#include <time.h>

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret) {
        static const time_t ten_years = 10L * 365 * 24 * 3600;
        static int direction = 1;
        int r = __real_clock_gettime(clock, ret);

        if (r == 0 && clock == CLOCK_REALTIME) {
                ret->tv_sec += direction * ten_years;
                direction = -direction;
        }
        return r;
}
