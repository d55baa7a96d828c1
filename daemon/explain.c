/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Explain: what policy would say, and why. It goes the way of Acquire as far as the decision, so that
 * both say the same, and makes nothing.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/describe.h"
#include "daemon/judge.h"
#include "daemon/methods.h"
#include "daemon/overlap.h"
#include "daemon/place.h"
#include "daemon/refusal.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

/* Whom the question is about: the caller, or somebody without a connection, of whom no more is known. */
static int explain_subject(Context *context, const ExplainIn *in, PolicySubject *ret) {
        const Subject *caller = context->subject;
        const int64_t *gids = in->gids.items;
        gid_t *groups;

        *ret = judge_subject(caller);
        if (in->uid == WIRE_ABSENT && in->gids.n == 0)
                return 0;
        if (caller->uid != 0 && caller->uid != geteuid())
                return refuse(context, WIRE_ERROR_PERMISSION_DENIED, NULL);
        /* The highest number means "nobody" to the kernel. */
        if (in->uid != WIRE_ABSENT && (in->uid < 0 || in->uid >= UINT32_MAX))
                return refuse(context, WIRE_ERROR_INVALID_PARAMETER,
                              &(ErrorParameters){ .parameter = "uid" });
        groups = message_allocate(context->message, in->gids.n * sizeof(*groups));
        if (!groups)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < in->gids.n; i++) {
                if (gids[i] < 0 || gids[i] >= UINT32_MAX)
                        return refuse(context, WIRE_ERROR_INVALID_PARAMETER,
                                      &(ErrorParameters){ .parameter = "gids" });
                groups[i] = (gid_t)gids[i];
        }
        *ret = (PolicySubject){
                .uid = in->uid != WIRE_ABSENT ? (uid_t)in->uid : caller->uid,
                .gid = in->gids.n > 0 ? groups[0] : (gid_t)-1,
                .groups = groups,
                .n_groups = in->gids.n,
        };
        return 0;
}

/* Decides of the address as it is; of a port that is not fixed, of the first that is given. Returns 0 or
 * -ENOMEM. */
static int explain_decide(const Policy *policy, PolicyQuery *query, Address *address, PortPool *ports,
                          PolicyVerdict *ret) {
        uint16_t first = address->port_first, last = address->port_last;
        size_t n_pool = port_pool_size(ports);
        size_t n = first > 0                 ? (size_t)(last - first) + 1
                   : n_pool < PORT_RANGE_MAX ? n_pool
                                             : PORT_RANGE_MAX;
        _cleanup_(policy_shortlist_deinit) PolicyShortlist rules = {};
        int r;

        query->address = address;
        if (!address_has_port(address) || (first > 0 && first == last)) {
                policy_decide(policy, query, ret);
                return 0;
        }
        r = policy_shortlist(policy, query, &rules);
        if (r < 0)
                return error_trace(r);
        *ret = (PolicyVerdict){};
        port_pool_begin(ports, NULL);
        for (size_t i = 0; i < n && !ret->allowed; i++) {
                address_set_port(address, first > 0 ? (uint16_t)(first + i) : port_pool_next(ports));
                policy_shortlist_decide(&rules, ret);
        }
        return 0;
}

/* Policy is not all that can be in the way of @uid. Appends who is. */
static void explain_holder(const Context *context, uid_t uid, const Wanted *wanted,
                           const PolicyVerdict *verdict, char reason[static POLICY_REASON_MAX]) {
        const EndpointRegistry *registry = &context->services->endpoints;
        const Namespace *network_namespace = wanted->network_namespace;
        char key[ENDPOINT_KEY_MAX], text[TENANT_TEXT_MAX];
        const Endpoint *endpoint =
                endpoint_find(registry, endpoint_key_in(network_namespace, &wanted->address, key));
        size_t n = strlen(reason);

        if (!endpoint || judge_may_join(context->services->config->policy, endpoint, uid, verdict))
                endpoint =
                        overlap_find_in(registry, network_namespace, &wanted->address, &verdict->tenant);
        if (endpoint)
                snprintf(reason + n, POLICY_REASON_MAX - n, "; it is in use now, at %s by %s",
                         endpoint_address_text(endpoint), tenant_text(&endpoint->tenant, text));
}

/* Appends where the name is in use, which is where an Acquire would join. */
static void explain_name(const Endpoint *named, char reason[static POLICY_REASON_MAX]) {
        size_t n = strlen(reason);

        snprintf(reason + n, POLICY_REASON_MAX - n, "; \"%s\" is the name of %s now", named->name,
                 endpoint_address_text(named));
}

int method_explain(Context *context, const void *p) {
        const Policy *policy = context->services->config->policy;
        const ExplainIn *in = p;
        char reason[POLICY_REASON_MAX];
        PolicySubject subject;
        PolicyVerdict verdict;
        PolicyQuery query;
        const Endpoint *named;
        Wanted wanted;
        bool known;
        int r;

        r = wanted_look(context, in->request, REFUSE_NO_INDEX, &wanted);
        if (r == 0)
                r = explain_subject(context, in, &subject);
        if (r != 0)
                return r < 0 ? error_trace(r) : 0;
        query = (PolicyQuery){ .subject = &subject,
                               .sharing = wanted.sharing,
                               .rights = wanted.rights,
                               .network_namespace = wanted.namespace_path };
        /* Where the broker has nothing, nobody has anything of it. */
        known = !wanted.namespace_path || wanted.network_namespace;
        named = known ? place_find_named(context, &subject, &wanted) : NULL;
        if (named)
                wanted.address = named->address;
        r = explain_decide(policy, &query, &wanted.address, wanted_ports(context, &wanted), &verdict);
        if (r < 0)
                return error_trace(r);
        policy_explain(policy, &query, &verdict, reason);
        if (named)
                explain_name(named, reason);
        else if (verdict.allowed && known)
                explain_holder(context, subject.uid, &wanted, &verdict, reason);
        return context_reply(context,
                             &(ExplainOut){
                                     .allowed = (Tristate)verdict.allowed,
                                     .rule = verdict.rule ? rule_name(verdict.rule) : NULL,
                                     .reason = reason,
                                     .file = verdict.rule ? rule_file(verdict.rule) : NULL,
                                     .line = verdict.rule && rule_line(verdict.rule) > 0
                                                     ? rule_line(verdict.rule)
                                                     : WIRE_ABSENT,
                                     .tenant = verdict.tenant.name[0] ? verdict.tenant.name : NULL,
                             });
}
