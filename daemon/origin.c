/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Of the addresses of one class it is the class that decides, so each is looked for in a walk of its
 * own. Nothing is kept from one choice to the next: addresses and routes come and go.
 */

#include "daemon/origin.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/namespace.h"
#include "proto/cleanup.h"

static bool is_loopback(const Address *address) {
        if (address_family(address) == AF_INET)
                return ntohl(address->u.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
        return IN6_IS_ADDR_LOOPBACK(&address->u.in6.sin6_addr);
}

static bool is_link_local(const Address *address) {
        if (address_family(address) == AF_INET)
                return ntohl(address->u.in.sin_addr.s_addr) >> 16 == 0xa9fe; /* 169.254.0.0/16 */
        return IN6_IS_ADDR_LINKLOCAL(&address->u.in6.sin6_addr);
}

static bool is_broadcast(const Address *address) {
        return address_family(address) == AF_INET &&
               address->u.in.sin_addr.s_addr == htonl(INADDR_BROADCAST);
}

/* Loopback or, private networks included, what Go calls global unicast. */
static bool is_dialable(const Address *remote) {
        return !address_is_wildcard(remote) && !address_is_multicast(remote) && !is_link_local(remote) &&
               !is_broadcast(remote);
}

static bool is_same_host(const Address *a, const Address *b) {
        if (address_family(a) != address_family(b))
                return false;
        if (address_family(a) == AF_INET)
                return a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
        return IN6_ARE_ADDR_EQUAL(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr);
}

OriginClass origin_class(const Address *address) {
        if (address_is_wildcard(address))
                return ORIGIN_WILDCARD;
        return is_loopback(address) ? ORIGIN_LOOPBACK : ORIGIN_SPECIFIC;
}

bool origin_serves(const Address *local, const Address *remote) {
        if (!address_is_ip(local) || local->transport != remote->transport)
                return false;
        return address_family(local) == address_family(remote) ||
               (address_family(local) == AF_INET6 && address_is_wildcard(local) && !local->ipv6_only);
}

void origin_bind_address(const Address *local, const Address *remote, Address *ret) {
        uint16_t port = address_port(local);
        bool other = address_family(local) != address_family(remote);

        *ret = *local;
        if (other) {
                memset(ret, 0, sizeof(*ret));
                ret->transport = local->transport;
                ret->u.sa.sa_family = (sa_family_t)address_family(remote);
                ret->len = remote->len;
                address_set_port(ret, port);
        }
        /* Of two families it is one now. */
        ret->ipv6_only = address_family(ret) == AF_INET6;
}

typedef struct Search {
        const OriginCandidate *candidates;
        size_t n;
        const Address *remote;
        const Namespace *network_namespace;
} Search;

static bool is_of(const Search *search, size_t i, OriginClass class) {
        const Address *address = search->candidates[i].address;

        return origin_class(address) == class && origin_serves(address, search->remote);
}

static size_t count(const Search *search, OriginClass class) {
        size_t n = 0;

        for (size_t i = 0; i < search->n; i++)
                n += is_of(search, i, class);
        return n;
}

/* The one of a class that is at the address which routing prefers. */
static int choose_preferred(const Search *search, OriginRoute route, size_t *ret) {
        const OriginCandidate *best = NULL;
        Address preferred;

        if (count(search, ORIGIN_SPECIFIC) == 0 ||
            !route(search->network_namespace, search->remote, &preferred))
                return ORIGIN_E_NONE;
        for (size_t i = 0; i < search->n; i++) {
                const OriginCandidate *candidate = &search->candidates[i];

                if (is_of(search, i, ORIGIN_SPECIFIC) && is_same_host(candidate->address, &preferred) &&
                    (!best || candidate->id < best->id))
                        best = candidate;
        }
        if (!best)
                return ORIGIN_E_NONE;
        *ret = (size_t)(best - search->candidates);
        return 0;
}

static int choose_any(const Search *search, OriginClass class, uint64_t random, size_t *ret) {
        size_t n = count(search, class), nth;

        if (n == 0)
                return ORIGIN_E_NONE;
        nth = (size_t)(random % n);
        for (size_t i = 0; i < search->n; i++)
                if (is_of(search, i, class) && nth-- == 0) {
                        *ret = i;
                        break;
                }
        return 0;
}

int origin_choose(const OriginCandidate *candidates, size_t n, const Address *remote,
                  const Namespace *network_namespace, OriginRoute route, uint64_t random, size_t *ret) {
        const Search search = { .candidates = candidates,
                                .n = n,
                                .remote = remote,
                                .network_namespace = network_namespace };
        int r;

        if (!is_dialable(remote) &&
            count(&search, ORIGIN_SPECIFIC) + count(&search, ORIGIN_LOOPBACK) > 0)
                return ORIGIN_E_UNDIALABLE;
        r = choose_preferred(&search, route, ret);
        if (r != 0 && is_loopback(remote))
                r = choose_any(&search, ORIGIN_LOOPBACK, random, ret);
        return r == 0 ? 0 : choose_any(&search, ORIGIN_WILDCARD, random, ret);
}

/* Datagrams; -1: there is none to be had. */
static int make_socket(const Namespace *network_namespace, int family) {
        NamespaceFailure failure;
        int fd = -1;

        if (!network_namespace)
                return socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return namespace_socket(network_namespace, family, SOCK_DGRAM, 0, &fd, &failure) == 0 ? fd : -1;
}

bool origin_route(const Namespace *network_namespace, const Address *remote, Address *ret) {
        _cleanup_(fd_closep) int fd = make_socket(network_namespace, address_family(remote));
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss);

        /* Of datagrams, connect() is the choice of a route and of an address, and no more. */
        if (fd < 0 || connect(fd, &remote->u.sa, remote->len) < 0 ||
            getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
                return false;
        *ret = *remote;
        address_set_sockaddr(ret, &ss, len);
        return true;
}
