/* SPDX-License-Identifier: BSD-2-Clause */

/* Each question is a socket: whether it can be made, and bound. */

#include "daemon/families.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "proto/cleanup.h"

enum {
        FIND_MSEC = 100, /* until something of this host must have come */
};

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

/* A datagram socket, which shares its port: with whoever does, or, at port 0, with who comes after it.
 * Returns it, or -1. */
static int open_sharing(const void *address, socklen_t len) {
        const struct sockaddr_in *in = address;
        _cleanup_(fd_closep) int fd = -1;
        bool alone = in->sin_family == AF_INET && in->sin_port == 0;

        fd = socket(in->sin_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || (alone && bind(fd, address, len) < 0) ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int)) < 0 ||
            (in->sin_family == AF_INET6 &&
             setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int)) < 0) ||
            (!alone && bind(fd, address, len) < 0))
                return -1;
        return fd_take(&fd);
}

/*
 * As Dial does: a member of a group, a socket that is made aside and connected, and something from its
 * peer. The first that has the port keeps away whoever else would let others in.
 */
bool families_find_connected(void) {
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr_in from = here;
        struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
        socklen_t n_here = sizeof(here), n_from = sizeof(from);
        _cleanup_(fd_closep) int first = open_sharing(&here, sizeof(here));
        _cleanup_(fd_closep) int peer = open_sharing(&from, sizeof(from));
        _cleanup_(fd_closep) int member = -1, aside = -1;
        struct pollfd either[2];

        if (first < 0 || peer < 0 || getsockname(first, (struct sockaddr *)&here, &n_here) < 0 ||
            getsockname(peer, (struct sockaddr *)&from, &n_from) < 0)
                return false;
        mapped.sin6_port = here.sin_port;
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
        member = open_sharing(&here, sizeof(here));
        aside = open_sharing(&mapped, sizeof(mapped));
        first = fd_close(first);
        if (member < 0 || aside < 0 || connect(aside, (const struct sockaddr *)&from, n_from) < 0 ||
            setsockopt(aside, SOL_IPV6, IPV6_ADDRFORM, &(int){ AF_INET }, sizeof(int)) < 0 ||
            sendto(peer, "", 1, 0, (const struct sockaddr *)&here, n_here) != 1)
                return false;
        either[0] = (struct pollfd){ .fd = aside, .events = POLLIN };
        either[1] = (struct pollfd){ .fd = member, .events = POLLIN };
        return poll(either, 2, FIND_MSEC) > 0 && either[0].revents == POLLIN;
}
