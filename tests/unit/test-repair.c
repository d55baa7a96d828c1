/* SPDX-License-Identifier: BSD-2-Clause */

/* A holder shuts down what it was given, in every state that the member can be in. */

#include "daemon/repair.h"

#include "tests/unit/group-kit.h"

/* As a holder can, with no privilege. */
static void shut_down(Kit *kit, const Member *member) {
        if (shutdown(member->fd, SHUT_RD) < 0)
                cr_assert(eq(int, errno, ENOTCONN)); /* UDP; it is done all the same */
        kit_turn(kit);
}

static void expect_none(const Kit *kit) {
        cr_assert(zero(sz, endpoint_registry_count(&kit->services.endpoints)));
}

TestSuite(repair, .timeout = 10);

/* ---- what cannot be repaired --------------------------------------------------------------------- */

Test(repair, of_what_is_no_tcp_is_its_end) {
        static const char *const kinds[][2] = {
                { "udp4", "127.0.0.1:0" },
                { "udp6", "[::1]:0" },
                { "unix", "@test-repair" },
                { "unixgram", "@test-repair" },
        };
        static const Sharing sharings[] = { SHARING_EXCLUSIVE, SHARING_SHARED };
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 4; i++)
                for (int k = 0; k < 2; k++) {
                        shut_down(&kit, kit_acquire(&kit, kinds[i][0], kinds[i][1], sharings[k],
                                                    KIT_RETAIN_USEC)
                                                ->member);
                        kit_expect_told(&kit, "released closed ");
                        expect_none(&kit);
                }
        kit_end(&kit);
}

/* The next client gets a new one at once. */
Test(repair, leaves_room_for_a_new_socket_on_the_path) {
        char folder[] = "/tmp/test-repair-XXXXXX", path[64];
        Member *member;
        Kit kit;

        kit_begin(&kit);
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, sizeof(path), "%s/socket", folder);
        for (int i = 0; i < 2; i++) {
                member = kit_acquire(&kit, "unix", path, SHARING_SHARED, KIT_RETAIN_USEC)->member;
                kit_flows(member->endpoint, 1);
                shut_down(&kit, member);
                kit_expect_told(&kit, "released closed ");
                cr_assert(lt(int, access(path, F_OK), 0));
        }
        cr_assert(zero(int, rmdir(folder)));
        kit_end(&kit);
}

Test(repair, of_a_shared_member_ends_it_for_all) {
        Member *member;
        Kit kit;

        kit_begin(&kit);
        member = kit_acquire(&kit, "unix", "@test-repair", SHARING_SHARED, KIT_RETAIN_USEC)->member;
        for (int i = 0; i < 3; i++)
                lease_commit(kit_lease(&kit, member, NULL), false);
        shut_down(&kit, member);
        kit_expect_told(&kit, "acquired acquired acquired "
                              "released released released released closed ");
        expect_none(&kit);
        kit_end(&kit);
}

Test(repair, of_one_udp_member_leaves_the_others_alone) {
        Member *members[3];
        Kit kit;

        kit_begin(&kit);
        kit_found_group(&kit, "udp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC, members, 3);
        shut_down(&kit, members[0]);
        kit_expect_told(&kit, "released ");
        kit_expect_shares(members + 1, "44");
        kit_depart(&kit);
        cr_assert(eq(sz, members[1]->endpoint->n_members, 2));
        kit_expect_shares(members + 1, "44");
        kit_end(&kit);
}

Test(repair, of_what_cannot_listen_again_is_its_end) {
        Address address;
        Member *member;
        int squatter;
        Kit kit;

        kit_begin(&kit);
        member = kit_acquire(&kit, "tcp4", kit_new_address("tcp4"), SHARING_EXCLUSIVE, KIT_RETAIN_USEC)
                         ->member;
        address = member->endpoint->address;
        cr_assert(zero(int, shutdown(member->fd, SHUT_RD)));
        /* Between the shutdown and the broker's turn somebody takes the port. */
        squatter = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, setsockopt(squatter, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int))));
        cr_assert(zero(int, bind(squatter, &address.u.sa, address.len)));
        cr_assert(zero(int, listen(squatter, 1)));
        kit_turn(&kit);
        kit_expect_told(&kit, "released closed ");
        expect_none(&kit);
        close(squatter);
        kit_end(&kit);
}

