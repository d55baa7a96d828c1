/* SPDX-License-Identifier: BSD-2-Clause */

/* Each mode, with real sockets on the loopback: who gets which flows, and which stay when others go. */

#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>

#include "tests/unit/steering-kit.h"

static Kit kit;

TestSuite(steering_modes, .timeout = 60);

static void begin(SteeringMode mode, int type, size_t n) {
        kit_begin(&kit, mode, type, AF_INET, n);
}

Test(steering_modes, takes_turns_exactly_by_weight) {
        for (int i = 0; i < KIT_KINDS; i++) {
                kit_begin(&kit, STEERING_ROUND_ROBIN, kit_kinds[i].type, kit_kinds[i].family, 4);
                kit_list(&kit, "3201");
                kit_flows(&kit, 60);
                kit_collect(&kit, 60);
                cr_assert(eq(sz, KIT_GOT(&kit, 0), 30));
                cr_assert(eq(sz, KIT_GOT(&kit, 1), 20));
                cr_assert(eq(sz, KIT_GOT(&kit, 2), 0));
                cr_assert(eq(sz, KIT_GOT(&kit, 3), 10));
                kit_end(&kit);
        }
}

Test(steering_modes, serves_many_members) {
        begin(STEERING_ROUND_ROBIN, SOCK_STREAM, 32);
        kit_list(&kit, "11111111111111111111111111111111");
        kit_flows(&kit, 64);
        kit_collect(&kit, 64);
        for (int i = 0; i < 32; i++)
                cr_assert(eq(sz, KIT_GOT(&kit, i), 2));
        kit_end(&kit);
}

Test(steering_modes, shares_hashes_out_by_weight) {
        uint64_t n;

        begin(STEERING_HASH, SOCK_DGRAM, 2);
        kit_list(&kit, "91");
        kit_flows(&kit, 1000);
        n = steering_selected(kit.steering, kit.members[1].slot);
        /* 100 expected: six standard deviations. */
        cr_assert(ge(u64, n, 43));
        cr_assert(le(u64, n, 157));
        kit_end(&kit);
}

/* Which member has the flow with a number, by its source port. */
static int flow_at[65536];

static void note_flow(size_t member, const struct sockaddr_storage *from) {
        flow_at[ntohs(((const struct sockaddr_in *)from)->sin_port)] = (int)member;
}

/* Sends once more on every flow. Returns how many went elsewhere than before, @except that member. */
static size_t resend(int except) {
        static int before[65536];
        size_t moved = 0;

        memcpy(before, flow_at, sizeof(before));
        for (size_t i = 0; i < kit.n_clients; i++)
                cr_assert(eq(int, (int)send(kit.clients[i], "x", 1, 0), 1));
        kit_collect_each(&kit, kit.n_clients, note_flow);
        for (size_t port = 0; port < 65536; port++)
                moved += flow_at[port] != before[port] && before[port] != except &&
                         flow_at[port] != except;
        return moved;
}

Test(steering_modes, keeps_flows_where_they_are) {
        begin(STEERING_HASH, SOCK_DGRAM, 5);
        kit_list(&kit, "1111-");
        kit_flows(&kit, 200);
        kit_collect_each(&kit, 200, note_flow);
        cr_assert(zero(sz, resend(-1)));
        kit_list(&kit, "1-11-");
        cr_assert(zero(sz, resend(1)), "flows of members that stayed moved");
        cr_assert(zero(sz, KIT_GOT(&kit, 1)));
        kit_list(&kit, "1-111");
        cr_assert(zero(sz, resend(4)), "flows moved between members that were there before");
        cr_assert(gt(sz, KIT_GOT(&kit, 4), 0));
        kit_list(&kit, "-1---");
        kit_list(&kit, "1-111");
        cr_assert(gt(sz, resend(-1), 0)); /* the check itself works: nothing was left to keep */
        kit_end(&kit);
}

Test(steering_modes, gives_a_member_that_is_back_its_flows) {
        begin(STEERING_HASH, SOCK_DGRAM, 3);
        kit_list(&kit, "111");
        kit_flows(&kit, 200);
        kit_collect_each(&kit, 200, note_flow);
        kit_list(&kit, "1-1");
        kit_list(&kit, "111");
        cr_assert(zero(sz, resend(-1)));
        kit_end(&kit);
}

enum {
        PEERS = 30,
        FLOWS = 4,
};

/* By the last byte of the peer's address; -1 not seen, -2 on more than one. */
static int peer_at[256];

static void note_peer(size_t member, const struct sockaddr_storage *from) {
        int *at = &peer_at[ntohl(((const struct sockaddr_in *)from)->sin_addr.s_addr) & 0xff];

        *at = *at == -1 || *at == (int)member ? (int)member : -2;
}

