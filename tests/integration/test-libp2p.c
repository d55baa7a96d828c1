/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the tests of go-libp2p's transport assert of the port that a connection comes from, under their
 * names. Its listener is a socket that no broker knows, its dialer a client that listens by the broker.
 * Where its test ignores the addresses that it is given, they are heeded here.
 */

#include <arpa/inet.h>

#include "proto/address.h"
#include "tests/integration/library-kit.h"

enum {
        PATIENCE_USEC = KIT_PATIENCE_MSEC * 1000,
        /* As often as it would be wrong by chance less than once in a million times. */
        DIALS = 20,
};

typedef struct Hosts {
        const char *network, *loopback, *wildcard, *global;
} Hosts;

static const Hosts v4 = { "tcp4", "127.0.0.1", "0.0.0.0", "10.9.9.1" };
static const Hosts v6 = { "tcp6", "[::1]", "[::]", "[fd09::1]" };

typedef struct Transports {
        Kit kit;
        reuse_client *client;
        const Hosts *hosts;
} Transports;

TestSuite(libp2p, .timeout = 60);

static void begin(Transports *t, const Hosts *hosts) {
        harness_global_network();
        library_begin(&t->kit, KIT_CONFIG);
        t->client = library_connect(&t->kit);
        t->hosts = hosts;
}

static void end(Transports *t) {
        reuse_client_free(t->client);
        kit_stop(&t->kit);
}

static int port_of(const char *address) {
        return atoi(strrchr(address, ':') + 1);
}

/* The dialer listens at @host. */
static reuse_sockets *listen_at(const Transports *t, const char *host) {
        char spec[96];

        snprintf(spec, sizeof(spec), "%s:%s:0", t->hosts->network, host);
        return library_acquire(t->client, spec);
}

static int port_at(reuse_sockets *sockets) {
        return port_of(reuse_sockets_get_address(sockets, 0));
}

static void leave(const Transports *t, reuse_sockets *sockets) {
        const char *const lease = reuse_sockets_get_lease(sockets, 0);

        cr_assert(zero(int, reuse_client_release(t->client, &lease, 1, NULL)));
        reuse_sockets_free(sockets);
}

/* Somebody else listens at @host. */
static int far_end(const Transports *t, const char *host, char address[static ADDRESS_TEXT_MAX]) {
        static const AddressFamilies all = { .ipv4 = true, .ipv6 = true, .mapped = true };
        struct sockaddr_storage ss = { 0 };
        socklen_t size = sizeof(ss);
        char text[96];
        const char *reason;
        Address bound;
        int fd;

        snprintf(text, sizeof(text), "%s:0", host);
        cr_assert(zero(int, address_parse(t->hosts->network, text, &all, &bound, &reason)));
        fd = socket(address_family(&bound), SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, bind(fd, &bound.u.sa, bound.len)), "%m");
        cr_assert(zero(int, listen(fd, DIALS)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&ss, &size)));
        address_set_sockaddr(&bound, &ss, size);
        address_format(&bound, address);
        return fd;
}

/* Connects once. Returns the port that it is seen to come from. */
static int dial_end(const Transports *t, int fd, const char *address) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        struct sockaddr_storage ss;
        socklen_t size = sizeof(ss);
        int peer, r;

        /* Reset, as go-libp2p's are: the same two ends meet again at once. */
        r = reuse_client_dial(t->client, t->hosts->network, address, NULL, "lingerSec=0", PATIENCE_USEC,
                              &outgoing, &error);
        cr_assert(r == 0, "%s: %s", address, reuse_error_get_message(error));
        kit_wait_readable(fd);
        peer = accept(fd, (struct sockaddr *)&ss, &size);
        cr_assert(ge(int, peer, 0));
        reuse_outgoing_free(outgoing);
        /* It is gone when it is reset. */
        kit_wait_readable(peer);
        close(peer);
        /* Both families have it at the same place. */
        return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

static int dial_one(const Transports *t, const char *host) {
        char address[ADDRESS_TEXT_MAX];
        int fd = far_end(t, host, address), port = dial_end(t, fd, address);

        close(fd);
        return port;
}

static void expect_port(const Transports *t, const char *host, int port) {
        char address[ADDRESS_TEXT_MAX];
        int fd = far_end(t, host, address);

        for (int i = 0; i < DIALS; i++)
                cr_assert(eq(int, dial_end(t, fd, address), port), "to %s", host);
        close(fd);
}

