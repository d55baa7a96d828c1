/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What "reusectl" shows of a running broker, for people, for scripts and as JSON, and the exit statuses
 * that tell a script what is wrong.
 */

#include <sys/prctl.h>

#include "tests/integration/reusectl-kit.h"

TestSuite(reusectl, .timeout = 60);

static ToolResult result;

/* ---- exit statuses -------------------------------------------------------------------------------- */

static const ToolFailure failures[] = {
        { "", 2, "reusectl: no command given\nSee 'reusectl --help'." },
        { "lst", 2, "unknown command 'lst'; did you mean 'list'?" },
        { "frobnicate", 2, "unknown command 'frobnicate'\n" },
        { "--wrong list", 2, "unrecognized option" },
        { "list --wrong", 2, "unrecognized option" },
        { "list a b", 2, "unexpected word 'b'" },
        { "status now", 2, "unexpected word 'now'" },
        { "watch --timeout", 2, "requires an argument" },
        { "status --timeout 0", 2, "--timeout 0: not a number of seconds" },
        { "status --timeout -1", 2, "--timeout -1: not a number of seconds" },
        { "--timeout soon status", 2, "--timeout soon: not a number of seconds" },
        { "ready", 2, "ready: no lease given" },
        { "ready --wrong web", 2, "unrecognized option" },
        { "drain", 2, "drain: no lease given" },
        { "drain --wait", 2, "drain: no lease given" },
        { "drain --wait=0 web", 2, "--wait=0: not a number of seconds" },
        { "drain --wait= web", 2, "--wait=: not a number of seconds" },
        { "drain --wait=-1 web", 2, "--wait=-1: not a number of seconds" },
        { "drain --wait=soon web", 2, "--wait=soon: not a number of seconds" },
        { "weight", 2, "weight: no weight given" },
        { "weight web", 2, "weight: 'web' is not a number from 0 to 100" },
        { "weight web 5", 2, "weight: 'web' is not a number" },
        { "weight 101 web", 2, "weight: '101' is not a number" },
        { "weight 0x1 web", 2, "weight: '0x1' is not a number" },
        { "weight 1.5 web", 2, "weight: '1.5' is not a number" },
        { "weight 18446744073709551617 web", 2, "is not a number" },
        { "weight -- -1 web", 2, "weight: '-1' is not a number" },
        { "weight 5", 2, "weight: no lease given" },
        { "dial", 2, "dial: one address is needed" },
        { "dial tcp:127.0.0.1:1 tcp:127.0.0.1:2", 2, "dial: one address is needed" },
        { "dial tcp", 2, "dial: \"tcp\" is not NETWORK:ADDRESS" },
        { "dial :80", 2, "dial: \":80\" is not NETWORK:ADDRESS" },
        { "dial --from", 2, "requires an argument" },
        { "dial asd:127.0.0.1:1", 1, "\"asd\"" },
        { "dial tcp:127.0.0.1", 1, "missing port" },
        { "dial tcp:127.0.0.1:nosuchservice", 1, "unknown port" },
        { "dial --from 127.0.0.1:nosuchservice tcp:127.0.0.1:1", 1, "unknown port" },
        { "dial tcp:127.0.0.1:1,name=x", 1, "no option \"name\"" },
        { "dial --from [::1]:0 tcp:127.0.0.1:1", 1, "two families" },
        { "dial tcp:127.0.0.1:1 --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "ready web", 3, "reusectl: \"web\" is no lease, and no endpoint or process that you" },
        { "drain pid:1", 3, "\"pid:1\" is no lease" },
        { "drain --wait=1 l1-00000000", 3, "\"l1-00000000\" is no lease" },
        { "weight 5 web", 3, "\"web\" is no lease" },
        { "-q ready web", 3, "" },
        { "ready web --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "drain web --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "weight 5 web --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "list web", 3, "reusectl: there is no endpoint \"web\" that you may see" },
        { "--socket /nonexistent list", 6, "reusectl: no broker at /nonexistent: start reuseportd" },
        { "list --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "status --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "watch --socket /nonexistent", 6, "no broker at /nonexistent" },
        { "-q list web", 3, "" },
        { "-q --socket /nonexistent list", 6, "" },
};

