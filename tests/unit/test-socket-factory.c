/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Real sockets on the loopback: who may have a port next to whom, and what a port does whose last
 * listener went while its connections live on.
 */

#include "daemon/socket-factory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "daemon/families.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))
#define SKIP_UNLESS_ROOT()                                                                              \
        do {                                                                                            \
                if (geteuid() != 0)                                                                     \
                        cr_skip_test("needs root, to become another user");                             \
        } while (0)

static SocketFailure failure;

/* In front of the C library's. */
static bool listen_fails;

int listen(int fd, int backlog) {
        if (!listen_fails)
                return (int)syscall(SYS_listen, fd, backlog);
        errno = ENOBUFS;
        return -1;
}

static int try_open(const Address *address, Sharing sharing, const Options *options, bool unused,
                    int *ret_fd, Address *ret_bound) {
        const SocketSpec spec = {
                .address = *address, .sharing = sharing, .options = options, .unused_port = unused
        };

        failure = (SocketFailure){ 0 };
        return socket_factory_open(&spec, ret_fd, ret_bound, &failure);
}

/* Opens and expects it to work. */
static int must_open(const Address *address, Sharing sharing, Address *ret_bound) {
        Address bound;
        int fd = -1;

        cr_assert(zero(int, try_open(address, sharing, NULL, address_port(address) == 0, &fd, &bound)),
                  "step %s: %s", failure.step, strerror(failure.refusal.error));
        if (ret_bound)
                *ret_bound = bound;
        return fd;
}

/* The answer of an attempt; nothing is kept. */
static int outcome(const Address *address, Sharing sharing, bool unused) {
        Address bound;
        int fd = -1, n_fds = leaks_count_fds(), r;

        r = try_open(address, sharing, NULL, unused, &fd, &bound);
        cr_assert(eq(int, fd >= 0, r == 0));
        fd_close(fd);
        cr_assert(eq(int, leaks_count_fds(), n_fds), "a descriptor was left open");
        return r;
}

static int option(int fd, int level, int name) {
        int value = -1;
        socklen_t n = sizeof(value);

        cr_assert(zero(int, getsockopt(fd, level, name, &value, &n)));
        return value;
}

/* An address with a port that nobody has, held for no longer than this call. */
static Address free_address(const char *network, const char *text) {
        Address address = kit_address(network, text), bound;

        fd_close(must_open(&address, SHARING_EXCLUSIVE, &bound));
        return bound;
}

static Options no_options(void) {
        Options options;

        wire_init(&wire_options, &options);
        return options;
}

static void own_network(void) {
        kit_own_network();
}

TestSuite(socket_factory, .init = own_network, .timeout = 10);

/* Refusals */

typedef struct Neighbours {
        const char *network_first, *host_first;
        Sharing first;
        const char *network_second, *host_second;
        Sharing second;
        int answer;
} Neighbours;

#define EXCLUSIVE SHARING_EXCLUSIVE
#define SHARED SHARING_SHARED
#define GROUP SHARING_GROUP

static const Neighbours neighbours[] = {
        { "tcp4", "127.0.0.1", EXCLUSIVE, "tcp4", "127.0.0.1", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "tcp4", "127.0.0.1", EXCLUSIVE, "tcp4", "127.0.0.1", GROUP, SOCKET_FACTORY_E_IN_USE },
        { "tcp4", "127.0.0.1", GROUP, "tcp4", "127.0.0.1", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "tcp4", "127.0.0.1", SHARED, "tcp4", "127.0.0.1", SHARED, SOCKET_FACTORY_E_IN_USE },
        { "tcp4", "0.0.0.0", EXCLUSIVE, "tcp4", "127.0.0.1", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "tcp4", "127.0.0.1", EXCLUSIVE, "tcp4", "0.0.0.0", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "tcp", "[::]", EXCLUSIVE, "tcp4", "127.0.0.1", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "tcp4", "127.0.0.1", EXCLUSIVE, "tcp", "[::]", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "udp4", "127.0.0.1", EXCLUSIVE, "udp4", "127.0.0.1", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "udp4", "127.0.0.1", EXCLUSIVE, "udp4", "127.0.0.1", GROUP, SOCKET_FACTORY_E_IN_USE },
        { "udp4", "127.0.0.1", GROUP, "udp4", "127.0.0.1", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "udp", "[::]", EXCLUSIVE, "udp4", "127.0.0.1", EXCLUSIVE, SOCKET_FACTORY_E_IN_USE },
        { "tcp6", "[::]", EXCLUSIVE, "tcp4", "0.0.0.0", EXCLUSIVE, 0 },
        { "udp6", "[::]", EXCLUSIVE, "udp4", "0.0.0.0", EXCLUSIVE, 0 },
        { "tcp4", "127.0.0.1", EXCLUSIVE, "tcp4", "127.0.0.2", EXCLUSIVE, 0 },
        { "tcp4", "127.0.0.1", EXCLUSIVE, "udp4", "127.0.0.1", EXCLUSIVE, 0 },
        { "tcp4", "127.0.0.1", GROUP, "tcp4", "127.0.0.1", GROUP, 0 },
        { "tcp6", "[::1]", GROUP, "tcp6", "[::1]", GROUP, 0 },
        { "tcp", "[::]", GROUP, "tcp", "[::]", GROUP, 0 },
        { "udp4", "127.0.0.1", GROUP, "udp4", "127.0.0.1", GROUP, 0 },
        { "udp6", "[::1]", GROUP, "udp6", "[::1]", GROUP, 0 },
};

