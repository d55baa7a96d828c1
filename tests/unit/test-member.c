/* SPDX-License-Identifier: BSD-2-Clause */

/* Every way from one state to another, the odd ones first, and what becomes of that which waits. */

#include "daemon/member.h"

#include "tests/unit/group-kit.h"

/* A roundRobin group of two that live. */
typedef struct Two {
        Kit kit;
        Lease *leases[2];
        Member *members[2];
        Endpoint *endpoint;
} Two;

static void two_begin(Two *two, const char *network, uint64_t retain_usec) {
        kit_begin(&two->kit);
        two->leases[0] = kit_found(&two->kit, network, STEERING_ROUND_ROBIN, retain_usec);
        two->endpoint = two->leases[0]->member->endpoint;
        two->leases[1] = kit_follow(&two->kit, two->endpoint);
        for (int i = 0; i < 2; i++)
                two->members[i] = two->leases[i]->member;
}

/* Both UDP members are lost, and kept. */
static void two_park(Two *two) {
        for (int i = 0; i < 2; i++)
                kit_lose(two->leases[i]);
        kit_expect_told(&two->kit, "released parked released parked ");
}

static void adopt(Kit *kit, Member *member) {
        member_adopt(member, MEMBER_WEIGHT_DEFAULT);
        lease_commit(kit_lease(kit, member, NULL), true);
        kit_expect_told(kit, "adopted ");
}

static void retain_over(Kit *kit, const Member *member) {
        cr_assert(ge(int, sd_event_source_set_time(member->retain_timer, 1), 0));
        kit_turn(kit);
}

/* A turn of the loop may be too late for the 5 ms: nobody departs before kit_depart(). */
static void linger(Member *member) {
        cr_assert(member->departure.waiting);
        member->departure.close_usec += KIT_RETAIN_USEC;
}

TestSuite(member, .timeout = 10);

/* ---- undone -------------------------------------------------------------------------------------- */

Test(member, new_one_undone_was_never_there) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Member *member;
        Two two;

        for (int i = 0; i < 2; i++) {
                two_begin(&two, networks[i], KIT_RETAIN_USEC);
                member = kit_join(two.endpoint);
                kit_expect_shares((Member *[]){ two.members[0], two.members[1], member }, "222");
                lease_end(kit_lease(&two.kit, member, NULL), MEMBER_LEAVE_UNDONE, NULL);
                cr_assert(eq(ptr, endpoint_orphan(two.endpoint), NULL));
                kit_expect_shares(two.members, "33");
                kit_depart(&two.kit);
                kit_expect_told(&two.kit, "");
                cr_assert(eq(sz, two.endpoint->n_members, 2));
                /* What had come to it goes to the others. */
                cr_assert(
                        eq(sz, kit_serve(two.members[0]) + kit_serve(two.members[1]), i == 0 ? 12 : 10));
                kit_end(&two.kit);
        }
}

Test(member, first_one_undone_leaves_no_endpoint) {
        Kit kit;

        kit_begin(&kit);
        lease_end(kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 1), NULL),
                  MEMBER_LEAVE_UNDONE, NULL);
        cr_assert(zero(sz, endpoint_registry_count(&kit.services.endpoints)));
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(member, adoption_of_a_parked_one_undone_parks_it_again) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Member *member;
        uint64_t until;
        Lease *lease;
        Kit kit;

        for (int i = 0; i < 2; i++) {
                kit_begin(&kit);
                lease = kit_found(&kit, networks[i], STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
                member = lease->member;
                kit_lose(lease);
                kit_expect_told(&kit, "released parked ");
                kit_flows(member->endpoint, 3);
                until = member->retain_until_usec;
                for (int k = 0; k < 3; k++) {
                        member_adopt(member, 1);
                        lease_end(kit_lease(&kit, member, NULL), MEMBER_LEAVE_UNDONE, NULL);
                        cr_assert(eq(int, member->state, MEMBER_PARKED));
                        cr_assert(eq(u64, member->retain_until_usec, until));
                        cr_assert(eq(ptr, endpoint_orphan(member->endpoint), member));
                }
                kit_expect_told(&kit, "");
                kit_expect_shares(&member, "3");
                adopt(&kit, member);
                cr_assert(eq(sz, kit_serve(member), 6));
                kit_end(&kit);
        }
}