Test(reusectl, failures) {
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        tool_expect_failures(failures, sizeof(failures) / sizeof(*failures));
        kit_stop(&kit);
}

Test(reusectl, failures_as_json) {
        json_auto_t *json = NULL;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        TOOL_RUN(&result, "-q ready --json web");
        tool_expect(&result, 3, "");
        json = tool_json(result.out);
        KIT_EXPECT_TEXT(kit_text(json, "error"), "ENXIO");
        json_decref(json);
        TOOL_RUN(&result, "list --json web");
        tool_expect(&result, 3, "there is no endpoint");
        json = tool_json(result.out);
        KIT_EXPECT_TEXT(kit_text(json, "error"), "io.reuseportd.NoSuchEndpoint");
        KIT_EXPECT_TEXT(kit_text(json, "parameters.endpoint"), "web");
        json_decref(json);
        TOOL_RUN(&result, "-q --json --socket /nonexistent status");
        tool_expect(&result, 6, "");
        json = tool_json(result.out);
        KIT_EXPECT_TEXT(kit_text(json, "error"), "ENOENT");
        kit_stop(&kit);
}

Test(reusectl, limit_is_reached) {
        int controls[3];
        Kit kit;

        tool_begin(&kit, "[Broker]\nMaxConnectionsPerUser=3\n[Rule all]\nUser=*\n");
        for (size_t i = 0; i < 3; i++) {
                controls[i] = harness_connect(&kit.harness);
                kit_ping(controls[i]);
        }
        TOOL_RUN(&result, "list");
        tool_expect(&result, 5, "the limit of 3 connections");
        for (size_t i = 0; i < 3; i++)
                close(controls[i]);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}

Test(reusectl, not_allowed_to_connect) {
        Tool tool;
        Kit kit;

        kit_require_root();
        tool_begin(&kit, "[Broker]\nSocketMode=0600\n[Rule all]\nUser=*\n");
        tool = tool_start_as(KIT_UID, "list");
        tool_finish(&tool, &result);
        if (result.status == TOOL_NOT_EXECUTED)
                cr_skip_test("the folder of the build is closed to other users");
        tool_expect(&result, 6, "reusectl: not allowed to connect to ");
        kit_stop(&kit);
}

/* The listener, and one for each connection that the broker has not closed. */
static size_t count_connected(const Kit *kit) {
        FILE *file = fopen("/proc/net/unix", "re");
        char line[256];
        size_t n = 0;

        while (fgets(line, sizeof(line), file))
                n += strstr(line, kit->harness.socket) != NULL;
        fclose(file);
        return n;
}

/* It is in the queue of a broker that goes, and holds nothing. */
Test(reusectl, what_only_reads_is_asked_of_the_next_broker) {
        static const char *const commands[] = { "status", "list", "explain tcp:127.0.0.1:80" };
        Tool tools[3];
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        for (int i = 0; i < 2; i++) {
                siginfo_t info;
                size_t before;

                cr_assert(zero(int, kill(kit.harness.pid, SIGSTOP)));
                cr_assert(zero(int, waitid(P_PID, (id_t)kit.harness.pid, &info, WSTOPPED)));
                /* Those of the harness may not be closed yet. */
                before = count_connected(&kit);
                for (size_t k = 0; k < 3; k++) {
                        tools[k] = tool_start("%s --timeout 50", commands[k]);
                        while (count_connected(&kit) < before + k + 1)
                                ;
                }
                harness_kill(&kit.harness);
                harness_restart(&kit.harness);
                for (size_t k = 0; k < 3; k++) {
                        tool_finish(&tools[k], &result);
                        tool_expect(&result, 0, "");
                }
        }
        kit_stop(&kit);
}

Test(reusectl, what_answers_is_no_broker) {
        char path[96];
        Tool tool;
        Kit kit;
        int fd, client;

        tool_begin(&kit, KIT_CONFIG);
        fd = tool_false_broker(&kit, path, sizeof(path));
        tool = tool_start("list --socket %s", path);
        kit_wait_readable(fd);
        client = accept(fd, NULL, NULL);
        harness_send(client, "220 mail ready\r\n", 17);
        tool_finish(&tool, &result);
        tool_expect(&result, 7, "the broker's answer is not JSON");
        close(client);
        close(fd);
        kit_stop(&kit);
}

