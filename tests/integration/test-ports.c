/* SPDX-License-Identifier: BSD-2-Clause */

/* Ranges of ports. They need fixed numbers, so each test has a network of its own. */

#include "tests/integration/acquire-kit.h"

TestSuite(ports, .timeout = 60);

static int foreign_listener(int port) {
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&in, sizeof(in))));
        cr_assert(zero(int, listen(fd, 1)));
        return fd;
}

static KitSocket acquire_range(int control, int first, int last, const char *sharing) {
        return kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:%d-%d','sharing':'%s'}",
                           first, last, sharing);
}

Test(ports, all_taken) {
        Kit kit;
        KitSocket held[2];
        int control, foreign;

        harness_private_network();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held[0] = acquire_range(control, 7000, 7000, "exclusive");
        held[1] = acquire_range(control, 7001, 7001, "group");
        foreign = foreign_listener(7002);
        for (int i = 0; i < 2; i++) {
                json_auto_t *reply =
                        kit_refused(control, "AddressInUse",
                                    "{'network':'tcp4','address':'127.0.0.1:7000-7002','sharing':'%s'}",
                                    i == 0 ? "exclusive" : "group");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.address"), "127.0.0.1:7000-7002");
                cr_assert(zero(ptr, kit_at(reply, "parameters.holder")));
        }
        close(foreign);
        kit_drop(&held[0]);
        kit_drop(&held[1]);
        close(control);
        kit_stop(&kit);
}

Test(ports, policy_gives_none) {
        Kit kit;
        int control;

        harness_private_network();
        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule some]\nUser=*\nPort=7001\n");
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "PolicyDenied",
                                "{'network':'tcp4','address':'127.0.0.1:7002-7009'}"));
        close(control);
        kit_stop(&kit);
}

/* Of what policy gives nothing is free: that is the answer, not that the rest is forbidden. */
Test(ports, policy_gives_one_that_is_taken) {
        Kit kit;
        KitSocket held;
        int control;

        harness_private_network();
        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule some]\nUser=*\nPort=7001\n");
        control = harness_connect(&kit.harness);
        held = acquire_range(control, 7000, 7009, "group");
        json_decref(kit_refused(control, "AddressInUse",
                                "{'network':'tcp4','address':'127.0.0.1:7000-7009'}"));
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

Test(ports, not_a_range) {
        static const char
                *const addresses[] = {
                        "127.0.0.1:7009-7000", "127.0.0.1:0-7000",      "127.0.0.1:7000-",
                        "127.0.0.1:-7000",     "127.0.0.1:7000-7001-2", "127.0.0.1:7000-65536",
                        "127.0.0.1:1-65535", /* more than a range may have */
                };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
                json_auto_t *reply = kit_refused(control, "AddressInvalid",
                                                 "{'network':'tcp4','address':'%s'}", addresses[i]);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.address"), addresses[i]);
                cr_assert(ne(str, (char *)kit_text(reply, "parameters.reason"), (char *)""));
        }
        close(control);
        kit_stop(&kit);
}

/* Also of a group: a range asks for a port of its own, not to join whoever is there. */
Test(ports, first_free_one) {
        static const char *const sharings[] = { "exclusive", "shared", "group" };
        Kit kit;
        int control, foreign;

        harness_private_network();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        foreign = foreign_listener(7001);
        for (int i = 0; i < 3; i++) {
                KitSocket held[3];

                for (int j = 0; j < 3; j++)
                        held[j] = acquire_range(control, 7000, 7003, sharings[i]);
                cr_assert(eq(int, kit_port(&held[0]), 7000));
                cr_assert(eq(int, kit_port(&held[1]), 7002));
                cr_assert(eq(int, kit_port(&held[2]), 7003));
                kit_release(control, &held[1]);
                held[1] = acquire_range(control, 7000, 7003, sharings[i]);
                cr_assert(eq(int, kit_port(&held[1]), 7002));
                for (int j = 0; j < 3; j++)
                        kit_release(control, &held[j]);
        }
        close(foreign);
        close(control);
        kit_stop(&kit);
}

#define ALIKE "{'network':'tcp4','address':'127.0.0.1:7000-7200'}"
#define OTHER "{'network':'tcp4','address':'127.0.0.1:7000-7199'}"

/* Sockets of one call that are alike go on where the one before found its port; of others each port that
 * is somebody else's is tried again, and not for long. */
