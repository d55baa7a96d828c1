/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Beside datagram sockets that share an address a further one that is connected parts the next member
 * from them, if the kernel finds it first. One of IPv4 is found last if it is made aside. Of IPv6 it is
 * the one that was bound first, which must stay: the sentinel does, and only what is steered has one.
 */

#include "daemon/lending.h"

#include <sys/socket.h>

#include "daemon/overlap.h"
#include "daemon/socket-factory.h"
#include "proto/error.h"

bool lending_steps_aside(const Address *remote, const AddressFamilies *families) {
        return remote->transport == TRANSPORT_UDP && address_family(remote) == AF_INET &&
               families->mapped;
}

static bool shares_datagrams(const Endpoint *endpoint) {
        const Address *address = &endpoint->address;

        return endpoint->sharing == SHARING_GROUP && address->transport == TRANSPORT_UDP &&
               !address_is_wildcard(address);
}

bool lending_has_room(const Endpoint *endpoint, bool aside) {
        if (!shares_datagrams(endpoint))
                return true;
        return address_family(&endpoint->address) == AF_INET ? aside : group_is_steered(endpoint);
}

/* A group lets in whoever is of its kind, and what was passed is not the broker's to change. */
int lending_open(Endpoint *endpoint, bool aside) {
        const Member *member;
        int r = 0;

        if (endpoint->sharing == SHARING_GROUP || endpoint->passed)
                return 0;
        endpoint->lent |= !aside;
        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (r == 0)
                        r = socket_factory_lend(member->fd);
        return error_trace(r);
}

int lending_open_neighbours(const EndpointRegistry *endpoints, const Tenant *tenant,
                            const Namespace *network_namespace, const Address *local, bool aside) {
        Endpoint *endpoint = endpoints->by_key;
        int r = 0;

        for (; endpoint && r == 0; endpoint = endpoint->hh.next)
                if (endpoint->network_namespace == network_namespace &&
                    overlap_between(&endpoint->address, local) &&
                    tenant_equal(&endpoint->tenant, tenant))
                        r = lending_open(endpoint, aside);
        return error_trace(r);
}

int lending_anchor(Endpoint *endpoint) {
        if (!shares_datagrams(endpoint) || address_family(&endpoint->address) != AF_INET6)
                return 0;
        return group_anchor(endpoint);
}
