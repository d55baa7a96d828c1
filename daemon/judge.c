/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An endpoint is judged by whoever made it: that client's rule says whose it is and who shares it, by
 * the rules in force, not by those it was made under.
 */

#include "daemon/judge.h"

#include <unistd.h>

#include "daemon/lease.h"

PolicySubject judge_subject(const Subject *subject) {
        return (PolicySubject){
                .uid = subject->uid,
                .gid = subject->gid,
                .groups = subject->groups,
                .n_groups = subject->n_groups,
                .cgroup = subject->cgroup,
                .label = subject->label,
        };
}

void judge_socket(const Policy *policy, const Subject *subject, const Address *address, Sharing sharing,
                  unsigned rights, const char *network_namespace, PolicyVerdict *ret) {
        PolicySubject who = judge_subject(subject);

        policy_decide(policy,
                      &(PolicyQuery){ .subject = &who,
                                      .address = address,
                                      .sharing = sharing,
                                      .rights = rights,
                                      .network_namespace = network_namespace },
                      ret);
}

void judge_outgoing(const Policy *policy, const Subject *subject, const Address *address,
                    unsigned rights, const char *network_namespace, PolicyVerdict *ret) {
        PolicySubject who = judge_subject(subject);

        policy_decide_outgoing(policy,
                               &(PolicyQuery){ .subject = &who,
                                               .address = address,
                                               .sharing = SHARING_EXCLUSIVE,
                                               .rights = rights,
                                               .network_namespace = network_namespace },
                               ret);
}

bool judge_is_own(const Policy *policy, const Endpoint *endpoint, const Subject *subject,
                  const char *network_namespace) {
        PolicyVerdict verdict;

        if (endpoint->passed)
                return false;
        judge_socket(policy, subject, &endpoint->address, endpoint->sharing, 0, network_namespace,
                     &verdict);
        return verdict.allowed && tenant_equal(&endpoint->tenant, &verdict.tenant);
}

/* What the rules say of whoever made the endpoint. */
static void judge_maker(const Policy *policy, const Endpoint *endpoint, PolicyVerdict *ret) {
        judge_socket(policy, endpoint->maker, &endpoint->address, endpoint->sharing,
                     policy_rights_of(endpoint->requested),
                     endpoint->network_namespace ? endpoint->network_namespace->path : NULL, ret);
}

bool judge_may_join(const Policy *policy, const Endpoint *endpoint, uid_t uid,
                    const PolicyVerdict *verdict) {
        PolicyVerdict maker;

        if (endpoint->passed || tenant_equal(&endpoint->tenant, &verdict->tenant))
                return true;
        judge_maker(policy, endpoint, &maker);
        return maker.allowed && rule_shares(maker.rule, uid, &verdict->tenant);
}

bool judge_sees_all(const Policy *policy, const Subject *subject) {
        PolicySubject who = judge_subject(subject);

        return subject->uid == 0 || subject->uid == geteuid() || policy_may_observe(policy, &who);
}

bool judge_sees(const Policy *policy, const Subject *subject, const Endpoint *endpoint) {
        PolicySubject who = judge_subject(subject);
        const Member *member;
        const Lease *lease;

        if (subject->uid == endpoint->maker->uid || judge_sees_all(policy, subject) ||
            policy_has_tenant(policy, &who, &endpoint->tenant))
                return true;
        TAILQ_FOREACH (member, &endpoint->members, entry)
                LIST_FOREACH (lease, &member->leases, by_member)
                        if (lease->subject->uid == subject->uid)
                                return true;
        return false;
}

void judge_tenants(const Policy *policy, const EndpointRegistry *registry) {
        PolicyVerdict verdict;

        for (Endpoint *endpoint = registry->by_key; endpoint; endpoint = endpoint->hh.next) {
                if (endpoint->passed)
                        continue;
                judge_maker(policy, endpoint, &verdict);
                /* What it would not be given today it has all the same, as whose it was. */
                if (!verdict.allowed || tenant_equal(&endpoint->tenant, &verdict.tenant))
                        continue;
                endpoint->tenant = verdict.tenant;
                endpoint_touch(endpoint);
        }
}
