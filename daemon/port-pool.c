/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The broker picks the port for "port 0" itself: once thousands of ports are held the kernel's own
 * search takes milliseconds, and of a group it may return a port that is taken already. Each search
 * draws lots among the ports that it has not tried: no order lasts, in which those that were given out
 * one after the other would lie side by side, for later searches to walk through. To try one costs a
 * verdict and a search in the table of endpoints; that something is held there, at whatever address, is
 * seen at once: such a port is put off.
 */

#include "daemon/port-pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        RANGE_FIRST_DEFAULT = 32768,
        RANGE_LAST_DEFAULT = 60999,
        PORTS = 65536,
        /* "1,3,5,...": every second port reserved makes the longest list. */
        SYSCTL_SIZE_MAX = PORTS / 2 * (int)sizeof("65535"),
};

struct PortPool {
        unsigned short seed[3];
        size_t n;
        const uint32_t *held;
        /* In this search: those that were tried come first, and those that were put off next. */
        size_t n_tried;
        size_t n_put_off;
        uint16_t ports[];
};

/*
 * The kernel answers only the first read of these files: what does not fit is lost, so stdio with its
 * small buffer will not do. @buffer is the empty string if the file cannot be read.
 */
static void sysctl_read(int fd, char *buffer, size_t size) {
        ssize_t n = 0;

        if (fd >= 0)
                n = read(fd, buffer, size - 1);
        buffer[n > 0 ? n : 0] = '\0';
}

/* Marks the ports of a list like "8080,9148-9150". */
static void reserved_parse(const char *text, bool reserved[static PORTS]) {
        for (;;) {
                unsigned first, last;
                int n;

                /* NOLINTNEXTLINE(cert-err34-c): five digits fit */
                n = sscanf(text, "%5u-%5u", &first, &last);
                if (n < 1)
                        return;
                if (n == 1)
                        last = first;
                for (unsigned port = first; port <= last && port < PORTS; port++)
                        reserved[port] = true;
                text = strchr(text, ',');
                if (!text)
                        return;
                text++;
        }
}

static void seed(PortPool *pool) {
        /* The order need not be secret, only different each time: should there be no random bits, any
         * will do. */
        if (getrandom(pool->seed, sizeof(pool->seed), GRND_NONBLOCK) < 0)
                pool->seed[0] = (unsigned short)getpid();
}

int port_pool_new_from(int range_fd, int reserved_fd, PortPool **ret) {
        _cleanup_(freep) PortPool *pool = NULL;
        _cleanup_(freep) char *text = NULL;
        _cleanup_(freep) bool *reserved = NULL;
        unsigned first, last;

        text = malloc(SYSCTL_SIZE_MAX);
        reserved = calloc(PORTS, sizeof(*reserved));
        if (!text || !reserved)
                return error_origin(-ENOMEM);

        sysctl_read(range_fd, text, SYSCTL_SIZE_MAX);
        /* NOLINTNEXTLINE(cert-err34-c): five digits fit */
        if (sscanf(text, "%5u %5u", &first, &last) != 2 || first < 1 || last >= PORTS || first > last) {
                first = RANGE_FIRST_DEFAULT;
                last = RANGE_LAST_DEFAULT;
        }
        sysctl_read(reserved_fd, text, SYSCTL_SIZE_MAX);
        reserved_parse(text, reserved);

        pool = calloc(1, sizeof(*pool) + (last - first + 1) * sizeof(pool->ports[0]));
        if (!pool)
                return error_origin(-ENOMEM);
        for (unsigned port = first; port <= last; port++)
                if (!reserved[port])
                        pool->ports[pool->n++] = (uint16_t)port;
        seed(pool);

        *ret = ptr_take(pool);
        return 0;
}

int port_pool_new(PortPool **ret) {
        _cleanup_(fd_closep) int range =
                open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);
        _cleanup_(fd_closep) int reserved =
                open("/proc/sys/net/ipv4/ip_local_reserved_ports", O_RDONLY | O_CLOEXEC);

        return error_trace(port_pool_new_from(range, reserved, ret));
}

PortPool *port_pool_free(PortPool *pool) {
        free(pool);
        return NULL;
}

size_t port_pool_size(const PortPool *pool) {
        return pool->n;
}

void port_pool_begin(PortPool *pool, const uint32_t *held) {
        pool->held = held;
        pool->n_tried = pool->n_put_off = 0;
}

static void swap(uint16_t *a, uint16_t *b) {
        uint16_t was = *a;

        *a = *b;
        *b = was;
}

/* Draws lots among those that were not looked at, until one is free. Returns false if none is. */
static bool draw_free(PortPool *pool) {
        for (size_t at; (at = pool->n_tried + pool->n_put_off) < pool->n; pool->n_put_off++) {
                size_t drawn = at + (size_t)nrand48(pool->seed) % (pool->n - at);

                swap(&pool->ports[drawn], &pool->ports[at]);
                if (pool->held && pool->held[pool->ports[at]] > 0)
                        continue;
                /* The first of those that were put off makes room for it. */
                swap(&pool->ports[at], &pool->ports[pool->n_tried]);
                return true;
        }
        return false;
}

uint16_t port_pool_next(PortPool *pool) {
        if (!draw_free(pool)) {
                if (pool->n_put_off == 0)
                        return 0;
                pool->n_put_off--;
        }
        return pool->ports[pool->n_tried++];
}
