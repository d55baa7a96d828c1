/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "reusectl run" with a running broker: what the program that it becomes is handed, how long the leases
 * last, and what is said when there is nothing to hand over. What libsystemd makes of it, listen-report
 * tells.
 */

#include "tests/integration/reusectl-kit.h"

TestSuite(reusectl_run, .timeout = 60);

static ToolResult result;

#define RUN_CONFIG                                                                                      \
        "[Broker]\nRetainSec=0\nMaxLeasesPerUser=2\n"                                                   \
        "[Rule no-low]\nUser=*\nNetwork=tcp udp\nPort=1-1023\nAllow=no\n"                               \
        "[Rule all]\nUser=*\nOptions=*\n"

/* ---- nothing is run ------------------------------------------------------------------------------- */

static const struct {
        const char *arguments;
        int status;
        const char *words;
} failures[] = {
        /* The command line. */
        { "run", 125, "no socket asked for; -l SPEC is needed" },
        { "run -- true", 125, "no socket asked for" },
        { "run -l tcp:127.0.0.1:0", 125, "no command given" },
        { "run -l tcp:127.0.0.1:0 --", 125, "no command given" },
        { "run -l", 125, "requires an argument" },
        { "run -l tcp -- true", 125, "tcp" },
        { "run -l tcp:127.0.0.1:0,nme=web -- true", 125, "did you mean name?" },
        { "run -l tcp:127.0.0.1:0,backlog=x -- true", 125, "backlog" },
        { "run -l tcp:127.0.0.1:0 --lifetime long -- true", 125, "neither \"process\" nor \"tree\"" },
        { "run -l tcp:127.0.0.1:0 --as inetd -- true", 125, "the only form is \"listen\"" },
        { "run -l tcp:127.0.0.1:0 --wrong -- true", 125, "unrecognized option" },
        /* The broker. */
        { "run -l tcp:127.0.0.1:80 -- true", 125, "reusectl: policy denies it: rule \"no-low\" (" },
        { "run -l tpc:127.0.0.1:0 -- true", 125, "does not know the network \"tpc\"" },
        { "run -l tcp:192.0.2.1:0 -- true", 125, "is not an address of this host" },
        { "run -l tcp:127.0.0.1:0 -l tcp:127.0.0.1:0 -l tcp:127.0.0.1:0 -- true", 125,
          "the limit of 2 leases is reached" },
        { "run --socket /nonexistent -l tcp:127.0.0.1:0 -- true", 125,
          "reusectl: no broker at /nonexistent: start reuseportd" },
        /* The command. */
        { "run -l tcp:127.0.0.1:0 -- /nonexistent/command", 127,
          "/nonexistent/command: No such file or directory" },
        { "run -l tcp:127.0.0.1:0 -- no-such-command-anywhere", 127, "no-such-command-anywhere: " },
        { "run -l tcp:127.0.0.1:0 -- /", 126, "/: Permission denied" },
        { "run -l tcp:127.0.0.1:0 -- /etc/passwd", 126, "/etc/passwd: Permission denied" },
};

Test(reusectl_run, failures) {
        Kit kit;

        tool_begin(&kit, RUN_CONFIG);
        /* With a folder in it that is closed to us, what is not found would be "permission denied". */
        cr_assert(zero(int, setenv("PATH", "/usr/bin:/bin", 1)));
        for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
                TOOL_RUN(&result, "%s", failures[i].arguments);
                tool_expect(&result, failures[i].status, failures[i].words);
                KIT_EXPECT_TEXT(result.out, "");
        }
        kit_stop(&kit);
}

Test(reusectl_run, quiet_says_nothing) {
        Kit kit;

        tool_begin(&kit, RUN_CONFIG);
        TOOL_RUN(&result, "-q run -l tcp:127.0.0.1:80 -- true");
        tool_expect(&result, 125, "");
        TOOL_RUN(&result, "run -q -l tcp:127.0.0.1:0 -- /nonexistent/command");
        tool_expect(&result, 127, "");
        kit_stop(&kit);
}

Test(reusectl_run, json_of_a_refusal) {
        json_auto_t *json = NULL;
        Kit kit;

        tool_begin(&kit, RUN_CONFIG);
        TOOL_RUN(&result, "run --json -l tcp:127.0.0.1:80 -- true");
        tool_expect(&result, 125, "policy denies it");
        json = tool_json(result.out);
        KIT_EXPECT_TEXT(kit_text(json, "error"), "io.reuseportd.PolicyDenied");
        KIT_EXPECT_TEXT(kit_text(json, "parameters.rule"), "no-low");
        cr_assert(strstr(result.err, kit_text(json, "message")) != NULL);
        kit_stop(&kit);
}

