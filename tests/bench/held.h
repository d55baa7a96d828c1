/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A broker that holds much, beside one that holds little: what each lease costs, and whether it slows.
 */

#include <stddef.h>

#include "tests/bench/contest.h"

enum {
        HELD_FEW = 10,
        HELD_SHARED_ENDPOINTS = 10,
};

#define HELD_NAME_FEW "few held"
#define HELD_NAME_MANY "many held"

/*
 * Starts two programs @daemon with their files in @folder. The client of one holds HELD_FEW leases, the
 * other's @n; @sharing is "shared", of a few endpoints, or "exclusive", each of an endpoint and a socket
 * of its own. Runs @contest between the two: one lease more, and its release, @iterations times.
 * *@ret_bytes: the broker's memory for each of the many. Returns 0 or a negative errno; the caller ends
 * @contest with contest_deinit() if it is 0.
 */
int held_measure(const char *daemon, const char *folder, const char *sharing, size_t n,
                 size_t iterations, Contest *contest, double *ret_bytes);