Test(ports, several_in_one_call) {
        enum { FOREIGN = 100 };
        int control, foreign[FOREIGN];
        KitSocket held[4];
        Kit kit;

        harness_private_network();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < FOREIGN; i++)
                foreign[i] = foreign_listener(7000 + i);
        json_decref(kit_expect_error(
                kit_call(control, "Acquire", "{'sockets':[" ALIKE "," OTHER "," ALIKE "]}"),
                "AddressInUse"));
        kit_acquire_call(control, "{'sockets':[" ALIKE "," ALIKE "," ALIKE "," OTHER "]}", 4, held);
        for (int i = 0; i < 4; i++) {
                cr_assert(eq(int, kit_port(&held[i]), 7000 + FOREIGN + i));
                kit_release(control, &held[i]);
        }
        for (int i = 0; i < FOREIGN; i++)
                close(foreign[i]);
        close(control);
        kit_stop(&kit);
}

Test(ports, first_that_policy_gives) {
        Kit kit;
        KitSocket held[2];
        int control;

        harness_private_network();
        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule no]\nUser=*\nPort=7002\nAllow=no\n"
                        "[Rule some]\nUser=*\nPort=7001-7003\n");
        control = harness_connect(&kit.harness);
        held[0] = acquire_range(control, 7000, 7009, "exclusive");
        held[1] = acquire_range(control, 7000, 7009, "exclusive");
        cr_assert(eq(int, kit_port(&held[0]), 7001));
        cr_assert(eq(int, kit_port(&held[1]), 7003));
        kit_drop(&held[0]);
        kit_drop(&held[1]);
        close(control);
        kit_stop(&kit);
}

static void write_sysctl(const char *name, const char *value) {
        char path[128];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
        file = fopen(path, "we");
        cr_assert(file != NULL, "%m");
        fputs(value, file);
        cr_assert(zero(int, fclose(file)), "%m");
}

/* Reserved ports are for who names them: port 0 is never one of them, be nothing else left. */
Test(ports, zero_is_no_reserved_one) {
        static const char *const networks[] = { "tcp4", "udp4" };
        static const char *const sharings[] = { "group", "exclusive" };
        Kit kit;
        int control;

        harness_private_network();
        write_sysctl("ip_local_port_range", "40000 40003");
        write_sysctl("ip_local_reserved_ports", "40000-40001,40003");
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 4; i++) {
                const char *network = networks[i / 2], *sharing = sharings[i % 2];
                KitSocket found, named;

                found = kit_acquire(control, "{'network':'%s','address':'127.0.0.1:0','sharing':'%s'}",
                                    network, sharing);
                cr_assert(eq(int, kit_port(&found), 40002));
                json_decref(kit_refused(control, "AddressInUse",
                                        "{'network':'%s','address':'127.0.0.1:0','sharing':'%s'}",
                                        network, sharing));
                named = kit_acquire(control, "{'network':'%s','address':'127.0.0.1:40001'}", network);
                cr_assert(eq(int, kit_port(&named), 40001));
                kit_release(control, &named);
                kit_release(control, &found);
        }
        close(control);
        kit_stop(&kit);
}

/* Port 0 is taken from what policy gives, however little of the pool that is. */
Test(ports, zero_finds_what_policy_gives) {
        Kit kit;
        KitSocket held;
        int control;

        harness_private_network();
        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule some]\nUser=*\nPort=40000-40999\n");
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        cr_assert(ge(int, kit_port(&held), 40000));
        cr_assert(le(int, kit_port(&held), 40999));
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* The kernel would give a port of UDP several times over, to who says SO_REUSEPORT or SO_REUSEADDR
 * before. */
Test(ports, d7_ports_of_datagrams_are_unique) {
        enum { FIRST = 7000, N_PORTS = 10, N = 30 };
        static const char *const addresses[] = { "127.0.0.1:7000-7009", "127.0.0.1:0" };
        Kit kit;
        int control;

        harness_private_network();
        write_sysctl("ip_local_port_range", "7000 7009");
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < 2; i++) {
                KitSocket held[N_PORTS];
                bool seen[N_PORTS] = { false };

                for (size_t n = 0; n < N; n++) {
                        if (n >= N_PORTS) {
                                json_decref(kit_refused(control, "AddressInUse",
                                                        "{'network':'udp4','address':'%s'}",
                                                        addresses[i]));
                                continue;
                        }
                        held[n] =
                                kit_acquire(control, "{'network':'udp4','address':'%s'}", addresses[i]);
                        cr_assert(ge(int, kit_port(&held[n]), FIRST));
                        cr_assert(lt(int, kit_port(&held[n]), FIRST + N_PORTS));
                        cr_assert(not(seen[kit_port(&held[n]) - FIRST]), "%d twice", kit_port(&held[n]));
                        seen[kit_port(&held[n]) - FIRST] = true;
                }
                for (size_t n = 0; n < N_PORTS; n++)
                        kit_release(control, &held[n]);
        }
        close(control);
        kit_stop(&kit);
}
