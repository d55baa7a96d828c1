/* SPDX-License-Identifier: BSD-2-Clause */

/* Drained is told when nothing waits, and not before: not in the queue, not in a handshake, not while
 * it cannot be known. */

#include "daemon/drain.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/unit/group-kit.h"

enum {
        LOOKS = 3, /* how often it is tried that nothing is told */
};

static Drains *drains_of(Kit *kit) {
        return &kit->services.endpoints.drains;
}

static void look(Kit *kit) {
        kit_elapse(kit, &drains_of(kit)->timer);
}

static void expect_nothing_told(Kit *kit) {
        for (int i = 0; i < LOOKS; i++) {
                look(kit);
                kit_expect_told(kit, "");
        }
}

static void expect_drained(Kit *kit) {
        look(kit);
        kit_expect_told(kit, "drained ");
        cr_assert(eq(ptr, TAILQ_FIRST(&drains_of(kit)->queue), NULL));
        cr_assert(not(drains_of(kit)->timer.armed));
}

/* Handshakes stay under way until the client says something. */
static void hold_handshakes(const Member *member) {
        cr_assert(zero(
                int, setsockopt(member->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){ 60 }, sizeof(int))));
}

/* A TCP member that holds handshakes, alone in a network of its own, and its lease. */
static Member *begin(Kit *kit) {
        Member *member;

        if (!kit_own_network())
                cr_skip_test("no network namespace of its own: needs root");
        kit_init(kit, 1000);
        member = kit_acquire(kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        hold_handshakes(member);
        return member;
}

TestSuite(drain, .timeout = 10);

Test(drain, queue_that_was_never_used_has_no_end) {
        Drains drains = { 0 };
        bool changed = false;
        sd_event *event;

        drains_deinit(&drains);
        cr_assert(ge(int, sd_event_new(&event), 0));
        cr_assert(zero(int, drains_init(&drains, event, &changed, false)));
        drains_deinit(&drains);
        drains_deinit(&drains);
        sd_event_unref(event);
        cr_assert(not(changed));
}

Test(drain, of_whom_does_not_drain_is_not_cancelled) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        drain_cancel(drains_of(&kit), member);
        drain_begin(drains_of(&kit), member);
        drain_cancel(drains_of(&kit), member);
        drain_cancel(drains_of(&kit), member);
        look(&kit);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(drain, is_not_over_while_connections_wait) {
        Member *member = NULL;
        int clients[2];
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        for (int i = 0; i < 2; i++)
                clients[i] = kit_connect(&member->endpoint->address);
        member_drain(member);
        expect_nothing_told(&kit);
        close(accept(member->fd, NULL, NULL));
        expect_nothing_told(&kit);
        close(accept(member->fd, NULL, NULL));
        expect_drained(&kit);
        for (int i = 0; i < 2; i++)
                close(clients[i]);
        kit_end(&kit);
}

Test(drain, is_not_over_while_datagrams_wait) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_acquire(&kit, "udp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        kit_flows(member->endpoint, 3);
        member_drain(member);
        expect_nothing_told(&kit);
        cr_assert(eq(sz, kit_serve(member), 3));
        expect_drained(&kit);
        kit_end(&kit);
}

/* The client has its connection, the member not yet. */
Test(drain, is_not_over_while_a_handshake_is_held) {
        Member *member;
        int client;
        Kit kit;

        member = begin(&kit);
        client = kit_connect(&member->endpoint->address);
        cr_assert(zero(i64, member_read_load(member)));
        member_drain(member);
        expect_nothing_told(&kit);
        cr_assert(eq(int, (int)write(client, "x", 1), 1));
        expect_nothing_told(&kit);
        cr_assert(eq(sz, kit_serve(member), 1));
        expect_drained(&kit);
        close(client);
        kit_end(&kit);
}

Test(drain, is_over_when_a_handshake_is_given_up) {
        const struct linger reset = { .l_onoff = 1 };
        Member *member;
        int client;
        Kit kit;

        member = begin(&kit);
        client = kit_connect(&member->endpoint->address);
        member_drain(member);
        expect_nothing_told(&kit);
        cr_assert(zero(int, setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset))));
        close(client);
        expect_drained(&kit);
        kit_end(&kit);
}

