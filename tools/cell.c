/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Replies are read leniently: a later broker may leave out what it does not know, and a table with a gap
 * tells more than no table. What a command cannot do without, it checks itself.
 */

#include "tools/cell.h"

#include <stdio.h>
#include <time.h>

void cell_add_string(Table *table, const json_t *object, const char *key) {
        table_add(table, json_string_value(json_object_get(object, key)));
}

void cell_add_integer(Table *table, const json_t *object, const char *key) {
        const json_t *value = json_object_get(object, key);

        if (json_is_integer(value))
                table_addf(table, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else
                table_add(table, NULL);
}

void cell_add_boolean(Table *table, const json_t *object, const char *key) {
        const json_t *value = json_object_get(object, key);

        table_add(table, json_is_boolean(value) ? (json_is_true(value) ? "yes" : "no") : NULL);
}

void cell_add_time(Table *table, const json_t *object, const char *key) {
        const json_t *value = json_object_get(object, key);
        char text[64];
        struct tm tm;
        time_t time;

        time = (time_t)(json_integer_value(value) / 1000000);
        if (json_is_integer(value) && localtime_r(&time, &tm) &&
            strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) > 0)
                table_addf(table, "%s.%03d", text, (int)(json_integer_value(value) / 1000 % 1000));
        else
                table_add(table, NULL);
}

const char *cell_format_holder(const json_t *holder, char buffer[static CELL_HOLDER_MAX]) {
        const char *command = json_string_value(json_object_get(holder, "command"));

        if (!json_is_object(holder))
                return NULL;

        snprintf(buffer, CELL_HOLDER_MAX, "%" JSON_INTEGER_FORMAT "/%s:%" JSON_INTEGER_FORMAT,
                 json_integer_value(json_object_get(holder, "pid")), command ? command : "?",
                 json_integer_value(json_object_get(holder, "uid")));
        return buffer;
}

const char *cell_endpoint(const json_t *endpoint) {
        const char *name = json_string_value(json_object_get(endpoint, "name"));

        return name ? name : json_string_value(json_object_get(endpoint, "endpoint"));
}
