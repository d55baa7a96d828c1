/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whoever comes waits in one queue with all others, whosever they are: at its head is done what every
 * one costs, and no more. What is asked of the one who was let in, and said to the one who was not, is
 * for their users' turns.
 */

#include "daemon/peer-private.h"

#include <sys/socket.h>

#include "daemon/policy.h"
#include "daemon/refusal.h"
#include "proto/error.h"
#include "proto/limits.h"

int peer_greet(Peer *peer) {
        const Policy *policy = peer->services->config->policy;
        const SubjectQuestions questions = {
                .cgroups = policy_asks_cgroup(policy) ? &peer->services->cgroups : NULL,
                .label = policy_asks_label(policy),
        };
        int r;

        if (peer->greeted && !peer->search)
                return 0;
        if (!peer->greeted)
                r = subject_ask(peer->subject, peer->channel.fd, &questions, &peer->search);
        else
                r = subject_ask_on(peer->subject, &peer->services->cgroups, peer->search, TURN_USEC);
        peer->greeted = true;
        if (r != SUBJECT_E_AGAIN)
                peer->search = cgroup_search_free(peer->search);
        return r < 0 ? error_trace(r) : r;
}

int peer_charge(Peer *peer, Resource *ret_resource) {
        int r;

        *ret_resource = RESOURCE_CONNECTIONS;
        r = user_charge(peer->user, RESOURCE_CONNECTIONS, 1, &peer->connection);
        if (r != 0)
                return r;
        *ret_resource = RESOURCE_DESCRIPTORS;
        r = user_charge(peer->user, RESOURCE_DESCRIPTORS, 1, &peer->descriptor);
        if (r != 0)
                charge_deinit(&peer->connection);
        return r;
}

void peer_refuse(const Peer *peer) {
        Services *services = peer->services;
        const WireError *error = &wire_errors[WIRE_ERROR_QUOTA_EXCEEDED];
        ErrorParameters parameters =
                refusal_of_quota(&services->accounts, peer->refusal.resource, peer->refusal.outcome);

        event_hub_emit_quota(&services->hub, peer->subject, NULL, parameters.resource,
                             (uint64_t)parameters.limit, parameters.reason);
        if (message_encode_reply(&services->buffer, &(Reply){ .error = error->name }, error->parameters,
                                 &parameters) == 0)
                send(peer->channel.fd, services->buffer.data, services->buffer.n,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
}