Test(socket_factory, who_may_have_a_port_next_to_whom) {
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(neighbours); i++) {
                const Neighbours *row = &neighbours[i];
                char text[64];
                Address first, second;
                int fd;

                snprintf(text, sizeof(text), "%s:0", row->host_first);
                first = kit_address(row->network_first, text);
                fd = must_open(&first, row->first, &first);
                snprintf(text, sizeof(text), "%s:%d", row->host_second, address_port(&first));
                second = kit_address(row->network_second, text);
                cr_assert(eq(int, outcome(&second, row->second, false), row->answer), "row %zu", i);
                if (row->answer)
                        cr_assert(eq(int, failure.refusal.error, EADDRINUSE));
                fd_close(fd);
        }
        leaks_expect_fds(n_fds);
}

Test(socket_factory, a_free_port_is_free_of_groups_too) {
        static const char *const networks[] = { "tcp4", "udp4" };

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                Address address = kit_address(networks[i], "127.0.0.1:0");
                int first = must_open(&address, SHARING_GROUP, &address), joined;

                cr_assert(eq(int, outcome(&address, SHARING_GROUP, true), SOCKET_FACTORY_E_IN_USE));
                joined = must_open(&address, SHARING_GROUP, NULL);
                cr_assert(eq(int, outcome(&address, SHARING_GROUP, true), SOCKET_FACTORY_E_IN_USE));
                fd_close(first);
                fd_close(joined);
        }
}

typedef struct KernelRefusal {
        const char *network, *address;
        int answer, error;
        const char *step;
} KernelRefusal;

static const KernelRefusal kernel_refusals[] = {
        { "tcp4", "192.0.2.1:0", SOCKET_FACTORY_E_NOT_LOCAL, EADDRNOTAVAIL, "bind" },
        { "udp4", "192.0.2.1:0", SOCKET_FACTORY_E_NOT_LOCAL, EADDRNOTAVAIL, "bind" },
        { "tcp6", "[2001:db8::1]:0", SOCKET_FACTORY_E_NOT_LOCAL, EADDRNOTAVAIL, "bind" },
        { "unix", "/nonexistent/socket", SOCKET_FACTORY_E_SYSTEM, ENOENT, "bind" },
        { "unixgram", "/nonexistent/socket", SOCKET_FACTORY_E_SYSTEM, ENOENT, "bind" },
        { "unixpacket", "/proc/version/socket", SOCKET_FACTORY_E_SYSTEM, ENOTDIR, "bind" },
        { "unix", "/dev/null", SOCKET_FACTORY_E_IN_USE, EADDRINUSE, "bind" },
};

Test(socket_factory, what_the_kernel_refuses) {
        for (size_t i = 0; i < ELEMENTS(kernel_refusals); i++) {
                const KernelRefusal *row = &kernel_refusals[i];
                Address address = kit_address(row->network, row->address);

                cr_assert(eq(int, outcome(&address, SHARING_EXCLUSIVE, false), row->answer), "row %zu",
                          i);
                cr_assert(eq(int, failure.refusal.error, row->error), "row %zu", i);
                KIT_EXPECT_TEXT(failure.step, row->step);
        }
}

/* Past bind(), by listen() or an option that comes after it. */
Test(socket_factory, a_path_that_fails_later_leaves_no_file) {
        char folder[] = "/tmp/test-socket-factory-XXXXXX", path[64];
        SocketFile file = SOCKET_FILE_DEFAULT;
        SocketSpec spec = { .file = &file };
        Address bound;
        int fd = -1, n_fds = leaks_count_fds();

        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, sizeof(path), "%s/socket", folder);
        spec.address = kit_address("unix", path);
        listen_fails = true;
        cr_assert(eq(int, socket_factory_open(&spec, &fd, &bound, &failure), SOCKET_FACTORY_E_SYSTEM));
        listen_fails = false;
        KIT_EXPECT_TEXT(failure.step, "listen");
        cr_assert(zero(ullong, file.inode));
        cr_assert(zero(int, rmdir(folder)), "the file was left");
        leaks_expect_fds(n_fds);
}

Test(socket_factory, a_path_by_a_link_says_so) {
        char folder[] = "/tmp/test-socket-factory-XXXXXX", link[64], path[80];
        Address address;

        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(link, sizeof(link), "%s/link", folder);
        snprintf(path, sizeof(path), "%s/socket", link);
        cr_assert(zero(int, symlink(".", link)));
        address = kit_address("unix", path);
        cr_assert(eq(int, outcome(&address, SHARING_SHARED, false), SOCKET_FACTORY_E_PATH));
        cr_assert(strstr(failure.reason, link) != NULL, "%s", failure.reason);
        cr_assert(zero(int, unlink(link)));
        cr_assert(zero(int, rmdir(folder)));
}