static void flows_of_peers(void) {
        for (uint32_t peer = 0; peer < PEERS; peer++)
                for (int flow = 0; flow < FLOWS; flow++)
                        kit_flow_from(&kit, 0x7f000100 + peer);
}

static void expect_peers_together(void) {
        for (int peer = 0; peer < PEERS; peer++)
                cr_assert(ge(int, peer_at[peer], 0), "peer %d: %d", peer, peer_at[peer]);
}

Test(steering_modes, keeps_a_peer_together) {
        for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
                begin(STEERING_SOURCE, type, 3);
                memset(peer_at, -1, sizeof(peer_at));
                kit_list(&kit, "111");
                flows_of_peers();
                kit_collect_each(&kit, PEERS * FLOWS, note_peer);
                expect_peers_together();
                for (int i = 0; i < 3; i++)
                        cr_assert(gt(sz, KIT_GOT(&kit, i), 0), "one of three has no peer");
                kit_end(&kit);
        }
}

Test(steering_modes, keeps_an_ipv6_peer_together) {
        for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
                kit_begin(&kit, STEERING_SOURCE, type, AF_INET6, 3);
                kit_list(&kit, "111");
                kit_flows(&kit, 20);
                kit_collect(&kit, 20);
                cr_assert(eq(sz, KIT_GOT(&kit, 0) + KIT_GOT(&kit, 1) + KIT_GOT(&kit, 2), 20));
                for (int i = 0; i < 3; i++)
                        cr_assert(zero(sz, KIT_GOT(&kit, i) % 20));
                kit_end(&kit);
        }
}

Test(steering_modes, keeps_a_peer_together_as_its_connections_move) {
        begin(STEERING_SOURCE, SOCK_STREAM, 3);
        memset(peer_at, -1, sizeof(peer_at));
        kit_list(&kit, "111");
        flows_of_peers();
        kit_list(&kit, "-11");
        kit_close(&kit.members[0]);
        flows_of_peers(); /* with packets, as opposed to those that moved */
        kit_collect_each(&kit, 2 * PEERS * FLOWS, note_peer);
        expect_peers_together();
        kit_end(&kit);
}

Test(steering_modes, fills_up_the_least_loaded) {
        begin(STEERING_LEAST_LOAD, SOCK_STREAM, 4);
        kit_list(&kit, "1911");
        steering_set_load(kit.steering, kit.members[0].slot, 5);
        steering_set_load(kit.steering, kit.members[1].slot, 0);
        steering_set_load(kit.steering, kit.members[2].slot, 2);
        steering_set_load(kit.steering, kit.members[3].slot, 1000);
        kit_flows(&kit, 11);
        kit_collect(&kit, 11);
        /* 5 0 2 become 6 6 6. */
        cr_assert(eq(sz, KIT_GOT(&kit, 0), 1));
        cr_assert(eq(sz, KIT_GOT(&kit, 1), 6));
        cr_assert(eq(sz, KIT_GOT(&kit, 2), 4));
        kit_end(&kit);
}

Test(steering_modes, finds_the_least_loaded_among_more_than_are_looked_at) {
        SteeringShare shares[100];

        begin(STEERING_LEAST_LOAD, SOCK_DGRAM, 2);
        /* The rest are slots without a socket. */
        for (uint32_t i = 0; i < 100; i++)
                shares[i] = (SteeringShare){ .slot = i, .weight = 1 };
        cr_assert(zero(int, steering_group_set(kit.group, shares, 100)));
        for (uint32_t i = 2; i < 100; i++)
                steering_set_load(kit.steering, i, 1000);
        kit_flows(&kit, 40);
        kit_collect(&kit, 40);
        kit_end(&kit);
}

Test(steering_modes, follows_the_cpu) {
        cpu_set_t all, one;
        int n_used = 0;

        begin(STEERING_CPU, SOCK_STREAM, 2);
        kit_list(&kit, "11");
        cr_assert(zero(int, sched_getaffinity(0, sizeof(all), &all)));
        for (size_t cpu = 0; cpu < CPU_SETSIZE && n_used < 4; cpu++) {
                if (!CPU_ISSET(cpu, &all))
                        continue;
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                cr_assert(zero(int, sched_setaffinity(0, sizeof(one), &one)));
                kit_flows(&kit, 10);
                kit_collect(&kit, 10);
                cr_assert(eq(sz, KIT_GOT(&kit, cpu % 2), 10), "cpu %zu", cpu);
                n_used++;
        }
        kit_end(&kit);
}
