/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a descriptor is said to be, held against how the test made it. The numbers in the names of tests
 * are those of the behaviours of Go's net that they hold the library to.
 */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "client-lib/reuse-client.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

TestSuite(reuse_describe, .timeout = 30);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

static void setup(void) {
        if (!kit_own_network())
                cr_skip_test("needs root, for a network of its own");
}

static reuse_description *described(int fd) {
        reuse_description *description = NULL;
        reuse_error *error = NULL;

        cr_assert(zero(int, reuse_describe(fd, &description, &error)), "%s",
                  reuse_error_get_message(error));
        cr_assert(error == NULL);
        cr_assert(description != NULL);
        return description;
}

static void expect_refused(int fd, int number, const char *words) {
        reuse_description *description = (void *)1;
        reuse_error *error = NULL;

        cr_assert(eq(int, reuse_describe(fd, &description, &error), number), "%s", words);
        cr_assert(eq(int, reuse_error_get_errno(error), number));
        cr_assert(strstr(reuse_error_get_message(error), words) != NULL, "\"%s\" is not in \"%s\"",
                  words, reuse_error_get_message(error));
        reuse_error_free(error);
        cr_assert(description == (void *)1);
        cr_assert(eq(int, reuse_describe(fd, &description, NULL), number));
}

/* ---- what is refused ---- */

Test(reuse_describe, wrong_arguments) {
        reuse_error *error = NULL;

        cr_assert(eq(int, reuse_describe(0, NULL, &error), -EINVAL));
        cr_assert(error != NULL);
        reuse_error_free(error);
        cr_assert(reuse_description_free(NULL) == NULL);
        cr_assert(eq(int, reuse_description_get_family(NULL), -EINVAL));
        cr_assert(eq(int, reuse_description_get_type(NULL), -EINVAL));
        cr_assert(eq(int, reuse_description_get_protocol(NULL), -EINVAL));
        cr_assert(eq(int, reuse_description_get_listening(NULL), -EINVAL));
        cr_assert(eq(int, reuse_description_get_reuse_port(NULL), -EINVAL));
        cr_assert(reuse_description_get_cookie(NULL) == 0);
        cr_assert(reuse_description_get_network(NULL) == NULL);
        cr_assert(reuse_description_get_local_address(NULL) == NULL);
        cr_assert(reuse_description_get_remote_address(NULL) == NULL);
}

Test(reuse_describe, s3_24_no_socket) {
        int fds[] = {
                open("/dev/null", O_RDONLY | O_CLOEXEC),
                open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY),
                open("/", O_PATH | O_CLOEXEC),
                memfd_create("test", MFD_CLOEXEC),
                epoll_create1(EPOLL_CLOEXEC),
        };
        int n_fds = leaks_count_fds(), pair[2];

        expect_refused(-1, -EBADF, "descriptor -1 is not open");
        expect_refused(1000000, -EBADF, "descriptor 1000000 is not open");
        for (size_t i = 0; i < ELEMENTS(fds); i++) {
                cr_assert(ge(int, fds[i], 0));
                /* A path is no file to the kernel. */
                if (i == 2)
                        expect_refused(fds[i], -EBADF, "is not open");
                else
                        expect_refused(fds[i], -ENOTSOCK, "is not a socket");
        }
        cr_assert(zero(int, pipe2(pair, O_CLOEXEC)));
        for (int i = 0; i < 2; i++) {
                expect_refused(pair[i], -ENOTSOCK, "is not a socket");
                close(pair[i]);
        }
        leaks_expect_fds(n_fds);
        for (size_t i = 0; i < ELEMENTS(fds); i++)
                close(fds[i]);
}

