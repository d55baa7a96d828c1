/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys of a rule, in one table: what each is called, where its value goes, and how its words are
 * read. Whatever could be read in two ways is refused, with what to write instead.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/namespace-path.h"
#include "daemon/reason.h"
#include "daemon/rule-private.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/ip-protocol.h"
#include "proto/limits.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static const Symbol network_symbols[] = {
        { "tcp", NETWORK_TCP4 | NETWORK_TCP6 },
        { "tcp4", NETWORK_TCP4 },
        { "tcp6", NETWORK_TCP6 },
        { "udp", NETWORK_UDP4 | NETWORK_UDP6 },
        { "udp4", NETWORK_UDP4 },
        { "udp6", NETWORK_UDP6 },
        { "mptcp", NETWORK_MPTCP4 | NETWORK_MPTCP6 },
        { "mptcp4", NETWORK_MPTCP4 },
        { "mptcp6", NETWORK_MPTCP6 },
        { "sctp", NETWORK_SCTP4 | NETWORK_SCTP6 },
        { "sctp4", NETWORK_SCTP4 },
        { "sctp6", NETWORK_SCTP6 },
        { "udplite", NETWORK_UDPLITE4 | NETWORK_UDPLITE6 },
        { "udplite4", NETWORK_UDPLITE4 },
        { "udplite6", NETWORK_UDPLITE6 },
        { "ip", NETWORK_IP4 | NETWORK_IP6 },
        { "ip4", NETWORK_IP4 },
        { "ip6", NETWORK_IP6 },
        { "vsock", NETWORK_VSOCK },
        { "unix", NETWORK_UNIX },
        { "unixgram", NETWORK_UNIXGRAM },
        { "unixpacket", NETWORK_UNIXPACKET },
        { "*", NETWORKS_ALL },
        {},
};

static const Symbol sharing_symbols[] = {
        { "exclusive", 1 << SHARING_EXCLUSIVE },
        { "shared", 1 << SHARING_SHARED },
        { "group", 1 << SHARING_GROUP },
        { "*", (1 << _SHARING_N) - 1 },
        {},
};

const Symbol rule_right_symbols[] = {
        { "mark", POLICY_RIGHT_MARK },
        { "transparent", POLICY_RIGHT_TRANSPARENT },
        { "freeBind", POLICY_RIGHT_FREE_BIND },
        { "bindToDevice", POLICY_RIGHT_BIND_TO_DEVICE },
        { "raw", POLICY_RIGHT_RAW },
        { "priority", POLICY_RIGHT_PRIORITY },
        { "*", POLICY_RIGHTS_ALL },
        {},
};

static const Symbol yes_symbols[] = {
        { "yes", 1 }, { "no", 0 }, { "true", 1 }, { "false", 0 }, { "on", 1 }, { "off", 0 }, { "1", 1 },
        { "0", 0 },   {},
};

/* The other way round: each bit says that the rule refuses. */
static const Symbol allow_symbols[] = {
        { "yes", 0 }, { "no", 1 }, { "true", 0 }, { "false", 1 }, { "on", 0 }, { "off", 1 }, { "1", 0 },
        { "0", 1 },   {},
};

typedef struct RuleKey RuleKey;

/* How the value of a key is kept. */
typedef struct KeyKind {
        /* Takes one word. Returns 0, RULE_E_VALUE_INVALID, or -ENOMEM. */
        int (*add)(void *field, const RuleKey *key, const char *word, char **ret_reason);
        void (*reset)(void *field);
        const char *separators; /* of its words; NULL: it is one word, in place of the last one */
} KeyKind;

struct RuleKey {
        const char *name;
        size_t offset;
        const KeyKind *kind;
        /* What the kind needs to know. */
        int (*parse)(const char *word, Pattern *ret, char **ret_reason);
        int (*check)(const char *word, char **ret_reason);
        const Symbol *symbols;
};

/* ---- lists of patterns ------------------------------------------------------------------------- */

static int pattern_list_append(PatternList *list, const Pattern *pattern) {
        Pattern *items;

        items = reallocarray(list->items, list->n + 1, sizeof(*items));
        if (!items)
                return error_origin(-ENOMEM);

        list->items = items;
        list->items[list->n++] = *pattern;
        return 0;
}

