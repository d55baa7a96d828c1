/* SPDX-License-Identifier: BSD-2-Clause */

/* What an Acquire cannot have, whoever asks: each with the error that says why. */

#include "tests/integration/acquire-kit.h"

TestSuite(refusals, .timeout = 60);

typedef struct NotServed {
        const char *field;
        const char *feature;
} NotServed;

/* What steering takes. */
static const NotServed steering_fields[] = {
        { "'steering':'hash'", "steering" },
        { "'steering':'roundRobin'", "steering" },
        { "'weight':0", "weight" },
        { "'weight':10", "weight" },
        { "'standby':true", "standby" },
        { "'steering':'cpu','weight':1,'standby':true", "steering" },
};

static void expect_not_served(int control, const char *start, const NotServed *row, const char *reason) {
        json_auto_t *reply = kit_refused(control, "NotSupported", "{%s,%s}", start, row->field);

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.feature"), row->feature);
        cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), reason), NULL), "%s",
                  kit_text(reply, "parameters.reason"));
}

/* Only a member of a group can be told apart from the others. */
Test(refusals, steering_of_what_is_no_group) {
        static const char *const sockets[] = {
                "'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'",
                "'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'",
                "'network':'udp4','address':'127.0.0.1:0','sharing':'shared'",
                "'network':'unix','address':'@reuseportd-test-refusals'",
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
                for (size_t k = 0; k < sizeof(steering_fields) / sizeof(steering_fields[0]); k++)
                        expect_not_served(control, sockets[i], &steering_fields[k], "a group");
        close(control);
        kit_stop(&kit);
}

/* Without the capability the broker serves groups, and says what it cannot do. */
Test(refusals, steering_by_a_broker_that_cannot) {
        static const char *const networks[] = { "'network':'tcp4','address':'127.0.0.1:0'",
                                                "'network':'udp4','address':'127.0.0.1:0'" };
        Kit kit;
        int control;

        kit_start_as_set(&kit, KIT_CONFIG, &(Harness){ .uid = geteuid(), .no_bpf = true });
        control = harness_connect(&kit.harness);
        cr_assert(not(kit_is_capable(control, "steer")));
        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                KitSocket held;

                for (size_t k = 0; k < sizeof(steering_fields) / sizeof(steering_fields[0]); k++)
                        expect_not_served(control, networks[i], &steering_fields[k], "BPF");
                held = kit_acquire(control, "{%s,'standby':false}", networks[i]);
                kit_expect_served(held.fd);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

Test(refusals, networks_not_made) {
        static const char *const networks[] = { "ip:255", "ip4:255", "ip6:255" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                json_auto_t *reply =
                        kit_refused(control, "NotSupported", "{'network':'%s','address':'127.0.0.1:0'}",
                                    networks[i]);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.feature"), networks[i]);
                cr_assert(ne(str, (char *)kit_text(reply, "parameters.reason"), (char *)""));
        }
        close(control);
        kit_stop(&kit);
}

Test(refusals, networks_unknown) {
        static const char *const networks[] = { "ip",         "ip4", "ip6:", "ip4:nosuch", "ip4:256",
                                                "",           "TCP", "tcp5", "tcp44",      "udp ",
                                                "unixstream", "4",   "http" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                json_auto_t *reply =
                        kit_refused(control, "NetworkUnknown",
                                    "{'network':'%s','address':'127.0.0.1:0'}", networks[i]);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.network"), networks[i]);
        }
        close(control);
        kit_stop(&kit);
}

Test(refusals, addresses_invalid) {
        static const struct {
                const char *network;
                const char *address;
        } table[] = {
                { "tcp4", "127.0.0.1" },
                { "tcp4", "127.0.0.1:http" },
                { "tcp4", "127.0.0.1:65536" },
                { "tcp4", "127.0.0.1:-1" },
                { "tcp4", "127.0.0.1:80 " },
                { "tcp4", "[::1]:80" },
                { "tcp4", "host.example:80" },
                { "tcp4", "127.1:80" },
                { "tcp6", "127.0.0.1:80" },
                { "tcp6", "::1:80" },
                { "tcp", "127.0.0.1%lo:80" },
                { "tcp6", "[fe80::1%none-such]:80" },
                { "unix", "" },
                { "unix", "relative" },
                { "unix", "@" },
                { "unix", "/tmp//socket" },
                { "unix", "/tmp/" },
                { "unix",
                  "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                json_auto_t *reply =
                        kit_refused(control, "AddressInvalid", "{'network':'%s','address':'%s'}",
                                    table[i].network, table[i].address);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.address"), table[i].address);
                cr_assert(ne(str, (char *)kit_text(reply, "parameters.reason"), (char *)""));
        }
        close(control);
        kit_stop(&kit);
}

Test(refusals, parameters_invalid) {
        static const struct {
                const char *parameters;
                const char *parameter;
        } table[] = {
                { "{}", "sockets" },
                { "{'sockets':[]}", "sockets" },
                { "{'sockets':null}", "sockets" },
                { "{'sockets':{}}", "sockets" },
                { "{'sockets':[1]}", "sockets[0]" },
                { "{'sockets':[{'address':':0'}]}", "sockets[0].network" },
                { "{'sockets':[{'network':'tcp'}]}", "sockets[0].address" },
                { "{'sockets':[{'network':1,'address':':0'}]}", "sockets[0].network" },
                { "{'sockets':[{'network':'tcp','address':':0'},{'network':'tcp','address':0}]}",
                  "sockets[1].address" },
                { "{'sockets':[{'network':'tcp','address':':0','sharing':'all'}]}",
                  "sockets[0].sharing" },
                { "{'sockets':[{'network':'tcp','address':':0','retainSec':-1}]}",
                  "sockets[0].retainSec" },
                { "{'sockets':[{'network':'tcp','address':':0','retainSec':86401}]}",
                  "sockets[0].retainSec" },
                { "{'sockets':[{'network':'tcp','address':':0','retainSec':1.5}]}",
                  "sockets[0].retainSec" },
                { "{'sockets':[{'network':'tcp','address':':0','options':{'ttl':1}}]}",
                  "sockets[0].options.ttl" },
                { "{'sockets':[{'network':'tcp','address':':0','options':{'noDelay':1}}]}",
                  "sockets[0].options.noDelay" },
                { "{'sockets':[{'network':'tcp','address':':0','weight':-1}]}", "sockets[0].weight" },
                { "{'sockets':[{'network':'tcp','address':':0','weight':101}]}", "sockets[0].weight" },
                { "{'sockets':[{'network':'tcp','address':':0','weight':1.5}]}", "sockets[0].weight" },
                { "{'sockets':[{'network':'unix','address':'@a','weight':-1}]}", "sockets[0].weight" },
                { "{'sockets':[{'network':'tcp','address':':0','steering':'lot'}]}",
                  "sockets[0].steering" },
                { "{'sockets':[{'network':'tcp','address':':0','standby':1}]}", "sockets[0].standby" },
                { "{'sockets':[{'network':'tcp','address':':0'}],'lifetime':'ever'}", "lifetime" },
                { "{'sockets':[{'network':'tcp','address':':0'}],'more':true}", "more" },
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                json_auto_t *reply =
                        kit_expect_error(kit_call(control, "Acquire", "%s", table[i].parameters),
                                         "org.varlink.service.InvalidParameter");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.parameter"), table[i].parameter);
        }
        close(control);
        kit_stop(&kit);
}

Test(refusals, too_many_sockets) {
        Kit kit;
        char requests[4096] = "{'network':'tcp4','address':':0'}";
        int control;

        for (int i = 0; i < 64; i++)
                strcat(requests, ",{'network':'tcp4','address':':0'}");
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_refused(control, "QuotaExceeded", "%s", requests);

                cr_assert(eq(llong, kit_number(reply, "parameters.limit"), 64));
        }
        close(control);
        kit_stop(&kit);
}

Test(refusals, folder_does_not_exist) {
        static const char *const networks[] = { "unix", "unixgram", "unixpacket" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                json_auto_t *reply = kit_refused(control, "SystemFailure",
                                                 "{'network':'%s','address':'%s/none-such/socket'}",
                                                 networks[i], kit.harness.folder);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "bind");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "ENOENT");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.message"), "No such file or directory");
        }
        close(control);
        kit_stop(&kit);
}

