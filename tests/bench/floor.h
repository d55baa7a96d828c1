/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The floor: a server that parses and answers, and does nothing else. It has no policy, keeps no account
 * and knows no endpoint; a broker that speaks this protocol with this JSON library cannot do less.
 */

#include "tests/bench/child.h"

/* What the broker answered, word for word; malloc'ed. */
typedef struct FloorAnswers {
        char *shared;
        char *group;
        char *release;
} FloorAnswers;

/*
 * Asks the broker at @path for one lease of each endpoint, and records its answers. They are the
 * caller's. Returns 0 or a negative errno.
 */
int floor_record(const char *path, const char *shared_address, const char *group_address,
                 FloorAnswers *ret);
void floor_answers_deinit(FloorAnswers *answers);

/*
 * Starts the server at @path, in a process of its own. To an Acquire of a "shared" socket it hands over
 * one that it has; to any other it makes a new one, listening in a group, and closes it at Release.
 * Returns 0 or a negative errno.
 */
int floor_start(const char *path, const FloorAnswers *answers, Child *ret);
