/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Generations at a shell: "reusectl run --standby", ready, drain and weight, each lease named in every
 * way that people have.
 */

#include "tests/integration/reusectl-kit.h"

TestSuite(generations_reusectl, .timeout = 60);

static ToolResult result;

enum {
        CLIENTS = 20,
};

/* A broker, and a connection to it. Skips the test where the broker steers nothing. */
typedef struct Stage {
        Kit kit;
        int control;
        int port; /* of "web", once there is one */
} Stage;

static bool broker_steers(int control) {
        json_auto_t *status = kit_call(control, "GetStatus", "{}");
        json_t *capability;
        size_t i;

        json_array_foreach(kit_at(status, "parameters.capabilities"), i, capability) {
                if (strcmp(json_string_value(capability), "steer") == 0)
                        return true;
        }
        return false;
}

static void stage_begin(Stage *stage) {
        *stage = (Stage){ 0 };
        tool_begin(&stage->kit, KIT_CONFIG);
        stage->control = harness_connect(&stage->kit.harness);
        if (broker_steers(stage->control))
                return;
        close(stage->control);
        harness_stop(&stage->kit.harness);
        cr_skip_test("the broker cannot steer here");
}

static void stage_end(Stage *stage) {
        close(stage->control);
        kit_stop(&stage->kit);
}

/* A server of the group "web". */
static Tool stage_serve(Stage *stage, const char *arguments) {
        return tool_start_server(arguments, stage->port, "serve", &stage->port);
}

static void server_end(Tool *server) {
        tool_finish(server, &result);
        tool_expect(&result, 0, "");
}

/* Field @n of the line of "list --members" about @pid. */
static const char *member_field(pid_t pid, size_t n, char buffer[static 128]) {
        char text[16], line[512];
        const char *at;

        snprintf(text, sizeof(text), "%d", pid);
        TOOL_RUN(&result, "list --members --plain --no-header web");
        tool_expect(&result, 0, "");
        for (at = result.out; *at; at += strcspn(at, "\n") + 1) {
                snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
                if (strcmp(tool_field(line, 6, buffer), text) == 0)
                        return tool_field(line, n, buffer);
        }
        cr_fatal("no member of %d in %s", pid, result.out);
}

enum {
        FIELD_STATE = 3,
        FIELD_LEASE = 4,
        FIELD_WEIGHT = 12,
        FIELD_STALLED = 13,
        FIELD_FLOWS = 14,
};

static void expect_field(pid_t pid, size_t n, const char *expected) {
        char field[128];

        KIT_EXPECT_TEXT(member_field(pid, n, field), expected);
}

/* Clients come, and all of them to @server. */
static void expect_all_served_by(const Stage *stage, const Tool *server) {
        for (int i = 0; i < CLIENTS; i++)
                cr_assert(eq(int, tool_ask(stage->port), server->pid));
}

static void expect_both_serve(const Stage *stage, const Tool servers[static 2]) {
        int served[2] = { 0, 0 };

        for (int i = 0; i < 1000 && (!served[0] || !served[1]); i++)
                served[tool_ask(stage->port) == servers[1].pid]++;
        cr_assert(served[0] > 0 && served[1] > 0, "%d and %d were served", served[0], served[1]);
}

/* ---- refused ------------------------------------------------------------------------------------ */

static const char *const verbs[] = { "ready", "drain", "drain --wait", "weight 5" };

enum {
        N_VERBS = sizeof(verbs) / sizeof(*verbs),
};

Test(generations_reusectl, what_is_no_member_of_a_group) {
        KitSocket shared;
        Stage stage;

        stage_begin(&stage);
        shared =
                kit_acquire(stage.control,
                            "{'network':'tcp','address':'127.0.0.1:0','sharing':'shared','name':'one'}");
        for (size_t i = 0; i < N_VERBS; i++) {
                TOOL_RUN(&result, "%s one", verbs[i]);
                tool_expect(&result, 1, "is not supported here: ");
                TOOL_RUN(&result, "-q %s %s", verbs[i], kit_lease(&shared));
                tool_expect(&result, 1, "");
        }
        TOOL_RUN(&result, "run --standby -l tcp:127.0.0.1:0,sharing=shared -- true");
        tool_expect(&result, 125, "standby is not supported here");
        TOOL_RUN(&result, "run -l unix:@reuse-generations --standby -- true");
        tool_expect(&result, 125, "standby is not supported here");
        kit_drop(&shared);
        stage_end(&stage);
}

