/* SPDX-License-Identifier: BSD-2-Clause */

/* Each question is a socket: whether it can be made, and bound. */

#include "daemon/families.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "proto/cleanup.h"

static int make_own(void *userdata, int family) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 ? -errno : fd;
}

/* Says that there is none, or none for this process, and not that it cannot be told. */
static bool is_absence(int error) {
        return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPERM || error == EACCES;
}

/* Whether the IPv6 socket @fd can be bound to @host, with IPv4 as well or without. Takes over @fd.
 * Returns 0 or a negative errno. */
static int try_bind(int fd, const char *host, bool ipv6_only) {
        struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
        _cleanup_(fd_closep) int owned = fd;

        if (fd < 0)
                return fd;
        inet_pton(AF_INET6, host, &sin6.sin6_addr);
        if (setsockopt(owned, SOL_IPV6, IPV6_V6ONLY, &(int){ ipv6_only }, sizeof(int)) < 0 ||
            bind(owned, (const struct sockaddr *)&sin6, sizeof(sin6)) < 0)
                return -errno;
        return 0;
}

/* @r: of a trial. The first that failed is kept in *@ret. */
static bool is_there(int r, int *ret) {
        if (r < 0 && !is_absence(-r) && *ret == 0)
                *ret = r;
        return r >= 0;
}

int families_probe(int (*make)(void *userdata, int family), void *userdata, AddressFamilies *ret) {
        _cleanup_(fd_closep) int fd = -1;
        int r = 0;

        *ret = (AddressFamilies){ .ipv4 = false };
        if (!make)
                make = make_own;
        fd = make(userdata, AF_INET);
        ret->ipv4 = is_there(fd, &r);
        ret->ipv6 = is_there(try_bind(make(userdata, AF_INET6), "::1", true), &r);
        ret->mapped =
                ret->ipv6 && is_there(try_bind(make(userdata, AF_INET6), "::ffff:127.0.0.1", false), &r);
        return r;
}

/*
 * Those kernels have a table of the connected ones, by both ends, and take out of its group whoever
 * comes to be in it: then there is no group to have a program. One that is set before bind makes it a
 * group of its own, whatever the port.
 */
bool families_find_connected(void) {
        static struct sock_filter first = { .code = BPF_RET | BPF_K, .k = 0 };
        static const struct sock_fprog program = { .len = 1, .filter = &first };
        const struct sockaddr_in peer = { .sin_family = AF_INET,
                                          .sin_port = htons(9),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int)) == 0 &&
               setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0 &&
               connect(fd, (const struct sockaddr *)&peer, sizeof(peer)) == 0 &&
               setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0 &&
               errno == EINVAL;
}
