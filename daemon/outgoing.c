/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dial: a socket for an outgoing connection that comes from a port which the client listens on. The
 * kernel lets a socket in beside a listener only if both have one owner, and all of ours are the
 * broker's: so it is the broker who makes it and binds it, keeps nothing of it, and knows no lease on
 * it.
 *
 * What may be connected from is what the caller's tenant has: of what its process holds one address is
 * chosen (origin.h), or it names one. A socket without a port that somebody listens on is what anybody
 * could make; but it would be the broker's to who looks at users and control groups on the way out, so
 * it is for those only to whom the rules give sockets at all.
 */

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "daemon/judge.h"
#include "daemon/lending.h"
#include "daemon/methods.h"
#include "daemon/origin.h"
#include "daemon/overlap.h"
#include "daemon/place.h"
#include "daemon/refusal.h"
#include "daemon/socket-factory.h"
#include "proto/cleanup.h"
#include "proto/error.h"

typedef struct Outgoing {
        const DialIn *in;
        AddressFamilies families; /* of where it is to be */
        Address remote;
        SocketRequest request; /* as who follows refusals is told of it */
        Wanted wanted;         /* at the address to come from */
        Endpoint *endpoint;    /* whose port it is; NULL: nobody's */
        Endpoint *beside;      /* who has the address that it comes to have; NULL: nobody */
        bool unbound;
        bool aside; /* it can be made where lending_steps_aside() says */
} Outgoing;

static const Policy *policy_of(const Context *context) {
        return context->services->config->policy;
}

/* ---- what is asked for --------------------------------------------------------------------------- */

static int refuse_address(Context *context, const char *address, const char *reason) {
        return refuse(context, WIRE_ERROR_ADDRESS_INVALID,
                      &(ErrorParameters){ .address = address, .reason = reason });
}

static bool is_unix(const char *network) {
        return strcmp(network, "unix") == 0 || strcmp(network, "unixgram") == 0 ||
               strcmp(network, "unixpacket") == 0;
}

static int check_remote(Context *context, Outgoing *outgoing) {
        const DialIn *in = outgoing->in;
        int r;

        if (is_unix(in->network))
                return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                              &(ErrorParameters){ .feature = in->network,
                                                  .reason = "a UNIX socket has no port to come from: "
                                                            "connect without the broker" });
        r = wanted_enter(context, &outgoing->wanted);
        if (r != 0)
                return r;
        outgoing->families = wanted_families(context, &outgoing->wanted);
        r = wanted_parse(context, in->network, in->remote_address, &outgoing->families,
                         &outgoing->remote);
        if (r != 0)
                return r;
        if (outgoing->remote.transport != TRANSPORT_TCP && outgoing->remote.transport != TRANSPORT_UDP)
                return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                              &(ErrorParameters){ .feature = in->network,
                                                  .reason = "connections are made of TCP and UDP" });
        if (outgoing->remote.port_first != outgoing->remote.port_last)
                return refuse_address(context, in->remote_address, "give one port, not a range");
        if (outgoing->remote.port_first == 0)
                return refuse_address(context, in->remote_address, "give the port to connect to");
        outgoing->aside = context->services->finds_connected &&
                          lending_steps_aside(&outgoing->remote, &outgoing->families);
        /* A wildcard may have been of two families. */
        outgoing->remote.ipv6_only = address_family(&outgoing->remote) == AF_INET6;
        return 0;
}

/* A wildcard of the remote's family, and port 0. */
static void set_unbound(Outgoing *outgoing) {
        Address *local = &outgoing->wanted.address;

        outgoing->unbound = true;
        *local = (Address){ .transport = outgoing->remote.transport,
                            .ipv6_only = outgoing->remote.ipv6_only,
                            .len = outgoing->remote.len };
        local->u.sa.sa_family = (sa_family_t)address_family(&outgoing->remote);
}

