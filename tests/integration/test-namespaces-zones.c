/* SPDX-License-Identifier: BSD-2-Clause */

/* Zones of addresses, which are interfaces of the namespace that is asked for. */

#include "tests/integration/namespaces-kit.h"

TestSuite(namespaces_zones, .timeout = 60);

#define ZONE(address) "'network':'udp6','address':'" address "','networkNamespace':'blue'"

static void expect_address_invalid(int control, const char *request, const char *words) {
        expect_reason(kit_refused(control, "AddressInvalid", "{%s}", request), words);
}

/* In blue, "inside" is what is "lo" elsewhere. */
static void begin_zones(void) {
        int home;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_enter("blue", &home);
        namespace_kit_rename_loopback("inside");
        namespace_kit_go_home(home);
}

Test(namespaces_zones, zones_that_are_not_there) {
        json_t *reply;
        int control;
        Kit kit;

        begin_zones();
        kit_start(&kit, BROKER OWN BLUE "[Rule green]\nUser=12345\nNetworkNamespace=green\n");
        control = harness_connect(&kit.harness);
        expect_address_invalid(control, ZONE("[fe80::1%lo]:80"), "of that network namespace");
        expect_address_invalid(control, ZONE("[fe80::1]:80"), "means nothing without its interface");
        expect_address_invalid(control, ZONE("[fe80::1%]:80"), "means nothing without its interface");
        json_decref(kit_refused(control, "AddressInvalid",
                                "{'network':'udp6','address':'[fe80::1%%inside]:80'}"));
        json_decref(kit_refused(control, "AddressUnavailable", "{" ZONE("[fe80::2%%inside]:80") "}"));
        reply = kit_refused(control, "OptionInvalid",
                            "{" ZONE("[fe80::1%%inside]:80") ",'options':{'bindToDevice':'lo'}}");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "bindToDevice");
        json_decref(reply);
        /* Who may have nothing there is not told which there are. */
        for (int i = 0; i < 2; i++)
                json_decref(kit_refused(
                        control, "PolicyDenied",
                        "{'network':'udp6','address':'[fe80::1%%%s]:80','networkNamespace':'green'}",
                        i ? "inside" : "nope"));
        close(control);
        kit_stop(&kit);
}

/* Its name is nothing to who is elsewhere: it comes back as its index. */
Test(namespaces_zones, zones_are_interfaces_of_the_namespace) {
        static const char *const requests[][3] = {
                { ZONE("[fe80::1%inside]:7000"), "[fe80::1%1]:7000", ZONE("[FE80::0:1%1]:7000") },
                { ZONE("[fe80::1%1]:7000"), "[fe80::1%1]:7000", ZONE("[fe80::1%inside]:7000") },
                { ZONE("[::1%nope]:7000"), "[::1]:7000", ZONE("[::1%inside]:7000") },
                { ZONE("[fe80::1%inside]:7000") ",'options':{'bindToDevice':'inside'}",
                  "[fe80::1%1]:7000", ZONE("[::]:7000") },
                { ZONE("[ff02::fb%inside]:7000"), "[ff02::fb%1]:7000", ZONE("[ff02::fb%1]:7000") },
        };
        int control;
        Kit kit;

        begin_zones();
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < ELEMENTS(requests); i++) {
                KitSocket held = kit_acquire(control, "{%s,'sharing':'exclusive'}", requests[i][0]);
                json_auto_t *endpoint = kit_describe(control, &held);
                json_t *reply;

                expect_cookie(&held, namespace_kit_cookie_of("blue"));
                KIT_EXPECT_TEXT(kit_text(endpoint, "address"), requests[i][1]);
                KIT_EXPECT_TEXT(kit_text(held.reply, "address"), requests[i][1]);
                json_decref(kit_refused(control, "AddressInUse", "{%s}", requests[i][2]));
                reply = kit_call(control, "Explain", "{'request':{%s}}", requests[i][0]);
                cr_assert(kit_true(reply, "parameters.allowed"));
                json_decref(reply);
                if (i < 4)
                        expect_served_in("blue", held.fd);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

Test(namespaces_zones, a_zone_outlives_the_broker) {
        KitSocket held, more;
        int control;
        Kit kit;

        begin_zones();
        kit_start(&kit, "[Broker]\nRetainSec=1h\n" OWN BLUE);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{" ZONE("[fe80::1%%inside]:7000") ",'sharing':'shared'}");
        harness_replace(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        more = kit_acquire(control, "{" ZONE("[fe80::1%%inside]:7000") ",'sharing':'shared'}");
        KIT_EXPECT_TEXT(kit_text(more.reply, "endpoint"), kit_text(held.reply, "endpoint"));
        kit_drop(&held);
        expect_served_in("blue", more.fd);
        kit_release(control, &more);
        close(control);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}