Test(member, adoption_of_a_departing_one_undone_lets_it_depart) {
        Two two;

        two_begin(&two, "tcp4", KIT_RETAIN_USEC);
        kit_expect_shares(two.members, "33");
        kit_lose(two.leases[0]);
        for (int k = 0; k < 3; k++) {
                cr_assert(eq(ptr, endpoint_orphan(two.endpoint), two.members[0]));
                member_adopt(two.members[0], 1);
                cr_assert(not(two.members[0]->departure.waiting));
                lease_end(kit_lease(&two.kit, two.members[0], NULL), MEMBER_LEAVE_UNDONE, NULL);
                linger(two.members[0]);
                kit_expect_shares(two.members, "02");
        }
        kit_depart(&two.kit);
        kit_expect_told(&two.kit, "released ");
        cr_assert(eq(sz, two.endpoint->n_members, 1));
        cr_assert(eq(sz, kit_serve(two.members[1]), 12));
        kit_end(&two.kit);
}

/* ---- not kept ------------------------------------------------------------------------------------ */

Test(member, released_is_kept_for_nobody) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Two two;

        for (int i = 0; i < 2; i++) {
                two_begin(&two, networks[i], KIT_RETAIN_USEC);
                kit_release(two.leases[0]);
                linger(two.members[0]);
                cr_assert(eq(ptr, endpoint_orphan(two.endpoint), NULL));
                kit_expect_shares(two.members, "04");
                kit_release(two.leases[1]);
                kit_expect_told(&two.kit, "released released closed ");
                cr_assert(zero(sz, endpoint_registry_count(&two.kit.services.endpoints)));
                kit_end(&two.kit);
        }
}

Test(member, lost_without_retention_is_kept_for_nobody) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Two two;

        for (int i = 0; i < 2; i++) {
                two_begin(&two, networks[i], 0);
                kit_lose(two.leases[0]);
                cr_assert(eq(ptr, endpoint_orphan(two.endpoint), NULL));
                kit_expect_shares(two.members, "04");
                kit_depart(&two.kit);
                kit_lose(two.leases[1]);
                kit_expect_told(&two.kit, "released released closed ");
                kit_end(&two.kit);
        }
}

/* A new generation that never says that it is ready changes nothing, and goes away with its process. */
Test(member, standing_by_and_lost_is_not_parked) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Lease *standby;
        Two two;

        for (int i = 0; i < 2; i++) {
                two_begin(&two, networks[i], KIT_RETAIN_USEC);
                standby = kit_stand_by(&two.kit, two.endpoint);
                kit_expect_shares(two.members, "33");
                kit_lose(standby);
                kit_depart(&two.kit);
                kit_expect_told(&two.kit, "released ");
                kit_expect_shares(two.members, "33");
                standby = kit_stand_by(&two.kit, two.endpoint);
                kit_release(two.leases[0]);
                kit_release(two.leases[1]);
                kit_lose(standby);
                kit_expect_told(&two.kit, "released released released closed ");
                cr_assert(zero(sz, endpoint_registry_count(&two.kit.services.endpoints)));
                kit_end(&two.kit);
        }
}

Test(member, live_one_is_not_made_ready) {
        Two two;

        two_begin(&two, "tcp4", 0);
        member_ready(two.members[0], two.leases[0]);
        kit_expect_told(&two.kit, "");
        member_drain(two.members[0]);
        member_ready(two.members[0], two.leases[0]);
        member_ready(two.members[0], two.leases[0]);
        kit_expect_told(&two.kit, "readied ");
        kit_end(&two.kit);
}

/* ---- orphans ------------------------------------------------------------------------------------- */

/* Whoever may share an endpoint is given what waits there, whose it was: see judge_may_join(). */
Test(member, orphans_are_for_whoever_comes_the_last_one_lost_first) {
        Two two;

        two_begin(&two, "udp4", KIT_RETAIN_USEC);
        two_park(&two);
        cr_assert(eq(ptr, endpoint_orphan(two.endpoint), two.members[1]));
        adopt(&two.kit, two.members[1]);
        cr_assert(eq(ptr, endpoint_orphan(two.endpoint), two.members[0]));
        adopt(&two.kit, two.members[0]);
        cr_assert(eq(ptr, endpoint_orphan(two.endpoint), NULL));
        kit_expect_shares(two.members, "55");
        kit_end(&two.kit);
}

Test(member, time_of_one_orphan_is_not_the_other_s) {
        Two two;

        for (int first = 0; first < 2; first++) {
                two_begin(&two, "udp4", KIT_RETAIN_USEC);
                two_park(&two);
                retain_over(&two.kit, two.members[first]);
                kit_expect_told(&two.kit, "closed ");
                kit_depart(&two.kit);
                cr_assert(eq(sz, two.endpoint->n_members, 1));
                cr_assert(eq(ptr, endpoint_orphan(two.endpoint), two.members[1 - first]));
                kit_expect_shares(&two.members[1 - first], "4");
                retain_over(&two.kit, two.members[1 - first]);
                kit_expect_told(&two.kit, "closed ");
                cr_assert(zero(sz, endpoint_registry_count(&two.kit.services.endpoints)));
                kit_end(&two.kit);
        }
}

