/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Connections from the ports that a program listens on, by the library and a running broker. Those to
 * whom they are made are no clients of the broker, so that no port but the one meant can be chosen.
 */

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "proto/address.h"
#include "tests/integration/library-kit.h"

TestSuite(library_dial, .timeout = 60);

enum {
        PATIENCE_USEC = KIT_PATIENCE_MSEC * 1000,
        DIALS = 100,
};

/* ---- a broker, and a client of it ---------------------------------------------------------------- */

static Kit kit;
static reuse_client *client;

static void begin(void) {
        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
}

static void end(void) {
        reuse_client_free(client);
        kit_stop(&kit);
}

/* ---- both ends ---------------------------------------------------------------------------------- */

/* Somebody who has nothing to do with the broker. */
typedef struct Peer {
        int fd;
        char address[ADDRESS_TEXT_MAX];
} Peer;

static int port_of(int fd) {
        struct sockaddr_in address = { 0 };
        socklen_t size = sizeof(address);

        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        return ntohs(address.sin_port);
}

static Peer peer_new(int type, int backlog) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        Peer peer = { .fd = socket(AF_INET, type | SOCK_CLOEXEC, 0) };

        cr_assert(peer.fd >= 0);
        cr_assert(zero(int, bind(peer.fd, (struct sockaddr *)&address, sizeof(address))));
        if (type == SOCK_STREAM)
                cr_assert(zero(int, listen(peer.fd, backlog)));
        snprintf(peer.address, sizeof(peer.address), "127.0.0.1:%d", port_of(peer.fd));
        return peer;
}

/* Takes a connection. Returns the port it comes from; *ret_fd is the caller's. */
static int peer_accept(const Peer *peer, int *ret_fd) {
        struct sockaddr_in address = { 0 };
        socklen_t size = sizeof(address);

        kit_wait_readable(peer->fd);
        *ret_fd = accept4(peer->fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);
        cr_assert(ge(int, *ret_fd, 0));
        return ntohs(address.sin_port);
}

static reuse_outgoing *dial(const char *network, const char *remote, const char *local,
                            const char *options) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        int r = reuse_client_dial(client, network, remote, local, options, PATIENCE_USEC, &outgoing,
                                  &error);

        cr_assert(r == 0, "%s", reuse_error_get_message(error));
        cr_assert(error == NULL);
        return outgoing;
}

/* Dials @peer, which sees it come from @port (0: from any but those of @not). Both are closed. */
static void expect_port(const Peer *peer, const char *local, int port, int not ) {
        reuse_outgoing *outgoing = dial("tcp", peer->address, local, NULL);
        int fd, from = peer_accept(peer, &fd);

        cr_assert(eq(int, from, port_of(reuse_outgoing_get_fd(outgoing))));
        if (port)
                cr_assert(eq(int, from, port));
        else
                cr_assert(ne(int, from, not ));
        cr_assert(eq(int, reuse_outgoing_get_reused(outgoing), port != 0));
        reuse_outgoing_free(outgoing);
        close(fd);
}

/* ---- what fails --------------------------------------------------------------------------------- */

Test(library_dial, s1_16_nobody_listens) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Peer peer;

        begin();
        peer = peer_new(SOCK_STREAM, 1);
        close(peer.fd);
        cr_assert(eq(int,
                     reuse_client_dial(client, "tcp", peer.address, NULL, NULL, PATIENCE_USEC, &outgoing,
                                       &error),
                     -ECONNREFUSED));
        library_expect_error(error, -ECONNREFUSED, NULL, peer.address);
        cr_assert(eq(int, reuse_dial("tcp", peer.address, NULL, NULL, PATIENCE_USEC, &error),
                     -ECONNREFUSED));
        library_expect_error(error, -ECONNREFUSED, NULL, peer.address);
        end();
}

/* A listener whose queue is full does not answer. */
Test(library_dial, s1_19_deadline) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        int fillers[2];
        Peer peer;

        begin();
        peer = peer_new(SOCK_STREAM, 0);
        for (int i = 0; i < 2; i++) {
                struct sockaddr_in address = { .sin_family = AF_INET,
                                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                               .sin_port = htons((uint16_t)port_of(peer.fd)) };

                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
        }
        cr_assert(
                eq(int,
                   reuse_client_dial(client, "tcp", peer.address, NULL, NULL, 50000, &outgoing, &error),
                   -ETIMEDOUT));
        library_expect_error(error, -ETIMEDOUT, NULL, "in time");
        /* The connection to the broker is as good as before. */
        cr_assert(zero(int, reuse_client_call(client, "GetStatus", NULL, NULL, NULL)));
        close(fillers[0]);
        close(fillers[1]);
        close(peer.fd);
        end();
}

