/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A member: one process that accepts a connection, works on it for a while, answers, and so on. */

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/child.h"
#include "tests/bench/churn-hand.h"
#include "tests/bench/churn-lease.h"

typedef struct MemberOrder {
        LeaseOrder lease;   /* without a path: the member binds for itself */
        uint64_t work_nsec; /* for each connection */
        bool drain;         /* on leaving, waits until nothing is waiting for it */
        Hand *hand;         /* borrowed, shared */
        int ready;          /* borrowed; an eventfd: one more for each member that serves */
} MemberOrder;

/*
 * Starts the process. SIGTERM makes it leave: it finishes what is in its hands, drains if it is to,
 * gives its socket back and exits. Returns 0 or a negative errno.
 */
int member_start(const MemberOrder *order, Child *ret);
