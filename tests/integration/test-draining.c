/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Drain: no new flows, what waits is served, and its end is told. That something is not told is seen by
 * a clock of the broker's own: a member of another group, with nothing waiting, that drains at the same
 * time. When that one is told, the one in question was looked at, too.
 */

#include "tests/integration/group-kit.h"

TestSuite(draining, .timeout = 60);

static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };

enum { N_NETWORKS = sizeof(networks) / sizeof(networks[0]) };

static Stage stage;
static KitSocket tick;

static void clock_begin(void) {
        stage_begin(&stage, GROUP_CONFIG);
        tick = stage_found(&stage, "tcp4", "");
}

/* Two rounds of looking at everything that drains: the first may be under way. */
static void clock_expect_silence(void) {
        for (int i = 0; i < 2; i++) {
                stage_say(&stage, "Drain", &tick);
                stage_expect(&stage, "drained", &tick);
        }
        stage_expect_no_event(&stage);
}

static void clock_end(void) {
        stage_finish(&stage, &tick);
        stage_end(&stage);
}

/* It is said that it takes longer, and then nothing is missed. */
Test(draining, where_handshakes_are_not_seen) {
        Harness how = { .uid = geteuid(), .no_socket_diag = true };
        KitSocket held;
        int waiting;

        stage_begin_as_set(&stage, GROUP_CONFIG, &how);
        cr_assert(kit_is_warned(stage.control, "no tcp_diag"));
        held = stage_found(&stage, "tcp4", "");
        waiting = group_come(&held);
        stage_say(&stage, "Drain", &held);
        group_take(&held);
        close(waiting);
        stage_expect(&stage, "drained", &held);
        stage_finish(&stage, &held);
        stage_end(&stage);
}

/* ---- not drained --------------------------------------------------------------------------------- */

Test(draining, not_while_something_waits) {
        clock_begin();
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[2];
                int waiting[3];

                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                for (size_t k = 0; k < 3; k++)
                        waiting[k] = group_come(&members[0]);
                stage_ready(&stage, &members[1]);
                stage_say(&stage, "Drain", &members[0]);
                stage_expect_state(&stage, &members[0], "draining");
                for (size_t k = 0; k < 3; k++) {
                        clock_expect_silence();
                        group_take(&members[0]);
                        close(waiting[k]);
                }
                stage_expect(&stage, "drained", &members[0]);
                stage_expect_state(&stage, &members[0], "draining");
                group_expect_only(members, 2, 1);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        clock_end();
}

/* The connection is made for the client, and not for the holder before something is sent. */
Test(draining, not_while_a_handshake_is_under_way) {
        static const char deferred[] = ",'options':{'deferAcceptSec':60}";

        clock_begin();
        for (size_t i = 0; i < 2; i++) {
                KitSocket members[2];
                int clients[3];

                members[0] = stage_found(&stage, networks[i], deferred);
                for (size_t k = 0; k < 3; k++)
                        clients[k] = kit_connect(members[0].fd);
                members[1] = stage_join(&stage, &members[0], "");
                cr_assert(zero(llong, stage_number(&stage, &members[0], "queueLength")));
                stage_say(&stage, "Drain", &members[0]);
                for (size_t k = 0; k < 3; k++) {
                        clock_expect_silence();
                        cr_assert(eq(int, (int)send(clients[k], "x", 1, MSG_NOSIGNAL), 1));
                        kit_wait_readable(members[0].fd);
                        clock_expect_silence();
                        group_take(&members[0]);
                        close(clients[k]);
                }
                stage_expect(&stage, "drained", &members[0]);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        clock_end();
}

Test(draining, not_once_it_is_ready_again) {
        KitSocket held;
        int waiting;

        clock_begin();
        held = stage_found(&stage, "tcp4", "");
        waiting = group_come(&held);
        stage_say(&stage, "Drain", &held);
        clock_expect_silence();
        stage_ready(&stage, &held);
        group_take(&held);
        close(waiting);
        clock_expect_silence();
        group_expect_only(&held, 1, 0);
        stage_finish(&stage, &held);
        clock_end();
}

/* ---- drained ------------------------------------------------------------------------------------- */

Test(draining, told_at_once_of_who_has_nothing) {
        KitSocket members[2];

        clock_begin();
        for (size_t i = 0; i < N_NETWORKS; i++) {
                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                /* Also of one that never took anything, and as often as it is asked for. */
                for (size_t k = 0; k < 4; k++) {
                        stage_say(&stage, "Drain", &members[k % 2]);
                        stage_expect(&stage, "drained", &members[k % 2]);
                        stage_expect_state(&stage, &members[k % 2], "draining");
                }
                stage_expect_no_event(&stage);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        clock_end();
}

Test(draining, ready_afterwards) {
        clock_begin();
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[2];

                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], "");
                stage_say(&stage, "Drain", &members[0]);
                stage_expect(&stage, "drained", &members[0]);
                group_expect_only(members, 2, 1);
                stage_ready(&stage, &members[0]);
                kit_expect_both_served(members[0].fd, members[1].fd);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        clock_end();
}

