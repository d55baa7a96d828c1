/* SPDX-License-Identifier: BSD-2-Clause */

/* The names are those of the registry of IANA, as protocols(5) and Go have them. */

#include "proto/ip-protocol.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static const struct {
        const char *name;
        uint8_t number;
} protocols[] = {
        { "icmp", IPPROTO_ICMP },
        { "igmp", IPPROTO_IGMP },
        { "ipencap", IPPROTO_IPIP },
        { "tcp", IPPROTO_TCP },
        { "egp", IPPROTO_EGP },
        { "udp", IPPROTO_UDP },
        { "dccp", IPPROTO_DCCP },
        { "ipv6", IPPROTO_IPV6 },
        { "rsvp", IPPROTO_RSVP },
        { "gre", IPPROTO_GRE },
        { "esp", IPPROTO_ESP },
        { "ah", IPPROTO_AH },
        { "ipv6-icmp", IPPROTO_ICMPV6 },
        { "eigrp", 88 },
        { "ospf", 89 },
        { "pim", IPPROTO_PIM },
        { "vrrp", 112 },
        { "l2tp", 115 },
        { "sctp", IPPROTO_SCTP },
        { "udplite", IPPROTO_UDPLITE },
};

static bool number_parse(const char *text, uint8_t *ret) {
        size_t n = strspn(text, "0123456789");
        unsigned long number;

        if (n == 0 || text[n] != '\0')
                return false;
        number = strtoul(text, NULL, 10);
        if (number > UINT8_MAX)
                return false;
        *ret = (uint8_t)number;
        return true;
}

bool ip_protocol_parse(const char *text, uint8_t *ret) {
        for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
                if (strcasecmp(protocols[i].name, text) == 0) {
                        *ret = protocols[i].number;
                        return true;
                }
        return number_parse(text, ret);
}

bool ip_network_split(const char *network, int *ret_family, const char **ret_protocol) {
        size_t n = strcspn(network, ":");
        int family = n == 2                        ? AF_UNSPEC
                     : n == 3 && network[2] == '4' ? AF_INET
                     : n == 3 && network[2] == '6' ? AF_INET6
                                                   : -1;

        if (family < 0 || network[n] != ':' || strncmp(network, "ip", 2) != 0)
                return false;
        *ret_family = family;
        *ret_protocol = network + n + 1;
        return true;
}