void pattern_list_deinit(PatternList *list) {
        free(list->items);
        *list = (PatternList){};
}

static int patterns_add(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        PatternList *list = field;
        Pattern pattern;
        int r;

        if (strcmp(word, "*") == 0) {
                list->any = true;
                return 0;
        }

        r = key->parse(word, &pattern, ret_reason);
        if (r == PATTERN_E_INVALID)
                return RULE_E_VALUE_INVALID;
        if (r < 0)
                return error_trace(r);
        return pattern_list_append(list, &pattern);
}

static void patterns_reset(void *field) {
        pattern_list_deinit(field);
}

/* ---- lists of texts ---------------------------------------------------------------------------- */

static int text_list_append(TextList *list, const char *text) {
        char **items, *copy;

        items = reallocarray(list->items, list->n + 1, sizeof(*items));
        if (!items)
                return error_origin(-ENOMEM);
        list->items = items;
        copy = strdup(text);
        if (!copy)
                return error_origin(-ENOMEM);
        list->items[list->n++] = copy;
        return 0;
}

void text_list_deinit(TextList *list) {
        for (size_t i = 0; i < list->n; i++)
                free(list->items[i]);
        free(list->items);
        *list = (TextList){};
}

static int texts_add(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        int r = key->check ? key->check(word, ret_reason) : 0;

        return r != 0 ? r : text_list_append(field, word);
}

static void texts_reset(void *field) {
        text_list_deinit(field);
}

/* A name without what systemd calls its type would never fit. */
static int check_unit(const char *word, char **ret_reason) {
        if (strchr(word, '/'))
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "\"%s\" is no unit; a control group is named by Cgroup=", word);
        if (!strchr(word, '.') && !strchr(word, '*'))
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "\"%s\" is no unit; write %s.service", word, word);
        return 0;
}

static int check_cgroup(const char *word, char **ret_reason) {
        size_t n = strlen(word);

        if (word[0] != '/' || strstr(word, "//") || (n > 1 && word[n - 1] == '/'))
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "\"%s\" is no control group; give its path, like "
                                    "/system.slice/app.service",
                                    word);
        return 0;
}

static int check_namespace(const char *word, char **ret_reason) {
        char path[NAMESPACE_PATH_MAX];
        const char *why = namespace_path_parse(word, path);

        if (why)
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "\"%s\" is no network namespace: %s", word, why);
        return 0;
}

/* ---- a name, and what is shared with whom ------------------------------------------------------ */

static int name_set(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        char **name = field;
        size_t n = strlen(word);

        if (n > NAME_SIZE_MAX || word[strspn(word, NAME_CHARACTERS)])
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "\"%s\" is no name of a tenant; give 1 to %d of A-Z a-z 0-9 . _ -",
                                    word, NAME_SIZE_MAX);
        *name = strdup(word);
        return *name ? 0 : error_origin(-ENOMEM);
}

static void name_reset(void *field) {
        free(ptr_take(*(char **)field));
}