Test(library_dial, s1_24_forced_to_oneself) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        reuse_sockets *sockets;
        const char *address;

        begin();
        sockets = library_acquire(client, "tcp4:127.0.0.1:0");
        address = reuse_sockets_get_address(sockets, 0);
        cr_assert(eq(int,
                     reuse_client_dial(client, "tcp4", address, address, NULL, PATIENCE_USEC, &outgoing,
                                       &error),
                     -ELOOP));
        library_expect_error(error, -ELOOP, NULL, "is to itself");
        reuse_sockets_free(sockets);
        end();
}

/* ---- from a port of its own ---------------------------------------------------------------------- */

/* The client closed first, and without the kernel's help against old segments its end waits: connect()
 * says so, and the second attempt is from another port. With linger 0 nothing waits. */
Test(library_dial, s1_22_from_another_port_while_it_waits) {
        static const char *const options[] = { "lingerSec=0", "lingerSec=0", NULL, NULL };
        static const bool same[] = { true, true, true, false };
        reuse_sockets *sockets;
        Peer peer;
        int port;

        harness_private_network();
        harness_no_timestamps();
        begin();
        sockets = library_acquire(client, "tcp4:127.0.0.1:0");
        port = atoi(strrchr(reuse_sockets_get_address(sockets, 0), ':') + 1);
        peer = peer_new(SOCK_STREAM, 16);
        for (int i = 0; i < 4; i++) {
                reuse_outgoing *outgoing = dial("tcp", peer.address, NULL, options[i]);
                int fd, from = peer_accept(&peer, &fd);

                cr_assert(eq(int, from == port, same[i]), "dial %d from %d", i, from);
                cr_assert(eq(int, reuse_outgoing_get_reused(outgoing) > 0, same[i]));
                reuse_outgoing_free(outgoing);
                kit_wait_readable(fd);
                close(fd);
        }
        close(peer.fd);
        reuse_sockets_free(sockets);
        end();
}

static const struct {
        const char *network;
        int type, protocol;
} undialled[] = {
        { "mptcp", SOCK_STREAM, IPPROTO_MPTCP },
        { "mptcp4", SOCK_STREAM, IPPROTO_MPTCP },
        { "sctp4", SOCK_STREAM, IPPROTO_SCTP },
        { "udplite", SOCK_DGRAM, IPPROTO_UDPLITE },
};

/* What only a broker could do is still refused by the one that is there. */
Test(library_dial, what_the_broker_does_not_dial_has_no_port_of_its_own) {
        static const char *const refused[][2] = {
                { "127.0.0.1:7", NULL },
                { NULL, "networkNamespace=/proc/self/ns/net" },
        };

        begin();
        for (size_t i = 0; i < 2; i++)
                for (size_t j = 0; j < sizeof(undialled) / sizeof(undialled[0]); j++) {
                        reuse_outgoing *outgoing = NULL;
                        reuse_error *error = NULL;

                        cr_assert(lt(int,
                                     reuse_client_dial(client, undialled[j].network, "127.0.0.1:9",
                                                       refused[i][0], refused[i][1], PATIENCE_USEC,
                                                       &outgoing, &error),
                                     0));
                        cr_assert(reuse_error_get_name(error) != NULL);
                        reuse_error_free(error);
                }
        end();
}

/* With a broker as without one. */
Test(library_dial, what_the_broker_does_not_dial) {
        Peer stream;

        begin();
        stream = peer_new(SOCK_STREAM, 8);
        for (size_t i = 0; i < sizeof(undialled) / sizeof(undialled[0]); i++) {
                int fd = socket(AF_INET, undialled[i].type | SOCK_CLOEXEC, undialled[i].protocol);
                int protocol = 0;
                socklen_t size = sizeof(protocol);
                reuse_outgoing *outgoing;

                /* Not every kernel has them. */
                if (fd < 0 || undialled[i].protocol == IPPROTO_SCTP) {
                        fd_close(fd);
                        continue;
                }
                close(fd);
                outgoing = dial(undialled[i].network, stream.address, NULL, NULL);
                cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
                cr_assert(zero(int, getsockopt(reuse_outgoing_get_fd(outgoing), SOL_SOCKET, SO_PROTOCOL,
                                               &protocol, &size)));
                cr_assert(eq(int, protocol, undialled[i].protocol));
                reuse_outgoing_free(outgoing);
                /* And in one line. */
                fd = reuse_dial(undialled[i].network, stream.address, "127.0.0.2:0", NULL, PATIENCE_USEC,
                                NULL);
                cr_assert(ge(int, fd, 0));
                close(fd);
        }
        close(stream.fd);
        end();
}

