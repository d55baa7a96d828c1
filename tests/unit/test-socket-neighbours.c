/* SPDX-License-Identifier: BSD-2-Clause */

/* Who may have a port next to whom, and what becomes of those who share it. */

#include "daemon/socket-factory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdio.h>

#include "tests/unit/factory-kit.h"

TestSuite(socket_neighbours, .init = own_network, .timeout = 10);

typedef struct Neighbours {
        const char *network_first, *host_first;
        Sharing first;
        const char *network_second, *host_second;
        Sharing second;
        int answer;
} Neighbours;

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

Test(socket_neighbours, who_may_have_a_port_next_to_whom) {
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

Test(socket_neighbours, a_free_port_is_free_of_groups_too) {
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

/* The kernel's own choice with SO_REUSEPORT before bind would soon take a UDP port twice. */
Test(socket_neighbours, free_ports_of_groups_are_distinct) {
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

Test(socket_neighbours, two_members_share_the_connections) {
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

/* Nobody else gets in: sockets of another user, with every reuse option there is. */

Test(socket_neighbours, another_user_cannot_take_the_port) {
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
Test(socket_neighbours, d2_another_user_cannot_take_a_port_of_ipv6) {
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

/* Returns 0 or an errno. */
static int attach_program(int fd) {
        static struct sock_filter instruction = { .code = BPF_RET | BPF_K, .k = 0 };
        static const struct sock_fprog program = { .len = 1, .filter = &instruction };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0
                       ? errno
                       : 0;
}

/* Any holder could otherwise send the whole group's connections to one member. */
Test(socket_neighbours, holder_cannot_steer_the_group) {
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
