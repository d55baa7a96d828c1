/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A rule is one list of patterns or one set of bits for each of its keys. A granting rule has to cover
 * all of a request, a refusing rule only has to touch it: so nothing slips past a refusal by asking for
 * more than what is refused, be it a wildcard address, a dual-stack socket or one more option.
 */

#include "daemon/rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pattern.h"
#include "daemon/reason.h"
#include "proto/cleanup.h"
#include "proto/error.h"

/* The networks a rule can name. A dual-stack socket is both of its kind. */
enum {
        NETWORK_TCP4 = 1 << 0,
        NETWORK_TCP6 = 1 << 1,
        NETWORK_UDP4 = 1 << 2,
        NETWORK_UDP6 = 1 << 3,
        NETWORK_UNIX = 1 << 4,
        NETWORK_UNIXGRAM = 1 << 5,
        NETWORK_UNIXPACKET = 1 << 6,

        NETWORKS_IP = NETWORK_TCP4 | NETWORK_TCP6 | NETWORK_UDP4 | NETWORK_UDP6,
        NETWORKS_UNIX = NETWORK_UNIX | NETWORK_UNIXGRAM | NETWORK_UNIXPACKET,
};

typedef struct PatternList {
        bool any; /* "*" */
        Pattern *items;
        size_t n;
} PatternList;

struct Rule {
        char *name;
        char *file;
        unsigned line;
        PatternList users;
        PatternList groups;
        PatternList addresses;
        PatternList ports;
        PatternList paths;
        /* Bits; 0 when the key is absent. */
        unsigned networks;
        unsigned sharings;
        unsigned rights;
        unsigned refuses; /* Allow=, the other way round */
};

typedef struct Symbol {
        const char *name;
        unsigned bits;
} Symbol;

static const Symbol network_symbols[] = {
        { "tcp", NETWORK_TCP4 | NETWORK_TCP6 },
        { "tcp4", NETWORK_TCP4 },
        { "tcp6", NETWORK_TCP6 },
        { "udp", NETWORK_UDP4 | NETWORK_UDP6 },
        { "udp4", NETWORK_UDP4 },
        { "udp6", NETWORK_UDP6 },
        { "unix", NETWORK_UNIX },
        { "unixgram", NETWORK_UNIXGRAM },
        { "unixpacket", NETWORK_UNIXPACKET },
        { "*", NETWORKS_IP | NETWORKS_UNIX },
        {},
};

static const Symbol sharing_symbols[] = {
        { "exclusive", 1 << SHARING_EXCLUSIVE },
        { "shared", 1 << SHARING_SHARED },
        { "group", 1 << SHARING_GROUP },
        { "*", (1 << _SHARING_N) - 1 },
        {},
};

static const Symbol right_symbols[] = {
        { "mark", POLICY_RIGHT_MARK },
        { "transparent", POLICY_RIGHT_TRANSPARENT },
        { "freeBind", POLICY_RIGHT_FREE_BIND },
        { "bindToDevice", POLICY_RIGHT_BIND_TO_DEVICE },
        { "raw", POLICY_RIGHT_RAW },
        { "priority", POLICY_RIGHT_PRIORITY },
        { "*", POLICY_RIGHTS_ALL },
        {},
};

/* Each bit says that the rule refuses. */
static const Symbol allow_symbols[] = {
        { "yes", 0 }, { "no", 1 }, { "true", 0 }, { "false", 1 }, { "on", 0 }, { "off", 1 }, { "1", 0 },
        { "0", 1 },   {},
};

/* Splits *@rest at blanks and commas: the next word, or NULL. */
static char *word_next(char **rest) {
        char *word;

        do
                word = strsep(rest, " \t,");
        while (word && !*word);
        return word;
}

static int list_append(PatternList *list, const Pattern *pattern) {
        Pattern *items;

        items = reallocarray(list->items, list->n + 1, sizeof(*items));
        if (!items)
                return error_origin(-ENOMEM);

        list->items = items;
        list->items[list->n++] = *pattern;
        return 0;
}

static void list_deinit(PatternList *list) {
        free(list->items);
        *list = (PatternList){};
}

static bool list_given(const PatternList *list) {
        return list->any || list->n > 0;
}

static bool list_test(const PatternList *list, PatternTest test, const void *what) {
        if (list->any)
                return true;
        for (size_t i = 0; i < list->n; i++)
                if (test(&list->items[i], what))
                        return true;
        return false;
}

/* Lists have @parse, sets of bits have @symbols. A @single key takes one word, in place of the last one.
 */
typedef struct RuleKey {
        const char *name;
        size_t offset;
        int (*parse)(const char *word, Pattern *ret, char **ret_reason);
        const Symbol *symbols;
        bool single;
} RuleKey;

