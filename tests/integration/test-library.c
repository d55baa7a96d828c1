/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The library and a running broker: sockets by one line, and over a connection that waits for its
 * answers. What becomes of the leases is asked of the broker, and tried out with clients.
 */

#include "tests/integration/library-kit.h"
#include "tests/unit/etc-kit.h"

TestSuite(library, .timeout = 60);

/* ---- one
 * line -------------------------------------------------------------------------------------- */

Test(library, s2_3_one_line_of_the_wrong_kind) {
        static const char *const packets[] = { "udp", "udp4", "udp6", "unixgram" };
        static const char *const streams[] = { "tcp", "tcp4", "tcp6", "unix", "unixpacket" };
        reuse_error *error = NULL;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
                cr_assert(eq(int, reuse_listen(packets[i], "127.0.0.1:0", NULL, &error),
                             -EPROTONOSUPPORT));
                library_expect_error(error, -EPROTONOSUPPORT, NULL, "reuse_listen_packet()");
        }
        for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
                cr_assert(eq(int, reuse_listen_packet(streams[i], "127.0.0.1:0", NULL, &error),
                             -EPROTONOSUPPORT));
                library_expect_error(error, -EPROTONOSUPPORT, NULL, "reuse_listen()");
        }
        kit_stop(&kit);
}

Test(library, one_line_with_wrong_options) {
        static const char *const options[] = {
                "nme=x",        "name",         "name=", "=x",       "sharing=all",
                "backlog=many", "retainSec=-1", ",",     "name=a b",
        };
        reuse_error *error = NULL;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
                cr_assert(eq(int, reuse_listen("tcp", "127.0.0.1:0", options[i], &error), -EINVAL), "%s",
                          options[i]);
                cr_assert(error != NULL);
                error = reuse_error_free(error);
        }
        kit_stop(&kit);
}

/* One line, and a server behind it. */
typedef struct Line {
        bool packets;
        const char *network;
        char address[64];
        const char *options;
} Line;

static bool serve_line(int control, const void *userdata) {
        const Line *line = userdata;
        reuse_error *error = NULL;
        int fd = (line->packets ? reuse_listen_packet : reuse_listen)(line->network, line->address,
                                                                      line->options, &error);
        int flags;

        if (fd < 0) {
                fprintf(stderr, "%s\n", reuse_error_get_message(error));
                return false;
        }
        flags = fcntl(fd, F_GETFL);
        if (error || !(flags & O_NONBLOCK) || fcntl(fd, F_GETFD) != FD_CLOEXEC ||
            !child_ready(control, fd))
                return false;
        child_serve(fd, control);
        close(fd);
        return true;
}

static const struct {
        bool packets;
        const char *network;
        const char *address; /* a path is one below the broker's folder */
        int type;
} kinds[] = {
        { false, "tcp", "127.0.0.1:0", SOCK_STREAM }, { false, "tcp4", "127.0.0.1:0", SOCK_STREAM },
        { true, "udp", "127.0.0.1:0", SOCK_DGRAM },   { true, "udp4", "127.0.0.1:0", SOCK_DGRAM },
        { false, "unix", "/stream", SOCK_STREAM },    { false, "unixpacket", "/packet", SOCK_SEQPACKET },
};

Test(library, one_line_serves) {
        reuse_client *observer;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        observer = library_connect(&kit);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
                Line line = { .packets = kinds[i].packets, .network = kinds[i].network };
                Child child;

                snprintf(line.address, sizeof(line.address), "%.40s%s",
                         kinds[i].address[0] == '/' ? kit.harness.folder : "", kinds[i].address);
                child = child_start(serve_line, &line);
                cr_assert(eq(int, child_asked(&child, kinds[i].type), child.pid));
                /* The connection that the socket came over is closed, the lease is not. */
                library_expect_count(observer, "connections", 1);
                cr_assert(eq(llong, library_number(observer, "GetStatus", "leases"), 1));
                cr_assert(eq(int, child_asked(&child, kinds[i].type), child.pid));
                child_end(&child);
                library_expect_count(observer, "leases", 0);
        }
        reuse_client_free(observer);
        kit_stop(&kit);
}

/* By an /etc of the test's own, where a service is at any port. */
static void begin_with_names(Kit *kit) {
        etc_kit_setup("127.0.0.1 here\n::1 here\n127.0.0.2 there\n", "any 0/tcp\nany 0/udp\n");
        library_begin(kit, KIT_CONFIG);
}

