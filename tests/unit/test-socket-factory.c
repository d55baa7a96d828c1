/* SPDX-License-Identifier: BSD-2-Clause */

/* Real sockets on the loopback: what is refused, what one has at birth, and what the next client makes
 * of it. */

#include "daemon/socket-factory.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "daemon/families.h"
#include "tests/unit/factory-kit.h"

/* In front of the C library's. */
static bool listen_fails;

int listen(int fd, int backlog) {
        if (!listen_fails)
                return (int)syscall(SYS_listen, fd, backlog);
        errno = ENOBUFS;
        return -1;
}

TestSuite(socket_factory, .init = own_network, .timeout = 10);

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
                Options options = kit_no_options();
                int fd = -1;

                options.time_to_live = 1000;
                cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                             SOCKET_FACTORY_E_OPTION_INVALID));
                KIT_EXPECT_TEXT(failure.refusal.option, "timeToLive");
                KIT_EXPECT_TEXT(failure.step, "setsockopt");

                /* Past the check: by the kernel. */
                options = kit_no_options();
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
        Options options = kit_no_options();
        int fd = -1, n_fds = leaks_count_fds();

        options.multicast_groups = (WireList){ (void *)groups, 1 };
        cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                     SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(failure.refusal.option, "multicastGroups");
        leaks_expect_fds(n_fds);
}

Test(socket_factory, without_the_right_to_mark_it_is_the_system_that_refuses) {
        Address address = kit_address("tcp4", "127.0.0.1:0"), bound;
        Options options = kit_no_options();
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
                cr_assert(
                        eq(int, kit_int_option(fd, SOL_SOCKET, SO_TYPE), address_socket_type(&address)));
                cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_ACCEPTCONN), row->listens),
                          "row %zu", i);
                cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEADDR), row->reuse_address),
                          "row %zu", i);
                cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEPORT), row->reuse_port),
                          "row %zu", i);
                cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_BROADCAST), row->broadcast),
                          "row %zu", i);
                if (row->ipv6_only >= 0)
                        cr_assert(eq(int, kit_int_option(fd, SOL_IPV6, IPV6_V6ONLY), row->ipv6_only),
                                  "row %zu", i);
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
                cr_assert(eq(int, kit_int_option(fd, SOL_IPV6, IPV6_V6ONLY), (int)(i % 2)));
                cr_assert(zero(int, bind(fd, &address.u.sa, address.len)));
                cr_assert(eq(int, kit_int_option(fd, SOL_IPV6, IPV6_V6ONLY), 1));
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

                        cr_assert(eq(int, kit_int_option(fd, SOL_IPV6, IPV6_V6ONLY), (int)(i % 2)), "%s",
                                  sockets[i][0]);
                        fd_close(fd);
                }
        }
}

/* What has packets and connections is listened on as a stream is. */
Test(socket_factory, s3_13_packets_with_connections_are_listened_for) {
        Address address = kit_address("unixpacket", "@packets");
        int fd = must_open(&address, SHARING_SHARED, NULL), client, served;

        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_TYPE), SOCK_SEQPACKET));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1));
        client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, connect(client, &address.u.sa, address.len)));
        served = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(ge(int, served, 0));
        fd_close(served);
        fd_close(client);
        fd_close(fd);
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
        Options options = kit_no_options();
        int fd = must_open(&address, SHARING_EXCLUSIVE, &address);

        options.time_to_live = 1000;
        cr_assert(eq(int, reshape(fd, &address, SHARING_GROUP, &options),
                     SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(failure.refusal.option, "timeToLive");
        cr_assert(zero(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEPORT)), "refused, but changed");
        options = kit_no_options();
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
                cr_assert(zero(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEPORT)));
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
        Options options = kit_no_options();
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
