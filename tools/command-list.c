/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who holds what: one row an endpoint, or with --members one row a lease.
 */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tools/cell.h"
#include "tools/command.h"
#include "tools/connection.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl list [OPTIONS] [ENDPOINT]\n"
        "\n"
        "Shows the endpoints that you may see, or the one with this name, id, or \"NETWORK ADDRESS\".\n"
        "\n"
        "Examples:\n"
        "  reusectl list\n"
        "  reusectl list --members web\n"
        "  reusectl list --plain --no-header | cut -f1\n"
        "\n"
        "Options:\n"
        "  -m, --members   One row a member and lease\n"
        "  and those of 'reusectl --help'\n";

static const TableColumn endpoint_columns[] = {
        { "ENDPOINT", 0 }, { "NETWORK", 0 },  { "ADDRESS", 0 },    { "SHARING", 0 },
        { "STATE", 0 },    { "MEMBERS", 0 },  { "LEASES", 0 },     { "QUEUE", 0 },
        { "HOLDERS", 0 },  { "STEERING", 0 }, { "CONTINUITY", 0 }, { "NAMESPACE", 0 },
};

static const TableColumn member_columns[] = {
        { "ENDPOINT", 0 }, { "ADDRESS", 0 },  { "MEMBER", 0 }, { "STATE", 0 },
        { "LEASE", 0 },    { "LIFETIME", 0 }, { "PID", 0 },    { "UID", 0 },
        { "COMMAND", 0 },  { "UNIT", 0 },     { "SINCE", 0 },  { "QUEUE", 0 },
        { "WEIGHT", 0 },   { "STALLED", 0 },  { "FLOWS", 0 },  { "NAMESPACE", 0 },
};

enum {
        N_ENDPOINT_COLUMNS = sizeof(endpoint_columns) / sizeof(*endpoint_columns),
        N_MEMBER_COLUMNS = sizeof(member_columns) / sizeof(*member_columns),
        /* More would push the rest off a terminal. --plain has them all. */
        N_HOLDERS_SHOWN = 3,
};

/* What a member is up to, in one word: a stalled one is live by its state, and takes no traffic. */
static const char *member_state(const json_t *member) {
        const char *state = json_string_value(json_object_get(member, "state"));

        if (state && strcmp(state, "live") == 0 && json_is_true(json_object_get(member, "stalled")))
                return "stalled";
        return state;
}

/* "live" if all members are that, else "live:3,draining:1". */
static void cell_add_states(Table *table, const json_t *members) {
        static const char *const states[] = { "live", "stalled", "standby", "draining", "parked" };
        size_t n_states = 0;
        size_t i, j, n;
        json_t *member;

        for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
                n = 0;
                json_array_foreach(members, j, member) {
                        const char *state = member_state(member);

                        n += state && strcmp(state, states[i]) == 0;
                }
                if (n == 0)
                        continue;

                if (n == json_array_size(members))
                        table_add(table, states[i]);
                else if (n_states == 0)
                        table_addf(table, "%s:%zu", states[i], n);
                else
                        table_extendf(table, ",%s:%zu", states[i], n);
                n_states++;
        }
        if (n_states == 0)
                table_add(table, NULL);
}

/* Sums up "LENGTH/LIMIT" over the members whose queue is known. */
static void cell_add_queue(Table *table, const json_t *members) {
        json_int_t length = 0, limit = 0;
        bool known = false;
        json_t *member;
        size_t i;

        json_array_foreach(members, i, member) {
                const json_t *value = json_object_get(member, "queueLength");

                if (!json_is_integer(value))
                        continue;
                known = true;
                length += json_integer_value(value);
                limit += json_integer_value(json_object_get(member, "queueLimit"));
        }

        if (known)
                table_addf(table, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT, length, limit);
        else
                table_add(table, NULL);
}

static size_t members_count_leases(const json_t *members) {
        json_t *member;
        size_t i, n = 0;

        json_array_foreach(members, i, member) {
                n += json_array_size(json_object_get(member, "leases"));
        }
        return n;
}

static void cell_add_holders(Table *table, const json_t *members, size_t n_max) {
        char text[CELL_HOLDER_MAX];
        json_t *member, *lease;
        size_t i, j, n = 0;

        json_array_foreach(members, i, member) {
                json_array_foreach(json_object_get(member, "leases"), j, lease) {
                        const char *holder = cell_format_holder(json_object_get(lease, "holder"), text);

                        if (n == 0)
                                table_add(table, holder);
                        else if (n < n_max)
                                table_extendf(table, ",%s", holder ? holder : "-");
                        n++;
                }
        }

        if (n == 0)
                table_add(table, NULL);
        else if (n > n_max)
                table_extendf(table, ",+%zu", n - n_max);
}