Test(socket_factory, no_descriptors_left) {
        Address address = kit_address("tcp4", "127.0.0.1:0"), bound;
        const SocketSpec spec = { .address = address, .unused_port = true };
        struct rlimit old, none = { 0 };
        int fd = -1, r;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &old)));
        none.rlim_max = old.rlim_max;
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &none)));
        r = socket_factory_open(&spec, &fd, &bound, &failure);
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &old)));
        cr_assert(eq(int, r, SOCKET_FACTORY_E_SYSTEM));
        cr_assert(eq(int, failure.refusal.error, EMFILE));
        KIT_EXPECT_TEXT(failure.step, "socket");
        cr_assert(eq(int, fd, -1));
}

Test(socket_factory, privileged_port) {
        Address address = kit_address("tcp4", "127.0.0.1:80");

        SKIP_UNLESS_ROOT();
        cr_assert(zero(int, outcome(&address, SHARING_EXCLUSIVE, false)));
        cr_assert(zero(int, seteuid(KIT_OTHER_UID)));
        cr_assert(eq(int, outcome(&address, SHARING_EXCLUSIVE, false), SOCKET_FACTORY_E_SYSTEM));
        cr_assert(eq(int, failure.refusal.error, EACCES));
        KIT_EXPECT_TEXT(failure.step, "bind");
        cr_assert(zero(int, seteuid(0)));
}

Test(socket_factory, s2_1_an_option_that_is_refused_leaves_nothing_open) {
        static const char *const networks[] = { "tcp4", "udp4", "unix" };
        static RawOption unknown = { .level = 250, .name = 1, .value = "00" };
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                Address address = kit_address(networks[i], i == 2 ? "@refused" : "127.0.0.1:0"), bound;
                Options options = no_options();
                int fd = -1;

                options.time_to_live = 1000;
                cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                             SOCKET_FACTORY_E_OPTION_INVALID));
                KIT_EXPECT_TEXT(failure.refusal.option, "timeToLive");
                KIT_EXPECT_TEXT(failure.step, "setsockopt");

                /* Past the check: by the kernel. */
                options = no_options();
                options.raw = (WireList){ &unknown, 1 };
                cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                             SOCKET_FACTORY_E_OPTION_INVALID));
                KIT_EXPECT_TEXT(failure.refusal.option, "raw");
                KIT_EXPECT_TEXT(failure.step, "setsockopt");
                cr_assert(ne(ptr, (void *)failure.refusal.reason, NULL));
                cr_assert(eq(int, fd, -1));
        }
        leaks_expect_fds(n_fds);
}

Test(socket_factory, a_group_that_cannot_be_joined_leaves_nothing_open) {
        static const char *const groups[] = { "239.1.1.1%nosuchdevice" };
        Address address = kit_address("udp4", "0.0.0.0:0"), bound;
        Options options = no_options();
        int fd = -1, n_fds = leaks_count_fds();

        options.multicast_groups = (WireList){ (void *)groups, 1 };
        cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                     SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(failure.refusal.option, "multicastGroups");
        leaks_expect_fds(n_fds);
}

Test(socket_factory, without_the_right_to_mark_it_is_the_system_that_refuses) {
        Address address = kit_address("tcp4", "127.0.0.1:0"), bound;
        Options options = no_options();
        int fd = -1;

        SKIP_UNLESS_ROOT();
        cr_assert(zero(int, seteuid(KIT_OTHER_UID)));
        options.mark = 1;
        cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                     SOCKET_FACTORY_E_SYSTEM));
        KIT_EXPECT_TEXT(failure.step, "setsockopt");
        KIT_EXPECT_TEXT(failure.refusal.option, "mark");
        cr_assert(eq(int, failure.refusal.error, EPERM));
        cr_assert(zero(int, seteuid(0)));
}

/* Nobody else gets in: sockets of another user, with every reuse option there is. */

static int foreign_bind(const Address *address, bool reuse_address, bool reuse_port) {
        _cleanup_(fd_closep) int fd = -1;
        int on = 1, r;

        cr_assert(zero(int, seteuid(KIT_OTHER_UID)));
        fd = socket(address_family(address), address_socket_type(address) | SOCK_CLOEXEC, 0);
        cr_assert(ge(int, fd, 0));
        if (reuse_address)
                cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))));
        if (reuse_port)
                cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))));
        r = bind(fd, &address->u.sa, address->len) < 0 ? errno : 0;
        if (r == 0 && address->transport == TRANSPORT_TCP)
                r = listen(fd, 1) < 0 ? errno : 0;
        cr_assert(zero(int, seteuid(0)));
        return r;
}

