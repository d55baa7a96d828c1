/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Where a socket that is asked for goes: to the endpoint of its name, to the one at its address, or to a
 * new one, at a port that policy gives and nobody has. Policy is asked about the very port, each time.
 */

#include "daemon/place.h"

#include <string.h>

#include "daemon/clock.h"
#include "daemon/join.h"
#include "daemon/judge.h"
#include "daemon/overlap.h"
#include "daemon/refusal.h"
#include "daemon/repair.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

enum {
        /* Beside JOIN_E_TAKEN: policy does not give the port, which another may be. */
        PLACE_E_DENIED = 3,
};

static const Policy *policy_of(const Context *context) {
        return context->services->config->policy;
}

static void place_judge(const Context *context, const Wanted *wanted, const Address *address,
                        PolicyVerdict *ret) {
        judge_socket(policy_of(context), context->subject, address, wanted->sharing, wanted->rights,
                     wanted->namespace_path, ret);
}

int place_under_rule(Context *context, Wanted *wanted, const PolicyVerdict *verdict) {
        Rate rate = rule_rate(verdict->rule);
        int r;

        wanted->tenant = verdict->tenant;
        rule_socket_file(verdict->rule, &wanted->file);
        if (wanted->rule == verdict->rule)
                return 0;
        wanted->rule = verdict->rule;
        r = user_take(context->user, rule_name(verdict->rule), rate, clock_usec(CLOCK_MONOTONIC));
        if (r == ACCOUNT_E_RATE)
                return refuse_rule(context, wanted, "requests in its time by", rate.n);
        return error_fold(r);
}

/* Tries wanted->address as it is, with its port. JOIN_E_TAKEN if somebody else has it. */
static int place_at(Context *context, const LeaseTerms *terms, Wanted *wanted) {
        char key[ENDPOINT_KEY_MAX];
        Endpoint *endpoint =
                endpoint_find(&context->services->endpoints,
                              endpoint_key_in(wanted->network_namespace, &wanted->address, key));
        PolicyVerdict verdict;
        int r;

        place_judge(context, wanted, &wanted->address, &verdict);
        if (!verdict.allowed)
                return refuse_denied(context, wanted, &wanted->address, &verdict);
        r = place_under_rule(context, wanted, &verdict);
        if (r != 0)
                return r;
        if (!endpoint)
                return join_new_endpoint(context, terms, wanted, false);
        if (!judge_may_join(policy_of(context), endpoint, context->subject->uid, &verdict))
                return refuse_in_use(context, endpoint_address_text(endpoint), endpoint);
        if (repair_moved(endpoint))
                return join_new_endpoint(context, terms, wanted, false);
        return join_existing(context, terms, wanted, endpoint);
}

/*
 * The port of its leader, which was just found to be unused; nobody may have it here, either. Returns
 * also JOIN_E_TAKEN, and PLACE_E_DENIED with *@ret.
 */
static int place_follower(Context *context, const LeaseTerms *terms, Wanted *wanted, uint16_t port,
                          PolicyVerdict *ret) {
        char key[ENDPOINT_KEY_MAX];
        int r;

        address_set_port(&wanted->address, port);
        place_judge(context, wanted, &wanted->address, ret);
        if (!ret->allowed)
                return PLACE_E_DENIED;
        r = place_under_rule(context, wanted, ret);
        if (r != 0)
                return r;
        if (endpoint_find(&context->services->endpoints,
                          endpoint_key_in(wanted->network_namespace, &wanted->address, key)))
                return JOIN_E_TAKEN;
        return join_new_endpoint(context, terms, wanted, true);
}

/* All of them, or none, and the leader is undone as well. Returns as place_follower(). */
static int place_followers(Context *context, const LeaseTerms *terms, Wanted *leader,
                           Wanted **ret_denied, PolicyVerdict *ret_verdict) {
        Wanted *follower;
        int r = 0;

        for (follower = leader->followers; follower && r == 0; follower = follower->next_follower) {
                r = place_follower(context, terms, follower, address_port(&leader->address),
                                   ret_verdict);
                if (r == PLACE_E_DENIED)
                        *ret_denied = follower;
        }
        if (r != JOIN_E_TAKEN && r != PLACE_E_DENIED)
                return r;
        for (follower = leader->followers; follower; follower = follower->next_follower)
                join_undo(follower);
        join_undo(leader);
        return r;
}

