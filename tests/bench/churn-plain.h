/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Members as they are without a broker: each binds for itself, with SO_REUSEPORT. */

#include "tests/bench/churn-kind.h"

/* Not for KIND_UNIX: there SO_REUSEPORT does not exist. Returns 0 with *@ret_fd the caller's, or a
 * negative errno. */
int plain_open(Kind kind, int *ret_fd);