/* Who comes when nobody takes traffic is not turned away, and waits for who is ready next. */
Test(draining, of_the_last_live_member_keeps_new_clients_waiting) {
        clock_begin();
        for (size_t i = 0; i < 2; i++) {
                KitSocket members[2];
                int early, late[3];

                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                early = group_come(&members[0]);
                stage_say(&stage, "Drain", &members[0]);
                for (size_t k = 0; k < 3; k++)
                        late[k] = group_come(&members[0]);
                clock_expect_silence();
                group_take(&members[0]);
                close(early);
                stage_expect(&stage, "drained", &members[0]);
                for (size_t k = 0; k < 2; k++)
                        cr_assert(not(kit_is_readable(members[k].fd)));
                stage_ready(&stage, &members[1]);
                group_serve_all(&members[1], late, 3);
                cr_assert(not(kit_is_readable(members[0].fd)));
                group_expect_only(members, 2, 1);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        clock_end();
}

/* Nothing is there to keep a datagram, but its sender is told. */
Test(draining, of_the_last_live_member_turns_datagrams_away) {
        clock_begin();
        for (size_t i = 2; i < N_NETWORKS; i++) {
                KitSocket members[2];
                char byte;
                int client;

                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                stage_say(&stage, "Drain", &members[0]);
                stage_expect(&stage, "drained", &members[0]);
                client = group_come(&members[0]);
                cr_assert(eq(int, (int)recv(client, &byte, 1, 0), -1));
                cr_assert(eq(int, errno, ECONNREFUSED));
                close(client);
                for (size_t k = 0; k < 2; k++)
                        cr_assert(not(kit_is_readable(members[k].fd)));
                stage_ready(&stage, &members[1]);
                group_expect_only(members, 2, 1);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        clock_end();
}

/* Its holder dies instead of serving: what waits is for the others. */
Test(draining, who_dies_meanwhile_leaves_it_to_the_others) {
        KitSocket members[2];
        int lost, waiting[3];

        clock_begin();
        lost = harness_connect(&stage.kit.harness);
        members[0] = kit_acquire(lost, "{'network':'tcp4','address':'127.0.0.1:0'}");
        json_decref(kit_event(stage.watch, "acquired"));
        for (size_t k = 0; k < 3; k++)
                waiting[k] = group_come(&members[0]);
        members[1] = stage_join(&stage, &members[0], "");
        stage_say(&stage, "Drain", &members[0]);
        clock_expect_silence();
        kit_drop(&members[0]);
        close(lost);
        json_decref(kit_event(stage.watch, "released"));
        for (size_t k = 0; k < 3; k++) {
                group_take(&members[1]);
                close(waiting[k]);
        }
        kit_expect_members(stage.control, &members[1], 1);
        clock_expect_silence();
        stage_finish(&stage, &members[1]);
        clock_end();
}

/* The same with nobody else there: it is parked, takes new ones again, and the next client has
 * them all. */
Test(draining, who_dies_alone_is_parked) {
        KitSocket held, next;
        int lost, waiting[2];

        clock_begin();
        lost = harness_connect(&stage.kit.harness);
        held = kit_acquire(lost, "{'network':'tcp4','address':'127.0.0.1:0'}");
        json_decref(kit_event(stage.watch, "acquired"));
        waiting[0] = group_come(&held);
        stage_say(&stage, "Drain", &held);
        clock_expect_silence();
        close(lost);
        stage_expect(&stage, "released", &held);
        kit_expect_event(stage.watch, "parked", kit_text(held.reply, "endpoint"));
        waiting[1] = group_come(&held);
        next = stage_join(&stage, &held, "");
        cr_assert(kit_true(next.reply, "adopted"));
        stage_expect_state(&stage, &next, "live");
        for (size_t k = 0; k < 2; k++) {
                group_take(&next);
                close(waiting[k]);
        }
        kit_drop(&held);
        stage_finish(&stage, &next);
        clock_end();
}
