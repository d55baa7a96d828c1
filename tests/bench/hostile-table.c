/* SPDX-License-Identifier: BSD-2-Clause */

/* A row is printed as soon as it is known. What is missed is said in it, and once more at the end. */

#include "tests/bench/hostile-table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/error.h"
#include "tests/bench/user.h"

enum {
        TABLE_CELL_MAX = 160,
        TABLE_P99_USEC = 10 * 1000,
        /* What the allocator may keep for the next time. A leak is more the longer the attack takes. */
        TABLE_MEMORY_MAX = 32 * 1024 * 1024,
};

typedef enum Column {
        COLUMN_NAME,
        COLUMN_PROCESSES,
        COLUMN_BLOWS,
        COLUMN_BUSY,
        COLUMN_WAITING,
        COLUMN_SERVED,
        COLUMN_ERRORS,
        COLUMN_NEWCOMER,
        COLUMN_KEPT,
        COLUMN_AWAITED,
        COLUMN_FDS,
        COLUMN_MEMORY,
        COLUMN_LOG,
        COLUMN_CLEAN,
        COLUMN_VERDICT,
        _COLUMN_N,
} Column;

static const struct {
        const char *title;
        int width;
} columns[_COLUMN_N] = {
        [COLUMN_NAME] = { "attack", -43 },
        [COLUMN_PROCESSES] = { "processes", 9 },
        [COLUMN_BLOWS] = { "blows/s", 9 },
        [COLUMN_BUSY] = { "broker CPU", 10 },
        [COLUMN_WAITING] = { "it waits for a CPU", 18 },
        [COLUMN_SERVED] = { "served", 6 },
        [COLUMN_ERRORS] = { "errors", 6 },
        [COLUMN_NEWCOMER] = { "newcomer p50 / p99 / max, ms", 28 },
        [COLUMN_KEPT] = { "kept p50 / p99 / max, ms", 24 },
        [COLUMN_AWAITED] = { "p99 but for the client's own wait for a CPU, ms", 47 },
        [COLUMN_FDS] = { "descriptors, at most", 20 },
        [COLUMN_MEMORY] = { "memory before / at most / after, MiB", 36 },
        [COLUMN_LOG] = { "log lines", 9 },
        [COLUMN_CLEAN] = { "clean after, s", 14 },
        [COLUMN_VERDICT] = { "missed", -1 },
};

typedef char Cells[_COLUMN_N][TABLE_CELL_MAX];

static void table_print(const Table *table, Cells cells) {
        for (int i = 0; i < _COLUMN_N; i++)
                if (table->markdown)
                        printf("| %s ", cells[i]);
                else
                        printf("%*s  ", columns[i].width, cells[i]);
        puts(table->markdown ? "|" : "");
        fflush(stdout);
}

void table_begin(Table *table) {
        Cells cells;

        for (int i = 0; i < _COLUMN_N; i++)
                snprintf(cells[i], sizeof(cells[i]), "%s", columns[i].title);
        table_print(table, cells);
        if (!table->markdown)
                return;
        for (int i = 0; i < _COLUMN_N; i++)
                printf("| --- ");
        puts("|");
}

void table_deinit(Table *table) {
        free(table->missed);
        *table = (Table){ 0 };
}

/* ---- what is missed ------------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static void verdict_add(char *verdict, bool missed,
                                                              const char *format, ...) {
        size_t used = strlen(verdict);
        va_list arguments;

        if (!missed)
                return;
        if (used > 0)
                used += (size_t)snprintf(verdict + used, TABLE_CELL_MAX - used, "; ");
        va_start(arguments, format);
        vsnprintf(verdict + used, TABLE_CELL_MAX - used, format, arguments);
        va_end(arguments);
}

static void verdict_add_left(char *verdict, const char *what, size_t before, size_t after) {
        verdict_add(verdict, after > before, "%zu %s left behind", after - before, what);
}

/* Of sockets so many may stay. */
static void verdict_add_kept(char *verdict, const char *what, size_t before, size_t after,
                             size_t may_stay) {
        if (after > before + may_stay)
                verdict_add_left(verdict, what, before, after);
}

static double larger(double a, double b) {
        return a > b ? a : b;
}

/* Of the time that is not the client's own wait for a CPU: that is the scheduler's. */
static double outcome_p99(const Outcome *outcome) {
        return larger(outcome->awaited_p99_usec[HONEST_NEWCOMER],
                      outcome->awaited_p99_usec[HONEST_KEPT]);
}

