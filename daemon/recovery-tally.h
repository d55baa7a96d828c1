/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What came of it; for the log, and for GetStatus. */
typedef struct RecoveryTally {
        bool found; /* a state of an earlier broker's */
        size_t n_endpoints;
        size_t n_members;
        size_t n_leases;
        size_t n_lost;    /* members and leases that were saved, and cannot be had */
        size_t n_foreign; /* descriptors that no record knows, or that are not what it says */
} RecoveryTally;