/* Of the ports of its range how many are of no use, as was found for the same before it. */
static size_t place_ports_known(const Wanted *wanted) {
        const Wanted *before = wanted->before;

        if (!before || strcmp(before->request->network, wanted->request->network) != 0 ||
            strcmp(before->request->address, wanted->request->address) != 0 ||
            before->address.ipv6_only != wanted->address.ipv6_only ||
            before->sharing != wanted->sharing || before->rights != wanted->rights ||
            before->network_namespace != wanted->network_namespace)
                return 0;
        return before->n_ports_passed;
}

/* Of the @n ports that may be chosen, one after the other, as policy_shortlist_decide() says. */
static int place_at_one_of(Context *context, const LeaseTerms *terms, Wanted *wanted, size_t n,
                           const PolicyShortlist *rules) {
        uint16_t first = wanted->address.port_first;
        const size_t n_known = place_ports_known(wanted);
        char key[ENDPOINT_KEY_MAX];
        PolicyVerdict verdict, denial;
        Wanted *denied = NULL;
        bool allowed = n_known > 0;
        int r;

        port_pool_begin(wanted_ports(context, wanted), context->services->endpoints.n_at_port);
        for (size_t i = n_known; i < n && context->n_port_tries < PORT_TRIES_MAX; i++) {
                address_set_port(&wanted->address,
                                 first > 0 ? (uint16_t)(first + i)
                                           : port_pool_next(wanted_ports(context, wanted)));
                policy_shortlist_decide(rules, &verdict);
                if (!verdict.allowed)
                        continue;
                allowed = true;
                r = place_under_rule(context, wanted, &verdict);
                if (r != 0)
                        return r;
                if (endpoint_find(&context->services->endpoints,
                                  endpoint_key_in(wanted->network_namespace, &wanted->address, key)))
                        continue;
                r = join_new_endpoint(context, terms, wanted, true);
                if (r == 0)
                        r = place_followers(context, terms, wanted, &denied, &denial);
                if (r != JOIN_E_TAKEN && r != PLACE_E_DENIED) {
                        wanted->n_ports_passed = first > 0 ? i + 1 : 0;
                        return r;
                }
                context->n_port_tries++;
        }
        if (denied)
                return refuse_denied(context, denied, &denied->address, &denial);
        if (!allowed && n > 0 && context->n_port_tries < PORT_TRIES_MAX)
                return refuse_denied(context, wanted, &wanted->address, &verdict);
        return refuse_in_use(context, wanted->request->address, NULL);
}

/* Chooses a port: the first of a range, or of the ephemeral ones, that policy gives and nobody has. */
static int place_at_any_port(Context *context, const LeaseTerms *terms, Wanted *wanted) {
        uint16_t first = wanted->address.port_first, last = wanted->address.port_last;
        size_t n_pool = port_pool_size(wanted_ports(context, wanted));
        size_t n_any = n_pool < PORT_RANGE_MAX ? n_pool : PORT_RANGE_MAX;
        PolicySubject who = judge_subject(context->subject);
        const PolicyQuery query = { .subject = &who,
                                    .address = &wanted->address,
                                    .sharing = wanted->sharing,
                                    .rights = wanted->rights,
                                    .network_namespace = wanted->namespace_path };
        _cleanup_(policy_shortlist_deinit) PolicyShortlist rules = {};
        int r = policy_shortlist(policy_of(context), &query, &rules);

        if (r < 0)
                return error_trace(r);
        return place_at_one_of(context, terms, wanted, first > 0 ? (size_t)(last - first) + 1 : n_any,
                               &rules);
}

static bool place_is_anywhere(const Address *address) {
        if (address_is_vsock(address))
                return address->u.vm.svm_cid == VMADDR_CID_ANY &&
                       address->u.vm.svm_port == VMADDR_PORT_ANY;
        return address_has_port(address) && address_is_wildcard(address) && address->port_first == 0;
}

