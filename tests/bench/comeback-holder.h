/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Programs that hold many sockets, for as long as they run. */

#include <stddef.h>

#include "tests/bench/child.h"
#include "tests/bench/user.h"

enum {
        /* No user may have more than a part of what the broker has. */
        HOLDERS_MAX = USERS_HOSTILE,
};

typedef struct Holders {
        Child children[HOLDERS_MAX];
        size_t n;
} Holders;

/*
 * Acquires @n sockets of the broker at @path, each with an endpoint of its own, for the lifetime of the
 * programs: as many as one user gets for the first, and so on. Returns 0, -EDQUOT when all users have
 * what they may and it is not enough, or another negative errno; the caller ends @holders with
 * holders_stop().
 */
int holders_start(const char *path, const char *sharing, size_t n, Holders *holders);
void holders_stop(Holders *holders);
