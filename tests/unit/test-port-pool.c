/* SPDX-License-Identifier: BSD-2-Clause */

/* What the sysctls say is what the pool has, and each search shows every port once. */

#include "daemon/port-pool.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define RANGE_PATH "/proc/sys/net/ipv4/ip_local_port_range"
#define RESERVED_PATH "/proc/sys/net/ipv4/ip_local_reserved_ports"

enum {
        PORTS = 65536,
};

typedef struct Case {
        const char *range;
        const char *reserved;
        const char *ports;
} Case;

static const Case cases[] = {
        { "40000 40009", "\n", "40000 40001 40002 40003 40004 40005 40006 40007 40008 40009" },
        { "40000 40009", "40000,40003,40005-40007,40009", "40001 40002 40004 40008" },
        { "40000 40009", "1-39999,40001-65535", "40000" },
        { "40000 40009", "39990-40004,40010-40020", "40005 40006 40007 40008 40009" },
        { "40000 40009", "8080,50000-65535",
          "40000 40001 40002 40003 40004 40005 40006 40007 40008 40009" },
        { "40000 40009", "40000-40009", "" },
        { "40001 40001", "\n", "40001" },
        { "65534 65535", "65535", "65534" },
};

static void sysctl_write(const char *path, const char *text) {
        _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        cr_assert(ge(int, fd, 0));
        /* The kernel takes a page of a list at a time. */
        for (size_t left = strlen(text); left > 0;) {
                ssize_t n = write(fd, text, left);

                cr_assert(gt(int, (int)n, 0), "%s", path);
                left -= (size_t)n;
                text += n;
        }
}

static const char *search_format(PortPool *pool, char *buffer) {
        bool seen[PORTS] = { false };
        char *end = buffer;

        port_pool_begin(pool, NULL);
        for (size_t i = 0; i < port_pool_size(pool); i++) {
                uint16_t port = port_pool_next(pool);

                cr_assert(not(seen[port]), "port %d twice in a search", port);
                seen[port] = true;
        }
        cr_assert(zero(int, port_pool_next(pool)));
        *end = '\0';
        for (int port = 0; port < PORTS; port++)
                if (seen[port])
                        end += sprintf(end, "%s%d", end == buffer ? "" : " ", port);
        return buffer;
}

TestSuite(port_pool, .timeout = 10);

Test(port_pool, free_takes_null) {
        cr_assert(eq(ptr, port_pool_free(NULL), NULL));
}

Test(port_pool, all_reserved_is_port_0_forever) {
        PortPool *pool;

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        sysctl_write(RANGE_PATH, "40000 40009");
        sysctl_write(RESERVED_PATH, "40000-40009");
        cr_assert(zero(int, port_pool_new(&pool)));
        cr_assert(eq(sz, port_pool_size(pool), 0));
        for (int i = 0; i < 3; i++)
                cr_assert(eq(int, port_pool_next(pool), 0));
        pool = port_pool_free(pool);
        leaks_expect_none();
}

Test(port_pool, the_longest_reserved_list_is_read_whole) {
        _cleanup_(freep) char *text = malloc(PORTS * 4);
        char *end = text;
        PortPool *pool;

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        for (int port = 1; port < PORTS; port += 2)
                end += sprintf(end, "%s%d", port == 1 ? "" : ",", port);
        sysctl_write(RESERVED_PATH, text);
        sysctl_write(RANGE_PATH, "1024 65535");
        cr_assert(zero(int, port_pool_new(&pool)));
        cr_assert(eq(sz, port_pool_size(pool), (PORTS - 1024) / 2));
        for (size_t i = 0; i < port_pool_size(pool); i++)
                cr_assert(zero(int, port_pool_next(pool) % 2));
        pool = port_pool_free(pool);
}

Test(port_pool, range_less_reserved_each_once_a_search) {
        char buffer[512];

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PortPool *pool;

                sysctl_write(RANGE_PATH, cases[i].range);
                sysctl_write(RESERVED_PATH, cases[i].reserved);
                cr_assert(zero(int, port_pool_new(&pool)));
                for (int round = 0; round < 3; round++)
                        KIT_EXPECT_TEXT(search_format(pool, buffer), cases[i].ports);
                pool = port_pool_free(pool);
        }
}

Test(port_pool, the_host_s_own_range_shuffled) {
        _cleanup_(freep) bool *seen = calloc(PORTS, sizeof(*seen));
        PortPool *pool;
        size_t n, n_ascending = 0;
        uint16_t last = 0;

        cr_assert(zero(int, port_pool_new(&pool)));
        n = port_pool_size(pool);
        for (size_t i = 0; i < n; i++) {
                uint16_t port = port_pool_next(pool);

                cr_assert(not(seen[port]));
                seen[port] = true;
                n_ascending += port == last + 1;
                last = port;
        }
        cr_assert(lt(sz, n_ascending, n / 2 + 1));
        pool = port_pool_free(pool);
}

/* However many ports are held: nobody looks at those while others are free, and each is looked at in the
 * end. */
Test(port_pool, what_is_held_comes_last) {
        _cleanup_(freep) uint32_t *held = calloc(PORTS, sizeof(*held));
        PortPool *pool;
        size_t n;

        cr_assert(zero(int, port_pool_new(&pool)));
        n = port_pool_size(pool);
        for (size_t n_held = 0; n_held < n; n_held++) {
                uint16_t port;

                port_pool_begin(pool, held);
                port = port_pool_next(pool);
                cr_assert(zero(u32, held[port]), "after %zu of %zu", n_held, n);
                held[port]++;
        }
        /* All are. */
        port_pool_begin(pool, held);
        for (size_t i = 0; i < n; i++) {
                uint16_t port = port_pool_next(pool);

                cr_assert(le(u32, held[port], 1), "port %d twice in a search", port);
                held[port]++;
        }
        cr_assert(zero(int, port_pool_next(pool)));
        pool = port_pool_free(pool);
}

Test(port_pool, a_search_of_free_ones_and_of_held_ones_has_all) {
        _cleanup_(freep) uint32_t *held = calloc(PORTS, sizeof(*held));
        _cleanup_(freep) bool *seen = calloc(PORTS, sizeof(*seen));
        size_t n, n_held = 0;
        PortPool *pool;

        cr_assert(zero(int, port_pool_new(&pool)));
        n = port_pool_size(pool);
        for (size_t port = 0; port < PORTS; port++)
                held[port] = port % 3 == 0;
        port_pool_begin(pool, held);
        for (size_t i = 0; i < n; i++) {
                uint16_t port = port_pool_next(pool);

                cr_assert(not(seen[port]));
                seen[port] = true;
                n_held += held[port];
                cr_assert(held[port] == 1 || n_held == 0, "a free one after one that is held");
        }
        cr_assert(gt(sz, n_held, n / 4));
        pool = port_pool_free(pool);
}
