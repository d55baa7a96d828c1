/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Every option of the interface: asked for, found on the socket, told in the reply, and compared when a
 * second client comes.
 */

#include <netinet/tcp.h>

#include "proto/wire.h"
#include "tests/integration/acquire-kit.h"

TestSuite(options, .timeout = 60);

static const struct Case {
        const char *option;
        const char *value; /* asked for */
        const char *told;  /* in the reply; NULL: the same */
        const char *
                other; /* what another client could ask for instead; NULL: it would be another address */
        const char *network;
        const char *address; /* NULL: 127.0.0.1:0 */
        int level, name;     /* of the kernel, where it is a plain number there */
        bool root;
} cases[] = {
        { "backlog", "7", NULL, "8", "tcp4", NULL, 0, 0, false },
        { "ipv6Only", "true", NULL, NULL, "tcp", ":0", IPPROTO_IPV6, IPV6_V6ONLY, false },
        { "ipv6Only", "false", NULL, NULL, "tcp", ":0", IPPROTO_IPV6, IPV6_V6ONLY, false },
        { "reuseAddress", "false", NULL, "true", "tcp4", NULL, SOL_SOCKET, SO_REUSEADDR, false },
        { "broadcast", "false", NULL, "true", "udp4", NULL, SOL_SOCKET, SO_BROADCAST, false },
        { "bindToDevice", "'lo'", NULL, "'eth0'", "tcp4", NULL, 0, 0, true },
        { "freeBind", "true", NULL, "false", "tcp4", NULL, IPPROTO_IP, IP_FREEBIND, false },
        { "transparent", "true", NULL, "false", "tcp4", NULL, IPPROTO_IP, IP_TRANSPARENT, true },
        { "mark", "4294967295", NULL, "2", "tcp4", NULL, 0, 0, true },
        { "priority", "3", NULL, "4", "tcp4", NULL, SOL_SOCKET, SO_PRIORITY, false },
        { "typeOfService", "16", NULL, "8", "tcp4", NULL, IPPROTO_IP, IP_TOS, false },
        { "typeOfService", "16", NULL, "8", "udp6", "[::1]:0", IPPROTO_IPV6, IPV6_TCLASS, false },
        { "timeToLive", "9", NULL, "10", "udp4", NULL, IPPROTO_IP, IP_TTL, false },
        { "timeToLive", "9", NULL, "10", "tcp", ":0", IPPROTO_IPV6, IPV6_UNICAST_HOPS, false },
        { "keepAlive", "true", NULL, "false", "tcp4", NULL, SOL_SOCKET, SO_KEEPALIVE, false },
        { "keepAliveIdleSec", "11", NULL, "12", "tcp4", NULL, IPPROTO_TCP, TCP_KEEPIDLE, false },
        { "keepAliveIntervalSec", "13", NULL, "14", "tcp4", NULL, IPPROTO_TCP, TCP_KEEPINTVL, false },
        { "keepAliveProbes", "5", NULL, "6", "tcp4", NULL, IPPROTO_TCP, TCP_KEEPCNT, false },
        { "noDelay", "true", NULL, "false", "tcp4", NULL, IPPROTO_TCP, TCP_NODELAY, false },
        { "deferAcceptSec", "3", NULL, "7", "tcp4", NULL, IPPROTO_TCP, TCP_DEFER_ACCEPT, false },
        { "fastOpenQueue", "5", NULL, "6", "tcp4", NULL, IPPROTO_TCP, TCP_FASTOPEN, false },
        { "userTimeoutMsec", "1234", NULL, "5678", "tcp4", NULL, IPPROTO_TCP, TCP_USER_TIMEOUT, false },
        { "lingerSec", "4", NULL, "-1", "tcp4", NULL, 0, 0, false },
        /* The kernel doubles what it is asked for. */
        { "receiveBuffer", "5000", "10000", "6000", "udp4", NULL, SOL_SOCKET, SO_RCVBUF, false },
        { "sendBuffer", "6000", "12000", "5000", "unixgram", "@%", SOL_SOCKET, SO_SNDBUF, false },
        { "congestion", "'reno'", NULL, "'cubic'", "tcp4", NULL, 0, 0, false },
        { "packetInfo", "true", NULL, "false", "udp4", NULL, IPPROTO_IP, IP_PKTINFO, false },
        { "timestamp", "true", NULL, "false", "udp6", "[::1]:0", SOL_SOCKET, SO_TIMESTAMP, false },
        { "passCredentials", "true", NULL, "false", "unixgram", "@%", SOL_SOCKET, SO_PASSCRED, false },
        { "multicastGroups", "['239.1.2.3%lo']", NULL, "['239.1.2.4%lo']", "udp4", NULL, 0, 0, false },
        { "multicastInterface", "'lo'", NULL, "'eth0'", "udp4", NULL, 0, 0, false },
        { "multicastLoop", "false", NULL, "true", "udp4", NULL, IPPROTO_IP, IP_MULTICAST_LOOP, false },
        { "raw", "[{'level':1,'name':9,'value':'01000000'}]", NULL,
          "[{'level':1,'name':9,'value':'00000000'}]", "tcp4", NULL, SOL_SOCKET, SO_KEEPALIVE, false },
};