Test(reusectl, no_answer_in_time) {
        char path[96];
        Kit kit;
        int fd;

        tool_begin(&kit, KIT_CONFIG);
        fd = tool_false_broker(&kit, path, sizeof(path));
        TOOL_RUN(&result, "list --timeout 0.001 --socket %s", path);
        tool_expect(&result, 75, "did not answer in time");
        TOOL_RUN(&result, "watch --timeout 0.001 --socket %s", path);
        tool_expect(&result, 75, "did not answer in time");
        close(fd);
        kit_stop(&kit);
}

/* ----
 * list ------------------------------------------------------------------------------------------ */

/* A broker with two endpoints: "web" with two members, and one without a name. */
typedef struct Stage {
        Kit kit;
        int control;
        KitSocket web[2], plain;
} Stage;

static void stage_begin(Stage *stage) {
        tool_begin(&stage->kit, KIT_CONFIG);
        stage->control = harness_connect(&stage->kit.harness);
        for (size_t i = 0; i < 2; i++)
                stage->web[i] = kit_acquire(stage->control, "{'network':'tcp','address':'127.0.0.1:0','"
                                                            "name':'web','options':{'backlog':9}}");
        stage->plain = kit_acquire(stage->control, "{'network':'unix','address':'@%s'}",
                                   stage->kit.harness.folder);
}

static void stage_end(Stage *stage) {
        kit_drop(&stage->web[0]);
        kit_drop(&stage->web[1]);
        kit_drop(&stage->plain);
        close(stage->control);
        kit_stop(&stage->kit);
}

/* Line @n of @text, as a copy. */
static const char *line_of(const char *text, size_t n, char buffer[static 512]) {
        while (n-- > 0 && text) {
                text = strchr(text, '\n');
                text = text ? text + 1 : NULL;
        }
        cr_assert(text && *text, "so many lines there are not");
        snprintf(buffer, 512, "%.*s", (int)strcspn(text, "\n"), text);
        return buffer;
}

