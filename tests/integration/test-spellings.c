/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An address is judged, and found, when it is normal: no other spelling of it is a second endpoint, or
 * gets past a rule.
 */

#include <sys/stat.h>

#include "tests/integration/acquire-kit.h"

TestSuite(spellings, .init = harness_private_network, .timeout = 60);

typedef struct Spelling {
        const char *network, *address; /* with the port after it */
        const char *more;
} Spelling;

/* One socket, in all the ways in which it can be asked for. The first is that of the reply. */
static const Spelling sockets[][10] = {
        { { "tcp4", "127.0.0.1:", "" },
          { "tcp", "127.0.0.1:", "" },
          { "tcp", "[127.0.0.1]:", "" },
          { "tcp", "[::ffff:127.0.0.1]:", "" },
          { "tcp4", "[::ffff:7f00:1]:", "" },
          { "tcp", "[0:0:0:0:0:ffff:127.0.0.1]:", "" },
          { "tcp", "[::ffff:127.0.0.1%lo]:", "" },
          { "tcp", "localhost:", "" },
          { "tcp4", "LocalHost:", "" } },
        { { "udp", "[::]:", "" },
          { "udp", ":", "" },
          { "udp", "0.0.0.0:", "" },
          { "udp", "[::ffff:0.0.0.0]:", "" },
          { "udp", "[0::0]:", "" },
          { "udp", "[::%lo]:", "" },
          { "udp6", "[::]:", ",'options':{'ipv6Only':false}" } },
        { { "tcp6", "[::]:", "" },
          { "tcp6", ":", "" },
          { "tcp", "[::]:", ",'options':{'ipv6Only':true}" },
          { "tcp", ":", ",'options':{'ipv6Only':true}" } },
        { { "tcp6", "[::1]:", "" },
          { "tcp", "[0:0:0:0:0:0:0:1]:", "" },
          { "tcp", "[::0.0.0.1]:", "" },
          { "tcp", "[::1%lo]:", "" },
          { "tcp6", "[::1%no such interface]:", "" },
          { "tcp", "[::1%]:", "" },
          { "tcp6", "localhost:", "" } },
        { { "udp6", "[ff02::fb%lo]:", "" },
          { "udp6", "[ff02::fb%1]:", "" },
          { "udp", "[ff02:0::00fb%01]:", "" },
          { "udp", "[FF02::FB%lo]:", ",'options':{'bindToDevice':'lo'}" } },
};

enum { N_SOCKETS = sizeof(sockets) / sizeof(sockets[0]) };

static size_t count_endpoints(int control) {
        json_auto_t *list = kit_call(control, "List", "{}");

        return json_array_size(kit_at(list, "parameters.endpoints"));
}

Test(spellings, every_one_is_the_same_endpoint) {
        Kit kit;
        int control, other;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        other = harness_connect(&kit.harness);
        for (size_t i = 0; i < N_SOCKETS; i++) {
                const Spelling *first = &sockets[i][0];

                for (const Spelling *s = first; s->network; s++) {
                        KitSocket held = kit_acquire(
                                control, "{'network':'%s','address':'%s7000','sharing':'exclusive'%s}",
                                s->network, s->address, s->more);
                        char expected[64];

                        snprintf(expected, sizeof(expected), "%s7000", first->address);
                        KIT_EXPECT_TEXT(kit_text(held.reply, "network"), first->network);
                        KIT_EXPECT_TEXT(kit_address(&held), expected);
                        for (const Spelling *t = first; t->network; t++) {
                                json_auto_t *reply = kit_refused(
                                        other, "AddressInUse", "{'network':'%s','address':'%s07000'%s}",
                                        t->network, t->address, t->more);

                                KIT_EXPECT_TEXT(kit_text(reply, "parameters.address"), expected);
                                cr_assert(
                                        eq(llong, kit_number(reply, "parameters.holder.pid"), getpid()));
                        }
                        cr_assert(eq(sz, count_endpoints(control), 1));
                        kit_release(control, &held);
                }
        }
        close(other);
        close(control);
        kit_stop(&kit);
}

