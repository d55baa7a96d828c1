/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a descriptor is that somebody handed over, as Go's FileListener and its like find out: the kernel
 * is asked, and nothing is believed that was said beside it. The descriptor stays as it is; whoever made
 * it, and whoever else has it, notices nothing.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client-lib/internal.h"
#include "proto/address.h"

struct reuse_description {
        int family;
        int type;
        int protocol;
        bool listening;
        bool reuse_port;
        bool connected;
        uint64_t cookie;
        char network[NETWORK_TEXT_MAX];
        char local[ADDRESS_TEXT_MAX];
        char remote[ADDRESS_TEXT_MAX];
};

CLEANUP_DEFINE(reuse_description, reuse_description_free)

static const struct {
        int family; /* AF_INET: or AF_INET6, and a digit for the family follows the name */
        int type;
        int protocol;
        const char *network;
} kinds[] = {
        { AF_INET, SOCK_STREAM, IPPROTO_TCP, "tcp" },
        { AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "mptcp" },
        { AF_INET, SOCK_STREAM, IPPROTO_SCTP, "sctp" },
        { AF_INET, SOCK_DGRAM, IPPROTO_UDP, "udp" },
        { AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, "udplite" },
        { AF_VSOCK, SOCK_STREAM, 0, "vsock" },
        { AF_UNIX, SOCK_STREAM, 0, "unix" },
        { AF_UNIX, SOCK_DGRAM, 0, "unixgram" },
        { AF_UNIX, SOCK_SEQPACKET, 0, "unixpacket" },
};

static bool is_ip(const reuse_description *description) {
        return description->family == AF_INET || description->family == AF_INET6;
}

/* The network without digit and protocol; NULL: a kind that has no name here. */
static const char *network_find(const reuse_description *description) {
        int family = is_ip(description) ? AF_INET : description->family;

        if (family == AF_INET && description->type == SOCK_RAW)
                return "ip";
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (kinds[i].family == family && kinds[i].type == description->type &&
                    (family != AF_INET || kinds[i].protocol == description->protocol))
                        return kinds[i].network;
        return NULL;
}

static int option_read(int fd, int name, int *ret) {
        socklen_t size = sizeof(*ret);

        return getsockopt(fd, SOL_SOCKET, name, ret, &size) < 0 ? -errno : 0;
}

static bool option_is_set(int fd, int level, int name) {
        socklen_t size = sizeof(int);
        int value = 0;

        return getsockopt(fd, level, name, &value, &size) == 0 && value != 0;
}

/* Whether @fd is of another network namespace than a socket that is made now. If that cannot be told
 * (before Linux 5.14), it is not. */
static bool is_elsewhere(int fd) {
        uint64_t own, its;
        socklen_t n_own = sizeof(own), n_its = sizeof(its);
        _cleanup_(fd_closep) int made = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return made >= 0 && getsockopt(made, SOL_SOCKET, SO_NETNS_COOKIE, &own, &n_own) == 0 &&
               getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &its, &n_its) == 0 && own != its;
}

/* By getsockname() or getpeername(). Returns false if there is none, as of who is not connected. */
static bool address_read(const reuse_description *description, int fd,
                         int (*f)(int, struct sockaddr *, socklen_t *), Address *ret,
                         char text[static ADDRESS_TEXT_MAX]) {
        struct sockaddr_storage ss = { .ss_family = (sa_family_t)description->family };
        socklen_t size = sizeof(ss);

        /* The text depends on the transport in this alone: raw IP has no ports. */
        *ret = (Address){ .transport = description->type == SOCK_RAW ? TRANSPORT_RAW
                                       : is_ip(description)          ? TRANSPORT_TCP
                                                                     : TRANSPORT_UNIX };
        if (f(fd, (struct sockaddr *)&ss, &size) < 0)
                return false;
        address_set_sockaddr(ret, &ss, size);
        /* A UNIX socket without a name may come without a family, too. */
        ret->u.sa.sa_family = (sa_family_t)description->family;
        /* An IPv6 socket that serves IPv4 says so in the clothes of IPv6; it is written as what
         * it is. */
        address_unmap(ret);
        ret->zone_elsewhere = address_zone(ret) != 0 && is_elsewhere(fd);
        address_format(ret, text);
        return true;
}

