/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The list of rules. The first that covers a request decides; without one the answer is no, and the
 * reason names the rules that came nearest, for one of them is to be changed, or was misread.
 */

#include "daemon/policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/namespace-path.h"
#include "daemon/socket-file.h"
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

size_t policy_count_rules(const Policy *policy) {
        return policy->n_rules;
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

/* ---- taken together ---------------------------------------------------------------------------- */

static bool names_tenant(const void *userdata, const char *name) {
        const Policy *policy = userdata;

        for (size_t i = 0; i < policy->n_rules; i++) {
                const char *tenant = rule_tenant(policy->rules[i]);

                if (tenant && strcmp(tenant, name) == 0)
                        return true;
        }
        return false;
}

int policy_resolve(Policy *policy, const Rule **ret_rule, char **ret_reason) {
        for (size_t i = 0; i < policy->n_rules; i++) {
                int r = rule_resolve_shares(policy->rules[i], names_tenant, policy, ret_reason);

                if (r > 0)
                        *ret_rule = policy->rules[i];
                if (r != 0)
                        return r < 0 ? error_trace(r) : r;
        }
        return 0;
}

bool policy_asks_cgroup(const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; i++)
                if (rule_asks_cgroup(policy->rules[i]))
                        return true;
        return false;
}

bool policy_asks_label(const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; i++)
                if (rule_asks_label(policy->rules[i]))
                        return true;
        return false;
}

bool policy_may_observe(const Policy *policy, const PolicySubject *subject) {
        for (size_t i = 0; i < policy->n_rules; i++)
                if (rule_observes(policy->rules[i]) && rule_is_for(policy->rules[i], subject))
                        return true;
        return false;
}

bool policy_has_tenant(const Policy *policy, const PolicySubject *subject, const Tenant *tenant) {
        for (size_t i = 0; i < policy->n_rules && tenant->name[0]; i++) {
                const char *name = rule_tenant(policy->rules[i]);

                if (name && strcmp(name, tenant->name) == 0 && rule_is_for(policy->rules[i], subject))
                        return true;
        }
        return false;
}

bool policy_gives_files(const Policy *policy) {
        SocketFile file;

        for (size_t i = 0; i < policy->n_rules; i++) {
                rule_socket_file(policy->rules[i], &file);
                if (file.uid != (uid_t)-1 || file.gid != (gid_t)-1)
                        return true;
        }
        return false;
}

bool policy_gives_raw_ip(const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; i++)
                if (rule_gives_raw_ip(policy->rules[i]))
                        return true;
        return false;
}

bool policy_gives_namespaces(const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; i++)
                if (rule_gives_namespaces(policy->rules[i]))
                        return true;
        return false;
}

bool policy_may_enter(const Policy *policy, const PolicySubject *subject, const char *path) {
        for (size_t i = 0; i < policy->n_rules; i++) {
                const Rule *rule = policy->rules[i];

                if (!rule_is_for(rule, subject))
                        continue;
                if (rule_refuses_namespace(rule, path))
                        return false;
                if (rule_gives_namespace(rule, path))
                        return true;
        }
        return false;
}

unsigned policy_rights_given(const Policy *policy) {
        unsigned rights = 0;

        for (size_t i = 0; i < policy->n_rules; i++)
                rights |= rule_rights(policy->rules[i]);
        return rights;
}

/* ---- one request ------------------------------------------------------------------------------- */

static void policy_conclude(const Rule *rule, const PolicyQuery *query, PolicyVerdict *ret) {
        *ret = (PolicyVerdict){ .rule = rule };
        if (rule && rule_allows(rule)) {
                ret->allowed = true;
                ret->tenant = tenant_of(rule_tenant(rule), query->subject->uid);
        }
}

void policy_decide(const Policy *policy, const PolicyQuery *query, PolicyVerdict *ret) {
        const Rule *rule = NULL;

        for (size_t i = 0; i < policy->n_rules && !rule; i++)
                if (rule_misses(policy->rules[i], query) == 0)
                        rule = policy->rules[i];
        policy_conclude(rule, query, ret);
}

void policy_decide_outgoing(const Policy *policy, const PolicyQuery *query, PolicyVerdict *ret) {
        unsigned left_open = RULE_MISS_PORT | RULE_MISS_SHARING;
        const Rule *rule = NULL;

        if (address_is_wildcard(query->address))
                left_open |= RULE_MISS_ADDRESS;
        for (size_t i = 0; i < policy->n_rules && !rule; i++) {
                unsigned misses = rule_misses(policy->rules[i], query);

                if (rule_allows(policy->rules[i]))
                        misses &= ~left_open;
                if (misses == 0)
                        rule = policy->rules[i];
        }
        policy_conclude(rule, query, ret);
}