Test(socket_factory, another_user_cannot_take_the_port) {
        static const char *const networks[] = { "tcp4", "udp4" };

        SKIP_UNLESS_ROOT();
        for (unsigned i = 0; i < ELEMENTS(networks) * _SHARING_N * 2; i++) {
                Address address = kit_address(networks[i % 2], "127.0.0.1:0");
                Sharing sharing = i / 2 % _SHARING_N;
                int fd = must_open(&address, sharing, &address);

                if (i >= ELEMENTS(networks) * _SHARING_N) {
                        fd_close(fd);
                        fd = must_open(&address, sharing, NULL);
                }
                for (int reuse = 0; reuse < 4; reuse++)
                        cr_assert(eq(int, foreign_bind(&address, reuse & 1, reuse & 2), EADDRINUSE),
                                  "%s, sharing %d, reuse %d", networks[i % 2], sharing, reuse);
                fd_close(fd);
        }
}

/* Of TCP nobody can, whatever both have asked for; of IPv6 and of both families as of IPv4. */
Test(socket_factory, d2_another_user_cannot_take_a_port_of_ipv6) {
        static const char *const sockets[][2] = {
                { "tcp6", "[::1]:0" },
                { "tcp6", "[::]:0" },
                { "tcp", "[::]:0" },
        };

        SKIP_UNLESS_ROOT();
        for (size_t i = 0; i < ELEMENTS(sockets); i++)
                for (Sharing sharing = 0; sharing < _SHARING_N; sharing++) {
                        Address address = kit_address(sockets[i][0], sockets[i][1]);
                        int fd = must_open(&address, sharing, &address);

                        for (int reuse = 0; reuse < 4; reuse++)
                                cr_assert(eq(int, foreign_bind(&address, reuse & 1, reuse & 2),
                                             EADDRINUSE),
                                          "%s %s, sharing %d, reuse %d", sockets[i][0], sockets[i][1],
                                          sharing, reuse);
                        fd_close(fd);
                }
}

/*
 * A port whose connections outlive its listeners. What was measured is what is held here; a plain bind
 * stands beside it to show that the connection is really in the way.
 */

static int plain_bind(const Address *address) {
        _cleanup_(fd_closep) int fd = socket(address_family(address), SOCK_STREAM | SOCK_CLOEXEC, 0);

        return bind(fd, &address->u.sa, address->len) < 0 ? errno : 0;
}

/* Every way of opening the port again, and of joining the group that it makes. */
static void expect_reopens(const Address *address) {
        cr_assert(eq(int, plain_bind(address), EADDRINUSE));
        for (Sharing sharing = 0; sharing < _SHARING_N; sharing++) {
                int fd = must_open(address, sharing, NULL);

                for (Sharing next = 0; next < _SHARING_N; next++)
                        cr_assert(eq(int, outcome(address, next, false),
                                     sharing == SHARING_GROUP && next == SHARING_GROUP
                                             ? 0
                                             : SOCKET_FACTORY_E_IN_USE),
                                  "sharing %d next to %d", next, sharing);
                fd_close(fd);
        }
        cr_assert(zero(int, outcome(address, SHARING_GROUP, true)),
                  "connections of an earlier listener leave the port free");
}

typedef struct Origin {
        const char *network, *address;
        Sharing sharing;
        bool unused; /* SO_REUSEPORT came after bind */
} Origin;

static const Origin origins[] = {
        { "tcp4", "127.0.0.1:0", EXCLUSIVE, true }, { "tcp4", "127.0.0.1:0", EXCLUSIVE, false },
        { "tcp4", "127.0.0.1:0", SHARED, true },    { "tcp4", "127.0.0.1:0", GROUP, true },
        { "tcp4", "127.0.0.1:0", GROUP, false },    { "tcp6", "[::1]:0", EXCLUSIVE, false },
        { "tcp6", "[::1]:0", GROUP, false },        { "tcp6", "[::1]:0", GROUP, true },
};

static int open_origin(const Origin *origin, Address *ret_bound) {
        Address address = origin->unused ? kit_address(origin->network, origin->address)
                                         : free_address(origin->network, origin->address);
        int fd = -1;

        cr_assert(zero(int, try_open(&address, origin->sharing, NULL, origin->unused, &fd, ret_bound)));
        return fd;
}

Test(socket_factory, connections_of_another_user_do_not_hold_the_port) {
        int n_fds = leaks_count_fds();

        SKIP_UNLESS_ROOT();
        for (size_t i = 0; i < ELEMENTS(origins); i++) {
                KitForeign foreign;
                Address address;
                int fd = open_origin(&origins[i], &address);

                foreign = kit_accept_as_other(fd, &address);
                if (origins[i].sharing == SHARING_GROUP)
                        cr_assert(zero(int, outcome(&address, SHARING_GROUP, false)), "origin %zu", i);
                cr_assert(eq(int, outcome(&address, SHARING_EXCLUSIVE, false), SOCKET_FACTORY_E_IN_USE));
                fd_close(fd);
                expect_reopens(&address);
                kit_foreign_end(&foreign);
        }
        leaks_expect_fds(n_fds);
}

