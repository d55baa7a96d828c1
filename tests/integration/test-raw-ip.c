/* SPDX-License-Identifier: BSD-2-Clause */

/* Raw IP: whom rules give it, and what its sockets are. The protocols are those that nobody speaks. */

#include <netinet/in.h>

#include "tests/integration/resume-kit.h"

TestSuite(raw_ip, .timeout = 60);

#define BROKER "[Broker]\nSocketMode=0666\nRetainSec=1h\n"
#define GIVEN BROKER "[Rule raw]\nUser=*\nNetwork=tcp ip\nOptions=*\n"

static Keeper keeper;

static void require_raw(void) {
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 253);

        if (fd < 0)
                cr_skip_test("needs CAP_NET_RAW");
        close(fd);
}

static void send_to(const char *host, int protocol) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        bool ipv4 = inet_pton(AF_INET, host, &in.sin_addr) == 1;
        int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, protocol);

        cr_assert(ge(int, fd, 0));
        if (!ipv4)
                cr_assert(eq(int, inet_pton(AF_INET6, host, &in6.sin6_addr), 1));
        cr_assert(
                eq(int,
                   (int)sendto(fd, "abcd", 4, 0, ipv4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                               ipv4 ? sizeof(in) : sizeof(in6)),
                   4));
        close(fd);
}

static void expect_packet(const KitSocket *held) {
        char data[64];

        kit_wait_readable(held->fd);
        cr_assert(ge(int, (int)recv(held->fd, data, sizeof(data), 0), 4));
}

static void expect_nothing(const KitSocket *held) {
        char data[64];

        cr_assert(lt(int, (int)recv(held->fd, data, sizeof(data), 0), 0));
        cr_assert(eq(int, errno, EAGAIN));
}

static void begin(Kit *kit, const char *config, int *control) {
        kit_start(kit, config);
        *control = harness_connect(&kit->harness);
}

static void end(Kit *kit, int control) {
        close(control);
        kit_stop(kit);
}

/* ---- refusals ------------------------------------------------------------------------------------- */

/* Neither by no word at all nor by the one for everything. */
Test(raw_ip, is_given_by_name_alone) {
        static const char *const configs[] = {
                BROKER "[Rule all]\nUser=*\nOptions=*\n",
                BROKER "[Rule all]\nUser=*\nNetwork=*\nOptions=*\n",
                BROKER "[Rule all]\nUser=*\nNetwork=*\nAddress=*\nPort=*\nOptions=*\n",
                BROKER "[Rule all]\nUser=*\nNetwork=tcp udp\n",
        };

        for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
                json_t *reply;
                int control;
                Kit kit;

                begin(&kit, configs[i], &control);
                reply = kit_refused(control, "PolicyDenied",
                                    "{'network':'ip4:icmp','address':'127.0.0.1'}");
                cr_assert(ne(ptr,
                             strstr(kit_text(reply, "parameters.reason"),
                                    "raw IP is given by name alone, as by Network=ip4:1"),
                             NULL));
                json_decref(reply);
                reply = kit_call(control, "Explain", "{'request':{'network':'ip6:58','address':'::1'}}");
                cr_assert(not(kit_true(reply, "parameters.allowed")));
                json_decref(reply);
                end(&kit, control);
        }
}

Test(raw_ip, protocols_that_are_not_named) {
        static const char *const denied[] = {
                "{'network':'ip4:tcp','address':'127.0.0.1'}",
                "{'network':'ip4:58','address':'127.0.0.1'}",
                "{'network':'ip6:icmp','address':'::1'}",
                "{'network':'ip4:icmp','address':'127.0.0.2'}",
                "{'network':'ip4:icmp','address':''}",
        };
        int control;
        Kit kit;

        begin(&kit,
              BROKER "[Rule ping]\nUser=*\nNetwork=ip4:icmp ip6:ipv6-icmp\nAddress=127.0.0.1 ::1\n",
              &control);
        for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
                json_decref(kit_refused(control, "PolicyDenied", "%s", denied[i]));
        end(&kit, control);
}