static int kind_read(reuse_description *description, int fd) {
        int listening = 0;
        int r;

        r = option_read(fd, SO_DOMAIN, &description->family);
        if (r == 0)
                r = option_read(fd, SO_TYPE, &description->type);
        if (r == 0)
                r = option_read(fd, SO_PROTOCOL, &description->protocol);
        if (r == 0)
                r = option_read(fd, SO_ACCEPTCONN, &listening);
        description->listening = listening;
        return r;
}

/* With the digit that, before this address, stands for this very socket. */
static void network_write(reuse_description *description, const char *network, int fd,
                          const Address *local) {
        const char *digit = "";

        if (description->family == AF_INET)
                digit = "4";
        else if (description->family == AF_INET6 &&
                 (description->type == SOCK_RAW || option_is_set(fd, IPPROTO_IPV6, IPV6_V6ONLY) ||
                  (address_family(local) == AF_INET6 && !address_is_wildcard(local))))
                digit = "6";
        if (description->type == SOCK_RAW)
                snprintf(description->network, sizeof(description->network), "%s%s:%d", network, digit,
                         description->protocol);
        else
                snprintf(description->network, sizeof(description->network), "%s%s", network, digit);
}

static int describe_failed(int fd, int number, reuse_error **ret_error) {
        if (number == -ENOTSOCK)
                return reuse_error_set(ret_error, number, "descriptor %d is not a socket", fd);
        if (number == -EBADF)
                return reuse_error_set(ret_error, number, "descriptor %d is not open", fd);
        return reuse_error_set(ret_error, number, "descriptor %d: %s", fd, strerrordesc_np(-number));
}

_public_ int reuse_describe(int fd, reuse_description **ret, reuse_error **ret_error) {
        _cleanup_(reuse_description_freep) reuse_description *description = NULL;
        socklen_t size = sizeof(uint64_t);
        const char *network;
        Address local, remote;
        int r;

        reuse_error_clear(ret_error);
        if (!ret)
                return reuse_error_set(ret_error, -EINVAL, "a place for the description is needed");
        description = calloc(1, sizeof(*description));
        if (!description)
                return -ENOMEM;
        r = kind_read(description, fd);
        if (r < 0)
                return describe_failed(fd, r, ret_error);
        network = network_find(description);
        if (!network)
                return reuse_error_set(ret_error, -EPROTONOSUPPORT,
                                       "descriptor %d is a socket of a kind that has no network here: "
                                       "family %d, type %d, protocol %d",
                                       fd, description->family, description->type,
                                       description->protocol);

        if (!address_read(description, fd, getsockname, &local, description->local))
                return describe_failed(fd, -errno, ret_error);
        description->connected =
                address_read(description, fd, getpeername, &remote, description->remote);
        description->reuse_port = option_is_set(fd, SOL_SOCKET, SO_REUSEPORT);
        /* Linux before 4.6 has none. */
        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &description->cookie, &size) < 0)
                description->cookie = 0;
        network_write(description, network, fd, &local);
        *ret = ptr_take(description);
        return 0;
}

_public_ reuse_description *reuse_description_free(reuse_description *description) {
        free(description);
        return NULL;
}

_public_ int reuse_description_get_family(const reuse_description *description) {
        return description ? description->family : -EINVAL;
}

_public_ int reuse_description_get_type(const reuse_description *description) {
        return description ? description->type : -EINVAL;
}

_public_ int reuse_description_get_protocol(const reuse_description *description) {
        return description ? description->protocol : -EINVAL;
}

_public_ int reuse_description_get_listening(const reuse_description *description) {
        return description ? description->listening : -EINVAL;
}

_public_ int reuse_description_get_reuse_port(const reuse_description *description) {
        return description ? description->reuse_port : -EINVAL;
}

_public_ uint64_t reuse_description_get_cookie(const reuse_description *description) {
        return description ? description->cookie : 0;
}

_public_ const char *reuse_description_get_network(const reuse_description *description) {
        return description ? description->network : NULL;
}

_public_ const char *reuse_description_get_local_address(const reuse_description *description) {
        return description ? description->local : NULL;
}

_public_ const char *reuse_description_get_remote_address(const reuse_description *description) {
        return description && description->connected ? description->remote : NULL;
}