Test(socket_factory, connections_of_a_socket_that_was_reopened_do_not_either) {
        KitForeign first, second;
        Address address = free_address("tcp4", "127.0.0.1:0");
        int fd;

        SKIP_UNLESS_ROOT();
        fd = must_open(&address, SHARING_EXCLUSIVE, NULL);
        first = kit_accept_as_other(fd, &address);
        fd_close(fd);
        fd = must_open(&address, SHARING_GROUP, NULL);
        second = kit_accept_as_other(fd, &address);
        cr_assert(zero(int, outcome(&address, SHARING_GROUP, false)));
        fd_close(fd);
        expect_reopens(&address);
        kit_foreign_end(&first);
        kit_foreign_end(&second);
}

/*
 * The kernel lets members of one owner in without looking at the port's connections, until a socket on
 * another address of this port makes it forget that. Then the second try is needed.
 */
Test(socket_factory, a_member_joins_though_the_kernel_looks_at_connections) {
        for (int unused = 0; unused < 2; unused++) {
                const Origin origin = { "tcp4", "127.0.0.1:0", SHARING_GROUP, unused };
                KitForeign foreign;
                Address address, other;
                int fd, other_fd;

                SKIP_UNLESS_ROOT();
                fd = open_origin(&origin, &address);
                foreign = kit_accept_as_other(fd, &address);
                other = address;
                other.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
                other_fd = must_open(&other, SHARING_EXCLUSIVE, NULL);
                cr_assert(zero(int, outcome(&address, SHARING_GROUP, false)));
                fd_close(fd);
                fd_close(other_fd);
                kit_foreign_end(&foreign);
        }
}

Test(socket_factory, time_wait_does_not_hold_the_port) {
        for (size_t i = 0; i < ELEMENTS(origins); i++) {
                Address address;
                int fd = open_origin(&origins[i], &address), client, server;
                char byte;

                client = kit_connect(&address);
                server = accept(fd, NULL, NULL);
                cr_assert(ge(int, server, 0));
                fd_close(server); /* first, so TIME_WAIT is on our side */
                cr_assert(zero(int, (int)read(client, &byte, 1)));
                fd_close(client);
                fd_close(fd);
                expect_reopens(&address);
        }
}

Test(socket_factory, no_second_try_for_who_does_not_want_it) {
        Address address = free_address("tcp4", "127.0.0.1:0"), bound;
        Options options = no_options();
        int fd = -1, client, server, n_fds = leaks_count_fds();

        options.reuse_address = 0;
        cr_assert(zero(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound)));
        cr_assert(zero(int, option(fd, SOL_SOCKET, SO_REUSEADDR)));
        client = kit_connect(&address);
        server = accept(fd, NULL, NULL);
        fd = fd_close(fd);
        cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                     SOCKET_FACTORY_E_IN_USE));
        fd_close(server);
        fd_close(client);
        leaks_expect_fds(n_fds);
}

/* What a socket has at birth */

typedef struct Birth {
        const char *network, *address;
        Sharing sharing;
        bool unused;
        bool listens, reuse_address, reuse_port, broadcast;
        int ipv6_only; /* -1: not IPv6 */
} Birth;

static const Birth births[] = {
        { "tcp4", "127.0.0.1:0", EXCLUSIVE, true, true, true, false, false, -1 },
        { "tcp4", "127.0.0.1:0", SHARED, true, true, true, false, false, -1 },
        { "tcp4", "127.0.0.1:0", GROUP, true, true, true, true, false, -1 },
        { "tcp4", "127.0.0.1:0", GROUP, false, true, true, true, false, -1 },
        { "tcp6", "[::1]:0", GROUP, true, true, true, true, false, 1 },
        { "tcp", "[::]:0", GROUP, true, true, true, true, false, 0 },
        { "tcp6", "[::]:0", EXCLUSIVE, true, true, true, false, false, 1 },
        { "udp4", "127.0.0.1:0", EXCLUSIVE, true, false, false, false, true, -1 },
        { "udp4", "127.0.0.1:0", SHARED, true, false, false, false, true, -1 },
        { "udp4", "127.0.0.1:0", GROUP, true, false, false, true, true, -1 },
        { "udp4", "127.0.0.1:0", GROUP, false, false, false, true, true, -1 },
        { "udp6", "[::1]:0", GROUP, true, false, false, true, true, 1 },
        { "udp", "[::]:0", GROUP, true, false, false, true, true, 0 },
        { "unix", "@birth", EXCLUSIVE, false, true, false, false, false, -1 },
        { "unix", "@birth", SHARED, false, true, false, false, false, -1 },
        { "unix", "@birth", GROUP, true, true, false, false, false, -1 },
        { "unix", "@birth", GROUP, false, true, false, false, false, -1 },
        { "unixpacket", "@birth", GROUP, false, true, false, false, false, -1 },
        { "unixgram", "@birth", GROUP, false, false, false, false, false, -1 },
};

