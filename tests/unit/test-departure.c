/* SPDX-License-Identifier: BSD-2-Clause */

/* Who departs is closed in time, in turn, and only if nobody wants it meanwhile. */

#include "daemon/departure.h"

#include "tests/unit/group-kit.h"

static Departures *departures_of(Kit *kit) {
        return &kit->services.endpoints.departures;
}

/* Members that stay. */
static size_t count_members(const Endpoint *endpoint) {
        const Member *member;
        size_t n = 0;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                n++;
        cr_assert(eq(sz, endpoint->n_members, n));
        return n;
}

static size_t count(const Kit *kit) {
        const Member *member;
        size_t n = 0;

        TAILQ_FOREACH (member, &kit->services.endpoints.departures.queue, departure.entry)
                n++;
        return n;
}

/* An endpoint of @n members, none of them leased. */
static Endpoint *open_members(Kit *kit, Member **members, size_t n) {
        members[0] = kit_open(kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        for (size_t i = 1; i < n; i++)
                members[i] = kit_join(members[0]->endpoint);
        return members[0]->endpoint;
}

TestSuite(departure, .timeout = 10);

Test(departure, queue_that_was_never_used_has_no_end) {
        Departures departures = { 0 };
        bool changed = false;
        sd_event *event;

        departures_deinit(&departures);
        cr_assert(ge(int, sd_event_new(&event), 0));
        cr_assert(zero(int, departures_init(&departures, event, &changed)));
        departures_deinit(&departures);
        departures_deinit(&departures);
        sd_event_unref(event);
        cr_assert(not(changed));
}

Test(departure, of_whom_does_not_wait_is_not_cancelled) {
        Member *members[2];
        Kit kit;

        kit_init(&kit, 1000);
        open_members(&kit, members, 2);
        departure_cancel(departures_of(&kit), members[0]);
        departure_begin(departures_of(&kit), members[1]);
        departure_cancel(departures_of(&kit), members[0]);
        departure_cancel(departures_of(&kit), members[1]);
        departure_cancel(departures_of(&kit), members[1]);
        cr_assert(zero(sz, count(&kit)));
        kit_elapse(&kit, &departures_of(&kit)->timer);
        cr_assert(eq(sz, members[0]->endpoint->n_members, 2));
        kit_end(&kit);
}

Test(departure, is_not_early) {
        Member *members[2];
        Kit kit;

        kit_init(&kit, 1000);
        open_members(&kit, members, 2);
        departure_begin(departures_of(&kit), members[0]);
        cr_assert(kit.services.endpoints.timers_changed);
        members[0]->departure.close_usec += KIT_RETAIN_USEC;
        for (int i = 0; i < 3; i++) {
                kit_elapse(&kit, &departures_of(&kit)->timer);
                cr_assert(eq(sz, count(&kit), 1));
                cr_assert(eq(sz, count_members(members[1]->endpoint), 1));
        }
        kit_depart(&kit);
        cr_assert(eq(sz, members[1]->endpoint->n_members, 1));
        cr_assert(not(departures_of(&kit)->timer.armed));
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

/* The timer was set for the first, and finds others. */
Test(departure, cancelled_does_not_hold_up_the_others) {
        Member *members[4];
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        endpoint = open_members(&kit, members, 4);
        for (int i = 0; i < 3; i++)
                departure_begin(departures_of(&kit), members[i]);
        members[2]->departure.close_usec += KIT_RETAIN_USEC;
        departure_cancel(departures_of(&kit), members[0]);
        members[1]->departure.close_usec = 1;
        kit_elapse(&kit, &departures_of(&kit)->timer);
        cr_assert(eq(sz, count(&kit), 1));
        cr_assert(eq(sz, count_members(endpoint), 2));
        cr_assert(eq(ptr, TAILQ_FIRST(&endpoint->members), members[0]));
        kit_depart(&kit);
        cr_assert(eq(sz, count_members(endpoint), 2));
        kit_end(&kit);
}

Test(departure, is_over_when_somebody_else_closes) {
        Member *members[3];
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        endpoint = open_members(&kit, members, 3);
        for (int i = 0; i < 3; i++)
                departure_begin(departures_of(&kit), members[i]);
        member_close(members[1]);
        cr_assert(eq(sz, count(&kit), 2));
        endpoint_close(endpoint, "over");
        cr_assert(zero(sz, count(&kit)));
        kit_elapse(&kit, &departures_of(&kit)->timer);
        kit_expect_told(&kit, "closed ");
        kit_end(&kit);
}

/* What cannot be waited for is not put off for ever. */
Test(departure, is_at_once_where_there_is_no_timer) {
        Member *members[3];
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        endpoint = open_members(&kit, members, 3);
        cr_assert(ge(int, sd_event_exit(kit.services.event, 0), 0));
        cr_assert(ge(int, sd_event_loop(kit.services.event), 0));
        departure_begin(departures_of(&kit), members[1]);
        cr_assert(eq(sz, endpoint->n_members, 2));
        departure_begin(departures_of(&kit), members[0]);
        cr_assert(eq(sz, endpoint->n_members, 1));
        endpoint_close(endpoint, NULL);
        kit_end(&kit);
}

/* Who can be adopted comes first, and comes back among the members. */
Test(departure, of_orphans_shows_them_first) {
        Member *members[5];
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        endpoint = open_members(&kit, members, 5);
        for (int i = 0; i < 5; i++)
                member_set_holder(members[i], kit.subject);
        for (int i = 0; i < 4; i++) {
                members[i]->orphan = i % 2 ? MEMBER_ORPHAN_DEPARTING : MEMBER_ORPHAN_NOT;
                departure_begin(departures_of(&kit), members[i]);
        }
        cr_assert(eq(sz, count_members(endpoint), 1));
        for (int i = 3; i > 0; i -= 2) {
                cr_assert(eq(ptr, endpoint_orphan(endpoint), members[i]));
                departure_cancel(departures_of(&kit), members[i]);
                cr_assert(eq(ptr, TAILQ_FIRST(&endpoint->members), members[i]));
                cr_assert(eq(ptr, endpoint_orphan(endpoint), members[i]));
                members[i]->orphan = MEMBER_ORPHAN_NOT;
        }
        cr_assert(eq(ptr, endpoint_orphan(endpoint), NULL));
        cr_assert(eq(sz, count_members(endpoint), 3));
        kit_depart(&kit);
        cr_assert(eq(sz, count_members(endpoint), 3));
        kit_end(&kit);
}

Test(departure, of_many_endpoints_is_one_queue) {
        Member *members[6];
        Kit kit;

        kit_init(&kit, 1000);
        open_members(&kit, members, 3);
        open_members(&kit, members + 3, 3);
        for (size_t i = 0; i < 6; i++)
                if (i % 3 != 0)
                        departure_begin(departures_of(&kit), members[i]);
        kit_depart(&kit);
        for (size_t i = 0; i < 6; i += 3) {
                cr_assert(eq(sz, count_members(members[i]->endpoint), 1));
                endpoint_close(members[i]->endpoint, NULL);
        }
        kit_end(&kit);
}
