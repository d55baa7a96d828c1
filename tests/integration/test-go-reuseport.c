/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What go-reuseport's tests assert, by their names in snake case: the four of today, and those of the
 * releases up to 0.1.19, which tried more. A node of theirs is a lease here, of one client for all: the
 * local address says which of them dials.
 *
 * Where the broker differs it is said, by a test that has the difference in its name.
 */

#include <sys/resource.h>

#include "tests/integration/go-kit.h"
#include "tests/unit/etc-kit.h"

TestSuite(go_reuseport, .timeout = 60);

enum {
        N_SAME = 3,
        N_CLIENTS = 1000,
        N_NODES = 50,
        N_MESSAGES = 1000,
        N_MESH_MESSAGES = 50,
        MESSAGE_SIZE = 32,
        ROUNDS = 5,
        FDS_WANTED = 8192,
};

static const char *const streams[] = { "tcp", "tcp4", "tcp6" };
static const char *const packets[] = { "udp", "udp4", "udp6" };

static bool is_ipv6(const char *network) {
        return strchr(network, '4') == NULL;
}

static const char *loopback(const char *network) {
        return is_ipv6(network) ? "[::1]:0" : "127.0.0.1:0";
}

/* ---- traffic ------------------------------------------------------------------------------------ */

/* @n bytes from @from, which come to @to. */
static void expect_bytes(int from, int to, size_t n) {
        char sent[MESSAGE_SIZE], received[N_MESH_MESSAGES * MESSAGE_SIZE];
        size_t have = 0;

        cr_assert(le(sz, n, sizeof(received)));
        memset(sent, 'm', sizeof(sent));
        for (size_t i = 0; i < n; i += sizeof(sent))
                cr_assert(eq(int, (int)send(from, sent, sizeof(sent), MSG_NOSIGNAL), MESSAGE_SIZE));
        while (have < n) {
                ssize_t r;

                kit_wait_readable(to);
                r = recv(to, received + have, n - have, 0);
                cr_assert(gt(int, (int)r, 0));
                have += (size_t)r;
        }
        for (size_t i = 0; i < n; i++)
                cr_assert(eq(chr, received[i], 'm'));
}

/* @n messages there and back. */
static void expect_echo(int client, int served, size_t n) {
        expect_bytes(client, served, n * MESSAGE_SIZE);
        expect_bytes(served, client, n * MESSAGE_SIZE);
}

/* Both ends have the ports of the two listeners. */
static void expect_ends(const reuse_outgoing *outgoing, const reuse_sockets *from,
                        const reuse_sockets *to) {
        KIT_EXPECT_TEXT(go_port(reuse_outgoing_get_local_address(outgoing)), go_port(go_address(from)));
        KIT_EXPECT_TEXT(go_port(reuse_outgoing_get_remote_address(outgoing)), go_port(go_address(to)));
        cr_assert(eq(int, reuse_outgoing_get_reused(outgoing), 1));
}

/* The same two ends can be a connection again, from whichever side. */
static void hang_up(reuse_outgoing *outgoing, int served) {
        reuse_outgoing_free(outgoing);
        kit_wait_readable(served);
        close(served);
}

/* From one listener to another, @n messages, and back. */
static void expect_dialled(Go *go, const char *network, const reuse_sockets *from,
                           const reuse_sockets *to, size_t n) {
        char target[GO_TEXT_MAX];
        reuse_outgoing *outgoing =
                go_dial(go, network, go_target(to, target), go_address(from), "lingerSec=0");
        int served = go_accept(go_fd(to));

        expect_ends(outgoing, from, to);
        expect_echo(reuse_outgoing_get_fd(outgoing), served, n);
        hang_up(outgoing, served);
}

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(go_reuseport, test_error_when_dial_unresolvable) {
        reuse_error *error = NULL;
        Go go;
        int r;

        /* Where no name server is asked. */
        etc_kit_setup("127.0.0.1 here\n", "any 0/tcp\n");
        go = go_begin();
        go_expect_undialled(&go, "asd", "127.0.0.1:1234", "127.0.0.1:1234", -EPROTONOSUPPORT);
        cr_assert(eq(int,
                     reuse_dial("asd", "127.0.0.1:1234", "127.0.0.1:1234", NULL, GO_LONG_USEC, &error),
                     -EPROTONOSUPPORT));
        library_expect_error(error, -EPROTONOSUPPORT, NULL, "asd");
        r = reuse_dial("tcp", "a.b.c.d:1234", "127.0.0.1:1234", NULL, GO_LONG_USEC, &error);
        cr_assert(eq(int, r, -ENXIO));
        library_expect_error(error, -ENXIO, NULL, "no such host");
        r = reuse_dial("tcp", "127.0.0.1:1234", "a.b.c.d:1234", NULL, GO_LONG_USEC, NULL);
        cr_assert(eq(int, r, -ENXIO));
        go_end(&go);
}