Test(raw_ip, s3_1_refused) {
        static const char *const requests[][2] = {
                { "NetworkUnknown", "{'network':'ip','address':'127.0.0.1'}" },
                { "NetworkUnknown", "{'network':'ip4:','address':'127.0.0.1'}" },
                { "NetworkUnknown", "{'network':'ip4:nosuch','address':'127.0.0.1'}" },
                { "NetworkUnknown", "{'network':'ip4:256','address':'127.0.0.1'}" },
                { "NotSupported", "{'network':'ip4:255','address':'127.0.0.1'}" },
                { "NotSupported", "{'network':'ip4:253','address':'','standby':true}" },
                { "NotSupported", "{'network':'ip4:253','address':'','weight':5}" },
                { "AddressInvalid", "{'network':'ip4:253','address':'127.0.0.1:0'}" },
                { "AddressInvalid", "{'network':'ip6:253','address':'[::1]'}" },
                { "AddressInvalid", "{'network':'ip6:253','address':'127.0.0.1'}" },
                { "OptionInvalid",
                  "{'network':'ip4:253','address':'','options':{'reuseAddress':true}}" },
                { "OptionInvalid", "{'network':'ip4:253','address':'','options':{'backlog':1}}" },
                { "OptionInvalid", "{'network':'ip6:253','address':'','options':{'ipv6Only':false}}" },
                { "OptionInvalid", "{'network':'ip4:253','address':'','networkNamespace':'blue'}" },
        };
        int control;
        Kit kit;

        begin(&kit, GIVEN, &control);
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
                json_decref(kit_refused(control, requests[i][0], "%s", requests[i][1]));
        json_decref(kit_expect_error(kit_call(control, "Acquire",
                                              "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'},"
                                              "{'network':'ip4:253','address':'','samePortAs':0}]}"),
                                     "org.varlink.service.InvalidParameter"));
        end(&kit, control);
}

Test(raw_ip, what_the_kernel_refuses) {
        int control;
        Kit kit;

        require_raw();
        begin(&kit, GIVEN, &control);
        json_decref(kit_refused(control, "AddressUnavailable",
                                "{'network':'ip4:253','address':'192.0.2.1'}"));
        json_decref(kit_refused(control, "NotSupported", "{'network':'ip4:0','address':''}"));
        end(&kit, control);
}

/* The rules came when what it takes had been given up: the status says what is to be done. */
Test(raw_ip, rules_that_come_later) {
        int control;
        Kit kit;

        kit_require_root();
        begin(&kit, BROKER "[Rule all]\nUser=*\n", &control);
        cr_assert(not(kit_is_warned(control, "raw IP")));
        harness_reload(&kit.harness, GIVEN);
        cr_assert(kit_is_warned(control, "rules give raw IP since the broker gave up what it takes"));
        json_decref(kit_refused(control, "SystemFailure", "{'network':'ip4:253','address':''}"));
        end(&kit, control);
}

/* ---- what is given -------------------------------------------------------------------------------- */

Test(raw_ip, s3_10_what_a_socket_has_at_birth) {
        static const struct {
                const char *network, *address, *said_network, *said;
                int family, protocol;
        } rows[] = {
                { "ip4:253", "127.0.0.1", "ip4:253", "127.0.0.1", AF_INET, 253 },
                { "ip4:icmp", "", "ip4:1", "0.0.0.0", AF_INET, IPPROTO_ICMP },
                { "ip:254", "127.0.0.1", "ip4:254", "127.0.0.1", AF_INET, 254 },
                { "ip:254", "::1", "ip6:254", "::1", AF_INET6, 254 },
                { "ip:ospf", "", "ip6:89", "::", AF_INET6, 89 },
                { "ip6:ipv6-icmp", "localhost", "ip6:58", "::1", AF_INET6, IPPROTO_ICMPV6 },
        };
        int control;
        Kit kit;

        require_raw();
        begin(&kit, GIVEN, &control);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                KitSocket held = kit_acquire(control, "{'network':'%s','address':'%s'}", rows[i].network,
                                             rows[i].address);
                json_t *endpoint = kit_describe(control, &held);

                KIT_EXPECT_TEXT(kit_text(held.reply, "network"), rows[i].said_network);
                KIT_EXPECT_TEXT(kit_address(&held), rows[i].said);
                KIT_EXPECT_TEXT(kit_text(held.reply, "sharing"), "group");
                KIT_EXPECT_TEXT(kit_text(endpoint, "network"), rows[i].said_network);
                KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), "");
                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_DOMAIN), rows[i].family));
                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_TYPE), SOCK_RAW));
                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_PROTOCOL), rows[i].protocol));
                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_BROADCAST), 1));
                cr_assert(zero(int, kit_int_option(held.fd, SOL_SOCKET, SO_REUSEPORT)));
                cr_assert(zero(int, kit_int_option(held.fd, SOL_SOCKET, SO_LOCK_FILTER)));
                cr_assert(ne(int, fcntl(held.fd, F_GETFL) & O_NONBLOCK, 0));
                json_decref(endpoint);
                kit_release(control, &held);
        }
        end(&kit, control);
}

