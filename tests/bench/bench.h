/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* One run of a program that measures: what it has around it, and what it ends with. */

#include <stdbool.h>

#include "tests/bench/report.h"

typedef struct Bench {
        /* In @folder, which is empty and goes at the end. Returns 0 or a negative errno. */
        int (*measure)(void *userdata, const char *folder, Report *report);
        void *userdata;
        bool caged; /* in a network of its own */
        bool json;  /* see report_new() */
        bool check; /* a goal that is missed is a failure */
} Bench;

/* Measures. Returns the exit status: 77 where a cage is wanted and not allowed. */
int bench_run(const Bench *bench);
