/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Acquire: from what was asked for to leases and descriptors. Everything is checked before anything is
 * done, and what was done is undone if a later socket of the same call fails: all or none.
 *
 * The steps return 0 to go on, CONTEXT_E_REFUSED when the call has been answered with an error, or a
 * negative errno.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/describe.h"
#include "daemon/methods.h"
#include "daemon/overlap.h"
#include "daemon/policy.h"
#include "daemon/process.h"
#include "daemon/refusal.h"
#include "daemon/socket-factory.h"
#include "daemon/wanted.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

enum {
        /* Beside CONTEXT_E_REFUSED. Somebody else has the address, or one that overlaps it. */
        ACQUIRE_E_TAKEN = CONTEXT_E_REFUSED + 1,
};

/* ---- policy ----------------------------------------------------------------------------------- */

static void decide(const Context *context, const Wanted *wanted, const Address *address,
                   PolicyVerdict *ret) {
        const Subject *subject = context->subject;

        policy_decide(context->services->config->policy,
                      &(PolicyQuery){
                              .subject = &(PolicySubject){ .uid = subject->uid,
                                                           .gid = subject->gid,
                                                           .groups = subject->groups,
                                                           .n_groups = subject->n_groups },
                              .address = address,
                              .sharing = wanted->sharing,
                              .rights = wanted->rights,
                      },
                      ret);
}

/* ---- leases ------------------------------------------------------------------------------------ */

static int acquire_lease(Context *context, const LeaseTerms *terms, Wanted *wanted, Member *member) {
        int r = lease_new(&context->services->leases, member, terms, &wanted->lease);

        if (r == 0)
                return 0;
        if (LIST_EMPTY(&member->leases))
                member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        if (r < 0)
                return error_trace(r);
        return refuse(
                context, WIRE_ERROR_QUOTA_EXCEEDED,
                &(ErrorParameters){
                        .resource = resource_name(RESOURCE_LEASES),
                        .limit = (int64_t)context->services->accounts.limit_per_user[RESOURCE_LEASES],
                });
}