Test(reuse_describe, s3_24_sockets_of_other_kinds) {
        static const struct {
                int family;
                int type;
                int protocol;
                const char *words;
        } kinds[] = {
                { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, "family 16, type 3, protocol 0" },
                { AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE, "family 16, type 2, protocol 0" },
                { AF_PACKET, SOCK_DGRAM, 0, "family 17, type 2, protocol 0" },
                { AF_VSOCK, SOCK_SEQPACKET, 0, "family 40, type 5, protocol 0" },
                { AF_INET, SOCK_DGRAM, IPPROTO_ICMP, "family 2, type 2, protocol 1" },
                { AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, "family 2, type 5, protocol 132" },
        };
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(kinds); i++) {
                int fd = socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC, kinds[i].protocol);

                /* Not every kernel, and not every user, has them all. */
                if (fd < 0)
                        continue;
                expect_refused(fd, -EPROTONOSUPPORT, kinds[i].words);
                close(fd);
        }
        leaks_expect_fds(n_fds);
}

/* ---- sockets of IP ---- */

/* -1: the kernel has no such sockets. */
static int bound(int family, int type, int protocol, const char *host, bool v6only) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        int fd = socket(family, type | SOCK_CLOEXEC, protocol);

        if (fd < 0)
                return -1;
        if (family == AF_INET6 && type != SOCK_RAW)
                cr_assert(zero(
                        int, setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ v6only }, sizeof(int))));
        if (!host)
                return fd;
        cr_assert(eq(int,
                     inet_pton(family, host, family == AF_INET ? (void *)&in.sin_addr : &in6.sin6_addr),
                     1));
        if (family == AF_INET)
                cr_assert(zero(int, bind(fd, (struct sockaddr *)&in, sizeof(in))), "%m");
        else
                cr_assert(zero(int, bind(fd, (struct sockaddr *)&in6, sizeof(in6))), "%m");
        return fd;
}

/* As the test made it; @host NULL: it is not bound. */
static const struct {
        int family;
        int type;
        int protocol; /* with SOCK_STREAM it listens, if it is bound */
        const char *host;
        bool v6only;
        const char *network;
        const char *address; /* before the port, or all of it */
} ip_sockets[] = {
        { AF_INET, SOCK_STREAM, IPPROTO_TCP, "127.0.0.1", false, "tcp4", "127.0.0.1:" },
        { AF_INET, SOCK_STREAM, IPPROTO_TCP, "0.0.0.0", false, "tcp4", "0.0.0.0:" },
        { AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, false, "tcp4", "0.0.0.0:0" },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP, "::1", true, "tcp6", "[::1]:" },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP, "::1", false, "tcp6", "[::1]:" },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP, "::", true, "tcp6", "[::]:" },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP, "::", false, "tcp", "[::]:" },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP, NULL, false, "tcp", "[::]:0" },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP, "::ffff:127.0.0.1", false, "tcp", "127.0.0.1:" },
        { AF_INET, SOCK_DGRAM, IPPROTO_UDP, "127.0.0.1", false, "udp4", "127.0.0.1:" },
        { AF_INET6, SOCK_DGRAM, IPPROTO_UDP, "::", false, "udp", "[::]:" },
        { AF_INET6, SOCK_DGRAM, IPPROTO_UDP, "::1", true, "udp6", "[::1]:" },
        { AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "127.0.0.1", false, "mptcp4", "127.0.0.1:" },
        { AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, "::", false, "mptcp", "[::]:" },
        { AF_INET, SOCK_STREAM, IPPROTO_SCTP, "127.0.0.1", false, "sctp4", "127.0.0.1:" },
        { AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE, "::1", true, "udplite6", "[::1]:" },
        { AF_INET, SOCK_RAW, IPPROTO_ICMP, "127.0.0.1", false, "ip4:1", "127.0.0.1" },
        { AF_INET, SOCK_RAW, 253, NULL, false, "ip4:253", "0.0.0.0" },
        { AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "::1", false, "ip6:58", "::1" },
        { AF_INET6, SOCK_RAW, 254, "::", false, "ip6:254", "::" },
};

static int port_of(int fd) {
        struct sockaddr_in6 address;
        socklen_t size = sizeof(address);

        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        return ntohs(address.sin6_port);
}

