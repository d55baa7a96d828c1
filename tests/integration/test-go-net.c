/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the tests of Go's net assert about listening, descriptors and dialling, by their names in snake
 * case. Go's listeners are for one, which is what exclusive endpoints are; that others join is what
 * go-reuseport's tests are about.
 *
 * Not here is what only a language with a runtime can get wrong: closing while another thread reads,
 * contexts that go on, names of errors.
 */

#include <sys/stat.h>

#include "tests/integration/go-kit.h"

TestSuite(go_net, .timeout = 60);

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

static reuse_description *described(int fd) {
        reuse_description *description = NULL;
        reuse_error *error = NULL;

        cr_assert(zero(int, reuse_describe(fd, &description, &error)), "%s",
                  reuse_error_get_message(error));
        return description;
}

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
        reuse_description *description = described(go_fd(first));
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

Test(go_net, test_tcp_listener) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(listenings); i++)
                expect_listening(&go, "tcp", &listenings[i]);
        go_end(&go);
}

Test(go_net, test_udp_listener) {
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

Test(go_net, test_dual_stack_tcp_listener) {
        expect_pairs("tcp");
}

Test(go_net, test_dual_stack_udp_listener) {
        expect_pairs("udp");
}

/* No address is every address, and any port. */
Test(go_net, test_wild_wildcard_listener) {
        static const char *const networks[] = { "tcp", "udp" };
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                reuse_sockets *listener = go_listen(&go, networks[i], "");

                cr_assert(zero(int, strncmp(go_address(listener), "[::]:", 5)));
                kit_expect_served(go_fd(listener));
                go_close(&go, listener);
        }
        /* A difference: sockets of IP itself are Go's alone so far. */
        cr_assert(eq(int, go_try(&go, "ip4:icmp:"), -EOPNOTSUPP));
        go_end(&go);
}

/* Who has closed one can open it again, at once, also when connections were made to it meanwhile. */
Test(go_net, test_closing_listener) {
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

/* ",raw=LEVEL:NAME:VALUE". Returns @buffer. */
static const char *raw(int level, int name, int value, char buffer[static GO_TEXT_MAX]) {
        unsigned char bytes[sizeof(int)];
        int n = snprintf(buffer, GO_TEXT_MAX, ",raw=%d:%d:", level, name);

        memcpy(bytes, &value, sizeof(value));
        for (size_t i = 0; i < sizeof(bytes); i++)
                n += snprintf(buffer + n, GO_TEXT_MAX - (size_t)n, "%02x", bytes[i]);
        return buffer;
}

/* Whatever option a caller thinks of is there, on each network. */
Test(go_net, test_listen_config_control) {
        static const char *const networks[] = {
                "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixpacket", "unixgram",
        };
        char option[GO_TEXT_MAX];
        Go go = go_begin();

        raw(SOL_SOCKET, SO_PRIORITY, 3, option);
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
Test(go_net, test_listen_config_control_before_bind) {
        static const char *const networks[] = { "tcp4", "udp4", "tcp6", "udp6" };
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                bool ipv4 = strchr(networks[i], '4') != NULL;
                char spec[2 * GO_TEXT_MAX], option[GO_TEXT_MAX];
                reuse_sockets *listener;

                snprintf(spec, sizeof(spec), "%s:%s", networks[i],
                         ipv4 ? "192.0.2.1:0" : "[2001:db8::1]:0");
                cr_assert(eq(int, go_try(&go, spec), -EADDRNOTAVAIL));
                strcat(spec, raw(ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_FREEBIND : IPV6_FREEBIND, 1,
                                 option));
                listener = library_acquire(go.client, spec);
                go_close(&go, listener);
        }
        go_end(&go);
}

/* As many may wait as the caller says, if the host lets it; and more than 16 bits can say. */
Test(go_net, test_max_ack_backlog) {
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

/* ---- descriptors -------------------------------------------------------------------------------- */

/* What comes out of a UNIX socket into which @fd was put. Consumes @fd. */
static int travelled(int fd) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .bytes = { 0 } };
        char byte = 'f';
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        int pair[2];

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
                                           .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        cr_assert(eq(int, (int)sendmsg(pair[0], &message, 0), 1));
        close(fd);
        message.msg_controllen = sizeof(control);
        cr_assert(eq(int, (int)recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC), 1));
        cr_assert(eq(sz, control.header.cmsg_len, CMSG_LEN(sizeof(int))));
        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
        close(pair[0]);
        close(pair[1]);
        return fd;
}

