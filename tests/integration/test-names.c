/* SPDX-License-Identifier: BSD-2-Clause */

/* Names of endpoints: clients meet under one without knowing the port. */

#include "tests/integration/acquire-kit.h"

TestSuite(names, .timeout = 60);

enum {
        NAME_MAX_BYTES = 64,
};

Test(names, invalid) {
        static const char *const names[] = { "", " ", "a b", "a/b", "a:b", "@a", "caf\xc3\xa9", "a*" };
        Kit kit;
        char longest[NAME_MAX_BYTES + 2];
        int control;

        memset(longest, 'n', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i <= sizeof(names) / sizeof(names[0]); i++) {
                json_auto_t *reply =
                        kit_refused(control, "org.varlink.service.InvalidParameter",
                                    "{'network':'tcp4','address':'127.0.0.1:0','name':'%s'}",
                                    i < sizeof(names) / sizeof(names[0]) ? names[i] : longest);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.parameter"), "sockets[0].name");
        }
        close(control);
        kit_stop(&kit);
}

static void expect_name_conflict(int control, const char *have, const char *want, const char *network,
                                 const char *address, const char *name) {
        json_auto_t *reply =
                kit_refused(control, "OptionConflict", "{'network':'%s','address':'%s','name':'%s'}",
                            network, address, name);

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "name");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.have"), have);
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.want"), want);
}

Test(names, means_another_address) {
        static const struct {
                const char *network;
                const char *address;
        } others[] = {
                { "tcp4", "127.0.0.2:0" }, { "tcp4", "127.0.0.1:1" }, { "tcp4", "127.0.0.1:1-2" },
                { "udp4", "127.0.0.1:0" }, { "tcp6", "[::1]:0" },     { "tcp", ":0" },
                { "unix", "@elsewhere" },
        };
        Kit kit;
        KitSocket held;
        char have[128], want[128];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        snprintf(have, sizeof(have), "web at tcp4 %s", kit_address(&held));
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                snprintf(want, sizeof(want), "web at %s", others[i].address);
                expect_name_conflict(control, have, want, others[i].network, others[i].address, "web");
        }
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

Test(names, address_has_another_name) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        expect_name_conflict(control, "web", "WEB", "tcp4", kit_address(&held), "WEB");
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* Both sockets of one call want it. */
Test(names, twice_in_one_call) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "OptionConflict",
                                "{'network':'tcp4','address':'127.0.0.1:0','name':'web'},"
                                "{'network':'udp4','address':'127.0.0.1:0','name':'web'}"));
        close(control);
        kit_stop(&kit);
}

static void expect_joins(int control, const KitSocket *first, const char *network, const char *address) {
        KitSocket joined =
                kit_acquire(control, "{'network':'%s','address':'%s','name':'web'}", network, address);

        KIT_EXPECT_TEXT(kit_address(&joined), kit_address(first));
        KIT_EXPECT_TEXT(kit_text(joined.reply, "endpoint"), kit_text(first->reply, "endpoint"));
        KIT_EXPECT_TEXT(kit_text(joined.reply, "name"), "web");
        kit_expect_both_served(first->fd, joined.fd);
        kit_release(control, &joined);
}

Test(names, port_zero_joins) {
        static const char *const networks[] = { "tcp4", "udp4", "tcp", "udp" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                const char *host = strchr(networks[i], '4') ? "127.0.0.1" : "";
                KitSocket first = kit_acquire(control, "{'network':'%s','address':'%s:0','name':'web'}",
                                              networks[i], host);
                char address[64];

                snprintf(address, sizeof(address), "%s:0", host);
                expect_joins(control, &first, networks[i], address);
                snprintf(address, sizeof(address), "%s:%d", host, kit_port(&first));
                expect_joins(control, &first, networks[i], address);
                snprintf(address, sizeof(address), "%s:%d-%d", host, kit_port(&first) - 1,
                         kit_port(&first) + 1);
                expect_joins(control, &first, networks[i], address);
                kit_release(control, &first);
        }
        close(control);
        kit_stop(&kit);
}

Test(names, longest_and_every_character) {
        Kit kit;
        KitSocket held;
        const char *name = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456._-89";
        int control;

        cr_assert(eq(sz, strlen(name), NAME_MAX_BYTES));
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'%s'}", name);
        KIT_EXPECT_TEXT(kit_text(held.reply, "name"), name);
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* Whoever comes later may give a name to an endpoint that has none. */
Test(names, given_later) {
        Kit kit;
        KitSocket first, second, third;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        cr_assert(zero(ptr, json_object_get(first.reply, "name")));
        second = kit_acquire(control, "{'network':'tcp4','address':'%s','name':'web'}",
                             kit_address(&first));
        /* Who does not ask for a name is told it all the same. */
        third = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&first));
        KIT_EXPECT_TEXT(kit_text(third.reply, "name"), "web");
        kit_release(control, &second);
        kit_release(control, &third);
        expect_joins(control, &first, "tcp4", "127.0.0.1:0");
        kit_drop(&first);
        close(control);
        kit_stop(&kit);
}

Test(names, free_again_after_the_end) {
        Kit kit;
        KitSocket first, second;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        kit_release(control, &first);
        second = kit_acquire(control, "{'network':'unix','address':'%s/socket','name':'web'}",
                             kit.harness.folder);
        KIT_EXPECT_TEXT(kit_text(second.reply, "name"), "web");
        kit_drop(&second);
        close(control);
        kit_stop(&kit);
}
