/* SPDX-License-Identifier: BSD-2-Clause */

/* The broker comes first: the floor answers with what it answered. */

#include "tests/bench/stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/error.h"

/* One lease that lasts, on a port that the broker chooses. */
static int endpoint_keep(RawClient *client) {
        int r = raw_client_connect(client);

        if (r == 0)
                r = raw_client_acquire(client);
        return r < 0 ? error_trace(r) : 0;
}

/* Without it there is less to compare, but no reason to stop. */
static int stage_add_s6(Stage *stage, const char *folder) {
        int r = s6_peer_new(folder, &stage->s6);

        if (r == -EOPNOTSUPP || r == -ECHILD) {
                fprintf(stderr, "handoff: no figures of s6: %s\n",
                        r == -ECHILD ? "s6-fdholder-daemon does not start" : "built without libs6");
                return 0;
        }
        return r < 0 ? error_trace(r) : 0;
}

static int stage_start_broker(Stage *stage, const char *daemon, const char *folder, bool kept) {
        int r;

        if (!kept) {
                r = broker_start(daemon, folder, "broker", &stage->broker);
                return r < 0 ? error_trace(r) : 0;
        }
        stage->settings = (BrokerSettings){ .uid = geteuid() };
        r = store_start(daemon, folder, "broker", &stage->settings, &stage->store);
        strcpy(stage->broker.path, stage->store.program.path);
        return r < 0 ? error_trace(r) : 0;
}

int stage_init(Stage *stage, const char *daemon, const char *folder, bool kept) {
        int r;

        *stage = (Stage){ .broker = BROKER_NONE, .store = STORE_NONE, .floor = CHILD_NONE };
        raw_client_init(&stage->shared, stage->broker.path, "shared", "127.0.0.1:0");
        raw_client_init(&stage->group, stage->broker.path, "group", "127.0.0.1:0");
        snprintf(stage->floor_path, sizeof(stage->floor_path), "%s/floor", folder);

        r = stage_start_broker(stage, daemon, folder, kept);
        if (r == 0)
                r = endpoint_keep(&stage->shared);
        if (r == 0)
                r = endpoint_keep(&stage->group);
        if (r == 0)
                r = floor_record(stage->broker.path, stage->shared.address, stage->group.address,
                                 &stage->answers);
        if (r == 0)
                r = floor_start(stage->floor_path, &stage->answers, &stage->floor);
        if (r == 0)
                r = stage_add_s6(stage, folder);
        return r < 0 ? error_trace(r) : 0;
}

void stage_deinit(Stage *stage) {
        stage->s6 = s6_peer_free(stage->s6);
        child_stop(&stage->floor);
        raw_client_deinit(&stage->shared);
        raw_client_deinit(&stage->group);
        broker_stop(&stage->broker);
        store_stop(&stage->store);
        floor_answers_deinit(&stage->answers);
}
