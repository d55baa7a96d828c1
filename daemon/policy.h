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
        POLICY_REASON_MAX = 256,
};

typedef struct PolicyVerdict {
        bool allowed;
        /* The rule that decided, NULL when none covers the request. Belongs to the policy. */
        const Rule *rule;
        /* For people: why not. Empty when allowed. */
        char reason[POLICY_REASON_MAX];
} PolicyVerdict;

/* Decides @query. Never fails. */
void policy_decide(const Policy *policy, const PolicyQuery *query, PolicyVerdict *ret);

/* The rights that @options need; NULL needs none. */
unsigned policy_rights_of(const Options *options);

/* An empty policy, which denies everything. Owned by the caller; policy_free() takes NULL, returns NULL.
 */
Policy *policy_new(void);
Policy *policy_free(Policy *policy);

/* Building, used by the configuration. Adds a new rule at the end; see rule_new(). Returns 0, or
 * -ENOMEM. */
int policy_add_rule(Policy *policy, const char *name, const char *file, unsigned line, Rule **ret);

/* The rule of that name, or NULL. */
const Rule *policy_find_rule(const Policy *policy, const char *name);

/* A rule that gives @uid everything: what a broker without configuration uses. Returns 0, or -ENOMEM. */
int policy_add_own(Policy *policy, uid_t uid);
