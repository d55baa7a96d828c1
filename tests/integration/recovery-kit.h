/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A broker whose descriptors a service manager keeps, as keeper.h plays it: killed, and found again. */

#include "tests/integration/resume-kit.h"

#define CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

static Keeper keeper;

/* With @room for so many descriptors. */
static inline void begin(Kit *kit, const char *config, size_t room) {
        kit->n_fds = leaks_count_fds();
        keeper_begin(&keeper, room);
        kit->harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit->harness, config);
}

static inline void end(Kit *kit) {
        harness_stop(&kit->harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit->n_fds);
}

static inline void kill_and_restart(Kit *kit) {
        harness_kill(&kit->harness);
        harness_restart(&kit->harness);
}

static inline void expect_status(int control, const char *what, long long n) {
        json_auto_t *reply = kit_call(control, "GetStatus", "{}");
        char path[64];

        snprintf(path, sizeof(path), "parameters.%s", what);
        cr_assert(eq(llong, kit_number(reply, path), n), "%s", what);
}

static inline const char *state_of(int control, const KitSocket *held, char state[static 16]) {
        json_auto_t *endpoint = kit_describe(control, held);

        snprintf(state, 16, "%s", kit_text(endpoint, "members.0.state"));
        return state;
}

static inline void wait_parked(int control, const KitSocket *held) {
        char state[16];

        while (strcmp(state_of(control, held, state), "parked") != 0)
                ;
}
