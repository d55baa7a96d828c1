/* SPDX-License-Identifier: BSD-2-Clause */

/* The sockets in SYN_RECV with our local port. */

#include "daemon/handshakes.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/namespace.h"
#include "daemon/socket-dump.h"
#include "proto/error.h"

static int handshakes_add(const struct inet_diag_msg *found, void *userdata) {
        Handshakes *handshakes = userdata;
        size_t n = handshakes->n;

        /* Doubled at each power of two. */
        if ((n & (n - 1)) == 0) {
                uint64_t *cookies = reallocarray(handshakes->cookies, n ? 2 * n : 1, sizeof(*cookies));

                if (!cookies)
                        return error_origin(-ENOMEM);
                handshakes->cookies = cookies;
        }
        handshakes->cookies[handshakes->n++] = socket_dump_cookie(found);
        return 0;
}

static int handshakes_dump(const Namespace *network_namespace, int family, uint16_t port,
                           Handshakes *handshakes) {
        const SocketFilter filter = { .family = family,
                                      .protocol = IPPROTO_TCP,
                                      .states = 1U << TCP_SYN_RECV,
                                      .port = port,
                                      .network_namespace = network_namespace };

        return error_trace(socket_dump(&filter, handshakes_add, handshakes));
}

static int compare_cookies(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

int handshakes_read(const Address *address, Handshakes *ret) {
        return error_trace(handshakes_read_in(NULL, address, ret));
}

int handshakes_read_in(const Namespace *network_namespace, const Address *address, Handshakes *ret) {
        Handshakes handshakes = { 0 };
        int r = 0;

        if (namespace_is_reached(network_namespace))
                r = handshakes_dump(network_namespace, address_family(address), address_port(address),
                                    &handshakes);
        /* A dual-stack listener is of IPv6, what comes to it over IPv4 is not. */
        if (r == 0 && address_family(address) == AF_INET6 && namespace_is_reached(network_namespace))
                r = handshakes_dump(network_namespace, AF_INET, address_port(address), &handshakes);
        if (r < 0) {
                handshakes_deinit(&handshakes);
                return error_trace(r);
        }
        if (handshakes.n > 0)
                qsort(handshakes.cookies, handshakes.n, sizeof(uint64_t), compare_cookies);
        *ret = handshakes;
        return 0;
}

int handshakes_copy(const Handshakes *handshakes, Handshakes *ret) {
        uint64_t *cookies = NULL;

        if (handshakes->n > 0) {
                cookies = reallocarray(NULL, handshakes->n, sizeof(*cookies));
                if (!cookies)
                        return error_origin(-ENOMEM);
                memcpy(cookies, handshakes->cookies, handshakes->n * sizeof(*cookies));
        }
        *ret = (Handshakes){ .cookies = cookies, .n = handshakes->n };
        return 0;
}

void handshakes_deinit(Handshakes *handshakes) {
        free(handshakes->cookies);
        *handshakes = (Handshakes){ 0 };
}

void handshakes_keep(Handshakes *some, const Handshakes *now) {
        size_t n = 0, j = 0;

        for (size_t i = 0; i < some->n; i++) {
                while (j < now->n && now->cookies[j] < some->cookies[i])
                        j++;
                if (j < now->n && now->cookies[j] == some->cookies[i])
                        some->cookies[n++] = some->cookies[i];
        }
        some->n = n;
}