Test(socket_factory, s3_10_what_a_socket_has_at_birth) {
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(births); i++) {
                const Birth *row = &births[i];
                Address address = kit_address(row->network, row->address), bound;
                int fd = -1;

                cr_assert(zero(int, try_open(&address, row->sharing, NULL, row->unused, &fd, &bound)),
                          "row %zu", i);
                cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
                cr_assert(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
                cr_assert(eq(int, option(fd, SOL_SOCKET, SO_TYPE), address_socket_type(&address)));
                cr_assert(eq(int, option(fd, SOL_SOCKET, SO_ACCEPTCONN), row->listens), "row %zu", i);
                cr_assert(eq(int, option(fd, SOL_SOCKET, SO_REUSEADDR), row->reuse_address), "row %zu",
                          i);
                cr_assert(eq(int, option(fd, SOL_SOCKET, SO_REUSEPORT), row->reuse_port), "row %zu", i);
                cr_assert(eq(int, option(fd, SOL_SOCKET, SO_BROADCAST), row->broadcast), "row %zu", i);
                if (row->ipv6_only >= 0)
                        cr_assert(eq(int, option(fd, SOL_IPV6, IPV6_V6ONLY), row->ipv6_only), "row %zu",
                                  i);
                if (address_is_ip(&address))
                        cr_assert(gt(int, address_port(&bound), 0));
                cr_assert(eq(int, bound.transport, address.transport));
                cr_assert(eq(int, bound.ipv6_only, address.ipv6_only));
                KIT_EXPECT_TEXT(address_network(&bound, (char[NETWORK_TEXT_MAX]){ 0 }), row->network);
                fd_close(fd);
        }
        leaks_expect_fds(n_fds);
}

/* So that Go, which sets it to 0 for "tcp" at an address, has the same socket in the end; and one that
 * was made with either value is in the same group. */
Test(socket_factory, s3_8_the_kernel_sets_ipv6_only_at_an_address) {
        static const char *const sockets[] = { "tcp6", "udp6" };

        for (size_t i = 0; i < 4; i++) {
                Address address = kit_address(sockets[i / 2], "[::1]:0");
                int fd = socket(AF_INET6, address_socket_type(&address) | SOCK_CLOEXEC, 0);

                cr_assert(
                        zero(int, setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &(int){ i % 2 }, sizeof(int))));
                cr_assert(eq(int, option(fd, SOL_IPV6, IPV6_V6ONLY), (int)(i % 2)));
                cr_assert(zero(int, bind(fd, &address.u.sa, address.len)));
                cr_assert(eq(int, option(fd, SOL_IPV6, IPV6_V6ONLY), 1));
                fd_close(fd);
        }
}

/* Which families a wildcard serves is what was asked for, not what the host has for those who say
 * nothing. */
Test(socket_factory, s3_8_families_are_not_left_to_the_host) {
        static const char *const sockets[][2] = {
                { "tcp", "[::]:0" },
                { "tcp6", "[::]:0" },
                { "udp", "[::]:0" },
                { "udp6", "[::]:0" },
        };

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        for (int only = 0; only < 2; only++) {
                _cleanup_(fd_closep) int sysctl =
                        open("/proc/sys/net/ipv6/bindv6only", O_WRONLY | O_CLOEXEC);

                cr_assert(eq(int, (int)write(sysctl, only ? "1" : "0", 1), 1));
                for (size_t i = 0; i < ELEMENTS(sockets); i++) {
                        Address address = kit_address(sockets[i][0], sockets[i][1]);
                        int fd = must_open(&address, SHARING_GROUP, NULL);

                        cr_assert(eq(int, option(fd, SOL_IPV6, IPV6_V6ONLY), (int)(i % 2)), "%s",
                                  sockets[i][0]);
                        fd_close(fd);
                }
        }
}

/* What has packets and connections is listened on as a stream is. */
Test(socket_factory, s3_13_packets_with_connections_are_listened_for) {
        Address address = kit_address("unixpacket", "@packets");
        int fd = must_open(&address, SHARING_SHARED, NULL), client, served;

        cr_assert(eq(int, option(fd, SOL_SOCKET, SO_TYPE), SOCK_SEQPACKET));
        cr_assert(eq(int, option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1));
        client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, connect(client, &address.u.sa, address.len)));
        served = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(ge(int, served, 0));
        fd_close(served);
        fd_close(client);
        fd_close(fd);
}

/* The kernel's own choice with SO_REUSEPORT before bind would soon take a UDP port twice. */
Test(socket_factory, free_ports_of_groups_are_distinct) {
        static const char *const networks[] = { "udp4", "tcp4" };
        _cleanup_(fd_closep) int sysctl = -1;
        bool seen[10];

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        sysctl = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
        cr_assert(eq(int, (int)write(sysctl, "40000 40009", 11), 11));
        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                Address address = kit_address(networks[i], "127.0.0.1:0"), bound;
                int fds[10];

                memset(seen, 0, sizeof(seen));
                for (size_t j = 0; j < ELEMENTS(fds); j++) {
                        fds[j] = must_open(&address, SHARING_GROUP, &bound);
                        cr_assert(not(seen[address_port(&bound) - 40000]), "%s", networks[i]);
                        seen[address_port(&bound) - 40000] = true;
                }
                cr_assert(eq(int, outcome(&address, SHARING_GROUP, true), SOCKET_FACTORY_E_IN_USE));
                for (size_t j = 0; j < ELEMENTS(fds); j++)
                        fd_close(fds[j]);
        }
}