/* Answers what the factory did not do. ACQUIRE_E_TAKEN: somebody outside the broker has the port. */
static int refuse_socket(Context *context, const Address *address, int outcome,
                         const SocketFailure *failure) {
        char text[ADDRESS_TEXT_MAX];

        switch (outcome) {
        case SOCKET_FACTORY_E_IN_USE:
                return ACQUIRE_E_TAKEN;
        case SOCKET_FACTORY_E_NOT_LOCAL:
                return refuse(context, WIRE_ERROR_ADDRESS_UNAVAILABLE,
                              &(ErrorParameters){ .address = address_format(address, text) });
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

/* Answers that a socket cannot be steered: @r is what the group said. */
static int refuse_steering(Context *context, int r) {
        if (r < 0)
                return refuse_failure(context, "steering", NULL, -r);
        return refuse(context, WIRE_ERROR_QUOTA_EXCEEDED,
                      &(ErrorParameters){ .resource = "sockets in steered groups",
                                          .limit = STEERING_MEMBERS_MAX });
}

/* The socket is there: it becomes a member with a lease, and takes what its state lets it take. */
static int acquire_enter(Context *context, const LeaseTerms *terms, Wanted *wanted, Endpoint *endpoint,
                         int fd) {
        Member *member;
        int r;

        r = endpoint_add_member(endpoint, fd, &member);
        if (r < 0) {
                if (endpoint->n_members == 0)
                        endpoint_close(endpoint, NULL);
                return error_trace(r);
        }
        r = member_enter(member, wanted->standby, wanted->weight);
        if (r == 0)
                return acquire_lease(context, terms, wanted, member);
        member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        return refuse_steering(context, r);
}

static int acquire_new_member(Context *context, const LeaseTerms *terms, Wanted *wanted,
                              Endpoint *endpoint) {
        Address bound;
        int fd, r;

        r = open_socket(context,
                        &(SocketSpec){ .address = endpoint->address,
                                       .sharing = endpoint->sharing,
                                       .options = endpoint->requested,
                                       .announce = group_is_steered(endpoint) ? group_announce : NULL,
                                       .userdata = endpoint },
                        &fd, &bound);
        return r != 0 ? r : acquire_enter(context, terms, wanted, endpoint, fd);
}

/*
 * A new endpoint at wanted->address, whose port is fixed here and which no endpoint has. Next to it
 * there may be endpoints of the same user only.
 */
static int acquire_new_endpoint(Context *context, const LeaseTerms *terms, Wanted *wanted,
                                bool unused_port) {
        const SocketRequest *request = wanted->request;
        Endpoint *endpoint;
        Address bound;
        int fd, r;

        if (overlap_find(&context->services->endpoints, &wanted->address, &context->subject->uid))
                return ACQUIRE_E_TAKEN;
        r = open_socket(context,
                        &(SocketSpec){ .address = wanted->address,
                                       .sharing = wanted->sharing,
                                       .options = request->options,
                                       .unused_port = unused_port },
                        &fd, &bound);
        if (r != 0)
                return r;
        r = endpoint_new(&context->services->endpoints, &bound, request->name, wanted->sharing,
                         request->options, wanted->retain_usec, context->subject->uid, &endpoint);
        if (r < 0) {
                fd_close(fd);
                return error_trace(r);
        }
        endpoint->group.mode = wanted->steering;
        return acquire_enter(context, terms, wanted, endpoint, fd);
}

/* ---- endpoints that are there already ---------------------------------------------------------- */

/*
 * Nobody holds the endpoint: its socket, with its queue, becomes what this client asks for, as far as a
 * bound socket can.
 */
static int acquire_parked(Context *context, const LeaseTerms *terms, Wanted *wanted, Endpoint *endpoint,
                          Member *member) {
        const SocketRequest *request = wanted->request;
        SocketFailure failure;
        int r;

        member_adopt(member, wanted->weight);
        wanted->adopted = true;
        r = acquire_lease(context, terms, wanted, member);
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
                return refuse_steering(context, r);
        r = endpoint_change_rename(&wanted->change, request->name);
        return r < 0 ? error_trace(r) : 0;
}

/* Whether a further client fits an endpoint that others hold. */
static int check_fits(Context *context, const Wanted *wanted, const Endpoint *endpoint) {
        const SocketRequest *request = wanted->request;
        char have[ID_TEXT_MAX], want[ID_TEXT_MAX];
        OptionRefusal refusal;

        if (endpoint->sharing == SHARING_EXCLUSIVE || wanted->sharing == SHARING_EXCLUSIVE)
                return refuse_in_use(context, endpoint_address_text(endpoint), endpoint);
        if (endpoint->sharing != wanted->sharing)
                return refuse_conflict(context, "sharing", wire_sharing[endpoint->sharing],
                                       wire_sharing[wanted->sharing]);
        if (request->name && endpoint->name && strcmp(request->name, endpoint->name) != 0)
                return refuse_conflict(context, "name", endpoint->name, request->name);
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
static int acquire_member(Context *context, const LeaseTerms *terms, Wanted *wanted, Member *member) {
        wanted->adopted = member->orphan != MEMBER_ORPHAN_NOT && LIST_EMPTY(&member->leases);
        if (wanted->adopted)
                member_adopt(member, wanted->weight);
        return acquire_lease(context, terms, wanted, member);
}

static int acquire_existing(Context *context, const LeaseTerms *terms, Wanted *wanted,
                            Endpoint *endpoint) {
        Member *orphan = endpoint_orphan(endpoint, context->subject->uid);
        int r;

        /* Who stands by takes nothing, so what waits is not for it. */
        if (wanted->standby)
                orphan = NULL;
        /* Alone it becomes what is asked for; beside others it is what they are. */
        if (orphan && !orphan->departure.waiting && endpoint->n_members == 1 &&
            !endpoint_first_lease(endpoint))
                return acquire_parked(context, terms, wanted, endpoint, orphan);
        r = check_fits(context, wanted, endpoint);
        if (r != 0)
                return r;
        if (endpoint->sharing == SHARING_SHARED)
                r = acquire_member(context, terms, wanted, TAILQ_FIRST(&endpoint->members));
        else if (orphan)
                r = acquire_member(context, terms, wanted, orphan);
        else
                r = acquire_new_member(context, terms, wanted, endpoint);
        if (r != 0)
                return r;
        endpoint_change_begin(&wanted->change, wanted->lease);
        r = endpoint_change_rename(&wanted->change, wanted->request->name);
        return r < 0 ? error_trace(r) : 0;
}

/* ---- one socket -------------------------------------------------------------------------------- */

/*
 * What waits on a parked socket was meant for the user who held it. Another one of a group or a shared
 * socket gets a new socket in its place; an address that was exclusive stays with its user while it is
 * kept.
 */
static bool parked_gives_way(const Endpoint *endpoint, const Wanted *wanted) {
        return endpoint->sharing != SHARING_EXCLUSIVE && endpoint->sharing == wanted->sharing;
}

/* Tries wanted->address as it is, with its port. ACQUIRE_E_TAKEN if somebody outside the broker has it.
 */
static int acquire_at(Context *context, const LeaseTerms *terms, Wanted *wanted) {
        char key[ENDPOINT_KEY_MAX];
        Endpoint *endpoint =
                endpoint_find(&context->services->endpoints, endpoint_key(&wanted->address, key));
        PolicyVerdict verdict;

        decide(context, wanted, &wanted->address, &verdict);
        if (!verdict.allowed)
                return refuse_denied(context, &verdict);
        if (endpoint && endpoint_is_kept_for_another(endpoint, context->subject->uid)) {
                if (!parked_gives_way(endpoint, wanted))
                        return refuse_in_use(context, endpoint_address_text(endpoint), endpoint);
                endpoint = endpoint_close(endpoint, "another user took the address over");
        }
        if (endpoint)
                return acquire_existing(context, terms, wanted, endpoint);
        return acquire_new_endpoint(context, terms, wanted, false);
}

/* Chooses a port: the first of a range, or of the ephemeral ones, that policy gives and nobody has. */
static int acquire_any_port(Context *context, const LeaseTerms *terms, Wanted *wanted) {
        uint16_t first = wanted->address.port_first, last = wanted->address.port_last;
        size_t n_pool = port_pool_size(context->services->ports);
        size_t n_any = n_pool < PORT_RANGE_MAX ? n_pool : PORT_RANGE_MAX;
        size_t n = first > 0 ? (size_t)(last - first) + 1 : n_any;
        char key[ENDPOINT_KEY_MAX];
        PolicyVerdict verdict;
        bool allowed = false;
        int r;

        for (size_t i = 0; i < n; i++) {
                address_set_port(&wanted->address, first > 0 ? (uint16_t)(first + i)
                                                             : port_pool_next(context->services->ports));
                decide(context, wanted, &wanted->address, &verdict);
                if (!verdict.allowed)
                        continue;
                allowed = true;
                if (endpoint_find(&context->services->endpoints, endpoint_key(&wanted->address, key)))
                        continue;
                r = acquire_new_endpoint(context, terms, wanted, true);
                if (r != ACQUIRE_E_TAKEN)
                        return r;
        }
        if (!allowed && n > 0)
                return refuse_denied(context, &verdict);
        return refuse_in_use(context, wanted->request->address, NULL);
}

/* The endpoint that has the name asked for, if the address asked for may be its. */
static int find_named(Context *context, const Wanted *wanted, Endpoint **ret) {
        const Address *want = &wanted->address;
        Endpoint *endpoint = endpoint_find_named(&context->services->endpoints, wanted->request->name);
        Address at = *want;
        char want_text[ENDPOINT_KEY_MAX], key[ENDPOINT_KEY_MAX];
        PolicyVerdict verdict;
        uint16_t port;

        *ret = NULL;
        if (!endpoint)
                return 0;
        port = address_port(&endpoint->address);
        if (address_is_ip(want) &&
            (want->port_first == 0 || (port >= want->port_first && port <= want->port_last)))
                address_set_port(&at, port);
        if (strcmp(endpoint_key(&at, key), endpoint->key) == 0) {
                *ret = endpoint;
                return 0;
        }
        /* Whom no rule gives the address learns nothing of it. */
        decide(context, wanted, &endpoint->address, &verdict);
        if (!verdict.allowed)
                return refuse_denied(context, &verdict);
        snprintf(want_text, sizeof(want_text), "%s at %.100s", wanted->request->name,
                 wanted->request->address);
        snprintf(key, sizeof(key), "%s at %.100s", endpoint->name, endpoint->key);
        return refuse_conflict(context, "name", key, want_text);
}

static int acquire_one(Context *context, const LeaseTerms *terms, Wanted *wanted) {
        bool fixed = wanted->address.port_first == wanted->address.port_last &&
                     (wanted->address.port_first > 0 || !address_is_ip(&wanted->address));
        Endpoint *named = NULL;
        char text[ADDRESS_TEXT_MAX];
        int r = 0;

        if (wanted->request->name)
                r = find_named(context, wanted, &named);
        if (r != 0)
                return r;
        if (named) {
                /* Port 0 or a range under a name in use means the port that name has. */
                wanted->address = named->address;
                fixed = true;
        }
        if (!fixed)
                return acquire_any_port(context, terms, wanted);
        r = acquire_at(context, terms, wanted);
        if (r == ACQUIRE_E_TAKEN)
                return refuse_in_use(
                        context, address_format(&wanted->address, text),
                        overlap_find(&context->services->endpoints, &wanted->address, NULL));
        return r;
}

/* ---- the call ---------------------------------------------------------------------------------- */

static int acquire_all(Context *context, const LeaseTerms *terms, Wanted *wanted, size_t n) {
        SocketReply *sockets = message_allocate(context->message, n * sizeof(*sockets));
        int r;

        if (!sockets)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++) {
                r = acquire_one(context, terms, &wanted[i]);
                if (r == 0)
                        r = describe_socket(wanted[i].lease, wanted[i].request->options,
                                            context->message, &sockets[i]);
                if (r == 0)
                        r = fdlist_add(&context->fds, wanted[i].lease->member->fd);
                if (r != 0)
                        return r;
                sockets[i].socket_file_descriptor = (int64_t)i;
                sockets[i].adopted = wanted[i].adopted;
        }
        return context_reply(context, &(AcquireOut){ .sockets = { .items = sockets, .n = n } });
}

static int acquire_terms(Context *context, const AcquireIn *in, LeaseTerms *ret) {
        int r;

        *ret = (LeaseTerms){ .subject = context->subject,
                             .user = context->user,
                             .connection = context->connection };
        if (in->lifetime != LIFETIME_PROCESS)
                return 0;
        r = context->get_process(context, &ret->process);
        if (r == SUBJECT_E_GONE)
                return refuse_failure(context, "pidfd", NULL, ESRCH);
        if (r == SUBJECT_E_NO_DESCRIPTOR)
                return refuse_failure(context, "pidfd", NULL, EMFILE);
        return r;
}

static int acquire_check(Context *context, const AcquireIn *in, Wanted *wanted) {
        const SocketRequest *requests = in->sockets.items;
        int r;

        for (size_t i = 0; i < in->sockets.n; i++) {
                r = wanted_check(context, &requests[i], i, &wanted[i]);
                if (r != 0)
                        return r;
        }
        return 0;
}

typedef struct Acquired {
        Wanted *wanted;
        size_t n;
} Acquired;

/* Undone in reverse: the last thing done is the first to go. */
static void acquire_finish(Context *context, bool delivered) {
        const Acquired *acquired = context->finish_data;

        for (size_t i = 0; i < acquired->n && delivered; i++) {
                lease_commit(acquired->wanted[i].lease, acquired->wanted[i].adopted);
                endpoint_change_commit(&acquired->wanted[i].change);
        }
        for (size_t i = acquired->n; i > 0 && !delivered; i--)
                if (acquired->wanted[i - 1].lease) {
                        endpoint_change_undo(&acquired->wanted[i - 1].change);
                        lease_end(acquired->wanted[i - 1].lease, MEMBER_LEAVE_UNDONE, NULL);
                }
}

int method_acquire(Context *context, const void *p) {
        const AcquireIn *in = p;
        size_t n = in->sockets.n;
        LeaseTerms terms;
        Acquired *acquired;
        int r;

        if (context->silent)
                return 0; /* nobody would ever receive the descriptors */
        if (n == 0)
                return context_refuse(context, WIRE_ERROR_INVALID_PARAMETER,
                                      &(ErrorParameters){ .parameter = "sockets" });
        if (n > SOCKETS_MAX)
                return context_refuse(
                        context, WIRE_ERROR_QUOTA_EXCEEDED,
                        &(ErrorParameters){ .resource = "sockets in one call", .limit = SOCKETS_MAX });
        acquired = message_allocate(context->message, sizeof(*acquired));
        if (!acquired)
                return error_origin(-ENOMEM);
        *acquired =
                (Acquired){ .wanted = message_allocate(context->message, n * sizeof(Wanted)), .n = n };
        if (!acquired->wanted)
                return error_origin(-ENOMEM);
        context->fds = FDLIST_BORROWING; /* the endpoints own them */
        context->finish_data = acquired;
        r = acquire_check(context, in, acquired->wanted);
        if (r == 0)
                r = acquire_terms(context, in, &terms);
        if (r == 0)
                r = acquire_all(context, &terms, acquired->wanted, n);
        else
                acquired->n = 0; /* nothing was done yet */
        if (r == 0) {
                context->finish = acquire_finish;
        } else {
                fdlist_deinit(&context->fds); /* an error carries none */
                acquire_finish(context, false);
        }
        return r < 0 ? error_trace(r) : 0;
}
