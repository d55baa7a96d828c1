/* SPDX-License-Identifier: BSD-2-Clause */

/* Only those of the port, of either family, and of many none is left out. */

#include "daemon/handshakes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/unit/group-kit.h"

enum {
        MANY = 700, /* more than the kernel tells in one go */
};

/* A listener that lets handshakes wait for the client's first word; its address in @address. */
static int hold(const char *network, const char *text, Address *address) {
        Address wanted = kit_address(network, text);
        int fd = kit_socket(&wanted, SHARING_EXCLUSIVE, address);

        cr_assert(zero(int, setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){ 60 }, sizeof(int))));
        return fd;
}

static void expect_n(const Address *address, size_t n) {
        Handshakes handshakes;

        cr_assert(zero(int, handshakes_read(address, &handshakes)));
        cr_assert(eq(sz, handshakes.n, n));
        for (size_t i = 1; i < n; i++)
                cr_assert(lt(u64, handshakes.cookies[i - 1], handshakes.cookies[i]));
        handshakes_deinit(&handshakes);
}

static int begin(void) {
        if (!kit_own_network())
                cr_skip_test("no network namespace of its own: needs root");
        return leaks_count_fds();
}

TestSuite(handshakes, .timeout = 10);

Test(handshakes, none_end_twice) {
        Handshakes none = { 0 };

        handshakes_deinit(&none);
        handshakes_deinit(&none);
        handshakes_keep(&none, &none);
        cr_assert(zero(sz, none.n));
}

Test(handshakes, are_not_known_without_a_descriptor) {
        Handshakes handshakes = { .n = 4711 };
        Address address = kit_address("tcp4", "127.0.0.1:1");
        rlim_t limit = kit_refuse_fds();
        int r = handshakes_read(&address, &handshakes);

        kit_allow_fds(limit);
        cr_assert(eq(int, r, -EMFILE));
        cr_assert(eq(sz, handshakes.n, 4711));
        leaks_expect_none();
}

Test(handshakes, are_not_what_is_complete) {
        int n_fds = begin(), fd, clients[2];
        Address address;

        fd = hold("tcp4", "127.0.0.1:0", &address);
        expect_n(&address, 0);
        for (int i = 0; i < 2; i++)
                clients[i] = kit_connect(&address);
        expect_n(&address, 2);
        cr_assert(eq(int, (int)write(clients[0], "x", 1), 1));
        expect_n(&address, 1);
        close(accept(fd, NULL, NULL));
        expect_n(&address, 1);
        for (int i = 0; i < 2; i++)
                close(clients[i]);
        close(fd);
        expect_n(&address, 0);
        leaks_expect_fds(n_fds);
}

Test(handshakes, of_other_ports_and_families_are_others) {
        static const char *const networks[][2] = {
                { "tcp4", "127.0.0.1:8001" },
                { "tcp4", "127.0.0.1:8002" },
                { "tcp6", "[::1]:8001" },
        };
        int n_fds = begin(), fds[3], clients[6];
        Address addresses[3];

        for (int i = 0; i < 3; i++)
                fds[i] = hold(networks[i][0], networks[i][1], &addresses[i]);
        for (int i = 0; i < 6; i++)
                clients[i] = kit_connect(&addresses[i < 1 ? 0 : i < 3 ? 1 : 2]);
        expect_n(&addresses[0], 1);
        expect_n(&addresses[1], 2);
        /* A listener of IPv6 may have those of IPv4 as well: too many is safe. */
        expect_n(&addresses[2], 3 + 1);
        for (int i = 0; i < 6; i++)
                close(clients[i]);
        for (int i = 0; i < 3; i++)
                close(fds[i]);
        leaks_expect_fds(n_fds);
}

Test(handshakes, over_ipv4_of_a_dual_stack_listener_are_its_own) {
        int n_fds = begin(), fd, clients[2];
        Address address, ipv4, ipv6;

        fd = hold("tcp", ":8001", &address);
        ipv4 = kit_address("tcp4", "127.0.0.1:8001");
        ipv6 = kit_address("tcp6", "[::1]:8001");
        clients[0] = kit_connect(&ipv4);
        clients[1] = kit_connect(&ipv6);
        expect_n(&address, 2);
        close(clients[0]);
        close(clients[1]);
        close(fd);
        leaks_expect_fds(n_fds);
}

Test(handshakes, are_many) {
        static int clients[MANY];
        int n_fds = begin(), fd;
        Address address;

        fd = hold("tcp4", "127.0.0.1:0", &address);
        for (int i = 0; i < MANY; i++)
                clients[i] = kit_connect(&address);
        expect_n(&address, MANY);
        for (int i = 0; i < MANY; i++)
                close(clients[i]);
        close(fd);
        leaks_expect_fds(n_fds);
}

/* ---- keeping ------------------------------------------------------------------------------------- */

typedef struct Case {
        uint64_t some[5], now[5], kept[5]; /* 0 ends a list */
} Case;

static const Case cases[] = {
        { { 0 }, { 0 }, { 0 } },
        { { 0 }, { 1, 2 }, { 0 } },
        { { 1, 2 }, { 0 }, { 0 } },
        { { 1, 3, 5 }, { 2, 4, 6 }, { 0 } },
        { { 2, 4, 6 }, { 1, 3, 5 }, { 0 } },
        { { 7 }, { 1, 2, 3, 4 }, { 0 } },
        { { 1 }, { 2, 3, 4 }, { 0 } },
        { { 1, 2, 3 }, { 2 }, { 2 } },
        { { 1, 2, 3 }, { 3, 4 }, { 3 } },
        { { 1, 2, 3 }, { 1 }, { 1 } },
        { { 1, 2, UINT64_MAX }, { 2, UINT64_MAX }, { 2, UINT64_MAX } },
        { { 1, 2, 3, 4 }, { 1, 2, 3, 4 }, { 1, 2, 3, 4 } },
};

static size_t count(const uint64_t *cookies) {
        size_t n = 0;

        while (cookies[n] > 0)
                n++;
        return n;
}

Test(handshakes, that_are_over_are_not_kept) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Case copy = cases[i];
                Handshakes some = { .cookies = copy.some, .n = count(copy.some) };
                const Handshakes now = { .cookies = copy.now, .n = count(copy.now) };

                handshakes_keep(&some, &now);
                cr_assert(eq(sz, some.n, count(copy.kept)), "case %zu", i);
                for (size_t k = 0; k < some.n; k++)
                        cr_assert(eq(u64, some.cookies[k], copy.kept[k]), "case %zu", i);
        }
}