static void table_add_endpoint(Table *table, const json_t *endpoint, size_t n_holders) {
        const json_t *members = json_object_get(endpoint, "members");

        table_add(table, cell_endpoint(endpoint));
        cell_add_string(table, endpoint, "network");
        cell_add_string(table, endpoint, "address");
        cell_add_string(table, endpoint, "sharing");
        cell_add_states(table, members);
        table_addf(table, "%zu", json_array_size(members));
        table_addf(table, "%zu", members_count_leases(members));
        cell_add_queue(table, members);
        cell_add_holders(table, members, n_holders);
        cell_add_string(table, endpoint, "steering");
        cell_add_string(table, endpoint, "continuity");
        cell_add_string(table, endpoint, "networkNamespace");
}

/* @lease: NULL for a member that nobody holds. */
static void table_add_lease(Table *table, const json_t *endpoint, json_t *member, const json_t *lease) {
        const json_t *holder = json_object_get(lease, "holder");
        json_auto_t *alone = json_pack("[O]", member);

        table_add(table, cell_endpoint(endpoint));
        cell_add_string(table, endpoint, "address");
        cell_add_string(table, member, "member");
        cell_add_string(table, member, "state");
        cell_add_string(table, lease, "lease");
        cell_add_string(table, lease, "lifetime");
        cell_add_integer(table, holder, "pid");
        cell_add_integer(table, holder, "uid");
        cell_add_string(table, holder, "command");
        cell_add_string(table, holder, "unit");
        cell_add_time(table, holder, "sinceUsec");
        cell_add_queue(table, alone);
        cell_add_integer(table, member, "weight");
        cell_add_boolean(table, member, "stalled");
        cell_add_integer(table, member, "flows");
        cell_add_string(table, endpoint, "networkNamespace");
}

static void table_add_members(Table *table, const json_t *endpoint) {
        json_t *member, *lease;
        size_t i, j;

        json_array_foreach(json_object_get(endpoint, "members"), i, member) {
                const json_t *leases = json_object_get(member, "leases");

                json_array_foreach(leases, j, lease) {
                        table_add_lease(table, endpoint, member, lease);
                }
                if (json_array_size(leases) == 0)
                        table_add_lease(table, endpoint, member, NULL);
        }
}

static int list_print(const Settings *settings, const json_t *endpoints, bool by_member) {
        size_t n_holders = settings->output == OUTPUT_PLAIN ? SIZE_MAX : N_HOLDERS_SHOWN;
        json_t *endpoint;
        Table *table;
        size_t i;
        int r, status;

        r = by_member ? table_new(member_columns, N_MEMBER_COLUMNS, &table)
                      : table_new(endpoint_columns, N_ENDPOINT_COLUMNS, &table);
        if (r < 0)
                return report_failure(settings, r, NULL);

        json_array_foreach(endpoints, i, endpoint) {
                if (by_member)
                        table_add_members(table, endpoint);
                else
                        table_add_endpoint(table, endpoint, n_holders);
        }

        status = report_table(settings, table);
        table_free(table);
        return status;
}

static int list_execute(const Settings *settings, const char *endpoint, bool by_member) {
        json_auto_t *parameters = NULL;
        json_auto_t *reply = NULL;
        json_t *endpoints;
        int status;

        if (endpoint) {
                parameters = json_pack("{s:s}", "endpoint", endpoint);
                if (!parameters)
                        return report_usage("'%s' is not UTF-8, so no endpoint is called that",
                                            endpoint);
        }

        status = connection_call(settings, "List", parameters, &reply);
        if (status != REPORT_OK)
                return status;

        endpoints = json_object_get(reply, "endpoints");
        if (!json_is_array(endpoints))
                return report_problem(settings, -EPROTO, "the broker's answer has no list of endpoints");
        if (settings->output == OUTPUT_JSON)
                return report_json(settings, reply);
        return list_print(settings, endpoints, by_member);
}

int command_list(Settings *settings, int argc, char **argv) {
        static const struct option options[] = {
                { "members", no_argument, NULL, 'm' },
                SETTINGS_LONG,
        };
        bool by_member = false;
        int c, status;

        while ((c = getopt_long(argc, argv, "m" SETTINGS_SHORT, options, NULL)) != -1)
                if (c == 'm')
                        by_member = true;
                else if (!settings_option(settings, c, help, &status))
                        return status;

        if (argc - optind > 1)
                return report_usage("unexpected word '%s': list takes one endpoint or none",
                                    argv[optind + 1]);
        return list_execute(settings, argv[optind], by_member);
}
