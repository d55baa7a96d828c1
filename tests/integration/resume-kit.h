/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Between two brokers: what a client does that comes back, and who connects meanwhile. */

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/integration/acquire-kit.h"

/* Says Resume for @held; returns whether it was resumed, and not lost. */
static inline bool kit_resume(int control, const KitSocket *held) {
        json_auto_t *reply = kit_call(control, "Resume", "{'leases':[{'lease':'%s','cookie':'%s'}]}",
                                      kit_lease(held), kit_text(held->reply, "cookie"));
        size_t n = json_array_size(kit_at(reply, "parameters.resumed"));

        kit_expect_success(reply);
        cr_assert(eq(sz, n + json_array_size(kit_at(reply, "parameters.lost")), 1));
        return n == 1;
}

static inline int kit_connect_to(const KitSocket *held) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                       .sin_port = htons((uint16_t)kit_port(held)) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, connect(fd, (struct sockaddr *)&address, sizeof(address))));
        return fd;
}

/* How many connections wait on it, taken one by one. */
static inline size_t kit_accept_all(int fd) {
        size_t n = 0;
        int accepted;

        while ((accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                close(accepted);
                n++;
        }
        return n;
}
