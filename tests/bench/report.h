/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What was measured: a table for people as it comes in, or one JSON object at the end; and the goals. */

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/contest.h"

typedef struct Report Report;

/* @json: nothing is printed before report_finish(). Returns 0 with *@ret the caller's, or -ENOMEM. */
int report_new(bool json, Report **ret);

/* Takes NULL; returns NULL. */
Report *report_free(Report *report);

/* A line for people: what the next figures are, and what they are not. */
void report_note(Report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One table: each contestant's times, with their ratio to the first contestant's. */
void report_contest(Report *report, Contest *contest);

/* One figure. @key names it in the JSON output, @title and @unit for people. */
void report_figure(Report *report, const char *key, const char *title, double value, const char *unit);

typedef enum GoalKind { GOAL_AT_MOST, GOAL_BELOW, GOAL_AT_LEAST, _GOAL_KIND_N } GoalKind;

/* One goal: @value against @limit. Shown by report_finish(). */
void report_goal(Report *report, const char *title, double value, GoalKind kind, double limit);

/* Prints the goals, or the whole as a JSON object. Returns whether every goal was met. */
bool report_finish(Report *report);
