/* SPDX-License-Identifier: BSD-2-Clause */

/* What the tests of Go's net assert about dialling, by their names in snake case. */

#include "tests/integration/go-kit.h"

TestSuite(go_net_dial, .timeout = 60);

enum {
        ROUNDS = 10,
};

/* Refused before anything is sent: the address is of the other family, whatever it looks like. */
Test(go_net_dial, test_prohibitionary_dial_arg) {
        static const struct {
                const char *network, *host;
        } arguments[] = {
                { "tcp6", "127.0.0.1" }, { "tcp6", "[::ffff:127.0.0.1]" }, { "tcp4", "[::1]" },
                { "udp6", "127.0.0.1" }, { "udp6", "[::ffff:127.0.0.1]" }, { "udp4", "[::1]" },
        };
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp", ":0");

        for (size_t i = 0; i < ELEMENTS(arguments); i++) {
                char target[GO_TEXT_MAX];

                snprintf(target, sizeof(target), "%s%s", arguments[i].host,
                         go_port(go_address(listener)));
                go_expect_undialled(&go, arguments[i].network, target, NULL, -EINVAL);
        }
        go_close(&go, listener);
        go_end(&go);
}

static const struct {
        const char *network, *host, *local;
        int number;
} locals[] = {
        { "tcp4", "127.0.0.1", NULL, 0 },
        { "tcp4", "127.0.0.1", ":0", 0 },
        { "tcp4", "127.0.0.1", "0.0.0.0:0", 0 },
        { "tcp4", "127.0.0.1", "[::ffff:0.0.0.0]:0", 0 },
        /* As Go reads it as a text; its type for an address refuses these bytes. */
        { "tcp4", "127.0.0.1", "[::]:0", 0 },
        { "tcp4", "127.0.0.1", "127.0.0.1:0", 0 },
        { "tcp4", "127.0.0.1", "[::ffff:127.0.0.1]:0", 0 },
        { "tcp4", "127.0.0.1", "[::1]:0", -EINVAL },
        { "tcp6", "[::1]", NULL, 0 },
        { "tcp6", "[::1]", ":0", 0 },
        { "tcp6", "[::1]", "0.0.0.0:0", -EINVAL },
        { "tcp6", "[::1]", "[::]:0", 0 },
        { "tcp6", "[::1]", "127.0.0.1:0", -EINVAL },
        { "tcp6", "[::1]", "[::ffff:127.0.0.1]:0", -EINVAL },
        { "tcp6", "[::1]", "[::1]:0", 0 },
        { "tcp", "127.0.0.1", NULL, 0 },
        { "tcp", "127.0.0.1", ":0", 0 },
        { "tcp", "127.0.0.1", "0.0.0.0:0", 0 },
        { "tcp", "127.0.0.1", "[::]:0", 0 },
        { "tcp", "127.0.0.1", "127.0.0.1:0", 0 },
        { "tcp", "127.0.0.1", "[::ffff:127.0.0.1]:0", 0 },
        { "tcp", "127.0.0.1", "[::1]:0", -EINVAL },
        { "tcp", "[::1]", NULL, 0 },
        { "tcp", "[::1]", "0.0.0.0:0", 0 },
        { "tcp", "[::1]", "[::]:0", 0 },
        { "tcp", "[::1]", "127.0.0.1:0", -EINVAL },
        { "tcp", "[::1]", "[::1]:0", 0 },
        { "udp4", "127.0.0.1", "[::1]:0", -EINVAL },
        { "udp6", "[::1]", "0.0.0.0:0", -EINVAL },
        { "udp", "127.0.0.1", "[::1]:0", -EINVAL },
        { "tcp4", "127.0.0.1", "/no/address/of/tcp", -EINVAL },
        { "tcp6", "[::1]", "/no/address/of/tcp", -EINVAL },
        { "tcp", "127.0.0.1", "/no/address/of/tcp", -EINVAL },
};

Test(go_net_dial, test_dialer_local_addr) {
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp", ":0");

        for (size_t i = 0; i < ELEMENTS(locals); i++) {
                char target[GO_TEXT_MAX];
                reuse_outgoing *outgoing;

                snprintf(target, sizeof(target), "%s%s", locals[i].host, go_port(go_address(listener)));
                if (locals[i].number < 0) {
                        go_expect_undialled(&go, locals[i].network, target, locals[i].local,
                                            locals[i].number);
                        continue;
                }
                outgoing = go_dial(&go, locals[i].network, target, locals[i].local, NULL);
                close(go_accept(go_fd(listener)));
                cr_assert(zero(int, strncmp(reuse_outgoing_get_local_address(outgoing), locals[i].host,
                                            strlen(locals[i].host))));
                reuse_outgoing_free(outgoing);
        }
        go_close(&go, listener);
        go_end(&go);
}

/* Whatever option a caller thinks of is there, on each network; on UNIX sockets, which the library makes
 * itself, those that have names. */
Test(go_net_dial, test_dialer_control) {
        static const char *const networks[] = {
                "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixpacket", "unixgram",
        };
        char raw[GO_TEXT_MAX], spec[GO_TEXT_MAX], target[GO_TEXT_MAX];
        Go go = go_begin();

        go_raw(SOL_SOCKET, SO_PRIORITY, 3, raw);
        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                bool is_unix = strncmp(networks[i], "unix", 4) == 0;
                reuse_sockets *listener = library_acquire(
                        go.client, go_spec(&go, networks[i], is_unix ? "control" : ":0", spec));
                reuse_outgoing *outgoing = go_dial(&go, networks[i], go_target(listener, target), NULL,
                                                   is_unix ? "priority=3" : raw + 1);

                cr_assert(eq(int,
                             kit_int_option(reuse_outgoing_get_fd(outgoing), SOL_SOCKET, SO_PRIORITY),
                             3),
                          "%s", networks[i]);
                if (kit_int_option(go_fd(listener), SOL_SOCKET, SO_TYPE) != SOCK_DGRAM)
                        close(go_accept(go_fd(listener)));
                reuse_outgoing_free(outgoing);
                go_close(&go, listener);
        }
        go_end(&go);
}

