/* SPDX-License-Identifier: BSD-2-Clause */

/* Who is on the list, by what really comes to whom. */

#include "daemon/group.h"

#include <sys/epoll.h>

#include "daemon/endpoint-change.h"
#include "daemon/steering-abi.h"
#include "tests/unit/group-kit.h"

/* A roundRobin group of three that live. */
typedef struct Three {
        Kit kit;
        Lease *leases[3];
        Member *members[3];
        Endpoint *endpoint;
} Three;

static void three_begin(Three *three, const char *network) {
        kit_begin(&three->kit);
        three->leases[0] = kit_found(&three->kit, network, STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
        three->endpoint = three->leases[0]->member->endpoint;
        for (int i = 1; i < 3; i++)
                three->leases[i] = kit_follow(&three->kit, three->endpoint);
        for (int i = 0; i < 3; i++)
                three->members[i] = three->leases[i]->member;
        kit_expect_shares(three->members, "222");
}

static void set_weights(Three *three, const char *weights) {
        for (size_t i = 0; i < strlen(weights); i++)
                member_set_weight(three->members[i], (uint32_t)(weights[i] - '0'));
}

static void set_stalled(Three *three, const char *stalled) {
        for (size_t i = 0; i < strlen(stalled); i++)
                three->members[i]->health.stalled = stalled[i] == 's';
        cr_assert(zero(int, group_publish(three->endpoint)));
}

static const char *const networks[] = { "tcp4", "udp4", "tcp6", "udp6" };

TestSuite(group, .timeout = 10);

/* ---- what is not steered ------------------------------------------------------------------------- */

Test(group, that_is_not_steered_has_no_list) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        cr_assert(not(group_is_steered(member->endpoint)));
        cr_assert(eq(int, group_migrates(member->endpoint), group_migrate_req()));
        cr_assert(zero(int, group_publish(member->endpoint)));
        group_leave(member);
        group_rejoin(member);
        group_dissolve(member->endpoint);
        group_deinit(member->endpoint);
        group_deinit(member->endpoint);
        kit_flows(member->endpoint, 2);
        cr_assert(eq(sz, kit_serve(member), 2));
        kit_end(&kit);
}

Test(group, is_not_what_is_shared_or_exclusive) {
        static const Sharing kinds[] = { SHARING_SHARED, SHARING_EXCLUSIVE };
        int locked = -1;
        Member *member;
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 2; i++) {
                member = kit_acquire(&kit, "tcp4", "127.0.0.1:0", kinds[i], 0)->member;
                cr_assert(not(group_is_steered(member->endpoint)));
                cr_assert(not(group_migrates(member->endpoint)));
                cr_assert(zero(int, getsockopt(member->fd, SOL_SOCKET, SO_LOCK_FILTER, &locked,
                                               &(socklen_t){ sizeof(locked) })));
                cr_assert(zero(int, locked));
        }
        kit_end(&kit);
}

Test(group, is_refused_where_the_program_has_no_room) {
        SteeringGroup **groups = calloc(STEERING_GROUPS_MAX + 1, sizeof(*groups));
        Member *member;
        Address any, bound;
        Endpoint *endpoint;
        size_t n = 0;
        Kit kit;
        int fd;

        kit_begin(&kit);
        while (steering_group_new(kit.services.steering, STEERING_HASH, &kit, &groups[n]) == 0)
                n++;
        any = kit_address("udp4", "127.0.0.1:0");
        fd = kit_socket(&any, SHARING_GROUP, &bound);
        cr_assert(zero(int, kit_endpoint_new(&kit, &bound, NULL, SHARING_GROUP, NULL, KIT_RETAIN_USEC,
                                             &endpoint)));
        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(eq(int, member_enter(member, false, 1), GROUP_E_FULL));
        member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        cr_assert(zero(sz, endpoint_registry_count(&kit.services.endpoints)));
        while (n > 0)
                steering_group_free(groups[--n]);
        free(groups);
        kit_found(&kit, "udp4", STEERING_HASH, 0);
        kit_end(&kit);
}

