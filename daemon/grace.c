/* SPDX-License-Identifier: BSD-2-Clause */

/* One timer for all: they were lost at one time. */

#include "daemon/grace.h"

#include <stddef.h>

#include "daemon/clock.h"
#include "proto/error.h"
#include "proto/limits.h"

static void grace_on_elapsed(Timer *timer) {
        Grace *grace = (Grace *)((char *)timer - offsetof(Grace, timer));

        lease_owner_end(&grace->owner, MEMBER_LEAVE_LOST,
                        "its client did not come back after the broker was lost");
}

int grace_init(Grace *grace, sd_event *event, bool *timers_changed) {
        *grace = (Grace){ .timers_changed = timers_changed };
        LIST_INIT(&grace->owner.leases);
        return error_trace(timer_init(&grace->timer, event, grace_on_elapsed));
}

void grace_begin(Grace *grace) {
        if (LIST_EMPTY(&grace->owner.leases))
                return;
        if (timer_set(&grace->timer,
                      clock_usec(CLOCK_MONOTONIC) + RESUME_GRACE_SEC * UINT64_C(1000000)) < 0)
                grace_on_elapsed(&grace->timer);
        else
                *grace->timers_changed = true;
}

void grace_deinit(Grace *grace) {
        timer_deinit(&grace->timer);
}