/* Whoever is given up is told at once, whatever it has come to. */
Test(go_net_dial, test_dial_cancel) {
        GoTold told[2] = { { 0 }, { 0 } };
        reuse_outgoing *outgoing;
        uint64_t begin = go_now();
        GoSilent silent;
        Go go = go_begin();

        silent = go_silent(AF_INET);
        outgoing = go_dial_async(&go, "tcp", silent.address, NULL, &told[0]);
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        go_wait_told(&go, &told[0]);
        cr_assert(eq(int, told[0].fd, -ECANCELED));
        reuse_outgoing_free(outgoing);
        outgoing = go_dial_async(&go, "tcp", silent.address, NULL, &told[1]);
        while (reuse_client_wait(go.client, GO_SHORT_USEC) > 0)
                cr_assert(ge(int, reuse_client_process(go.client), 0));
        cr_assert(zero(int, told[1].n));
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        go_wait_told(&go, &told[1]);
        cr_assert(eq(int, told[1].fd, -ECANCELED));
        cr_assert(lt(u64, go_now() - begin, GO_LONG_USEC));
        reuse_outgoing_free(outgoing);
        go_silent_end(&silent);
        go_end(&go);
}

/* Of a connection that is made, nothing is given up. */
Test(go_net_dial, test_cancel_after_dial) {
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp", "127.0.0.1:0");

        for (int i = 0; i < ROUNDS; i++) {
                GoTold told = { 0 };
                reuse_outgoing *outgoing = go_dial_async(&go, "tcp", go_address(listener), NULL, &told);
                int served;

                go_wait_told(&go, &told);
                cr_assert(ge(int, told.fd, 0));
                cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
                served = go_accept(go_fd(listener));
                kit_expect_byte(served, told.fd);
                kit_expect_byte(told.fd, served);
                cr_assert(eq(int, told.n, 1));
                reuse_outgoing_free(outgoing);
                close(served);
        }
        go_close(&go, listener);
        go_end(&go);
}

/* For ever is no point in time, however far it has been counted; and no host is this one. */
Test(go_net_dial, test_dial_with_non_zero_deadline) {
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp", "127.0.0.1:0");
        reuse_outgoing *outgoing = NULL;

        cr_assert(zero(int, reuse_client_dial(go.client, "tcp", go_port(go_address(listener)), NULL,
                                              NULL, REUSE_TIMEOUT_INFINITE, &outgoing, NULL)));
        close(go_accept(go_fd(listener)));
        cr_assert(reuse_client_get_timeout(go.client) == UINT64_MAX);
        reuse_outgoing_free(outgoing);
        go_close(&go, listener);
        go_end(&go);
}

/* The deadline was that of the connection's making: what is sent and received has none. */
Test(go_net_dial, test_dial_with_non_zero_deadline_is_over_once_connected) {
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp", "127.0.0.1:0");
        reuse_outgoing *outgoing = NULL;
        struct timeval timeout = { .tv_sec = 1 };
        socklen_t size = sizeof(timeout);
        int served, fd;

        cr_assert(zero(int, reuse_client_dial(go.client, "tcp", go_address(listener), NULL, NULL,
                                              GO_LONG_USEC, &outgoing, NULL)));
        fd = reuse_outgoing_get_fd(outgoing);
        served = go_accept(go_fd(listener));
        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &size)));
        cr_assert(zero(llong, timeout.tv_sec * 1000000LL + timeout.tv_usec));
        cr_assert(reuse_client_get_timeout(go.client) == UINT64_MAX);
        kit_expect_byte(served, fd);
        kit_expect_byte(fd, served);
        reuse_outgoing_free(outgoing);
        close(served);
        go_close(&go, listener);
        go_end(&go);
}

static const struct {
        const char *options;
        int keep_alive, idle, interval;
} keep_alives[] = {
        { NULL, 1, 15, 15 },
        { "keepAlive=no", 0, 0, 0 },
        { "keepAlive=yes", 1, 15, 15 },
        { "keepAliveIdleSec=30", 1, 30, 15 },
        { "keepAliveIdleSec=5,keepAliveIntervalSec=6", 1, 5, 6 },
};

Test(go_net_dial, test_dialer_keep_alive) {
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp", "127.0.0.1:0");

        for (size_t i = 0; i < ELEMENTS(keep_alives); i++) {
                reuse_outgoing *outgoing =
                        go_dial(&go, "tcp", go_address(listener), NULL, keep_alives[i].options);
                int fd = reuse_outgoing_get_fd(outgoing);

                close(go_accept(go_fd(listener)));
                cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_KEEPALIVE),
                             keep_alives[i].keep_alive));
                if (keep_alives[i].keep_alive) {
                        cr_assert(eq(int, kit_int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE),
                                     keep_alives[i].idle));
                        cr_assert(eq(int, kit_int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL),
                                     keep_alives[i].interval));
                }
                reuse_outgoing_free(outgoing);
        }
        go_close(&go, listener);
        go_end(&go);
}