/* While the one departs, a client that comes is given the other. */
Test(member, orphan_is_found_behind_one_whose_time_is_over) {
        Two two;

        for (int first = 0; first < 2; first++) {
                two_begin(&two, "udp4", KIT_RETAIN_USEC);
                two_park(&two);
                cr_assert(ge(int, sd_event_source_set_time(two.members[first]->retain_timer, 1), 0));
                cr_assert(gt(int, sd_event_run(two.kit.services.event, 0), 0));
                linger(two.members[first]);
                cr_assert(eq(ptr, endpoint_orphan(two.endpoint), two.members[1 - first]));
                cr_assert(eq(ptr, endpoint_parked_member(two.endpoint), two.members[1 - first]));
                kit_end(&two.kit);
        }
}

Test(member, all_orphans_can_end_at_once) {
        Two two;

        two_begin(&two, "udp4", KIT_RETAIN_USEC);
        two_park(&two);
        for (int i = 0; i < 2; i++)
                cr_assert(ge(int, sd_event_source_set_time(two.members[i]->retain_timer, 1), 0));
        kit_turn(&two.kit);
        kit_expect_told(&two.kit, "closed closed ");
        cr_assert(zero(sz, endpoint_registry_count(&two.kit.services.endpoints)));
        kit_end(&two.kit);
}

Test(member, departing_one_that_is_adopted_stays) {
        Two two;

        two_begin(&two, "tcp4", KIT_RETAIN_USEC);
        kit_expect_shares(two.members, "33");
        kit_lose(two.leases[0]);
        kit_expect_told(&two.kit, "released ");
        cr_assert(eq(ptr, endpoint_orphan(two.endpoint), two.members[0]));
        adopt(&two.kit, two.members[0]);
        cr_assert(eq(ptr, endpoint_orphan(two.endpoint), NULL));
        kit_elapse(&two.kit, &two.kit.services.endpoints.departures.timer);
        cr_assert(eq(sz, two.endpoint->n_members, 2));
        kit_expect_shares(two.members, "33");
        cr_assert(eq(sz, kit_serve(two.members[0]), 6));
        kit_end(&two.kit);
}

/* The last live one goes while the one before is still about to be closed. */
Test(member, all_lost_in_a_row_lose_no_connection) {
        Two two;

        two_begin(&two, "tcp4", KIT_RETAIN_USEC);
        kit_expect_shares(two.members, "33");
        kit_lose(two.leases[0]);
        kit_lose(two.leases[1]);
        kit_expect_told(&two.kit, "released released parked ");
        kit_depart(&two.kit);
        cr_assert(eq(sz, two.endpoint->n_members, 1));
        kit_expect_shares(two.members + 1, "3");
        adopt(&two.kit, two.members[1]);
        cr_assert(eq(sz, kit_serve(two.members[1]), 9));
        kit_end(&two.kit);
}

Test(member, draining_one_that_is_lost_is_parked_for_want_of_a_live_one) {
        Two two;

        two_begin(&two, "tcp4", KIT_RETAIN_USEC);
        kit_expect_shares(two.members, "33");
        for (int i = 0; i < 2; i++)
                member_drain(two.members[i]);
        kit_lose(two.leases[0]);
        kit_expect_told(&two.kit, "released parked ");
        kit_expect_shares(two.members, "30");
        /* And relieved as soon as there is one. */
        member_ready(two.members[1], two.leases[1]);
        kit_expect_told(&two.kit, "readied ");
        kit_expect_shares(two.members, "03");
        kit_depart(&two.kit);
        cr_assert(eq(sz, kit_serve(two.members[1]), 12));
        kit_end(&two.kit);
}

/* ---- what waits ---------------------------------------------------------------------------------- */

Test(member, that_leaves_hands_its_connections_on) {
        static const char *const networks[] = { "tcp4", "tcp6" };
        Two two;

        for (int i = 0; i < 4; i++) {
                two_begin(&two, networks[i % 2], KIT_RETAIN_USEC);
                kit_expect_shares(two.members, "99");
                if (i < 2)
                        kit_lose(two.leases[0]);
                else
                        kit_release(two.leases[0]);
                kit_depart(&two.kit);
                cr_assert(eq(sz, kit_serve(two.members[1]), 18));
                kit_end(&two.kit);
        }
}