Test(socket_factory, two_members_share_the_connections) {
        for (int unused = 0; unused < 2; unused++) {
                Address address = unused ? kit_address("tcp4", "127.0.0.1:0")
                                         : free_address("tcp4", "127.0.0.1:0");
                int members[2], clients[64], n[2] = { 0 };

                cr_assert(zero(int,
                               try_open(&address, SHARING_GROUP, NULL, unused, &members[0], &address)));
                members[1] = must_open(&address, SHARING_GROUP, NULL);
                for (size_t i = 0; i < ELEMENTS(clients); i++)
                        clients[i] = kit_connect(&address);
                for (int m = 0; m < 2; m++)
                        for (int fd; (fd = accept(members[m], NULL, NULL)) >= 0; n[m]++)
                                close(fd);
                cr_assert(eq(int, n[0] + n[1], (int)ELEMENTS(clients)));
                cr_assert(gt(int, n[0], 0));
                cr_assert(gt(int, n[1], 0));
                for (size_t i = 0; i < ELEMENTS(clients); i++)
                        close(clients[i]);
                close(members[0]);
                close(members[1]);
        }
}

/* A socket that is there already, made into what the next client asks for. */

static int reshape(int fd, const Address *address, Sharing sharing, const Options *options) {
        const SocketSpec spec = { .address = *address, .sharing = sharing, .options = options };

        failure = (SocketFailure){ 0 };
        return socket_factory_reshape(fd, &spec, &failure);
}