Test(group, goes_without_a_sentinel_if_it_must) {
        Member *member, *other;
        Address bound;
        rlim_t limit;
        Kit kit;
        int fd, r;

        kit_begin(&kit);
        member = kit_found(&kit, "udp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC)->member;
        fd = kit_socket(&member->endpoint->address, SHARING_GROUP, &bound);
        cr_assert(zero(int, endpoint_add_member(member->endpoint, fd, &other)));
        limit = kit_refuse_fds(); /* for the sentinel */
        r = member_enter(other, false, MEMBER_WEIGHT_DEFAULT);
        kit_allow_fds(limit);
        cr_assert(zero(int, r));
        cr_assert(not(sentinel_is_open(&member->endpoint->group.sentinel)));
        kit_expect_shares((Member *[]){ member, other }, "22");
        member_leave(other, MEMBER_LEAVE_UNDONE, NULL);
        kit_depart(&kit);
        cr_assert(eq(sz, member->endpoint->n_members, 1));
        kit_expect_shares(&member, "3");
        kit_follow(&kit, member->endpoint);
        cr_assert(sentinel_is_open(&member->endpoint->group.sentinel));
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

/* ---- who takes nothing --------------------------------------------------------------------------- */

/* Datagrams that nobody takes are refused, as if nobody listened. */
Test(group, of_nobody_but_standby_refuses_datagrams) {
        Kit kit;

        kit_begin(&kit);
        for (size_t i = 1; i < 4; i += 2) {
                Lease *first = kit_found(&kit, networks[i], STEERING_ROUND_ROBIN, 0),
                      *second = kit_stand_by(&kit, first->member->endpoint);
                Member *member = second->member;
                int client = kit_connect(&member->endpoint->address);
                char byte;

                kit_release(first);
                kit_depart(&kit);
                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                cr_assert(lt(int, (int)recv(client, &byte, 1, 0), 0));
                cr_assert(eq(int, errno, ECONNREFUSED));
                cr_assert(zero(sz, kit_serve(member)));
                member_ready(member, second);
                group_settle(&kit.services.endpoints);
                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                cr_assert(eq(sz, kit_serve(member), 1));
                close(client);
                kit_release(second);
                kit_expect_told(&kit, "released readied released closed ");
        }
        kit_end(&kit);
}

/* Connections wait for the first that is ready. */
Test(group, of_nobody_but_standby_loses_no_connection) {
        int clients[5];
        Kit kit;

        kit_begin(&kit);
        for (size_t i = 0; i < 4; i += 2) {
                Lease *first = kit_found(&kit, networks[i], STEERING_ROUND_ROBIN, 0),
                      *second = kit_stand_by(&kit, first->member->endpoint);
                Member *member = second->member;

                for (int round = 0; round < 3; round++) {
                        if (round == 0)
                                kit_release(first);
                        else
                                member_drain(member);
                        group_settle(&kit.services.endpoints);
                        for (int k = 0; k < 5; k++)
                                clients[k] = kit_connect(&member->endpoint->address);
                        kit_turn(&kit);
                        kit_depart(&kit);
                        cr_assert(zero(sz, kit_serve(member)));
                        kit.told[0] = '\0';
                        member_ready(member, second);
                        kit_expect_told(&kit, "readied ");
                        cr_assert(eq(sz, kit_serve(member), 5));
                        for (int k = 0; k < 5; k++)
                                close(clients[k]);
                        kit_expect_shares(&member, "3");
                        cr_assert(eq(sz, kit_serve(member), 3));
                }
                kit_turn(&kit);
                kit_release(second);
                kit_expect_told(&kit, "released closed ");
        }
        kit_end(&kit);
}

Test(group, member_that_stands_by_or_drains_takes_nothing) {
        Three three;

        for (int i = 0; i < 4; i++) {
                Lease *standby;
                Member *members[4];

                three_begin(&three, networks[i]);
                standby = kit_stand_by(&three.kit, three.endpoint);
                memcpy(members, three.members, sizeof(three.members));
                members[3] = standby->member;
                kit_expect_shares(members, "3330");
                member_drain(members[1]);
                kit_expect_shares(members, "3030");
                member_ready(members[3], standby);
                kit_expect_shares(members, "3033");
                member_ready(members[1], three.leases[1]);
                kit_expect_shares(members, "3333");
                kit_end(&three.kit);
        }
}

Test(group, orphan_beside_the_living_takes_nothing) {
        Three three;

        for (int i = 0; i < 2; i++) {
                three_begin(&three, networks[i]);
                kit_lose(three.leases[1]);
                cr_assert(eq(int, three.members[1]->state, i == 0 ? MEMBER_DRAINING : MEMBER_PARKED));
                kit_expect_shares(three.members, "303");
                kit_end(&three.kit);
        }
}

/* ---- who takes flows for want of others ---------------------------------------------------------- */

Test(group, shares_are_as_the_weights_say) {
        static const char *const rounds[][2] = {
                { "112", "224" },
                { "121", "242" },
                { "311", "622" },
                { "555", "333" },
        };
        Three three;

        for (int i = 0; i < 4; i++) {
                three_begin(&three, networks[i]);
                for (size_t k = 0; k < sizeof(rounds) / sizeof(rounds[0]); k++) {
                        set_weights(&three, rounds[k][0]);
                        kit_expect_shares(three.members, rounds[k][1]);
                }
                kit_end(&three.kit);
        }
}

Test(group, member_without_weight_takes_nothing_but_alone) {
        Three three;

        three_begin(&three, "udp4");
        set_weights(&three, "110");
        kit_expect_shares(three.members, "330");
        set_weights(&three, "010");
        kit_expect_shares(three.members, "050");
        set_weights(&three, "000");
        kit_expect_shares(three.members, "333");
        kit_release(three.leases[0]);
        kit_release(three.leases[1]);
        kit_expect_shares(three.members + 2, "4");
        kit_depart(&three.kit);
        kit_expect_shares(three.members + 2, "4");
        kit_end(&three.kit);
}

Test(group, stalled_members_take_nothing_but_among_themselves) {
        Three three;

        three_begin(&three, "udp4");
        set_stalled(&three, "s--");
        kit_expect_shares(three.members, "033");
        set_weights(&three, "110");
        kit_expect_shares(three.members, "050");
        set_stalled(&three, "ss-");
        kit_expect_shares(three.members, "005");
        /* Whatever their weights. */
        set_weights(&three, "102");
        set_stalled(&three, "sss");
        kit_expect_shares(three.members, "224");
        set_stalled(&three, "---");
        kit_expect_shares(three.members, "204");
        kit_end(&three.kit);
}

Test(group, parked_members_take_flows_while_nobody_lives) {
        Lease *standby;
        Three three;

        three_begin(&three, "udp4");
        kit_lose(three.leases[0]);
        kit_lose(three.leases[1]);
        kit_expect_told(&three.kit, "released parked released parked ");
        standby = kit_stand_by(&three.kit, three.endpoint);
        kit_expect_shares(three.members, "005");
        kit_lose(three.leases[2]);
        kit_expect_shares(three.members, "222");
        cr_assert(zero(u64, kit_given(standby->member)));
        cr_assert(not(group_has_live(three.endpoint, NULL)));
        member_ready(standby->member, standby);
        kit_expect_shares(&standby->member, "4");
        cr_assert(group_has_live(three.endpoint, NULL));
        cr_assert(not(group_has_live(three.endpoint, standby->member)));
        kit_end(&three.kit);
}

Test(group, last_one_parks_and_takes_all) {
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 4; i++) {
                Lease *lease = kit_found(&kit, networks[i], STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
                Member *member = lease->member;

                kit_lose(lease);
                kit_expect_told(&kit, "released parked ");
                kit_expect_shares(&member, "5");
                cr_assert(eq(sz, kit_serve(member), 5));
        }
        kit_end(&kit);
}

/* ---- founded otherwise --------------------------------------------------------------------------- */

/* Its first member was bound without SO_REUSEPORT, so as to find a port that nobody has. */
Test(group, that_got_its_port_by_search_is_steered) {
        static const char *const searches[] = { "tcp4", "udp4" };
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 2; i++) {
                SocketSpec spec = { .address = kit_address(searches[i], "127.0.0.1:0"),
                                    .sharing = SHARING_GROUP,
                                    .unused_port = true };
                Member *members[2];
                SocketFailure failure;
                Endpoint *endpoint;
                Address bound;
                int fd;

                cr_assert(zero(int, socket_factory_open(&spec, &fd, &bound, &failure)));
                cr_assert(zero(int,
                               kit_endpoint_new(&kit, &bound, NULL, SHARING_GROUP, NULL, 0, &endpoint)));
                endpoint->group.mode = STEERING_ROUND_ROBIN;
                cr_assert(zero(int, endpoint_add_member(endpoint, fd, &members[0])));
                cr_assert(zero(int, member_enter(members[0], false, MEMBER_WEIGHT_DEFAULT)));
                kit_expect_shares(members, "5");
                members[1] = kit_join(endpoint);
                kit_expect_shares(members, "44");
        }
        kit_end(&kit);
}

Test(group, refounded_is_steered_as_asked) {
        static const SteeringMode modes[] = { STEERING_HASH, STEERING_LEAST_LOAD, STEERING_ROUND_ROBIN };
        Kit kit;

        kit_begin(&kit);
        for (int i = 0; i < 4; i++) {
                Lease *lease = kit_found(&kit, networks[i], STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
                Member *members[2] = { lease->member };

                for (int k = 0; k < 3; k++) {
                        members[0]->endpoint->group.mode = modes[k];
                        cr_assert(zero(int, group_refound(members[0])));
                        kit_expect_shares(members, "5");
                }
                members[1] = kit_follow(&kit, members[0]->endpoint)->member;
                kit_expect_shares(members, "44");
        }
        kit_end(&kit);
}

Test(group, refounded_counts_on) {
        Lease *lease;
        Kit kit;

        kit_begin(&kit);
        lease = kit_found(&kit, "udp4", STEERING_ROUND_ROBIN, 0);
        kit_flows(lease->member->endpoint, 3);
        cr_assert(zero(int, group_refound(lease->member)));
        cr_assert(zero(u64, kit_given(lease->member)));
        kit_flows(lease->member->endpoint, 2);
        cr_assert(eq(u64, group_count_flows(lease->member), 5));
        kit_release(lease);
        kit_end(&kit);
}

/* Two are lost at once: one is parked, the other about to be closed. Who adopts the first may have the
 * endpoint steered otherwise, or be no group any more. */
Test(group, refounded_or_ended_lets_who_departs_depart) {
        static const Sharing sharings[] = { SHARING_GROUP, SHARING_SHARED, SHARING_EXCLUSIVE };
        Lease *leases[2], *lease;
        EndpointChange change;
        SocketFailure failure;
        Endpoint *endpoint;
        Member *member;
        Kit kit;

        for (int i = 0; i < 3; i++) {
                kit_begin(&kit);
                leases[0] = kit_found(&kit, "tcp4", STEERING_HASH, KIT_RETAIN_USEC);
                endpoint = leases[0]->member->endpoint;
                leases[1] = kit_follow(&kit, endpoint);
                member = leases[1]->member;
                kit_lose(leases[0]);
                kit_lose(leases[1]);
                cr_assert(eq(sz, endpoint->n_members, 1));

                member_adopt(member, MEMBER_WEIGHT_DEFAULT);
                lease = kit_lease(&kit, member, NULL);
                change = (EndpointChange){ 0 };
                endpoint_change_begin(&change, lease);
                cr_assert(zero(int, endpoint_change_reshape(&change, sharings[i], KIT_RETAIN_USEC, NULL,
                                                            &failure)));
                cr_assert(zero(int, endpoint_change_regroup(&change, STEERING_ROUND_ROBIN)));
                lease_commit(lease, true);
                endpoint_change_commit(&change);
                kit_depart(&kit);
                kit_flows(endpoint, 20);
                cr_assert(eq(sz, kit_serve(member), 20));
                kit_end(&kit);
        }
}

/* ----
 * waking ---------------------------------------------------------------------------------------- */

static int watch_edges(int fd) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLET };
        int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

        cr_assert(zero(int, epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)));
        return epoll_fd;
}