Test(raw_ip, each_member_gets_everything) {
        KitSocket held[2], other, shared;
        json_t *endpoint;
        int control;
        Kit kit;

        require_raw();
        harness_private_network();
        begin(&kit, GIVEN, &control);
        held[0] = kit_acquire(control, "{'network':'ip4:253','address':'127.0.0.1','name':'raw'}");
        held[1] = kit_acquire(control, "{'network':'ip4:253','address':'127.0.0.1','name':'raw'}");
        other = kit_acquire(control, "{'network':'ip4:253','address':''}");
        shared = kit_acquire(control,
                             "{'network':'ip4:254','address':'127.0.0.1','sharing':'exclusive'}");
        KIT_EXPECT_TEXT(kit_text(held[1].reply, "endpoint"), kit_text(held[0].reply, "endpoint"));
        cr_assert(ne(str, (char *)kit_text(held[1].reply, "cookie"),
                     (char *)kit_text(held[0].reply, "cookie")));
        endpoint = kit_describe(control, &held[0]);
        KIT_EXPECT_TEXT(kit_text(endpoint, "continuity"), "none");
        json_decref(endpoint);
        json_decref(kit_expect_error(
                kit_call(control, "Drain", "{'leases':['%s']}", kit_lease(&held[0])), "NotSupported"));
        json_decref(kit_refused(control, "AddressInUse",
                                "{'network':'ip4:254','address':'127.0.0.1','sharing':'exclusive'}"));
        send_to("127.0.0.1", 253);
        expect_packet(&held[0]);
        expect_packet(&held[1]);
        expect_packet(&other);
        expect_nothing(&shared);
        kit_release(control, &held[0]);
        send_to("127.0.0.1", 253);
        expect_packet(&held[1]);
        kit_release(control, &held[1]);
        kit_release(control, &other);
        kit_release(control, &shared);
        end(&kit, control);
}

Test(raw_ip, of_ipv6) {
        KitSocket held;
        int control;
        Kit kit;

        require_raw();
        harness_private_network();
        begin(&kit, GIVEN, &control);
        held = kit_acquire(control, "{'network':'ip6:253','address':'::1','options':{'timeToLive':7}}");
        send_to("::1", 253);
        expect_packet(&held);
        kit_release(control, &held);
        end(&kit, control);
}

Test(raw_ip, is_parked_and_adopted) {
        char cookie[64];
        KitSocket held;
        int control;
        Kit kit;

        require_raw();
        harness_private_network();
        begin(&kit, GIVEN, &control);
        held = kit_acquire(control, "{'network':'ip4:253','address':'127.0.0.1'}");
        snprintf(cookie, sizeof(cookie), "%s", kit_text(held.reply, "cookie"));
        kit_drop(&held);
        harness_hang_up(control);
        control = harness_connect(&kit.harness);
        send_to("127.0.0.1", 253);
        held = kit_acquire(control, "{'network':'ip4:253','address':'127.0.0.1',"
                                    "'options':{'receiveBuffer':8192}}");
        cr_assert(kit_true(held.reply, "adopted"));
        KIT_EXPECT_TEXT(kit_text(held.reply, "cookie"), cookie);
        expect_packet(&held);
        kit_release(control, &held);
        end(&kit, control);
}

typedef void Move(int fd, struct sockaddr *address, socklen_t size);

static void move_by_bind(int fd, struct sockaddr *address, socklen_t size) {
        cr_assert(zero(int, bind(fd, address, size)));
}

/* Who is bound already stays there, and hears one peer alone. */
static void move_by_connect(int fd, struct sockaddr *address, socklen_t size) {
        cr_assert(zero(int, connect(fd, address, size)));
}

/* There and back again is no harm. */
static void move_nowhere(int fd, struct sockaddr *address, socklen_t size) {
        struct sockaddr_storage before;
        socklen_t len = kit_bound_address(fd, &before);

        cr_assert(zero(int, bind(fd, address, size)));
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&before, len)));
}

