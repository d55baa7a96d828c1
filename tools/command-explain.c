/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Why somebody may have a socket, or may not. Who it is, is looked up here: the broker knows those who
 * are connected, and no accounts.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/reuse-client.h"
#include "tools/cell.h"
#include "tools/command.h"
#include "tools/connection.h"
#include "tools/report.h"
#include "tools/user.h"

static const char help[] =
        "Usage: reusectl explain [--as USER] [OPTIONS] SPEC\n"
        "\n"
        "Shows what the broker's rules say of a socket, without making it: which rule decides, where "
        "it\n"
        "stands, and what keeps the nearer ones from it. SPEC is that of 'reusectl run -l'.\n"
        "\n"
        "Examples:\n"
        "  reusectl explain tcp::443\n"
        "  sudo reusectl explain --as www-data tcp:127.0.0.1:80,mark=7\n"
        "  reusectl explain tcp::443 --json | jq -r .reason\n"
        "\n"
        "Options:\n"
        "  --as USER   For this user, a name or a number, with the groups that it has. Only root and\n"
        "              the broker's own user may ask that. Of somebody who is not connected neither\n"
        "              the unit nor the security label is known\n"
        "  and those of 'reusectl --help'\n"
        "\n"
        "Exit status: 0 if it is allowed, 4 if not.\n";

enum {
        OPTION_AS = SETTINGS_OPTION_OWN,
};

typedef struct ExplainOptions {
        const char *as; /* NULL: for whoever asks */
        const char *spec;
        User user;
        reuse_request *request;
} ExplainOptions;

static const TableColumn columns[] = { { "KEY", 0 }, { "VALUE", 0 } };

static void table_add_key(Table *table, const Settings *settings, const char *key) {
        table_addf(table, "%s%s", key, settings->output == OUTPUT_PLAIN ? "" : ":");
}

static void explain_fill(const Settings *settings, const ExplainOptions *explain, const json_t *reply,
                         Table *table) {
        const User *user = &explain->user;

        table_add_key(table, settings,
                      json_is_true(json_object_get(reply, "allowed")) ? "allowed" : "denied");
        if (user->name)
                table_addf(table, "user %s (uid %u): %s", user->name, user->uid, explain->spec);
        else
                table_addf(table, "uid %u: %s", user->uid, explain->spec);
        table_add_key(table, settings, "rule");
        cell_add_string(table, reply, "rule");
        table_add_key(table, settings, "file");
        cell_add_string(table, reply, "file");
        if (json_is_integer(json_object_get(reply, "line")))
                table_extendf(table, ":%" JSON_INTEGER_FORMAT,
                              json_integer_value(json_object_get(reply, "line")));
        table_add_key(table, settings, "tenant");
        cell_add_string(table, reply, "tenant");
        table_add_key(table, settings, "reason");
        cell_add_string(table, reply, "reason");
}

static int explain_print(Settings *settings, const ExplainOptions *explain, const json_t *reply) {
        Table *table;
        int r, status;

        if (settings->output == OUTPUT_JSON)
                return report_json(settings, reply);

        r = table_new(columns, sizeof(columns) / sizeof(*columns), &table);
        if (r < 0)
                return report_failure(settings, r, NULL);

        explain_fill(settings, explain, reply, table);
        settings->header = false;
        status = report_table(settings, table);
        table_free(table);
        return status;
}

static int explain_execute(Settings *settings, const ExplainOptions *explain) {
        const User *of = explain->as ? &explain->user : &(User){ .uid = (uid_t)-1 };
        reuse_client *client;
        reuse_error *error = NULL;
        json_auto_t *reply = NULL;
        char *text = NULL;
        int allowed, status;

        status = connection_open(settings, &client);
        if (status != REPORT_OK)
                return status;

        allowed = reuse_client_explain(client, explain->request, of->uid, of->gids, of->n_gids, &text,
                                       &error);
        reuse_client_free(client);
        if (allowed < 0)
                return report_failure(settings, allowed, error);

        reply = json_loads(text, 0, NULL);
        free(text);
        if (!reply)
                return report_failure(settings, -ENOMEM, NULL);
        status = explain_print(settings, explain, reply);
        return status == REPORT_OK && !allowed ? REPORT_DENIED : status;
}

/* Who it is about, and what is asked for. */
static int explain_prepare(const Settings *settings, ExplainOptions *explain) {
        reuse_error *error = NULL;
        char uid[16];
        int r, status;

        snprintf(uid, sizeof(uid), "%u", geteuid());
        r = user_init(explain->as ? explain->as : uid, &explain->user);
        if (r == -ESRCH)
                return report_usage("--as %s: there is no such user; give a name or a number",
                                    explain->as);
        if (r >= 0)
                r = reuse_request_new(&explain->request);
        if (r < 0)
                return report_failure(settings, r, NULL);

        r = reuse_request_add_spec(explain->request, explain->spec, &error);
        if (r >= 0) {
                r = reuse_request_resolve(explain->request, &error);
                return r < 0 ? report_failure(settings, r, error) : REPORT_OK;
        }
        status = error ? report_usage("%s", reuse_error_get_message(error))
                       : report_failure(settings, r, NULL);
        reuse_error_free(error);
        return status;
}

int command_explain(Settings *settings, int argc, char **argv) {
        static const struct option options[] = {
                { "as", required_argument, NULL, OPTION_AS },
                SETTINGS_LONG,
        };
        ExplainOptions explain = { 0 };
        int c, status;

        while ((c = getopt_long(argc, argv, SETTINGS_SHORT, options, NULL)) != -1)
                if (c == OPTION_AS)
                        explain.as = optarg;
                else if (!settings_option(settings, c, help, &status))
                        return status;

        if (optind == argc)
                return report_usage("explain: no socket given");
        if (optind + 1 < argc)
                return report_usage("unexpected word '%s'", argv[optind + 1]);

        explain.spec = argv[optind];
        status = explain_prepare(settings, &explain);
        if (status == REPORT_OK)
                status = explain_execute(settings, &explain);
        reuse_request_free(explain.request);
        user_deinit(&explain.user);
        return status;
}
