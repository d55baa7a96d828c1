/* SPDX-License-Identifier: BSD-2-Clause */

/* Networks that not every kernel has: it is asked, and says why not. */

#include "tests/integration/acquire-kit.h"

typedef struct Network {
        const char *name;
        int type;
        int protocol;
} Network;

static const Network networks[] = {
        { "mptcp4", SOCK_STREAM, IPPROTO_MPTCP },    { "mptcp6", SOCK_STREAM, IPPROTO_MPTCP },
        { "sctp4", SOCK_STREAM, IPPROTO_SCTP },      { "sctp6", SOCK_STREAM, IPPROTO_SCTP },
        { "udplite4", SOCK_DGRAM, IPPROTO_UDPLITE }, { "udplite6", SOCK_DGRAM, IPPROTO_UDPLITE },
};

enum {
        N_NETWORKS = sizeof(networks) / sizeof(networks[0]),
};

TestSuite(networks, .timeout = 60);

static int family_of(const Network *network) {
        return strchr(network->name, '6') ? AF_INET6 : AF_INET;
}

static const char *address_of(const Network *network) {
        return family_of(network) == AF_INET6 ? "[::1]:0" : "127.0.0.1:0";
}

static bool kernel_has(const Network *network) {
        int fd = socket(family_of(network), network->type | SOCK_CLOEXEC, network->protocol);

        if (fd >= 0)
                close(fd);
        return fd >= 0;
}

static void begin(Kit *kit, int *control) {
        kit_start(kit, KIT_CONFIG);
        *control = harness_connect(&kit->harness);
}

static void end(Kit *kit, int control) {
        close(control);
        kit_stop(kit);
}

/* Something of the same kind comes through. */
static void expect_served(const Network *network, int holder) {
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(holder, &address);
        int client = socket(family_of(network), network->type | SOCK_CLOEXEC, network->protocol), peer;

        cr_assert(zero(int, connect(client, (struct sockaddr *)&address, size)), "%s: %m",
                  network->name);
        if (network->type == SOCK_DGRAM)
                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
        kit_wait_readable(holder);
        if (network->type == SOCK_STREAM) {
                peer = accept(holder, NULL, NULL);
                cr_assert(ge(int, peer, 0));
                close(peer);
        } else
                cr_assert(eq(int, (int)recv(holder, (char[1]){ 0 }, 1, 0), 1));
        close(client);
}

Test(networks, the_kernel_has_or_says_why_not) {
        int control;
        Kit kit;

        begin(&kit, &control);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                const Network *network = &networks[i];
                KitSocket held;

                if (!kernel_has(network)) {
                        json_auto_t *reply =
                                kit_refused(control, "NotSupported", "{'network':'%s','address':'%s'}",
                                            network->name, address_of(network));

                        KIT_EXPECT_TEXT(kit_text(reply, "parameters.feature"), network->name);
                        cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), "this kernel"),
                                     NULL));
                        continue;
                }
                held = kit_acquire(control, "{'network':'%s','address':'%s'}", network->name,
                                   address_of(network));
                KIT_EXPECT_TEXT(kit_text(held.reply, "network"), network->name);
                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_PROTOCOL), network->protocol));
                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_TYPE), network->type));
                expect_served(network, held.fd);
                kit_release(control, &held);
        }
        end(&kit, control);
}

/* Who asks for TCP gets that alone, and can see it: some hosts and runtimes have MPTCP in its place. */
Test(networks, s3_23_tcp_is_no_mptcp) {
        static const char *const names[] = { "tcp", "tcp4", "tcp6" };
        int control;
        Kit kit;

        begin(&kit, &control);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                KitSocket held = kit_acquire(control, "{'network':'%s','address':':0'}", names[i]);

                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP));
                KIT_EXPECT_TEXT(kit_text(held.reply, "network"), names[i]);
                kit_release(control, &held);
        }
        end(&kit, control);
}