static void expect_no_dial_to_oneself(Go *go, const char *network) {
        reuse_sockets *listener = go_listen(go, network, loopback(network));

        go_expect_undialled(go, network, go_address(listener), go_address(listener), -ELOOP);
        /* It has lost nothing by that. */
        kit_expect_served(go_fd(listener));
        go_close(go, listener);
}

Test(go_reuseport, test_dial_self) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(streams); i++)
                expect_no_dial_to_oneself(&go, streams[i]);
        go_end(&go);
}

static void expect_timeout(Go *go, int family, const char *local) {
        GoSilent silent = go_silent(family);
        reuse_outgoing *outgoing = NULL;
        uint64_t begin = go_now();

        cr_assert(eq(int,
                     reuse_client_dial(go->client, "tcp", silent.address, local, NULL, GO_SHORT_USEC,
                                       &outgoing, NULL),
                     -ETIMEDOUT));
        cr_assert(lt(u64, go_now() - begin, UINT64_C(5000000)));
        go_silent_end(&silent);
}

Test(go_reuseport, test_dial_respects_timeout) {
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp4", "127.0.0.1:0");
        reuse_sockets *listener6 = go_listen(&go, "tcp6", "[::1]:0");

        expect_timeout(&go, AF_INET, go_address(listener));
        expect_timeout(&go, AF_INET6, go_address(listener6));
        expect_timeout(&go, AF_INET, NULL);
        expect_timeout(&go, AF_INET6, ":0");
        go_close(&go, listener);
        go_close(&go, listener6);
        go_end(&go);
}

/* A context that is over ends a dial that has much more time. */
static void expect_cancel(Go *go, int family, const char *network) {
        reuse_sockets *listener = go_listen(go, network, loopback(network));
        GoSilent silent = go_silent(family);
        GoTold told = { 0 };
        uint64_t begin = go_now();
        reuse_outgoing *outgoing =
                go_dial_async(go, network, silent.address, go_address(listener), &told);

        cr_assert(ge(int, reuse_client_wait(go->client, GO_SHORT_USEC), 0));
        while (reuse_client_process(go->client) > 0)
                ;
        cr_assert(zero(int, told.n));
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        go_wait_told(go, &told);
        cr_assert(eq(int, told.fd, -ECANCELED));
        cr_assert(lt(u64, go_now() - begin, UINT64_C(5000000)));
        reuse_outgoing_free(outgoing);
        go_silent_end(&silent);
        go_close(go, listener);
}

Test(go_reuseport, test_dial_respects_context) {
        Go go = go_begin();

        expect_cancel(&go, AF_INET, "tcp4");
        expect_cancel(&go, AF_INET6, "tcp6");
        go_end(&go);
}

/* No UNIX socket shares its address as those of IP do; what is given is one for all, or for one. */
Test(go_reuseport, test_unix_not_supported) {
        static const char *const networks[] = { "unix", "unixpacket", "unixgram" };
        Go go = go_begin();
        char spec[GO_TEXT_MAX + 64];

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                snprintf(spec, sizeof(spec), "%s:%s/foo,sharing=group", networks[i],
                         go.kit.harness.folder);
                cr_assert(eq(int, go_try(&go, spec), -EOPNOTSUPP), "%s", networks[i]);
        }
        go_end(&go);
}

/* ---- several at one address --------------------------------------------------------------------- */

