/* SPDX-License-Identifier: BSD-2-Clause */

/* Any holder can take the program off its group: it is back as soon as something came to the sentinel,
 * and what came there is not lost. */

#include "daemon/sentinel.h"

#include "tests/unit/group-kit.h"

enum {
        CLIENTS_MAX = 200,
};

static void detach(const Member *member) {
        cr_assert(zero(int, setsockopt(member->fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &(int){ 0 },
                                       sizeof(int))));
}

static Sentinel *sentinel_of(const Member *member) {
        return &member->endpoint->group.sentinel;
}

/* One flow after the other, until somebody notices. Returns how many there were; TCP clients stay. */
static int flow_until_told(Kit *kit, const Endpoint *endpoint, int *clients) {
        int n = 0;

        while (n < CLIENTS_MAX && !kit->told[0]) {
                if (endpoint->address.transport == TRANSPORT_UDP)
                        kit_flows(endpoint, 1);
                else
                        clients[n] = kit_connect(&endpoint->address);
                n++;
                kit_turn(kit);
        }
        kit_expect_told(kit, "detached ");
        return n;
}

static void begin(Kit *kit, const char *network, Lease *leases[2], Member *members[2]) {
        kit_begin(kit);
        leases[0] = kit_found(kit, network, STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);
        leases[1] = kit_follow(kit, leases[0]->member->endpoint);
        for (int i = 0; i < 2; i++)
                members[i] = leases[i]->member;
}

TestSuite(sentinel, .timeout = 10);

Test(sentinel, that_was_never_opened_is_left_alone) {
        Sentinel sentinel = { 0 };

        cr_assert(not(sentinel_is_open(&sentinel)));
        sentinel_close(&sentinel);
        sentinel_close(&sentinel);
}

Test(sentinel, is_refused_without_a_descriptor) {
        Sentinel sentinel = { 0 };
        Member *member;
        rlim_t limit;
        Kit kit;
        int r;

        kit_begin(&kit);
        member = kit_found(&kit, "tcp4", STEERING_HASH, 0)->member;
        limit = kit_refuse_fds();
        r = sentinel_open(&sentinel, member->endpoint);
        kit_allow_fds(limit);
        cr_assert(eq(int, r, -EMFILE));
        cr_assert(not(sentinel_is_open(&sentinel)));
        kit_end(&kit);
}

Test(sentinel, of_one_alone_is_not_needed) {
        Lease *lease;
        Kit kit;

        kit_begin(&kit);
        lease = kit_found(&kit, "tcp4", STEERING_HASH, 0);
        cr_assert(not(sentinel_is_open(sentinel_of(lease->member))));
        detach(lease->member);
        kit_flows(lease->member->endpoint, 20);
        kit_turn(&kit);
        cr_assert(eq(sz, kit_serve(lease->member), 20));
        /* The second one brings the program back. */
        kit_lease(&kit, kit_join(lease->member->endpoint), NULL);
        member_drain(lease->member);
        kit_flows(lease->member->endpoint, 20);
        cr_assert(zero(sz, kit_serve(lease->member)));
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(sentinel, takes_nothing_while_the_program_is_there) {
        static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };
        Member *members[2];
        Lease *leases[2];
        Kit kit;

        for (int i = 0; i < 4; i++) {
                begin(&kit, networks[i], leases, members);
                cr_assert(sentinel_is_open(sentinel_of(members[0])));
                for (int k = 0; k < 10; k++)
                        kit_expect_shares(members, "55");
                cr_assert(not(kit_is_ready(sentinel_of(members[0])->alarm.fd, POLLIN)));
                kit_turn(&kit);
                kit_expect_told(&kit, "");
                kit_end(&kit);
        }
}

