/* SPDX-License-Identifier: BSD-2-Clause */

/* Leases that wait for their clients do so for a time, and no longer. */

#include "daemon/grace.h"

#include "proto/limits.h"
#include "tests/unit/group-kit.h"

static void grace_start(Kit *kit, Grace *grace) {
        kit_init(kit, 1000);
        cr_assert(zero(int,
                       grace_init(grace, kit->services.event, &kit->services.endpoints.timers_changed)));
}

static Lease *wait_in(Kit *kit, Grace *grace) {
        Member *member = kit_open(kit, "tcp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0);
        LeaseTerms terms = { .subject = kit->subject, .user = kit->user, .connection = &grace->owner };
        Lease *lease;

        cr_assert(zero(int, lease_new(&kit->services.leases, member, &terms, &lease)));
        return lease;
}

TestSuite(grace, .timeout = 10);

Test(grace, without_leases_nothing_is_waited_for) {
        Grace grace;
        Kit kit;

        grace_start(&kit, &grace);
        kit.services.endpoints.timers_changed = false;
        grace_begin(&grace);
        cr_assert(not(grace.timer.armed));
        cr_assert(not(kit.services.endpoints.timers_changed));
        grace_deinit(&grace);
        kit_end(&kit);
}

Test(grace, ends_what_did_not_come_back) {
        uint64_t due, now;
        Lease *resumed;
        Grace grace;
        Kit kit;

        grace_start(&kit, &grace);
        wait_in(&kit, &grace);
        resumed = wait_in(&kit, &grace);
        wait_in(&kit, &grace);
        now = clock_usec(CLOCK_MONOTONIC);
        kit.services.endpoints.timers_changed = false;
        grace_begin(&grace);
        cr_assert(kit.services.endpoints.timers_changed);
        cr_assert(ge(int, sd_event_source_get_time(grace.timer.source, &due), 0));
        cr_assert(ge(u64, due, now + RESUME_GRACE_SEC * UINT64_C(1000000)));
        lease_move(resumed, &kit.connection, NULL, kit.subject);
        kit_turn(&kit);
        kit_expect_told(&kit, "");
        kit_elapse(&kit, &grace.timer);
        kit_expect_told(&kit, "released closed released closed ");
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        cr_assert(not(grace.timer.armed));
        grace_deinit(&grace);
        kit_end(&kit);
}

/* A loop that has ended takes no time. */
Test(grace, is_over_at_once_where_there_is_no_timer) {
        Grace grace;
        Kit kit;

        grace_start(&kit, &grace);
        wait_in(&kit, &grace);
        cr_assert(ge(int, sd_event_exit(kit.services.event, 0), 0));
        cr_assert(ge(int, sd_event_run(kit.services.event, 0), 0));
        grace_begin(&grace);
        kit_expect_told(&kit, "released closed ");
        grace_deinit(&grace);
        kit_end(&kit);
}