enum {
        N_CASES = sizeof(cases) / sizeof(cases[0]),
};

static const char *case_address(const struct Case *c, const Kit *kit, char buffer[static 128]) {
        if (c->address && strchr(c->address, '%'))
                snprintf(buffer, 128, "@%s/socket", kit->harness.folder);
        else
                snprintf(buffer, 128, "%s", c->address ?: "127.0.0.1:0");
        return buffer;
}

static json_t *parse_quoted(const char *text) {
        char buffer[256];
        json_t *json;

        snprintf(buffer, sizeof(buffer), "%s", text);
        for (char *c = buffer; *c; c++)
                if (*c == '\'')
                        *c = '"';
        json = json_loads(buffer, JSON_DECODE_ANY, NULL);
        cr_assert(json != NULL, "%s", buffer);
        return json;
}

/* A value as the texts of a conflict show it. */
static const char *case_plain(const char *value, char buffer[static 128]) {
        size_t n = 0;

        if (strchr(value, '{'))
                return strstr(value, "'01") ? "1:9=01000000" : "1:9=00000000";
        for (; *value; value++)
                if (!strchr("[]'", *value))
                        buffer[n++] = *value;
        buffer[n] = '\0';
        return buffer;
}

static KitSocket acquire_case(int control, const struct Case *c, const char *network,
                              const char *address, const char *value) {
        return kit_acquire(control, "{'network':'%s','address':'%s','options':{'%s':%s}}", network,
                           address, c->option, value);
}

/* A field that is added to the interface is missed here until it is tested. */
Test(options, table_has_every_field) {
        for (size_t i = 0; i < wire_options.n_fields; i++) {
                bool found = false;

                for (int j = 0; j < N_CASES; j++)
                        found |= strcmp(cases[j].option, wire_options.fields[i].name) == 0;
                cr_assert(found, "%s", wire_options.fields[i].name);
        }
}

static void expect_on_socket(const struct Case *c, const KitSocket *held) {
        json_auto_t *expected = parse_quoted(c->told ?: c->value);
        char path[64];

        snprintf(path, sizeof(path), "options.%s", c->option);
        if (!json_equal(kit_at(held->reply, path), expected))
                cr_fatal("%s: asked %s, told %s", c->option, c->value,
                         json_dumps(kit_at(held->reply, "options"), 0));
        if (c->level > 0 || c->name > 0) {
                int value = kit_int_option(held->fd, c->level, c->name);

                if (json_is_integer(expected))
                        cr_assert(eq(llong, value, json_integer_value(expected)), "%s", c->option);
                else
                        cr_assert(eq(int, value != 0, !json_is_false(expected)), "%s", c->option);
        }
}

