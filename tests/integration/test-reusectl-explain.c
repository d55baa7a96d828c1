/* SPDX-License-Identifier: BSD-2-Clause */

/* "reusectl explain": which rule decides, said for whoever asks and, to root, for others. */

#include "tests/integration/reusectl-kit.h"

TestSuite(reusectl_explain, .timeout = 60);

/* The line of each rule counts. */
#define CONFIG                                                                                          \
        "[Broker]\nSocketMode=0666\nRetainSec=0\n"                                                      \
        "[Rule no-low]\nUser=*\nNetwork=tcp\nPort=1-1023\nAllow=no\n"                                   \
        "[Rule web]\nUser=65534\nNetwork=tcp\nPort=8000-8999\nTenant=web\n"                             \
        "[Rule rooted]\nGroup=0\nPort=20000-29999\n"                                                    \
        "[Rule rest]\nUser=65533 65534\nNetwork=udp\nPort=9000-9010 40000-60999\n"

static ToolResult result;

/* ---- what cannot be asked --------------------------------------------------------------------- */

static const ToolFailure failures[] = {
        { "explain", 2, "explain: no socket given" },
        { "explain tcp::80 tcp::81", 2, "unexpected word 'tcp::81'" },
        { "explain tcp::80 --as", 2, "requires an argument" },
        { "explain --for root tcp::80", 2, "unrecognized option" },
        { "explain --as no-such-user-here tcp::80", 2, "--as no-such-user-here: there is no such user" },
        { "explain --as= tcp::80", 2, "--as : there is no such user" },
        { "explain --as -1 tcp::80", 2, "--as -1: there is no such user" },
        { "explain --as 4294967295 tcp::80", 2, "there is no such user" },
        { "explain --as 18446744073709551616 tcp::80", 2, "there is no such user" },
        { "explain nonsense", 2, "\"nonsense\" is not network:address" },
        { "explain tcp::80,nmae=x", 2, "there is no option \"nmae\": did you mean name?" },
        { "explain tcp::80,sharing=all", 2, "\"all\" is none of exclusive" },
        { "explain tcp::80,", 2, "nothing follows the comma" },
        { "explain tpc::80", 1, "the network \"tpc\"" },
        { "explain tcp:nonsense", 1, "\"nonsense\" is not valid" },
        { "explain tcp::80-70", 1, "is not valid" },
        { "explain tcp::no-such-service", 1, "lookup tcp/no-such-service: unknown port" },
        { "explain tcp::80,name=a/b", 1, "request.name" },
        { "explain tcp::80 --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "-q explain tpc::80", 1, "" },
};

Test(reusectl_explain, failures) {
        Kit kit;

        tool_begin(&kit, CONFIG);
        tool_expect_failures(failures, sizeof(failures) / sizeof(*failures));
        kit_stop(&kit);
}

/* Who is not root asks for itself, and for nobody else. */
Test(reusectl_explain, for_others_as_root_alone) {
        json_auto_t *json = NULL;
        Tool tool;
        Kit kit;

        kit_require_root();
        tool_begin(&kit, CONFIG);
        tool = tool_start_as(KIT_UID, "explain --as 0 tcp::8080");
        tool_finish(&tool, &result);
        if (result.status == TOOL_NOT_EXECUTED)
                cr_skip_test("the folder of the build is closed to other users");
        tool_expect(&result, 4, "reusectl: the broker does not let this user ask that: ask as root");
        KIT_EXPECT_TEXT(result.out, "");
        /* Of itself, too: the name of a user is not the client that is connected. */
        tool = tool_start_as(KIT_UID, "explain --json --as %d tcp::8080", KIT_UID);
        tool_finish(&tool, &result);
        tool_expect(&result, 4, "ask as root");
        json = tool_json(result.out);
        KIT_EXPECT_TEXT(kit_text(json, "error"), "org.varlink.service.PermissionDenied");
        tool = tool_start_as(KIT_UID, "explain tcp::8080");
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        kit_stop(&kit);
}

/* ---- what is answered ------------------------------------------------------------------------- */

static const struct {
        const char *arguments;
        const char *user;
        const char *rule;   /* NULL: none decides */
        unsigned line;      /* of the rule */
        const char *tenant; /* NULL: the user's own, or nobody's */
        int status;
        const char *words; /* in the reason */
} answers[] = {
        /* A rule that refuses. */
        { "--as 65534 tcp::80", "65534", "no-low", 4, NULL, 4, "refuses uid 65534 tcp [::]:80 (group)" },
        { "--as 0 tcp4:127.0.0.1:80,sharing=exclusive", "0", "no-low", 4, NULL, 4,
          "refuses uid 0 tcp4 127.0.0.1:80 (exclusive)" },
        { "--as 65534 tcp::1-2", "65534", "no-low", 4, NULL, 4, "refuses uid 65534 tcp [::]:2 " },
        /* No rule at all: the nearest, and what keeps it from giving it. */
        { "--as 65534 tcp::9005", "65534", NULL, 0, NULL, 4, "reuseportd.conf:9): its Port=" },
        { "--as 65533 tcp::8080", "65533", NULL, 0, NULL, 4, "it is for other users" },
        { "--as 65534 udp::9005,mark=7", "65534", NULL, 0, NULL, 4, "its Options= does not give mark" },
        { "--as 65534 tcp::70-90", "65534", "no-low", 4, NULL, 4, "refuses" },
        /* A user is more than a number: without an account there are no groups. */
        { "--as 987654321 udp::20005", "987654321", NULL, 0, NULL, 4, "nearest: rule \"rooted\"" },
        { "--as 0 udp::20005", "0", "rooted", 14, NULL, 0, "gives uid 0 udp [::]:20005" },
        /* Given, with what was passed over. */
        { "--as 65534 tcp::8080", "65534", "web", 9, "web", 0,
          "reuseportd.conf:4): its Port= does not cover 8080" },
        { "--as 65533 udp:127.0.0.1:0", "65533", "rest", 17, NULL, 0,
          "gives uid 65533 udp4 127.0.0.1:" },
        /* Of a range, the first port that is given. */
        { "--as 65534 tcp::7990-8010", "65534", "web", 9, "web", 0, "gives uid 65534 tcp [::]:8000 " },
        { "--as 65533 udp::8990-9005", "65533", "rest", 17, NULL, 0, "udp [::]:9000 " },
        { "udp::20005", "0", "rooted", 14, NULL, 0, "gives uid 0" },
};

/* The value of the line that begins with @key. */
static const char *value_of(const char *key, char buffer[static 2048]) {
        size_t n = strlen(key);
        const char *line = result.out;

        while (strncmp(line, key, n) != 0 || line[n] != '\t') {
                line = strchr(line, '\n');
                cr_assert(line != NULL && line[1], "no %s in %s", key, result.out);
                line++;
        }
        snprintf(buffer, 2048, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
        return buffer;
}

Test(reusectl_explain, answers) {
        char value[2048], place[128], words[32];
        Kit kit;

        kit_require_root();
        tool_begin(&kit, CONFIG);
        for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
                TOOL_RUN(&result, "explain --plain %s", answers[i].arguments);
                tool_expect(&result, answers[i].status, "");
                value_of(answers[i].status == 0 ? "allowed" : "denied", value);
                snprintf(words, sizeof(words), "uid %s", answers[i].user);
                cr_assert(strstr(value, words) != NULL, "%s", value);
                cr_assert(strstr(value, strrchr(answers[i].arguments, ' ') ?: "udp::20005") != NULL,
                          "%s", value);
                KIT_EXPECT_TEXT(value_of("rule", value), answers[i].rule ?: "-");
                snprintf(place, sizeof(place), "%s:%u", kit.harness.config, answers[i].line);
                KIT_EXPECT_TEXT(value_of("file", value), answers[i].rule ? place : "-");
                KIT_EXPECT_TEXT(value_of("tenant", value), answers[i].tenant ?: "-");
                value_of("reason", value);
                cr_assert(strstr(value, answers[i].words) != NULL, "%s: \"%s\" is not in \"%s\"",
                          answers[i].arguments, answers[i].words, value);
        }
        kit_stop(&kit);
}

Test(reusectl_explain, for_people) {
        char expected[512];
        Kit kit;

        kit_require_root();
        tool_begin(&kit, CONFIG);
        TOOL_RUN(&result, "explain --as 987654321 tcp::80");
        tool_expect(&result, 4, "");
        snprintf(expected, sizeof(expected),
                 "denied:  uid 987654321: tcp::80\n"
                 "rule:    no-low\n"
                 "file:    %s:4\n"
                 "tenant:  -\n"
                 "reason:  rule \"no-low\" (%s:4) refuses uid 987654321 tcp [::]:80 (group)\n",
                 kit.harness.config, kit.harness.config);
        KIT_EXPECT_TEXT(result.out, expected);
        kit_stop(&kit);
}

Test(reusectl_explain, json_is_the_reply) {
        json_auto_t *denied = NULL, *allowed = NULL;
        Kit kit;

        kit_require_root();
        tool_begin(&kit, CONFIG);
        TOOL_RUN(&result, "explain --json --as 65534 tcp::80");
        tool_expect(&result, 4, "");
        denied = tool_json(result.out);
        cr_assert(eq(int, json_is_false(kit_at(denied, "allowed")), true));
        KIT_EXPECT_TEXT(kit_text(denied, "rule"), "no-low");
        KIT_EXPECT_TEXT(kit_text(denied, "file"), kit.harness.config);
        cr_assert(eq(llong, kit_number(denied, "line"), 4));
        TOOL_RUN(&result, "--json explain --as 65534 tcp::8080");
        tool_expect(&result, 0, "");
        allowed = tool_json(result.out);
        cr_assert(eq(int, kit_true(allowed, "allowed"), true));
        KIT_EXPECT_TEXT(kit_text(allowed, "tenant"), "web");
        kit_stop(&kit);
}

/* Without a configuration the rule stands in no file. */
Test(reusectl_explain, the_built_in_rule) {
        char value[2048];
        Kit kit;

        tool_begin(&kit, NULL);
        TOOL_RUN(&result, "explain --plain tcp::8080");
        tool_expect(&result, 0, "");
        KIT_EXPECT_TEXT(value_of("rule", value), "own");
        KIT_EXPECT_TEXT(value_of("file", value), "(built in)");
        kit_stop(&kit);
}

/* What is explained of @spec is what an Acquire of it would be answered. */
static void expect_as_acquired(int control, const char *request, const char *spec, bool allowed) {
        TOOL_RUN(&result, "explain --plain --as %d %s", KIT_UID, spec);
        tool_expect(&result, allowed ? 0 : 4, "");
        if (allowed) {
                KitSocket held = kit_acquire(control, "%s", request);

                kit_release(control, &held);
        } else {
                json_decref(kit_refused(control, "PolicyDenied", "%s", request));
        }
}

/* Port 0 is the port of the name then, which a rule may give that leaves no port to be chosen. */
Test(reusectl_explain, under_a_name_in_use) {
        char value[2048], words[64];
        KitSocket held;
        int control;
        Kit kit;

        kit_require_root();
        harness_private_network();
        tool_begin(&kit, "[Broker]\nSocketMode=0666\nRetainSec=0\n"
                         "[Rule web]\nUser=65534\nNetwork=tcp\nPort=20\n"
                         "[Rule other]\nUser=65533\nNetwork=tcp\nPort=30\n");
        control = kit_connect_as(&kit, KIT_UID, 0);
        expect_as_acquired(control, "{'network':'tcp4','address':':0','name':'web'}", "tcp4::0,name=web",
                           false);
        held = kit_acquire(control, "{'network':'tcp4','address':':20','name':'web'}");
        expect_as_acquired(control, "{'network':'tcp4','address':':0','name':'web'}", "tcp4::0,name=web",
                           true);
        KIT_EXPECT_TEXT(value_of("rule", value), "web");
        snprintf(words, sizeof(words), "; \"web\" is the name of %s now", kit_address(&held));
        cr_assert(strstr(value_of("reason", value), words) != NULL, "%s", value);
        expect_as_acquired(control, "{'network':'tcp4','address':':10-30','name':'web'}",
                           "tcp4::10-30,name=web", true);
        /* Not where it is, not what it is called, or not theirs. */
        expect_as_acquired(control, "{'network':'tcp4','address':':21-30','name':'web'}",
                           "tcp4::21-30,name=web", false);
        expect_as_acquired(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}",
                           "tcp4:127.0.0.1:0,name=web", false);
        expect_as_acquired(control, "{'network':'tcp4','address':':0','name':'wib'}", "tcp4::0,name=wib",
                           false);
        expect_as_acquired(control, "{'network':'tcp4','address':':0'}", "tcp4::0", false);
        TOOL_RUN(&result, "explain --plain --as %d tcp4::0,name=web", KIT_OTHER_UID);
        tool_expect(&result, 4, "");
        cr_assert(strstr(result.out, "is the name of") == NULL, "%s", result.out);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

/* Who may join is told of nobody in the way. */
Test(reusectl_explain, in_use_by_who_shares) {
        char value[2048];
        KitSocket held;
        int control;
        Kit kit;

        kit_require_root();
        tool_begin(&kit, "[Broker]\nSocketMode=0666\nRetainSec=0\n"
                         "[Rule one]\nUser=65533\nTenant=one\nShareWith=two\n"
                         "[Rule two]\nUser=65534\nTenant=two\n");
        control = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        TOOL_RUN(&result, "explain --plain --as %d tcp:%s", KIT_UID, kit_address(&held));
        tool_expect(&result, 0, "");
        cr_assert(strstr(value_of("reason", value), "in use") == NULL, "%s", value);
        TOOL_RUN(&result, "explain --plain --as %d tcp4:127.0.0.1:0,name=web", KIT_UID);
        tool_expect(&result, 0, "");
        cr_assert(strstr(value_of("reason", value), "\"web\" is the name of 127.0.0.1:") != NULL, "%s",
                  value);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

/* That others have the address is not policy's to say, but is said. */
Test(reusectl_explain, in_use_by_another_tenant) {
        char value[2048], words[64];
        KitSocket held;
        int control;
        Kit kit;

        kit_require_root();
        tool_begin(&kit, KIT_TENANTS_CONFIG);
        control = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(words, sizeof(words), "; it is in use now, at %s by uid %d", kit_address(&held),
                 KIT_OTHER_UID);
        TOOL_RUN(&result, "explain --plain --as %d tcp::%d", KIT_UID, kit_port(&held));
        tool_expect(&result, 0, "");
        cr_assert(strstr(value_of("reason", value), words) != NULL, "%s", value);
        TOOL_RUN(&result, "explain --plain --as %d tcp::%d", KIT_OTHER_UID, kit_port(&held));
        tool_expect(&result, 0, "");
        cr_assert(strstr(value_of("reason", value), "in use") == NULL, "%s", value);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}