/* Of the two at which the dialer listens, connections to @listen come from @prefer. */
static void prefer(const Transports *t, const char *listen, const char *prefer, const char *avoid) {
        reuse_sockets *avoided = listen_at(t, avoid), *preferred = listen_at(t, prefer);

        expect_port(t, listen, port_at(preferred));
        leave(t, avoided);
        leave(t, preferred);
}

Test(libp2p, test_none_and_single) {
        const Hosts *const hosts[] = { &v4, &v6 };

        for (size_t i = 0; i < 2; i++) {
                reuse_sockets *own;
                Transports t;

                begin(&t, hosts[i]);
                cr_assert(gt(int, dial_one(&t, hosts[i]->loopback), 0));
                own = listen_at(&t, hosts[i]->loopback);
                expect_port(&t, hosts[i]->loopback, port_at(own));
                leave(&t, own);
                end(&t);
        }
}

static void two_local(const Hosts *hosts) {
        char address[ADDRESS_TEXT_MAX];
        reuse_sockets *own[2];
        Transports t;
        int fd;

        begin(&t, hosts);
        for (size_t i = 0; i < 2; i++)
                own[i] = listen_at(&t, hosts->loopback);
        cr_assert(ne(int, port_at(own[0]), port_at(own[1])));
        fd = far_end(&t, hosts->loopback, address);
        for (int i = 0; i < DIALS; i++) {
                int port = dial_end(&t, fd, address);

                cr_assert(port == port_at(own[0]) || port == port_at(own[1]), "%d is neither %d nor %d",
                          port, port_at(own[0]), port_at(own[1]));
        }
        close(fd);
        for (size_t i = 0; i < 2; i++)
                leave(&t, own[i]);
        end(&t);
}

Test(libp2p, test_two_local) {
        two_local(&v4);
        two_local(&v6);
}

static void global_preference(const Hosts *hosts) {
        Transports t;

        begin(&t, hosts);
        prefer(&t, hosts->loopback, hosts->loopback, hosts->global);
        prefer(&t, hosts->loopback, hosts->wildcard, hosts->global);
        prefer(&t, hosts->global, hosts->wildcard, hosts->loopback);
        end(&t);
}

Test(libp2p, test_global_preference_v4) {
        global_preference(&v4);
}

Test(libp2p, test_global_preference_v6) {
        global_preference(&v6);
}

Test(libp2p, test_loopback_preference) {
        const Hosts *const hosts[] = { &v4, &v6 };

        for (size_t i = 0; i < 2; i++) {
                Transports t;

                begin(&t, hosts[i]);
                prefer(&t, hosts[i]->loopback, hosts[i]->loopback, hosts[i]->wildcard);
                end(&t);
        }
}

/* Connections to @listen of @hosts come from @use as soon as the dialer listens there, and from anywhere
 * before and after, whatever it has at @never of @others. */
static void use_first(const Hosts *hosts, const char *listen, const char *use, const Hosts *others,
                      const char *never) {
        reuse_sockets *unused, *used;
        Transports t;
        int port;

        begin(&t, hosts);
        t.hosts = others;
        unused = listen_at(&t, never);
        t.hosts = hosts;
        cr_assert(ne(int, dial_one(&t, listen), port_at(unused)));
        used = listen_at(&t, use);
        port = port_at(used);
        expect_port(&t, listen, port);
        leave(&t, used);
        cr_assert(ne(int, dial_one(&t, listen), port));
        leave(&t, unused);
        end(&t);
}

Test(libp2p, test_v6_v4) {
        use_first(&v4, v4.loopback, v4.loopback, &v6, v6.loopback);
        use_first(&v6, v6.loopback, v6.loopback, &v4, v4.loopback);
}

Test(libp2p, test_global_to_global) {
        use_first(&v4, v4.global, v4.global, &v4, v4.loopback);
        use_first(&v6, v6.global, v6.global, &v6, v6.loopback);
        /* A wildcard is as good there. */
        use_first(&v4, v4.global, v4.wildcard, &v4, v4.loopback);
        use_first(&v6, v6.global, v6.wildcard, &v6, v6.loopback);
}

static void duplicate_global(const Hosts *hosts) {
        reuse_sockets *own[2];
        Transports t;

        begin(&t, hosts);
        for (size_t i = 0; i < 2; i++)
                own[i] = listen_at(&t, hosts->global);
        expect_port(&t, hosts->global, dial_one(&t, hosts->global));
        for (size_t i = 0; i < 2; i++)
                leave(&t, own[i]);
        end(&t);
}

Test(libp2p, test_duplicate_global) {
        duplicate_global(&v4);
        duplicate_global(&v6);
}
