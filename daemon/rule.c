/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A rule is one list of patterns or one set of bits for each of its keys. A granting rule has to cover
 * all of a request, a refusing rule only has to touch it: so nothing slips past a refusal by asking for
 * more than what is refused, be it a wildcard address, a dual-stack socket or one more option; nor by
 * being somebody of whom the kernel does not say what the rule asks about.
 */

#include "daemon/rule.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cgroup.h"
#include "daemon/namespace-path.h"
#include "daemon/reason.h"
#include "daemon/rule-private.h"
#include "proto/cleanup.h"
#include "proto/error.h"

static bool list_test(const PatternList *list, PatternTest test, const void *what) {
        if (list->any)
                return true;
        for (size_t i = 0; i < list->n; i++)
                if (test(&list->items[i], what))
                        return true;
        return false;
}

int rule_new(const char *name, const char *file, unsigned line, Rule **ret) {
        _cleanup_(rule_freep) Rule *rule = NULL;

        rule = calloc(1, sizeof(*rule));
        if (!rule)
                return error_origin(-ENOMEM);
        rule->line = line;
        rule->socket_file = SOCKET_FILE_DEFAULT;
        rule->name = strdup(name);
        rule->file = strdup(file);
        if (!rule->name || !rule->file)
                return error_origin(-ENOMEM);

        *ret = ptr_take(rule);
        return 0;
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

static bool rule_names_users(const Rule *rule) {
        return pattern_list_given(&rule->users) || pattern_list_given(&rule->groups);
}

static bool rule_is_for_nobody(const Rule *rule) {
        return !rule_names_users(rule) && !rule_asks_cgroup(rule) && !rule_asks_label(rule);
}

/* One that names no sockets gives all, unless it is there to let people look. */
static bool rule_gives_none(const Rule *rule) {
        return rule->observes && rule->networks.bits == 0 && !pattern_list_given(&rule->addresses) &&
               !pattern_list_given(&rule->ports) && !pattern_list_given(&rule->paths) &&
               rule->sharings == 0 && rule->rights == 0 && rule->namespaces.n == 0;
}

/* With every network named, a rule that speaks of ports alone still does not mean UNIX sockets, and
 * vsock only where it refuses; and one that gives does not mean raw IP, which shows everybody's packets,
 * unless it names it. */
static unsigned rule_networks(const Rule *rule) {
        unsigned more = rule->networks.bits & NETWORKS_RAW,
                 others = rule->networks.bits & ~(unsigned)NETWORKS_RAW;
        bool ip = pattern_list_given(&rule->addresses) || pattern_list_given(&rule->ports),
             named = pattern_list_given(&rule->paths);

        if (rule->networks.bits != 0 && others != NETWORKS_ALL)
                return rule->networks.bits;
        if (rule->refuses && (ip || !named))
                more = NETWORKS_RAW;
        if (rule->refuses && ip && !pattern_list_given(&rule->addresses))
                more |= NETWORK_VSOCK;
        if (ip == named)
                return NETWORKS_ALL | more;
        return (ip ? NETWORKS_IP : NETWORKS_UNIX) | more;
}

static bool rule_names_high_ports(const Rule *rule) {
        for (size_t i = 0; i < rule->ports.n; i++)
                if (rule->ports.items[i].ports.last > UINT16_MAX)
                        return true;
        return false;
}

int rule_check(const Rule *rule, char **ret_reason) {
        const char *of_no_use = rule->observes            ? "Observe"
                                : rule->tenant            ? "Tenant"
                                : rule->share_words.n > 0 ? "ShareWith"
                                : rule->max_leases > 0    ? "MaxLeases"
                                : rule->rate.n > 0        ? "RateLimit"
                                                          : NULL;

        if (rule_is_for_nobody(rule))
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "[Rule %s] says for nobody; add User= or Group=, or User=* for "
                                    "everybody",
                                    rule->name);
        if (rule_names_high_ports(rule) && !(rule_networks(rule) & NETWORK_VSOCK))
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "[Rule %s] has a Port= above 65535, which is of vsock alone; add "
                                    "Network=vsock, or give 1 to 65535",
                                    rule->name);
        if (rule->refuses && of_no_use)
                return reason_write(ret_reason, RULE_E_VALUE_INVALID,
                                    "[Rule %s] refuses, so its %s= means nothing; remove one of them",
                                    rule->name, of_no_use);
        return 0;
}

bool rule_allows(const Rule *rule) {
        return !rule->refuses;
}