/* Descriptors ride on final replies only. */
Test(refusals, acquire_with_more) {
        Kit kit;
        int control, fds[HARNESS_FDS_MAX];
        size_t n_fds;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        kit_send(control, "Acquire", ",'more':true", "{'sockets':[{'network':'tcp4','address':':0'}]}");
        json_decref(kit_expect_error(kit_receive(control, fds, &n_fds),
                                     "org.varlink.service.InvalidParameter"));
        cr_assert(zero(sz, n_fds));
        close(control);
        kit_stop(&kit);
}

/* Nobody would receive the descriptors. */
Test(refusals, acquire_oneway_does_nothing) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        kit_send(control, "Acquire", ",'oneway':true",
                 "{'sockets':[{'network':'tcp4','address':':0'}]}");
        {
                json_auto_t *reply = kit_call(control, "GetStatus", "{}");

                cr_assert(zero(llong, kit_number(reply, "parameters.leases")));
                cr_assert(zero(llong, kit_number(reply, "parameters.endpoints")));
        }
        close(control);
        kit_stop(&kit);
}

/* What says nothing new is not refused. */
Test(refusals, absent_and_null_are_the_same) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(
                control,
                "{'network':'tcp4','address':'127.0.0.1:0','name':null,'sharing':null,'steering':null,"
                "'weight':null,'standby':false,'retainSec':null,'networkNamespace':null,"
                "'options':{'mark':null,'raw':null}}");
        kit_expect_served(held.fd);
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}
