/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Which rounds there are, and what is expected of them. */

#include "tests/bench/churn-round.h"

typedef struct Plan {
        RoundSettings settings;
        bool quick;         /* the short form, for the tests */
        size_t connections; /* of all rounds with departures in good order together */
        const char *only;   /* NULL: all rounds; else those with this text in their label */
} Plan;

/* Runs the rounds, and reports their lines and goals. A round that fails is a line as well, and a goal
 * that is missed. Returns 0 or a negative errno. */
int plan_run(const Plan *plan, Report *report);
