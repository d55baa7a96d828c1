/* SPDX-License-Identifier: BSD-2-Clause */

#pragma once

/* Policies of rules written down as in a file, and what they decide. */

#include "daemon/policy.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/socket-file.h"
#include "proto/cleanup.h"
#include "tests/unit/leaks.h"

CLEANUP_DEFINE(Policy, policy_free)

static const AddressFamilies families = { .ipv4 = true, .ipv6 = true, .mapped = true };

/* Somebody without any group that a test names. */
static const PolicySubject nobody = { .uid = 60001, .gid = 60001 };

/* Adds a rule of lines KEY=VALUE. */
static inline void add(Policy *policy, const char *name, const char *lines) {
        _cleanup_(freep) char *copy = strdup(lines);
        char *rest = copy, *line;
        Rule *rule;

        cr_assert(eq(int, policy_add_rule(policy, name, "test.conf", 1, &rule), 0));
        while ((line = strsep(&rest, "\n"))) {
                char *value = strchr(line, '='), *reason = NULL;

                if (!value)
                        continue;
                *value++ = '\0';
                cr_assert(eq(int, rule_set(rule, line, value, &reason), 0), "%s=%s: %s", line, value,
                          reason);
        }
}

static inline Policy *one_rule(const char *lines) {
        Policy *policy = policy_new();

        cr_assert_not_null(policy);
        add(policy, "r", lines);
        return policy;
}

/*
 * By hand what address_parse() would refuse: a UNIX path with dots, an abstract name with NULs (@n bytes
 * of @path, or 0), an IPv4 address in IPv6 notation.
 */
static inline Address address_of(const char *network, const char *text) {
        Address address = { .transport = TRANSPORT_UNIX };
        const char *reason = "";

        if (strcmp(network, "mapped") == 0) {
                address.transport = TRANSPORT_TCP;
                address.len = sizeof(address.u.in6);
                address.u.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(80) };
                address.u.in6.sin6_addr.s6_addr[10] = address.u.in6.sin6_addr.s6_addr[11] = 0xff;
                cr_assert(eq(int,
                             sscanf(text, "%hhu.%hhu.%hhu.%hhu", &address.u.in6.sin6_addr.s6_addr[12],
                                    &address.u.in6.sin6_addr.s6_addr[13],
                                    &address.u.in6.sin6_addr.s6_addr[14],
                                    &address.u.in6.sin6_addr.s6_addr[15]),
                             4));
        } else if (strncmp(network, "unix", 4) == 0 && *text != '@') {
                address.transport = strcmp(network, "unix") == 0       ? TRANSPORT_UNIX
                                    : strcmp(network, "unixgram") == 0 ? TRANSPORT_UNIXGRAM
                                                                       : TRANSPORT_UNIXPACKET;
                address.u.un.sun_family = AF_UNIX;
                strcpy(address.u.un.sun_path, text);
                address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1);
        } else {
                cr_assert(eq(int, address_parse(network, text, &families, &address, &reason), 0),
                          "%s %s: %s", network, text, reason);
        }
        return address;
}

typedef struct Decided {
        bool allowed;
        const Rule *rule;
        Tenant tenant;
        char reason[POLICY_REASON_MAX];
} Decided;

/* What is made ready for any port decides of each as the whole policy does. */
static inline void expect_same_by_shortlist(const Policy *policy, const PolicyQuery *query,
                                            const PolicyVerdict *verdict) {
        Address address = *query->address;
        PolicyQuery other = *query;
        PolicyShortlist list;
        PolicyVerdict again;

        /* Of the others no port is chosen. */
        if (!address_has_port(query->address))
                return;

        other.address = &address;
        address_set_port(&address, (uint16_t)(address_port(query->address) + 1));
        cr_assert(eq(int, policy_shortlist(policy, &other, &list), 0));
        address_set_port(&address, address_port(query->address));
        memset(&again, 0xaa, sizeof(again));
        policy_shortlist_decide(&list, &again);
        cr_assert(eq(ptr, (void *)again.rule, (void *)verdict->rule));
        cr_assert(eq(int, again.allowed, verdict->allowed));
        cr_assert(tenant_equal(&again.tenant, &verdict->tenant));
        policy_shortlist_deinit(&list);
}

static inline Decided decide(const Policy *policy, const PolicySubject *subject, const char *network,
                             const char *text, Sharing sharing, unsigned rights) {
        Address address = address_of(network, text);
        PolicyQuery query = {
                .subject = subject, .address = &address, .sharing = sharing, .rights = rights
        };
        PolicyVerdict verdict;
        Decided decided;

        memset(&verdict, 0xaa, sizeof(verdict));
        policy_decide(policy, &query, &verdict);
        cr_assert(not(verdict.allowed && !verdict.rule));
        if (address_is_ip(&address))
                expect_same_by_shortlist(policy, &query, &verdict);
        decided = (Decided){ verdict.allowed, verdict.rule, verdict.tenant, "" };
        policy_explain(policy, &query, &verdict, decided.reason);
        return decided;
}