Test(generations_reusectl, one_word_that_is_nothing_spoils_all) {
        json_auto_t *json = NULL;
        Tool server;
        Stage stage;

        stage_begin(&stage);
        server = stage_serve(&stage, "--standby");
        for (size_t i = 0; i < N_VERBS; i++) {
                TOOL_RUN(&result, "%s web pid:1", verbs[i]);
                tool_expect(&result, 3, "\"pid:1\" is no lease");
        }
        TOOL_RUN(&result, "-q --json ready pid:%d l1-00000000", server.pid);
        tool_expect(&result, 3, "");
        json = tool_json(result.out);
        KIT_EXPECT_TEXT(kit_text(json, "error"), "ENXIO");
        expect_field(server.pid, FIELD_STATE, "standby");
        expect_field(server.pid, FIELD_WEIGHT, "10");
        server_end(&server);
        stage_end(&stage);
}

Test(generations_reusectl, leases_of_other_users) {
        KitSocket theirs;
        int control;
        Stage stage;

        kit_require_root();
        stage_begin(&stage);
        control = kit_connect_as(&stage.kit, KIT_UID, 0);
        theirs = kit_acquire(control, "{'network':'tcp','address':'127.0.0.1:0','name':'theirs'}");
        for (size_t i = 0; i < N_VERBS; i++) {
                /* Root sees them, and they are not its own. */
                TOOL_RUN(&result, "%s theirs", verbs[i]);
                tool_expect(&result, 3, "\"theirs\" is no lease");
                TOOL_RUN(&result, "%s %s", verbs[i], kit_lease(&theirs));
                tool_expect(&result, 3, "this client has no lease");
        }
        kit_drop(&theirs);
        close(control);
        stage_end(&stage);
}

Test(generations_reusectl, wait_that_is_too_short) {
        KitSocket old, new;
        Stage stage;
        int waiting, client;

        stage_begin(&stage);
        old = kit_acquire(stage.control, "{'network':'tcp','address':'127.0.0.1:0','name':'web'}");
        new = kit_acquire(stage.control,
                          "{'network':'tcp','address':'127.0.0.1:0','name':'web','standby':true}");
        waiting = kit_connect(old.fd);
        TOOL_RUN(&result, "drain --wait=0.01 %s", kit_lease(&old));
        tool_expect(&result, 75, "reusectl: at 1 of 1 sockets something still waits");
        client = accept(old.fd, NULL, NULL);
        cr_assert(client >= 0, "%m");
        TOOL_RUN(&result, "drain --wait %s", kit_lease(&old));
        tool_expect(&result, 0, "");
        close(client);
        close(waiting);
        kit_drop(&new);
        kit_drop(&old);
        stage_end(&stage);
}

/* ---- what a program is told --------------------------------------------------------------------- */

/* REUSE_LEASES in the environment of @pid. */
static void read_leases(pid_t pid, char text[static 256]) {
        static const char variable[] = "REUSE_LEASES=";
        static char environment[64 * 1024];
        char path[64];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/environ", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert(ge(int, fd, 0));
        n = read(fd, environment, sizeof(environment) - 1);
        cr_assert(gt(long, n, 0));
        close(fd);
        for (char *at = environment; at < environment + n; at += strlen(at) + 1)
                if (strncmp(at, variable, strlen(variable)) == 0) {
                        snprintf(text, 256, "%s", at + strlen(variable));
                        return;
                }
        cr_fatal("there is no %s", variable);
}

