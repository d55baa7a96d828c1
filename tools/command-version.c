/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The versions of all that takes part. A broker that cannot be reached is an answer here, not a failure.
 */

#include <errno.h>
#include <stdlib.h>

#include "build-config.h"
#include "client-lib/reuse-client.h"
#include "tools/command.h"
#include "tools/report.h"

static const char help[] = "Usage: reusectl version [OPTIONS]\n"
                           "\n"
                           "Shows the versions of this tool, of the client library, and of the broker "
                           "if it can be reached.\n"
                           "\n"
                           "Examples:\n"
                           "  reusectl version\n"
                           "  reusectl version --json | jq -r .broker\n"
                           "\n"
                           "Options: those of 'reusectl --help'.\n";

static const TableColumn columns[] = { { "PART", 0 }, { "VERSION", 0 } };

/* The reply to GetInfo, the caller's, or NULL with *ret_error, the caller's too, unless memory
 * is short. */
static json_t *broker_get_info(const Settings *settings, reuse_error **ret_error) {
        reuse_client *client;
        char *text = NULL;
        json_t *info;
        int r;

        r = reuse_client_connect(settings->socket, &client, ret_error);
        if (r < 0)
                return NULL;

        reuse_client_set_timeout(client, settings->timeout_usec);
        r = reuse_client_call(client, "org.varlink.service.GetInfo", NULL, &text, ret_error);
        reuse_client_free(client);
        if (r < 0)
                return NULL;

        info = json_loads(text, 0, NULL);
        free(text);
        return info;
}

static int version_print_json(const Settings *settings, const char *broker) {
        json_auto_t *object = json_pack("{s:s, s:s, s:s?}", "reusectl", PROJECT_VERSION, "library",
                                        reuse_version(), "broker", broker);

        return object ? report_json(settings, object) : report_failure(settings, -ENOMEM, NULL);
}

static int version_print(Settings *settings, const char *broker) {
        Table *table;
        int r, status;

        if (settings->output == OUTPUT_JSON)
                return version_print_json(settings, broker);

        r = table_new(columns, sizeof(columns) / sizeof(*columns), &table);
        if (r < 0)
                return report_failure(settings, r, NULL);

        table_add(table, "reusectl");
        table_add(table, PROJECT_VERSION);
        table_add(table, "library");
        table_add(table, reuse_version());
        table_add(table, "broker");
        table_add(table, broker);

        settings->header = false;
        status = report_table(settings, table);
        table_free(table);
        return status;
}

int command_version(Settings *settings, int argc, char **argv) {
        reuse_error *error = NULL;
        json_t *info;
        int status;

        if (!settings_parse(settings, argc, argv, help, &status))
                return status;

        info = broker_get_info(settings, &error);
        status = version_print(settings, json_string_value(json_object_get(info, "version")));
        if (error)
                report_say(settings, "%s", reuse_error_get_message(error));

        reuse_error_free(error);
        json_decref(info);
        return status;
}
