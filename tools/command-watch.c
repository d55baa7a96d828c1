/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One line for each event, as it happens, until somebody has seen enough.
 */

#include <errno.h>
#include <stdio.h>

#include "client-lib/reuse-client.h"
#include "tools/cell.h"
#include "tools/command.h"
#include "tools/connection.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl watch [OPTIONS]\n"
        "\n"
        "Prints what happens to the endpoints that you may see, until interrupted.\n"
        "\n"
        "Examples:\n"
        "  reusectl watch\n"
        "  reusectl watch --json | jq -r 'select(.what == \"denied\").reason'\n"
        "\n"
        "Options: those of 'reusectl --help'. --json prints one object a line.\n"
        "An event \"overflow\" says that some were lost: list again. When the broker\n"
        "goes away, the next one is waited for as long as --timeout says.\n";

/* Wide enough for most, so that lines which come one at a time still line up. */
static const TableColumn columns[] = {
        { "TIME", 23 },  { "WHAT", 9 },    { "ENDPOINT", 14 }, { "MEMBER", 12 },
        { "LEASE", 12 }, { "HOLDER", 20 }, { "REASON", 0 },
};

enum {
        N_COLUMNS = sizeof(columns) / sizeof(*columns),
};

typedef struct Watch {
        Settings settings;
        Table *table;
        /* Set when the watch is over, with the exit status. */
        bool done;
        int status;
} Watch;

static int event_print(Watch *watch, const json_t *event) {
        char holder[CELL_HOLDER_MAX];
        int status = REPORT_OK;

        if (watch->settings.output == OUTPUT_JSON) {
                json_dumpf(event, stdout, JSON_COMPACT);
                putchar('\n');
        } else {
                table_clear(watch->table);
                cell_add_time(watch->table, event, "timeUsec");
                cell_add_string(watch->table, event, "what");
                cell_add_string(watch->table, event, "endpoint");
                cell_add_string(watch->table, event, "member");
                cell_add_string(watch->table, event, "lease");
                table_add(watch->table, cell_format_holder(json_object_get(event, "holder"), holder));
                cell_add_string(watch->table, event, "reason");
                status = report_table(&watch->settings, watch->table);
                watch->settings.header = false;
        }

        /* At once: who reads a pipe waits for this event, not for a full buffer. */
        return report_flush(&watch->settings, status);
}

static int watch_handle(reuse_client *client, reuse_reply *reply, void *userdata) {
        const reuse_error *error = reuse_reply_get_error(reply);
        Watch *watch = userdata;
        json_auto_t *parameters = NULL;
        json_t *event;

        if (error) {
                watch->status = report_error(&watch->settings, reuse_error_get_errno(error), error);
                watch->done = true;
                return 0;
        }

        parameters = json_loads(reuse_reply_get_parameters(reply), 0, NULL);
        event = json_object_get(parameters, "event");
        watch->status = event ? event_print(watch, event)
                              : report_problem(&watch->settings, -EPROTO, "the broker sent no event");
        watch->done = watch->status != REPORT_OK;

        if (!watch->done && !reuse_reply_get_continues(reply)) {
                watch->status =
                        report_problem(&watch->settings, -ECONNRESET, "the broker ended the watch");
                watch->done = true;
        }
        return 0;
}

static int watch_note(reuse_client *client, reuse_notice *notice, void *userdata) {
        const Watch *watch = userdata;

        (void)client;
        switch (reuse_notice_get_what(notice)) {
        case REUSE_NOTICE_LOST:
                report_say(&watch->settings, "the broker hung up: waiting for the next one");
                break;
        case REUSE_NOTICE_BACK:
                report_say(&watch->settings, "there is a broker again");
                break;
        }
        return 0;
}

/* The broker answers Watch with the first event, whenever that is. Something it answers at once shows
 * that it is there, within the time that --timeout gives it. */
static int watch_start(Watch *watch, reuse_client *client) {
        reuse_error *error = NULL;
        int r;

        r = reuse_client_call(client, "org.varlink.service.GetInfo", NULL, NULL, &error);
        if (r < 0)
                return report_failure(&watch->settings, r, error);

        reuse_client_set_timeout(client, REUSE_TIMEOUT_INFINITE);
        reuse_client_set_reconnect(client, watch->settings.timeout_usec);
        reuse_client_set_notice_handler(client, watch_note, watch);
        r = reuse_client_call_async(client, "Watch", NULL, REUSE_CALL_MORE, watch_handle, watch);
        return r < 0 ? report_failure(&watch->settings, r, NULL) : REPORT_OK;
}

static int watch_run(Watch *watch, reuse_client *client) {
        int r;

        r = watch_start(watch, client);
        if (r != REPORT_OK)
                return r;

        while (!watch->done) {
                r = reuse_client_process(client);
                if (r == 0)
                        r = reuse_client_wait(client, REUSE_TIMEOUT_INFINITE);
                if (r < 0 && r != -EINTR && !watch->done)
                        return report_failure(&watch->settings, r, NULL);
        }
        return watch->status;
}

int command_watch(Settings *settings, int argc, char **argv) {
        Watch watch = {};
        reuse_client *client;
        int r, status;

        if (!settings_parse(settings, argc, argv, help, &status))
                return status;

        watch.settings = *settings;
        status = connection_open(settings, &client);
        if (status != REPORT_OK)
                return status;

        r = table_new(columns, N_COLUMNS, &watch.table);
        status = r < 0 ? report_failure(settings, r, NULL) : watch_run(&watch, client);

        table_free(watch.table);
        reuse_client_free(client);
        return status;
}