/* What the call says of where to come from. */
static int check_local(Context *context, Outgoing *outgoing) {
        const char *text = outgoing->in->local_address;
        Address local;
        int r = wanted_parse(context, outgoing->in->network, text, &outgoing->families, &local);

        if (r != 0)
                return r;
        if (local.port_first != local.port_last)
                return refuse_address(context, text, "give one port, not a range");
        if (address_is_multicast(&local))
                return refuse_address(context, text, "nothing can come from a group of hosts");
        /* Without a digit in the network, a wildcard is one of either family. */
        if (!origin_serves(&local, &outgoing->remote))
                return refuse_address(context, text, "the remote address is of another family");
        if (address_is_wildcard(&local) && local.port_first == 0)
                set_unbound(outgoing);
        else
                origin_bind_address(&local, &outgoing->remote, &outgoing->wanted.address);
        return 0;
}

static int check_options(Context *context, Outgoing *outgoing) {
        const Options *options = outgoing->in->options;
        OptionRefusal refusal;

        outgoing->wanted.rights = policy_rights_of(options);
        if (socket_options_check_outgoing(options, &outgoing->wanted.address, &refusal) == 0)
                return 0;
        return refuse(context, WIRE_ERROR_OPTION_INVALID,
                      &(ErrorParameters){ .option = refusal.option, .reason = refusal.reason });
}

static int check_form(Context *context, Outgoing *outgoing) {
        int r = check_remote(context, outgoing);

        if (r != 0)
                return r;
        set_unbound(outgoing);
        outgoing->unbound = false;
        if (outgoing->in->local_address)
                r = check_local(context, outgoing);
        return r ?: check_options(context, outgoing);
}

/* ---- where it comes from ------------------------------------------------------------------------- */

/* @verdict is about @address. */
static int take_verdict(Context *context, Outgoing *outgoing, const Address *address,
                        const PolicyVerdict *verdict) {
        if (!verdict->allowed)
                return refuse_denied(context, &outgoing->wanted, address, verdict);
        return place_under_rule(context, &outgoing->wanted, verdict);
}

/* From a port of the caller's tenant, who listens there: the rule that gives the one gives the other. */
static int come_from(Context *context, Outgoing *outgoing, Endpoint *endpoint) {
        PolicyVerdict verdict;

        outgoing->endpoint = endpoint;
        outgoing->wanted.sharing = endpoint->sharing;
        judge_socket(policy_of(context), context->subject, &endpoint->address, endpoint->sharing,
                     outgoing->wanted.rights, outgoing->wanted.namespace_path, &verdict);
        return take_verdict(context, outgoing, &endpoint->address, &verdict);
}

/* From a port that the kernel chooses. */
static int come_from_anywhere(Context *context, Outgoing *outgoing) {
        PolicyVerdict verdict;

        judge_outgoing(policy_of(context), context->subject, &outgoing->wanted.address,
                       outgoing->wanted.rights, outgoing->wanted.namespace_path, &verdict);
        return take_verdict(context, outgoing, &outgoing->wanted.address, &verdict);
}

typedef struct Candidates {
        OriginCandidate *items;
        Endpoint **endpoints;
        size_t n;
} Candidates;

static bool is_own(const Context *context, const Outgoing *outgoing, const Endpoint *endpoint) {
        return judge_is_own(policy_of(context), endpoint, context->subject,
                            outgoing->wanted.namespace_path);
}

static void consider(const Context *context, const Outgoing *outgoing, Endpoint *endpoint,
                     Candidates *candidates) {
        /* Members of one group often lie side by side. */
        if (candidates->n > 0 && candidates->endpoints[candidates->n - 1] == endpoint)
                return;
        if (endpoint->network_namespace != outgoing->wanted.network_namespace ||
            !origin_serves(&endpoint->address, &outgoing->remote) ||
            !lending_has_room(endpoint, outgoing->aside) || !is_own(context, outgoing, endpoint))
                return;
        candidates->endpoints[candidates->n] = endpoint;
        candidates->items[candidates->n++] = (OriginCandidate){ &endpoint->address, endpoint->id };
}

