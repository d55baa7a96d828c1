/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* One client at a time: what a hand-over costs. */

#include "tests/bench/report.h"
#include "tests/bench/stage.h"

/*
 * Runs the three contests: a shared socket, a new member of a group, and a program that starts; reports
 * their figures and goals. Returns 0 or a negative errno.
 */
int single_measure(Stage *stage, size_t iterations, Report *report);