/* What a holder made of it is not handed on under the address that it had. */
Test(raw_ip, moved_is_not_adopted) {
        static const struct {
                Move *move;
                bool adopted;
        } moves[] = { { move_by_bind, false }, { move_by_connect, false }, { move_nowhere, true } };
        static const char *const hosts[] = { "127.0.0.1", "" };
        struct sockaddr_in other = { .sin_family = AF_INET };
        int control;
        Kit kit;

        require_raw();
        harness_private_network();
        begin(&kit, GIVEN, &control);
        cr_assert(eq(int, inet_pton(AF_INET, "127.0.0.2", &other.sin_addr), 1));
        for (size_t i = 0; i < 12; i++) {
                const char *host = hosts[i / 3 % 2], *sharing = i < 6 ? "group" : "shared";
                KitSocket held = kit_acquire(
                        control, "{'network':'ip4:253','address':'%s','sharing':'%s'}", host, sharing);
                char cookie[32];

                snprintf(cookie, sizeof(cookie), "%s", kit_text(held.reply, "cookie"));
                moves[i % 3].move(held.fd, (struct sockaddr *)&other, sizeof(other));
                kit_drop(&held);
                harness_hang_up(control);
                control = harness_connect(&kit.harness);
                held = kit_acquire(control, "{'network':'ip4:253','address':'%s','sharing':'%s'}", host,
                                   sharing);
                cr_assert(eq(int, kit_true(held.reply, "adopted"), moves[i % 3].adopted), "row %zu", i);
                cr_assert(eq(int, strcmp(kit_text(held.reply, "cookie"), cookie) == 0,
                             moves[i % 3].adopted));
                send_to("127.0.0.1", 253);
                expect_packet(&held);
                kit_release(control, &held);
        }
        end(&kit, control);
}

/* Of IPv6 likewise. */
Test(raw_ip, moved_of_ipv6_is_not_adopted) {
        struct sockaddr_in6 other = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
        int control;
        Kit kit;

        require_raw();
        harness_private_network();
        begin(&kit, GIVEN, &control);
        for (size_t i = 0; i < 2; i++) {
                KitSocket held = kit_acquire(control, "{'network':'ip6:253','address':''}");

                (i == 0 ? move_by_bind : move_by_connect)(held.fd, (struct sockaddr *)&other,
                                                          sizeof(other));
                kit_drop(&held);
                harness_hang_up(control);
                control = harness_connect(&kit.harness);
                held = kit_acquire(control, "{'network':'ip6:253','address':''}");
                cr_assert(not(kit_true(held.reply, "adopted")));
                kit_release(control, &held);
        }
        end(&kit, control);
}

/* ---- other brokers -------------------------------------------------------------------------------- */

Test(raw_ip, outlives_the_broker) {
        KitSocket held[2];
        int control;
        Kit kit;

        require_raw();
        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, GIVEN);
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{'network':'ip4:253','address':'127.0.0.1'}");
        held[1] = kit_acquire(control, "{'network':'ip6:253','address':'::1'}");
        harness_kill(&kit.harness);
        harness_restart(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < 2; i++) {
                cr_assert(kit_resume(control, &held[i]));
                kit_release(control, &held[i]);
        }
        close(control);
        harness_stop(&kit.harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit.n_fds);
}

/* Its holder has bound it to another address, or connected it, which binds it as well. */
Test(raw_ip, outlives_the_broker_at_another_address) {
        struct sockaddr_in address = { .sin_family = AF_INET };
        KitSocket held[2];
        int control;
        Kit kit;

        require_raw();
        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, GIVEN);
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{'network':'ip4:253','address':'127.0.0.1'}");
        held[1] = kit_acquire(control, "{'network':'ip4:254','address':''}");
        cr_assert(eq(int, inet_pton(AF_INET, "127.0.0.2", &address.sin_addr), 1));
        cr_assert(zero(int, bind(held[0].fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, connect(held[1].fd, (struct sockaddr *)&address, sizeof(address))));
        harness_kill(&kit.harness);
        harness_restart(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < 2; i++) {
                cr_assert(kit_resume(control, &held[i]));
                kit_release(control, &held[i]);
        }
        close(control);
        harness_stop(&kit.harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit.n_fds);
}

Test(raw_ip, outlives_its_replacement) {
        int control, before;
        KitSocket held;
        Kit kit;

        require_raw();
        begin(&kit, GIVEN, &control);
        before = control;
        held = kit_acquire(control, "{'network':'ip4:253','address':'127.0.0.1'}");
        harness_replace(&kit.harness);
        control = harness_connect(&kit.harness);
        close(before);
        cr_assert(kit_resume(control, &held));
        kit_release(control, &held);
        end(&kit, control);
}
