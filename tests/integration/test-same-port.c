/* SPDX-License-Identifier: BSD-2-Clause */

/* Several sockets of one Acquire at one port, of which the broker makes sure that all of them can have
 * it. */

#include "tests/integration/acquire-kit.h"

#define LEADER "{'network':'tcp4','address':'127.0.0.1:0'}"
#define FOLLOWER(network, address, leader)                                                              \
        "{'network':'" network "','address':'" address "','samePortAs':" #leader "}"

enum {
        SOCKETS = 4,
};

TestSuite(same_port, .timeout = 60);

static void acquire(int control, const char *sockets, size_t n, KitSocket *ret) {
        char parameters[1024];

        snprintf(parameters, sizeof(parameters), "{'sockets':[%s]}", sockets);
        kit_acquire_call(control, parameters, n, ret);
}

static void release(int control, KitSocket *held, size_t n) {
        for (size_t i = 0; i < n; i++)
                kit_release(control, &held[i]);
}

/* Bound in the test's own network namespace by somebody who knows no broker. */
static int occupy(int type, int port) {
        const struct sockaddr_in address = { .sin_family = AF_INET,
                                             .sin_port = htons((uint16_t)port),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, bind(fd, (const struct sockaddr *)&address, sizeof(address))), "%m");
        if (type == SOCK_STREAM)
                cr_assert(zero(int, listen(fd, 1)));
        return fd;
}

Test(same_port, refused) {
        static const char *const table[] = {
                FOLLOWER("tcp4", "127.0.0.1:0", 0),
                FOLLOWER("tcp4", "127.0.0.1:0", -1),
                LEADER "," FOLLOWER("tcp6", "[::1]:0", 1),
                LEADER "," FOLLOWER("tcp6", "[::1]:0", 2),
                LEADER "," FOLLOWER("tcp6", "[::1]:80", 0),
                LEADER "," FOLLOWER("tcp6", "[::1]:8000-8010", 0),
                LEADER "," FOLLOWER("unix", "@same-port", 0),
                "{'network':'unix','address':'@same-port'}," FOLLOWER("tcp4", "127.0.0.1:0", 0),
                FOLLOWER("tcp6", "[::1]:0", 1) "," LEADER,
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                json_auto_t *reply =
                        kit_expect_error(kit_call(control, "Acquire", "{'sockets':[%s]}", table[i]),
                                         "org.varlink.service.InvalidParameter");

                cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.parameter"), "samePortAs"), NULL),
                          "%s", table[i]);
        }
        json_decref(kit_expect_error(
                kit_call(control, "Explain", "{'request':%s}", FOLLOWER("tcp4", "127.0.0.1:0", 0)),
                "org.varlink.service.InvalidParameter"));
        close(control);
        kit_stop(&kit);
}

Test(same_port, of_both_families_and_both_transports) {
        KitSocket held[SOCKETS];
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int turn = 0; turn < 5; turn++) {
                acquire(control,
                        LEADER "," FOLLOWER("tcp6", "[::1]:0", 0) "," FOLLOWER(
                                "udp4", "127.0.0.1:0", 1) "," FOLLOWER("udp6", "[::1]:0", 0),
                        SOCKETS, held);
                cr_assert(gt(int, kit_port(&held[0]), 0));
                for (size_t i = 0; i < SOCKETS; i++) {
                        cr_assert(eq(int, kit_port(&held[i]), kit_port(&held[0])));
                        kit_expect_served(held[i].fd);
                }
                release(control, held, SOCKETS);
        }
        close(control);
        kit_stop(&kit);
}

Test(same_port, of_a_port_that_is_given_and_of_a_name_that_is_there) {
        KitSocket first[2], second[2];
        char request[256];
        Kit kit;
        int control, port;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        acquire(control,
                "{'network':'tcp4','address':'127.0.0.1:0','name':'web4'},"
                "{'network':'tcp6','address':'[::1]:0','name':'web6','samePortAs':0}",
                2, first);
        port = kit_port(&first[0]);
        /* Another process of the same program. */
        acquire(control,
                "{'network':'tcp4','address':'127.0.0.1:0','name':'web4'},"
                "{'network':'tcp6','address':'[::1]:0','name':'web6','samePortAs':0}",
                2, second);
        for (size_t i = 0; i < 2; i++) {
                cr_assert(eq(int, kit_port(&first[i]), port));
                cr_assert(eq(int, kit_port(&second[i]), port));
                kit_expect_members(control, &first[i], 2);
        }
        release(control, second, 2);
        snprintf(request, sizeof(request),
                 "{'network':'tcp4','address':'127.0.0.1:%d'}," FOLLOWER("tcp6", "[::1]:0", 0), port);
        acquire(control, request, 2, second);
        cr_assert(eq(int, kit_port(&second[1]), port));
        release(control, second, 2);
        release(control, first, 2);
        close(control);
        kit_stop(&kit);
}

