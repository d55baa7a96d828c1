/* SPDX-License-Identifier: BSD-2-Clause */

/* Who has stalled, and who has not: who is new, who has nothing to do, who accepts however slowly. Most
 * of the time that passes here is written into the members. */

#include "daemon/health.h"

#include "tests/unit/group-kit.h"

static HealthMonitor *monitor_of(Kit *kit) {
        return &kit->services.endpoints.health;
}

/* A look at all groups that are awake, as if so much time had passed since the last. */
static void look_after(Kit *kit, Member *const members[], size_t n, uint64_t usec) {
        for (size_t i = 0; i < n; i++) {
                Member *member = members[i];

                member->endpoint->group.health.looked_usec = 1;
                if (member->health.progress_usec > usec)
                        member->health.progress_usec -= usec;
        }
        kit_elapse(kit, &monitor_of(kit)->timer);
}

static void look(Kit *kit, Member *const members[], size_t n) {
        look_after(kit, members, n, HEALTH_PERIOD_USEC);
}

static bool is_awake(const Member *member) {
        return member->endpoint->group.health.awake;
}

/* Two members of a roundRobin group that had a flow each, and have been looked at once. */
static void begin(Kit *kit, Member *members[2]) {
        kit_begin(kit);
        kit_found_group(kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC, members, 2);
        kit_expect_shares(members, "11");
        kit_turn(kit);
        cr_assert(is_awake(members[0]));
        look(kit, members, 2);
        cr_assert(eq(int, (int)members[0]->health.queue, 1));
}

TestSuite(health, .timeout = 20);

/* ---- who has not stalled ------------------------------------------------------------------------- */

Test(health, is_nobody_s_concern_without_steering) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        kit_flows(member->endpoint, 5);
        kit_turn(&kit);
        cr_assert(not(is_awake(member)));
        cr_assert(not(monitor_of(&kit)->timer.armed));
        kit_end(&kit);
}

Test(health, of_an_idle_group_is_not_asked) {
        Member *members[2];
        Kit kit;

        kit_begin(&kit);
        kit_found_group(&kit, "tcp4", STEERING_LEAST_LOAD, KIT_RETAIN_USEC, members, 2);
        kit_turn(&kit);
        cr_assert(not(is_awake(members[0])));
        cr_assert(not(monitor_of(&kit)->timer.armed));
        /* It falls asleep when all is served, and wakes up again. */
        for (int round = 0; round < 3; round++) {
                kit_flows(members[0]->endpoint, 2);
                kit_turn(&kit);
                cr_assert(is_awake(members[0]));
                look(&kit, members, 2);
                cr_assert(is_awake(members[0]));
                cr_assert(eq(sz, kit_serve(members[0]) + kit_serve(members[1]), 2));
                look(&kit, members, 2);
                cr_assert(not(is_awake(members[0])));
                cr_assert(not(monitor_of(&kit)->timer.armed));
        }
        kit_end(&kit);
}

Test(health, of_datagrams_is_asked_for_their_load_alone) {
        static const SteeringMode modes[] = { STEERING_HASH, STEERING_LEAST_LOAD };
        Member *member;
        Kit kit;

        for (int i = 0; i < 2; i++) {
                kit_begin(&kit);
                member = kit_found(&kit, "udp4", modes[i], 0)->member;
                kit_flows(member->endpoint, 5);
                kit_turn(&kit);
                cr_assert(eq(int, is_awake(member), modes[i] == STEERING_LEAST_LOAD));
                for (int k = 0; k < 3 && is_awake(member); k++) {
                        kit_flows(member->endpoint, 5);
                        look_after(&kit, &member, 1, 2 * HEALTH_STALL_USEC);
                }
                kit_expect_told(&kit, "");
                kit_end(&kit);
        }
}