/* What the caller's process holds; or, where that is not known, its connection. Returns 0 or -ENOMEM. */
static int gather(const Context *context, const Outgoing *outgoing, Candidates *ret) {
        const LeaseClient *client = lease_client_find(&context->services->leases, context->subject);
        const Lease *lease;
        size_t n = 0;

        if (client)
                LIST_FOREACH (lease, &client->leases, by_client)
                        n++;
        else
                LIST_FOREACH (lease, &context->connection->leases, by_owner)
                        n++;
        *ret = (Candidates){
                .items = message_allocate(context->message, n * sizeof(*ret->items)),
                .endpoints = message_allocate(context->message, n * sizeof(Endpoint *)),
        };
        if (!ret->items || !ret->endpoints)
                return error_origin(-ENOMEM);
        if (client)
                LIST_FOREACH (lease, &client->leases, by_client)
                        consider(context, outgoing, lease->member->endpoint, ret);
        else
                LIST_FOREACH (lease, &context->connection->leases, by_owner)
                        consider(context, outgoing, lease->member->endpoint, ret);
        return 0;
}

static Endpoint *find_at(const Context *context, const Outgoing *outgoing, const Address *address) {
        char key[ENDPOINT_KEY_MAX];

        return endpoint_find(&context->services->endpoints,
                             endpoint_key_in(outgoing->wanted.network_namespace, address, key));
}

/* A datagram socket at a wildcard comes to be, once it is connected, where there may be such a group. */
static bool may_come_from(const Context *context, Outgoing *outgoing, Endpoint *endpoint) {
        const Address *local = &outgoing->wanted.address;
        Endpoint *neighbour;
        Address source;

        if (!lending_has_room(endpoint, outgoing->aside))
                return false;
        outgoing->beside = endpoint;
        if (local->transport != TRANSPORT_UDP || !address_is_wildcard(local) ||
            !origin_route(outgoing->wanted.network_namespace, &outgoing->remote, &source))
                return true;
        address_set_port(&source, address_port(local));
        neighbour = find_at(context, outgoing, &source);
        if (neighbour)
                outgoing->beside = neighbour;
        return lending_has_room(outgoing->beside, outgoing->aside);
}

/* Chooses among what the caller has. */
static int choose(Context *context, Outgoing *outgoing) {
        Candidates candidates;
        uint64_t random = 0;
        size_t chosen;
        int r = gather(context, outgoing, &candidates);

        if (r < 0)
                return error_trace(r);
        /* Without, it is always the same one. */
        if (candidates.n > 0)
                (void)!getrandom(&random, sizeof(random), 0);
        r = origin_choose(candidates.items, candidates.n, &outgoing->remote,
                          outgoing->wanted.network_namespace, origin_route, random, &chosen);
        if (r == ORIGIN_E_UNDIALABLE)
                return refuse_address(context, outgoing->in->remote_address,
                                      "undialable: no host answers to it by this address alone");
        if (r == 0) {
                origin_bind_address(candidates.items[chosen].address, &outgoing->remote,
                                    &outgoing->wanted.address);
                if (may_come_from(context, outgoing, candidates.endpoints[chosen]))
                        return come_from(context, outgoing, candidates.endpoints[chosen]);
        }
        set_unbound(outgoing);
        return come_from_anywhere(context, outgoing);
}

/* The endpoint that has what comes to @local: the one there, else at the wildcard of its family, else of
 * both. */
static Endpoint *find_serving(const Context *context, const Outgoing *outgoing) {
        const Address *local = &outgoing->wanted.address;
        Address wildcard = { .transport = local->transport, .ipv6_only = local->ipv6_only };
        Endpoint *endpoint = find_at(context, outgoing, local);

        if (endpoint)
                return endpoint;
        wildcard.u.sa.sa_family = (sa_family_t)address_family(local);
        wildcard.len = local->len;
        address_set_port(&wildcard, address_port(local));
        endpoint = find_at(context, outgoing, &wildcard);
        if (endpoint)
                return endpoint;
        memset(&wildcard.u, 0, sizeof(wildcard.u));
        wildcard.ipv6_only = false;
        wildcard.u.sa.sa_family = AF_INET6;
        wildcard.len = sizeof(wildcard.u.in6);
        address_set_port(&wildcard, address_port(local));
        return find_at(context, outgoing, &wildcard);
}