static const RuleKey rule_keys[] = {
        { "User", offsetof(Rule, users), .parse = pattern_parse_user },
        { "Group", offsetof(Rule, groups), .parse = pattern_parse_group },
        { "Network", offsetof(Rule, networks), .symbols = network_symbols },
        { "Address", offsetof(Rule, addresses), .parse = pattern_parse_address },
        { "Port", offsetof(Rule, ports), .parse = pattern_parse_ports },
        { "Path", offsetof(Rule, paths), .parse = pattern_parse_path },
        { "Sharing", offsetof(Rule, sharings), .symbols = sharing_symbols },
        { "Options", offsetof(Rule, rights), .symbols = right_symbols },
        { "Allow", offsetof(Rule, refuses), .symbols = allow_symbols, .single = true },
};

static int list_add_word(PatternList *list, const RuleKey *key, const char *word, char **ret_reason) {
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
        return list_append(list, &pattern);
}

static int bits_add_word(unsigned *bits, const RuleKey *key, const char *word, char **ret_reason) {
        char known[128] = "";

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

static int rule_add_word(Rule *rule, const RuleKey *key, const char *word, char **ret_reason) {
        void *field = (char *)rule + key->offset;

        return key->parse ? list_add_word(field, key, word, ret_reason)
                          : bits_add_word(field, key, word, ret_reason);
}

static void rule_reset_key(Rule *rule, const RuleKey *key) {
        void *field = (char *)rule + key->offset;

        if (key->parse)
                list_deinit(field);
        else
                *(unsigned *)field = 0;
}

static int rule_set_key(Rule *rule, const RuleKey *key, const char *value, char **ret_reason) {
        _cleanup_(freep) char *copy = NULL;
        char *rest, *word;
        int r;

        if (!*value || key->single)
                rule_reset_key(rule, key);
        if (!*value)
                return 0;
        if (key->single)
                return rule_add_word(rule, key, value, ret_reason);

        rest = copy = strdup(value);
        if (!copy)
                return error_origin(-ENOMEM);
        word = word_next(&rest);
        /* An empty list would leave the key open; nobody means that by a lone comma. */
        if (!word)
                return reason_write(ret_reason, RULE_E_VALUE_INVALID, "\"%s\" names nothing", value);
        for (; word; word = word_next(&rest)) {
                r = rule_add_word(rule, key, word, ret_reason);
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

int rule_new(const char *name, const char *file, unsigned line, Rule **ret) {
        _cleanup_(rule_freep) Rule *rule = NULL;

        rule = calloc(1, sizeof(*rule));
        if (!rule)
                return error_origin(-ENOMEM);
        rule->line = line;
        rule->name = strdup(name);
        rule->file = strdup(file);
        if (!rule->name || !rule->file)
                return error_origin(-ENOMEM);

        *ret = ptr_take(rule);
        return 0;
}

Rule *rule_free(Rule *rule) {
        if (!rule)
                return NULL;

        list_deinit(&rule->users);
        list_deinit(&rule->groups);
        list_deinit(&rule->addresses);
        list_deinit(&rule->ports);
        list_deinit(&rule->paths);
        free(rule->file);
        free(rule->name);
        free(rule);
        return NULL;
}

const char *rule_name(const Rule *rule) {
        return rule->name;
}

const char *rule_file(const Rule *rule) {
        return rule->file;
}

unsigned rule_line(const Rule *rule) {
        return rule->line;
}

bool rule_has_subject(const Rule *rule) {
        return list_given(&rule->users) || list_given(&rule->groups);
}

bool rule_allows(const Rule *rule) {
        return !rule->refuses;
}

/* With every network named, a rule that speaks of ports alone still does not mean UNIX sockets. */
static unsigned rule_networks(const Rule *rule) {
        bool ip = list_given(&rule->addresses) || list_given(&rule->ports),
             named = list_given(&rule->paths);

        if (rule->networks != 0 && rule->networks != (NETWORKS_IP | NETWORKS_UNIX))
                return rule->networks;
        if (ip == named)
                return NETWORKS_IP | NETWORKS_UNIX;
        return ip ? NETWORKS_IP : NETWORKS_UNIX;
}

static unsigned network_of(Transport transport, int family) {
        static const struct {
                unsigned ipv4, other;
        } networks[_TRANSPORT_N] = {
                [TRANSPORT_TCP] = { NETWORK_TCP4, NETWORK_TCP6 },
                [TRANSPORT_UDP] = { NETWORK_UDP4, NETWORK_UDP6 },
                [TRANSPORT_UNIX] = { 0, NETWORK_UNIX },
                [TRANSPORT_UNIXGRAM] = { 0, NETWORK_UNIXGRAM },
                [TRANSPORT_UNIXPACKET] = { 0, NETWORK_UNIXPACKET },
        };

        return family == AF_INET ? networks[transport].ipv4 : networks[transport].other;
}

static bool rule_names(const Rule *rule, const PolicySubject *subject) {
        if (list_test(&rule->users, pattern_covers_id, &subject->uid) ||
            list_test(&rule->groups, pattern_covers_id, &subject->gid))
                return true;
        for (size_t i = 0; i < subject->n_groups; i++)
                if (list_test(&rule->groups, pattern_covers_id, &subject->groups[i]))
                        return true;
        return false;
}

static unsigned rule_misses_host(const Rule *rule, const Address *address, const PatternHost *host) {
        PatternTest test = rule->refuses ? pattern_touches_host : pattern_covers_host;
        unsigned misses = 0;

        if (!(rule_networks(rule) & network_of(address->transport, host->family)))
                misses |= RULE_MISS_NETWORK;
        if (list_given(&rule->addresses) && !list_test(&rule->addresses, test, host))
                misses |= RULE_MISS_ADDRESS;
        return misses;
}

static unsigned rule_misses_ip(const Rule *rule, const Address *address) {
        unsigned misses = 0, of_host;
        uint16_t port = address_port(address);
        PatternHost hosts[2];
        size_t n_hosts;

        n_hosts = pattern_hosts_of(address, hosts);
        for (size_t i = 0; i < n_hosts; i++) {
                of_host = rule_misses_host(rule, address, &hosts[i]);
                if (rule->refuses && of_host == 0) {
                        misses = 0;
                        break;
                }
                misses |= of_host;
        }

        if (list_given(&rule->ports) && !list_test(&rule->ports, pattern_covers_port, &port))
                misses |= RULE_MISS_PORT;
        return misses;
}

static unsigned rule_misses_unix(const Rule *rule, const Address *address) {
        PatternTest test = rule->refuses ? pattern_touches_name : pattern_covers_name;
        unsigned misses = 0;
        PatternName name;

        pattern_name_of(address, &name);
        if (!(rule_networks(rule) & network_of(address->transport, AF_UNIX)))
                misses |= RULE_MISS_NETWORK;
        if (list_given(&rule->paths) && !list_test(&rule->paths, test, &name))
                misses |= RULE_MISS_PATH;
        return misses;
}

unsigned rule_misses(const Rule *rule, const PolicyQuery *query) {
        unsigned misses;
        bool options;

        misses = address_is_ip(query->address) ? rule_misses_ip(rule, query->address)
                                               : rule_misses_unix(rule, query->address);
        if (!rule_names(rule, query->subject))
                misses |= RULE_MISS_SUBJECT;
        if (rule->sharings != 0 && !(rule->sharings & 1U << query->sharing))
                misses |= RULE_MISS_SHARING;

        options = rule->refuses ? rule->rights == 0 || (query->rights & rule->rights) != 0
                                : (query->rights & ~rule->rights) == 0;
        if (!options)
                misses |= RULE_MISS_OPTIONS;
        return misses;
}

const char *rule_describe_miss(const Rule *rule, const PolicyQuery *query, RuleMiss miss,
                               char buffer[static RULE_MISS_TEXT_MAX]) {
        switch (miss) {
        case RULE_MISS_NETWORK:
                if (rule->networks == 0)
                        return strcpy(buffer, list_given(&rule->paths) ? "it covers UNIX sockets only"
                                                                       : "it covers IP sockets only");
                snprintf(buffer, RULE_MISS_TEXT_MAX, "its Network= does not cover %s",
                         address_network(query->address));
                break;
        case RULE_MISS_ADDRESS:
                return strcpy(buffer, "its Address= does not cover this address");
        case RULE_MISS_PORT:
                snprintf(buffer, RULE_MISS_TEXT_MAX, "its Port= does not cover %u",
                         address_port(query->address));
                break;
        case RULE_MISS_PATH:
                return strcpy(buffer, "its Path= does not cover this path");
        case RULE_MISS_SHARING:
                snprintf(buffer, RULE_MISS_TEXT_MAX, "its Sharing= does not cover %s",
                         wire_sharing[query->sharing]);
                break;
        case RULE_MISS_OPTIONS:
                strcpy(buffer, "its Options= does not give");
                for (const Symbol *s = right_symbols; s->bits != POLICY_RIGHTS_ALL; s++)
                        if (query->rights & ~rule->rights & s->bits)
                                strcat(strcat(buffer, " "), s->name);
                break;
        case RULE_MISS_SUBJECT:
                return strcpy(buffer, "it is for other users and groups");
        }
        return buffer;
}
