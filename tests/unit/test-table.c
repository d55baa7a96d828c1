/* SPDX-License-Identifier: BSD-2-Clause */

/* Tables: what strangers put in a cell does no harm, and columns line up. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "tools/table.h"

TestSuite(table, .timeout = 10);

static const TableColumn columns[] = { { "NAME", 0 }, { "N", 0 }, { "WHO", 0 } };

enum {
        N_COLUMNS = 3,
};

static Table *table_open(void) {
        Table *table = NULL;

        cr_assert(eq(int, table_new(columns, N_COLUMNS, &table), 0));
        return table;
}

/* Consumes @table. */
static void expect_text(Table *table, unsigned int flags, const char *expected) {
        char *text = NULL;
        size_t size;
        FILE *file;

        file = open_memstream(&text, &size);
        cr_assert(ne(ptr, file, NULL));
        cr_assert(eq(int, table_print(table, file, flags), 0));
        cr_assert(eq(int, fclose(file), 0));
        cr_assert(eq(str, text, (char *)expected));

        free(text);
        table_free(table);
}

/* Fills one row with @text in the middle. */
static void expect_cell(const char *text, const char *expected) {
        Table *table = table_open();

        table_add(table, "a");
        table_add(table, text);
        table_add(table, "b");
        expect_text(table, TABLE_PLAIN, expected);
}

Test(table, absent_text_is_a_dash) {
        expect_cell(NULL, "a\t-\tb\n");
        expect_cell("", "a\t-\tb\n");
}

Test(table, separators_in_a_cell_do_not_separate) {
        expect_cell("x\ty", "a\tx?y\tb\n");
        expect_cell("x\ny\r\n", "a\tx?y??\tb\n");
}

Test(table, escape_sequences_do_not_reach_the_terminal) {
        expect_cell("\033]0;title\007", "a\t?]0;title?\tb\n");
        expect_cell("x\177", "a\tx?\tb\n");
}

Test(table, eight_bit_controls_do_not_reach_the_terminal) {
        /* U+009B, which begins a sequence as ESC [ does. */
        expect_cell("\302\233"
                    "31m",
                    "a\t??31m\tb\n");
}

Test(table, truncated_character_does_not_read_past_the_end) {
        expect_cell("x\302", "a\tx\302\tb\n");
}

Test(table, other_letters_are_left_alone) {
        expect_cell("\303\274ber \302\251", "a\t\303\274ber \302\251\tb\n");
}

Test(table, extended_text_is_cleaned_too) {
        Table *table = table_open();

        table_add(table, "a");
        table_add(table, "x");
        table_extendf(table, ",%s", "\033[2J");
        table_add(table, "b");
        expect_text(table, TABLE_PLAIN, "a\tx,?[2J\tb\n");
}

Test(table, empty_prints_nothing) {
        expect_text(table_open(), 0, "");
        expect_text(table_open(), TABLE_PLAIN, "");
}

Test(table, empty_still_has_titles) {
        expect_text(table_open(), TABLE_HEADER, "NAME  N  WHO\n");
        expect_text(table_open(), TABLE_HEADER | TABLE_PLAIN, "NAME\tN\tWHO\n");
}

Test(table, columns_line_up_without_blanks_at_the_end) {
        Table *table = table_open();

        table_add(table, "a");
        table_addf(table, "%d", 12345);
        table_add(table, "x");
        table_add(table, "longer");
        table_addf(table, "%d", 1);
        table_add(table, "y");
        expect_text(table, TABLE_HEADER,
                    "NAME    N      WHO\n"
                    "a       12345  x\n"
                    "longer  1      y\n");
}

Test(table, titles_that_are_not_shown_take_no_room) {
        Table *table = table_open();

        table_add(table, "a");
        table_add(table, "b");
        table_add(table, "c");
        expect_text(table, 0, "a  b  c\n");
}

Test(table, characters_count_rather_than_bytes) {
        Table *table = table_open();

        table_add(table, "\303\274\303\274");
        table_add(table, "1");
        table_add(table, "x");
        table_add(table, "abcd");
        table_add(table, "2");
        table_add(table, "y");
        expect_text(table, 0,
                    "\303\274\303\274    1  x\n"
                    "abcd  2  y\n");
}

Test(table, least_width_holds_and_is_exceeded_by_need) {
        static const TableColumn wide[] = { { "A", 4 }, { "B", 0 } };
        Table *table = NULL;

        cr_assert(eq(int, table_new(wide, 2, &table), 0));
        table_add(table, "x");
        table_add(table, "1");
        table_add(table, "longer");
        table_add(table, "2");
        expect_text(table, 0, "x       1\nlonger  2\n");

        cr_assert(eq(int, table_new(wide, 2, &table), 0));
        table_add(table, "x");
        table_add(table, "1");
        expect_text(table, 0, "x     1\n");
}

Test(table, cleared_starts_anew) {
        Table *table = table_open();

        table_add(table, "left over");
        table_clear(table);
        table_add(table, "a");
        table_add(table, "b");
        table_add(table, "c");
        expect_text(table, TABLE_PLAIN, "a\tb\tc\n");
}

Test(table, many_rows) {
        Table *table = table_open();
        char *text = NULL;
        size_t size, i, n_lines = 0;
        FILE *file;

        for (i = 0; i < 1000; i++) {
                table_addf(table, "%zu", i);
                table_add(table, "x");
                table_add(table, "y");
        }

        file = open_memstream(&text, &size);
        cr_assert(ne(ptr, file, NULL));
        cr_assert(eq(int, table_print(table, file, TABLE_PLAIN), 0));
        fclose(file);
        for (i = 0; i < size; i++)
                n_lines += text[i] == '\n';
        cr_assert(eq(sz, n_lines, 1000));
        cr_assert(eq(int, strncmp(text + size - strlen("999\tx\ty\n"), "999\tx\ty\n", 8), 0));

        free(text);
        table_free(table);
}

Test(table, free_takes_null) {
        cr_assert(eq(ptr, table_free(NULL), NULL));
}
