/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Aligned columns for a terminal, or one record a line, tab separated.
 */

#include <stddef.h>
#include <stdio.h>

typedef struct Table Table;

typedef struct TableColumn {
        const char *title;
        /* At least so wide. 0: as wide as its widest cell. */
        size_t width;
} TableColumn;

/* For table_print(): tab separated rather than aligned; the titles first. */
#define TABLE_PLAIN 1U
#define TABLE_HEADER 2U

/* Replaces what would move the terminal's cursor or change its state by "?". */
void table_clean(char *text);

/* An empty table, the caller's. Borrows @columns, which must live as long. Returns 0 or -ENOMEM. */
int table_new(const TableColumn *columns, size_t n_columns, Table **ret);
Table *table_free(Table *table);

/*
 * Adds the next cell, left to right, row by row. NULL and "" become "-", the rest goes
 * through table_clean(). A cell for which there was no memory is told by table_print().
 */
void table_add(Table *table, const char *text);
void table_addf(Table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds more text to the cell added last. */
void table_extendf(Table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the rows; the columns stay. */
void table_clear(Table *table);

/* Prints all the rows. @flags: TABLE_*. Returns 0, or -ENOMEM if a cell is missing. Whether @file took
 * it all, ferror() tells. */
int table_print(const Table *table, FILE *file, unsigned int flags);