static int refuse_local(Context *context, const char *reason) {
        return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                      &(ErrorParameters){ .feature = "localAddress", .reason = reason });
}

/* From where the call says: of nobody's or of its own tenant's. */
static int obey(Context *context, Outgoing *outgoing) {
        const Address *local = &outgoing->wanted.address;
        const EndpointRegistry *endpoints = &context->services->endpoints;
        Endpoint *endpoint;
        PolicyVerdict verdict;
        int r;

        if (address_port(local) == 0)
                return come_from_anywhere(context, outgoing);
        endpoint = find_serving(context, outgoing);
        if (endpoint && is_own(context, outgoing, endpoint))
                return !may_come_from(context, outgoing, endpoint)
                               ? refuse_local(context,
                                              "there is no room for a connected socket beside "
                                              "datagram sockets that share an address: of IPv4 it "
                                              "takes Linux 6.13, and IPv6; of IPv6, steering")
                               : come_from(context, outgoing, endpoint);
        judge_socket(policy_of(context), context->subject, local, SHARING_EXCLUSIVE,
                     outgoing->wanted.rights, outgoing->wanted.namespace_path, &verdict);
        r = take_verdict(context, outgoing, local, &verdict);
        if (r != 0)
                return r;
        if (endpoint && endpoint->passed)
                return refuse_local(context, "the socket there is the service manager's, and lets none "
                                             "of the broker's beside it");
        if (!endpoint)
                endpoint = overlap_find_in(endpoints, outgoing->wanted.network_namespace, local,
                                           &verdict.tenant);
        return endpoint ? refuse_in_use(context, endpoint_address_text(endpoint), endpoint) : 0;
}

/* ---- the socket ---------------------------------------------------------------------------------- */