Test(member, parked_hands_its_connections_to_who_goes_live) {
        Member *members[3];
        Lease *leases[3];
        Kit kit;

        kit_begin(&kit);
        leases[0] = kit_found(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
        members[0] = leases[0]->member;
        leases[1] = kit_stand_by(&kit, members[0]->endpoint);
        members[1] = leases[1]->member;
        kit_expect_shares(members, "40");
        kit_lose(leases[0]);
        kit_expect_told(&kit, "released parked ");
        kit_expect_shares(members, "40");
        member_ready(members[1], leases[1]);
        kit_expect_told(&kit, "readied ");
        cr_assert(members[0]->departure.waiting);
        kit_depart(&kit);
        cr_assert(eq(sz, kit_serve(members[1]), 8));
        cr_assert(eq(sz, members[1]->endpoint->n_members, 1));
        kit_end(&kit);
}

/* Datagrams do not move: they wait, off the list, for who adopts. */
Test(member, parked_keeps_its_datagrams) {
        Lease *standby;
        Two two;

        two_begin(&two, "udp4", KIT_RETAIN_USEC);
        kit_expect_shares(two.members, "33");
        kit_lose(two.leases[0]);
        kit_expect_told(&two.kit, "released parked ");
        standby = kit_stand_by(&two.kit, two.endpoint);
        member_ready(standby->member, standby);
        kit_expect_told(&two.kit, "readied ");
        cr_assert(eq(int, two.members[0]->state, MEMBER_PARKED));
        kit_expect_shares((Member *[]){ two.members[0], two.members[1], standby->member }, "022");
        adopt(&two.kit, two.members[0]);
        cr_assert(eq(sz, kit_serve(two.members[0]), 3));
        kit_expect_shares((Member *[]){ two.members[0], two.members[1], standby->member }, "222");
        kit_end(&two.kit);
}

/* Generations overlap, and several at once. */
Test(member, generations_come_and_go_without_a_loss) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Member *members[6];
        Lease *leases[6];
        Kit kit;

        for (int i = 0; i < 2; i++) {
                Endpoint *endpoint;
                size_t served = 0;

                kit_begin(&kit);
                leases[0] = kit_found(&kit, networks[i], STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
                members[0] = leases[0]->member;
                endpoint = members[0]->endpoint;
                for (int k = 1; k < 6; k++) {
                        leases[k] = kit_stand_by(&kit, endpoint);
                        members[k] = leases[k]->member;
                        kit_expect_shares(members + k - 1, "50");
                        member_ready(members[k], leases[k]);
                        kit_expect_shares(members + k - 1, "33");
                        member_drain(members[k - 1]);
                        kit_expect_shares(members + k - 1, "05");
                        served += kit_serve(members[k - 1]);
                        kit_release(leases[k - 1]);
                        kit_depart(&kit);
                        kit.told[0] = '\0';
                }
                cr_assert(eq(sz, served + kit_serve(members[5]), 5 * 16));
                cr_assert(eq(sz, endpoint->n_members, 1));
                kit_end(&kit);
        }
}

/* Whoever was to inherit has gone while the answer was under way: it must not depart as the last. */
Test(member, undone_as_the_last_is_kept_or_closes_the_endpoint) {
        static const uint64_t retained[] = { KIT_RETAIN_USEC, 0 };
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 2; i++) {
                Lease *first = kit_found(&kit, "tcp4", STEERING_HASH, KIT_RETAIN_USEC), *second, *undone;
                Endpoint *endpoint = first->member->endpoint;
                Member *member;

                second = kit_follow(&kit, endpoint);
                member = second->member;
                kit_lose(second);
                member_adopt(member, MEMBER_WEIGHT_DEFAULT);
                undone = kit_lease(&kit, member, NULL);
                kit_release(first);
                kit_depart(&kit);
                endpoint->retain_usec = retained[i];
                lease_end(undone, MEMBER_LEAVE_UNDONE, NULL);
                if (retained[i] > 0) {
                        cr_assert(eq(ptr, endpoint_parked_member(endpoint), member));
                        cr_assert(eq(sz, endpoint->n_members, 1));
                        kit_expect_told(&kit, "released released parked ");
                        endpoint_close(endpoint, NULL);
                } else {
                        kit_expect_told(&kit, "released released ");
                }
                cr_assert(zero(sz, endpoint_registry_count(&kit.services.endpoints)));
        }
        kit_end(&kit);
}