static void expect_ip(size_t i, int fd) {
        bool listening = ip_sockets[i].type == SOCK_STREAM && ip_sockets[i].host;
        reuse_description *description;
        char address[64];

        if (listening)
                cr_assert(zero(int, listen(fd, 1)));
        description = described(fd);
        cr_assert(eq(int, reuse_description_get_family(description), ip_sockets[i].family));
        cr_assert(eq(int, reuse_description_get_type(description), ip_sockets[i].type));
        cr_assert(eq(int, reuse_description_get_protocol(description), ip_sockets[i].protocol));
        cr_assert(eq(int, reuse_description_get_listening(description), listening));
        cr_assert(eq(int, reuse_description_get_reuse_port(description), 0));
        KIT_EXPECT_TEXT(reuse_description_get_network(description), ip_sockets[i].network);
        snprintf(address, sizeof(address), "%s", ip_sockets[i].address);
        if (address[strlen(address) - 1] == ':' && ip_sockets[i].type != SOCK_RAW)
                snprintf(address + strlen(address), sizeof(address) - strlen(address), "%d",
                         port_of(fd));
        KIT_EXPECT_TEXT(reuse_description_get_local_address(description), address);
        cr_assert(reuse_description_get_remote_address(description) == NULL);
        reuse_description_free(description);
}

Test(reuse_describe, s3_24_sockets_of_ip) {
        int n_fds, n_tcp = 0;

        setup();
        n_fds = leaks_count_fds();
        for (size_t i = 0; i < ELEMENTS(ip_sockets); i++) {
                int fd = bound(ip_sockets[i].family, ip_sockets[i].type, ip_sockets[i].protocol,
                               ip_sockets[i].host, ip_sockets[i].v6only);

                if (fd < 0)
                        continue;
                n_tcp += ip_sockets[i].protocol == IPPROTO_TCP;
                expect_ip(i, fd);
                close(fd);
        }
        cr_assert(gt(int, n_tcp, 0));
        leaks_expect_fds(n_fds);
}

/* What accept() gives, what connect() makes, and of a dual-stack listener. */
Test(reuse_describe, s3_24_connections) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        char near[64], far[64];
        reuse_description *description;
        int listener, client, accepted, udp;

        setup();
        listener = bound(AF_INET6, SOCK_STREAM, 0, "::", false);
        cr_assert(zero(int, listen(listener, 1)));
        in.sin_port = htons((uint16_t)port_of(listener));
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, connect(client, (struct sockaddr *)&in, sizeof(in))));
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(ge(int, accepted, 0));
        snprintf(near, sizeof(near), "127.0.0.1:%d", port_of(listener));
        snprintf(far, sizeof(far), "127.0.0.1:%d", port_of(client));

        description = described(accepted);
        cr_assert(eq(int, reuse_description_get_family(description), AF_INET6));
        cr_assert(eq(int, reuse_description_get_listening(description), 0));
        KIT_EXPECT_TEXT(reuse_description_get_network(description), "tcp");
        KIT_EXPECT_TEXT(reuse_description_get_local_address(description), near);
        KIT_EXPECT_TEXT(reuse_description_get_remote_address(description), far);
        reuse_description_free(description);

        description = described(client);
        KIT_EXPECT_TEXT(reuse_description_get_network(description), "tcp4");
        KIT_EXPECT_TEXT(reuse_description_get_local_address(description), far);
        KIT_EXPECT_TEXT(reuse_description_get_remote_address(description), near);
        reuse_description_free(description);

        udp = bound(AF_INET, SOCK_DGRAM, 0, "127.0.0.1", false);
        cr_assert(zero(int, connect(udp, (struct sockaddr *)&in, sizeof(in))));
        description = described(udp);
        KIT_EXPECT_TEXT(reuse_description_get_network(description), "udp4");
        KIT_EXPECT_TEXT(reuse_description_get_remote_address(description), near);
        reuse_description_free(description);
        close(udp);
        close(accepted);
        close(client);
        close(listener);
        leaks_expect_none();
}

/* One socket has one number, whatever descriptor it is asked of; and a group is told from a
 * single one. */
