/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Every limit is reached, says so, hurts nobody but who reached it, and is gone when its cause is:
 * counts of the configuration, of the protocol and of unread bytes. Those of descriptors: see
 * test-descriptors.c.
 */

#include "proto/limits.h"
#include "tests/integration/scene.h"

TestSuite(limits, .timeout = 60);

#define CONFIG_WITH(broker)                                                                             \
        "[Broker]\nSocketMode=0666\nRetainSec=0\n" broker "\n[Rule all]\nUser=*\nOptions=*\n"

static Scene scene;

/* The next reply is a QuotaExceeded of @resource. */
static void expect_quota(int control, const char *resource, long long limit) {
        json_auto_t *reply = kit_expect_error(scene_receive(control), "QuotaExceeded");

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.resource"), resource);
        cr_assert(eq(llong, kit_number(reply, "parameters.limit"), limit));
}

/* ---- connections --------------------------------------------------------------------------------- */

/* Opens connections of the calling user until @most are in use, @n of them already. */
static void expect_connection_limit(size_t n, size_t most, size_t limit) {
        int controls[16];
        size_t i;

        cr_assert(lt(sz, most - n, ELEMENTS(controls)));
        for (i = 0; i < most - n; i++) {
                controls[i] = scene_connect(&scene);
                scene_expect_serving(controls[i]);
        }
        for (int k = 0; k < 20; k++) {
                int refused = scene_connect(&scene);

                expect_quota(refused, "connections", (long long)limit);
                scene_expect_ended(refused);
                scene_serve_honest(&scene);
        }
        while (i > 0)
                close(controls[--i]);
}

/* Half of them: the rest is for others. */
Test(limits, connections_of_all) {
        scene_begin(&scene, CONFIG_WITH("MaxConnections=10"));
        scene_expect_count(&scene, "connections", 1);
        expect_connection_limit(1, 5, 10);
        scene_expect_count(&scene, "connections", 1);
        expect_connection_limit(1, 5, 10);
        scene_end(&scene);
}

Test(limits, t5_connections_of_one_user) {
        kit_require_root();
        scene_begin(&scene, CONFIG_WITH("MaxConnectionsPerUser=5"));
        for (int i = 0; i < 3; i++) {
                kit_become(KIT_UID, 0);
                expect_connection_limit(0, 5, 5);
                kit_become_root();
                scene_expect_count(&scene, "connections", 1);
        }
        scene_end(&scene);
}

/* ---- leases -------------------------------------------------------------------------------------- */