Test(repair, is_done_once_in_a_second) {
        static const Sharing sharings[] = { SHARING_EXCLUSIVE, SHARING_SHARED, SHARING_GROUP };
        Member *member;
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 3; i++) {
                member = kit_acquire(&kit, "tcp4", kit_new_address("tcp4"), sharings[i], KIT_RETAIN_USEC)
                                 ->member;
                for (int k = 0; k < 3; k++) {
                        shut_down(&kit, member);
                        kit_expect_told(&kit, "repaired ");
                        member->repaired_usec -= REPAIR_INTERVAL_USEC;
                }
                member->repaired_usec += REPAIR_INTERVAL_USEC;
                shut_down(&kit, member);
                kit_expect_told(&kit, "released closed ");
                expect_none(&kit);
        }
        kit_end(&kit);
}

/* ---- without a lease ----------------------------------------------------------------------------- */

/* A stray process still has it. */
Test(repair, of_a_parked_member_that_cannot_be_is_its_end) {
        Lease *lease;
        Kit kit;

        kit_begin(&kit);
        lease = kit_found(&kit, "udp4", STEERING_HASH, KIT_RETAIN_USEC);
        kit_lose(lease);
        kit_expect_told(&kit, "released parked ");
        shut_down(&kit, kit.services.endpoints.by_key->members.tqh_first);
        kit_expect_told(&kit, "closed ");
        expect_none(&kit);
        kit_end(&kit);
}

