/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "reusectl watch" of a running broker: each event as it happens, and the end of the broker.
 */

#include "tests/integration/reusectl-kit.h"

TestSuite(reusectl_watch, .timeout = 60);

static ToolResult result;

/* ----
 * watch ------------------------------------------------------------------------------------------ */

/* Gives the watch something to see until it has seen something: when it begins, only it knows. */
static void watch_rouse(int control, const Tool *tool) {
        for (int i = 0; i < 100000 && !kit_is_readable(tool->out); i++) {
                KitSocket socket = kit_acquire(control, "{'network':'udp','address':'127.0.0.1:0'}");

                kit_release(control, &socket);
        }
}

/* Reads on to the first event about @name. */
static void watch_find(Tool *tool, const char *name, char line[static 512]) {
        do
                tool_read_line(tool->out, line, 512);
        while (!strstr(line, name));
}

Test(reusectl_watch, as_json) {
        KitSocket socket;
        json_auto_t *acquired = NULL, *released = NULL, *closed = NULL;
        char line[512];
        int control;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        tool = tool_start("watch --json");
        watch_rouse(control, &tool);
        socket = kit_acquire(control, "{'network':'tcp','address':'127.0.0.1:0'}");
        watch_find(&tool, kit_text(socket.reply, "endpoint"), line);
        acquired = tool_json(line);
        KIT_EXPECT_TEXT(kit_text(acquired, "what"), "acquired");
        KIT_EXPECT_TEXT(kit_text(acquired, "lease"), kit_lease(&socket));
        cr_assert(eq(llong, kit_number(acquired, "holder.pid"), getpid()));
        kit_release(control, &socket);
        tool_read_line(tool.out, line, sizeof(line));
        released = tool_json(line);
        KIT_EXPECT_TEXT(kit_text(released, "what"), "released");
        tool_read_line(tool.out, line, sizeof(line));
        closed = tool_json(line);
        KIT_EXPECT_TEXT(kit_text(closed, "what"), "closed");
        cr_assert(zero(int, kill(tool.pid, SIGTERM)));
        tool_finish(&tool, &result);
        cr_assert(eq(int, result.status, 128 + SIGTERM));
        close(control);
        kit_stop(&kit);
}

Test(reusectl_watch, of_a_refusal) {
        char line[512], field[128];
        int control;
        Tool tool;
        Kit kit;

        tool_begin(&kit, "[Broker]\nRetainSec=0\n[Rule no]\nUser=*\nPort=1-1023\nAllow=no\n"
                         "[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        tool = tool_start("watch --plain --timeout 1");
        watch_rouse(control, &tool);
        tool_read_line(tool.out, line, sizeof(line));
        KIT_EXPECT_TEXT(line, "TIME\tWHAT\tENDPOINT\tMEMBER\tLEASE\tHOLDER\tREASON");
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'tcp','address':'127.0.0.1:7'}"));
        watch_find(&tool, "\tdenied\t", line);
        KIT_EXPECT_TEXT(tool_field(line, 2, field), "-");
        cr_assert(strstr(tool_field(line, 6, field), "rule \"no\" (") != NULL, "%s", line);
        /* A broker that stops in good order is gone all the same. */
        close(control);
        harness_stop(&kit.harness);
        tool_finish(&tool, &result);
        tool_expect(&result, 6, "reusectl: the broker hung up");
        leaks_expect_fds(kit.n_fds);
}

Test(reusectl_watch, ends_with_a_killed_broker) {
        int control;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        tool = tool_start("watch --timeout 1");
        watch_rouse(control, &tool);
        harness_kill(&kit.harness);
        tool_finish(&tool, &result);
        tool_expect(&result, 6, "reusectl: the broker hung up");
        cr_assert(zero(int, strncmp(result.out, "TIME ", 5)));
        close(control);
        harness_remove(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}

Test(reusectl_watch, goes_on_with_the_next_broker) {
        char line[512];
        int control;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        tool = tool_start("watch --plain --no-header --timeout 50");
        watch_rouse(control, &tool);
        close(control);
        harness_kill(&kit.harness);
        harness_restart(&kit.harness);
        watch_find(&tool, "\toverflow\t", line);
        control = harness_connect(&kit.harness);
        watch_rouse(control, &tool);
        watch_find(&tool, "\tacquired\t", line);
        cr_assert(zero(int, kill(tool.pid, SIGTERM)));
        tool_finish(&tool, &result);
        tool_expect(&result, 128 + SIGTERM, "reusectl: there is a broker again");
        close(control);
        kit_stop(&kit);
}