Test(generations_reusectl, program_is_told_its_leases) {
        char first[128], second[128], words[257], leases[256], line[256];
        Tool tool;
        Stage stage;

        stage_begin(&stage);
        cr_assert(zero(int, setenv("REUSE_LEASES", "l1-stale", 1)));
        tool = tool_start("run -l tcp:127.0.0.1:0,name=web -l udp:127.0.0.1:0,name=quic "
                          "-- " LISTEN_REPORT_PATH " serve");
        tool_expect_head(&tool, 2);
        tool_expect_line(&tool, 3, "web", line);
        tool_expect_line(&tool, 4, "quic", line);
        member_field(tool.pid, FIELD_LEASE, first);
        TOOL_RUN(&result, "list --members --plain --no-header quic");
        tool_field(result.out, FIELD_LEASE, second);
        snprintf(words, sizeof(words), "%s %s", first, second);
        read_leases(tool.pid, leases);
        KIT_EXPECT_TEXT(leases, words);
        server_end(&tool);
        stage_end(&stage);
}

/* ---- generations -------------------------------------------------------------------------------- */

Test(generations_reusectl, standby_ready_drain) {
        Tool servers[2];
        Stage stage;

        stage_begin(&stage);
        servers[0] = stage_serve(&stage, "");
        servers[1] = stage_serve(&stage, "--standby");
        expect_field(servers[0].pid, FIELD_STATE, "live");
        expect_field(servers[1].pid, FIELD_STATE, "standby");
        expect_all_served_by(&stage, &servers[0]);
        expect_field(servers[0].pid, FIELD_FLOWS, "20");
        expect_field(servers[1].pid, FIELD_FLOWS, "0");
        expect_field(servers[1].pid, FIELD_STALLED, "no");

        TOOL_RUN(&result, "ready pid:%d", servers[1].pid);
        tool_expect(&result, 0, "");
        KIT_EXPECT_TEXT(result.out, "");
        expect_both_serve(&stage, servers);
        TOOL_RUN(&result, "drain --wait pid:%d", servers[0].pid);
        tool_expect(&result, 0, "");
        KIT_EXPECT_TEXT(result.out, "");
        expect_field(servers[0].pid, FIELD_STATE, "draining");
        expect_all_served_by(&stage, &servers[1]);
        server_end(&servers[0]);
        expect_all_served_by(&stage, &servers[1]);
        server_end(&servers[1]);
        stage_end(&stage);
}

Test(generations_reusectl, generation_that_never_says_ready_changes_nothing) {
        Tool old, new;
        Stage stage;

        stage_begin(&stage);
        old = stage_serve(&stage, "");
        new = stage_serve(&stage, "--standby");
        expect_all_served_by(&stage, &old);
        cr_assert(zero(int, kill(new.pid, SIGKILL)));
        tool_finish(&new, &result);
        tool_expect_leases(stage.control, 1);
        expect_all_served_by(&stage, &old);
        server_end(&old);
        stage_end(&stage);
}

Test(generations_reusectl, all_by_the_name_of_the_endpoint) {
        json_auto_t *json = NULL;
        char lease[128];
        Tool servers[2];
        Stage stage;

        stage_begin(&stage);
        servers[0] = stage_serve(&stage, "--standby");
        servers[1] = stage_serve(&stage, "--standby");
        TOOL_RUN(&result, "ready --json web pid:%d", servers[0].pid);
        tool_expect(&result, 0, "");
        json = tool_json(result.out);
        cr_assert(eq(sz, json_array_size(kit_at(json, "leases")), 2));
        KIT_EXPECT_TEXT(kit_text(json, "leases.0"), member_field(servers[0].pid, FIELD_LEASE, lease));
        expect_both_serve(&stage, servers);
        TOOL_RUN(&result, "drain --wait web");
        tool_expect(&result, 0, "");
        expect_field(servers[0].pid, FIELD_STATE, "draining");
        expect_field(servers[1].pid, FIELD_STATE, "draining");
        server_end(&servers[0]);
        server_end(&servers[1]);
        stage_end(&stage);
}