Test(options, each_is_set_and_told) {
        Kit kit;
        char address[128];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (const struct Case *c = cases; c < cases + N_CASES; c++) {
                KitSocket held;

                if (c->root && geteuid() != 0)
                        continue;
                held = acquire_case(control, c, c->network, case_address(c, &kit, address), c->value);
                expect_on_socket(c, &held);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

static void expect_conflict(int control, const struct Case *c, const KitSocket *held) {
        char have[128], want[128];
        json_auto_t *reply = kit_refused(
                control, "OptionConflict", "{'network':'%s','address':'%s','options':{'%s':%s}}",
                kit_text(held->reply, "network"), kit_address(held), c->option, c->other);

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), c->option);
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.have"), case_plain(c->value, have));
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.want"), case_plain(c->other, want));
}

Test(options, second_client_asks_for_another_value) {
        Kit kit;
        char address[128];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (const struct Case *c = cases; c < cases + N_CASES; c++) {
                KitSocket held;

                if (!c->other || (c->root && geteuid() != 0))
                        continue;
                held = acquire_case(control, c, c->network, case_address(c, &kit, address), c->value);
                expect_conflict(control, c, &held);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

/* Against what the kernel says, where the first client asked for nothing. */
Test(options, second_client_differs_from_default) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        {
                json_auto_t *reply = kit_refused(
                        control, "OptionConflict",
                        "{'network':'tcp4','address':'%s','options':{'keepAlive':false,'noDelay':true}}",
                        kit_address(&held));

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "noDelay");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.have"), "false");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.want"), "true");
        }
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* Equal or not mentioned: no conflict, and the second socket of a group has it as well. */
Test(options, second_client_asks_for_the_same_or_nothing) {
        Kit kit;
        char address[128];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (const struct Case *c = cases; c < cases + N_CASES; c++) {
                KitSocket held, same, nothing;
                const char *network;

                if (c->root && geteuid() != 0)
                        continue;
                held = acquire_case(control, c, c->network, case_address(c, &kit, address), c->value);
                network = kit_text(held.reply, "network");
                same = acquire_case(control, c, network, kit_address(&held), c->value);
                nothing = kit_acquire(control, "{'network':'%s','address':'%s'}", network,
                                      kit_address(&held));
                expect_on_socket(c, &same);
                expect_on_socket(c, &nothing);
                kit_release(control, &same);
                kit_release(control, &nothing);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

Test(options, invalid) {
        static const struct {
                const char *network;
                const char *option;
                const char *value;
        } table[] = {
                { "tcp4", "backlog", "0" },
                { "udp4", "backlog", "1" },
                { "unixgram", "backlog", "1" },
                { "tcp4", "ipv6Only", "true" },
                { "udp4", "reuseAddress", "true" },
                { "unix", "reuseAddress", "true" },
                { "tcp4", "broadcast", "true" },
                { "tcp4", "bindToDevice", "''" },
                { "tcp4", "bindToDevice", "'sixteen-bytes-16'" },
                { "tcp4", "bindToDevice", "'none-such'" },
                { "unix", "freeBind", "true" },
                { "tcp4", "mark", "-1" },
                { "tcp4", "mark", "4294967296" },
                { "tcp4", "priority", "-1" },
                { "tcp4", "typeOfService", "256" },
                { "tcp4", "timeToLive", "0" },
                { "tcp4", "timeToLive", "256" },
                { "udp4", "keepAlive", "true" },
                { "tcp4", "keepAliveIdleSec", "0" },
                { "tcp4", "keepAliveIntervalSec", "32768" },
                { "tcp4", "keepAliveProbes", "128" },
                { "udp4", "noDelay", "true" },
                { "udp4", "deferAcceptSec", "1" },
                { "tcp4", "fastOpenQueue", "-1" },
                { "tcp4", "userTimeoutMsec", "-1" },
                { "tcp4", "lingerSec", "-2" },
                { "tcp4", "lingerSec", "65536" },
                { "tcp4", "receiveBuffer", "0" },
                { "tcp4", "sendBuffer", "1073741824" },
                { "tcp4", "congestion", "'none-such'" },
                { "udp4", "congestion", "'reno'" },
                { "tcp4", "packetInfo", "true" },
                { "tcp4", "timestamp", "true" },
                { "tcp4", "passCredentials", "true" },
                { "udp4", "multicastGroups", "['127.0.0.1']" },
                { "udp4", "multicastGroups", "['239.1.2.3%none-such']" },
                { "udp4", "multicastGroups", "['ff02::1']" },
                { "tcp4", "multicastGroups", "['239.1.2.3']" },
                { "udp4", "multicastInterface", "'none-such'" },
                { "tcp4", "multicastLoop", "true" },
                { "tcp4", "raw", "[{'level':1,'name':9,'value':'1'}]" },
                { "tcp4", "raw", "[{'level':1,'name':9,'value':'zz'}]" },
                { "tcp4", "raw", "[{'level':1,'name':9,'value':'01'}]" },
                { "tcp4", "raw", "[{'level':-1,'name':9,'value':'01000000'}]" },
                { "tcp4", "raw", "[{'level':1,'name':15,'value':'01000000'}]" },
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                json_auto_t *reply = kit_refused(
                        control, "OptionInvalid",
                        "{'network':'%s','address':'%s%s','options':{'%s':%s}}", table[i].network,
                        table[i].network[0] == 'u' && table[i].network[1] == 'n' ? "@" : "",
                        table[i].network[0] == 'u' && table[i].network[1] == 'n' ? kit.harness.folder
                                                                                 : "127.0.0.1:0",
                        table[i].option, table[i].value);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), table[i].option);
                cr_assert(ne(str, (char *)kit_text(reply, "parameters.reason"), (char *)""));
        }
        close(control);
        kit_stop(&kit);
}

