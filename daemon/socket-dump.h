/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The sockets of a port as the kernel lists them, whoever made them: what ss(8) shows, by sock_diag. */

#include <linux/inet_diag.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Namespace Namespace;

typedef struct SocketFilter {
        int family;      /* AF_INET or AF_INET6 */
        int protocol;    /* IPPROTO_TCP or IPPROTO_UDP */
        uint32_t states; /* 1 << TCP_...; a UDP socket that is not connected is in TCP_CLOSE */
        uint16_t port;   /* local; host order */
        const Namespace *network_namespace; /* whose; NULL: the broker's own */
} SocketFilter;

/* Its cookie, as SO_COOKIE says it. */
uint64_t socket_dump_cookie(const struct inet_diag_msg *found);

/* Whether the kernel has it: the module tcp_diag is loaded by this, where modules can be. */
bool socket_dump_is_possible(void);

/*
 * Calls @on_found for each socket, until it does not return 0. Costs a look at all sockets of the
 * protocol in that network namespace. Returns 0, what @on_found returned last, or a negative errno.
 */
int socket_dump(const SocketFilter *filter,
                int (*on_found)(const struct inet_diag_msg *found, void *userdata), void *userdata);
