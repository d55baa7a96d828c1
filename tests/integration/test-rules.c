/* SPDX-License-Identifier: BSD-2-Clause */

/* Who is given what: rules of a configuration, as clients of several users meet them. */

#include <sys/stat.h>

#include "tests/integration/acquire-kit.h"

TestSuite(rules, .timeout = 60);

enum {
        GROUP = 65532, /* a group that is nobody's primary one */
};

/* ---- without a configuration ---------------------------------------------------------------------- */

Test(rules, own_user_alone_is_served) {
        Kit kit;
        KitSocket held;
        struct stat st;
        int control, stranger;

        kit_start(&kit, NULL);
        cr_assert(zero(int, stat(kit.harness.socket, &st)));
        cr_assert(eq(int, st.st_mode & 07777, 0600));
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_expect_served(held.fd);
        kit_release(control, &held);
        close(control);
        if (geteuid() == 0) {
                struct sockaddr_un un = { .sun_family = AF_UNIX };

                /* Others do not even get through the door; nor anything, were it open. */
                strcpy(un.sun_path, kit.harness.socket);
                stranger = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                kit_become(KIT_UID, 0);
                cr_assert(eq(int, connect(stranger, (struct sockaddr *)&un, sizeof(un)), -1));
                cr_assert(eq(int, errno, EACCES));
                kit_become_root();
                close(stranger);
                cr_assert(zero(int, chmod(kit.harness.socket, 0666)));
                stranger = kit_connect_as(&kit, KIT_UID, 0);
                json_decref(kit_refused(stranger, "PolicyDenied",
                                        "{'network':'tcp4','address':'127.0.0.1:0'}"));
                close(stranger);
        }
        kit_stop(&kit);
}

/* Root has no rights but those that a rule gives. */
Test(rules, t1_root_is_denied_by_an_empty_configuration) {
        Kit kit;
        int control;

        kit_start(&kit, "");
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_refused(control, "PolicyDenied",
                                                 "{'network':'tcp4','address':'127.0.0.1:8080'}");
                char reason[160];

                snprintf(reason, sizeof(reason),
                         "no rule gives uid %u tcp4 127.0.0.1:8080 (group); there is no rule that gives "
                         "anything",
                         geteuid());
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.reason"), reason);
                cr_assert(zero(ptr, kit_at(reply, "parameters.rule")));
        }
        close(control);
        kit_stop(&kit);
}

/* ---- one key at a
 * time ----------------------------------------------------------------------------- */

