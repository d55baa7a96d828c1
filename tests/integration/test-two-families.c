/* SPDX-License-Identifier: BSD-2-Clause */

/* Which of IPv4 and IPv6 a socket serves, by its network and its address. */

#include "tests/integration/acquire-kit.h"

TestSuite(two_families, .timeout = 60);

/* A dual-stack wildcard serves both families, a tcp6 or udp6 one only its own. */
Test(two_families, s3_4_wildcards_serve_their_families) {
        static const struct {
                const char *network;
                int type;
                bool ipv4;
        } table[] = {
                { "tcp", SOCK_STREAM, true },
                { "udp", SOCK_DGRAM, true },
                { "tcp6", SOCK_STREAM, false },
                { "udp6", SOCK_DGRAM, false },
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                KitSocket held =
                        kit_acquire(control, "{'network':'%s','address':':0','sharing':'exclusive'}",
                                    table[i].network);
                struct sockaddr_storage at = { 0 };
                struct sockaddr_in *in = (struct sockaddr_in *)&at;
                char byte = 'x';
                int client;

                *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                            .sin_port = htons((uint16_t)kit_port(&held)),
                                            .sin_addr = { htonl(INADDR_LOOPBACK) } };
                kit_expect_served(held.fd);
                client = kit_connect_address(&at, sizeof(*in), table[i].type);
                if (table[i].type == SOCK_DGRAM)
                        cr_assert(eq(int, (int)send(client, &byte, 1, 0), 1));
                else
                        cr_assert(eq(int, client >= 0, table[i].ipv4));
                if (table[i].ipv4)
                        kit_wait_readable(held.fd);
                cr_assert(eq(int, kit_is_readable(held.fd), table[i].ipv4));
                fd_close(client);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

static void expect_wildcard_of_ipv6(int fd) {
        struct sockaddr_in6 bound = { 0 };
        socklen_t size = sizeof(bound);

        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_DOMAIN), AF_INET6));
        cr_assert(zero(int, kit_int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&bound, &size)));
        cr_assert(zero(int, memcmp(&bound.sin6_addr, &in6addr_any, sizeof(in6addr_any))));
}

/* Who comes by IPv4 has an address of IPv4 in IPv6, to which is answered. */
static void expect_answers_ipv4(const KitSocket *held, int type) {
        struct sockaddr_storage at = { 0 };
        struct sockaddr_in *in = (struct sockaddr_in *)&at;
        struct sockaddr_in6 peer = { 0 };
        socklen_t size = sizeof(peer);
        int client, server;
        char byte = 'x';

        *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)kit_port(held)),
                                    .sin_addr = { htonl(INADDR_LOOPBACK) } };
        client = kit_connect_address(&at, sizeof(*in), type);
        cr_assert(ge(int, client, 0));
        if (type == SOCK_DGRAM)
                cr_assert(eq(int, (int)send(client, &byte, 1, 0), 1));
        kit_wait_readable(held->fd);
        server = type == SOCK_DGRAM
                         ? (int)recvfrom(held->fd, &byte, 1, 0, (struct sockaddr *)&peer, &size)
                         : accept4(held->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
        cr_assert(gt(int, server, 0));
        cr_assert(eq(int, peer.sin6_family, AF_INET6));
        cr_assert(ne(int, IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr), 0));
        cr_assert(eq(u32, ntohl(peer.sin6_addr.s6_addr32[3]), INADDR_LOOPBACK));
        if (type == SOCK_DGRAM) {
                cr_assert(eq(int,
                             (int)sendto(held->fd, &byte, 1, 0, (struct sockaddr *)&peer, sizeof(peer)),
                             1));
                kit_wait_readable(client);
        } else {
                kit_expect_byte(server, client);
                close(server);
        }
        close(client);
}

/* Whoever writes the wildcard of IPv4, or none, gets that of IPv6, which has both. */
Test(two_families, s3_9_wildcard_of_ipv4_is_that_of_both) {
        static const struct {
                const char *network;
                int type;
        } networks[] = { { "tcp", SOCK_STREAM }, { "udp", SOCK_DGRAM } };
        static const char *const hosts[] = { "0.0.0.0", "", "[::ffff:0.0.0.0]", "[::]" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "dualStack"))
                cr_skip_test("an IPv6 socket cannot serve IPv4 here");
        for (size_t i = 0; i < 8; i++) {
                const char *network = networks[i / 4].network, *host = hosts[i % 4];
                KitSocket held =
                        kit_acquire(control, "{'network':'%s','address':'%s:0','sharing':'exclusive'}",
                                    network, host);

                KIT_EXPECT_TEXT(kit_text(held.reply, "network"), network);
                cr_assert(zero(int, strncmp(kit_address(&held), "[::]:", 5)), "%s", kit_address(&held));
                expect_wildcard_of_ipv6(held.fd);
                expect_answers_ipv4(&held, networks[i / 4].type);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

/* And one that is not the wildcard is of IPv4 alone: nobody is given a socket that is bound to such. */
Test(two_families, s3_9_address_of_ipv4_in_ipv6_is_one_of_ipv4) {
        static const char *const networks[] = { "tcp", "tcp4", "udp", "udp4" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "AddressInvalid",
                                "{'network':'tcp6','address':'[::ffff:127.0.0.1]:0'}"));
        for (size_t i = 0; i < 4; i++) {
                KitSocket held = kit_acquire(
                        control, "{'network':'%s','address':'[::ffff:127.0.0.1]:0'}", networks[i]);

                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_DOMAIN), AF_INET));
                cr_assert(zero(int, strncmp(kit_address(&held), "127.0.0.1:", 10)));
                kit_expect_served(held.fd);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}
