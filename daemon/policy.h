/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * May this subject have this socket? Rules are tried in order; the first that covers the request
 * decides; nothing matching denies, root included. Pure: no descriptor, no clock, no logging.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/rule.h"
#include "proto/wire.h"

typedef struct Policy Policy;

enum {
        POLICY_REASON_MAX = 1024,
        /* Rules that a reason tells of beside the one that decides. */
        POLICY_NEAREST_MAX = 3,
};

typedef struct PolicyVerdict {
        bool allowed;
        /* The rule that decided, NULL when none covers the request. Belongs to the policy. */
        const Rule *rule;
        /* Whose the socket is; of a verdict that allows. */
        Tenant tenant;
} PolicyVerdict;

/* Decides @query. Never fails. */
void policy_decide(const Policy *policy, const PolicyQuery *query, PolicyVerdict *ret);

/*
 * Decides of a socket that only goes out: its port is the kernel's choice, and, where the address is a
 * wildcard, so is that. What a granting rule says of either, or of sharing, is not asked; all else is.
 */
void policy_decide_outgoing(const Policy *policy, const PolicyQuery *query, PolicyVerdict *ret);

/*
 * The rules that can decide of a query whatever its port is, so that of many ports no more is asked than
 * the port. It borrows the policy and the query.
 */
typedef struct PolicyShortlist {
        const PolicyQuery *query;
        const Rule **rules;
        size_t n;
} PolicyShortlist;

/* Of @query at an IP address. Returns 0 with *@ret to be ended by policy_shortlist_deinit(), or
 * -ENOMEM. */
int policy_shortlist(const Policy *policy, const PolicyQuery *query, PolicyShortlist *ret);

void policy_shortlist_deinit(PolicyShortlist *list);

/* As policy_decide(), with the port that the address of the query has by now. */
void policy_shortlist_decide(const PolicyShortlist *list, PolicyVerdict *ret);

/*
 * Says for people why @query was decided so: the rule with its file and line, and what keeps the rules
 * that came nearest, but were passed over, from covering it. Returns @buffer.
 */
const char *policy_explain(const Policy *policy, const PolicyQuery *query, const PolicyVerdict *verdict,
                           char buffer[static POLICY_REASON_MAX]);

/* What the rules, taken together, ask the kernel about a client: its control group, its label. */
bool policy_asks_cgroup(const Policy *policy);
bool policy_asks_label(const Policy *policy);

/* Whether @subject may list and watch everything. */
bool policy_may_observe(const Policy *policy, const PolicySubject *subject);

/* Whether some rule makes @subject one of the users of a tenant that has a name. */
bool policy_has_tenant(const Policy *policy, const PolicySubject *subject, const Tenant *tenant);

/* Whether the files of some paths are to belong to others: SocketUser=, SocketGroup=. */
bool policy_gives_files(const Policy *policy);

/* Whether somebody can have sockets of raw IP. */
bool policy_gives_raw_ip(const Policy *policy);

/* Whether somebody can have sockets in other network namespaces than the broker's own. */
bool policy_gives_namespaces(const Policy *policy);

/*
 * Whether @subject could be given anything in the one at @path. If not, it is not to learn whether there
 * is one: policy_decide() refuses it, whatever is asked for.
 */
bool policy_may_enter(const Policy *policy, const PolicySubject *subject, const char *path);

/* The rights that somebody can have: those of all granting rules. */
unsigned policy_rights_given(const Policy *policy);

/* The rights that @options need; NULL needs none. */
unsigned policy_rights_of(const Options *options);

/* An empty policy, which denies everything. Owned by the caller; policy_free() takes NULL,
 * returns NULL. */
Policy *policy_new(void);
Policy *policy_free(Policy *policy);

/* Building, used by the configuration. Adds a new rule at the end; see rule_new(). Returns 0, or
 * -ENOMEM. */
int policy_add_rule(Policy *policy, const char *name, const char *file, unsigned line, Rule **ret);

size_t policy_count_rules(const Policy *policy);

/* The rule of that name, or NULL. */
const Rule *policy_find_rule(const Policy *policy, const char *name);

/*
 * Once all rules are there: whom they share with. On RULE_E_VALUE_INVALID *@ret_rule is the rule at
 * fault, and *@ret_reason a malloc'ed text, the caller's. Returns 0, RULE_E_VALUE_INVALID, or -ENOMEM.
 */
int policy_resolve(Policy *policy, const Rule **ret_rule, char **ret_reason);

/* A rule that gives @uid everything: what a broker without configuration uses. Returns 0, or -ENOMEM. */
int policy_add_own(Policy *policy, uid_t uid);
