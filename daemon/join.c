/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How a client comes to hold a member of an endpoint: a new socket, or one that is there already, and
 * the lease on it. Policy has been asked; what is left are the endpoint's own terms, quotas and the
 * kernel.
 */

#include "daemon/join.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/overlap.h"
#include "daemon/refusal.h"
#include "daemon/socket-factory.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

/* ---- sockets ------------------------------------------------------------------------------------ */

/* Answers what the factory did not do. JOIN_E_TAKEN: somebody outside the broker has the port. */
static int refuse_socket(Context *context, const Address *address, int outcome,
                         const SocketFailure *failure) {
        char text[ADDRESS_TEXT_MAX], network[NETWORK_TEXT_MAX];

        switch (outcome) {
        case SOCKET_FACTORY_E_IN_USE:
                return JOIN_E_TAKEN;
        case SOCKET_FACTORY_E_NOT_LOCAL:
                return refuse(context, WIRE_ERROR_ADDRESS_UNAVAILABLE,
                              &(ErrorParameters){ .address = address_format(address, text),
                                                  .network = address_network(address, network) });
        case SOCKET_FACTORY_E_NOT_SUPPORTED:
                return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                              &(ErrorParameters){ .feature = address_network(address, network),
                                                  .reason = failure->refusal.reason });
        case SOCKET_FACTORY_E_PATH:
                return refuse(context, WIRE_ERROR_ADDRESS_INVALID,
                              &(ErrorParameters){ .address = address_format(address, text),
                                                  .reason = failure->reason });
        case SOCKET_FACTORY_E_NAMESPACE:
                return refuse(
                        context, WIRE_ERROR_OPTION_INVALID,
                        &(ErrorParameters){ .option = "networkNamespace", .reason = failure->reason });
        case SOCKET_FACTORY_E_OPTION_INVALID:
                return refuse(context, WIRE_ERROR_OPTION_INVALID,
                              &(ErrorParameters){ .option = failure->refusal.option,
                                                  .reason = failure->refusal.reason });
        default:
                return refuse_failure(context, failure->step, failure->refusal.option,
                                      failure->refusal.error);
        }
}

/* Makes the socket of a new member. As refuse_socket(). */
static int open_socket(Context *context, const SocketSpec *spec, int *ret_fd, Address *ret_bound) {
        SocketFailure failure;
        int r = socket_factory_open(spec, ret_fd, ret_bound, &failure);

        return r == 0 ? 0 : refuse_socket(context, &spec->address, r, &failure);
}

/*
 * A name belongs to one endpoint of a tenant, and nobody else gives it or learns of it. @own: the one
 * that is to have it, or NULL.
 */
static int check_name(Context *context, const Wanted *wanted, const Endpoint *own) {
        const char *name = wanted->request->name;
        char have[ENDPOINT_KEY_MAX + NAME_SIZE_MAX], want[ENDPOINT_KEY_MAX + NAME_SIZE_MAX];
        const Endpoint *other;

        if (!name || (own && own->name && strcmp(own->name, name) == 0))
                return 0;
        if (own && !tenant_equal(&own->tenant, &wanted->tenant))
                return refuse_conflict(context, "name", own->name ?: "none, and it is another tenant's",
                                       name);
        other = endpoint_find_of_tenant(&context->services->endpoints, name,
                                        own ? &own->tenant : &wanted->tenant);
        if (!other)
                return 0;
        snprintf(want, sizeof(want), "%s at %.100s", name, wanted->request->address);
        snprintf(have, sizeof(have), "%s at %s", name, other->key);
        return refuse_conflict(context, "name", have, want);
}

/* ---- leases ------------------------------------------------------------------------------------ */

static int join_lease(Context *context, const LeaseTerms *terms, Wanted *wanted, Member *member) {
        LeaseTerms own = *terms;
        int r;

        own.rule = wanted->rule;
        r = lease_new(&context->services->leases, member, &own, &wanted->lease);
        if (r == 0)
                return 0;
        if (LIST_EMPTY(&member->leases))
                member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        if (r < 0)
                return error_trace(r);
        return r == LEASE_E_RULE
                       ? refuse_rule(context, wanted, "leases by", rule_max_leases(wanted->rule))
                       : refuse_quota(context, wanted, RESOURCE_LEASES, r);
}

/* The socket is there: it becomes a member with a lease, and takes what its state lets it take. Takes
 * over
 * @fd and @charge. */
