/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A specific address can only meet the wildcards of its port, which are looked up. A wildcard can meet
 * any endpoint: it is held against all of them, but few are ever made.
 */

#include "daemon/overlap.h"

#include <string.h>

enum {
        SERVES_IPV4 = 1 << 0,
        SERVES_IPV6 = 1 << 1,
};

static unsigned families(const Address *address) {
        if (address_family(address) == AF_INET)
                return SERVES_IPV4;
        return address->ipv6_only ? SERVES_IPV6 : SERVES_IPV4 | SERVES_IPV6;
}

static bool is_same(const Address *a, const Address *b) {
        return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

static bool is_same_vsock(const struct sockaddr_vm *a, const struct sockaddr_vm *b) {
        return a->svm_port == b->svm_port && a->svm_port != VMADDR_PORT_ANY &&
               (a->svm_cid == b->svm_cid || a->svm_cid == VMADDR_CID_ANY ||
                b->svm_cid == VMADDR_CID_ANY);
}

bool overlap_between(const Address *a, const Address *b) {
        /* A file is of one socket, of whatever kind; of a name there is one for each kind. */
        if (address_is_path(a))
                return is_same(a, b);
        if (a->transport != b->transport && !(address_is_tcp(a) && address_is_tcp(b)))
                return false;
        /* Each gets a copy of what arrives, wherever the others are. */
        if (address_is_raw(a))
                return a->protocol == b->protocol && is_same(a, b);
        if (address_is_vsock(a))
                return is_same_vsock(&a->u.vm, &b->u.vm);
        if (!address_is_ip(a))
                return is_same(a, b);
        if (address_port(a) != address_port(b) || !(families(a) & families(b)))
                return false;
        if (address_is_wildcard(a) || address_is_wildcard(b))
                return true;
        return is_same(a, b);
}

/* TCP and MPTCP at one port would be one group to the kernel, and vsock has no groups: also of one
 * tenant, one of them is in the way. */
static bool counts(const Endpoint *endpoint, const Address *address, const Tenant *except) {
        if (!endpoint || !overlap_between(&endpoint->address, address))
                return false;
        if (address_is_vsock(address) ||
            (address_is_ip(address) && endpoint->address.transport != address->transport))
                return true;
        return !(except && tenant_equal(&endpoint->tenant, except));
}

/* The endpoint at a wildcard of @transport with the port of @address. */
static Endpoint *find_wildcard(const EndpointRegistry *registry, const Namespace *network_namespace,
                               const Address *address, Transport transport, int family, bool ipv6_only) {
        Address wildcard = { .transport = transport, .ipv6_only = ipv6_only };
        char key[ENDPOINT_KEY_MAX];

        wildcard.u.sa.sa_family = (sa_family_t)family;
        wildcard.len = family == AF_INET ? sizeof(wildcard.u.in) : sizeof(wildcard.u.in6);
        address_set_port(&wildcard, address_port(address));
        return endpoint_find(registry, endpoint_key_in(network_namespace, &wildcard, key));
}

/* The endpoint that has the same path for another kind of socket. */
static Endpoint *find_path(const EndpointRegistry *registry, const Address *address,
                           const Tenant *except) {
        Address other = *address;
        char key[ENDPOINT_KEY_MAX];
        Endpoint *endpoint;

        for (other.transport = TRANSPORT_UNIX; other.transport < _TRANSPORT_N; other.transport++) {
                if (other.transport == address->transport)
                        continue;
                endpoint = endpoint_find(registry, endpoint_key(&other, key));
                if (counts(endpoint, address, except))
                        return endpoint;
        }
        return NULL;
}

/* One of @transport that overlaps a specific address: a wildcard, or the same address of
 * another kind. */
static Endpoint *find_of(const EndpointRegistry *registry, const Namespace *network_namespace,
                         const Address *address, Transport transport, const Tenant *except) {
        static const struct {
                int family;
                bool ipv6_only;
        } wildcards[] = { { AF_INET, false }, { AF_INET6, false }, { AF_INET6, true } };
        Address same = *address;
        char key[ENDPOINT_KEY_MAX];
        Endpoint *endpoint;

        for (size_t i = 0; i < sizeof(wildcards) / sizeof(wildcards[0]); i++) {
                endpoint = find_wildcard(registry, network_namespace, address, transport,
                                         wildcards[i].family, wildcards[i].ipv6_only);
                if (counts(endpoint, address, except))
                        return endpoint;
        }
        if (transport == address->transport)
                return NULL;
        same.transport = transport;
        endpoint = endpoint_find(registry, endpoint_key_in(network_namespace, &same, key));
        return counts(endpoint, address, except) ? endpoint : NULL;
}

static Endpoint *find_any(const EndpointRegistry *registry, const Namespace *network_namespace,
                          const Address *address, const Tenant *except) {
        Endpoint *endpoint;

        for (endpoint = registry->by_key; endpoint; endpoint = endpoint->hh.next)
                if (endpoint->network_namespace == network_namespace &&
                    counts(endpoint, address, except))
                        return endpoint;
        return NULL;
}

Endpoint *overlap_find_in(const EndpointRegistry *registry, const Namespace *network_namespace,
                          const Address *address, const Tenant *except) {
        Endpoint *endpoint;

        if (address_is_path(address))
                return find_path(registry, address, except);
        if (address_is_vsock(address))
                return find_any(registry, NULL, address, except);
        if (!address_has_port(address))
                return NULL;
        /* An interface can be renamed, and the key of an address of its link with it. */
        if (!address_is_wildcard(address) && address_zone(address) == 0) {
                endpoint = find_of(registry, network_namespace, address, address->transport, except);
                if (!endpoint && address_is_tcp(address))
                        endpoint = find_of(registry, network_namespace, address,
                                           address->transport == TRANSPORT_TCP ? TRANSPORT_MPTCP
                                                                               : TRANSPORT_TCP,
                                           except);
                return endpoint;
        }
        return find_any(registry, network_namespace, address, except);
}

Endpoint *overlap_find(const EndpointRegistry *registry, const Address *address, const Tenant *except) {
        return overlap_find_in(registry, NULL, address, except);
}
