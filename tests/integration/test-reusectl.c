/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "reusectl run" with a running broker: what the program that it becomes is handed, how long the leases
 * last, and what is said when there is nothing to hand over. What libsystemd makes of it, listen-report
 * tells.
 */

#include <sys/stat.h>

#include "tests/integration/reusectl-kit.h"
#include "tests/unit/etc-kit.h"

TestSuite(reusectl_run, .timeout = 60);

static ToolResult result;

#define RUN_CONFIG                                                                                      \
        "[Broker]\nRetainSec=0\nMaxLeasesPerUser=2\n"                                                   \
        "[Rule no-low]\nUser=*\nNetwork=tcp udp\nPort=1-1023\nAllow=no\n"                               \
        "[Rule all]\nUser=*\nOptions=*\n"

/* ---- nothing is run ------------------------------------------------------------------------------- */

static const ToolFailure failures[] = {
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
        tool_expect_failures(failures, sizeof(failures) / sizeof(*failures));
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

/* A broker from before the lifetime "descriptor" hears a call with these words. */
static void old_broker_hear(int client, const char *words) {
        static HarnessReply call;

        cr_assert(harness_receive(client, &call));
        cr_assert(strstr(call.text, words) != NULL, "\"%s\" is not in %s", words, call.text);
}

static int old_broker_accept(int fd) {
        int client;

        kit_wait_readable(fd);
        client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(client >= 0, "%m");
        old_broker_hear(client, "\"lifetime\":\"descriptor\"");
        return client;
}

#define OLD_REFUSAL                                                                                     \
        "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"%s\"}}"

static void old_broker_refuse(int client, const char *parameter) {
        char text[128];

        snprintf(text, sizeof(text), OLD_REFUSAL, parameter);
        harness_send_frame(client, text);
}

/* What is wrong with the call is not the lifetime. */
Test(reusectl_run, tree_that_is_refused) {
        char path[96];
        Tool tool;
        Kit kit;
        int fd, client;

        tool_begin(&kit, KIT_CONFIG);
        fd = tool_false_broker(&kit, path, sizeof(path));
        tool = tool_start("run --socket %s --lifetime tree -l tcp:127.0.0.1:0 -- true", path);
        client = old_broker_accept(fd);
        old_broker_refuse(client, "sockets[0].options.mark");
        tool_finish(&tool, &result);
        tool_expect(&result, 125, "sockets[0].options.mark");
        close(client);
        tool = tool_start("run --socket %s --lifetime tree -l tcp:127.0.0.1:0 -- true", path);
        client = old_broker_accept(fd);
        old_broker_refuse(client, "lifetime");
        old_broker_hear(client, "\"lifetime\":\"connection\"");
        harness_send_frame(client,
                           "{\"error\":\"io.reuseportd.NetworkUnknown\",\"parameters\":{\"network\":"
                           "\"tcp\"}}");
        tool_finish(&tool, &result);
        tool_expect(&result, 125, "does not know the network");
        close(client);
        close(fd);
        kit_stop(&kit);
}

/* ---- what is handed
 * over ---------------------------------------------------------------------------- */

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

Test(reusectl_run, s3_3_names_are_looked_up) {
        char line[256];
        Tool tool;
        Kit kit;

        etc_kit_setup("127.0.0.2 there\n", "any 0/tcp\n");
        tool_begin(&kit, KIT_CONFIG);
        TOOL_RUN(&result, "run -l tcp:nowhere:any -- true");
        tool_expect(&result, 125, "reusectl: lookup nowhere: no such host");
        TOOL_RUN(&result, "run -l tcp:localhost:any -l tcp:there:none -- true");
        tool_expect(&result, 125, "reusectl: lookup tcp/none: unknown port");
        TOOL_RUN(&result, "explain tcp:nowhere:80");
        tool_expect(&result, 3, "lookup nowhere: no such host");
        TOOL_RUN(&result, "explain tcp:there:8080");
        tool_expect(&result, 0, "");
        tool = tool_start("run -l tcp:localhost:any,name=web -l tcp:there:any -- " LISTEN_REPORT_PATH);
        tool_expect_head(&tool, 2);
        tool_expect_line(&tool, 3, "web listening inet stream blocking 127.0.0.1:", line);
        cr_assert(gt(int, tool_port(line), 0));
        tool_expect_line(&tool, 4, "unknown listening inet stream blocking 127.0.0.2:", line);
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
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

/* ---- how long the leases
 * last ------------------------------------------------------------------------ */

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

/* Which descriptor it is, the program is told; with another lifetime there is none. */
Test(reusectl_run, lifetime_is_announced) {
        char path[96], pipe[32];
        FILE *script;
        int fd = -1;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        snprintf(path, sizeof(path), "%.60s/script", kit.harness.folder);
        script = fopen(path, "we");
        fputs("#!/bin/sh\necho $REUSE_LIFETIME_FD $(readlink /proc/self/fd/$REUSE_LIFETIME_FD)\n",
              script);
        cr_assert(zero(int, fchmod(fileno(script), 0755) + fclose(script)));
        cr_assert(zero(int, setenv("REUSE_LIFETIME_FD", "77", 1)));
        TOOL_RUN(&result, "run --lifetime tree -l tcp:127.0.0.1:0 -l tcp:127.0.0.1:0 -- %s", path);
        tool_expect(&result, 0, "");
        cr_assert(eq(int, sscanf(result.out, "%d %31s", &fd, pipe), 2), "%s", result.out);
        cr_assert(ge(int, fd, 5)); /* above the sockets */
        cr_assert(zero(int, strncmp(pipe, "pipe:", 5)), "%s", result.out);
        TOOL_RUN(&result, "run -l tcp:127.0.0.1:0 -- env");
        tool_expect(&result, 0, "");
        cr_assert(strstr(result.out, "REUSE_LIFETIME_FD") == NULL, "%s", result.out);
        kit_stop(&kit);
}

/* Nobody comes back for it, and it is not waited for anybody. */
Test(reusectl_run, tree_outlives_the_broker) {
        static Keeper keeper;
        int control, port;
        Tool tool;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 16);
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, KIT_CONFIG);
        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", kit.harness.socket, 1)));
        tool = tool_start_server("--lifetime tree", 0, "daemon", &port);
        cr_assert(eq(int, waitpid(tool.pid, NULL, 0), tool.pid));
        for (int i = 0; i < 2; i++) {
                harness_kill(&kit.harness);
                cr_assert(ne(int, tool_ask(port), tool.pid));
                harness_restart(&kit.harness);
                TOOL_RUN(&result, "list --members --plain web");
                tool_expect(&result, 0, "");
                cr_assert(strstr(result.out, "\tlive\t") != NULL, "%s", result.out);
                cr_assert(strstr(result.out, "\tdescriptor\t") != NULL, "%s", result.out);
        }
        control = harness_connect(&kit.harness);
        tool_expect_leases(control, 1);
        cr_assert(ne(int, tool_ask(port), tool.pid));
        tool.in = fd_close(tool.in);
        tool_expect_leases(control, 0);
        tool_read_all(tool.err, result.err);
        KIT_EXPECT_TEXT(result.err, "");
        close(tool.out);
        close(tool.err);
        close(control);
        harness_stop(&kit.harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit.n_fds);
}