static int join_enter(Context *context, const LeaseTerms *terms, Wanted *wanted, Endpoint *endpoint,
                      int fd, Charge *charge) {
        Member *member;
        int r;

        r = endpoint_add_member(endpoint, fd, &member);
        if (r < 0) {
                if (endpoint->n_members == 0)
                        endpoint_close(endpoint, NULL);
                return error_trace(r);
        }
        member->charge = charge_take(charge);
        r = member_enter(member, wanted->standby, wanted->weight);
        if (r == 0)
                return join_lease(context, terms, wanted, member);
        member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        return refuse_steering(context, "standby", r);
}

static int join_with_new_member(Context *context, const LeaseTerms *terms, Wanted *wanted,
                                Endpoint *endpoint) {
        _cleanup_(charge_deinit) Charge charge = {};
        Address bound;
        int fd, r;

        r = user_charge(context->user, RESOURCE_DESCRIPTORS, 1, &charge);
        if (r != 0)
                return refuse_quota(context, wanted, RESOURCE_DESCRIPTORS, r);
        r = open_socket(context,
                        &(SocketSpec){ .network_namespace = endpoint->network_namespace,
                                       .address = endpoint->address,
                                       .sharing = endpoint->sharing,
                                       .options = endpoint->requested,
                                       .announce = group_is_steered(endpoint) ? group_announce : NULL,
                                       .userdata = endpoint },
                        &fd, &bound);
        return r != 0 ? r : join_enter(context, terms, wanted, endpoint, fd, &charge);
}

int join_new_endpoint(Context *context, const LeaseTerms *terms, Wanted *wanted, bool unused_port) {
        const SocketRequest *request = wanted->request;
        _cleanup_(charge_deinit) Charge charge = {};
        Endpoint *endpoint;
        Address bound;
        int fd, r;

        /* Policy gave what policy_may_enter() said it never would. */
        if (wanted->namespace_path && !wanted->network_namespace)
                return error_origin(-ENOTRECOVERABLE);
        r = check_name(context, wanted, NULL);
        if (r != 0)
                return r;
        if (overlap_find_in(&context->services->endpoints, wanted->network_namespace, &wanted->address,
                            &wanted->tenant))
                return JOIN_E_TAKEN;
        r = user_charge(context->user, RESOURCE_DESCRIPTORS, 1, &charge);
        if (r != 0)
                return refuse_quota(context, wanted, RESOURCE_DESCRIPTORS, r);
        r = open_socket(context,
                        &(SocketSpec){ .network_namespace = wanted->network_namespace,
                                       .address = wanted->address,
                                       .sharing = wanted->sharing,
                                       .options = request->options,
                                       .unused_port = unused_port,
                                       .file = &wanted->file },
                        &fd, &bound);
        if (r != 0)
                return r;
        r = endpoint_new_in(&context->services->endpoints, wanted->network_namespace, &bound,
                            request->name, wanted->sharing, request->options, wanted->retain_usec,
                            &wanted->tenant, context->subject, &endpoint);
        if (r < 0) {
                socket_file_remove(&wanted->file, bound.u.un.sun_path);
                fd_close(fd);
                return error_trace(r);
        }
        endpoint->file = wanted->file;
        endpoint->group.mode = wanted->steering;
        endpoint_touch(endpoint);
        return join_enter(context, terms, wanted, endpoint, fd, &charge);
}

/* ---- endpoints that are there already ---------------------------------------------------------- */

/*
 * Nobody holds the endpoint: its socket, with its queue, becomes what this client asks for, as far as a
 * bound socket can.
 */
static int join_parked(Context *context, const LeaseTerms *terms, Wanted *wanted, Endpoint *endpoint,
                       Member *member) {
        const SocketRequest *request = wanted->request;
        SocketFailure failure;
        int r;

        r = check_name(context, wanted, endpoint);
        if (r != 0)
                return r;
        member_adopt(member, wanted->weight);
        wanted->adopted = true;
        r = join_lease(context, terms, wanted, member);
        if (r != 0)
                return r;
        endpoint_change_begin(&wanted->change, wanted->lease);
        r = endpoint_change_reshape(&wanted->change, wanted->sharing, wanted->retain_usec,
                                    request->options, &failure);
        if (r > 0)
                return refuse_socket(context, &endpoint->address, r, &failure);
        if (r < 0)
                return error_trace(r);
        r = endpoint_change_regroup(&wanted->change, wanted->steering);
        if (r != 0)
                return refuse_steering(context, "standby", r);
        r = endpoint_change_rename(&wanted->change, request->name);
        return r < 0 ? error_trace(r) : 0;
}

