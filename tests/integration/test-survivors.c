/* SPDX-License-Identifier: BSD-2-Clause */

/* A broker is killed and nobody kept anything. Clients that never ask again serve on with what they
 * hold, also beside members of the next broker. */

#include "tests/integration/group-kit.h"

enum {
        /* By chance none of them reaches one of three members once in a thousand million times. */
        FLOWS = 60,
};

TestSuite(survivors, .timeout = 60);

static void change_broker(Stage *stage) {
        close(stage->control);
        close(stage->watch);
        harness_kill(&stage->kit.harness);
        harness_restart(&stage->kit.harness);
        stage->control = harness_connect(&stage->kit.harness);
        stage->watch = kit_watch(&stage->kit, stage->control);
}

static void expect_steering(const Stage *stage, const KitSocket *member, const char *mode) {
        json_auto_t *endpoint = kit_describe(stage->control, member);

        KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), mode);
}

static void expect_all_served(const KitSocket *members, size_t n) {
        size_t counts[GROUP_MEMBERS_MAX];

        group_count(members, n, FLOWS, counts);
        for (size_t i = 0; i < n; i++)
                cr_assert(ge(sz, counts[i], 1), "member %zu", i);
}

static void expect_refused(json_t *reply) {
        json_auto_t *error = kit_expect_error(reply, "NotSupported");

        cr_assert(ne(ptr, strstr(kit_text(error, "parameters.reason"), "an earlier broker"), NULL));
}

static void survive(const char *network) {
        KitSocket members[3];
        Stage stage;

        stage_begin(&stage, GROUP_CONFIG);
        members[0] = stage_found(&stage, network, "");
        members[1] = stage_join(&stage, &members[0], "");
        change_broker(&stage);
        expect_all_served(members, 2);

        members[2] = stage_join(&stage, &members[0], ",'steering':'hash','weight':3");
        expect_steering(&stage, &members[2], "");
        expect_all_served(members, 3);
        expect_refused(kit_call(stage.control, "SetWeight", "{'leases':['%s'],'weight':1}",
                                kit_lease(&members[2])));
        expect_refused(kit_call(stage.control, "Acquire",
                                "{'sockets':[{'network':'%s','address':'%s','standby':true}]}", network,
                                kit_address(&members[0])));
        expect_all_served(members, 3);

        kit_drop(&members[0]);
        kit_drop(&members[1]);
        stage_set_weight(&stage, &members[2], 1);
        expect_steering(&stage, &members[2], "hash");
        group_expect_only(&members[2], 1, 0);
        stage_release(&stage, &members[2]);
        stage_end(&stage);
}

Test(survivors, of_tcp4) {
        survive("tcp4");
}

Test(survivors, of_tcp6) {
        survive("tcp6");
}

Test(survivors, of_udp4) {
        survive("udp4");
}

Test(survivors, of_udp6) {
        survive("udp6");
}
