/* SPDX-License-Identifier: BSD-2-Clause */

/* The broker is killed, or stopped, and the next one finds everything. */

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/integration/recovery-kit.h"

TestSuite(recovery, .timeout = 60);

Test(recovery, leases_of_connections_are_resumed) {
        static const char *const requests[] = {
                "{'network':'tcp4','address':'127.0.0.1:0','name':'web','steering':'roundRobin'}",
                "{'network':'tcp4','address':':0','sharing':'exclusive','options':{'backlog':7}}",
                "{'network':'udp4','address':'127.0.0.1:0'}",
                "{'network':'unix','address':'@reuseportd-test-recovery'}",
        };
        enum { N = sizeof(requests) / sizeof(requests[0]) };
        KitSocket held[N];
        Kit kit;
        int control;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < N; i++)
                held[i] = kit_acquire(control, "%s", requests[i]);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", N);
        expect_status(control, "lost", 0);
        expect_status(control, "foreign", 0);
        expect_status(control, "leases", N);
        for (size_t i = 0; i < N; i++) {
                json_auto_t *endpoint = kit_describe(control, &held[i]);

                KIT_EXPECT_TEXT(kit_text(endpoint, "endpoint"), kit_text(held[i].reply, "endpoint"));
                KIT_EXPECT_TEXT(kit_text(endpoint, "address"), kit_address(&held[i]));
                KIT_EXPECT_TEXT(kit_text(endpoint, "sharing"), kit_text(held[i].reply, "sharing"));
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.state"), "live");
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.leases.0.lease"), kit_lease(&held[i]));
                if (i == 0)
                        KIT_EXPECT_TEXT(kit_text(endpoint, "name"), "web");
                cr_assert(kit_resume(control, &held[i]));
                kit_release(control, &held[i]);
        }
        expect_status(control, "leases", 0);
        expect_status(control, "endpoints", 0);
        close(control);
        end(&kit);
}

static void connect_to(int fd, int family) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };

        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in6.sin6_addr = in6addr_loopback;
        if (family == AF_INET)
                cr_assert(zero(int, connect(fd, (const struct sockaddr *)&in, sizeof(in))));
        else
                cr_assert(zero(int, connect(fd, (const struct sockaddr *)&in6, sizeof(in6))));
}

static int listen_here(struct sockaddr_in *ret) {
        socklen_t size = sizeof(*ret);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *ret = (struct sockaddr_in){ .sin_family = AF_INET };
        ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)ret, size)));
        cr_assert(zero(int, listen(fd, 4)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)ret, &size)));
        return fd;
}

/* One of TCP has to be shut down for that: it listens no more, and what it is now is its holder's. */
Test(recovery, listener_that_its_holder_has_connected) {
        struct sockaddr_in address;
        KitSocket held;
        Kit kit;
        int control, peer;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':':0'}");
        peer = listen_here(&address);
        cr_assert(zero(int, shutdown(held.fd, SHUT_RD)));
        cr_assert(connect(held.fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
                          errno == EINPROGRESS,
                  "%m");
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 0);
        expect_status(control, "foreign", 1);
        kit_drop(&held);
        close(peer);
        close(control);
        end(&kit);
}

/* It is in no group of the kernel's any more, and the others are steered on without it. */
Test(recovery, member_that_its_holder_has_connected) {
        json_t *endpoint = NULL;
        KitSocket held[3];
        int control;
        Kit kit;

        harness_private_network();
        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer")) {
                close(control);
                end(&kit);
                cr_skip_test("the broker cannot steer here");
        }
        held[0] = kit_acquire(control, "{'network':'udp4','address':':0','steering':'roundRobin'}");
        for (int i = 1; i < 3; i++)
                held[i] = kit_acquire(control, "{'network':'udp4','address':':%d'}", kit_port(&held[0]));
        connect_to(held[2].fd, AF_INET);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 2);
        expect_status(control, "foreign", 1);
        for (int i = 0; i < 2; i++)
                cr_assert(kit_resume(control, &held[i]));
        cr_assert(not(kit_resume(control, &held[2])));
        /* It looks around for such holders in its own time. */
        do {
                json_decref(endpoint);
                endpoint = kit_describe(control, &held[0]);
        } while (!json_object_get(endpoint, "steering"));
        KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), "roundRobin");
        json_decref(endpoint);
        kit_drop(&held[2]);
        for (int i = 0; i < 2; i++)
                kit_release(control, &held[i]);
        close(control);
        end(&kit);
}

/* The kernel puts it where it talks from: it is theirs, with or without a peer. */
Test(recovery, datagram_sockets_that_their_holders_have_connected) {
        static const struct {
                const char *request;
                int family;
        } rows[] = {
                { "{'network':'udp4','address':':0','sharing':'exclusive'}", AF_INET },
                { "{'network':'udp','address':':0','sharing':'shared'}", AF_INET },
                { "{'network':'udp','address':':0','sharing':'exclusive'}", AF_INET6 },
                { "{'network':'udp6','address':':0','sharing':'shared'}", AF_INET6 },
                { "{'network':'udplite4','address':':0','sharing':'exclusive'}", AF_INET },
        };
        enum { N = sizeof(rows) / sizeof(rows[0]) };
        KitSocket held[N];
        Kit kit;
        int control;

        harness_private_network();
        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < N; i++) {
                held[i] = kit_acquire(control, "%s", rows[i].request);
                connect_to(held[i].fd, rows[i].family);
        }
        for (int again = 0; again < 2; again++) {
                kill_and_restart(&kit);
                close(control);
                control = harness_connect(&kit.harness);
                expect_status(control, "recovered", N);
                expect_status(control, "lost", 0);
                expect_status(control, "foreign", 0);
                for (size_t i = 0; i < N; i++) {
                        json_auto_t *endpoint = kit_describe(control, &held[i]);

                        KIT_EXPECT_TEXT(kit_text(endpoint, "address"), kit_address(&held[i]));
                        cr_assert(kit_resume(control, &held[i]));
                }
        }
        for (size_t i = 0; i < N; i++) {
                cr_assert(zero(int, connect(held[i].fd, &(struct sockaddr){ .sa_family = AF_UNSPEC },
                                            sizeof(struct sockaddr))));
                kit_release(control, &held[i]);
        }
        expect_status(control, "endpoints", 0);
        close(control);
        end(&kit);
}

