/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Values of a reply as the cells of a table. A field that is absent or null becomes "-".
 */

#include <jansson.h>

#include "tools/table.h"

enum {
        CELL_HOLDER_MAX = 256,
};

/* Adds the text, the number, or "yes" or "no", that @object has for @key. */
void cell_add_string(Table *table, const json_t *object, const char *key);
void cell_add_integer(Table *table, const json_t *object, const char *key);
void cell_add_boolean(Table *table, const json_t *object, const char *key);

/* Adds the local time of @object's @key, which is in microseconds since 1970. */
void cell_add_time(Table *table, const json_t *object, const char *key);

/* Writes a Holder as "PID/COMMAND:UID". Returns @buffer, or NULL if @holder is NULL or null. */
const char *cell_format_holder(const json_t *holder, char buffer[static CELL_HOLDER_MAX]);

/* The name that people gave to @endpoint, or the id that the broker gave it. NULL if it has neither. */
const char *cell_endpoint(const json_t *endpoint);
