/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The rows, for people or as Markdown, and what is missed in each. */

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/hostile-round.h"

typedef struct Table {
        bool markdown;
        bool judges_figures;
        Outcome *missed; /* rows in which something was */
        size_t n_missed;
} Table;

/* Prints the head. What is set above is set, the rest is zeroes. */
void table_begin(Table *table);
void table_deinit(Table *table);

/* A row that is to be judged. Returns 0 or -ENOMEM. */
int table_add(Table *table, const Outcome *outcome);

/* A row of what so many processes do to the honest client that leave the broker alone.
 * As table_add(). */
int table_add_load(Table *table, const Outcome *outcome);

/* Lists what was missed, with the first reason that the honest client was given. */
void table_end(const Table *table);