Test(library_dial, s1_14_who_listens_on_nothing_has_a_port_of_its_own) {
        Peer peer;

        begin();
        peer = peer_new(SOCK_STREAM, 16);
        expect_port(&peer, NULL, 0, 0);
        expect_port(&peer, ":0", 0, 0);
        close(peer.fd);
        end();
}

Test(library_dial, s1_21_options) {
        struct linger linger = { 0 };
        socklen_t size = sizeof(linger);
        reuse_outgoing *outgoing;
        Peer peer;
        int fd;

        begin();
        peer = peer_new(SOCK_STREAM, 16);
        outgoing = dial("tcp", peer.address, ":0", "lingerSec=0,keepAliveIdleSec=30");
        fd = reuse_outgoing_get_fd(outgoing);
        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size)));
        cr_assert(eq(int, linger.l_onoff, 1));
        cr_assert(zero(int, linger.l_linger));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1));
        cr_assert(eq(int, kit_int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30));
        cr_assert(eq(int, kit_int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15));
        cr_assert(eq(int, kit_int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1));
        reuse_outgoing_free(outgoing);
        close(peer.fd);
        end();
}

Test(library_dial, s1_20_no_linger_by_itself) {
        struct linger linger = { .l_onoff = 1 };
        socklen_t size = sizeof(linger);
        reuse_outgoing *outgoing;
        reuse_sockets *sockets;
        Peer peer;

        begin();
        sockets = library_acquire(client, "tcp4:127.0.0.1:0");
        peer = peer_new(SOCK_STREAM, 16);
        outgoing = dial("tcp", peer.address, NULL, NULL);
        cr_assert(zero(int, getsockopt(reuse_outgoing_get_fd(outgoing), SOL_SOCKET, SO_LINGER, &linger,
                                       &size)));
        cr_assert(zero(int, linger.l_onoff));
        reuse_outgoing_free(outgoing);
        close(peer.fd);
        reuse_sockets_free(sockets);
        end();
}

/* The whole of it, again and again, with nothing left in the broker or here. */
Test(library_dial, s1_19_nothing_is_left) {
        reuse_sockets *sockets;
        size_t n_broker_fds;
        int n_fds;
        Peer peer;

        begin();
        sockets = library_acquire(client, "tcp4:127.0.0.1:0");
        peer = peer_new(SOCK_STREAM, 16);
        expect_port(&peer, ":0", 0, 0);
        n_fds = leaks_count_fds();
        n_broker_fds = harness_broker_fds(&kit.harness);
        for (int i = 0; i < DIALS; i++)
                expect_port(&peer, ":0", 0, 0);
        cr_assert(eq(int, leaks_count_fds(), n_fds));
        harness_expect_broker_fds(&kit.harness, n_broker_fds);
        close(peer.fd);
        reuse_sockets_free(sockets);
        end();
}

/* ---- from the port that is listened on ---------------------------------------------------------- */

/* TestNoneAndSingle, and what becomes of the port when it is given back. */
Test(library_dial, s1_12_from_the_port_that_is_listened_on) {
        reuse_sockets *sockets;
        const char *lease;
        Peer peers[2];
        int port;

        begin();
        for (int i = 0; i < 2; i++)
                peers[i] = peer_new(SOCK_STREAM, 16);
        expect_port(&peers[0], NULL, 0, 0);
        sockets = library_acquire(client, "tcp4:127.0.0.1:0");
        port = port_of(reuse_sockets_get_fd(sockets, 0));
        for (int i = 0; i < 2; i++)
                expect_port(&peers[i], NULL, port, 0);
        expect_port(&peers[0], ":0", 0, port);
        lease = reuse_sockets_get_lease(sockets, 0);
        close(reuse_sockets_take_fd(sockets, 0));
        cr_assert(zero(int, reuse_client_release(client, &lease, 1, NULL)));
        expect_port(&peers[0], NULL, 0, port);
        reuse_sockets_free(sockets);
        for (int i = 0; i < 2; i++)
                close(peers[i].fd);
        end();
}

/* A second connection with the same two ends cannot be; so it comes from elsewhere. */
Test(library_dial, s1_18_the_same_two_ends_again) {
        reuse_outgoing *first, *second;
        reuse_sockets *sockets;
        Peer peer;

        begin();
        sockets = library_acquire(client, "tcp4:127.0.0.1:0");
        peer = peer_new(SOCK_STREAM, 16);
        first = dial("tcp", peer.address, NULL, NULL);
        second = dial("tcp", peer.address, NULL, NULL);
        cr_assert(eq(int, reuse_outgoing_get_reused(first), 1));
        cr_assert(zero(int, reuse_outgoing_get_reused(second)));
        reuse_outgoing_free(first);
        reuse_outgoing_free(second);
        close(peer.fd);
        reuse_sockets_free(sockets);
        end();
}