static size_t count_lines(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

/* The line begins with these fields; NULL stands for any value that is there. */
static void expect_fields(const char *line, size_t n, const char *const fields[]) {
        char field[128];

        for (size_t i = 0; i < n; i++) {
                tool_field(line, i, field);
                if (fields[i])
                        KIT_EXPECT_TEXT(field, fields[i]);
                else
                        cr_assert(field[0] != '\0' && strcmp(field, "-") != 0, "%s", line);
        }
}

Test(reusectl, list_of_nothing) {
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        TOOL_RUN(&result, "list --no-header");
        tool_expect(&result, 0, "");
        KIT_EXPECT_TEXT(result.out, "");
        TOOL_RUN(&result, "list --plain");
        KIT_EXPECT_TEXT(result.out,
                        "ENDPOINT\tNETWORK\tADDRESS\tSHARING\tSTATE\tMEMBERS\tLEASES\tQUEUE\tHOLDERS\t"
                        "STEERING\tCONTINUITY\tNAMESPACE\n");
        kit_stop(&kit);
}

Test(reusectl, list_plain) {
        char line[512], comm[32], holders[128];
        Stage stage;

        stage_begin(&stage);
        TOOL_RUN(&result, "list --plain --no-header");
        tool_expect(&result, 0, "");
        cr_assert(eq(sz, count_lines(result.out), 2));
        cr_assert(zero(int, prctl(PR_GET_NAME, comm)));
        snprintf(holders, sizeof(holders), "%d/%s:%u,%d/%s:%u", getpid(), comm, getuid(), getpid(), comm,
                 getuid());
        expect_fields(line_of(result.out, 0, line), 9,
                      (const char *const[]){ "web", "tcp4", kit_address(&stage.web[0]), "group", "live",
                                             "2", "2", "0/18", holders });
        expect_fields(line_of(result.out, 1, line), 8,
                      (const char *const[]){ kit_text(stage.plain.reply, "endpoint"), "unix",
                                             kit_address(&stage.plain), "shared", "live", "1", "1",
                                             "-" });
        stage_end(&stage);
}

Test(reusectl, list_members_plain) {
        char line[512], comm[32], pid[16], uid[16];
        Stage stage;

        stage_begin(&stage);
        TOOL_RUN(&result, "list -m --plain --no-header web");
        tool_expect(&result, 0, "");
        cr_assert(eq(sz, count_lines(result.out), 2));
        cr_assert(zero(int, prctl(PR_GET_NAME, comm)));
        snprintf(pid, sizeof(pid), "%d", getpid());
        snprintf(uid, sizeof(uid), "%u", getuid());
        for (size_t i = 0; i < 2; i++) {
                const char *const fields[] = { "web",
                                               kit_address(&stage.web[0]),
                                               NULL,
                                               "live",
                                               kit_lease(&stage.web[i]),
                                               "connection",
                                               pid,
                                               uid,
                                               comm };

                line_of(result.out, i, line);
                expect_fields(line, sizeof(fields) / sizeof(*fields), fields);
        }
        stage_end(&stage);
}

Test(reusectl, list_for_people) {
        char title[512], first[512];
        size_t column;
        Stage stage;

        stage_begin(&stage);
        TOOL_RUN(&result, "list");
        tool_expect(&result, 0, "");
        cr_assert(eq(sz, count_lines(result.out), 3));
        line_of(result.out, 0, title);
        line_of(result.out, 1, first);
        cr_assert(zero(int, strncmp(title, "ENDPOINT ", 9)));
        /* The columns stand below their titles. */
        column = (size_t)(strstr(title, "ADDRESS") - title);
        cr_assert(zero(int, strncmp(first + column, kit_address(&stage.web[0]),
                                    strlen(kit_address(&stage.web[0])))));
        cr_assert(strchr(result.out, '\t') == NULL);
        stage_end(&stage);
}

Test(reusectl, list_json) {
        json_auto_t *json = NULL, *one = NULL;
        Stage stage;

        stage_begin(&stage);
        TOOL_RUN(&result, "--json list");
        tool_expect(&result, 0, "");
        json = tool_json(result.out);
        cr_assert(eq(sz, json_array_size(kit_at(json, "endpoints")), 2));
        KIT_EXPECT_TEXT(kit_text(json, "endpoints.0.address"), kit_address(&stage.web[0]));
        cr_assert(eq(llong, kit_number(json, "endpoints.0.members.1.leases.0.holder.pid"), getpid()));
        KIT_EXPECT_TEXT(kit_text(json, "endpoints.0.members.0.leases.0.lease"),
                        kit_lease(&stage.web[0]));

        TOOL_RUN(&result, "list --json %s", kit_text(stage.plain.reply, "endpoint"));
        one = tool_json(result.out);
        cr_assert(eq(sz, json_array_size(kit_at(one, "endpoints")), 1));
        KIT_EXPECT_TEXT(kit_text(one, "endpoints.0.sharing"), "shared");
        stage_end(&stage);
}

/* A holder that accepts nothing cannot be had in a moment, so a false broker tells of one. */
Test(reusectl, list_of_what_is_stalled) {
        static const char reply[] =
                "{\"parameters\":{\"endpoints\":[{\"endpoint\":\"e1\",\"network\":\"tcp4\",\"address\":"
                "\"127.0.0.1:80\",\"sharing\":\"group\",\"steering\":\"source\",\"continuity\":\"none\","
                "\"networkNamespace\":\"blue\","
                "\"members\":[{\"member\":\"m1\",\"state\":\"live\",\"weight\":10,\"leases\":[],"
                "\"stalled\":true,\"flows\":7},{\"member\":\"m2\",\"state\":\"live\",\"weight\":0,"
                "\"leases\":[],\"stalled\":false},{\"member\":\"m3\",\"state\":\"draining\",\"weight\":"
                "1,"
                "\"leases\":[],\"stalled\":true}]}]}}";
        static const char *const views[] = { "list", "list -m" };
        static const char *const expected[][2] = {
                { "live:1,stalled:1,draining:1\t3\t0\t-\t-\tsource\tnone\tblue\n", "" },
                { "m1\tlive\t-\t-\t-\t-\t-\t-\t-\t-\t10\tyes\t7\tblue\n",
                  "m2\tlive\t-\t-\t-\t-\t-\t-\t-\t-\t0\tno\t-\tblue\n" },
        };
        char path[96];
        Tool tool;
        Kit kit;
        int fd, client;

        tool_begin(&kit, KIT_CONFIG);
        fd = tool_false_broker(&kit, path, sizeof(path));
        for (size_t i = 0; i < 2; i++) {
                tool = tool_start("%s --plain --no-header --socket %s", views[i], path);
                kit_wait_readable(fd);
                client = accept(fd, NULL, NULL);
                harness_send_frame(client, reply);
                tool_finish(&tool, &result);
                tool_expect(&result, 0, "");
                for (size_t j = 0; j < 2; j++)
                        cr_assert(strstr(result.out, expected[i][j]) != NULL, "%s", result.out);
                close(client);
        }
        close(fd);
        kit_stop(&kit);
}

/* ---- status and
 * version ---------------------------------------------------------------------------- */

Test(reusectl, status) {
        static const char *const keys[] = { "version",   "started", "connections",
                                            "endpoints", "leases",  "capabilities" };
        static const char *const values[] = { NULL, NULL, "2", "2", "3", NULL };
        json_auto_t *json = NULL;
        char line[512], words[64];
        Stage stage;

        stage_begin(&stage);
        TOOL_RUN(&result, "status --plain");
        tool_expect(&result, 0, "");
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
                expect_fields(line_of(result.out, i, line), 2,
                              (const char *const[]){ keys[i], values[i] });
        TOOL_RUN(&result, "status");
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
                snprintf(words, sizeof(words), "%s: ", keys[i]);
                cr_assert(zero(int, strncmp(line_of(result.out, i, line), words, strlen(words))), "%s",
                          line);
        }
        TOOL_RUN(&result, "status --json");
        json = tool_json(result.out);
        cr_assert(eq(llong, kit_number(json, "leases"), 3));
        cr_assert(eq(int, json_is_array(kit_at(json, "capabilities")), true));
        stage_end(&stage);
}

