/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A broker with a connection that stays, and one that watches what becomes of those that do not. */

#include "tests/integration/acquire-kit.h"

typedef struct Scene {
        Kit kit;
        int control;
        int watch;
} Scene;

static inline void scene_open(Scene *scene, const char *config) {
        kit_start(&scene->kit, config);
        scene->control = harness_connect(&scene->kit.harness);
        scene->watch = kit_watch(&scene->kit, scene->control);
}

static inline void scene_close(Scene *scene) {
        close(scene->control);
        close(scene->watch);
        kit_stop(&scene->kit);
}