bool rule_asks_cgroup(const Rule *rule) {
        return rule->units.n > 0 || rule->cgroups.n > 0;
}

bool rule_asks_label(const Rule *rule) {
        return rule->labels.n > 0;
}

bool rule_observes(const Rule *rule) {
        return rule->observes;
}

const char *rule_tenant(const Rule *rule) {
        return rule->tenant;
}

unsigned rule_rights(const Rule *rule) {
        return rule->refuses || rule_gives_none(rule) ? 0 : rule->rights;
}

size_t rule_max_leases(const Rule *rule) {
        return rule->max_leases;
}

void rule_socket_file(const Rule *rule, SocketFile *ret) {
        *ret = rule->socket_file;
}

Rate rule_rate(const Rule *rule) {
        return rule->rate;
}

bool rule_shares(const Rule *rule, uid_t uid, const Tenant *tenant) {
        if (list_test(&rule->share_users, pattern_covers_id, &uid))
                return true;
        for (size_t i = 0; i < rule->share_tenants.n; i++)
                if (strcmp(rule->share_tenants.items[i], tenant->name) == 0)
                        return true;
        return false;
}

/* A name stands for the path that it has, and so does one with a * in it. */
static bool rule_names_namespace(const Rule *rule, const char *path) {
        char pattern[NAMESPACE_PATH_MAX];

        for (size_t i = 0; i < rule->namespaces.n; i++)
                if (!namespace_path_parse(rule->namespaces.items[i], pattern) &&
                    fnmatch(pattern, path, FNM_PATHNAME | FNM_NOESCAPE) == 0)
                        return true;
        return false;
}

/* None of it is in another network namespace, and none has a port. */
bool rule_gives_raw_ip(const Rule *rule) {
        return !rule->refuses && !rule_gives_none(rule) && rule->networks.bits & NETWORKS_RAW &&
               rule->namespaces.n == 0 && (rule->ports.any || !pattern_list_given(&rule->ports));
}

bool rule_gives_namespaces(const Rule *rule) {
        return !rule->refuses && rule->namespaces.n > 0;
}

bool rule_gives_namespace(const Rule *rule, const char *path) {
        return !rule->refuses && rule_names_namespace(rule, path);
}

bool rule_refuses_namespace(const Rule *rule, const char *path) {
        return rule->refuses && rule->networks.bits == 0 && !pattern_list_given(&rule->addresses) &&
               !pattern_list_given(&rule->ports) && !pattern_list_given(&rule->paths) &&
               rule->sharings == 0 && rule->rights == 0 &&
               (rule->namespaces.n == 0 || rule_names_namespace(rule, path));
}

/* To give what is in another namespace takes its name; to refuse something there does not. */
static bool rule_misses_namespace(const Rule *rule, const char *path) {
        if (rule->namespaces.n == 0)
                return path && !rule->refuses;
        return !path || !rule_names_namespace(rule, path);
}

static unsigned network_of(Transport transport, int family) {
        static const struct {
                unsigned ipv4, other;
        } networks[_TRANSPORT_N] = {
                [TRANSPORT_TCP] = { NETWORK_TCP4, NETWORK_TCP6 },
                [TRANSPORT_MPTCP] = { NETWORK_MPTCP4, NETWORK_MPTCP6 },
                [TRANSPORT_SCTP] = { NETWORK_SCTP4, NETWORK_SCTP6 },
                [TRANSPORT_UDP] = { NETWORK_UDP4, NETWORK_UDP6 },
                [TRANSPORT_UDPLITE] = { NETWORK_UDPLITE4, NETWORK_UDPLITE6 },
                [TRANSPORT_RAW] = { NETWORK_IP4, NETWORK_IP6 },
                [TRANSPORT_VSOCK] = { 0, NETWORK_VSOCK },
                [TRANSPORT_UNIX] = { 0, NETWORK_UNIX },
                [TRANSPORT_UNIXGRAM] = { 0, NETWORK_UNIXGRAM },
                [TRANSPORT_UNIXPACKET] = { 0, NETWORK_UNIXPACKET },
        };

        return family == AF_INET ? networks[transport].ipv4 : networks[transport].other;
}