int rule_resolve_shares(Rule *rule, bool (*is_tenant)(const void *userdata, const char *name),
                        const void *userdata, char **ret_reason) {
        pattern_list_deinit(&rule->share_users);
        text_list_deinit(&rule->share_tenants);
        for (size_t i = 0; i < rule->share_words.n; i++) {
                const char *word = rule->share_words.items[i];
                _cleanup_(freep) char *no_user = NULL;
                bool tenant = is_tenant(userdata, word);
                Pattern user;
                int r;

                if (strcmp(word, "*") == 0) {
                        rule->share_users.any = true;
                        continue;
                }
                r = pattern_parse_user(word, &user, &no_user);
                if (r == 0 && tenant)
                        return reason_write(
                                ret_reason, RULE_E_VALUE_INVALID,
                                "\"%s\" is a user and a tenant; give the tenant another name", word);
                if (r > 0 && !tenant)
                        return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                            "\"%s\" is neither a user nor the Tenant= of a rule", word);
                if (r >= 0)
                        r = tenant ? text_list_append(&rule->share_tenants, word)
                                   : pattern_list_append(&rule->share_users, &user);
                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

/* ---- plain values ------------------------------------------------------------------------------ */

static int bits_add(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        unsigned *bits = field;
        char known[256] = "";

        for (const Symbol *s = key->symbols; s->name; s++) {
                if (strcmp(s->name, word) == 0) {
                        *bits |= s->bits;
                        return 0;
                }
                strncat(known, " ", sizeof(known) - strlen(known) - 1);
                strncat(known, s->name, sizeof(known) - strlen(known) - 1);
        }
        return reason_write(ret_reason, RULE_E_VALUE_INVALID, "\"%s\" is none of%s", word, known);
}

static void bits_reset(void *field) {
        *(unsigned *)field = 0;
}

/* Raw IP may have its protocol behind it. */
static int networks_add(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        RuleNetworks *networks = field;
        const char *protocol;
        uint8_t number;
        int family;

        if (!ip_network_split(word, &family, &protocol))
                return bits_add(&networks->bits, key, word, ret_reason);
        if (!ip_protocol_parse(protocol, &number) || number == IPPROTO_RAW)
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "\"%s\" is no protocol of IP; give a number of 0 to 254, or a name "
                                    "such as icmp, ipv6-icmp or ospf",
                                    protocol);
        networks->bits |= NETWORK_IP_OF_SOME;
        if (family != AF_INET6)
                networks->ip4[number] = true;
        if (family != AF_INET)
                networks->ip6[number] = true;
        return 0;
}

static void networks_reset(void *field) {
        *(RuleNetworks *)field = (RuleNetworks){};
}

/* One user or group; everybody is none. */
static int id_set(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        unsigned *id = field;
        Pattern pattern;
        int r = key->parse(word, &pattern, ret_reason);

        if (r != 0)
                return r > 0 ? RULE_E_VALUE_INVALID : error_trace(r);
        *id = pattern.id;
        return 0;
}

static void id_reset(void *field) {
        *(unsigned *)field = (unsigned)-1;
}

static int mode_set(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        int r = value_parse_mode(word, field, ret_reason);

        return r > 0 ? RULE_E_VALUE_INVALID : error_trace(r);
}

static void mode_reset(void *field) {
        *(mode_t *)field = SOCKET_FILE_DEFAULT.mode;
}

static int count_set(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        int r = value_parse_count(word, field, ret_reason);

        return r > 0 ? RULE_E_VALUE_INVALID : error_trace(r);
}

static void count_reset(void *field) {
        *(size_t *)field = 0;
}

static int rate_set(void *field, const RuleKey *key, const char *word, char **ret_reason) {
        int r = value_parse_rate(word, field, ret_reason);

        return r > 0 ? RULE_E_VALUE_INVALID : error_trace(r);
}

static void rate_reset(void *field) {
        *(Rate *)field = (Rate){};
}

/* ---- the table --------------------------------------------------------------------------------- */

#define SEPARATORS " \t,"

static const KeyKind kind_patterns = { patterns_add, patterns_reset, SEPARATORS };
static const KeyKind kind_texts = { texts_add, texts_reset, SEPARATORS };
/* Labels may have commas in them. */
static const KeyKind kind_labels = { texts_add, texts_reset, " \t" };
static const KeyKind kind_bits = { bits_add, bits_reset, SEPARATORS };
static const KeyKind kind_networks = { networks_add, networks_reset, SEPARATORS };
static const KeyKind kind_yes = { bits_add, bits_reset, NULL };
static const KeyKind kind_name = { name_set, name_reset, NULL };
static const KeyKind kind_id = { id_set, id_reset, NULL };
static const KeyKind kind_mode = { mode_set, mode_reset, NULL };
static const KeyKind kind_count = { count_set, count_reset, NULL };
static const KeyKind kind_rate = { rate_set, rate_reset, NULL };

