/* SPDX-License-Identifier: BSD-2-Clause */

/* The rules are those of member_leave(), told to people. */

#include "daemon/continuity.h"

#define ADOPT(text) ((Continuity){ .promise = "adopt", .reason = (text) })
#define MIGRATE(text) ((Continuity){ .promise = "migrate", .reason = (text) })
#define NONE(text) ((Continuity){ .promise = "none", .reason = (text) })

/* Two members at least have holders that serve, or will. */
static bool has_company(const Endpoint *endpoint) {
        const Member *member;
        size_t n = 0;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                n += !LIST_EMPTY(&member->leases);
        return endpoint->sharing == SHARING_GROUP && n > 1;
}

static Continuity of_company(const Endpoint *endpoint) {
        bool tcp = endpoint->address.transport == TRANSPORT_TCP;

        if (address_is_raw(&endpoint->address))
                return NONE("what waits on a member that leaves is lost; each of the others has its own "
                            "copy");
        if (!group_can_be_steered(&endpoint->address))
                return NONE("what waits on a member that leaves is lost: the kernel has steering for "
                            "TCP and "
                            "UDP alone");
        if (tcp && group_is_steered(endpoint))
                return MIGRATE("the steering program moves what waits to the other members");
        if (tcp && group_migrate_req_of(endpoint))
                return MIGRATE(
                        "net.ipv4.tcp_migrate_req is on: the kernel moves what waits to the other "
                        "members");
        if (group_is_steered(endpoint))
                return endpoint->retain_usec > 0
                               ? ADOPT("what waits stays, off the list, for another client")
                               : NONE("retainSec is 0, and datagrams cannot be moved");
        if (tcp)
                return NONE("what waits on a member that leaves is reset: there is no steering, and "
                            "net.ipv4.tcp_migrate_req is off");
        return NONE("datagrams waiting on a member that leaves are lost: there is no steering");
}

Continuity continuity_of(const Endpoint *endpoint) {
        if (has_company(endpoint))
                return of_company(endpoint);
        if (endpoint->retain_usec == 0)
                return NONE("retainSec is 0");
        return ADOPT("what waits stays for another client, for as long as retainSec says");
}