Test(generations_reusectl, weight) {
        char lease[128];
        Tool servers[2];
        Stage stage;

        stage_begin(&stage);
        servers[0] = stage_serve(&stage, "");
        servers[1] = stage_serve(&stage, "");
        expect_both_serve(&stage, servers);
        TOOL_RUN(&result, "weight 0 %s", member_field(servers[1].pid, FIELD_LEASE, lease));
        tool_expect(&result, 0, "");
        expect_field(servers[1].pid, FIELD_WEIGHT, "0");
        expect_all_served_by(&stage, &servers[0]);
        TOOL_RUN(&result, "weight 100 web");
        tool_expect(&result, 0, "");
        expect_field(servers[0].pid, FIELD_WEIGHT, "100");
        expect_field(servers[1].pid, FIELD_WEIGHT, "100");
        expect_both_serve(&stage, servers);
        server_end(&servers[0]);
        server_end(&servers[1]);
        stage_end(&stage);
}

/* Each generation replaces the one before, and whoever asks is answered. */
Test(generations_reusectl, rolling_restart) {
        Tool old, new;
        Stage stage;

        stage_begin(&stage);
        old = stage_serve(&stage, "");
        for (int i = 0; i < 5; i++) {
                new = stage_serve(&stage, "--standby");
                expect_all_served_by(&stage, &old);
                TOOL_RUN(&result, "ready pid:%d", new.pid);
                tool_expect(&result, 0, "");
                TOOL_RUN(&result, "drain --wait pid:%d", old.pid);
                tool_expect(&result, 0, "");
                server_end(&old);
                expect_all_served_by(&stage, &new);
                old = new;
        }
        server_end(&old);
        stage_end(&stage);
}

/* ---- what is seen ------------------------------------------------------------------------------- */

Test(generations_reusectl, states_and_steering_are_shown) {
        Tool servers[2];
        char field[128];
        Stage stage;

        stage_begin(&stage);
        servers[0] = stage_serve(&stage, "");
        servers[1] = stage_serve(&stage, "--standby");
        TOOL_RUN(&result, "list --plain --no-header web");
        KIT_EXPECT_TEXT(tool_field(result.out, 4, field), "live:1,standby:1");
        KIT_EXPECT_TEXT(tool_field(result.out, 9, field), "hash");
        KIT_EXPECT_TEXT(tool_field(result.out, 10, field), "migrate");
        server_end(&servers[0]);
        server_end(&servers[1]);
        stage_end(&stage);
}

Test(generations_reusectl, watch_tells_who_is_ready_and_drained) {
        static const char *const expected[] = { "readied", "drained" };
        char line[512], field[128];
        Tool servers[2], watch;
        Stage stage;

        stage_begin(&stage);
        servers[0] = stage_serve(&stage, "");
        watch = tool_start("watch --plain --no-header");
        /* When the watch begins, only it knows: from here on something happens until it says so. */
        for (int i = 0; i < 100000 && !kit_is_readable(watch.out); i++) {
                KitSocket socket =
                        kit_acquire(stage.control, "{'network':'udp','address':'127.0.0.1:0'}");

                kit_release(stage.control, &socket);
        }
        servers[1] = stage_serve(&stage, "--standby");
        TOOL_RUN(&result, "ready pid:%d", servers[1].pid);
        TOOL_RUN(&result, "drain --wait pid:%d", servers[1].pid);
        for (size_t i = 0; i < 2; i++) {
                do
                        tool_read_line(watch.out, line, sizeof(line));
                while (strcmp(tool_field(line, 1, field), expected[i]) != 0);
                cr_assert(strncmp(tool_field(line, 4, field), "l", 1) == 0, "%s", line);
        }
        cr_assert(zero(int, kill(watch.pid, SIGTERM)));
        tool_finish(&watch, &result);
        server_end(&servers[0]);
        server_end(&servers[1]);
        stage_end(&stage);
}