Test(library, s3_3_one_line_with_names_that_are_not_there) {
        reuse_error *error = NULL;
        Kit kit;

        begin_with_names(&kit);
        cr_assert(eq(int, reuse_listen("tcp", "nowhere:any", NULL, &error), -ENXIO));
        library_expect_error(error, -ENXIO, NULL, "lookup nowhere: no such host");
        cr_assert(eq(int, reuse_listen_packet("udp4", "here:none", NULL, &error), -EINVAL));
        library_expect_error(error, -EINVAL, NULL, "lookup udp4/none: unknown port");
        cr_assert(eq(int, reuse_listen("tcp6", "there:any", NULL, &error), -EINVAL));
        library_expect_error(error, -EINVAL, NULL, "no suitable address found");
        kit_stop(&kit);
}

/* The broker is asked for numbers: it would refuse the names. */
Test(library, s3_3_one_line_with_names) {
        static const struct {
                Line line;
                in_addr_t address;
                int type;
        } lines[] = {
                { { false, "tcp", "here:any", NULL }, INADDR_LOOPBACK, SOCK_STREAM },
                { { false, "tcp4", "localhost:any", NULL }, INADDR_LOOPBACK, SOCK_STREAM },
                { { false, "tcp", "there:any", NULL }, INADDR_LOOPBACK + 1, SOCK_STREAM },
                { { true, "udp", "localhost:any", NULL }, INADDR_LOOPBACK, SOCK_DGRAM },
                { { true, "udp4", "there:0", NULL }, INADDR_LOOPBACK + 1, SOCK_DGRAM },
        };
        Kit kit;

        begin_with_names(&kit);
        for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
                Child child = child_start(serve_line, &lines[i].line);
                const struct sockaddr_in *in = (const struct sockaddr_in *)&child.address;

                cr_assert(eq(int, in->sin_family, AF_INET));
                cr_assert(eq(u32, ntohl(in->sin_addr.s_addr), lines[i].address));
                cr_assert(eq(int, child_asked(&child, lines[i].type), child.pid));
                child_end(&child);
        }
        kit_stop(&kit);
}

/* Asks until both have answered. */
static void expect_both_serve(const Child children[2], int type) {
        int served[2] = { 0, 0 };

        for (int i = 0; i < 1000 && (!served[0] || !served[1]); i++) {
                pid_t pid = child_asked(&children[0], type);

                cr_assert(pid == children[0].pid || pid == children[1].pid);
                served[pid == children[1].pid]++;
        }
        cr_assert(served[0] > 0 && served[1] > 0, "%d and %d were served", served[0], served[1]);
}

/* Two processes, one address, which the second finds by its name; when one has ended, the other serves
 * on. */
static void expect_pair(const Kit *kit, const char *network, bool packets) {
        Line line = { .packets = packets,
                      .network = network,
                      .address = "127.0.0.1:0",
                      .options = "sharing=group,name=pair" };
        int type = packets ? SOCK_DGRAM : SOCK_STREAM;
        reuse_client *observer = library_connect(kit);
        Child children[2];

        for (size_t i = 0; i < 2; i++)
                children[i] = child_start(serve_line, &line);
        cr_assert(eq(llong, library_number(observer, "GetStatus", "endpoints"), 1));
        cr_assert(eq(llong, library_number(observer, "GetStatus", "leases"), 2));
        expect_both_serve(children, type);

        child_end(&children[0]);
        library_expect_count(observer, "leases", 1);
        for (int i = 0; i < 20; i++)
                cr_assert(eq(int, child_asked(&children[1], type), children[1].pid));
        child_end(&children[1]);
        library_expect_count(observer, "endpoints", 0);
        reuse_client_free(observer);
}

Test(library, two_processes_of_one_group) {
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        expect_pair(&kit, "tcp", false);
        expect_pair(&kit, "udp", true);
        kit_stop(&kit);
}

static bool hold_line(int control, const void *userdata) {
        const Line *line = userdata;
        int fd = reuse_listen(line->network, line->address, line->options, NULL);

        if (fd < 0)
                return false;
        if (!child_ready(control, fd))
                return false;
        close(fd); /* that ends nothing */
        child_stay(control);
        return true;
}

Test(library, lease_outlives_close_but_not_the_process) {
        Line line = { .network = "tcp", .address = "127.0.0.1:0", .options = "sharing=exclusive" };
        reuse_client *observer;
        Child child;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        observer = library_connect(&kit);
        child = child_start(hold_line, &line);
        library_expect_count(observer, "connections", 1);
        cr_assert(eq(llong, library_number(observer, "GetStatus", "leases"), 1));
        cr_assert(zero(int, kill(child.pid, SIGKILL)));
        library_expect_count(observer, "leases", 0);
        cr_assert(eq(int, waitpid(child.pid, NULL, 0), child.pid));
        close(child.control);
        reuse_client_free(observer);
        kit_stop(&kit);
}

/* Processes that hold leases of their own are no hindrance when the broker stops. */
Test(library, broker_stops_while_a_process_holds_a_lease) {
        Line line = { .network = "tcp", .address = "127.0.0.1:0" };
        Child child;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        child = child_start(hold_line, &line);
        harness_stop(&kit.harness);
        child_end(&child);
        leaks_expect_fds(kit.n_fds);
}

