/* SPDX-License-Identifier: BSD-2-Clause */

/* From the broker's objects to the structs of the wire. The only direction: nothing is changed here. */

#include "daemon/describe.h"

#include <errno.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/continuity.h"
#include "daemon/lease.h"
#include "proto/error.h"

static const char *describe_id(const Endpoint *endpoint, char kind, uint64_t id, Message *memory) {
        char *text = message_allocate(memory, ID_TEXT_MAX);

        return text ? id_format(endpoint->registry->ids, kind, id, text) : NULL;
}

int describe_member(const Member *member, Message *memory, MemberInfo *ret) {
        const Lease *lease;
        LeaseInfo *leases;
        size_t n = 0, i = 0;

        LIST_FOREACH (lease, &member->leases, by_member)
                n++;
        leases = message_allocate(memory, n * sizeof(*leases));
        if (!leases)
                return error_origin(-ENOMEM);
        LIST_FOREACH (lease, &member->leases, by_member) {
                HolderInfo *holder = message_allocate(memory, sizeof(*holder));

                if (!holder)
                        return error_origin(-ENOMEM);
                subject_describe(lease->subject, lease->since_usec, holder);
                leases[i] = (LeaseInfo){
                        .lease = describe_id(member->endpoint, 'l', lease->id, memory),
                        .holder = holder,
                        .lifetime = lease_lifetime(lease),
                };
                if (!leases[i++].lease)
                        return error_origin(-ENOMEM);
        }
        wire_init(&wire_member, ret);
        ret->member = describe_id(member->endpoint, 'm', member->id, memory);
        ret->state = member->state;
        ret->weight = member->weight;
        ret->leases = (WireList){ .items = leases, .n = n };
        member_read_queue(member, &ret->queue_length, &ret->queue_limit, &ret->drops);
        if (member->steered) {
                ret->stalled = (Tristate)member->health.stalled;
                ret->flows = (int64_t)group_count_flows(member);
        }
        return ret->member ? 0 : error_origin(-ENOMEM);
}

int describe_endpoint_alone(const Endpoint *endpoint, Message *memory, EndpointInfo *ret) {
        Continuity continuity = continuity_of(endpoint);

        wire_init(&wire_endpoint, ret);
        ret->endpoint = describe_id(endpoint, 'e', endpoint->id, memory);
        ret->name = endpoint->name;
        ret->network = endpoint->network;
        ret->address = endpoint_address_text(endpoint);
        if (endpoint->network_namespace)
                ret->network_namespace = namespace_text(endpoint->network_namespace);
        ret->sharing = endpoint->sharing;
        if (endpoint->sharing == SHARING_GROUP)
                ret->steering = group_is_steered(endpoint) ? (int)endpoint->group.mode : -1;
        ret->continuity = continuity.promise;
        ret->continuity_reason = continuity.reason;
        ret->tenant = endpoint->tenant.name[0] ? endpoint->tenant.name : NULL;
        return ret->endpoint ? 0 : error_origin(-ENOMEM);
}

int describe_endpoint(const Endpoint *endpoint, Message *memory, EndpointInfo *ret) {
        MemberInfo *members = message_allocate(memory, endpoint->n_members * sizeof(*members));
        const Member *member;
        size_t i = 0;
        int r;

        if (!members)
                return error_origin(-ENOMEM);
        r = describe_endpoint_alone(endpoint, memory, ret);
        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (r == 0)
                        r = describe_member(member, memory, &members[i++]);
        ret->members = (WireList){ .items = members, .n = endpoint->n_members };
        return error_trace(r);
}

/* Room for the texts of one SocketReply. */
typedef struct SocketText {
        char lease[ID_TEXT_MAX];
        char endpoint[ID_TEXT_MAX];
        char cookie[ID_TEXT_MAX];
        OptionsReadBack options;
} SocketText;

int describe_socket(const Lease *lease, const Options *asked, Message *memory, SocketReply *ret) {
        const Endpoint *endpoint = lease->member->endpoint;
        const IdSource *ids = endpoint->registry->ids;
        SocketText *text = message_allocate(memory, sizeof(*text));

        if (!text)
                return error_origin(-ENOMEM);
        id_format_decimal(lease->member->cookie, text->cookie);
        socket_options_read(lease->member->fd, &endpoint->address, endpoint->requested,
                            socket_options_given(endpoint->requested) | socket_options_given(asked),
                            &text->options);
        wire_init(&wire_socket, ret);
        ret->lease = id_format(ids, 'l', lease->id, text->lease);
        ret->endpoint = id_format(ids, 'e', endpoint->id, text->endpoint);
        ret->name = endpoint->name;
        ret->cookie = text->cookie;
        ret->network = endpoint->network;
        ret->address = endpoint_address_text(endpoint);
        ret->sharing = (int)endpoint->sharing;
        ret->options = &text->options.options;
        return 0;
}

HolderInfo *describe_holder(const Endpoint *endpoint, HolderInfo *ret) {
        const Lease *lease = endpoint_first_lease(endpoint);
        const Member *parked = endpoint_parked_member(endpoint);

        if (lease)
                subject_describe(lease->subject, lease->since_usec, ret);
        else if (parked && parked->last_holder)
                subject_describe(parked->last_holder, parked->parked_usec, ret);
        else
                return NULL;
        return ret;
}

void describe_event(const Event *event, const IdSource *ids, EventText *text, EventInfo *ret) {
        *ret = (EventInfo){
                .what = event->what,
                .time_usec = (int64_t)clock_usec(CLOCK_REALTIME),
                .reason = event->reason,
        };
        if (event->endpoint)
                ret->endpoint = id_format(ids, 'e', event->endpoint->id, text->endpoint);
        if (event->member)
                ret->member = id_format(ids, 'm', event->member->id, text->member);
        if (event->lease)
                ret->lease = id_format(ids, 'l', event->lease->id, text->lease);
        if (event->subject) {
                subject_describe(event->subject,
                                 event->lease ? event->lease->since_usec : (uint64_t)ret->time_usec,
                                 &text->holder);
                ret->holder = &text->holder;
        }
}
