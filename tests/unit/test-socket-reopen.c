/* SPDX-License-Identifier: BSD-2-Clause */

/* What a port does whose last listener went while its connections live on. */

#include "daemon/socket-factory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "tests/unit/factory-kit.h"

TestSuite(socket_reopen, .init = own_network, .timeout = 10);

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

Test(socket_reopen, connections_of_another_user_do_not_hold_the_port) {
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

Test(socket_reopen, connections_of_a_socket_that_was_reopened_do_not_either) {
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
Test(socket_reopen, a_member_joins_though_the_kernel_looks_at_connections) {
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

Test(socket_reopen, time_wait_does_not_hold_the_port) {
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

Test(socket_reopen, no_second_try_for_who_does_not_want_it) {
        Address address = free_address("tcp4", "127.0.0.1:0"), bound;
        Options options = kit_no_options();
        int fd = -1, client, server, n_fds = leaks_count_fds();

        options.reuse_address = 0;
        cr_assert(zero(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound)));
        cr_assert(zero(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEADDR)));
        client = kit_connect(&address);
        server = accept(fd, NULL, NULL);
        fd = fd_close(fd);
        cr_assert(eq(int, try_open(&address, SHARING_EXCLUSIVE, &options, false, &fd, &bound),
                     SOCKET_FACTORY_E_IN_USE));
        fd_close(server);
        fd_close(client);
        leaks_expect_fds(n_fds);
}