/* ---- a connection ------------------------------------------------------------------------------- */

Test(library, release_of_what_one_has_not) {
        reuse_client *client, *other;
        const char *leases[2];
        reuse_error *error = NULL;
        reuse_sockets *sockets;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        other = library_connect(&kit);
        sockets = library_acquire(client, "tcp:127.0.0.1:0");
        leases[0] = reuse_sockets_get_lease(sockets, 0);
        leases[1] = "l1-none";
        /* All or none. */
        cr_assert(eq(int, reuse_client_release(other, leases, 2, &error), -ENOENT));
        library_expect_error(error, -ENOENT, "io.reuseportd.NoSuchLease", "\"l1-none\"");
        cr_assert(eq(llong, library_number(client, "GetStatus", "leases"), 1));
        /* It is the user's, whatever connection asks. */
        cr_assert(zero(int, reuse_client_release(other, leases, 1, &error)));
        cr_assert(zero(llong, library_number(client, "GetStatus", "leases")));
        cr_assert(eq(int, reuse_client_release(client, leases, 1, &error), -ENOENT));
        library_expect_error(error, -ENOENT, "io.reuseportd.NoSuchLease", leases[0]);
        reuse_sockets_free(sockets);
        reuse_client_free(other);
        reuse_client_free(client);
        kit_stop(&kit);
}

