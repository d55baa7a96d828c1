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

bool overlap_between(const Address *a, const Address *b) {
        if (a->transport != b->transport)
                return false;
        if (!address_is_ip(a))
                return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
        if (address_port(a) != address_port(b) || !(families(a) & families(b)))
                return false;
        if (address_is_wildcard(a) || address_is_wildcard(b))
                return true;
        return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

static bool counts(const Endpoint *endpoint, const Address *address, const Tenant *except) {
        return endpoint && !(except && tenant_equal(&endpoint->tenant, except)) &&
               overlap_between(&endpoint->address, address);
}

/* The endpoint at a wildcard with the transport and port of @address. */
static Endpoint *find_wildcard(const EndpointRegistry *registry, const Address *address, int family,
                               bool ipv6_only) {
        Address wildcard = { .transport = address->transport, .ipv6_only = ipv6_only };
        char key[ENDPOINT_KEY_MAX];

        wildcard.u.sa.sa_family = (sa_family_t)family;
        wildcard.len = family == AF_INET ? sizeof(wildcard.u.in) : sizeof(wildcard.u.in6);
        address_set_port(&wildcard, address_port(address));
        return endpoint_find(registry, endpoint_key(&wildcard, key));
}

Endpoint *overlap_find(const EndpointRegistry *registry, const Address *address, const Tenant *except) {
        Endpoint *endpoint;

        if (!address_is_ip(address))
                return NULL; /* a path or a name is one thing */
        if (!address_is_wildcard(address)) {
                endpoint = find_wildcard(registry, address, AF_INET, false);
                if (!counts(endpoint, address, except))
                        endpoint = find_wildcard(registry, address, AF_INET6, false);
                if (!counts(endpoint, address, except))
                        endpoint = find_wildcard(registry, address, AF_INET6, true);
                return counts(endpoint, address, except) ? endpoint : NULL;
        }
        for (endpoint = registry->by_key; endpoint; endpoint = endpoint->hh.next)
                if (counts(endpoint, address, except))
                        return endpoint;
        return NULL;
}