Test(reusectl, version) {
        json_auto_t *json = NULL, *alone = NULL;
        char line[512];
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        /* That there is no broker is no failure, and is said. */
        TOOL_RUN(&result, "version --plain --socket /nonexistent");
        tool_expect(&result, 0, "no broker at /nonexistent");
        expect_fields(line_of(result.out, 2, line), 2, (const char *const[]){ "broker", "-" });
        TOOL_RUN(&result, "version --json -q --socket /nonexistent");
        tool_expect(&result, 0, "");
        alone = tool_json(result.out);
        cr_assert(eq(int, json_is_null(kit_at(alone, "broker")), true));

        TOOL_RUN(&result, "version --json");
        tool_expect(&result, 0, "");
        json = tool_json(result.out);
        cr_assert(ne(int, kit_text(json, "broker")[0], 0));
        KIT_EXPECT_TEXT(kit_text(json, "broker"), kit_text(json, "library"));
        KIT_EXPECT_TEXT(kit_text(json, "broker"), kit_text(json, "reusectl"));
        TOOL_RUN(&result, "version --plain");
        expect_fields(line_of(result.out, 2, line), 2,
                      (const char *const[]){ "broker", kit_text(json, "broker") });
        TOOL_RUN(&result, "--version");
        tool_expect(&result, 0, "");
        cr_assert(strstr(result.out, kit_text(json, "reusectl")) != NULL);
        kit_stop(&kit);
}

Test(reusectl, help_is_data) {
        static const char *const commands[] = { "",        "run",     "ready",        "drain",
                                                "weight",  "list",    "watch",        "status",
                                                "version", "explain", "check-config", "dial" };
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
                TOOL_RUN(&result, "%s --help", commands[i]);
                tool_expect(&result, 0, "");
                cr_assert(zero(int, strncmp(result.out, "Usage: reusectl ", 16)), "%s", commands[i]);
        }
        kit_stop(&kit);
}

Test(reusectl, output_that_nobody_takes) {
        char *words[] = { (char *)"reusectl", (char *)"list", NULL };
        int status;
        Kit kit;
        pid_t pid;

        tool_begin(&kit, KIT_CONFIG);
        pid = fork();
        cr_assert(pid >= 0);
        if (pid == 0) {
                dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
                dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
                execv(REUSECTL_PATH, words);
                _exit(TOOL_NOT_EXECUTED);
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(eq(int, WEXITSTATUS(status), 1));
        kit_stop(&kit);
}