Test(reusectl_run, in_use_names_the_holder) {
        KitSocket held;
        char words[64];
        int control;
        Kit kit;

        tool_begin(&kit, RUN_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(
                control, "{'network':'tcp','address':'127.0.0.1:0','sharing':'exclusive','name':'web'}");
        TOOL_RUN(&result, "run -l tcp:%s -- true", kit_address(&held));
        snprintf(words, sizeof(words), "%s is in use by pid %d (", kit_address(&held), getpid());
        tool_expect(&result, 125, words);
        TOOL_RUN(&result, "run -l tcp:127.0.0.1:1024,name=web -- true");
        tool_expect(&result, 125, "option name: the endpoint has web at ");
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* ---- what is handed over ----------------------------------------------------------------------------
 */

Test(reusectl_run, sockets_and_names) {
        char line[256];
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        /* What a parent left there is replaced. */
        cr_assert(zero(int, setenv("LISTEN_FDS", "9", 1) + setenv("LISTEN_FDNAMES", "a:b", 1)));
        tool = tool_start("run -l tcp:127.0.0.1:0,name=web -l udp:127.0.0.1:0,name=dns.udp "
                          "-l unix:%s/s,name=file -l unixgram:@%s -l unixpacket:%s/p "
                          "-l tcp:127.0.0.1:0,sharing=exclusive -- " LISTEN_REPORT_PATH,
                          kit.harness.folder, kit.harness.folder, kit.harness.folder);
        tool_expect_head(&tool, 6);
        tool_expect_line(&tool, 3, "web listening inet stream blocking 127.0.0.1:", line);
        cr_assert(gt(int, tool_port(line), 0));
        tool_expect_line(&tool, 4, "dns.udp bound inet datagram blocking 127.0.0.1:", line);
        tool_expect_line(&tool, 5, "file listening unix stream nonblocking /tmp/", line);
        tool_expect_line(&tool, 6, "unknown bound unix datagram nonblocking @/tmp/", line);
        tool_expect_line(&tool, 7, "unknown listening unix seqpacket nonblocking /tmp/", line);
        tool_expect_line(&tool, 8, "unknown listening inet stream blocking 127.0.0.1:", line);
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        KIT_EXPECT_TEXT(result.out, "");
        kit_stop(&kit);
}

Test(reusectl_run, nonblock) {
        char line[256];
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        tool = tool_start("run --nonblock --as listen -l tcp:127.0.0.1:0 -- " LISTEN_REPORT_PATH);
        tool_expect_head(&tool, 1);
        tool_expect_line(&tool, 3, "unknown listening inet stream nonblocking ", line);
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        kit_stop(&kit);
}

/* Only the process that LISTEN_PID names takes them. */
Test(reusectl_run, not_for_the_child_of_a_shell) {
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        TOOL_RUN(&result, "run -l tcp:127.0.0.1:0 -- env LISTEN_PID=1 " LISTEN_REPORT_PATH);
        tool_expect(&result, 0, "");
        KIT_EXPECT_TEXT(result.out, "0 sockets\n");
        kit_stop(&kit);
}

Test(reusectl_run, status_is_that_of_the_command) {
        static const int statuses[] = { 0, 1, 6, 42, 125, 255 };
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
                TOOL_RUN(&result, "run -l tcp:127.0.0.1:0 -- " LISTEN_REPORT_PATH " exit %d",
                         statuses[i]);
                tool_expect(&result, statuses[i], "");
        }
        kit_stop(&kit);
}

/* ---- how long the leases last ------------------------------------------------------------------------
 */

Test(reusectl_run, lifetime_process) {
        int control, port;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        tool = tool_start_server("", 0, "serve", &port);
        tool_expect_leases(control, 1);
        cr_assert(eq(int, tool_ask(port), tool.pid));
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        tool_expect_leases(control, 0);
        close(control);
        kit_stop(&kit);
}

Test(reusectl_run, lifetime_process_ends_before_that_of_its_child) {
        int control, port;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        tool = tool_start_server("--lifetime process", 0, "daemon", &port);
        tool_expect_leases(control, 0);
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        close(control);
        kit_stop(&kit);
}

Test(reusectl_run, lifetime_tree) {
        int control, port, status;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        tool = tool_start_server("--lifetime tree", 0, "daemon", &port);
        cr_assert(eq(int, waitpid(tool.pid, &status, 0), tool.pid));
        cr_assert(zero(int, status));
        /* The first process is gone, and its child serves on. */
        cr_assert(ne(int, tool_ask(port), tool.pid));
        tool_expect_leases(control, 1);
        cr_assert(ne(int, tool_ask(port), tool.pid));
        tool.in = fd_close(tool.in);
        tool_expect_leases(control, 0);
        tool_read_all(tool.out, result.out);
        tool_read_all(tool.err, result.err);
        KIT_EXPECT_TEXT(result.err, "");
        close(tool.out);
        close(tool.err);
        close(control);
        kit_stop(&kit);
}

Test(reusectl_run, two_servers_of_one_group) {
        int served[2] = { 0, 0 };
        int control, port;
        Tool tools[2];
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        tools[0] = tool_start_server("", 0, "serve", &port);
        tools[1] = tool_start_server("", port, "serve", &port);
        tool_expect_leases(control, 2);
        for (int i = 0; i < 1000 && (!served[0] || !served[1]); i++)
                served[tool_ask(port) == tools[1].pid]++;
        cr_assert(served[0] > 0 && served[1] > 0, "%d and %d were served", served[0], served[1]);
        tool_finish(&tools[0], &result);
        tool_expect(&result, 0, "");
        tool_expect_leases(control, 1);
        for (int i = 0; i < 20; i++)
                cr_assert(eq(int, tool_ask(port), tools[1].pid));
        tool_finish(&tools[1], &result);
        tool_expect_leases(control, 0);
        close(control);
        kit_stop(&kit);
}
