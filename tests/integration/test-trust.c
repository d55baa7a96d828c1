/* SPDX-License-Identifier: BSD-2-Clause */

/* What the holder of one member can do to all of its group: little, and what it can is put right. */

#include <linux/filter.h>

#include "tests/integration/group-kit.h"

TestSuite(trust, .timeout = 60);

enum { CLIENTS_MAX = 1000 };

static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };

enum { N_NETWORKS = sizeof(networks) / sizeof(networks[0]) };

static Stage stage;

/* Neither one that chooses the member for each flow, nor one that throws away what comes. */
static void expect_locked(const KitSocket *held) {
        static struct sock_filter instruction = { .code = BPF_RET | BPF_K, .k = 0 };
        static const struct sock_fprog program = { .len = 1, .filter = &instruction };
        static const int names[] = { SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_FILTER };

        for (size_t i = 0; i < 2; i++) {
                cr_assert(eq(int, setsockopt(held->fd, SOL_SOCKET, names[i], &program, sizeof(program)),
                             -1));
                cr_assert(eq(int, errno, EPERM));
        }
        cr_assert(
                eq(int, setsockopt(held->fd, SOL_SOCKET, SO_LOCK_FILTER, &(int){ 0 }, sizeof(int)), -1));
}

/* The first, one that joins, and one that is adopted, with steering or without. */
Test(trust, t3_no_program_of_a_holder_s) {
        for (size_t i = 0; i < 2 * N_NETWORKS; i++) {
                KitSocket held, next, second;
                int lost;

                stage_begin_as_set(&stage, GROUP_CONFIG,
                                   &(Harness){ .uid = geteuid(), .no_bpf = i % 2 });
                lost = harness_connect(&stage.kit.harness);
                held = kit_acquire(lost, "{'network':'%s','address':':0'}", networks[i / 2]);
                json_decref(kit_event(stage.watch, "acquired"));
                expect_locked(&held);
                close(lost);
                stage_expect(&stage, "released", &held);
                json_decref(kit_event(stage.watch, "parked"));
                next = stage_join(&stage, &held, "");
                cr_assert(kit_true(next.reply, "adopted"));
                expect_locked(&next);
                second = stage_join(&stage, &next, "");
                expect_locked(&second);
                kit_drop(&held);
                stage_release(&stage, &second);
                stage_finish(&stage, &next);
                stage_end(&stage);
        }
}

/* Clients come until the broker has noticed that its program is gone. Returns how many. */
static size_t come_until_detached(const KitSocket *member, int clients[static CLIENTS_MAX]) {
        size_t n = 0;

        while (n < CLIENTS_MAX && !kit_is_readable(stage.watch)) {
                clients[n++] = group_come(member);
                kit_ping(stage.control);
        }
        kit_expect_event(stage.watch, "detached", kit_text(member->reply, "endpoint"));
        return n;
}

/* Takes @n of those that came, wherever they are. */
static void take_all(const KitSocket *members, size_t n) {
        while (n-- > 0) {
                struct pollfd p[] = { { .fd = members[0].fd, .events = POLLIN },
                                      { .fd = members[1].fd, .events = POLLIN } };

                cr_assert(gt(int, poll(p, 2, KIT_PATIENCE_MSEC), 0));
                group_take(&members[p[0].revents ? 0 : 1]);
        }
}

/* The kernel takes the program off for any holder; then who stands by is given flows, for a moment. */
Test(trust, t3_program_taken_off_comes_back) {
        static int clients[CLIENTS_MAX];

        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[2];
                size_t n;

                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                cr_assert(zero(int, setsockopt(members[1].fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF,
                                               &(int){ 0 }, sizeof(int))));
                n = come_until_detached(&members[0], clients);
                /* No connection is lost by it; datagrams that came to the broker are. */
                if (group_is_dgram(&members[0]))
                        while (kit_is_readable(members[0].fd) || kit_is_readable(members[1].fd))
                                take_all(members, 1);
                else
                        take_all(members, n);
                while (n > 0)
                        close(clients[--n]);
                group_expect_only(members, 2, 0);
                stage_release(&stage, &members[1]);
                stage_finish(&stage, &members[0]);
        }
        stage_end(&stage);
}

/* What waited is with the others, and the one that was shut down takes its share again. */
Test(trust, t4_member_shut_down_listens_again) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < 2; i++) {
                KitSocket members[2];
                int waiting[3];

                members[0] = stage_found(&stage, networks[i], "");
                for (size_t k = 0; k < 3; k++)
                        waiting[k] = group_come(&members[0]);
                members[1] = stage_join(&stage, &members[0], "");
                cr_assert(zero(int, shutdown(members[0].fd, SHUT_RDWR)));
                kit_expect_event(stage.watch, "repaired", kit_text(members[0].reply, "endpoint"));
                group_serve_all(&members[1], waiting, 3);
                stage_expect_state(&stage, &members[0], "live");
                kit_expect_both_served(members[0].fd, members[1].fd);
                stage_release(&stage, &members[1]);
                stage_finish(&stage, &members[0]);
        }
        stage_end(&stage);
}

/* The next event is that it listens again; or else that its lease has ended. */
static bool stage_is_repaired(const KitSocket *held) {
        int fds[HARNESS_FDS_MAX];
        size_t n_fds;
        json_auto_t *reply = kit_receive(stage.watch, fds, &n_fds);

        if (strcmp(kit_text(reply, "parameters.event.what"), "repaired") == 0)
                return true;
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.event.what"), "released");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.event.lease"), kit_lease(held));
        return false;
}

/* Once in a second is enough: then the address is free for who means it. */
Test(trust, t4_member_shut_down_again_is_closed) {
        static const char *const sharings[] = { "group", "shared", "exclusive" };

        stage_begin(&stage, GROUP_CONFIG);
        for (size_t i = 0; i < 3; i++) {
                KitSocket held, next;
                char more[64];

                snprintf(more, sizeof(more), ",'sharing':'%s'", sharings[i]);
                held = stage_found(&stage, "tcp4", more);
                cr_assert(zero(int, shutdown(held.fd, SHUT_RDWR)));
                kit_expect_event(stage.watch, "repaired", kit_text(held.reply, "endpoint"));
                group_expect_only(&held, 1, 0);
                /* Again at once, and on a machine that is slow once more. */
                do {
                        cr_assert(zero(int, shutdown(held.fd, SHUT_RDWR)));
                } while (stage_is_repaired(&held));
                kit_expect_event(stage.watch, "closed", kit_text(held.reply, "endpoint"));
                next = stage_join(&stage, &held, more);
                cr_assert(not(kit_true(next.reply, "adopted")));
                group_expect_only(&next, 1, 0);
                kit_drop(&held);
                stage_finish(&stage, &next);
        }
        stage_end(&stage);
}
