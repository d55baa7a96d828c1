/* SPDX-License-Identifier: BSD-2-Clause */

#include "proto/ip-protocol.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

TestSuite(ip_protocol, .timeout = 10);

Test(ip_protocol, refused) {
        static const char *const texts[] = {
                "",    "256", "-1",    "+1",    " 1", "1 ",   "0x1",
                "1.0", "icm", "icmp ", "icmp6", "ip", "none", "999999999999999999999999"
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                uint8_t number = 77;

                cr_expect(not(ip_protocol_parse(texts[i], &number)), "%s", texts[i]);
                cr_expect(eq(u8, number, 77), "%s", texts[i]);
        }
}

Test(ip_protocol, numbers_and_names) {
        static const struct {
                const char *text;
                uint8_t number;
        } rows[] = {
                { "0", 0 },      { "1", 1 },      { "255", 255 }, { "007", 7 },        { "icmp", 1 },
                { "ICMP", 1 },   { "igmp", 2 },   { "tcp", 6 },   { "udp", 17 },       { "gre", 47 },
                { "esp", 50 },   { "ah", 51 },    { "ospf", 89 }, { "IPv6-ICMP", 58 }, { "sctp", 132 },
                { "l2tp", 115 }, { "vrrp", 112 }, { "pim", 103 }, { "udplite", 136 },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                uint8_t number = 77;

                cr_expect(ip_protocol_parse(rows[i].text, &number), "%s", rows[i].text);
                cr_expect(eq(u8, number, rows[i].number), "%s", rows[i].text);
        }
}

/* The names here are those of the system, where that has any. */
Test(ip_protocol, names_agree_with_the_system) {
        const struct protoent *entry;
        size_t n = 0;

        while ((entry = getprotoent())) {
                uint8_t number;

                if (!ip_protocol_parse(entry->p_name, &number))
                        continue;
                cr_expect(eq(int, number, entry->p_proto), "%s", entry->p_name);
                n++;
        }
        endprotoent();
        if (n == 0)
                cr_skip_test("there is no /etc/protocols");
}

Test(ip_protocol, networks_taken_apart) {
        static const struct {
                const char *network;
                int family; /* -1: it is none */
                const char *protocol;
        } rows[] = {
                { "", -1, NULL },         { "ip", -1, NULL },        { "ip4", -1, NULL },
                { "IP:1", -1, NULL },     { "ipx:1", -1, NULL },     { "ip46:1", -1, NULL },
                { "tcp:1", -1, NULL },    { "xy:1", -1, NULL },      { ":1", -1, NULL },
                { "ip:", AF_UNSPEC, "" }, { "ip4:1", AF_INET, "1" }, { "ip6:a:b", AF_INET6, "a:b" },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                const char *protocol = NULL;
                int family = -1;
                bool is = ip_network_split(rows[i].network, &family, &protocol);

                cr_expect(eq(int, is, rows[i].family >= 0), "%s", rows[i].network);
                cr_expect(eq(int, family, rows[i].family), "%s", rows[i].network);
                if (is)
                        cr_expect(eq(str, (char *)protocol, (char *)rows[i].protocol));
        }
}