static void expect_same_text(const char *a, const char *b) {
        KIT_EXPECT_TEXT(a ?: "(none)", b ?: "(none)");
}

/* Says of the copy what it said of @fd, which is closed. Returns the copy. */
static int expect_travels(int fd) {
        reuse_description *before = described(fd), *after;

        fd = travelled(fd);
        after = described(fd);
        expect_same_text(reuse_description_get_network(after), reuse_description_get_network(before));
        expect_same_text(reuse_description_get_local_address(after),
                         reuse_description_get_local_address(before));
        expect_same_text(reuse_description_get_remote_address(after),
                         reuse_description_get_remote_address(before));
        cr_assert(eq(int, reuse_description_get_family(after), reuse_description_get_family(before)));
        cr_assert(eq(int, reuse_description_get_type(after), reuse_description_get_type(before)));
        cr_assert(
                eq(int, reuse_description_get_protocol(after), reuse_description_get_protocol(before)));
        cr_assert(eq(int, reuse_description_get_listening(after),
                     reuse_description_get_listening(before)));
        cr_assert(eq(int, reuse_description_get_reuse_port(after),
                     reuse_description_get_reuse_port(before)));
        cr_assert(reuse_description_get_cookie(after) == reuse_description_get_cookie(before));
        cr_assert(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
        reuse_description_free(before);
        reuse_description_free(after);
        return fd;
}

/* "network:address"; a name of a UNIX socket is in the folder of the test. Returns @buffer. */
static const char *spec_of(const Go *go, const char *network, const char *address,
                           char buffer[static GO_TEXT_MAX]) {
        if (strncmp(network, "unix", 4) == 0)
                snprintf(buffer, GO_TEXT_MAX, "%s:%s%s/%s", network, address[0] == '@' ? "@" : "",
                         go->kit.harness.folder, address[0] == '@' ? address + 1 : address);
        else
                snprintf(buffer, GO_TEXT_MAX, "%s:%s", network, address);
        return buffer;
}

static const struct {
        const char *network, *address;
        int type;
} files[] = {
        { "tcp", "", SOCK_STREAM },
        { "tcp", "127.0.0.1:0", SOCK_STREAM },
        { "tcp", "[::ffff:127.0.0.1]:0", SOCK_STREAM },
        { "tcp4", ":0", SOCK_STREAM },
        { "tcp6", ":0", SOCK_STREAM },
        { "tcp6", "[::1]:0", SOCK_STREAM },
        { "unix", "file", SOCK_STREAM },
        { "unix", "@file", SOCK_STREAM },
        { "unixpacket", "file", SOCK_SEQPACKET },
        { "unixpacket", "@file", SOCK_SEQPACKET },
        { "udp", "", SOCK_DGRAM },
        { "udp", "127.0.0.1:0", SOCK_DGRAM },
        { "udp4", ":0", SOCK_DGRAM },
        { "udp6", "[::1]:0", SOCK_DGRAM },
        { "unixgram", "file", SOCK_DGRAM },
        { "unixgram", "@file", SOCK_DGRAM },
};

/* What was listened on before the trip is served after it. */
static void expect_files(bool packets) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(files); i++) {
                char spec[GO_TEXT_MAX];
                reuse_sockets *listener;
                const char *lease;
                int fd;

                if ((files[i].type == SOCK_DGRAM) != packets)
                        continue;
                listener = library_acquire(go.client,
                                           spec_of(&go, files[i].network, files[i].address, spec));
                lease = reuse_sockets_get_lease(listener, 0);
                fd = expect_travels(reuse_sockets_take_fd(listener, 0));
                cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_TYPE), files[i].type));
                kit_expect_served(fd);
                close(fd);
                cr_assert(zero(int, reuse_client_release(go.client, &lease, 1, NULL)));
                reuse_sockets_free(listener);
        }
        go_end(&go);
}

Test(go_net, test_file_listener) {
        expect_files(false);
}

Test(go_net, test_file_packet_conn) {
        expect_files(true);
}

