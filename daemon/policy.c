/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The list of rules. The first that covers a request decides; without one the answer is no, and the
 * reason names the rule that came nearest, for that is the one to be changed, or the one misread.
 */

#include "daemon/policy.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/error.h"

struct Policy {
        Rule **rules; /* in order; owned */
        size_t n_rules;
};

Policy *policy_new(void) {
        return calloc(1, sizeof(Policy));
}

Policy *policy_free(Policy *policy) {
        if (!policy)
                return NULL;

        for (size_t i = 0; i < policy->n_rules; i++)
                rule_free(policy->rules[i]);
        free(policy->rules);
        free(policy);
        return NULL;
}

int policy_add_rule(Policy *policy, const char *name, const char *file, unsigned line, Rule **ret) {
        _cleanup_(rule_freep) Rule *rule = NULL;
        Rule **rules;
        int r;

        r = rule_new(name, file, line, &rule);
        if (r < 0)
                return error_trace(r);
        rules = reallocarray(policy->rules, policy->n_rules + 1, sizeof(*rules));
        if (!rules)
                return error_origin(-ENOMEM);

        policy->rules = rules;
        *ret = policy->rules[policy->n_rules++] = ptr_take(rule);
        return 0;
}

const Rule *policy_find_rule(const Policy *policy, const char *name) {
        for (size_t i = 0; i < policy->n_rules; i++)
                if (strcmp(rule_name(policy->rules[i]), name) == 0)
                        return policy->rules[i];
        return NULL;
}

int policy_add_own(Policy *policy, uid_t uid) {
        _cleanup_(freep) char *reason = NULL;
        char number[16];
        Rule *rule;
        int r;

        snprintf(number, sizeof(number), "%u", uid);
        r = policy_add_rule(policy, "own", "(built in)", 0, &rule);
        r = r ?: rule_set(rule, "User", number, &reason);
        r = r ?: rule_set(rule, "Options", "*", &reason);
        return error_fold(r);
}

unsigned policy_rights_of(const Options *options) {
        unsigned rights = 0;

        if (!options)
                return 0;
        if (options->mark != WIRE_ABSENT)
                rights |= POLICY_RIGHT_MARK;
        if (options->transparent == true)
                rights |= POLICY_RIGHT_TRANSPARENT;
        if (options->free_bind == true)
                rights |= POLICY_RIGHT_FREE_BIND;
        if (options->bind_to_device && *options->bind_to_device)
                rights |= POLICY_RIGHT_BIND_TO_DEVICE;
        if (options->raw.n > 0)
                rights |= POLICY_RIGHT_RAW;
        if (options->priority != WIRE_ABSENT)
                rights |= POLICY_RIGHT_PRIORITY;
        return rights;
}

/* The granting rule that fails on the least; the first of equals. *@ret_misses: on what. */
static const Rule *policy_nearest(const Policy *policy, const PolicyQuery *query, unsigned *ret_misses) {
        const Rule *nearest = NULL;
        int best = INT_MAX;

        for (size_t i = 0; i < policy->n_rules; i++) {
                unsigned misses;
                int weight;

                if (!rule_allows(policy->rules[i]))
                        continue;
                misses = rule_misses(policy->rules[i], query);
                /* Somebody else's rule is the last to be of help. */
                weight = __builtin_popcount(misses) + (misses & RULE_MISS_SUBJECT ? 100 : 0);
                if (weight < best) {
                        nearest = policy->rules[i];
                        best = weight;
                        *ret_misses = misses;
                }
        }
        return nearest;
}

/* Appends to the reason, cut off where it is full. What comes late is ASCII, so no character is split.
 */
__attribute__((format(printf, 2, 3))) static void verdict_explain(PolicyVerdict *verdict,
                                                                  const char *format, ...) {
        size_t used = strlen(verdict->reason);
        va_list args;

        va_start(args, format);
        vsnprintf(verdict->reason + used, sizeof(verdict->reason) - used, format, args);
        va_end(args);
}

static void verdict_explain_query(PolicyVerdict *verdict, const PolicyQuery *query) {
        char address[ADDRESS_TEXT_MAX];

        verdict_explain(verdict, "uid %u %s %s (%s)", query->subject->uid,
                        address_network(query->address), address_format(query->address, address),
                        wire_sharing[query->sharing]);
}

static void verdict_explain_nearest(PolicyVerdict *verdict, const Policy *policy,
                                    const PolicyQuery *query) {
        char text[RULE_MISS_TEXT_MAX];
        const char *separator = ": ";
        const Rule *nearest;
        unsigned misses = 0;

        verdict_explain(verdict, "no rule gives ");
        verdict_explain_query(verdict, query);
        nearest = policy_nearest(policy, query, &misses);
        if (!nearest) {
                verdict_explain(verdict, "; there is no rule that gives anything");
                return;
        }

        verdict_explain(verdict, "; nearest is rule \"%s\"", rule_name(nearest));
        for (unsigned bit = 1; bit <= misses; bit <<= 1) {
                if (!(misses & bit))
                        continue;
                verdict_explain(verdict, "%s%s", separator,
                                rule_describe_miss(nearest, query, bit, text));
                separator = ", ";
        }
}

void policy_decide(const Policy *policy, const PolicyQuery *query, PolicyVerdict *ret) {
        *ret = (PolicyVerdict){};
        for (size_t i = 0; i < policy->n_rules && !ret->rule; i++)
                if (rule_misses(policy->rules[i], query) == 0)
                        ret->rule = policy->rules[i];

        if (!ret->rule) {
                verdict_explain_nearest(ret, policy, query);
        } else if (!rule_allows(ret->rule)) {
                verdict_explain(ret, "rule \"%s\" refuses ", rule_name(ret->rule));
                verdict_explain_query(ret, query);
        } else {
                ret->allowed = true;
        }
}