/* What the broker said of socket @index is true of its descriptor. */
static void expect_described(const reuse_sockets *sockets, size_t index) {
        int fd = reuse_sockets_get_fd(sockets, index);
        struct sockaddr_storage address;

        cr_assert(ge(int, fd, 0));
        cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
        cr_assert(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
        kit_bound_address(fd, &address);
        if (address.ss_family == AF_INET)
                cr_assert(eq(int, ntohs(((struct sockaddr_in *)&address)->sin_port),
                             atoi(strchr(reuse_sockets_get_address(sockets, index), ':') + 1)));
        cr_assert(ne(int, reuse_sockets_get_lease(sockets, index)[0], 0));
        cr_assert(ne(int, reuse_sockets_get_endpoint(sockets, index)[0], 0));
        cr_assert(zero(int, reuse_sockets_get_adopted(sockets, index)));
}

Test(library, several_sockets_at_once) {
        reuse_request *request = library_request("tcp:127.0.0.1:0,name=web,backlog=9");
        reuse_client *client;
        reuse_sockets *sockets = NULL;
        char address[80];
        Kit kit;
        int fd;

        library_begin(&kit, KIT_CONFIG);
        snprintf(address, sizeof(address), "@%s", kit.harness.folder);
        cr_assert(
                eq(int, reuse_request_add_spec(request, "udp:127.0.0.1:0,sharing=exclusive", NULL), 1));
        cr_assert(eq(int, reuse_request_add(request, "unix", address), 2));
        client = library_connect(&kit);
        cr_assert(zero(int, reuse_client_acquire(client, request, &sockets, NULL)));
        cr_assert(eq(sz, reuse_sockets_count(sockets), 3));
        for (size_t i = 0; i < 3; i++)
                expect_described(sockets, i);
        KIT_EXPECT_TEXT(reuse_sockets_get_name(sockets, 0), "web");
        cr_assert(reuse_sockets_get_name(sockets, 1) == NULL);
        KIT_EXPECT_TEXT(reuse_sockets_get_network(sockets, 0), "tcp4");
        KIT_EXPECT_TEXT(reuse_sockets_get_network(sockets, 1), "udp4");
        KIT_EXPECT_TEXT(reuse_sockets_get_address(sockets, 2), address);
        KIT_EXPECT_TEXT(reuse_sockets_get_sharing(sockets, 0), "group");
        KIT_EXPECT_TEXT(reuse_sockets_get_sharing(sockets, 1), "exclusive");
        KIT_EXPECT_TEXT(reuse_sockets_get_sharing(sockets, 2), "shared");
        cr_assert(reuse_sockets_get_lease(sockets, 3) == NULL);
        cr_assert(eq(int, reuse_sockets_get_fd(sockets, 3), -EINVAL));

        fd = reuse_sockets_take_fd(sockets, 0);
        kit_expect_served(fd);
        cr_assert(eq(int, reuse_sockets_take_fd(sockets, 0), -EBADF));
        cr_assert(eq(int, reuse_sockets_get_fd(sockets, 0), -EBADF));
        kit_expect_served(reuse_sockets_get_fd(sockets, 1));
        reuse_sockets_free(sockets);
        kit_expect_served(fd); /* what was taken is the caller's */
        close(fd);
        reuse_request_free(request);
        reuse_client_free(client);
        kit_stop(&kit);
}

/* A shared socket is one for all, however it was asked for. */
Test(library, shared_socket_is_the_same) {
        reuse_sockets *sockets;
        reuse_client *client;
        char spec[96];
        KitSocket raw;
        Kit kit;
        int control;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        snprintf(spec, sizeof(spec), "unix:@%s", kit.harness.folder);
        sockets = library_acquire(client, spec);
        control = harness_connect(&kit.harness);
        raw = kit_acquire(control, "{'network':'unix','address':'@%s'}", kit.harness.folder);
        cr_assert(eq(ullong, kit_cookie(reuse_sockets_get_fd(sockets, 0)), kit_cookie(raw.fd)));
        kit_drop(&raw);
        close(control);
        reuse_sockets_free(sockets);
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library, release_ends_the_lease) {
        reuse_sockets *sockets;
        reuse_client *client;
        const char *lease;
        Kit kit;
        int fd;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        sockets = library_acquire(client, "tcp:127.0.0.1:0");
        lease = reuse_sockets_get_lease(sockets, 0);
        fd = reuse_sockets_take_fd(sockets, 0);
        kit_expect_served(fd);
        cr_assert(zero(int, reuse_client_release(client, &lease, 1, NULL)));
        cr_assert(zero(llong, library_number(client, "GetStatus", "endpoints")));
        /* The end of a lease is the end of serving, also for who kept the descriptor. */
        cr_assert(eq(int, accept(fd, NULL, NULL), -1));
        cr_assert(eq(int, errno, EINVAL));
        close(fd);
        reuse_sockets_free(sockets);
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library, lifetime_connection_ends_with_it) {
        reuse_client *client, *observer;
        reuse_sockets *sockets;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        observer = library_connect(&kit);
        client = library_connect(&kit);
        sockets = library_acquire(client, "tcp:127.0.0.1:0");
        cr_assert(eq(llong, library_number(observer, "GetStatus", "leases"), 1));
        reuse_sockets_free(sockets); /* ends nothing */
        cr_assert(eq(llong, library_number(observer, "GetStatus", "leases"), 1));
        reuse_client_free(client);
        library_expect_count(observer, "leases", 0);
        reuse_client_free(observer);
        kit_stop(&kit);
}

Test(library, lifetime_process_outlives_the_connection) {
        reuse_request *request = library_request("tcp:127.0.0.1:0");
        reuse_client *client, *observer;
        reuse_sockets *sockets = NULL;
        const char *lease;
        Kit kit;

        cr_assert(eq(int, reuse_request_set_lifetime(request, "tree"), -EINVAL));
        cr_assert(zero(int, reuse_request_set_lifetime(request, "process")));
        library_begin(&kit, KIT_CONFIG);
        observer = library_connect(&kit);
        client = library_connect(&kit);
        cr_assert(zero(int, reuse_client_acquire(client, request, &sockets, NULL)));
        reuse_client_free(client);
        library_expect_count(observer, "connections", 1);
        cr_assert(eq(llong, library_number(observer, "GetStatus", "leases"), 1));
        kit_expect_served(reuse_sockets_get_fd(sockets, 0));
        lease = reuse_sockets_get_lease(sockets, 0);
        cr_assert(zero(int, reuse_client_release(observer, &lease, 1, NULL)));
        reuse_sockets_free(sockets);
        reuse_request_free(request);
        reuse_client_free(observer);
        kit_stop(&kit);
}

Test(library, successor_adopts_the_queue) {
        reuse_client *client, *observer;
        reuse_sockets *sockets;
        char spec[96];
        int waiting, accepted;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        observer = library_connect(&kit);
        client = library_connect(&kit);
        sockets = library_acquire(client, "tcp:127.0.0.1:0,name=web,retainSec=1000");
        snprintf(spec, sizeof(spec), "tcp:%s,name=web,retainSec=0",
                 reuse_sockets_get_address(sockets, 0));
        waiting = kit_connect(reuse_sockets_get_fd(sockets, 0));
        reuse_sockets_free(sockets);
        reuse_client_free(client);
        library_expect_count(observer, "leases", 0);

        sockets = library_acquire(observer, spec);
        cr_assert(eq(int, reuse_sockets_get_adopted(sockets, 0), 1));
        kit_wait_readable(reuse_sockets_get_fd(sockets, 0));
        accepted = accept(reuse_sockets_get_fd(sockets, 0), NULL, NULL);
        cr_assert(ge(int, accepted, 0));
        kit_expect_byte(accepted, waiting);
        close(accepted);
        close(waiting);
        reuse_sockets_free(sockets);
        reuse_client_free(observer);
        harness_stop(&kit.harness); /* the clock of a broker that has once parked stays open */
        leaks_expect_fds(kit.n_fds);
}
