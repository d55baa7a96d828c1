/* SPDX-License-Identifier: BSD-2-Clause */

/* Each question is a socket: whether it can be made, and bound. */

#include "daemon/families.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "proto/cleanup.h"

static int make_own(void *userdata, int family) {
        return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* Whether the IPv6 socket @fd can be bound to @host, with IPv4 as well or without. Takes over @fd. */
static bool can_bind(int fd, const char *host, bool ipv6_only) {
        struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
        _cleanup_(fd_closep) int owned = fd;

        return owned >= 0 && inet_pton(AF_INET6, host, &sin6.sin6_addr) == 1 &&
               setsockopt(owned, SOL_IPV6, IPV6_V6ONLY, &(int){ ipv6_only }, sizeof(int)) == 0 &&
               bind(owned, (const struct sockaddr *)&sin6, sizeof(sin6)) == 0;
}

void families_probe(int (*make)(void *userdata, int family), void *userdata, AddressFamilies *ret) {
        _cleanup_(fd_closep) int fd = -1;

        *ret = (AddressFamilies){ .ipv4 = false };
        if (!make)
                make = make_own;
        fd = make(userdata, AF_INET);
        ret->ipv4 = fd >= 0;
        ret->ipv6 = can_bind(make(userdata, AF_INET6), "::1", true);
        ret->mapped = ret->ipv6 && can_bind(make(userdata, AF_INET6), "::ffff:127.0.0.1", false);
}