static bool is_woken(int epoll_fd) {
        struct epoll_event event;

        return epoll_wait(epoll_fd, &event, 1, 0) == 1;
}

Test(group, who_was_given_something_is_woken_and_nobody_else) {
        Member *members[2];
        int watches[2];
        Kit kit;

        kit_begin(&kit);
        kit_found_group(&kit, "tcp4", STEERING_ROUND_ROBIN, 0, members, 2);
        kit_flows(members[0]->endpoint, 2);
        group_note_flows(members[0]->endpoint);
        kit_flows(members[0]->endpoint, 1);
        for (int i = 0; i < 2; i++) {
                watches[i] = watch_edges(members[i]->fd);
                cr_assert(is_woken(watches[i]));
                cr_assert(not(is_woken(watches[i])));
        }
        group_nudge(members[0]->endpoint);
        cr_assert(ne(int, is_woken(watches[0]), is_woken(watches[1])));
        /* They listen as before. */
        kit_flows(members[0]->endpoint, 7);
        cr_assert(eq(sz, kit_serve(members[0]) + kit_serve(members[1]), 10));
        for (int i = 0; i < 2; i++)
                close(watches[i]);
        kit_end(&kit);
}

static void set_migrate_req(const char *value) {
        FILE *file = fopen("/proc/sys/net/ipv4/tcp_migrate_req", "we");

        if (!file)
                cr_skip_test("this kernel has no tcp_migrate_req");
        fputs(value, file);
        cr_assert(zero(int, fclose(file)));
}

/* Without steering the broker does not know who was given something, but whether anybody can
 * have been. */
Test(group, nobody_is_woken_where_nothing_moves) {
        Member *first;
        int watch;
        Kit kit;

        if (!kit_own_network())
                cr_skip_test("no network namespace of its own: needs root");
        kit_init(&kit, 1000);
        first = kit_found(&kit, "tcp4", STEERING_HASH, 0)->member;
        kit_flows(first->endpoint, 1);
        kit_follow(&kit, first->endpoint);
        watch = watch_edges(first->fd);
        cr_assert(is_woken(watch));
        for (int moves = 0; moves < 2; moves++) {
                set_migrate_req(moves ? "1" : "0");
                group_nudge(first->endpoint);
                cr_assert(eq(int, is_woken(watch), moves));
        }
        close(watch);
        kit_end(&kit);
}
