/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A broker with an honest client, beside whom a test does what it likes: the honest one is served
 * before, during and after, and nothing of what happened stays behind, on either side.
 */

#include <signal.h>
#include <sys/wait.h>

#include "tests/integration/acquire-kit.h"

#define SCENE_PING "{\"method\":\"org.varlink.service.GetInfo\"}"
#define SCENE_STATUS "{\"method\":\"io.reuseportd.GetStatus\"}"
#define SCENE_ACQUIRE                                                                                   \
        "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":"                                         \
        "{\"sockets\":[{\"network\":\"tcp\",\"address\":\"127.0.0.1:0\"}]}}"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

typedef struct Scene {
        Kit kit;
        int honest;
} Scene;

/* The honest client is given a socket, and gives it back. */
static inline void scene_serve_honest(const Scene *scene) {
        KitSocket socket = kit_acquire(scene->honest, "{'network':'tcp','address':'127.0.0.1:0'}");

        kit_release(scene->honest, &socket);
}

static inline void scene_ready(Scene *scene) {
        scene->kit.n_broker_fds = harness_broker_fds(&scene->kit.harness);
        scene->honest = harness_connect(&scene->kit.harness);
        scene_serve_honest(scene);
}

static inline void scene_begin(Scene *scene, const char *config) {
        kit_start(&scene->kit, config);
        scene_ready(scene);
}

/* With a broker as @how says: see harness_start_as_set(). */
static inline void scene_begin_as_set(Scene *scene, const char *config, const Harness *how) {
        kit_start_as_set(&scene->kit, config, how);
        scene_ready(scene);
}

/* With a broker of another user (for root) or one that may have few descriptors open (0: as many as
 * here). */
static inline void scene_begin_limited(Scene *scene, const char *config, uid_t uid, size_t max_fds) {
        scene->kit.n_fds = leaks_count_fds();
        harness_start_limited(&scene->kit.harness, config, uid, max_fds);
        scene_ready(scene);
}

static inline int scene_connect(const Scene *scene) {
        return harness_connect(&scene->kit.harness);
}

/* Everything but the honest client is gone, from the broker too. */
static inline void scene_expect_clean(const Scene *scene) {
        scene_serve_honest(scene);
        harness_expect_broker_fds(&scene->kit.harness, scene->kit.n_broker_fds + 1);
}

static inline void scene_end(Scene *scene) {
        scene_expect_clean(scene);
        scene->honest = fd_close(scene->honest);
        kit_stop(&scene->kit);
}

/* In between, the broker runs nothing: what is sent meets it all at once. */
static inline void scene_stop_broker(const Scene *scene) {
        pid_t pid = scene->kit.harness.pid;

        cr_assert(zero(int, kill(pid, SIGSTOP)));
        cr_assert(eq(int, waitpid(pid, NULL, WUNTRACED), pid));
}

static inline void scene_continue_broker(const Scene *scene) {
        cr_assert(zero(int, kill(scene->kit.harness.pid, SIGCONT)));
}

/* What GetStatus says of @what: "leases", "connections", "endpoints". */
static inline long long scene_count(const Scene *scene, const char *what) {
        json_auto_t *reply = kit_call(scene->honest, "GetStatus", "{}");
        char path[32];

        snprintf(path, sizeof(path), "parameters.%s", what);
        return kit_number(reply, path);
}

/* Waits until there are @n: what follows a hang-up happens in the broker's own time. */
static inline void scene_expect_count(const Scene *scene, const char *what, long long n) {
        long long have = -1;

        for (int i = 0; i < 100000 && have != n; i++)
                have = scene_count(scene, what);
        cr_assert(have == n, "%lld %s, expected %lld", have, what, n);
}

/* One reply without descriptors. The caller's to decref. */
static inline json_t *scene_receive(int control) {
        int fds[HARNESS_FDS_MAX];
        size_t n_fds;
        json_t *reply = kit_receive(control, fds, &n_fds);

        cr_assert(zero(sz, n_fds));
        return reply;
}

/* The next reply is this error; with @parameter, the one field of an InvalidParameter. */
static inline void scene_expect_error(int control, const char *error, const char *parameter) {
        json_auto_t *reply = kit_expect_error(scene_receive(control), error);

        if (parameter)
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.parameter"), parameter);
}

/* The broker answers on @control, and nothing else stands before the answer. */
static inline void scene_expect_serving(int control) {
        json_auto_t *reply = NULL;

        harness_send_frame(control, SCENE_PING);
        reply = scene_receive(control);
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.product"), "reuseportd");
}

/* The broker hung up, and said nothing more. Consumes @control. */
static inline void scene_expect_ended(int control) {
        static HarnessReply reply;

        cr_assert(not(harness_receive(control, &reply)), "%s", reply.text);
        close(control);
}

/* @n calls in one write. */
static inline void scene_send_many(int control, const char *json, size_t n) {
        size_t size = strlen(json) + 1;
        char *calls = malloc(n * size);

        cr_assert(calls != NULL);
        for (size_t i = 0; i < n; i++)
                memcpy(calls + i * size, json, size);
        harness_send(control, calls, n * size);
        free(calls);
}

/* Receives the reply to an Acquire of @n sockets, and closes what came. Returns false after
 * a hang-up. */
static inline bool scene_receive_sockets(int control, size_t n) {
        static HarnessReply reply;

        if (!harness_receive(control, &reply))
                return false;
        cr_assert(strstr(reply.text, "\"error\"") == NULL, "%s", reply.text);
        cr_assert(eq(sz, reply.n_fds, n));
        harness_close(&reply);
        return true;
}

/* An Acquire of @n sockets, as text that the caller frees. */
static inline char *scene_acquire_text(size_t n) {
        static const char socket[] = "{\"network\":\"tcp\",\"address\":\"127.0.0.1:0\"}";
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);

        cr_assert(file != NULL);
        fputs("{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[", file);
        for (size_t i = 0; i < n; i++)
                fprintf(file, "%s%s", i > 0 ? "," : "", socket);
        fputs("]}}", file);
        cr_assert(zero(int, fclose(file)));
        return text;
}

static inline void scene_send_acquire(int control, size_t n) {
        char *text = scene_acquire_text(n);

        harness_send_frame(control, text);
        free(text);
}