/* What the kernel, or a C library, would take for one of them, and what means nothing to either. */
Test(spellings, doubtful_ones_are_refused) {
        static const char *const rows[][2] = {
                { "tcp", "0:7000" },
                { "tcp", "127.1:7000" },
                { "tcp", "0x7f.0.0.1:7000" },
                { "tcp", "2130706433:7000" },
                { "tcp", "0177.0.0.1:7000" },
                { "tcp", "127.0.0.01:7000" },
                { "tcp", "localhost.:7000" },
                { "tcp", "localhost.localdomain:7000" },
                { "tcp", "ip6-localhost:7000" },
                { "tcp", "*:7000" },
                { "tcp", "[127.0.0.1%lo]:7000" },
                { "tcp", "[::1%lo%lo]:7000" },
                { "tcp", "[%lo]:7000" },
                { "tcp", "localhost%lo:7000" },
                { "udp", "[fe80::1]:7000" },
                { "udp", "[fe80::1%]:7000" },
                { "udp", "[fe80::1%nope]:7000" },
                { "udp", "[ff02::fb]:7000" },
                { "tcp4", "[::1]:7000" },
                { "tcp6", "[::ffff:127.0.0.1]:7000" },
                { "tcp", "127.0.0.1:65537" },
                { "tcp", "127.0.0.1: 7000" },
                { "unix", "@" },
                { "unix", "/run//x" },
                { "unix", "/run/./x" },
                { "unix", "/run/../x" },
                { "unix", "/run/x/" },
                { "unix", "/run/x/." },
                { "unix", "run/x" },
                { "unix", "/" },
                { "unix", "/run/x\\n" },
                { "unix", "@x\\u0001" },
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                json_auto_t *reply =
                        kit_refused(control, "AddressInvalid", "{'network':'%s','address':'%s'}",
                                    rows[i][0], rows[i][1]);

                cr_assert(strstr(kit_text(reply, "parameters.reason"), "; give ") != NULL, "%s",
                          rows[i][1]);
        }
        cr_assert(zero(sz, count_endpoints(control)));
        close(control);
        kit_stop(&kit);
}

/* A NUL would end the path for the kernel, and begin another abstract name. */
Test(spellings, no_nul_gets_into_a_name) {
        static const char *const addresses[] = { "/run/x\\u0000", "@x\\u0000y", "\\u0000x" };
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        for (size_t i = 0; i < 3; i++) {
                int control = harness_connect(&kit.harness);

                json_decref(kit_refused(control, "org.varlink.service.InvalidParameter",
                                        "{'network':'unix','address':'%s'}", addresses[i]));
                close(control);
        }
        kit_stop(&kit);
}

Test(spellings, a_zone_and_a_device_that_differ_are_refused) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "OptionInvalid",
                                "{'network':'udp6','address':'[ff02::fb%%lo]:7000',"
                                "'options':{'bindToDevice':'eth77'}}"));
        json_decref(kit_refused(control, "OptionInvalid",
                                "{'network':'udp6','address':'[ff02::fb%%77]:7000',"
                                "'options':{'bindToDevice':'lo'}}"));
        close(control);
        kit_stop(&kit);
}

/* On one port, and yet not the endpoint that is there: its user gets another one, and no member
 * of that. */