/* The name of a zone says nothing to who is in another network namespace. */
Test(reuse_describe, zone_of_another_namespace_is_its_index) {
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_scope_id = 1 };
        int fd, n_fds = leaks_count_fds();

        setup();
        inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr);
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &(int){ 1 }, sizeof(int))));
        cr_assert(bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0, "%m");
        for (int i = 0; i < 2; i++) {
                reuse_description *description = described(fd);
                const char *local = reuse_description_get_local_address(description);

                cr_assert(ne(ptr, strstr(local, i == 0 ? "[fe80::1%lo]:" : "[fe80::1%1]:"), NULL), "%s",
                          local);
                reuse_description_free(description);
                cr_assert(kit_own_network());
        }
        close(fd);
        leaks_expect_fds(n_fds);
}

Test(reuse_describe, cookie_and_group) {
        int fds[] = { socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                      socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1 };
        reuse_description *descriptions[3];

        fds[2] = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
        cr_assert(zero(int, setsockopt(fds[0], SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int))));
        for (int i = 0; i < 3; i++)
                descriptions[i] = described(fds[i]);
        cr_assert(reuse_description_get_cookie(descriptions[0]) != 0);
        cr_assert(reuse_description_get_cookie(descriptions[0]) ==
                  reuse_description_get_cookie(descriptions[2]));
        cr_assert(reuse_description_get_cookie(descriptions[0]) !=
                  reuse_description_get_cookie(descriptions[1]));
        cr_assert(eq(int, reuse_description_get_reuse_port(descriptions[0]), 1));
        cr_assert(eq(int, reuse_description_get_reuse_port(descriptions[1]), 0));
        for (int i = 0; i < 3; i++) {
                reuse_description_free(descriptions[i]);
                close(fds[i]);
        }
}

/* ---- UNIX sockets ---- */

static void expect_unix(int fd, const char *network, const char *local, const char *remote) {
        reuse_description *description = described(fd);

        cr_assert(eq(int, reuse_description_get_family(description), AF_UNIX));
        cr_assert(eq(int, reuse_description_get_protocol(description), 0));
        KIT_EXPECT_TEXT(reuse_description_get_network(description), network);
        KIT_EXPECT_TEXT(reuse_description_get_local_address(description), local);
        if (remote)
                KIT_EXPECT_TEXT(reuse_description_get_remote_address(description), remote);
        else
                cr_assert(reuse_description_get_remote_address(description) == NULL);
        reuse_description_free(description);
}

Test(reuse_describe, s3_24_vsock) {
        struct sockaddr_vm vm = { .svm_family = AF_VSOCK,
                                  .svm_cid = VMADDR_CID_ANY,
                                  .svm_port = VMADDR_PORT_ANY };
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        reuse_description *description;
        socklen_t size = sizeof(vm);
        char address[32];

        if (fd < 0)
                cr_skip_test("this kernel has no vsock");
        description = described(fd);
        KIT_EXPECT_TEXT(reuse_description_get_network(description), "vsock");
        KIT_EXPECT_TEXT(reuse_description_get_local_address(description), "*:0");
        cr_assert(zero(int, reuse_description_get_listening(description)));
        cr_assert(reuse_description_get_remote_address(description) == NULL);
        reuse_description_free(description);

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&vm, size)));
        cr_assert(zero(int, listen(fd, 1)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&vm, &size)));
        snprintf(address, sizeof(address), "*:%u", vm.svm_port);
        description = described(fd);
        cr_assert(eq(int, reuse_description_get_family(description), AF_VSOCK));
        cr_assert(eq(int, reuse_description_get_listening(description), 1));
        KIT_EXPECT_TEXT(reuse_description_get_network(description), "vsock");
        KIT_EXPECT_TEXT(reuse_description_get_local_address(description), address);
        reuse_description_free(description);
        close(fd);
}