/* The program goes on as before, and is told what it does not have. */
Test(reusectl_run, tree_of_an_older_broker) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } rights = { .header = { .cmsg_level = SOL_SOCKET,
                                 .cmsg_type = SCM_RIGHTS,
                                 .cmsg_len = CMSG_LEN(sizeof(int)) } };
        char path[96], text[512], byte;
        struct iovec iov = { .iov_base = text };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &rights,
                                  .msg_controllen = sizeof(rights) };
        int fd, client, given;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        fd = tool_false_broker(&kit, path, sizeof(path));
        given = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        tool = tool_start("run --socket %s --lifetime tree -l tcp:127.0.0.1:0 -- cat", path);
        client = old_broker_accept(fd);
        old_broker_refuse(client, "lifetime");
        old_broker_hear(client, "\"lifetime\":\"connection\"");
        iov.iov_len =
                (size_t)snprintf(text, sizeof(text),
                                 "{\"parameters\":{\"sockets\":[{\"lease\":\"l1\",\"endpoint\":\"e1\","
                                 "\"socketFileDescriptor\":0,\"cookie\":\"%llu\",\"network\":\"tcp4\","
                                 "\"address\":\"127.0.0.1:80\",\"sharing\":\"group\",\"adopted\":false,"
                                 "\"options\":{}}]}}",
                                 kit_cookie(given)) +
                1;
        memcpy(CMSG_DATA(&rights.header), &given, sizeof(given));
        cr_assert(eq(llong, (long long)sendmsg(client, &message, 0), (long long)iov.iov_len));
        close(given);
        /* It has become the program, which has the connection. */
        cr_assert(eq(int, (int)write(tool.in, "x", 1), 1));
        kit_wait_readable(tool.out);
        cr_assert(eq(int, (int)read(tool.out, &byte, 1), 1));
        cr_assert(zero(int, kit_is_readable(client)));
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "the broker is older, and knows no lease of a tree that outlives it");
        kit_wait_readable(client);
        cr_assert(zero(int, (int)read(client, &byte, 1)));
        close(client);
        close(fd);
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
