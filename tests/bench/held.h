/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A broker that holds much, beside one that holds little: what each lease costs, and whether
 * it slows. */

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/contest.h"

enum {
        /* What the kernel gives out by itself unless it is told otherwise. */
        HELD_POOL_FIRST = 32768,
        HELD_POOL_PORTS = 28232,
        HELD_FEW = 10,
        HELD_SHARED_ENDPOINTS = 10,
};

#define HELD_NAME_FEW "few held"
#define HELD_NAME_MANY "many held"

/* What is held. */
typedef struct HeldKind {
        const char *sharing; /* "shared", of a few endpoints, or "exclusive", each of one of its own */
        bool any_port; /* of one address, at ports that the broker chooses; else at ports that are told
                        */
        size_t n;
} HeldKind;

/*
 * Starts two programs @daemon with their files in @folder. The client of one holds HELD_FEW leases, the
 * other's as many as @kind says. Runs @contest between the two: one lease more, and its release,
 * @iterations times.
 * *@ret_bytes: the broker's memory for each of the many. Returns 0 or a negative errno; the caller ends
 * @contest with contest_deinit() if it is 0.
 */
int held_measure(const char *daemon, const char *folder, const HeldKind *kind, size_t iterations,
                 Contest *contest, double *ret_bytes);
