/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* All servers that are compared, up at once, each with a shared socket and a group that
 * exist already. */

#include <stdbool.h>

#include "tests/bench/broker.h"
#include "tests/bench/floor.h"
#include "tests/bench/raw-client.h"
#include "tests/bench/s6-peer.h"
#include "tests/bench/store.h"

typedef struct Stage {
        Broker broker; /* or the store's */
        Store store;
        BrokerSettings settings; /* the store's */
        Child floor;
        char floor_path[SCRATCH_PATH_MAX + 16];
        S6Peer *s6;       /* NULL where there is none */
        RawClient shared; /* keep the broker's endpoints there, and know their addresses */
        RawClient group;
        FloorAnswers answers;
} Stage;

/* Starts the servers, the broker from the program @daemon, with their files in @folder; @kept: with a
 * service manager that keeps its descriptors. The caller ends @stage with stage_deinit(), also on
 * failure. Returns 0 or a negative errno. */
int stage_init(Stage *stage, const char *daemon, const char *folder, bool kept);
void stage_deinit(Stage *stage);