/* A program of the holder's own is refused, even after it took ours off. */
Test(sentinel, is_the_only_way_to_attach) {
        Member *members[2];
        Lease *leases[2];
        Kit kit;

        begin(&kit, "tcp4", leases, members);
        for (int i = 0; i < 2; i++) {
                detach(members[0]);
                cr_assert(eq(int,
                             steering_group_attach(members[0]->endpoint->group.steering, members[0]->fd),
                             -EPERM));
                cr_assert(lt(int,
                             setsockopt(members[1]->fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &(int){ 0 },
                                        sizeof(int)),
                             0));
                cr_assert(zero(int, steering_group_attach(members[0]->endpoint->group.steering,
                                                          sentinel_of(members[0])->alarm.fd)));
        }
        kit_expect_shares(members, "33");
        kit_end(&kit);
}

Test(sentinel, loses_no_connection) {
        static const char *const networks[] = { "tcp4", "tcp6" };
        static int clients[CLIENTS_MAX];
        Member *members[2];
        Lease *leases[2];
        Kit kit;

        for (int i = 0; i < 2; i++) {
                begin(&kit, networks[i], leases, members);
                for (int round = 0; round < 3; round++) {
                        size_t served;
                        int n;

                        detach(members[round % 2]);
                        n = flow_until_told(&kit, members[0]->endpoint, clients);
                        served = kit_serve(members[0]) + kit_serve(members[1]);
                        cr_assert(eq(sz, served, (size_t)n));
                        for (int k = 0; k < n; k++)
                                close(clients[k]);
                        kit_expect_shares(members, "33");
                        cr_assert(eq(sz, kit_serve(members[0]) + kit_serve(members[1]), 6));
                }
                kit_end(&kit);
        }
}

/* Many came before the broker had a turn. */
Test(sentinel, loses_no_connection_of_many) {
        static int clients[CLIENTS_MAX];
        Member *members[2];
        Lease *leases[2];
        size_t served;
        Kit kit;

        begin(&kit, "tcp4", leases, members);
        detach(members[0]);
        for (int i = 0; i < CLIENTS_MAX; i++)
                clients[i] = kit_connect(&members[0]->endpoint->address);
        kit_turn(&kit);
        kit_expect_told(&kit, "detached ");
        served = kit_serve(members[0]) + kit_serve(members[1]);
        cr_assert(eq(sz, served, CLIENTS_MAX));
        for (int i = 0; i < CLIENTS_MAX; i++)
                close(clients[i]);
        kit_end(&kit);
}

/* What came to the sentinel is lost, nothing after it. */
Test(sentinel, attaches_again_for_datagrams) {
        static const char *const networks[] = { "udp4", "udp6" };
        Member *members[2];
        Lease *leases[2];
        Kit kit;

        for (int i = 0; i < 2; i++) {
                begin(&kit, networks[i], leases, members);
                for (int round = 0; round < 3; round++) {
                        detach(members[0]);
                        flow_until_told(&kit, members[0]->endpoint, NULL);
                        kit_expect_shares(members, "33");
                        cr_assert(not(kit_is_ready(sentinel_of(members[0])->alarm.fd, POLLIN)));
                }
                kit_end(&kit);
        }
}

/* It came to whom it should not, and stays the list's business again at once. */
Test(sentinel, brings_the_list_back) {
        static int clients[CLIENTS_MAX];
        Member *members[3];
        Lease *leases[3];
        Kit kit;
        int n;

        begin(&kit, "tcp4", leases, members);
        leases[2] = kit_stand_by(&kit, members[0]->endpoint);
        members[2] = leases[2]->member;
        member_drain(members[1]);
        detach(members[0]);
        n = flow_until_told(&kit, members[0]->endpoint, clients);
        for (int i = 0; i < n; i++)
                close(clients[i]);
        kit_expect_shares(members, "500");
        kit_end(&kit);
}

Test(sentinel, goes_with_its_group) {
        Member *members[2];
        Lease *leases[2];
        Kit kit;

        begin(&kit, "tcp4", leases, members);
        detach(members[0]);
        kit_flows(members[0]->endpoint, 20);
        kit_release(leases[0]);
        kit_release(leases[1]);
        kit_turn(&kit);
        kit_expect_told(&kit, "released released closed ");
        kit_end(&kit);
}
