/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Losses told apart: those that a killed member had in its hands, and all others. */

#include "tests/bench/churn-fleet.h"
#include "tests/bench/churn-load.h"

typedef struct Tally {
        size_t in_hand;
        size_t presumed; /* of these: the member was within accept(), and its client is not known */
        size_t lost;     /* the others */
        size_t kinds[_LOSS_KIND_N]; /* of the others */
} Tally;

/* @load has ended. @fleet may be NULL: then nothing is known to have been in hand. Returns 0
 * or -ENOMEM. */
int tally_make(const Load *load, const Fleet *fleet, Tally *ret);