/* A broker without privileges cannot set what takes CAP_NET_ADMIN, and says so of the step. */
Test(options, without_the_privilege) {
        static const char *const options[] = { "'mark':1", "'transparent':true", "'priority':7" };
        Kit kit;
        int control;

        kit_start_as(&kit, KIT_CONFIG, geteuid() == 0 ? KIT_UID : geteuid());
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
                json_auto_t *reply = kit_refused(
                        control, "SystemFailure",
                        "{'network':'tcp4','address':'127.0.0.1:0','options':{%s}}", options[i]);
                char step[64];

                snprintf(step, sizeof(step), "setsockopt %.*s", (int)strcspn(options[i] + 1, "'"),
                         options[i] + 1);
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), step);
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "EPERM");
        }
        close(control);
        kit_stop(&kit);
}

/* Also what the broker puts beside the members of a group can be where no interface has the address:
 * among several, and where connections wait with nobody to take them. */
Test(options, free_bind_of_a_group) {
        static const struct {
                const char *network, *address;
        } groups[] = {
                { "tcp4", "192.0.2.1:0" },
                { "tcp6", "[2001:db8::1]:0" },
                { "udp4", "192.0.2.1:0" },
                { "udp6", "[2001:db8::1]:0" },
        };
        int control;
        Kit kit;

        harness_private_network();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
                json_decref(kit_refused(control, "AddressUnavailable", "{'network':'%s','address':'%s'}",
                                        groups[i].network, groups[i].address));
                for (int standby = 0; standby < 2; standby++) {
                        KitSocket held[2];

                        if (standby && !kit_is_capable(control, "steer"))
                                continue;
                        held[0] = kit_acquire(
                                control, "{'network':'%s','address':'%s','options':{'freeBind':true}%s}",
                                groups[i].network, groups[i].address, standby ? ",'standby':true" : "");
                        held[1] = kit_acquire(
                                control, "{'network':'%s','address':'%s','options':{'freeBind':true}}",
                                groups[i].network, kit_address(&held[0]));
                        for (int j = 0; j < 2; j++)
                                kit_release(control, &held[j]);
                }
        }
        close(control);
        kit_stop(&kit);
}