/* Who comes is one's alone, and each has somebody in the end. */
static void expect_all_served(reuse_sockets *const listeners[static N_SAME]) {
        bool dgram = kit_int_option(go_fd(listeners[0]), SOL_SOCKET, SO_TYPE) == SOCK_DGRAM;
        bool served[N_SAME] = { false };
        int n_served = 0;

        for (int i = 0; i < N_CLIENTS && n_served < N_SAME; i++) {
                struct pollfd p[N_SAME];
                int client = kit_connect(go_fd(listeners[0])), n = 0;

                if (dgram)
                        cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                for (int j = 0; j < N_SAME; j++)
                        p[j] = (struct pollfd){ .fd = go_fd(listeners[j]), .events = POLLIN };
                cr_assert(eq(int, poll(p, N_SAME, KIT_PATIENCE_MSEC), 1));
                while (!p[n].revents)
                        n++;
                if (dgram)
                        cr_assert(eq(int, (int)recv(p[n].fd, &(char){ 0 }, 1, 0), 1));
                else
                        close(go_accept(p[n].fd));
                n_served += !served[n];
                served[n] = true;
                close(client);
        }
        cr_assert(eq(int, n_served, N_SAME));
}

/* As many as there are at @address, all at the same one. Port 0 is that of the first. */
static void expect_same_port(Go *go, const char *network, const char *address) {
        reuse_sockets *listeners[N_SAME];

        listeners[0] = go_listen(go, network, address);
        for (int i = 1; i < N_SAME; i++) {
                listeners[i] = go_listen(go, network, go_address(listeners[0]));
                KIT_EXPECT_TEXT(go_address(listeners[i]), go_address(listeners[0]));
                cr_assert(ne(ullong, kit_cookie(go_fd(listeners[i])), kit_cookie(go_fd(listeners[0]))));
        }
        expect_all_served(listeners);
        for (int i = 0; i < N_SAME; i++)
                go_close(go, listeners[i]);
}

static void expect_same_ports(const char *const *networks) {
        Go go = go_begin();

        for (size_t i = 0; i < 3; i++) {
                const char *network = networks[i];

                expect_same_port(&go, network, is_ipv6(network) ? "[::]:0" : "0.0.0.0:0");
                expect_same_port(&go, network, loopback(network));
                expect_same_port(&go, network, is_ipv6(network) ? "[fd09::1]:0" : "10.9.9.1:0");
                expect_same_port(&go, network, ":0");
                expect_same_port(&go, network, is_ipv6(network) ? "[::]:17532" : "0.0.0.0:17532");
                expect_same_port(&go, network, is_ipv6(network) ? "[::1]:17533" : "127.0.0.1:17533");
        }
        expect_same_port(&go, networks[0], "127.0.0.1:0");
        go_end(&go);
}

Test(go_reuseport, test_stream_listen_same_port) {
        expect_same_ports(streams);
}

Test(go_reuseport, test_packet_listen_same_port) {
        expect_same_ports(packets);
}

Test(go_reuseport, test_listen_packet_wildcard_address) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(packets); i++) {
                reuse_sockets *packet = go_listen(&go, packets[i], ":0");

                kit_expect_served(go_fd(packet));
                go_close(&go, packet);
        }
        go_end(&go);
}

/* ---- from one to another ------------------------------------------------------------------------ */

static void expect_dialled_between(Go *go, const char *network, const char *from, const char *to) {
        reuse_sockets *listeners[] = { go_listen(go, network, from), go_listen(go, network, to) };

        expect_dialled(go, network, listeners[0], listeners[1], 1);
        go_close(go, listeners[0]);
        go_close(go, listeners[1]);
}

Test(go_reuseport, test_dial_from_listening_port) {
        Go go = go_begin();

        expect_dialled_between(&go, "tcp", "127.0.0.1:0", "127.0.0.1:0");
        go_end(&go);
}

Test(go_reuseport, test_dial_from_listening_port_tcp6) {
        Go go = go_begin();

        expect_dialled_between(&go, "tcp6", "[::1]:0", "[::1]:0");
        go_end(&go);
}