static bool rule_has_network(const Rule *rule, const Address *address, int family) {
        const RuleNetworks *networks = &rule->networks;

        if (rule_networks(rule) & network_of(address->transport, family))
                return true;
        return address_is_raw(address) &&
               (family == AF_INET ? networks->ip4 : networks->ip6)[address->protocol];
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

static bool texts_match(const TextList *list, const char *text, int flags) {
        for (size_t i = 0; i < list->n; i++)
                if (fnmatch(list->items[i], text, flags | FNM_NOESCAPE) == 0 ||
                    /* The root has everything below it; its own slash would be one too many. */
                    (flags & FNM_LEADING_DIR && strcmp(list->items[i], "/") == 0))
                        return true;
        return false;
}

static bool rule_has_cgroup(const Rule *rule, const char *cgroup) {
        char unit[CGROUP_UNIT_MAX];

        return texts_match(&rule->cgroups, cgroup, FNM_PATHNAME | FNM_LEADING_DIR) ||
               (cgroup_unit(cgroup, unit) && texts_match(&rule->units, unit, 0));
}

/* Users and groups are one list. A unit and a label narrow it; unknown, they are what is refused. */
static unsigned rule_misses_who(const Rule *rule, const PolicySubject *subject) {
        unsigned misses = 0;

        if (rule_names_users(rule) ? !rule_names(rule, subject) : rule_is_for_nobody(rule))
                misses |= RULE_MISS_SUBJECT;
        if (rule_asks_cgroup(rule) &&
            !(subject->cgroup ? rule_has_cgroup(rule, subject->cgroup) : rule->refuses))
                misses |= RULE_MISS_UNIT;
        if (rule_asks_label(rule) &&
            !(subject->label ? texts_match(&rule->labels, subject->label, 0) : rule->refuses))
                misses |= RULE_MISS_LABEL;
        return misses;
}

bool rule_is_for(const Rule *rule, const PolicySubject *subject) {
        return rule_misses_who(rule, subject) == 0;
}

static unsigned rule_misses_host(const Rule *rule, const Address *address, const PatternHost *host) {
        PatternTest test = rule->refuses ? pattern_touches_host : pattern_covers_host;
        unsigned misses = 0;

        if (!rule_has_network(rule, address, host->family))
                misses |= RULE_MISS_NETWORK;
        if (pattern_list_given(&rule->addresses) && !list_test(&rule->addresses, test, host))
                misses |= RULE_MISS_ADDRESS;
        return misses;
}

bool rule_covers_port(const Rule *rule, uint32_t port) {
        return !pattern_list_given(&rule->ports) || list_test(&rule->ports, pattern_covers_port, &port);
}

/* Where there is no port, no list of them fits. */
static bool rule_covers_ip_port(const Rule *rule, const Address *address) {
        if (address_has_port(address))
                return rule_covers_port(rule, address_port(address));
        return rule->ports.any || !pattern_list_given(&rule->ports);
}

static unsigned rule_misses_ip(const Rule *rule, const Address *address) {
        unsigned misses = 0, of_host;
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

        if (!rule_covers_ip_port(rule, address))
                misses |= RULE_MISS_PORT;
        return misses;
}

static unsigned rule_misses_unix(const Rule *rule, const Address *address) {
        PatternTest test = rule->refuses ? pattern_touches_name : pattern_covers_name;
        unsigned misses = 0;
        PatternName name;

        pattern_name_of(address, &name);
        if (!rule_has_network(rule, address, AF_UNIX))
                misses |= RULE_MISS_NETWORK;
        if (pattern_list_given(&rule->paths) && !list_test(&rule->paths, test, &name))
                misses |= RULE_MISS_PATH;
        return misses;
}

enum {
        /* The first that the kernel chooses: one more than its LAST_RESERVED_PORT. */
        VSOCK_PORT_FREE = 1024,
};

/* Which port the kernel will choose nobody knows, but that it is none of the privileged ones: no list of
 * ports covers that, and any with others touches it. */
static bool rule_covers_vsock_port(const Rule *rule, uint32_t port) {
        if (port != VMADDR_PORT_ANY)
                return rule_covers_port(rule, port);
        if (rule->ports.any || !pattern_list_given(&rule->ports))
                return true;
        for (size_t i = 0; rule->refuses && i < rule->ports.n; i++)
                if (rule->ports.items[i].ports.last >= VSOCK_PORT_FREE)
                        return true;
        return false;
}

static unsigned rule_misses_vsock(const Rule *rule, const Address *address) {
        unsigned misses = 0;

        if (!rule_has_network(rule, address, AF_VSOCK))
                misses |= RULE_MISS_NETWORK;
        if (!rule_covers_vsock_port(rule, address->u.vm.svm_port))
                misses |= RULE_MISS_PORT;
        return misses;
}

static unsigned rule_misses_address(const Rule *rule, const Address *address) {
        if (address_is_ip(address))
                return rule_misses_ip(rule, address);
        return address_is_vsock(address) ? rule_misses_vsock(rule, address)
                                         : rule_misses_unix(rule, address);
}

unsigned rule_misses(const Rule *rule, const PolicyQuery *query) {
        unsigned misses = rule_misses_address(rule, query->address);
        bool options;

        misses |= rule_misses_who(rule, query->subject);
        if (rule_gives_none(rule))
                misses |= RULE_MISS_OBSERVES;
        if (rule->sharings != 0 && !(rule->sharings & 1U << query->sharing))
                misses |= RULE_MISS_SHARING;
        if (rule_misses_namespace(rule, query->network_namespace))
                misses |= RULE_MISS_NAMESPACE;

        options = rule->refuses ? rule->rights == 0 || (query->rights & rule->rights) != 0
                                : (query->rights & ~rule->rights) == 0;
        if (!options)
                misses |= RULE_MISS_OPTIONS;
        return misses;
}

static const char *describe_unnamed(const Address *address, char buffer[static RULE_MISS_TEXT_MAX]) {
        char network[NETWORK_TEXT_MAX];

        snprintf(buffer, RULE_MISS_TEXT_MAX, "raw IP is given by name alone, as by Network=%s",
                 address_network(address, network));
        return buffer;
}

static const char *describe_port(const Address *address, char buffer[static RULE_MISS_TEXT_MAX]) {
        uint32_t port = address_is_vsock(address) ? address->u.vm.svm_port : address_port(address);

        if (address_is_raw(address))
                return strcpy(buffer, "raw IP has no ports, and so its Port= covers none of it");
        if (port == VMADDR_PORT_ANY)
                return strcpy(buffer, "its Port= does not leave the choice to the kernel");
        snprintf(buffer, RULE_MISS_TEXT_MAX, "its Port= does not cover %u", port);
        return buffer;
}

const char *rule_describe_miss(const Rule *rule, const PolicyQuery *query, RuleMiss miss,
                               char buffer[static RULE_MISS_TEXT_MAX]) {
        char network[NETWORK_TEXT_MAX];

        switch (miss) {
        case RULE_MISS_NETWORK:
                if (address_is_raw(query->address) && !(rule->networks.bits & NETWORKS_RAW))
                        return describe_unnamed(query->address, buffer);
                if (rule->networks.bits == 0)
                        return strcpy(buffer, pattern_list_given(&rule->paths)
                                                      ? "it covers UNIX sockets only"
                                                      : "it covers IP sockets only");
                snprintf(buffer, RULE_MISS_TEXT_MAX, "its Network= does not cover %s",
                         address_network(query->address, network));
                break;
        case RULE_MISS_ADDRESS:
                return strcpy(buffer, "its Address= does not cover this address");
        case RULE_MISS_PORT:
                return describe_port(query->address, buffer);
        case RULE_MISS_PATH:
                return strcpy(buffer, "its Path= does not cover this path");
        case RULE_MISS_SHARING:
                snprintf(buffer, RULE_MISS_TEXT_MAX, "its Sharing= does not cover %s",
                         wire_sharing[query->sharing]);
                break;
        case RULE_MISS_OPTIONS:
                strcpy(buffer, "its Options= does not give");
                for (const Symbol *s = rule_right_symbols; s->bits != POLICY_RIGHTS_ALL; s++)
                        if (query->rights & ~rule->rights & s->bits)
                                strcat(strcat(buffer, " "), s->name);
                break;
        case RULE_MISS_SUBJECT:
                return strcpy(buffer, "it is for other users and groups");
        case RULE_MISS_UNIT:
                return strcpy(buffer,
                              query->subject->cgroup
                                      ? "it is for other units"
                                      : "it is for a unit, and whose this client is is not known");
        case RULE_MISS_LABEL:
                return strcpy(buffer, query->subject->label
                                              ? "it is for other security labels"
                                              : "it is for a security label, and this client has none");
        case RULE_MISS_OBSERVES:
                return strcpy(buffer, "it only lets people look");
        case RULE_MISS_NAMESPACE:
                if (rule->namespaces.n == 0)
                        return strcpy(buffer,
                                      "without NetworkNamespace= it covers the broker's own alone");
                return strcpy(buffer, query->network_namespace
                                              ? "its NetworkNamespace= does not cover this one"
                                              : "it is for other network namespaces");
        case RULE_MISS_WHO:
                break;
        }
        return buffer;
}