/* Leaves @verdict empty if nothing was. */
static void verdict_find(const Table *table, const Outcome *outcome,
                         char verdict[static TABLE_CELL_MAX]) {
        const Reading *before = &outcome->before, *after = &outcome->after;

        verdict[0] = '\0';
        verdict_add(verdict, outcome->died, "the broker died");
        /* A broker that may not steer has no program to be taken off. */
        verdict_add(verdict, outcome->blows <= 0 && user_may_choose(), "nothing was done to the broker");
        verdict_add(verdict, outcome->errors > 0, "errors");
        verdict_add(verdict, outcome->served == 0, "nobody was served");
        verdict_add(verdict, table->judges_figures && outcome_p99(outcome) >= TABLE_P99_USEC, "p99");
        if (outcome->died)
                return;
        verdict_add_kept(verdict, "descriptors", before->fds, after->fds, outcome->may_stay);
        verdict_add_left(verdict, "connections", before->connections, after->connections);
        verdict_add_left(verdict, "leases", before->leases, after->leases);
        verdict_add_kept(verdict, "endpoints", before->endpoints, after->endpoints, outcome->may_stay);
        verdict_add(verdict, table->judges_figures && after->memory > before->memory + TABLE_MEMORY_MAX,
                    "memory kept");
        verdict_add(verdict, outcome->restless, "busy without clients");
        verdict_add(verdict, outcome->failed, "did not stop in good order");
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static void cell_times(char cell[static TABLE_CELL_MAX], const Outcome *outcome, HonestStep step) {
        snprintf(cell, TABLE_CELL_MAX, "%.2f / %.2f / %.1f", outcome->p50_usec[step] / 1000,
                 outcome->p99_usec[step] / 1000, outcome->max_usec[step] / 1000);
}

static double mib(size_t bytes) {
        return (double)bytes / (1024 * 1024);
}

static void cells_fill(Cells cells, const Outcome *outcome) {
        snprintf(cells[COLUMN_NAME], TABLE_CELL_MAX, "%s", outcome->name);
        snprintf(cells[COLUMN_PROCESSES], TABLE_CELL_MAX, "%u", outcome->n_processes);
        snprintf(cells[COLUMN_BLOWS], TABLE_CELL_MAX, "%.0f", outcome->blows);
        snprintf(cells[COLUMN_BUSY], TABLE_CELL_MAX, "%.0f %%", outcome->busy * 100);
        snprintf(cells[COLUMN_WAITING], TABLE_CELL_MAX, "%.0f %%", outcome->waiting * 100);
        snprintf(cells[COLUMN_SERVED], TABLE_CELL_MAX, "%" PRIu64, outcome->served);
        snprintf(cells[COLUMN_ERRORS], TABLE_CELL_MAX, "%" PRIu64, outcome->errors);
        cell_times(cells[COLUMN_NEWCOMER], outcome, HONEST_NEWCOMER);
        cell_times(cells[COLUMN_KEPT], outcome, HONEST_KEPT);
        snprintf(cells[COLUMN_AWAITED], TABLE_CELL_MAX, "%.2f / %.2f",
                 outcome->awaited_p99_usec[HONEST_NEWCOMER] / 1000,
                 outcome->awaited_p99_usec[HONEST_KEPT] / 1000);
        snprintf(cells[COLUMN_FDS], TABLE_CELL_MAX, "%zu", outcome->most.fds);
        snprintf(cells[COLUMN_MEMORY], TABLE_CELL_MAX, "%.1f / %.1f / %.1f", mib(outcome->before.memory),
                 mib(outcome->most.memory), mib(outcome->after.memory));
        snprintf(cells[COLUMN_LOG], TABLE_CELL_MAX, "%zu", outcome->log_lines);
        if (outcome->clean_msec < 0 || outcome->died)
                snprintf(cells[COLUMN_CLEAN], TABLE_CELL_MAX, "never");
        else
                snprintf(cells[COLUMN_CLEAN], TABLE_CELL_MAX, "%.1f", outcome->clean_msec / 1000);
}

static int table_add_missed(Table *table, const Outcome *outcome) {
        Outcome *more = reallocarray(table->missed, table->n_missed + 1, sizeof(*more));

        if (!more)
                return error_origin(-ENOMEM);
        table->missed = more;
        more[table->n_missed++] = *outcome;
        return 0;
}

int table_add(Table *table, const Outcome *outcome) {
        Cells cells;
        int r = 0;

        cells_fill(cells, outcome);
        verdict_find(table, outcome, cells[COLUMN_VERDICT]);
        if (cells[COLUMN_VERDICT][0])
                r = table_add_missed(table, outcome);
        table_print(table, cells);
        return r < 0 ? error_trace(r) : 0;
}

int table_add_load(Table *table, const Outcome *outcome) {
        Cells cells;

        cells_fill(cells, outcome);
        snprintf(cells[COLUMN_VERDICT], TABLE_CELL_MAX, "-");
        table_print(table, cells);
        return 0;
}

void table_end(const Table *table) {
        char verdict[TABLE_CELL_MAX];

        printf("\nAttacks that were not withstood: %zu\n", table->n_missed);
        for (size_t i = 0; i < table->n_missed; i++) {
                const Outcome *row = &table->missed[i];

                verdict_find(table, row, verdict);
                printf("- %s: %s%s%s\n", row->name, verdict, row->reason[0] ? "; first error: " : "",
                       row->reason);
        }
}