static const RuleKey rule_keys[] = {
        { "User", offsetof(Rule, users), .kind = &kind_patterns, .parse = pattern_parse_user },
        { "Group", offsetof(Rule, groups), .kind = &kind_patterns, .parse = pattern_parse_group },
        { "Unit", offsetof(Rule, units), .kind = &kind_texts, .check = check_unit },
        { "Cgroup", offsetof(Rule, cgroups), .kind = &kind_texts, .check = check_cgroup },
        { "Label", offsetof(Rule, labels), .kind = &kind_labels },
        { "Network", offsetof(Rule, networks), .kind = &kind_networks, .symbols = network_symbols },
        { "Address", offsetof(Rule, addresses), .kind = &kind_patterns, .parse = pattern_parse_address },
        { "Port", offsetof(Rule, ports), .kind = &kind_patterns, .parse = pattern_parse_ports },
        { "Path", offsetof(Rule, paths), .kind = &kind_patterns, .parse = pattern_parse_path },
        { "NetworkNamespace", offsetof(Rule, namespaces), .kind = &kind_texts,
          .check = check_namespace },
        { "Sharing", offsetof(Rule, sharings), .kind = &kind_bits, .symbols = sharing_symbols },
        { "Options", offsetof(Rule, rights), .kind = &kind_bits, .symbols = rule_right_symbols },
        { "Allow", offsetof(Rule, refuses), .kind = &kind_yes, .symbols = allow_symbols },
        { "Observe", offsetof(Rule, observes), .kind = &kind_yes, .symbols = yes_symbols },
        { "Tenant", offsetof(Rule, tenant), .kind = &kind_name },
        { "ShareWith", offsetof(Rule, share_words), .kind = &kind_texts },
        { "SocketUser", offsetof(Rule, socket_file.uid), .kind = &kind_id, .parse = pattern_parse_user },
        { "SocketGroup", offsetof(Rule, socket_file.gid), .kind = &kind_id,
          .parse = pattern_parse_group },
        { "SocketMode", offsetof(Rule, socket_file.mode), .kind = &kind_mode },
        { "MaxLeases", offsetof(Rule, max_leases), .kind = &kind_count },
        { "RateLimit", offsetof(Rule, rate), .kind = &kind_rate },
};

/* Splits *@rest: the next word, or NULL. */
static char *word_next(char **rest, const char *separators) {
        char *word;

        do
                word = strsep(rest, separators);
        while (word && !*word);
        return word;
}

static int rule_set_key(Rule *rule, const RuleKey *key, const char *value, char **ret_reason) {
        void *field = (char *)rule + key->offset;
        _cleanup_(freep) char *copy = NULL;
        char *rest, *word;
        int r;

        if (!*value || !key->kind->separators)
                key->kind->reset(field);
        if (!*value)
                return 0;
        if (!key->kind->separators)
                return key->kind->add(field, key, value, ret_reason);

        rest = copy = strdup(value);
        if (!copy)
                return error_origin(-ENOMEM);
        word = word_next(&rest, key->kind->separators);
        /* An empty list would leave the key open; nobody means that by a lone comma. */
        if (!word)
                return reason_write(ret_reason, RULE_E_VALUE_INVALID, "\"%s\" names nothing", value);
        for (; word; word = word_next(&rest, key->kind->separators)) {
                r = key->kind->add(field, key, word, ret_reason);
                if (r)
                        return r;
        }
        return 0;
}

int rule_set(Rule *rule, const char *key, const char *value, char **ret_reason) {
        const char *near = NULL;

        for (size_t i = 0; i < sizeof(rule_keys) / sizeof(*rule_keys); i++) {
                if (strcmp(rule_keys[i].name, key) == 0)
                        return rule_set_key(rule, &rule_keys[i], value, ret_reason);
                if (strcasecmp(rule_keys[i].name, key) == 0)
                        near = rule_keys[i].name;
        }
        return reason_unknown_key(ret_reason, RULE_E_KEY_UNKNOWN, near);
}

Rule *rule_free(Rule *rule) {
        if (!rule)
                return NULL;

        for (size_t i = 0; i < sizeof(rule_keys) / sizeof(*rule_keys); i++)
                rule_keys[i].kind->reset((char *)rule + rule_keys[i].offset);
        pattern_list_deinit(&rule->share_users);
        text_list_deinit(&rule->share_tenants);
        free(rule->file);
        free(rule->name);
        free(rule);
        return NULL;
}
