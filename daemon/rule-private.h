/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What a rule is made of: shared by rule-key.c, which fills it, and rule.c, which judges by it. */

#include "daemon/pattern.h"
#include "daemon/rule.h"
#include "daemon/socket-file.h"

/* The networks a rule can name. A dual-stack socket is both of its kind. */
enum {
        NETWORK_TCP4 = 1 << 0,
        NETWORK_TCP6 = 1 << 1,
        NETWORK_UDP4 = 1 << 2,
        NETWORK_UDP6 = 1 << 3,
        NETWORK_UNIX = 1 << 4,
        NETWORK_UNIXGRAM = 1 << 5,
        NETWORK_UNIXPACKET = 1 << 6,
        NETWORK_MPTCP4 = 1 << 7,
        NETWORK_MPTCP6 = 1 << 8,
        NETWORK_SCTP4 = 1 << 9,
        NETWORK_SCTP6 = 1 << 10,
        NETWORK_UDPLITE4 = 1 << 11,
        NETWORK_UDPLITE6 = 1 << 12,
        NETWORK_VSOCK = 1 << 13,
        /* Raw IP of every protocol; or of some, which are in RuleNetworks. */
        NETWORK_IP4 = 1 << 14,
        NETWORK_IP6 = 1 << 15,
        NETWORK_IP_OF_SOME = 1 << 16,

        NETWORKS_IP = NETWORK_TCP4 | NETWORK_TCP6 | NETWORK_UDP4 | NETWORK_UDP6 | NETWORK_MPTCP4 |
                      NETWORK_MPTCP6 | NETWORK_SCTP4 | NETWORK_SCTP6 | NETWORK_UDPLITE4 |
                      NETWORK_UDPLITE6,
        NETWORKS_UNIX = NETWORK_UNIX | NETWORK_UNIXGRAM | NETWORK_UNIXPACKET,
        NETWORKS_RAW = NETWORK_IP4 | NETWORK_IP6 | NETWORK_IP_OF_SOME,
        /* But for raw IP, which is given by name alone. */
        NETWORKS_ALL = NETWORKS_IP | NETWORKS_UNIX | NETWORK_VSOCK,
};

typedef struct RuleNetworks {
        unsigned bits; /* 0 when the key is absent */
        /* The protocols of raw IP that are named. */
        bool ip4[UINT8_MAX + 1];
        bool ip6[UINT8_MAX + 1];
} RuleNetworks;

typedef struct PatternList {
        bool any; /* "*" */
        Pattern *items;
        size_t n;
} PatternList;

typedef struct TextList {
        char **items;
        size_t n;
} TextList;

struct Rule {
        char *name;
        char *file;
        unsigned line;
        PatternList users;
        PatternList groups;
        PatternList addresses;
        PatternList ports;
        PatternList paths;
        /* In the notation of fnmatch(3). */
        TextList units;
        TextList cgroups;
        TextList labels;
        TextList namespaces;
        RuleNetworks networks;
        /* Bits; 0 when the key is absent. */
        unsigned sharings;
        unsigned rights;
        unsigned refuses; /* Allow=, the other way round */
        unsigned observes;
        char *tenant;
        TextList share_words; /* as written; the next two are what they mean */
        PatternList share_users;
        TextList share_tenants;
        SocketFile socket_file;
        size_t max_leases;
        Rate rate;
};

typedef struct Symbol {
        const char *name;
        unsigned bits;
} Symbol;

/* Ends with an empty row; the last of all is "*". */
extern const Symbol rule_right_symbols[];

static inline bool pattern_list_given(const PatternList *list) {
        return list->any || list->n > 0;
}

/* Empties it. */
void pattern_list_deinit(PatternList *list);
void text_list_deinit(TextList *list);
