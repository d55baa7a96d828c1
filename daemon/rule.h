/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One rule of the policy: who, which sockets, and whether they may. A key that is absent leaves its
 * point open, but for Options=: a granting rule gives only the rights it names.
 *
 * What a rule says is read by rule-key.c; what it means for a request is decided by rule.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/tenant.h"
#include "daemon/value.h"
#include "proto/address.h"
#include "proto/cleanup.h"
#include "proto/wire.h"

typedef struct Rule Rule;
typedef struct SocketFile SocketFile;

/* Options that need a right of their own (Options= of a rule). */
typedef enum PolicyRight {
        POLICY_RIGHT_MARK = 1 << 0,
        POLICY_RIGHT_TRANSPARENT = 1 << 1,
        POLICY_RIGHT_FREE_BIND = 1 << 2,
        POLICY_RIGHT_BIND_TO_DEVICE = 1 << 3,
        POLICY_RIGHT_RAW = 1 << 4,
        POLICY_RIGHT_PRIORITY = 1 << 5,
        POLICY_RIGHTS_ALL = (1 << 6) - 1,
} PolicyRight;

/* Who asks: as the kernel recorded it when the connection was made. Borrowed. */
typedef struct PolicySubject {
        uid_t uid;
        gid_t gid;
        const gid_t *groups; /* supplementary */
        size_t n_groups;
        const char *cgroup; /* "/system.slice/app.service"; NULL: not known */
        const char *label;  /* of the security module; NULL: there is none */
} PolicySubject;

/* What is asked for. The address carries the very port that would be bound. Borrowed. */
typedef struct PolicyQuery {
        const PolicySubject *subject;
        const Address *address;
        Sharing sharing;
        unsigned rights;               /* PolicyRight bits that the request's options need */
        const char *network_namespace; /* its path; NULL: the broker's own */
} PolicyQuery;

/* What keeps a rule from covering a query. */
typedef enum RuleMiss {
        RULE_MISS_NETWORK = 1 << 0,
        RULE_MISS_ADDRESS = 1 << 1,
        RULE_MISS_PORT = 1 << 2,
        RULE_MISS_PATH = 1 << 3,
        RULE_MISS_SHARING = 1 << 4,
        RULE_MISS_OPTIONS = 1 << 5,
        RULE_MISS_UNIT = 1 << 6,
        RULE_MISS_LABEL = 1 << 7,
        RULE_MISS_SUBJECT = 1 << 8,
        /* It is for somebody else. */
        RULE_MISS_WHO = RULE_MISS_UNIT | RULE_MISS_LABEL | RULE_MISS_SUBJECT,
        /* It gives no sockets: it only lets people look. */
        RULE_MISS_OBSERVES = 1 << 9,
        RULE_MISS_NAMESPACE = 1 << 10,
} RuleMiss;

enum {
        RULE_MISS_TEXT_MAX = 96,
};

enum {
        _RULE_E_SUCCESS,
        RULE_E_KEY_UNKNOWN,
        RULE_E_VALUE_INVALID,
};

/*
 * A rule named @name, read at @file:@line (both are copied), that names nobody and grants every socket
 * that needs no right. Owned by the caller. Returns 0, or -ENOMEM.
 */
int rule_new(const char *name, const char *file, unsigned line, Rule **ret);

/* Takes NULL; returns NULL. */
Rule *rule_free(Rule *rule);
CLEANUP_DEFINE(Rule, rule_free)

/*
 * Sets one key of a rule ("User", "Port", ...) from its value as written. Several words are a list;
 * a key given again adds to its list; an empty value takes back what was given before. User and group
 * names are looked up here, once, at load: that may block.
 * On an answer other than 0, *@ret_reason is a malloc'ed text for people, owned by the caller.
 * Returns 0, RULE_E_*, or -ENOMEM.
 */
int rule_set(Rule *rule, const char *key, const char *value, char **ret_reason);

/* The name as written after "Rule ", and where. Belong to the rule. */
const char *rule_name(const Rule *rule);
const char *rule_file(const Rule *rule);
unsigned rule_line(const Rule *rule);

/*
 * Once all its keys are set: whether they make sense together. Returns 0, or RULE_E_VALUE_INVALID with a
 * malloc'ed text for people in *@ret_reason, owned by the caller; or -ENOMEM.
 */
int rule_check(const Rule *rule, char **ret_reason);

/* Whether it grants what it covers, or refuses it. */
bool rule_allows(const Rule *rule);

/* What the subject has to tell for this rule: its cgroup, its label. */
bool rule_asks_cgroup(const Rule *rule);
bool rule_asks_label(const Rule *rule);

/* Whom the rule names, whatever they ask for. */
bool rule_is_for(const Rule *rule, const PolicySubject *subject);

/* Whether those it names may list and watch everything. */
bool rule_observes(const Rule *rule);

/* Whose endpoints these are: the name of a tenant, which belongs to the rule, or NULL: of who asks. */
const char *rule_tenant(const Rule *rule);

/* The rights that it gives with what it gives; 0 if it refuses. */
unsigned rule_rights(const Rule *rule);

/*
 * Makes tenants and users of the words of ShareWith=, once all rules are read: @is_tenant tells whether
 * any of them names that tenant. Users are looked up, which may block. Returns 0, RULE_E_VALUE_INVALID
 * with a malloc'ed text in *@ret_reason, or -ENOMEM.
 */
int rule_resolve_shares(Rule *rule, bool (*is_tenant)(const void *userdata, const char *name),
                        const void *userdata, char **ret_reason);

/* Whether a client of user @uid and of @tenant may share what this rule gives to somebody else. */
bool rule_shares(const Rule *rule, uid_t uid, const Tenant *tenant);

/* Leases that a user may have by this rule; 0: as many as it may have at all. */
size_t rule_max_leases(const Rule *rule);

/* Whether it gives sockets of raw IP. */
bool rule_gives_raw_ip(const Rule *rule);

/* Whether it gives sockets in other network namespaces than the broker's own, and in the one
 * at @path. */
bool rule_gives_namespaces(const Rule *rule);
bool rule_gives_namespace(const Rule *rule, const char *path);

/* Whether it refuses whatever is asked for in the one at @path. */
bool rule_refuses_namespace(const Rule *rule, const char *path);

/* How the file of a path that the rule gives is to be made: SocketUser=, SocketGroup=, SocketMode=. */
void rule_socket_file(const Rule *rule, SocketFile *ret);

/* Requests of a user that this rule decides. */
Rate rule_rate(const Rule *rule);

/* RuleMiss bits; 0 if the rule covers @query. A refusing rule covers whatever it touches. */
unsigned rule_misses(const Rule *rule, const PolicyQuery *query);

/* Whether it leaves the port open, or names @port: of the bits, the one that hangs on the port alone. */
bool rule_covers_port(const Rule *rule, uint32_t port);

/* Says of one of the bits of rule_misses() why: "its Port= does not cover 80". Returns @buffer. */
const char *rule_describe_miss(const Rule *rule, const PolicyQuery *query, RuleMiss miss,
                               char buffer[static RULE_MISS_TEXT_MAX]);