/* The destination is where the program listens itself: the listener is reached all the same. */
Test(library_dial, s3_20_to_the_own_listener) {
        reuse_outgoing *outgoing;
        reuse_sockets *sockets;
        Peer self;
        int fd;

        begin();
        sockets = library_acquire(client, "tcp4:127.0.0.1:0");
        outgoing = dial("tcp4", reuse_sockets_get_address(sockets, 0), NULL, NULL);
        cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
        self.fd = reuse_sockets_get_fd(sockets, 0);
        cr_assert(eq(int, peer_accept(&self, &fd), port_of(reuse_outgoing_get_fd(outgoing))));
        close(fd);
        reuse_outgoing_free(outgoing);
        reuse_sockets_free(sockets);
        end();
}

/* Of datagrams it is no other: a socket that is connected to itself would take them from
 * the listener. */
Test(library_dial, s1_24_datagrams_to_the_own_listener) {
        reuse_outgoing *outgoing = NULL;
        reuse_sockets *sockets;
        const char *address;

        begin();
        sockets = library_acquire(client, "udp4:127.0.0.1:0,sharing=exclusive");
        address = reuse_sockets_get_address(sockets, 0);
        cr_assert(eq(int,
                     reuse_client_dial(client, "udp4", address, address, NULL, PATIENCE_USEC, &outgoing,
                                       NULL),
                     -ELOOP));
        outgoing = dial("udp4", address, NULL, NULL);
        cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
        kit_expect_byte(reuse_sockets_get_fd(sockets, 0), reuse_outgoing_get_fd(outgoing));
        reuse_outgoing_free(outgoing);
        reuse_sockets_free(sockets);
        end();
}

/* Each connected socket has what its peer sends; the listener has all the rest. */
Test(library_dial, s3_14_datagrams) {
        reuse_outgoing *outgoing;
        reuse_sockets *sockets;
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        Peer peer, stranger;
        char byte;
        int fd;

        begin();
        sockets = library_acquire(client, "udp4:127.0.0.1:0,sharing=exclusive");
        peer = peer_new(SOCK_DGRAM, 0);
        stranger = peer_new(SOCK_DGRAM, 0);
        outgoing = dial("udp4", peer.address, NULL, NULL);
        fd = reuse_outgoing_get_fd(outgoing);
        cr_assert(eq(int, reuse_outgoing_get_reused(outgoing), 1));
        cr_assert(eq(int, port_of(fd), port_of(reuse_sockets_get_fd(sockets, 0))));
        here.sin_port = htons((uint16_t)port_of(fd));
        cr_assert(eq(int, (int)sendto(peer.fd, "p", 1, 0, (struct sockaddr *)&here, sizeof(here)), 1));
        cr_assert(
                eq(int, (int)sendto(stranger.fd, "s", 1, 0, (struct sockaddr *)&here, sizeof(here)), 1));
        kit_wait_readable(fd);
        cr_assert(eq(int, (int)recv(fd, &byte, 1, 0), 1));
        cr_assert(eq(int, byte, 'p'));
        kit_wait_readable(reuse_sockets_get_fd(sockets, 0));
        cr_assert(eq(int, (int)recv(reuse_sockets_get_fd(sockets, 0), &byte, 1, 0), 1));
        cr_assert(eq(int, byte, 's'));
        reuse_outgoing_free(outgoing);
        close(peer.fd);
        close(stranger.fd);
        reuse_sockets_free(sockets);
        end();
}

/* One line to listen, one to connect from there: the leases are of the process. */
static bool dial_in_one_line(int control, const void *userdata) {
        const Peer *peer = userdata;
        int listener = reuse_listen("tcp4", "127.0.0.1:0", NULL, NULL);
        int fd = reuse_dial("tcp4", peer->address, NULL, NULL, PATIENCE_USEC, NULL);
        bool same = listener >= 0 && fd >= 0 && port_of(listener) == port_of(fd);

        if (!same || !child_ready(control, fd))
                return false;
        child_stay(control);
        close(fd);
        close(listener);
        return true;
}

Test(library_dial, s2_6_one_line) {
        Child child;
        Peer peer;
        int fd;

        library_begin(&kit, KIT_CONFIG);
        peer = peer_new(SOCK_STREAM, 16);
        child = child_start(dial_in_one_line, &peer);
        cr_assert(gt(int, peer_accept(&peer, &fd), 0));
        close(fd);
        child_end(&child);
        close(peer.fd);
        kit_stop(&kit);
}