/* Of two that are parked, the other one can still be adopted. */
Test(repair, of_a_parked_member_leaves_the_other_orphan_alone) {
        Member *members[2];
        Lease *leases[2];
        Kit kit;

        for (int i = 0; i < 2; i++) {
                kit_begin(&kit);
                leases[0] = kit_found(&kit, "udp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
                leases[1] = kit_follow(&kit, leases[0]->member->endpoint);
                for (int k = 0; k < 2; k++) {
                        members[k] = leases[k]->member;
                        kit_lose(leases[k]);
                }
                kit_expect_told(&kit, "released parked released parked ");
                shut_down(&kit, members[i]);
                kit_expect_told(&kit, "closed ");
                cr_assert(eq(ptr, endpoint_orphan(members[0]->endpoint), members[1 - i]));
                cr_assert(eq(ptr, endpoint_parked_member(members[0]->endpoint), members[1 - i]));
                kit_expect_shares(&members[1 - i], "5");
                kit_depart(&kit);
                kit_expect_told(&kit, "");
                cr_assert(eq(sz, members[1 - i]->endpoint->n_members, 1));
                kit_end(&kit);
        }
}

Test(repair, of_a_parked_tcp_member_keeps_it) {
        Member *member;
        Lease *lease;
        Kit kit;

        kit_begin(&kit);
        lease = kit_found(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
        member = lease->member;
        kit_lose(lease);
        kit_expect_told(&kit, "released parked ");
        shut_down(&kit, member);
        kit_expect_told(&kit, "repaired ");
        cr_assert(eq(ptr, endpoint_orphan(member->endpoint), member));
        kit_flows(member->endpoint, 5);
        cr_assert(eq(sz, kit_serve(member), 5));
        kit_end(&kit);
}

/* Who released it shuts it down as well: there is nothing to repair, however often. */
Test(repair, of_who_departs_is_not_done) {
        static const char *const networks[] = { "tcp4", "tcp6", "udp4" };
        Member *members[2];
        Lease *leases[2];
        Kit kit;

        for (int i = 0; i < 3; i++)
                for (int lost = 0; lost < 2; lost++) {
                        if (lost && strstr(networks[i], "udp"))
                                continue; /* is parked */
                        kit_begin(&kit);
                        leases[0] = kit_found(&kit, networks[i], STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
                        leases[1] = kit_follow(&kit, leases[0]->member->endpoint);
                        for (int k = 0; k < 2; k++)
                                members[k] = leases[k]->member;
                        kit_expect_shares(members, "33");
                        lease_end(leases[0], lost ? MEMBER_LEAVE_LOST : MEMBER_LEAVE_RELEASED, "done");
                        kit_expect_told(&kit, "released ");
                        members[0]->departure.close_usec += KIT_RETAIN_USEC;
                        for (int k = 0; k < 3; k++)
                                shut_down(&kit, members[0]);
                        cr_assert(eq(ptr, endpoint_orphan(members[1]->endpoint), NULL));
                        kit_depart(&kit);
                        kit_expect_told(&kit, "");
                        cr_assert(eq(sz, members[1]->endpoint->n_members, 1));
                        /* What waited on a TCP one has moved. */
                        cr_assert(eq(sz, kit_serve(members[1]), i < 2 ? 6 : 3));
                        kit_end(&kit);
                }
}

/* ---- what can be repaired ------------------------------------------------------------------------ */

Test(repair, makes_tcp_listen_again) {
        static const char *const networks[] = { "tcp4", "tcp6" };
        static const Sharing sharings[] = { SHARING_EXCLUSIVE, SHARING_SHARED, SHARING_GROUP };
        Member *member;
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 6; i++) {
                member = kit_acquire(&kit, networks[i % 2], kit_new_address(networks[i % 2]),
                                     sharings[i / 2], 0)
                                 ->member;
                kit_flows(member->endpoint, 3);
                shut_down(&kit, member);
                kit_expect_told(&kit, "repaired ");
                kit_flows(member->endpoint, 5);
                cr_assert(eq(sz, kit_serve(member), 5));
        }
        kit_end(&kit);
}

Test(repair, in_a_group_loses_nothing) {
        static const char *const networks[] = { "tcp4", "tcp6" };
        Member *members[3];
        Kit kit;

        for (int i = 0; i < 2; i++) {
                kit_begin(&kit);
                kit_found_group(&kit, networks[i], STEERING_ROUND_ROBIN, KIT_RETAIN_USEC, members, 3);
                kit_expect_shares(members, "444");
                for (int k = 0; k < 3; k++) {
                        shut_down(&kit, members[k]);
                        kit_expect_told(&kit, "repaired ");
                }
                kit_expect_shares(members, "333");
                cr_assert(eq(sz, kit_serve(members[0]) + kit_serve(members[1]) + kit_serve(members[2]),
                             21));
                kit_end(&kit);
        }
}

/* It is repaired, and stays what it was. */
Test(repair, of_who_stands_by_or_drains_puts_nobody_on_the_list) {
        Member *members[3];
        Kit kit;

        kit_begin(&kit);
        kit_found_group(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC, members, 2);
        members[2] = kit_stand_by(&kit, members[0]->endpoint)->member;
        member_drain(members[1]);
        for (int i = 1; i < 3; i++) {
                shut_down(&kit, members[i]);
                /* Nothing waits, so the one that drains may have done so by now. */
                cr_assert(ne(ptr, strstr(kit.told, "repaired "), NULL), "%s", kit.told);
                kit.told[0] = '\0';
        }
        kit_expect_shares(members, "500");
        kit_end(&kit);
}

/* The kernel does not carry the program over for one that was alone in its group. */
Test(repair, of_a_steered_one_alone_keeps_it_steered) {
        Member *member;
        Kit kit;

        kit_begin(&kit);
        member = kit_found(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC)->member;
        shut_down(&kit, member);
        kit_expect_told(&kit, "repaired ");
        kit_expect_shares(&member, "5");
        kit_end(&kit);
}

Test(repair, of_one_alone_does_not_keep_others_from_being_steered) {
        Member *members[2];
        Kit kit;

        kit_begin(&kit);
        members[0] = kit_found(&kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC)->member;
        shut_down(&kit, members[0]);
        kit_expect_told(&kit, "repaired ");
        members[1] = kit_follow(&kit, members[0]->endpoint)->member;
        kit_expect_shares(members, "44");
        member_drain(members[0]);
        kit_expect_shares(members, "05");
        kit_end(&kit);
}
