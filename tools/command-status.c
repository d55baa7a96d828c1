/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How the broker does: one line a value, those that are lists in one line, warnings one a line.
 */

#include "tools/cell.h"
#include "tools/command.h"
#include "tools/connection.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl status [OPTIONS]\n"
        "\n"
        "Shows the broker's version, since when it runs, how much it holds, what it can do on this\n"
        "machine, and what it warns of.\n"
        "\n"
        "Examples:\n"
        "  reusectl status\n"
        "  reusectl status --json | jq .warnings\n"
        "\n"
        "Options: those of 'reusectl --help'.\n";

static const TableColumn columns[] = { { "KEY", 0 }, { "VALUE", 0 } };

static void table_add_key(Table *table, const Settings *settings, const char *key) {
        table_addf(table, "%s%s", key, settings->output == OUTPUT_PLAIN ? "" : ":");
}

static void cell_add_words(Table *table, const json_t *words) {
        json_t *word;
        size_t i;

        if (json_array_size(words) == 0)
                table_add(table, NULL);
        json_array_foreach(words, i, word) {
                const char *text = json_is_string(word) ? json_string_value(word) : "-";

                if (i == 0)
                        table_add(table, text);
                else
                        table_extendf(table, " %s", text);
        }
}

static void status_fill(const Settings *settings, const json_t *reply, Table *table) {
        static const char *const counts[] = { "connections", "endpoints", "leases" };
        /* Of an earlier broker, and for a later one. */
        static const char *const kept[] = { "recovered", "lost", "foreign", "kept", "notKept" };
        json_t *warning;
        size_t i;

        table_add_key(table, settings, "version");
        cell_add_string(table, reply, "version");
        table_add_key(table, settings, "started");
        cell_add_time(table, reply, "startedUsec");
        for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
                table_add_key(table, settings, counts[i]);
                cell_add_integer(table, reply, counts[i]);
        }
        for (i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
                if (!json_is_integer(json_object_get(reply, kept[i])))
                        continue;
                table_add_key(table, settings, kept[i]);
                cell_add_integer(table, reply, kept[i]);
        }
        table_add_key(table, settings, "capabilities");
        cell_add_words(table, json_object_get(reply, "capabilities"));
        json_array_foreach(json_object_get(reply, "warnings"), i, warning) {
                table_add_key(table, settings, "warning");
                table_add(table, json_string_value(warning));
        }
}

int command_status(Settings *settings, int argc, char **argv) {
        json_auto_t *reply = NULL;
        Table *table;
        int r, status;

        if (!settings_parse(settings, argc, argv, help, &status))
                return status;

        status = connection_call(settings, "GetStatus", NULL, &reply);
        if (status != REPORT_OK)
                return status;
        if (settings->output == OUTPUT_JSON)
                return report_json(settings, reply);

        r = table_new(columns, sizeof(columns) / sizeof(*columns), &table);
        if (r < 0)
                return report_failure(settings, r, NULL);

        status_fill(settings, reply, table);
        settings->header = false;
        status = report_table(settings, table);
        table_free(table);
        return status;
}