/* Both ends of a connection. */
Test(go_net, test_file_conn) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(files); i++) {
                char spec[GO_TEXT_MAX], target[GO_TEXT_MAX];
                reuse_sockets *listener = library_acquire(
                        go.client, spec_of(&go, files[i].network, files[i].address, spec));
                reuse_outgoing *outgoing =
                        go_dial(&go, files[i].network, go_target(listener, target), NULL, NULL);
                int client = expect_travels(reuse_outgoing_take_fd(outgoing)), served;

                if (files[i].type == SOCK_DGRAM) {
                        kit_expect_byte(go_fd(listener), client);
                } else {
                        served = go_accept(go_fd(listener));
                        cr_assert(zero(int, fcntl(served, F_SETFL, O_NONBLOCK)));
                        served = expect_travels(served);
                        kit_expect_byte(served, client);
                        kit_expect_byte(client, served);
                        close(served);
                }
                close(client);
                reuse_outgoing_free(outgoing);
                go_close(&go, listener);
        }
        go_end(&go);
}

/* ---- files of UNIX sockets ---------------------------------------------------------------------- */

static bool is_there(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0;
}

static reuse_sockets *listen_at(Go *go, const char *path) {
        reuse_sockets *listener = go_listen(go, "unix", path);

        cr_assert(is_there(path));
        kit_expect_served(go_fd(listener));
        return listener;
}

/* The file goes when the listener is given up, and not before, and only if it is the listener's. */
Test(go_net, test_unix_unlink) {
        Go go = go_begin();
        reuse_sockets *listener;
        char path[GO_TEXT_MAX];
        const char *lease;
        int copy, fd;

        snprintf(path, sizeof(path), "%s/unlink", go.kit.harness.folder);
        listener = listen_at(&go, path);
        go_close(&go, listener);
        cr_assert(not(is_there(path)));

        /* Descriptors that are closed are not what it depends on. */
        listener = listen_at(&go, path);
        copy = fcntl(go_fd(listener), F_DUPFD_CLOEXEC, 0);
        close(copy);
        cr_assert(is_there(path));
        kit_expect_served(go_fd(listener));
        close(reuse_sockets_take_fd(listener, 0));
        cr_assert(is_there(path));
        lease = reuse_sockets_get_lease(listener, 0);
        cr_assert(zero(int, reuse_client_release(go.client, &lease, 1, NULL)));
        cr_assert(not(is_there(path)));
        reuse_sockets_free(listener);

        /* What somebody else has put there stays, and is in the way. */
        listener = listen_at(&go, path);
        cr_assert(zero(int, unlink(path)));
        fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        cr_assert(ge(int, fd, 0));
        close(fd);
        go_close(&go, listener);
        cr_assert(is_there(path));
        {
                char spec[GO_TEXT_MAX + 8];

                snprintf(spec, sizeof(spec), "unix:%s", path);
                cr_assert(eq(int, go_try(&go, spec), -EADDRINUSE));
        }
        cr_assert(is_there(path));
        cr_assert(zero(int, unlink(path)));
        go_end(&go);
}

/* ---- dialling ----------------------------------------------------------------------------------- */

/* Refused before anything is sent: the address is of the other family, whatever it looks like. */
Test(go_net, test_prohibitionary_dial_arg) {
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
        /* A difference: the wildcard of both families is any port of either, where Go asks for one of
           IPv4. */
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
        { "tcp", "127.0.0.1", "127.0.0.1:0", 0 },
        { "tcp", "127.0.0.1", "[::1]:0", -EINVAL },
        { "tcp", "[::1]", NULL, 0 },
        { "tcp", "[::1]", "[::]:0", 0 },
        { "tcp", "[::1]", "127.0.0.1:0", -EINVAL },
        { "tcp", "[::1]", "[::1]:0", 0 },
        { "tcp4", "127.0.0.1", "/no/address/of/tcp", -EINVAL },
};

Test(go_net, test_dialer_local_addr) {
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

/* Whoever is given up is told at once, whatever it has come to. */
Test(go_net, test_dial_cancel) {
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
Test(go_net, test_cancel_after_dial) {
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

/* The deadline was that of the connection's making: what is sent and received has none. */
Test(go_net, test_dial_with_non_zero_deadline) {
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

Test(go_net, test_dialer_keep_alive) {
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