int policy_shortlist(const Policy *policy, const PolicyQuery *query, PolicyShortlist *ret) {
        *ret = (PolicyShortlist){ .query = query, .rules = calloc(policy->n_rules + 1, sizeof(Rule *)) };
        if (!ret->rules)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < policy->n_rules; i++)
                if ((rule_misses(policy->rules[i], query) & ~(unsigned)RULE_MISS_PORT) == 0)
                        ret->rules[ret->n++] = policy->rules[i];
        return 0;
}

void policy_shortlist_deinit(PolicyShortlist *list) {
        free(list->rules);
        *list = (PolicyShortlist){};
}

void policy_shortlist_decide(const PolicyShortlist *list, PolicyVerdict *ret) {
        uint16_t port = address_port(list->query->address);
        const Rule *rule = NULL;

        for (size_t i = 0; i < list->n && !rule; i++)
                if (rule_covers_port(list->rules[i], port))
                        rule = list->rules[i];
        policy_conclude(rule, list->query, ret);
}

/* A rule that was passed over. */
typedef struct Near {
        const Rule *rule;
        unsigned misses;
        int weight;
} Near;

/* What was asked before, could have given it, and failed on the least; the first of equals. Returns how
 * many. */
static size_t policy_nearest(const Policy *policy, const PolicyQuery *query,
                             const PolicyVerdict *verdict, Near ret[static POLICY_NEAREST_MAX]) {
        size_t n = 0;

        for (size_t i = 0; i < policy->n_rules && policy->rules[i] != verdict->rule; i++) {
                const Rule *rule = policy->rules[i];
                Near near = { .rule = rule };
                size_t at;

                if (!verdict->allowed && !rule_allows(rule))
                        continue;
                near.misses = rule_misses(rule, query);
                /* Somebody else's rule is the last to be of help. */
                near.weight = __builtin_popcount(near.misses) + (near.misses & RULE_MISS_WHO ? 100 : 0);
                for (at = n; at > 0 && ret[at - 1].weight > near.weight; at--)
                        if (at < POLICY_NEAREST_MAX)
                                ret[at] = ret[at - 1];
                if (at < POLICY_NEAREST_MAX)
                        ret[at] = near;
                if (n < POLICY_NEAREST_MAX)
                        n++;
        }
        return n;
}

typedef struct Text {
        char *buffer;
        size_t n;
} Text;

/* Appends, cut off where it is full. What comes late is ASCII, so no character is split. */
__attribute__((format(printf, 2, 3))) static void text_add(Text *text, const char *format, ...) {
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text->buffer + text->n, POLICY_REASON_MAX - text->n, format, args);
        va_end(args);
        if (n > 0)
                text->n += (size_t)n < POLICY_REASON_MAX - text->n ? (size_t)n
                                                                   : POLICY_REASON_MAX - 1 - text->n;
}

static void text_add_rule(Text *text, const Rule *rule) {
        text_add(text, "rule \"%s\"", rule_name(rule));
        if (rule_line(rule) > 0)
                text_add(text, " (%s:%u)", rule_file(rule), rule_line(rule));
}

static void text_add_near(Text *text, const Near *near, const PolicyQuery *query) {
        char miss[RULE_MISS_TEXT_MAX];
        const char *separator = ": ";

        text_add_rule(text, near->rule);
        for (unsigned bit = 1; bit <= near->misses; bit <<= 1) {
                if (!(near->misses & bit))
                        continue;
                text_add(text, "%s%s", separator, rule_describe_miss(near->rule, query, bit, miss));
                separator = ", ";
        }
}

const char *policy_explain(const Policy *policy, const PolicyQuery *query, const PolicyVerdict *verdict,
                           char buffer[static POLICY_REASON_MAX]) {
        Text text = { .buffer = buffer };
        char network[NETWORK_TEXT_MAX], address[ADDRESS_TEXT_MAX];
        Near near[POLICY_NEAREST_MAX];
        size_t n = policy_nearest(policy, query, verdict, near);

        if (verdict->rule)
                text_add_rule(&text, verdict->rule);
        text_add(&text, "%s uid %u %s %s (%s)",
                 verdict->allowed ? " gives"
                 : verdict->rule  ? " refuses"
                                  : "no rule gives",
                 query->subject->uid, address_network(query->address, network),
                 address_format(query->address, address), wire_sharing[query->sharing]);
        if (query->network_namespace)
                text_add(&text, " in network namespace %s",
                         namespace_path_text(query->network_namespace));
        for (size_t i = 0; i < n; i++) {
                text_add(&text, i > 0 ? "; " : verdict->rule ? "; passed over: " : "; nearest: ");
                text_add_near(&text, &near[i], query);
        }
        if (!verdict->rule && n == 0)
                text_add(&text, "; there is no rule that gives anything");
        return buffer;
}
