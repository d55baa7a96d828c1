/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the tests of Go's net assert about listening, by their names in snake case. Go's listeners are
 * for one, which is what exclusive endpoints are; that others join is what go-reuseport's tests are
 * about.
 */

#include "tests/integration/go-kit.h"

TestSuite(go_net_listen, .timeout = 60);

enum {
        ROUNDS = 10,
        LONG_BACKLOG = 196602,
        LONGER_BACKLOG = 262144,
};

/* ---- what a listener is ------------------------------------------------------------------------- */

/* Addresses that a listener can have, and what it is then, the same for TCP and UDP. */
typedef struct Listening {
        const char *digit, *host;
        int family;
        const char *network_digit, *bound;
} Listening;

static const Listening listenings[] = {
        { "", "", AF_INET6, "", "[::]" },
        { "", "0.0.0.0", AF_INET6, "", "[::]" },
        { "", "[::ffff:0.0.0.0]", AF_INET6, "", "[::]" },
        { "", "[::]", AF_INET6, "", "[::]" },
        { "", "127.0.0.1", AF_INET, "4", "127.0.0.1" },
        { "", "[::ffff:127.0.0.1]", AF_INET, "4", "127.0.0.1" },
        { "", "[::1]", AF_INET6, "6", "[::1]" },
        { "4", "", AF_INET, "4", "0.0.0.0" },
        { "4", "0.0.0.0", AF_INET, "4", "0.0.0.0" },
        { "4", "[::ffff:0.0.0.0]", AF_INET, "4", "0.0.0.0" },
        { "4", "127.0.0.1", AF_INET, "4", "127.0.0.1" },
        { "4", "[::ffff:127.0.0.1]", AF_INET, "4", "127.0.0.1" },
        { "6", "", AF_INET6, "6", "[::]" },
        { "6", "[::]", AF_INET6, "6", "[::]" },
        { "6", "[::1]", AF_INET6, "6", "[::1]" },
};

/* @host of @network with @digit, at @port, for one. Returns @buffer. */
static const char *exclusive(const char *network, const char *digit, const char *host, const char *port,
                             char buffer[static GO_TEXT_MAX]) {
        snprintf(buffer, GO_TEXT_MAX, "%s%s:%s%s,sharing=exclusive", network, digit, host, port);
        return buffer;
}

/* The first has the family that it is to have; a second at the same address is refused. */
static void expect_listening(Go *go, const char *network, const Listening *listening) {
        char spec[GO_TEXT_MAX], expected[GO_TEXT_MAX];
        reuse_sockets *first = library_acquire(
                go->client, exclusive(network, listening->digit, listening->host, ":0", spec));
        reuse_description *description = go_described(go_fd(first));
        const char *port = go_port(go_address(first));

        cr_assert(eq(int, reuse_description_get_family(description), listening->family), "%s", spec);
        snprintf(expected, sizeof(expected), "%s%s", network, listening->network_digit);
        KIT_EXPECT_TEXT(reuse_description_get_network(description), expected);
        KIT_EXPECT_TEXT(reuse_sockets_get_network(first, 0), expected);
        snprintf(expected, sizeof(expected), "%s%s", listening->bound, port);
        KIT_EXPECT_TEXT(reuse_description_get_local_address(description), expected);
        KIT_EXPECT_TEXT(go_address(first), expected);
        exclusive(network, listening->digit, listening->host, port, spec);
        cr_assert(eq(int, go_try(go, spec), -EADDRINUSE), "%s", spec);
        kit_expect_served(go_fd(first));
        reuse_description_free(description);
        go_close(go, first);
}

Test(go_net_listen, test_tcp_listener) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(listenings); i++)
                expect_listening(&go, "tcp", &listenings[i]);
        go_end(&go);
}

Test(go_net_listen, test_udp_listener) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(listenings); i++)
                expect_listening(&go, "udp", &listenings[i]);
        go_end(&go);
}

/* Two listeners at one port. */
static const struct {
        const char *digits[2], *hosts[2];
        int number;
} pairs[] = {
        { { "", "" }, { "", "" }, -EADDRINUSE },
        { { "", "" }, { "", "0.0.0.0" }, -EADDRINUSE },
        { { "", "" }, { "0.0.0.0", "" }, -EADDRINUSE },
        { { "", "" }, { "", "[::]" }, -EADDRINUSE },
        { { "", "" }, { "[::]", "" }, -EADDRINUSE },
        { { "", "" }, { "0.0.0.0", "[::]" }, -EADDRINUSE },
        { { "", "" }, { "[::]", "0.0.0.0" }, -EADDRINUSE },
        { { "", "" }, { "[::ffff:0.0.0.0]", "[::]" }, -EADDRINUSE },
        { { "", "" }, { "[::]", "[::ffff:0.0.0.0]" }, -EADDRINUSE },
        { { "4", "6" }, { "", "" }, 0 },
        { { "6", "4" }, { "", "" }, 0 },
        { { "4", "6" }, { "0.0.0.0", "[::]" }, 0 },
        { { "6", "4" }, { "[::]", "0.0.0.0" }, 0 },
        { { "", "" }, { "127.0.0.1", "[::1]" }, 0 },
        { { "", "" }, { "[::1]", "127.0.0.1" }, 0 },
        { { "4", "6" }, { "127.0.0.1", "[::1]" }, 0 },
        { { "6", "4" }, { "[::1]", "127.0.0.1" }, 0 },
};