/* Whether a further client fits an endpoint that others hold. */
static int check_fits(Context *context, const Wanted *wanted, const Endpoint *endpoint) {
        const SocketRequest *request = wanted->request;
        char have[ID_TEXT_MAX], want[ID_TEXT_MAX];
        OptionRefusal refusal;
        int r;

        if (endpoint->sharing == SHARING_EXCLUSIVE || wanted->sharing == SHARING_EXCLUSIVE)
                return refuse_in_use(context, endpoint_address_text(endpoint), endpoint);
        if (endpoint->sharing != wanted->sharing && (!endpoint->passed || request->sharing >= 0))
                return refuse_conflict(context, "sharing", wire_sharing[endpoint->sharing],
                                       wire_sharing[wanted->sharing]);
        if (request->name && endpoint->name && strcmp(request->name, endpoint->name) != 0)
                return refuse_conflict(context, "name", endpoint->name, request->name);
        r = check_name(context, wanted, endpoint);
        if (r != 0)
                return r;
        if (request->retain_sec != WIRE_ABSENT && wanted->retain_usec != endpoint->retain_usec) {
                id_format_decimal(endpoint->retain_usec / 1000000, have);
                id_format_decimal((uint64_t)request->retain_sec, want);
                return refuse_conflict(context, "retainSec", have, want);
        }
        if (request->steering >= 0 && wanted->steering != endpoint->group.mode)
                return refuse_conflict(context, "steering", wire_steering[endpoint->group.mode],
                                       wire_steering[wanted->steering]);
        if (!request->options || socket_options_compare(request->options, endpoint->requested,
                                                        TAILQ_FIRST(&endpoint->members)->fd,
                                                        &endpoint->address, &refusal) == 0)
                return 0;
        return refuse_conflict(context, refusal.option, refusal.have, refusal.want);
}

/* A lease of a member that is there: the one of all, or one whose holder was lost. */
static int join_member(Context *context, const LeaseTerms *terms, Wanted *wanted, Member *member) {
        wanted->adopted = member->orphan != MEMBER_ORPHAN_NOT && LIST_EMPTY(&member->leases);
        if (wanted->adopted)
                member_adopt(member, wanted->weight);
        return join_lease(context, terms, wanted, member);
}

/* A group of datagram sockets cannot be founded where others are connected from that were not made
 * aside: see outgoing.c. */
static bool join_may_reshape(const Endpoint *endpoint, const Wanted *wanted) {
        return !(endpoint->lent && endpoint->sharing != SHARING_GROUP &&
                 wanted->sharing == SHARING_GROUP && endpoint->address.transport == TRANSPORT_UDP);
}

int join_existing(Context *context, const LeaseTerms *terms, Wanted *wanted, Endpoint *endpoint) {
        Member *orphan = endpoint_orphan(endpoint);
        int r;

        /* Who stands by takes nothing, so what waits is not for it. */
        if (wanted->standby)
                orphan = NULL;
        /* Alone it becomes what is asked for, by one of its tenant; beside others it is what they are,
         * and to a guest what its owner made it. */
        if (orphan && !endpoint->passed && tenant_equal(&endpoint->tenant, &wanted->tenant) &&
            !orphan->departure.waiting && endpoint->n_members == 1 && !endpoint_first_lease(endpoint) &&
            join_may_reshape(endpoint, wanted))
                return join_parked(context, terms, wanted, endpoint, orphan);
        r = check_fits(context, wanted, endpoint);
        if (r != 0)
                return r;
        if (endpoint->sharing == SHARING_SHARED)
                r = join_member(context, terms, wanted, TAILQ_FIRST(&endpoint->members));
        else if (orphan)
                r = join_member(context, terms, wanted, orphan);
        else
                r = join_with_new_member(context, terms, wanted, endpoint);
        if (r != 0)
                return r;
        endpoint_change_begin(&wanted->change, wanted->lease);
        r = endpoint_change_rename(&wanted->change, wanted->request->name);
        return r < 0 ? error_trace(r) : 0;
}

void join_undo(Wanted *wanted) {
        if (!wanted->lease)
                return;
        endpoint_change_undo(&wanted->change);
        lease_end(wanted->lease, MEMBER_LEAVE_UNDONE, NULL);
        wanted->lease = NULL;
        wanted->adopted = false;
}