/* All but one of the ports are taken for one of the two, by others, and what was made on the way is
 * undone. */
Test(same_port, passes_over_what_one_of_them_cannot_have) {
        enum { FIRST = 8000, LAST = 8004 };
        int control, taken[LAST - FIRST + 1];
        KitSocket held[2];
        size_t n_fds;
        Kit kit;

        harness_private_network();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int port = FIRST; port < LAST; port++)
                taken[port - FIRST] = occupy(SOCK_DGRAM, port);
        n_fds = harness_broker_fds(&kit.harness);
        acquire(control,
                "{'network':'tcp4','address':'127.0.0.1:8000-8004'}," FOLLOWER("udp4", "127.0.0.1:0", 0),
                2, held);
        cr_assert(eq(int, kit_port(&held[0]), LAST));
        cr_assert(eq(int, kit_port(&held[1]), LAST));
        release(control, held, 2);

        taken[LAST - FIRST] = occupy(SOCK_DGRAM, LAST);
        json_decref(kit_refused(control, "AddressInUse",
                                "{'network':'tcp4','address':'127.0.0.1:8000-8004'}," FOLLOWER(
                                        "udp4", "127.0.0.1:0", 0)));
        harness_expect_broker_fds(&kit.harness, n_fds);
        for (int port = FIRST; port <= LAST; port++)
                close(taken[port - FIRST]);
        close(control);
        kit_stop(&kit);
}

/* One that can have none there: a dual-stack wildcard beside a wildcard of IPv4. */
Test(same_port, of_two_that_exclude_each_other) {
        size_t n_fds;
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        n_fds = harness_broker_fds(&kit.harness);
        json_decref(
                kit_refused(control, "AddressInUse",
                            "{'network':'tcp','address':':0','sharing':'exclusive'},"
                            "{'network':'tcp4','address':':0','sharing':'exclusive','samePortAs':0}"));
        harness_expect_broker_fds(&kit.harness, n_fds);
        close(control);
        kit_stop(&kit);
}

Test(same_port, is_one_that_policy_gives_to_all) {
        static const char config[] = "[Broker]\nSocketMode=0666\nRetainSec=0\n"
                                     "[Rule tcp]\nUser=*\nNetwork=tcp\nPort=8000-8009\n"
                                     "[Rule udp]\nUser=*\nNetwork=udp\nPort=8005-8020\n";
        KitSocket held[2];
        Kit kit;
        int control;

        harness_private_network();
        kit_start(&kit, config);
        control = harness_connect(&kit.harness);
        acquire(control,
                "{'network':'tcp4','address':'127.0.0.1:8000-8020'}," FOLLOWER("udp4", "127.0.0.1:0", 0),
                2, held);
        cr_assert(eq(int, kit_port(&held[1]), 8005));
        release(control, held, 2);
        {
                json_auto_t *reply =
                        kit_refused(control, "PolicyDenied",
                                    "{'network':'tcp4','address':'127.0.0.1:8000-8004'}," FOLLOWER(
                                            "udp4", "127.0.0.1:0", 0));

                /* It says which of the two. */
                cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), "udp4"), NULL), "%s",
                          kit_text(reply, "parameters.reason"));
        }
        close(control);
        kit_stop(&kit);
}

Test(same_port, is_not_had_beyond_a_limit) {
        static const char config[] = "[Broker]\nSocketMode=0666\nRetainSec=0\nMaxLeasesPerUser=2\n"
                                     "[Rule all]\nUser=*\n";
        KitSocket held[2];
        size_t n_fds;
        Kit kit;
        int control;

        kit_start(&kit, config);
        control = harness_connect(&kit.harness);
        n_fds = harness_broker_fds(&kit.harness);
        json_decref(kit_refused(
                control, "QuotaExceeded",
                LEADER "," FOLLOWER("tcp6", "[::1]:0", 0) "," FOLLOWER("udp4", "127.0.0.1:0", 0)));
        harness_expect_broker_fds(&kit.harness, n_fds);
        acquire(control, LEADER "," FOLLOWER("tcp6", "[::1]:0", 0), 2, held);
        release(control, held, 2);
        close(control);
        kit_stop(&kit);
}