static int refuse_dial(Context *context, const Outgoing *outgoing, int outcome,
                       const SocketFailure *failure) {
        const Address *local = &outgoing->wanted.address;
        char text[ADDRESS_TEXT_MAX];

        address_format(local, text);
        switch (outcome) {
        case SOCKET_FACTORY_E_IN_USE:
                return refuse_in_use(context, text,
                                     address_port(local) > 0 && !outgoing->endpoint
                                             ? overlap_find_in(&context->services->endpoints,
                                                               outgoing->wanted.network_namespace, local,
                                                               NULL)
                                             : NULL);
        case SOCKET_FACTORY_E_NOT_LOCAL:
                return refuse(context, WIRE_ERROR_ADDRESS_UNAVAILABLE,
                              &(ErrorParameters){ .address = text });
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

/* Makes the socket, which is the caller's, and says what it is bound to. */
static int open_dial(Context *context, const Outgoing *outgoing, int *ret_fd, Address *ret_bound) {
        Endpoint *endpoint = outgoing->endpoint;
        bool steered = endpoint && group_is_steered(endpoint);
        const DialSpec spec = {
                .network_namespace = outgoing->wanted.network_namespace,
                .local = outgoing->wanted.address,
                .remote = &outgoing->remote,
                .options = outgoing->in->options,
                .unbound = outgoing->unbound,
                .reuse = endpoint != NULL,
                .aside = endpoint && outgoing->aside,
                .uid = context->subject->uid,
                .gid = context->subject->gid,
                .announce = steered ? group_announce : NULL,
                .userdata = endpoint,
        };
        SocketFailure failure;
        int r = endpoint ? lending_open(endpoint, outgoing->aside) : 0;

        if (r < 0)
                return refuse_failure(context, "setsockopt", NULL, -r);
        if (outgoing->beside)
                r = lending_anchor(outgoing->beside);
        if (r != 0)
                return refuse_steering(context, "localAddress", r);
        r = socket_factory_dial(&spec, ret_fd, ret_bound, &failure);
        if (r == SOCKET_FACTORY_E_IN_USE && endpoint) {
                r = lending_open_neighbours(&context->services->endpoints, &endpoint->tenant,
                                            spec.network_namespace, &spec.local, outgoing->aside);
                if (r < 0)
                        return refuse_failure(context, "setsockopt", NULL, -r);
                r = socket_factory_dial(&spec, ret_fd, ret_bound, &failure);
        }
        return r == 0 ? 0 : refuse_dial(context, outgoing, r, &failure);
}

static int answer(Context *context, const Outgoing *outgoing, int fd, const Address *bound) {
        char network[NETWORK_TEXT_MAX], local[ADDRESS_TEXT_MAX], text[ID_TEXT_MAX];
        socklen_t size = sizeof(uint64_t);
        uint64_t cookie;

        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
                return refuse_failure(context, "getsockopt", NULL, errno);
        id_format_decimal(cookie, text);
        return context_reply(
                context,
                &(DialOut){
                        .socket_file_descriptor = 0,
                        .cookie = text,
                        .network = address_network(bound, network),
                        .local_address = outgoing->unbound ? NULL : address_format(bound, local),
                        .reused = (Tristate)(outgoing->endpoint != NULL),
                });
}

/* The audit is told of those that are seen to come from somewhere; any other is as everybody's. */
static void tell(const Context *context, const Outgoing *outgoing, const Address *bound) {
        const Endpoint *endpoint = outgoing->endpoint;
        const EventRequest request = {
                .address = bound,
                .remote = &outgoing->remote,
                .sharing = outgoing->wanted.sharing,
                .name = endpoint ? endpoint->name : NULL,
                .network_namespace = outgoing->wanted.namespace_path,
        };

        if (outgoing->unbound)
                return;
        event_hub_emit(&context->services->hub, &(Event){ .what = "dialled",
                                                          .endpoint = endpoint,
                                                          .subject = context->subject,
                                                          .request = &request,
                                                          .rule = rule_name(outgoing->wanted.rule),
                                                          .audit_only = true });
}

static int dial(Context *context, const Outgoing *outgoing) {
        _cleanup_(charge_deinit) Charge charge = {};
        _cleanup_(fd_closep) int fd = -1;
        Address bound;
        int r;

        /* Policy gave what policy_may_enter() said it never would. */
        if (outgoing->wanted.namespace_path && !outgoing->wanted.network_namespace)
                return error_origin(-ENOTRECOVERABLE);
        /* For as long as the broker has it. */
        r = user_charge(context->user, RESOURCE_DESCRIPTORS, 1, &charge);
        if (r != 0)
                return refuse_quota(context, &outgoing->wanted, RESOURCE_DESCRIPTORS, r);
        r = open_dial(context, outgoing, &fd, &bound);
        if (r == 0)
                r = answer(context, outgoing, fd, &bound);
        if (r != 0 || !context->answered)
                return r;
        context->fds = FDLIST_GIVING;
        r = fdlist_add(&context->fds, fd_take(&fd));
        if (r == 0)
                tell(context, outgoing, &bound);
        return error_trace(r);
}

int method_dial(Context *context, const void *p) {
        Outgoing *outgoing;
        int r;

        if (context->silent)
                return 0; /* nobody would ever receive it */
        outgoing = message_allocate(context->message, sizeof(*outgoing));
        if (!outgoing)
                return error_origin(-ENOMEM);
        *outgoing = (Outgoing){ .in = p };
        outgoing->request = (SocketRequest){ .network = outgoing->in->network,
                                             .address = outgoing->in->remote_address,
                                             .network_namespace = outgoing->in->network_namespace };
        outgoing->wanted.request = &outgoing->request;
        outgoing->wanted.sharing = SHARING_EXCLUSIVE;
        r = check_form(context, outgoing);
        if (r == 0 && outgoing->in->local_address && !outgoing->unbound)
                r = obey(context, outgoing);
        else if (r == 0 && outgoing->unbound)
                r = come_from_anywhere(context, outgoing);
        else if (r == 0)
                r = choose(context, outgoing);
        if (r == 0)
                r = dial(context, outgoing);
        return r < 0 ? error_trace(r) : 0;
}
