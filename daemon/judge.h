/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Puts the broker's clients and endpoints before the policy, which knows of neither: who may have a
 * socket, whose it is, who may share it, who may see it.
 */

#include "daemon/endpoint.h"
#include "daemon/policy.h"
#include "daemon/subject.h"

/* As the policy sees a client. Borrows @subject. */
PolicySubject judge_subject(const Subject *subject);

/* May @subject have a socket like this? @network_namespace: its path; NULL: the broker's own. */
void judge_socket(const Policy *policy, const Subject *subject, const Address *address, Sharing sharing,
                  unsigned rights, const char *network_namespace, PolicyVerdict *ret);

/* May @subject have a socket that only goes out, from @address? See policy_decide_outgoing().
 * @network_namespace: as above. */
void judge_outgoing(const Policy *policy, const Subject *subject, const Address *address,
                    unsigned rights, const char *network_namespace, PolicyVerdict *ret);

/*
 * Whether the endpoint is @subject's tenant's, by the rules in force: only that tenant's connections
 * come from there. Those of a .socket unit are nobody's. @network_namespace: by which path @subject has
 * come to it; NULL: it is in the broker's own.
 */
bool judge_is_own(const Policy *policy, const Endpoint *endpoint, const Subject *subject,
                  const char *network_namespace);

/*
 * May @uid, to whom @verdict gives the address, join those who have the endpoint? It belongs to its
 * tenant, to one that the rule of whoever made it shares with, or, of a .socket unit, to everybody.
 */
bool judge_may_join(const Policy *policy, const Endpoint *endpoint, uid_t uid,
                    const PolicyVerdict *verdict);

/* May @subject see everything: root, the broker's own user, and whom the rules name. */
bool judge_sees_all(const Policy *policy, const Subject *subject);

/* May @subject see the endpoint: as who sees all, made it, is of its tenant or holds a lease of it. */
bool judge_sees(const Policy *policy, const Subject *subject, const Endpoint *endpoint);

/* After a change of the policy: whose the endpoints are now. */
void judge_tenants(const Policy *policy, const EndpointRegistry *registry);