Test(limits, t5_leases_of_one_user) {
        KitSocket first;
        int other;

        kit_require_root();
        scene_begin(&scene, CONFIG_WITH("MaxLeasesPerUser=10"));
        other = kit_connect_as(&scene.kit, KIT_UID, 0);
        first = kit_acquire(other, "{'network':'tcp','address':'127.0.0.1:0'}");
        scene_send_acquire(other, 10);
        expect_quota(other, "leases", 10);
        cr_assert(eq(llong, scene_count(&scene, "leases"), 1));
        cr_assert(eq(llong, scene_count(&scene, "endpoints"), 1));

        scene_send_acquire(other, 9);
        cr_assert(scene_receive_sockets(other, 9));
        scene_send_acquire(other, 1);
        expect_quota(other, "leases", 10);
        /* A further lease on a socket that is there already is one more as well. */
        json_decref(kit_refused(other, "QuotaExceeded", "{'network':'tcp','address':'%s'}",
                                kit_address(&first)));
        cr_assert(eq(llong, scene_count(&scene, "leases"), 10));
        scene_serve_honest(&scene);

        kit_release(other, &first);
        scene_send_acquire(other, 1);
        cr_assert(scene_receive_sockets(other, 1));
        close(other);
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

Test(limits, sockets_of_one_call) {
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        scene_send_acquire(control, SOCKETS_MAX + 1);
        expect_quota(control, "sockets in one call", SOCKETS_MAX);
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        scene_send_acquire(control, SOCKETS_MAX);
        cr_assert(scene_receive_sockets(control, SOCKETS_MAX));
        cr_assert(eq(llong, scene_count(&scene, "leases"), SOCKETS_MAX));
        close(control);
        scene_end(&scene);
}

Test(limits, leases_of_one_call) {
        static char call[CALL_SIZE_MAX];
        size_t n;

        scene_begin(&scene, KIT_CONFIG);
        n = (size_t)sprintf(call, "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[");
        for (int i = 0; i <= LEASES_PER_CALL_MAX; i++)
                n += (size_t)sprintf(call + n, "%s\"l1-00000000\"", i > 0 ? "," : "");
        sprintf(call + n, "]}}");
        harness_send_frame(scene.honest, call);
        expect_quota(scene.honest, "leases in one call", LEASES_PER_CALL_MAX);
        scene_end(&scene);
}

/* ---- unread bytes -------------------------------------------------------------------------------- */

/* Who does not read is not read from; nothing of what it asked for is lost when it does. */
Test(limits, thousand_answers_unread) {
        enum { N_CALLS = 1000 };
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        scene_send_many(control, SCENE_PING, N_CALLS);
        for (int i = 0; i < 100; i++)
                scene_serve_honest(&scene);
        for (int i = 0; i < N_CALLS; i++)
                json_decref(scene_receive(control));
        scene_expect_serving(control);
        close(control);
        scene_end(&scene);
}

Test(limits, thousand_sockets_unread) {
        enum { N_CALLS = 1000 };
        int reading, leaving;

        scene_begin(&scene, KIT_CONFIG);
        reading = scene_connect(&scene);
        leaving = scene_connect(&scene);
        scene_send_many(reading, SCENE_ACQUIRE, N_CALLS);
        scene_send_many(leaving, SCENE_ACQUIRE, N_CALLS);
        scene_serve_honest(&scene);
        close(leaving);
        for (int i = 0; i < N_CALLS; i++)
                cr_assert(scene_receive_sockets(reading, 1));
        scene_expect_count(&scene, "leases", N_CALLS);
        close(reading);
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

/* Makes more events than are kept for anybody. */
static void make_events(void) {
        enum { N_ROUNDS = 40, N_SOCKETS = 32 };

        for (int i = 0; i < N_ROUNDS; i++) {
                int control = scene_connect(&scene);

                scene_send_acquire(control, N_SOCKETS);
                cr_assert(scene_receive_sockets(control, N_SOCKETS));
                close(control);
        }
        scene_expect_count(&scene, "leases", 0);
}

/* Reads events until @what. Returns how many came before. */
static size_t skip_events(int watch, const char *what) {
        size_t n = 0;

        for (;; n++) {
                json_auto_t *reply = scene_receive(watch);

                if (strcmp(kit_text(reply, "parameters.event.what"), what) == 0)
                        return n;
        }
}

Test(limits, watcher_that_does_not_read_is_told_of_the_overflow) {
        enum { ALL_EVENTS = 40 * 32 * 3 };
        size_t n;
        int watch;

        scene_begin(&scene, KIT_CONFIG);
        watch = kit_watch(&scene.kit, scene.honest);
        for (int round = 0; round < 2; round++) {
                make_events();
                scene_serve_honest(&scene);
                n = skip_events(watch, "overflow");
                cr_assert(gt(sz, n, 100));
                cr_assert(lt(sz, n, ALL_EVENTS));

                /* What was dropped is gone; what comes from now on is told again. */
                scene_serve_honest(&scene);
                json_decref(kit_event(watch, "acquired"));
                json_decref(kit_event(watch, "released"));
                json_decref(kit_event(watch, "closed"));
        }
        close(watch);
        scene_end(&scene);
}

Test(limits, watchers_that_never_read) {
        int watchers[8];

        scene_begin(&scene, KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(watchers); i++)
                watchers[i] = kit_watch(&scene.kit, scene.honest);
        make_events();
        scene_serve_honest(&scene);
        for (size_t i = 0; i < ELEMENTS(watchers); i++)
                close(watchers[i]);
        scene_end(&scene);
}
