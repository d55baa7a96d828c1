/* SPDX-License-Identifier: BSD-2-Clause */

/* Everything is kept as one JSON value; the tables are printed beside it. A goal missed is said as
 * plainly as one that was met. */

#include "tests/bench/report.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/error.h"

struct Report {
        bool quiet; /* no tables */
        json_t *root;
        json_t *contests, *figures, *goals; /* borrowed from root */
};

static const char *const goal_signs[_GOAL_KIND_N] = {
        [GOAL_AT_MOST] = "<=",
        [GOAL_BELOW] = "<",
        [GOAL_AT_LEAST] = ">=",
};

int report_new(bool json, Report **ret) {
        Report *report = malloc(sizeof(*report));

        if (!report)
                return error_origin(-ENOMEM);
        *report = (Report){ .quiet = json };
        report->root =
                json_pack("{s:o, s:o, s:o}", "contests", report->contests = json_object(), "figures",
                          report->figures = json_object(), "goals", report->goals = json_array());
        if (!report->root) {
                free(report);
                return error_origin(-ENOMEM);
        }
        *ret = report;
        return 0;
}

Report *report_free(Report *report) {
        if (report)
                json_decref(report->root);
        free(report);
        return NULL;
}

void report_note(Report *report, const char *format, ...) {
        va_list arguments;

        if (report->quiet)
                return;
        va_start(arguments, format);
        /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() is right above */
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
}

static json_t *samples_json(Samples *samples) {
        return json_pack("{s:f, s:f}", "p50", samples_percentile(samples, 50), "p99",
                         samples_percentile(samples, 99));
}

static void samples_print(Samples *samples, Samples *first) {
        double p50 = samples_percentile(samples, 50);

        printf("  %8.1f %8.1f %6.2f", p50, samples_percentile(samples, 99),
               p50 / samples_percentile(first, 50));
}

void report_contest(Report *report, Contest *contest) {
        Contestant *first = &contest->contestants[0];
        json_t *table = json_object();

        report_note(report, "\n%s", contest->title);
        report_note(report, "%-26s  %24s  %24s  %24s", "usec", "Acquire", "Release", "both");
        report_note(report, "%-26s  %8s %8s %6s  %8s %8s %6s  %8s %8s %6s", "", "p50", "p99", "ratio",
                    "p50", "p99", "ratio", "p50", "p99", "ratio");
        for (size_t i = 0; i < contest->n; i++) {
                Contestant *c = &contest->contestants[i];

                json_object_set_new(table, c->name,
                                    json_pack("{s:o, s:o, s:o}", "acquire", samples_json(&c->acquired),
                                              "release", samples_json(&c->released), "both",
                                              samples_json(&c->both)));
                if (report->quiet)
                        continue;
                printf("%-26s", c->name);
                samples_print(&c->acquired, &first->acquired);
                samples_print(&c->released, &first->released);
                samples_print(&c->both, &first->both);
                putchar('\n');
        }
        json_object_set_new(report->contests, contest->key, table);
        fflush(stdout);
}

void report_figure(Report *report, const char *key, const char *title, double value, const char *unit) {
        json_object_set_new(report->figures, key, json_real(value));
        report_note(report, "%-60s %12.1f %s", title, value, unit);
}

void report_goal(Report *report, const char *title, double value, GoalKind kind, double limit) {
        bool met = kind == GOAL_AT_MOST ? value <= limit
                   : kind == GOAL_BELOW ? value < limit
                                        : value >= limit;

        json_array_append_new(report->goals,
                              json_pack("{s:s, s:f, s:s, s:f, s:b}", "goal", title, "value", value, "is",
                                        goal_signs[kind], "limit", limit, "met", met));
}

static void goal_print(const json_t *goal) {
        printf("%-6s  %-64s %9.2f  %2s %.2f\n",
               json_is_true(json_object_get(goal, "met")) ? "met" : "MISSED",
               json_string_value(json_object_get(goal, "goal")),
               json_real_value(json_object_get(goal, "value")),
               json_string_value(json_object_get(goal, "is")),
               json_real_value(json_object_get(goal, "limit")));
}

bool report_finish(Report *report) {
        bool met = true;
        json_t *goal;
        size_t i;

        if (report->quiet) {
                json_dumpf(report->root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
                putchar('\n');
        }
        report_note(report, "\nGoals");
        json_array_foreach(report->goals, i, goal) {
                met = met && json_is_true(json_object_get(goal, "met"));
                if (!report->quiet)
                        goal_print(goal);
        }
        return met;
}