/* Whether the address asked for may be that of @endpoint: port 0 or a range stands for any of
 * its ports. */
static bool place_fits(const Wanted *wanted, const Endpoint *endpoint) {
        uint16_t port = address_port(&endpoint->address);
        Address at = wanted->address;
        char key[ENDPOINT_KEY_MAX];

        if (wanted->network_namespace != endpoint->network_namespace)
                return false;
        /* Who asks by name alone need not know where the unit listens. */
        if (endpoint->passed && place_is_anywhere(&at))
                return at.transport == endpoint->address.transport;
        if (address_has_port(&at) &&
            (at.port_first == 0 || (port >= at.port_first && port <= at.port_last)))
                address_set_port(&at, port);
        if (address_is_vsock(&at) && at.u.vm.svm_port == VMADDR_PORT_ANY &&
            address_is_vsock(&endpoint->address))
                at.u.vm.svm_port = endpoint->address.u.vm.svm_port;
        return strcmp(endpoint_key_in(wanted->network_namespace, &at, key), endpoint->key) == 0;
}

Endpoint *place_find_named(const Context *context, const PolicySubject *who, const Wanted *wanted) {
        PolicyQuery query = { .subject = who,
                              .sharing = wanted->sharing,
                              .rights = wanted->rights,
                              .network_namespace = wanted->namespace_path };
        Endpoint *endpoint, *shared = NULL;
        PolicyVerdict verdict;

        if (!wanted->request->name)
                return NULL;
        endpoint = endpoint_find_named(&context->services->endpoints, wanted->request->name);
        for (; endpoint; endpoint = LIST_NEXT(endpoint, by_name)) {
                if (!place_fits(wanted, endpoint))
                        continue;
                query.address = &endpoint->address;
                policy_decide(policy_of(context), &query, &verdict);
                if (!verdict.allowed)
                        continue;
                if (tenant_equal(&endpoint->tenant, &verdict.tenant))
                        return endpoint;
                if (!shared && judge_may_join(policy_of(context), endpoint, who->uid, &verdict))
                        shared = endpoint;
        }
        return shared;
}

static bool place_is_fixed(const Wanted *wanted) {
        return wanted->address.port_first == wanted->address.port_last &&
               (wanted->address.port_first > 0 || !address_has_port(&wanted->address));
}

/* The kernel chooses a port of vsock, if no endpoint of this name has one. */
static bool place_may_be_named(const Wanted *wanted) {
        return wanted->request->name && address_is_vsock(&wanted->address) &&
               wanted->address.u.vm.svm_port == VMADDR_PORT_ANY;
}

int place_check(Context *context, const Wanted *wanted) {
        PolicyVerdict verdict;

        if (!place_is_fixed(wanted) || place_may_be_named(wanted))
                return 0;
        place_judge(context, wanted, &wanted->address, &verdict);
        return verdict.allowed ? 0 : refuse_denied(context, wanted, &wanted->address, &verdict);
}

int place_socket(Context *context, const LeaseTerms *terms, Wanted *wanted) {
        const PolicySubject who = judge_subject(context->subject);
        Endpoint *named;
        char text[ADDRESS_TEXT_MAX];
        bool fixed;
        int r;

        if (wanted->lease)
                return 0; /* with its leader */
        if (wanted->leader)
                address_set_port(&wanted->address, address_port(&wanted->leader->address));
        fixed = place_is_fixed(wanted);
        named = place_find_named(context, &who, wanted);
        if (named) {
                /* Port 0 or a range under a name in use means the port that name has. */
                wanted->address = named->address;
                fixed = true;
        }
        if (!fixed)
                return place_at_any_port(context, terms, wanted);
        r = place_at(context, terms, wanted);
        if (r == JOIN_E_TAKEN)
                return refuse_in_use(context, address_format(&wanted->address, text),
                                     overlap_find_in(&context->services->endpoints,
                                                     wanted->network_namespace, &wanted->address, NULL));
        return r;
}