Test(spellings, what_is_no_other_spelling_is_another_endpoint) {
        static const Spelling others[] = {
                { "tcp6", "[::]:", "" },    { "tcp", "[::]:", ",'options':{'ipv6Only':true}" },
                { "tcp4", "0.0.0.0:", "" }, { "tcp4", "127.0.0.1:", "" },
                { "udp", "[::]:", "" },
        };
        KitSocket held;
        int control;
        Kit kit;

        kit_start(&kit, KIT_TENANTS_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp','address':':7000'}");
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                KitSocket other = kit_acquire(control, "{'network':'%s','address':'%s7000'%s}",
                                              others[i].network, others[i].address, others[i].more);

                cr_assert(ne(str, (char *)kit_text(held.reply, "endpoint"),
                             (char *)kit_text(other.reply, "endpoint")));
                kit_expect_members(control, &held, 1);
                kit_release(control, &other);
        }
        kit_expect_served(held.fd);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

/* Whichever of them the rule names. */
Test(spellings, t1_none_gets_past_a_rule) {
        static const struct {
                const char *rules;
                Spelling wanted[9];
        } rows[] = {
                { "[Rule some]\nUser=*\nNetwork=tcp\nAddress=127.0.0.2 ::1\n",
                  { { "tcp", "[::ffff:127.0.0.1]:", "" },
                    { "tcp", "localhost:", "" },
                    { "tcp", ":", "" },
                    { "tcp4", ":", "" },
                    { "tcp6", "[::]:", "" },
                    { "tcp", "[::127.0.0.2]:", "" },
                    { "tcp", "127.0.0.3:", "" } } },
                { "[Rule not]\nUser=*\nAddress=127.0.0.1\nAllow=no\n[Rule all]\nUser=*\nNetwork=tcp "
                  "udp\n",
                  { { "tcp", "[::ffff:127.0.0.1]:", "" },
                    { "tcp", "[::ffff:127.0.0.1%lo]:", "" },
                    { "tcp", "[::ffff:7f00:1]:", "" },
                    { "tcp", "localhost:", "" },
                    { "udp", "LOCALHOST:", "" },
                    { "tcp", ":", "" },
                    { "tcp4", "0.0.0.0:", "" },
                    { "tcp6", "[::]:", ",'options':{'ipv6Only':false}" } } },
                { "[Rule six]\nUser=*\nNetwork=tcp6\n",
                  { { "tcp", "[::]:", "" },
                    { "tcp", ":", "" },
                    { "tcp", "[::ffff:127.0.0.1]:", "" },
                    { "tcp6", "[::]:", ",'options':{'ipv6Only':false}" } } },
                { "[Rule four]\nUser=*\nAddress=0.0.0.0/0\n",
                  { { "tcp", "0.0.0.0:", "" }, { "tcp", ":", "" }, { "tcp6", "[::]:", "" } } },
        };
        char config[512];
        Kit kit;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                int control;

                snprintf(config, sizeof(config), "[Broker]\nSocketMode=0666\n%s", rows[i].rules);
                kit_start(&kit, config);
                control = harness_connect(&kit.harness);
                for (const Spelling *s = rows[i].wanted; s->network; s++)
                        json_decref(kit_refused(control, "PolicyDenied",
                                                "{'network':'%s','address':'%s7000'%s}", s->network,
                                                s->address, s->more));
                close(control);
                kit_stop(&kit);
        }
}

/* Bound to a device or not, of one host or of many, an address is an address to its neighbours. */
Test(spellings, a_device_or_a_group_of_hosts_hides_no_neighbour) {
        static const Spelling rows[][2] = {
                { { "tcp4", "0.0.0.0:", ",'options':{'bindToDevice':'lo'}" },
                  { "tcp4", "127.0.0.1:", "" } },
                { { "tcp4", "0.0.0.0:", "" },
                  { "tcp4", "127.0.0.1:", ",'options':{'bindToDevice':'lo'}" } },
                { { "udp", ":", "" }, { "udp6", "[ff02::fb%lo]:", "" } },
                { { "udp6", "[ff02::fb%1]:", "" }, { "udp", ":", "" } },
                { { "udp", ":", "" }, { "udp4", "224.0.0.251:", "" } },
                { { "udp4", "224.0.0.251:", "" }, { "udp4", "0.0.0.0:", "" } },
                { { "udp", ":", "" }, { "udp4", "255.255.255.255:", "" } },
                { { "udp4", "255.255.255.255:", "" }, { "udp4", "0.0.0.0:", "" } },
                { { "tcp", ":", "" }, { "tcp4", "224.0.0.251:", "" } },
                { { "tcp", ":", "" }, { "tcp4", "255.255.255.255:", "" } },
                { { "tcp", ":", ",'options':{'bindToDevice':'lo'}" },
                  { "tcp", "[::ffff:127.0.0.1]:", "" } },
        };
        Kit kit;
        int control, other;

        kit_start(&kit, KIT_TENANTS_CONFIG);
        control = kit_connect_as(&kit, KIT_UID, 0);
        other = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const Spelling *a = &rows[i][0], *b = &rows[i][1];
                KitSocket held = kit_acquire(control, "{'network':'%s','address':'%s7000'%s}",
                                             a->network, a->address, a->more);
                json_auto_t *reply =
                        kit_refused(other, "AddressInUse", "{'network':'%s','address':'%s7000'%s}",
                                    b->network, b->address, b->more);

                cr_assert(eq(llong, kit_number(reply, "parameters.holder.uid"), KIT_UID));
                kit_release(control, &held);
        }
        close(other);
        close(control);
        kit_stop(&kit);
}