/* Each rule gives @granted and not @denied, of which the reason then speaks. Paths: in the abstract. */
static const struct {
        const char *rule;
        const char *granted;
        const char *denied;
        const char *reason;
} keys[] = {
        { "Network=tcp4", "{'network':'tcp4','address':'127.0.0.1:0'}",
          "{'network':'udp4','address':'127.0.0.1:0'}", "Network=" },
        { "Network=tcp", "{'network':'tcp','address':':0'}", "{'network':'unix','address':'@x'}",
          "Network=" },
        { "Network=tcp4", "{'network':'tcp4','address':':0'}", "{'network':'tcp','address':':0'}",
          "Network=" },
        { "Network=unixgram", "{'network':'unixgram','address':'@reuseportd-test-rules-1'}",
          "{'network':'unix','address':'@x'}", "Network=" },
        { "Address=127.0.0.1", "{'network':'tcp4','address':'127.0.0.1:0'}",
          "{'network':'tcp4','address':'127.0.0.2:0'}", "Address=" },
        { "Address=127.0.0.0/8", "{'network':'tcp4','address':'127.3.4.5:0'}",
          "{'network':'tcp6','address':'[::1]:0'}", "Address=" },
        { "Address=127.0.0.0/8", "{'network':'tcp4','address':'127.0.0.1:0'}",
          "{'network':'tcp4','address':'0.0.0.0:0'}", "Address=" },
        { "Address=0.0.0.0/0", "{'network':'tcp4','address':'0.0.0.0:0'}",
          "{'network':'tcp','address':':0'}", "Address=" },
        { "Port=32768-60999", "{'network':'tcp4','address':'127.0.0.1:0'}",
          "{'network':'tcp4','address':'127.0.0.1:8080'}", "Port=" },
        { "Port=32768-60999", "{'network':'tcp4','address':'127.0.0.1:0'}",
          "{'network':'unix','address':'@x'}", NULL },
        { "Path=@reuseportd-test-rules-2", "{'network':'unix','address':'@reuseportd-test-rules-2'}",
          "{'network':'unix','address':'@reuseportd-test-rules-22'}", "Path=" },
        { "Path=@reuseportd-test-rules-3*", "{'network':'unix','address':'@reuseportd-test-rules-33'}",
          "{'network':'unix','address':'/tmp/reuseportd-test-rules'}", "Path=" },
        { "Path=/run/*", NULL, "{'network':'unix','address':'/running'}", "Path=" },
        { "Path=/run/*", NULL, "{'network':'unix','address':'/run'}", "Path=" },
        { "Sharing=exclusive", "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}",
          "{'network':'tcp4','address':'127.0.0.1:0'}", "Sharing=" },
        { "Options=freeBind", "{'network':'tcp4','address':'127.0.0.1:0','options':{'freeBind':true}}",
          "{'network':'tcp4','address':'127.0.0.1:0','options':{'bindToDevice':'lo'}}", "Options=" },
        { "Options=raw",
          "{'network':'tcp4','address':'127.0.0.1:0','options':{'raw':[{'level':1,'name':9,'value':'"
          "01000000'}]}}",
          "{'network':'tcp4','address':'127.0.0.1:0','options':{'priority':1}}", "Options=" },
        { "Sharing=*", "{'network':'tcp4','address':'127.0.0.1:0','options':{'freeBind':false}}",
          "{'network':'tcp4','address':'127.0.0.1:0','options':{'mark':0}}", "Options=" },
        { "Sharing=*", "{'network':'tcp4','address':'127.0.0.1:0','options':{'timeToLive':3}}",
          "{'network':'tcp4','address':'127.0.0.1:0','options':{'transparent':true}}", "Options=" },
};

Test(rules, each_key) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                Kit kit;
                char config[256];
                int control;

                snprintf(config, sizeof(config), "[Broker]\nRetainSec=0\n[Rule some]\nUser=*\n%s\n",
                         keys[i].rule);
                kit_start(&kit, config);
                control = harness_connect(&kit.harness);
                {
                        json_auto_t *reply = kit_refused(control, "PolicyDenied", "%s", keys[i].denied);
                        const char *reason = kit_text(reply, "parameters.reason");

                        cr_assert(strstr(reason, "nearest: rule \"some\"") != NULL, "%s", reason);
                        cr_assert(strstr(reason, keys[i].reason ?: "") != NULL, "%s", reason);
                }
                if (keys[i].granted) {
                        KitSocket held = kit_acquire(control, "%s", keys[i].granted);

                        kit_release(control, &held);
                }
                close(control);
                kit_stop(&kit);
        }
}

/* The rule that refuses is named, in a field of its own too. */
Test(rules, refusing_rule_is_named) {
        Kit kit;
        int control;

        kit_start(&kit, "[Rule not-here]\nUser=*\nPort=8080\nAllow=no\n[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_refused(control, "PolicyDenied",
                                                 "{'network':'udp4','address':'127.0.0.1:8080'}");
                char reason[256];

                snprintf(reason, sizeof(reason),
                         "rule \"not-here\" (%s:1) refuses uid %u udp4 127.0.0.1:8080 (group)",
                         kit.harness.config, geteuid());
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.file"), kit.harness.config);
                cr_assert(eq(llong, kit_number(reply, "parameters.line"), 1));
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.rule"), "not-here");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.reason"), reason);
        }
        close(control);
        kit_stop(&kit);
}

