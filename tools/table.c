/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cells come from strangers: the name of a command or the path of a socket is what somebody else chose.
 * They are made harmless when they are added, so nothing that is printed can drive the terminal or break
 * a line in two.
 */

#include "tools/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
        COLUMN_GAP = 2,
};

struct Table {
        const TableColumn *columns;
        size_t n_columns;
        char **cells;
        size_t n_cells;
        size_t n_allocated;
        int error;
};

int table_new(const TableColumn *columns, size_t n_columns, Table **ret) {
        Table *table;

        table = calloc(1, sizeof(*table));
        if (!table)
                return -ENOMEM;

        table->columns = columns;
        table->n_columns = n_columns;
        *ret = table;
        return 0;
}

Table *table_free(Table *table) {
        if (!table)
                return NULL;

        table_clear(table);
        free(table->cells);
        free(table);
        return NULL;
}

void table_clear(Table *table) {
        while (table->n_cells > 0)
                free(table->cells[--table->n_cells]);
        table->error = 0;
}

/* The control characters of ASCII and, as they are written in UTF-8, those from U+0080 to U+009F. */
void table_clean(char *text) {
        unsigned char *p;

        for (p = (unsigned char *)text; *p; p++) {
                if (*p < 0x20 || *p == 0x7f)
                        *p = '?';
                else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
                        *p = p[1] = '?';
        }
}

/* Characters rather than bytes: the bytes that continue a UTF-8 character take no room. */
static size_t cell_width(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                if (((unsigned char)*text & 0xc0) != 0x80)
                        n++;
        return n;
}

/* Consumes @text, which may be NULL for want of memory. */
static void table_append(Table *table, char *text) {
        char **cells;

        if (!text)
                goto fail;

        if (table->n_cells == table->n_allocated) {
                size_t n = table->n_allocated ? table->n_allocated * 2 : 64;

                cells = reallocarray(table->cells, n, sizeof(*cells));
                if (!cells)
                        goto fail;
                table->cells = cells;
                table->n_allocated = n;
        }

        table_clean(text);
        table->cells[table->n_cells++] = text;
        return;

fail:
        free(text);
        table->error = -ENOMEM;
}

void table_add(Table *table, const char *text) {
        table_append(table, strdup(text && *text ? text : "-"));
}

void table_addf(Table *table, const char *format, ...) {
        char *text;
        va_list args;
        int n;

        va_start(args, format);
        n = vasprintf(&text, format, args);
        va_end(args);
        table_append(table, n < 0 ? NULL : text);
}

void table_extendf(Table *table, const char *format, ...) {
        char *more, *text;
        va_list args;
        int n;

        /* The last cell may be the one that is missing. */
        if (table->error < 0)
                return;

        va_start(args, format);
        n = vasprintf(&more, format, args);
        va_end(args);
        if (n < 0)
                more = NULL;
        if (!more || asprintf(&text, "%s%s", table->cells[table->n_cells - 1], more) < 0)
                text = NULL;
        free(more);

        free(table->cells[--table->n_cells]);
        table_append(table, text);
}

static size_t column_width(const Table *table, size_t column, unsigned int flags) {
        size_t width = table->columns[column].width;
        size_t i, n;

        if (flags & TABLE_HEADER) {
                n = cell_width(table->columns[column].title);
                if (n > width)
                        width = n;
        }
        for (i = column; i < table->n_cells; i += table->n_columns) {
                n = cell_width(table->cells[i]);
                if (n > width)
                        width = n;
        }
        return width;
}

/* The last cell of a line is not padded: no line ends in blanks. */
static void cell_print(const Table *table, FILE *file, unsigned int flags, const size_t *widths,
                       size_t column, const char *text) {
        size_t padding;

        fputs(text, file);
        if (column + 1 == table->n_columns) {
                fputc('\n', file);
        } else if (flags & TABLE_PLAIN) {
                fputc('\t', file);
        } else {
                padding = widths[column] - cell_width(text) + COLUMN_GAP;
                fprintf(file, "%*s", (int)padding, "");
        }
}

int table_print(const Table *table, FILE *file, unsigned int flags) {
        size_t *widths;
        size_t i;

        if (table->error < 0)
                return table->error;

        widths = calloc(table->n_columns, sizeof(*widths));
        if (!widths)
                return -ENOMEM;
        for (i = 0; i < table->n_columns; i++)
                widths[i] = column_width(table, i, flags);

        if (flags & TABLE_HEADER)
                for (i = 0; i < table->n_columns; i++)
                        cell_print(table, file, flags, widths, i, table->columns[i].title);
        for (i = 0; i < table->n_cells; i++)
                cell_print(table, file, flags, widths, i % table->n_columns, table->cells[i]);

        free(widths);
        return 0;
}