/* D1 holds for UDP-Lite: nobody else may come to the port by SO_REUSEADDR. */
Test(networks, d1_datagrams_are_nobody_else_s) {
        int control;
        Kit kit;

        begin(&kit, &control);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket held;

                if (networks[i].type != SOCK_DGRAM || !kernel_has(&networks[i]))
                        continue;
                held = kit_acquire(control, "{'network':'%s','address':'%s'}", networks[i].name,
                                   address_of(&networks[i]));
                cr_assert(zero(int, kit_int_option(held.fd, SOL_SOCKET, SO_REUSEADDR)));
                kit_release(control, &held);
        }
        end(&kit, control);
}

Test(networks, groups_are_spread_by_the_kernel) {
        int control;
        Kit kit;

        begin(&kit, &control);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                const Network *network = &networks[i];
                json_t *endpoint;
                KitSocket held[2];

                if (!kernel_has(network))
                        continue;
                held[0] = kit_acquire(control, "{'network':'%s','address':'%s'}", network->name,
                                      address_of(network));
                held[1] = kit_acquire(control, "{'network':'%s','address':'%s'}", network->name,
                                      kit_address(&held[0]));
                endpoint = kit_describe(control, &held[0]);
                KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), "");
                KIT_EXPECT_TEXT(kit_text(endpoint, "continuity"), "none");
                json_decref(endpoint);
                json_decref(kit_refused(control, "NotSupported",
                                        "{'network':'%s','address':'%s','standby':true}", network->name,
                                        kit_address(&held[0])));
                json_decref(kit_expect_error(
                        kit_call(control, "Drain", "{'leases':['%s']}", kit_lease(&held[0])),
                        "NotSupported"));
                kit_release(control, &held[0]);
                expect_served(network, held[1].fd);
                kit_release(control, &held[1]);
        }
        end(&kit, control);
}

/* The port of the one is the port of the other, so one of them is in the way. */
Test(networks, tcp_and_mptcp_do_not_meet) {
        static const char *const pairs[][2] = {
                { "{'network':'tcp4','address':'127.0.0.1:8080'}",
                  "{'network':'mptcp4','address':'127.0.0.1:8080'}" },
                { "{'network':'mptcp4','address':'127.0.0.1:8080'}",
                  "{'network':'tcp4','address':':8080'}" },
                { "{'network':'tcp','address':':8080'}",
                  "{'network':'mptcp4','address':'127.0.0.1:8080'}" },
                { "{'network':'mptcp','address':':8080'}", "{'network':'tcp6','address':'[::1]:8080'}" },
        };
        int control;
        Kit kit;

        harness_private_network();
        if (!kernel_has(&networks[0]))
                cr_skip_test("the kernel has no MPTCP");
        begin(&kit, &control);
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
                for (int first = 0; first < 2; first++) {
                        KitSocket held = kit_acquire(control, "%s", pairs[i][first]);

                        json_decref(kit_refused(control, "AddressInUse", "%s", pairs[i][1 - first]));
                        kit_release(control, &held);
                }
        }
        end(&kit, control);
}

/* As everything else it outlives its client. */
Test(networks, is_parked_and_adopted) {
        int control;
        Kit kit;

        kit_start(&kit, "[Broker]\nRetainSec=1h\n[Rule all]\nUser=*\n");
        for (size_t i = 0; i < N_NETWORKS; i++) {
                char address[64], cookie[64];
                KitSocket held;

                if (!kernel_has(&networks[i]))
                        continue;
                control = harness_connect(&kit.harness);
                held = kit_acquire(control, "{'network':'%s','address':'%s'}", networks[i].name,
                                   address_of(&networks[i]));
                snprintf(address, sizeof(address), "%s", kit_address(&held));
                snprintf(cookie, sizeof(cookie), "%s", kit_text(held.reply, "cookie"));
                kit_drop(&held);
                harness_hang_up(control);
                control = harness_connect(&kit.harness);
                held = kit_acquire(control, "{'network':'%s','address':'%s'}", networks[i].name,
                                   address);
                cr_assert(kit_true(held.reply, "adopted"));
                KIT_EXPECT_TEXT(kit_text(held.reply, "cookie"), cookie);
                kit_release(control, &held);
                close(control);
        }
        harness_stop(&kit.harness);
}