/* Those that began later are not its own, as it is off the list. */
Test(drain, does_not_wait_for_later_handshakes) {
        Member *member;
        int client, later;
        Kit kit;

        member = begin(&kit);
        client = kit_connect(&member->endpoint->address);
        member_drain(member);
        expect_nothing_told(&kit);
        later = kit_connect(&member->endpoint->address);
        cr_assert(eq(int, (int)write(client, "x", 1), 1));
        cr_assert(eq(sz, kit_serve(member), 1));
        expect_drained(&kit);
        close(client);
        close(later);
        kit_end(&kit);
}

/* Where the kernel does not show handshakes, time has to do. */
Test(drain, is_not_over_while_one_may_be_unseen) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        drains_of(&kit)->blind = true;
        member = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        member_drain(member);
        expect_nothing_told(&kit);
        member->drain.began = 0;
        expect_drained(&kit);
        kit_end(&kit);
}

Test(drain, of_datagrams_has_no_handshakes_to_be_seen) {
        Kit kit;

        kit_init(&kit, 1000);
        drains_of(&kit)->blind = true;
        member_drain(kit_acquire(&kit, "udp4", "127.0.0.1:0", SHARING_GROUP, 0)->member);
        expect_drained(&kit);
        kit_end(&kit);
}

Test(drain, is_not_over_while_nobody_can_say) {
        Member *member;
        rlim_t limit;
        Kit kit;

        member = begin(&kit);
        member_drain(member);
        limit = kit_refuse_fds();
        expect_nothing_told(&kit);
        kit_allow_fds(limit);
        expect_drained(&kit);
        kit_end(&kit);
}

Test(drain, is_not_told_of_who_is_ready_again) {
        Member *member;
        Lease *lease;
        Kit kit;

        kit_init(&kit, 1000);
        lease = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        member = lease->member;
        member_drain(member);
        cr_assert(eq(int, member->state, MEMBER_DRAINING));
        member_ready(member, lease);
        cr_assert(eq(int, member->state, MEMBER_LIVE));
        kit_expect_told(&kit, "readied ");
        cr_assert(eq(ptr, TAILQ_FIRST(&drains_of(&kit)->queue), NULL));
        look(&kit);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(drain, is_not_told_of_who_has_gone) {
        Lease *lost, *released;
        Kit kit;

        kit_init(&kit, 1000);
        lost = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        released = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        member_drain(lost->member);
        member_drain(released->member);
        kit_lose(lost);
        kit_release(released);
        cr_assert(eq(ptr, TAILQ_FIRST(&drains_of(&kit)->queue), NULL));
        kit_expect_told(&kit, "released parked released closed ");
        look(&kit);
        kit_expect_told(&kit, "");
        kit_end(&kit);
}

Test(drain, asked_for_twice_is_told_once) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_acquire(&kit, "udp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        member_drain(member);
        member_drain(member);
        expect_drained(&kit);
        /* But it is told again of one who asks again. */
        member_drain(member);
        expect_drained(&kit);
        kit_end(&kit);
}

Test(drain, of_one_does_not_wait_for_another) {
        Member *members[3];
        Kit kit;

        kit_init(&kit, 1000);
        for (int i = 0; i < 3; i++)
                members[i] = kit_acquire(&kit, "udp4", "127.0.0.1:0", SHARING_GROUP, 0)->member;
        kit_flows(members[1]->endpoint, 1);
        for (int i = 0; i < 3; i++)
                member_drain(members[i]);
        look(&kit);
        kit_expect_told(&kit, "drained drained ");
        expect_nothing_told(&kit);
        kit_serve(members[1]);
        expect_drained(&kit);
        kit_end(&kit);
}

/* In time by itself. */
Test(drain, is_told) {
        Kit kit;

        kit_init(&kit, 1000);
        member_drain(kit_acquire(&kit, "tcp6", "[::1]:0", SHARING_GROUP, 0)->member);
        cr_assert(kit.services.endpoints.timers_changed);
        kit_await_told(&kit, "drained ", NULL, NULL);
        kit_end(&kit);
}