Test(reuse_describe, s3_24_unix_sockets) {
        static const struct {
                int type;
                const char *network;
        } types[] = {
                { SOCK_STREAM, "unix" },
                { SOCK_DGRAM, "unixgram" },
                { SOCK_SEQPACKET, "unixpacket" },
        };
        char folder[] = "/tmp/test-describe-XXXXXX";
        struct sockaddr_un un = { .sun_family = AF_UNIX }, abstract = un;
        socklen_t size;

        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", folder);
        size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "%s",
                                            folder));
        for (size_t i = 0; i < ELEMENTS(types); i++) {
                int fd = socket(AF_UNIX, types[i].type | SOCK_CLOEXEC, 0), pair[2], client;
                char name[64];

                expect_unix(fd, types[i].network, "", NULL);
                cr_assert(zero(int, bind(fd, (struct sockaddr *)&un, sizeof(un))));
                if (types[i].type != SOCK_DGRAM)
                        cr_assert(zero(int, listen(fd, 1)));
                expect_unix(fd, types[i].network, un.sun_path, NULL);
                client = socket(AF_UNIX, types[i].type | SOCK_CLOEXEC, 0);
                cr_assert(zero(int, connect(client, (struct sockaddr *)&un, sizeof(un))));
                expect_unix(client, types[i].network, "", un.sun_path);
                close(client);
                close(fd);
                cr_assert(zero(int, unlink(un.sun_path)));

                fd = socket(AF_UNIX, types[i].type | SOCK_CLOEXEC, 0);
                cr_assert(zero(int, bind(fd, (struct sockaddr *)&abstract, size)));
                snprintf(name, sizeof(name), "@%s", folder);
                expect_unix(fd, types[i].network, name, NULL);
                close(fd);

                cr_assert(zero(int, socketpair(AF_UNIX, types[i].type | SOCK_CLOEXEC, 0, pair)));
                expect_unix(pair[0], types[i].network, "", "");
                close(pair[0]);
                close(pair[1]);
        }
        cr_assert(zero(int, rmdir(folder)));
        leaks_expect_none();
}

/* ---- the receiver ---- */

/* The descriptor stays the caller's, as it was: flags of its own, and of the socket that
 * others share. */
Test(reuse_describe, s3_24_nothing_is_changed) {
        static const int flags[] = { 0, O_NONBLOCK };
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(flags); i++)
                for (int cloexec = 0; cloexec < 2; cloexec++) {
                        int fd = socket(AF_INET, SOCK_STREAM | (int)flags[i], 0);

                        cr_assert(zero(int, fcntl(fd, F_SETFD, cloexec ? FD_CLOEXEC : 0)));
                        reuse_description_free(described(fd));
                        cr_assert(eq(int, fcntl(fd, F_GETFL) & O_NONBLOCK, flags[i]));
                        cr_assert(eq(int, fcntl(fd, F_GETFD), cloexec ? FD_CLOEXEC : 0));
                        close(fd);
                }
        leaks_expect_fds(n_fds);
}

/* Root makes the socket, and somebody without any right receives it. */
Test(reuse_describe, s3_25_a_receiver_without_rights) {
        int fd, raw;

        setup();
        fd = bound(AF_INET, SOCK_STREAM, 0, "127.0.0.1", false);
        raw = bound(AF_INET, SOCK_RAW, IPPROTO_ICMP, "127.0.0.1", false);
        cr_assert(zero(int, listen(fd, 1)));
        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int))));
        cr_assert(zero(int, setgroups(0, NULL)));
        cr_assert(zero(int, setgid(KIT_OTHER_UID)));
        cr_assert(zero(int, setuid(KIT_OTHER_UID)));

        for (int i = 0; i < 2; i++) {
                reuse_description *description = described(i == 0 ? fd : raw);

                cr_assert(eq(int, reuse_description_get_listening(description), i == 0));
                cr_assert(eq(int, reuse_description_get_reuse_port(description), i == 0));
                cr_assert(reuse_description_get_cookie(description) != 0);
                KIT_EXPECT_TEXT(reuse_description_get_network(description), i == 0 ? "tcp4" : "ip4:1");
                cr_assert(strncmp(reuse_description_get_local_address(description), "127.0.0.1", 9) ==
                          0);
                reuse_description_free(description);
        }
        close(fd);
        close(raw);
}