/* What others hold does not matter to one whom policy does not let in: nothing is told of it. */
Test(rules, t1_denied_before_anything_is_told) {
        Kit kit;
        KitSocket held;
        int control, stranger;

        kit_require_root();
        kit_start(&kit, "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule root]\nUser=0\n");
        control = harness_connect(&kit.harness);
        stranger = kit_connect_as(&kit, KIT_UID, 0);
        held = kit_acquire(
                control,
                "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive','name':'web'}");
        json_decref(kit_refused(stranger, "PolicyDenied", "{'network':'tcp4','address':'%s'}",
                                kit_address(&held)));
        json_decref(kit_refused(stranger, "PolicyDenied",
                                "{'network':'tcp4','address':'%s','name':'web'}", kit_address(&held)));
        json_decref(kit_refused(stranger, "PolicyDenied",
                                "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}"));
        json_decref(kit_refused(stranger, "PolicyDenied",
                                "{'network':'udp4','address':'127.0.0.1:0','name':'web'}"));
        kit_drop(&held);
        close(control);
        close(stranger);
        kit_stop(&kit);
}

/* ---- users and
 * groups ------------------------------------------------------------------------------ */

static void expect_granted(const Kit *kit, uid_t uid, gid_t group, bool granted) {
        int control = kit_connect_as(kit, uid, group);

        if (granted) {
                KitSocket held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");

                kit_release(control, &held);
        } else {
                json_decref(kit_refused(control, "PolicyDenied",
                                        "{'network':'tcp4','address':'127.0.0.1:0'}"));
        }
        close(control);
}

Test(rules, users_and_groups) {
        static const struct {
                const char *subject;
                uid_t uid;
                gid_t group;
                bool granted;
        } table[] = {
                { "User=65534", KIT_UID, 0, true },
                { "User=65534", KIT_OTHER_UID, 0, false },
                { "User=65534", KIT_OTHER_UID, KIT_UID, false }, /* a group of that number is no user */
                { "User=65534", 0, 0, false },
                { "User=65533 65534", KIT_OTHER_UID, 0, true },
                { "User=root", 0, 0, true },
                { "User=root", KIT_UID, 0, false },
                { "Group=65534", KIT_UID, 0, true }, /* the primary one */
                { "Group=65534", KIT_OTHER_UID, 0, false },
                { "Group=65532", KIT_UID, GROUP, true }, /* a supplementary one */
                { "Group=65532", KIT_UID, 0, false },
                { "Group=65532", 0, 0, false },
                { "User=65533\nGroup=65532", KIT_OTHER_UID, 0, true },
                { "User=65533\nGroup=65532", KIT_UID, GROUP, true },
                { "User=65533\nGroup=65532", KIT_UID, 0, false },
                { "User=*", KIT_UID, 0, true },
                { "Group=*", KIT_UID, 0, true },
        };

        kit_require_root();
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                Kit kit;
                char config[256];

                snprintf(config, sizeof(config),
                         "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule some]\n%s\n", table[i].subject);
                kit_start(&kit, config);
                expect_granted(&kit, table[i].uid, table[i].group, table[i].granted);
                kit_stop(&kit);
        }
}

/* Who a client is was settled when it connected. */
Test(rules, t6_identity_is_that_of_the_connection) {
        Kit kit;
        int control;

        kit_require_root();
        kit_start(&kit, "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule some]\nUser=0\n");
        control = kit_connect_as(&kit, KIT_UID, 0);
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'tcp4','address':'127.0.0.1:0'}"));
        close(control);
        kit_stop(&kit);
}

/* ---- low
 * ports -------------------------------------------------------------------------------------- */

Test(rules, low_port_for_an_unprivileged_client) {
        Kit kit;
        KitSocket held;
        int control;

        harness_private_network();
        kit_start(&kit, "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule web]\nUser=65534\nPort=80\n");
        control = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'tcp4','address':'127.0.0.1:80'}"));
        close(control);
        control = kit_connect_as(&kit, KIT_UID, 0);
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'tcp4','address':'127.0.0.1:81'}"));
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:80'}");
        cr_assert(eq(int, kit_port(&held), 80));
        kit_become(KIT_UID, 0);
        kit_expect_served(held.fd);
        kit_become_root();
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* A broker without the capability says so. */
Test(rules, low_port_without_the_capability) {
        Kit kit;
        int control;

        harness_private_network();
        kit_start_as(&kit, KIT_CONFIG, KIT_UID);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_refused(control, "SystemFailure",
                                                 "{'network':'tcp4','address':'127.0.0.1:80'}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "bind");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "EACCES");
        }
        close(control);
        kit_stop(&kit);
}