Test(socket_factory, reshape_refuses_what_open_refuses) {
        static RawOption unknown = { .level = 250, .name = 1, .value = "00" };
        Address address = kit_address("tcp4", "127.0.0.1:0");
        Options options = no_options();
        int fd = must_open(&address, SHARING_EXCLUSIVE, &address);

        options.time_to_live = 1000;
        cr_assert(eq(int, reshape(fd, &address, SHARING_GROUP, &options),
                     SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(failure.refusal.option, "timeToLive");
        cr_assert(zero(int, option(fd, SOL_SOCKET, SO_REUSEPORT)), "refused, but changed");
        options = no_options();
        options.raw = (WireList){ &unknown, 1 };
        cr_assert(eq(int, reshape(fd, &address, SHARING_EXCLUSIVE, &options),
                     SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(failure.refusal.option, "raw");
        close(fd);
}

/*
 * Of TCP the kernel remembers by port that there was a group, and goes on to let sockets of its owner
 * in: that an exclusive endpoint has one member is for the broker to see to then. Others stay out.
 */
Test(socket_factory, reshape_opens_and_shuts_the_group) {
        static const char *const networks[] = { "tcp4", "tcp", "udp4", "udp" };

        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                Address address = kit_address(networks[i], i % 2 ? "[::]:0" : "127.0.0.1:0");
                int fd = must_open(&address, SHARING_EXCLUSIVE, &address);

                cr_assert(eq(int, outcome(&address, SHARING_GROUP, false), SOCKET_FACTORY_E_IN_USE));
                cr_assert(zero(int, reshape(fd, &address, SHARING_GROUP, NULL)));
                cr_assert(zero(int, outcome(&address, SHARING_GROUP, false)), "%s", networks[i]);
                cr_assert(zero(int, reshape(fd, &address, SHARING_EXCLUSIVE, NULL)));
                cr_assert(zero(int, option(fd, SOL_SOCKET, SO_REUSEPORT)));
                cr_assert(eq(int, outcome(&address, SHARING_EXCLUSIVE, false), SOCKET_FACTORY_E_IN_USE));
                if (address.transport == TRANSPORT_UDP)
                        cr_assert(eq(int, outcome(&address, SHARING_GROUP, false),
                                     SOCKET_FACTORY_E_IN_USE));
                for (int reuse = 0; geteuid() == 0 && reuse < 4; reuse++)
                        cr_assert(eq(int, foreign_bind(&address, reuse & 1, reuse & 2), EADDRINUSE));
                close(fd);
        }
}

Test(socket_factory, reshape_keeps_the_queue_and_takes_the_options) {
        Address address = kit_address("tcp4", "127.0.0.1:0");
        Options options = no_options();
        OptionsReadBack back;
        int fd = must_open(&address, SHARING_EXCLUSIVE, &address), client = kit_connect(&address),
            server;

        options.backlog = 3;
        options.no_delay = 1;
        cr_assert(zero(int, reshape(fd, &address, SHARING_GROUP, &options)));
        socket_options_read(fd, &address, NULL, OPTIONS_ALL, &back);
        cr_assert(eq(i64, back.options.backlog, 3));
        cr_assert(eq(int, back.options.no_delay, 1));
        cr_assert(eq(int, back.options.reuse_address, 1));
        server = accept(fd, NULL, NULL);
        cr_assert(ge(int, server, 0), "the connection in the queue is gone");
        close(server);
        close(client);
        close(fd);
}

Test(socket_factory, a_path_has_mode_0666_whatever_the_umask) {
        static const char *const networks[] = { "unix", "unixgram", "unixpacket" };
        static const mode_t masks[] = { 0, 0022, 0077, 0777 };
        char folder[] = "/tmp/test-socket-factory-XXXXXX", path[64];
        int n_fds = leaks_count_fds();

        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, sizeof(path), "%s/socket", folder);
        for (size_t i = 0; i < ELEMENTS(networks) * ELEMENTS(masks); i++) {
                Address address = kit_address(networks[i % 3], path);
                mode_t mask = masks[i / 3];
                struct stat st;
                int fd;

                umask(mask);
                fd = must_open(&address, SHARING_SHARED, NULL);
                cr_assert(eq(int, (int)umask(0), (int)mask), "the umask was not put back");
                cr_assert(zero(int, stat(path, &st)));
                cr_assert(eq(int, (int)(st.st_mode & 07777), 0666));
                cr_assert(eq(int, outcome(&address, SHARING_SHARED, false), SOCKET_FACTORY_E_IN_USE));
                fd_close(fd);
                cr_assert(zero(int, unlink(path)));
        }
        cr_assert(zero(int, rmdir(folder)));
        leaks_expect_fds(n_fds);
}

Test(socket_factory, s3_7_probe_says_what_works) {
        AddressFamilies families = { 0 };
        int n_fds = leaks_count_fds();

        families_probe(NULL, NULL, &families);
        leaks_expect_fds(n_fds);
        cr_assert(families.ipv4);
        if (families.mapped)
                cr_assert(families.ipv6);
        if (families.ipv6) {
                Address address = kit_address("tcp6", "[::1]:0");

                cr_assert(zero(int, outcome(&address, SHARING_EXCLUSIVE, true)));
        }
}

/* With the switch that takes all addresses of IPv6 away. */
Test(socket_factory, s3_7_probe_without_ipv6) {
        _cleanup_(fd_closep) int sysctl = -1;
        AddressFamilies families = { 0 };

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        sysctl = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);
        if (sysctl < 0)
                cr_skip_test("there is no IPv6 at all");
        cr_assert(zero(int, families_probe(NULL, NULL, &families)));
        cr_assert(families.ipv4 && families.ipv6 && families.mapped);
        cr_assert(eq(int, (int)write(sysctl, "1", 1), 1));
        cr_assert(zero(int, families_probe(NULL, NULL, &families)));
        cr_assert(families.ipv4);
        cr_assert(not(families.ipv6));
        cr_assert(not(families.mapped));
}

static int make_none(void *userdata, int family) {
        (void)family;
        return -*(int *)userdata;
}

/* That there is none is no error; that it cannot be told is one. */
Test(socket_factory, s3_7_probe_that_fails) {
        static const int absences[] = { EAFNOSUPPORT, EADDRNOTAVAIL, EPERM, EACCES };
        AddressFamilies families = { .ipv4 = true, .ipv6 = true, .mapped = true };
        int error = EMFILE;

        cr_assert(eq(int, families_probe(make_none, &error, &families), -EMFILE));
        cr_assert(not(families.ipv4 || families.ipv6 || families.mapped));
        for (size_t i = 0; i < ELEMENTS(absences); i++) {
                error = absences[i];
                cr_assert(zero(int, families_probe(make_none, &error, &families)));
                cr_assert(not(families.ipv4 || families.ipv6 || families.mapped));
        }
}

/* Nothing else of this kernel is asked for its number. */
Test(socket_factory, probe_knows_who_finds_connected_sockets) {
        int n_fds = leaks_count_fds(), major, minor;
        struct utsname name;

        cr_assert(zero(int, uname(&name)));
        cr_assert(eq(int, sscanf(name.release, "%d.%d", &major, &minor), 2));
        cr_assert(families_find_connected() == (major > 6 || (major == 6 && minor >= 13)), "%s",
                  name.release);
        leaks_expect_fds(n_fds);
}

/* Returns 0 or an errno. */
static int attach_program(int fd) {
        static struct sock_filter instruction = { .code = BPF_RET | BPF_K, .k = 0 };
        static const struct sock_fprog program = { .len = 1, .filter = &instruction };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0
                       ? errno
                       : 0;
}

/* Any holder could otherwise send the whole group's connections to one member. */
Test(socket_factory, holder_cannot_steer_the_group) {
        Address address = kit_address("tcp4", "127.0.0.1:0");
        SocketSpec spec = { .address = address, .sharing = SHARING_GROUP };
        int member = must_open(&address, SHARING_GROUP, NULL);
        int converted = must_open(&address, SHARING_EXCLUSIVE, NULL);

        cr_assert(zero(int, socket_factory_reshape(converted, &spec, &failure)));
        for (int i = 0; i < 2; i++) {
                int fd = i == 0 ? member : converted;

                /* The broker's own goes there first; one that was converted is in no group yet. */
                cr_assert(eq(int, attach_program(fd), i == 0 ? 0 : EINVAL));
                cr_assert(zero(int, socket_factory_lock(fd)));
                cr_assert(eq(int, attach_program(fd), EPERM));
                cr_assert(eq(int, setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &(int){ 0 }, sizeof(int)),
                             -1));
                /* Once more is no fault: an adopted member is locked already. */
                cr_assert(zero(int, socket_factory_lock(fd)));
                close(fd);
        }
}