Test(recovery, nothing_is_lost_between_the_brokers) {
        enum { N = 16 };
        KitSocket held[2];
        int control, peers[N];
        size_t served = 0;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        held[1] = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&held[0]));
        harness_kill(&kit.harness);
        close(control);
        for (size_t i = 0; i < N / 2; i++)
                peers[i] = kit_connect_to(&held[0]);
        harness_restart(&kit.harness);
        for (size_t i = N / 2; i < N; i++)
                peers[i] = kit_connect_to(&held[0]);
        control = harness_connect(&kit.harness);
        cr_assert(kit_resume(control, &held[0]));
        cr_assert(kit_resume(control, &held[1]));
        /* What one leaves goes to the other, as before. */
        kit_release(control, &held[0]);
        while (served < N) {
                kit_wait_readable(held[1].fd);
                served += kit_accept_all(held[1].fd);
        }
        for (size_t i = 0; i < N; i++)
                close(peers[i]);
        kit_release(control, &held[1]);
        close(control);
        end(&kit);
}

Test(recovery, parked_socket_with_its_queue) {
        KitSocket held, next;
        int control, peer;
        char state[16];
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        close(held.fd);
        close(control);
        peer = kit_connect_to(&held);
        control = harness_connect(&kit.harness);
        wait_parked(control, &held);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "parked");
        next = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        kit_wait_readable(next.fd);
        cr_assert(eq(sz, kit_accept_all(next.fd), 1));
        close(peer);
        kit_release(control, &next);
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, standby_stays_so_and_weights_are_kept) {
        KitSocket live, standby;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer"))
                cr_skip_test("groups are not steered here");
        live = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','weight':3}");
        standby = kit_acquire(control, "{'network':'tcp4','address':'%s','standby':true}",
                              kit_address(&live));
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *endpoint = kit_describe(control, &live);

                KIT_EXPECT_TEXT(kit_text(endpoint, "continuity"), "migrate");
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.state"), "live");
                cr_assert(eq(llong, kit_number(endpoint, "members.0.weight"), 3));
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.1.state"), "standby");
        }
        cr_assert(kit_resume(control, &live));
        cr_assert(kit_resume(control, &standby));
        /* Everything comes to the one that is live. */
        for (size_t i = 0; i < 8; i++) {
                int peer = kit_connect_to(&live);

                kit_wait_readable(live.fd);
                cr_assert(eq(sz, kit_accept_all(live.fd), 1));
                close(peer);
        }
        kit_release(control, &standby);
        kit_release(control, &live);
        close(control);
        end(&kit);
}

/* What List shows of the only member. */
static long long flows_of(int control, const KitSocket *held) {
        json_auto_t *endpoint = kit_describe(control, held);

        return kit_number(endpoint, "members.0.flows");
}

static void come_and_go(const KitSocket *held, size_t n) {
        while (n-- > 0)
                close(kit_connect_to(held));
}

Test(recovery, flows_are_counted_on) {
        KitSocket held;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer"))
                cr_skip_test("groups are not steered here");
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        come_and_go(&held, 3);
        harness_kill(&kit.harness);
        come_and_go(&held, 4);
        harness_restart(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(eq(llong, flows_of(control, &held), 7));
        come_and_go(&held, 5);
        harness_terminate(&kit.harness);
        come_and_go(&held, 6);
        harness_restart(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(eq(llong, flows_of(control, &held), 18));
        cr_assert(kit_resume(control, &held));
        kit_release(control, &held);
        close(control);
        end(&kit);
}

/* The kernel lets sockets of one user only into a group. */
Test(recovery, broker_that_becomes_another_user) {
        KitSocket held, second;
        int control;
        Kit kit;

        if (geteuid() != 0)
                cr_skip_test("only root's broker becomes another user");
        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        kit.harness = (Harness){ .uid = 0, .keeper = &keeper, .user = "nobody" };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 1);
        cr_assert(kit_resume(control, &held));
        second = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        if (kit_is_capable(control, "steer")) {
                json_auto_t *endpoint = kit_describe(control, &held);

                KIT_EXPECT_TEXT(kit_text(endpoint, "continuity"), "migrate");
        }
        kit_release(control, &held);
        kit_release(control, &second);
        close(control);
        end(&kit);
}

Test(recovery, stop_in_good_order_keeps_everything) {
        KitSocket held;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        for (int i = 0; i < 3; i++) {
                int peer;

                harness_terminate(&kit.harness);
                close(control);
                peer = kit_connect_to(&held);
                harness_restart(&kit.harness);
                control = harness_connect(&kit.harness);
                cr_assert(kit_resume(control, &held));
                cr_assert(eq(sz, kit_accept_all(held.fd), 1));
                close(peer);
        }
        kit_release(control, &held);
        close(control);
        end(&kit);
}