Test(go_reuseport, test_stream_listen_dial_same_port) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(streams); i++) {
                const char *wildcard = is_ipv6(streams[i]) ? "[::]:0" : "0.0.0.0:0";

                expect_dialled_between(&go, streams[i], loopback(streams[i]), loopback(streams[i]));
                expect_dialled_between(&go, streams[i], loopback(streams[i]), wildcard);
                expect_dialled_between(&go, streams[i], wildcard, loopback(streams[i]));
                expect_dialled_between(&go, streams[i], wildcard, wildcard);
        }
        go_end(&go);
}

/* The listener hears the one that dials, the one that dials hears its peer alone. */
static void expect_talk_between(Go *go, const char *network, const char *from, const char *to) {
        reuse_sockets *packet[] = { go_listen(go, network, from), go_listen(go, network, to) };
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        char target[GO_TEXT_MAX], byte;
        reuse_outgoing *outgoing =
                go_dial(go, network, go_target(packet[1], target), go_address(packet[0]), NULL);
        int fd = reuse_outgoing_get_fd(outgoing);

        expect_ends(outgoing, packet[0], packet[1]);
        cr_assert(eq(int, (int)send(fd, "x", 1, 0), 1));
        kit_wait_readable(go_fd(packet[1]));
        cr_assert(eq(int,
                     (int)recvfrom(go_fd(packet[1]), &byte, 1, 0, (struct sockaddr *)&address, &size),
                     1));
        cr_assert(
                eq(int, (int)sendto(go_fd(packet[1]), "y", 1, 0, (struct sockaddr *)&address, size), 1));
        kit_wait_readable(fd);
        cr_assert(eq(int, (int)recv(fd, &byte, 1, 0), 1));
        cr_assert(eq(chr, byte, 'y'));
        kit_expect_served(go_fd(packet[0]));
        reuse_outgoing_free(outgoing);
        go_close(go, packet[0]);
        go_close(go, packet[1]);
}

/* It was skipped there, as it did not pass each time; it does here. */
Test(go_reuseport, test_packet_listen_dial_same_port) {
        Go go;

        harness_require_connected_found();
        go = go_begin();
        for (int i = 0; i < ROUNDS; i++) {
                expect_talk_between(&go, "udp", "127.0.0.1:0", "127.0.0.1:0");
                expect_talk_between(&go, "udp", "[::1]:0", "[::1]:0");
                expect_talk_between(&go, "udp", "[::]:0", "[::1]:0");
                expect_talk_between(&go, "udp6", "[::1]:0", "[::1]:0");
                expect_talk_between(&go, "udp6", "[::]:0", "[::]:0");
                expect_talk_between(&go, "udp4", "127.0.0.1:0", "127.0.0.1:0");
                expect_talk_between(&go, "udp4", "0.0.0.0:0", "127.0.0.1:0");
                expect_talk_between(&go, "udp4", "0.0.0.0:0", "0.0.0.0:0");
                expect_talk_between(&go, "udp4", "127.0.0.1:0,sharing=exclusive", "127.0.0.1:0");
                expect_talk_between(&go, "udp4", "127.0.0.1:0,sharing=shared", "127.0.0.1:0");
        }
        go_end(&go);
}

/* ---- many --------------------------------------------------------------------------------------- */

static void expect_many_messages(const char *network) {
        Go go = go_begin();
        reuse_sockets *nodes[] = { go_listen(&go, network, loopback(network)),
                                   go_listen(&go, network, loopback(network)) };

        for (int i = 0; i < 2; i++) {
                reuse_outgoing *outgoing = go_dial(&go, network, go_address(nodes[!i]),
                                                   go_address(nodes[i]), "lingerSec=0");
                int served = go_accept(go_fd(nodes[!i]));

                expect_ends(outgoing, nodes[i], nodes[!i]);
                for (int j = 0; j < N_MESSAGES; j++)
                        expect_echo(reuse_outgoing_get_fd(outgoing), served, 1);
                hang_up(outgoing, served);
        }
        go_close(&go, nodes[0]);
        go_close(&go, nodes[1]);
        go_end(&go);
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_msgs_tcp) {
        expect_many_messages("tcp");
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_msgs_tcp4) {
        expect_many_messages("tcp4");
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_msgs_tcp6) {
        expect_many_messages("tcp6");
}