Test(health, whose_queue_does_not_grow_has_not_stalled) {
        Member *members[2];
        Kit kit;

        begin(&kit, members);
        for (int i = 0; i < 5; i++)
                look_after(&kit, members, 2, 2 * HEALTH_STALL_USEC);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(health, who_accepts_slowly_has_not_stalled) {
        Member *members[2];
        Kit kit;

        begin(&kit, members);
        for (int i = 0; i < 5; i++) {
                kit_expect_shares(members, "33");
                for (int k = 0; k < 2; k++)
                        close(accept(members[k]->fd, NULL, NULL));
                look_after(&kit, members, 2, 2 * HEALTH_STALL_USEC);
        }
        cr_assert(eq(int, (int)members[0]->health.queue, 11));
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(health, who_did_not_have_time_has_not_stalled) {
        Member *members[2];
        Kit kit;

        begin(&kit, members);
        kit_expect_shares(members, "33");
        look_after(&kit, members, 2, HEALTH_STALL_USEC / 4);
        kit_expect_shares(members, "33");
        look_after(&kit, members, 2, HEALTH_STALL_USEC / 4);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

/* A process that has just got its socket need not have begun to accept at the next look. */
Test(health, who_is_new_in_a_group_that_is_awake_has_not_stalled) {
        Member *members[3];
        Kit kit;

        begin(&kit, members);
        members[2] = kit_follow(&kit, members[0]->endpoint)->member;
        kit_expect_shares(members, "222");
        look(&kit, members, 3);
        kit_expect_shares(members, "222");
        look(&kit, members, 3);
        kit_expect_told(&kit, "");
        look_after(&kit, members, 3, HEALTH_STALL_USEC);
        kit_expect_told(&kit, "stalled stalled stalled ");
        kit_end(&kit);
}

Test(health, who_drains_or_stands_by_does_not_stall) {
        Member *members[2];
        Kit kit;

        begin(&kit, members);
        kit_expect_shares(members, "33");
        for (int i = 0; i < 2; i++)
                member_drain(members[i]);
        look_after(&kit, members, 2, 2 * HEALTH_STALL_USEC);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(health, who_adopts_a_stalled_one_has_stalled_nothing) {
        Member *member;
        Lease *lease;
        Kit kit;

        kit_begin(&kit);
        lease = kit_found(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
        member = lease->member;
        kit_expect_shares(&member, "2");
        kit_turn(&kit);
        look(&kit, &member, 1);
        kit_expect_shares(&member, "2");
        look_after(&kit, &member, 1, 2 * HEALTH_STALL_USEC);
        kit_expect_told(&kit, "stalled ");
        kit_lose(lease);
        kit_expect_told(&kit, "released parked ");
        kit_expect_shares(&member, "2");
        look_after(&kit, &member, 1, 2 * HEALTH_STALL_USEC);
        member_adopt(member, MEMBER_WEIGHT_DEFAULT);
        lease_commit(kit_lease(&kit, member, NULL), true);
        kit_expect_told(&kit, "adopted ");
        cr_assert(not(member->health.stalled));
        kit_expect_shares(&member, "2");
        look_after(&kit, &member, 1, HEALTH_STALL_USEC / 2);
        look_after(&kit, &member, 1, HEALTH_STALL_USEC / 4);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

/* Groups wake up one after the other, and each look is in time all the same. */
Test(health, of_one_group_is_not_put_off_by_others) {
        Member *members[3];
        uint64_t due, then;
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 3; i++)
                members[i] = kit_found(&kit, "tcp4", STEERING_HASH, 0)->member;
        kit_flows(members[0]->endpoint, 1);
        kit_turn(&kit);
        cr_assert(ge(int, sd_event_source_get_time(monitor_of(&kit)->timer.source, &due), 0));
        for (int i = 1; i < 3; i++) {
                kit_flows(members[i]->endpoint, 1);
                kit_turn(&kit);
                cr_assert(is_awake(members[i]));
                cr_assert(ge(int, sd_event_source_get_time(monitor_of(&kit)->timer.source, &then), 0));
                cr_assert(le(u64, then, due));
        }
        kit_end(&kit);
}

Test(health, ends_with_its_group) {
        Lease *leases[2];
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 2; i++) {
                leases[i] = kit_found(&kit, "tcp4", STEERING_HASH, 0);
                kit_flows(leases[i]->member->endpoint, 3);
        }
        kit_turn(&kit);
        kit_release(leases[0]);
        kit_expect_told(&kit, "released closed ");
        kit_elapse(&kit, &monitor_of(&kit)->timer);
        kit_flows(leases[1]->member->endpoint, 1);
        kit_release(leases[1]);
        kit_turn(&kit);
        kit_expect_told(&kit, "released closed ");
        kit_end(&kit);
}

/* ---- who has ------------------------------------------------------------------------------------- */

Test(health, who_accepts_nothing_while_its_queue_grows_has_stalled) {
        Member *members[2];
        Kit kit;

        begin(&kit, members);
        for (int round = 0; round < 2; round++) {
                kit_expect_shares(members, "33");
                kit_serve(members[1]);
                look_after(&kit, members, 2, 2 * HEALTH_STALL_USEC);
                kit_expect_told(&kit, "stalled ");
                cr_assert(members[0]->health.stalled);
                kit_expect_shares(members, "05");
                kit_serve(members[1]);
                /* It is told once. */
                look_after(&kit, members, 2, 2 * HEALTH_STALL_USEC);
                kit_expect_told(&kit, "");
                cr_assert(is_awake(members[0]));

                close(accept(members[0]->fd, NULL, NULL));
                look(&kit, members, 2);
                kit_expect_told(&kit, "recovered ");
                kit_expect_shares(members, "22");
                kit_serve(members[1]);
                look(&kit, members, 2);
                kit_expect_told(&kit, "");
        }
        kit_end(&kit);
}

/* A queue that is full has no room to grow. */
Test(health, whose_queue_is_full_from_the_start_has_stalled) {
        Member *members[2];
        Kit kit;

        kit_begin(&kit);
        kit_found_group(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC, members, 2);
        cr_assert(zero(int, listen(members[0]->fd, 1)));
        kit_expect_shares(members, "22");
        kit_turn(&kit);
        look(&kit, members, 2);
        look_after(&kit, members, 2, 0);
        kit_expect_told(&kit, "");
        look_after(&kit, members, 2, 2 * HEALTH_STALL_USEC);
        kit_expect_told(&kit, "stalled ");
        kit_end(&kit);
}

Test(health, who_serves_all_at_once_has_recovered) {
        Member *members[2];
        Kit kit;

        begin(&kit, members);
        kit_expect_shares(members, "33");
        kit_serve(members[1]);
        look_after(&kit, members, 2, 2 * HEALTH_STALL_USEC);
        kit_expect_told(&kit, "stalled ");
        cr_assert(eq(sz, kit_serve(members[0]), 4));
        look(&kit, members, 2);
        kit_expect_told(&kit, "recovered ");
        kit_serve(members[1]);
        look(&kit, members, 2);
        cr_assert(not(is_awake(members[0])));
        kit_end(&kit);
}

/* A queue that is full grows no more, and what the kernel turns away was not accepted either. */
Test(health, who_lets_its_queue_run_full_has_stalled) {
        Member *member;
        int clients[8];
        Kit kit;

        kit_begin(&kit);
        member = kit_found(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC)->member;
        cr_assert(zero(int, listen(member->fd, 2)));
        kit_expect_shares(&member, "1");
        kit_turn(&kit);
        look(&kit, &member, 1);
        for (int i = 0; i < 8; i++)
                clients[i] = kit_start_connect(&member->endpoint->address);
        look_after(&kit, &member, 1, HEALTH_STALL_USEC / 2);
        for (int i = 0; i < 8; i++)
                close(clients[i]);
        for (int i = 0; i < 8; i++)
                clients[i] = kit_start_connect(&member->endpoint->address);
        look_after(&kit, &member, 1, HEALTH_STALL_USEC);
        kit_expect_told(&kit, "stalled ");
        for (int i = 0; i < 8; i++)
                close(clients[i]);
        kit_end(&kit);
}

static void serve_second(void *userdata) {
        Member *const *members = userdata;

        kit_flows(members[0]->endpoint, 1);
        kit_serve(members[1]);
}

/* In real time. */
Test(health, stall_is_told_in_time) {
        uint64_t start;
        Member *members[2];
        Kit kit;

        kit_begin(&kit);
        kit_found_group(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC, members, 2);
        start = clock_usec(CLOCK_MONOTONIC);
        kit_await_told(&kit, "stalled ", serve_second, members);
        cr_assert(ge(u64, clock_usec(CLOCK_MONOTONIC) - start, HEALTH_STALL_USEC));
        cr_assert(members[0]->health.stalled);
        cr_assert(not(members[1]->health.stalled));
        kit_serve(members[0]);
        kit_await_told(&kit, "recovered ", NULL, NULL);
        kit_end(&kit);
}

/* ---- leastLoad ----------------------------------------------------------------------------------- */

Test(health, load_makes_the_faster_one_take_nearly_all) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Member *members[2];
        Kit kit;

        for (int k = 0; k < 2; k++) {
                kit_begin(&kit);
                kit_found_group(&kit, networks[k], STEERING_LEAST_LOAD, KIT_RETAIN_USEC, members, 2);
                for (int i = 0; i < 200; i++) {
                        kit_flows(members[0]->endpoint, 1);
                        kit_serve(members[1]);
                        kit_turn(&kit);
                        if (monitor_of(&kit)->timer.armed)
                                kit_elapse(&kit, &monitor_of(&kit)->timer);
                }
                cr_assert(ge(u64, kit_given(members[1]), 198));
                /* Once both have nothing to do, they take turns. */
                cr_assert(gt(sz, kit_serve(members[0]), 0));
                kit_elapse(&kit, &monitor_of(&kit)->timer);
                kit_flows(members[0]->endpoint, 10);
                cr_assert(eq(sz, kit_serve(members[0]), 5));
                kit_end(&kit);
        }
}

Test(health, load_is_looked_at_more_often) {
        Member *member;
        uint64_t due;
        Kit kit;

        kit_begin(&kit);
        member = kit_found(&kit, "tcp4", STEERING_HASH, 0)->member;
        kit_flows(member->endpoint, 1);
        member = kit_found(&kit, "tcp4", STEERING_LEAST_LOAD, 0)->member;
        kit_flows(member->endpoint, 1);
        kit_turn(&kit);
        cr_assert(ge(int, sd_event_source_get_time(monitor_of(&kit)->timer.source, &due), 0));
        cr_assert(le(u64, due, clock_usec(CLOCK_MONOTONIC) + HEALTH_LOAD_PERIOD_USEC));
        kit_end(&kit);
}