static void expect_pairs(const char *network) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(pairs); i++) {
                char spec[GO_TEXT_MAX];
                reuse_sockets *first =
                        library_acquire(go.client, exclusive(network, pairs[i].digits[0],
                                                             pairs[i].hosts[0], ":0", spec));

                exclusive(network, pairs[i].digits[1], pairs[i].hosts[1], go_port(go_address(first)),
                          spec);
                cr_assert(eq(int, go_try(&go, spec), pairs[i].number), "%s beside %s", spec,
                          go_address(first));
                kit_expect_served(go_fd(first));
                go_close(&go, first);
        }
        go_end(&go);
}

Test(go_net_listen, test_dual_stack_tcp_listener) {
        expect_pairs("tcp");
}

Test(go_net_listen, test_dual_stack_udp_listener) {
        expect_pairs("udp");
}

/* No address is every address, and any port. */
Test(go_net_listen, test_wild_wildcard_listener) {
        static const char *const networks[] = { "tcp", "udp" };
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                reuse_sockets *listener = go_listen(&go, networks[i], "");

                cr_assert(zero(int, strncmp(go_address(listener), "[::]:", 5)));
                kit_expect_served(go_fd(listener));
                go_close(&go, listener);
        }
        if (geteuid() == 0) {
                reuse_sockets *listener = go_listen(&go, "ip4:icmp", "");

                cr_assert(eq(str, (char *)go_address(listener), (char *)"0.0.0.0"));
                go_close(&go, listener);
        }
        go_end(&go);
}

/* Who has closed one can open it again, at once, also when connections were made to it meanwhile. */
Test(go_net_listen, test_closing_listener) {
        Go go = go_begin();
        char spec[GO_TEXT_MAX];
        reuse_sockets *listener = library_acquire(go.client, "tcp:127.0.0.1:0,sharing=exclusive");

        snprintf(spec, sizeof(spec), "tcp:%s,sharing=exclusive", go_address(listener));
        for (int i = 0; i < ROUNDS; i++) {
                int client = kit_connect(go_fd(listener)), served = go_accept(go_fd(listener));

                close(served);
                close(client);
                go_close(&go, listener);
                listener = library_acquire(go.client, spec);
        }
        kit_expect_served(go_fd(listener));
        go_close(&go, listener);
        go_end(&go);
}

/* ---- before bind -------------------------------------------------------------------------------- */

/* Whatever option a caller thinks of is there, on each network. */
Test(go_net_listen, test_listen_config_control) {
        static const char *const networks[] = {
                "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixpacket", "unixgram",
        };
        char option[GO_TEXT_MAX];
        Go go = go_begin();

        go_raw(SOL_SOCKET, SO_PRIORITY, 3, option);
        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                char spec[2 * GO_TEXT_MAX + 64], path[GO_TEXT_MAX];
                const char *address = "";
                reuse_sockets *listener;

                if (strncmp(networks[i], "unix", 4) == 0) {
                        snprintf(path, sizeof(path), "%s/control", go.kit.harness.folder);
                        address = path;
                }
                snprintf(spec, sizeof(spec), "%s:%s%s", networks[i], address, option);
                listener = library_acquire(go.client, spec);
                cr_assert(eq(int, kit_int_option(go_fd(listener), SOL_SOCKET, SO_PRIORITY), 3), "%s",
                          networks[i]);
                go_close(&go, listener);
        }
        go_end(&go);
}

/* It is set before bind: without it there is no such address. */
Test(go_net_listen, test_listen_config_control_before_bind) {
        static const char *const networks[] = { "tcp4", "udp4", "tcp6", "udp6" };
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                bool ipv4 = strchr(networks[i], '4') != NULL;
                char spec[2 * GO_TEXT_MAX], option[GO_TEXT_MAX];
                reuse_sockets *listener;

                snprintf(spec, sizeof(spec), "%s:%s", networks[i],
                         ipv4 ? "192.0.2.1:0" : "[2001:db8::1]:0");
                cr_assert(eq(int, go_try(&go, spec), -EADDRNOTAVAIL));
                strcat(spec, go_raw(ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_FREEBIND : IPV6_FREEBIND,
                                    1, option));
                listener = library_acquire(go.client, spec);
                go_close(&go, listener);
        }
        go_end(&go);
}

/* As many may wait as the caller says, if the host lets it; and more than 16 bits can say. */
Test(go_net_listen, test_max_ack_backlog) {
        struct tcp_info info = { 0 };
        socklen_t size = sizeof(info);
        reuse_sockets *listener;
        Go go = go_begin();
        FILE *file = fopen("/proc/sys/net/core/somaxconn", "we");

        if (!file) {
                go_end(&go);
                cr_skip_test("cannot set net.core.somaxconn");
        }
        fprintf(file, "%d\n", LONGER_BACKLOG);
        cr_assert(zero(int, fclose(file)));
        listener = library_acquire(go.client, "tcp4:127.0.0.1:0,backlog=196602");
        cr_assert(zero(int, getsockopt(go_fd(listener), IPPROTO_TCP, TCP_INFO, &info, &size)));
        cr_assert(eq(u32, info.tcpi_sacked, LONG_BACKLOG));
        go_close(&go, listener);
        /* The host has the last word. */
        listener = library_acquire(go.client, "tcp4:127.0.0.1:0,backlog=1000000");
        cr_assert(zero(int, getsockopt(go_fd(listener), IPPROTO_TCP, TCP_INFO, &info, &size)));
        cr_assert(eq(u32, info.tcpi_sacked, LONGER_BACKLOG));
        go_close(&go, listener);
        /* And what it says is what there is when nothing is asked for. */
        listener = library_acquire(go.client, "tcp4:127.0.0.1:0");
        cr_assert(zero(int, getsockopt(go_fd(listener), IPPROTO_TCP, TCP_INFO, &info, &size)));
        cr_assert(eq(u32, info.tcpi_sacked, LONGER_BACKLOG));
        go_close(&go, listener);
        go_end(&go);
}