typedef struct Pair {
        reuse_outgoing *outgoing;
        int served;
} Pair;

/* Every node dials those after it, or before it, and all of these connections are there at once. Those
 * of the other half have the same two ends, and come when these have gone. */
static void expect_half_a_mesh(Go *go, const char *network, reuse_sockets *const nodes[static N_NODES],
                               bool after, size_t n_messages) {
        static Pair pairs[N_NODES * (N_NODES - 1) / 2];
        size_t n = 0;

        for (int i = 0; i < N_NODES; i++)
                for (int j = after ? i + 1 : 0; j < (after ? N_NODES : i); j++) {
                        pairs[n].outgoing = go_dial(go, network, go_address(nodes[j]),
                                                    go_address(nodes[i]), "lingerSec=0");
                        pairs[n].served = go_accept(go_fd(nodes[j]));
                        KIT_EXPECT_TEXT(reuse_outgoing_get_local_address(pairs[n].outgoing),
                                        go_address(nodes[i]));
                        n++;
                }
        cr_assert(eq(sz, n, ELEMENTS(pairs)));
        for (size_t i = 0; i < n; i++)
                expect_echo(reuse_outgoing_get_fd(pairs[i].outgoing), pairs[i].served, n_messages);
        for (size_t i = 0; i < n; i++)
                hang_up(pairs[i].outgoing, pairs[i].served);
}

static void expect_mesh(const char *network, size_t n_messages) {
        struct rlimit limit;
        reuse_sockets *nodes[N_NODES];
        Go go;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        if (limit.rlim_max < FDS_WANTED)
                cr_skip_test("needs more descriptors than it may have");
        if (limit.rlim_cur < FDS_WANTED)
                limit.rlim_cur = FDS_WANTED;
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        go = go_begin();
        for (int i = 0; i < N_NODES; i++)
                nodes[i] = go_listen(&go, network, loopback(network));
        expect_half_a_mesh(&go, network, nodes, true, n_messages);
        expect_half_a_mesh(&go, network, nodes, false, n_messages);
        for (int i = 0; i < N_NODES; i++)
                go_close(&go, nodes[i]);
        go_end(&go);
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_nodes_tcp) {
        expect_mesh("tcp", 1);
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_nodes_tcp4) {
        expect_mesh("tcp4", 1);
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_nodes_tcp6) {
        expect_mesh("tcp6", 1);
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_msgs_many_nodes_tcp) {
        expect_mesh("tcp", N_MESH_MESSAGES);
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_msgs_many_nodes_tcp4) {
        expect_mesh("tcp4", N_MESH_MESSAGES);
}

Test(go_reuseport, test_stream_listen_dial_same_port_stress_many_msgs_many_nodes_tcp6) {
        expect_mesh("tcp6", N_MESH_MESSAGES);
}

/* ---- nothing is left ---------------------------------------------------------------------------- */

/* None more than before, here and in the broker, whatever came of it. */
Test(go_reuseport, test_open_fds) {
        Go go = go_begin();
        reuse_sockets *first;
        size_t n_broker_fds;
        int n_fds;

        cr_assert(ge(int, reuse_client_get_fd(go.client), 0));
        first = go_listen(&go, "tcp4", "127.0.0.1:0");
        n_fds = leaks_count_fds();
        n_broker_fds = harness_broker_fds(&go.kit.harness);
        for (int i = 0; i < ROUNDS; i++) {
                expect_same_port(&go, "tcp", ":0");
                expect_dialled_between(&go, "tcp4", "127.0.0.1:0", "127.0.0.1:0");
                expect_talk_between(&go, "udp6", "[::1]:0", "[::1]:0");
                expect_no_dial_to_oneself(&go, "tcp6");
                expect_timeout(&go, AF_INET, go_address(first));
                expect_cancel(&go, AF_INET, "tcp4");
        }
        cr_assert(eq(int, leaks_count_fds(), n_fds));
        harness_expect_broker_fds(&go.kit.harness, n_broker_fds);
        go_close(&go, first);
        go_end(&go);
}
