/* SPDX-License-Identifier: BSD-2-Clause */

/* The broker and its clients come to the end of the descriptors that the kernel or the broker gives. */

#include <sys/resource.h>

#include "proto/limits.h"
#include "tests/integration/scene.h"

TestSuite(descriptors, .timeout = 60);

static Scene scene;

enum {
        BROKER_FDS = 52,
};

/*
 * The limit is lowered when the broker has seen it, or it would not come so far: whoever asks for too
 * many is told so before. See also the faults in tests/fault.
 */
static void begin_short_of_fds(uid_t uid, size_t n) {
        scene_begin_limited(&scene, KIT_CONFIG, uid, 0);
        cr_assert(zero(int, prlimit(scene.kit.harness.pid, RLIMIT_NOFILE,
                                    &(struct rlimit){ .rlim_cur = n, .rlim_max = n }, NULL)));
}

/* Whether a connection is served; otherwise the broker hung up without a word. */
static bool is_served(int control) {
        static HarnessReply reply;

        return send(control, SCENE_PING, sizeof(SCENE_PING), MSG_NOSIGNAL) > 0 &&
               harness_receive(control, &reply);
}

/* Opens connections until the broker has no descriptor for one more. Returns how many there are. */
static size_t exhaust(int controls[static BROKER_FDS]) {
        for (size_t n = 0; n < BROKER_FDS; n++) {
                controls[n] = scene_connect(&scene);
                if (!is_served(controls[n])) {
                        close(controls[n]);
                        return n;
                }
        }
        cr_fatal("the broker has descriptors without end");
        return 0;
}

Test(descriptors, no_descriptor_to_accept_with) {
        int controls[BROKER_FDS];
        size_t n;

        begin_short_of_fds(geteuid(), BROKER_FDS);
        for (int round = 0; round < 3; round++) {
                n = exhaust(controls);
                cr_assert(gt(sz, n, BROKER_FDS / 2));
                for (int i = 0; i < 20; i++) {
                        int refused = scene_connect(&scene);

                        cr_assert(not(is_served(refused)));
                        close(refused);
                        scene_expect_serving(scene.honest);
                }
                while (n > 0) {
                        scene_expect_serving(controls[--n]);
                        close(controls[n]);
                }
                scene_expect_count(&scene, "connections", 1);
                scene_expect_clean(&scene);
        }
        scene_end(&scene);
}

/* All or none: the sockets that could still be made are closed again. */
Test(descriptors, no_descriptor_for_a_socket) {
        int controls[BROKER_FDS];
        size_t n;

        begin_short_of_fds(geteuid(), BROKER_FDS);
        scene_send_acquire(scene.honest, SOCKETS_MAX);
        {
                json_auto_t *reply = kit_expect_error(scene_receive(scene.honest), "SystemFailure");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "EMFILE");
        }
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        cr_assert(zero(llong, scene_count(&scene, "endpoints")));
        scene_expect_clean(&scene);

        n = exhaust(controls);
        json_decref(
                kit_refused(scene.honest, "SystemFailure", "{'network':'tcp','address':'127.0.0.1:0'}"));
        {
                json_auto_t *reply =
                        kit_expect_error(kit_call(scene.honest, "TakeOver", "{}"), "SystemFailure");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "socketpair");
        }
        scene_expect_serving(scene.honest);
        while (n > 0)
                close(controls[--n]);
        scene_expect_count(&scene, "connections", 1);
        scene_end(&scene);
}

/* A socket of port 0 takes a second one for its group: whichever is one too many, the client is told. */
Test(descriptors, no_descriptor_for_steering) {
        static const char request[] = "{'sockets':[{'network':'udp4','address':'127.0.0.1:0'}]}";

        for (size_t odd = 0; odd < 2; odd++) {
                json_t *reply = NULL;
                size_t n_fds = 1;

                begin_short_of_fds(geteuid(), BROKER_FDS + odd);
                for (size_t n = 0; n_fds > 0; n++) {
                        int fds[HARNESS_FDS_MAX];

                        cr_assert(lt(sz, n, BROKER_FDS));
                        json_decref(reply);
                        kit_send(scene.honest, "Acquire", "", request);
                        reply = kit_receive(scene.honest, fds, &n_fds);
                        if (n_fds > 0)
                                close(fds[0]);
                }
                reply = kit_expect_error(reply, "SystemFailure");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "EMFILE");
                json_decref(reply);
                kit_ping(scene.honest);
                harness_hang_up(scene.honest);
                scene.honest = scene_connect(&scene);
                scene_end(&scene);
        }
}

/* A client that asks for what the broker cannot do keeps its connection, and so its leases. */
Test(descriptors, no_descriptor_for_a_process) {
        int controls[BROKER_FDS];
        size_t n;

        begin_short_of_fds(geteuid(), BROKER_FDS);
        n = exhaust(controls);
        json_decref(kit_expect_error(
                kit_call(scene.honest, "Acquire",
                         "{'sockets':[{'network':'tcp','address':'127.0.0.1:0'}],'lifetime':'process'}"),
                "SystemFailure"));
        scene_expect_serving(scene.honest);
        while (n > 0)
                close(controls[--n]);
        scene_expect_count(&scene, "connections", 1);
        scene_end(&scene);
}

/* Half of what there is for clients; a newcomer finds its share, and what is given back can be had
 * again. */
Test(descriptors, t5_descriptors_of_one_user) {
        KitSocket held[BROKER_FDS], own;
        int newcomer;
        size_t n = 0;

        kit_require_root();
        scene_begin_limited(&scene, KIT_CONFIG, KIT_OTHER_UID, BROKER_FDS);
        for (int round = 0; round < 2; round++) {
                while (scene_count(&scene, "leases") < BROKER_FDS * 3 / 8 - 1)
                        held[n++] =
                                kit_acquire(scene.honest, "{'network':'udp4','address':'127.0.0.1:0',"
                                                          "'sharing':'exclusive'}");
                json_decref(kit_refused(scene.honest, "QuotaExceeded",
                                        "{'network':'tcp','address':'127.0.0.1:0'}"));
                newcomer = kit_connect_as(&scene.kit, KIT_UID, 0);
                own = kit_acquire(newcomer, "{'network':'tcp','address':'127.0.0.1:0'}");
                kit_release(newcomer, &own);
                close(newcomer);
                while (n > 0)
                        kit_release(scene.honest, &held[--n]);
        }
        scene_end(&scene);
}

/* One for the socket, and one for what its lease depends on; what is refused costs nothing. */
Test(descriptors, t5_descriptors_that_leases_depend_on) {
        KitSocket held[BROKER_FDS], own;
        int fds[BROKER_FDS], newcomer;
        size_t n = 0;

        kit_require_root();
        scene_begin_limited(&scene, KIT_CONFIG, KIT_OTHER_UID, BROKER_FDS);
        for (;;) {
                json_auto_t *reply = NULL;
                size_t n_fds;
                int received[HARNESS_FDS_MAX];

                kit_send(scene.honest, "Acquire", "",
                         "{'sockets':[{'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive'}],"
                         "'lifetime':'descriptor'}");
                reply = kit_receive(scene.honest, received, &n_fds);
                if (n_fds == 0) {
                        json_decref(kit_expect_error(json_incref(reply), "QuotaExceeded"));
                        KIT_EXPECT_TEXT(kit_text(reply, "parameters.resource"), "descriptors");
                        break;
                }
                held[n].reply = json_incref(kit_at(reply, "parameters.sockets.0"));
                held[n].fd = received[0];
                fds[n++] = received[1];
        }
        cr_assert(ge(llong, (long long)n, BROKER_FDS * 3 / 16 - 2));
        cr_assert(le(llong, (long long)n, BROKER_FDS * 3 / 16));
        scene_expect_count(&scene, "leases", (long long)n);
        newcomer = kit_connect_as(&scene.kit, KIT_UID, 0);
        own = kit_acquire(newcomer, "{'network':'tcp','address':'127.0.0.1:0'}");
        kit_release(newcomer, &own);
        close(newcomer);
        while (n > 0) {
                close(fds[--n]);
                kit_drop(&held[n]);
        }
        scene_expect_count(&scene, "leases", 0);
        own = kit_acquire_by_descriptor(scene.honest, "{'network':'tcp','address':'127.0.0.1:0'}", fds);
        kit_release(scene.honest, &own);
        close(fds[0]);
        scene_end(&scene);
}

/* Who adopts what another left pays for it, and the other has its descriptors again. */
Test(descriptors, descriptors_of_what_was_adopted) {
        int before, after[2], heir;
        KitSocket left, adopted, own;

        kit_require_root();
        scene_begin(&scene, "[Broker]\nSocketMode=0666\nMaxConnectionsPerUser=2\nMaxLeasesPerUser=1\n"
                            "[Rule all]\nUser=*\nTenant=all\n");
        heir = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        before = kit_connect_as(&scene.kit, KIT_UID, 0);
        left = kit_acquire(before, "{'network':'tcp4','address':'127.0.0.1:0'}");
        close(before);
        scene_expect_count(&scene, "leases", 0);
        adopted = kit_acquire(heir, "{'network':'tcp4','address':'%s'}", kit_address(&left));
        cr_assert(kit_true(adopted.reply, "adopted"));
        for (int i = 0; i < 2; i++)
                after[i] = kit_connect_as(&scene.kit, KIT_UID, 0);
        own = kit_acquire(after[0], "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_release(after[0], &own);
        kit_release(heir, &adopted);
        kit_drop(&left);
        for (int i = 0; i < 2; i++)
                close(after[i]);
        close(heir);
        scene_expect_count(&scene, "connections", 1);
        scene_end(&scene);
}

/* Reads the answers to @n calls of @call, until one says that too much is under way. */
static bool expects_in_flight_refusal(int control, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int fds[HARNESS_FDS_MAX];
                size_t n_fds;
                json_auto_t *reply = kit_receive(control, fds, &n_fds);

                while (n_fds > 0)
                        close(fds[--n_fds]);
                if (!json_object_get(reply, "error"))
                        continue;
                KIT_EXPECT_TEXT(kit_text(reply, "error"), "io.reuseportd.QuotaExceeded");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.resource"), "descriptors not yet received");
                return true;
        }
        return false;
}

#define CALL_FOR_ONE                                                                                    \
        "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{\"network\":\"tcp\","      \
        "\"address\":\"127.0.0.1:0\",\"name\":\"shared\",\"sharing\":\"shared\"}]}}"

/* Who always has some answers to read is not taken for one who reads none: it is waited for, not
 * refused. */
Test(descriptors, calls_ahead_of_what_was_received) {
        const size_t n_ahead = IN_FLIGHT_PER_CONNECTION / 2, n = IN_FLIGHT_PER_USER_MAX + n_ahead;

        scene_begin(&scene, KIT_CONFIG);
        scene_send_many(scene.honest, CALL_FOR_ONE, n_ahead);
        for (size_t i = 0; i < n + n_ahead; i++) {
                if (i < n)
                        harness_send_frame(scene.honest, CALL_FOR_ONE);
                cr_assert(scene_receive_sockets(scene.honest, 1), "answer %zu", i);
        }
        scene_expect_count(&scene, "leases", (long long)n + (long long)n_ahead);
        scene.honest = fd_close(scene.honest);
        scene.honest = scene_connect(&scene);
        scene_end(&scene);
}

/*
 * What clients have not received counts against the broker's user, in the kernel: its limit is never
 * met, for no user gets so far. Others are served all the while, and nothing stays when the silent ones
 * go.
 */
Test(descriptors, t5_too_many_descriptors_in_flight) {
        int silent[4];

        kit_require_root();
        scene_begin_limited(&scene, KIT_CONFIG, KIT_OTHER_UID, BROKER_FDS);
        for (size_t n = 0; n < ELEMENTS(silent); n++) {
                silent[n] = kit_connect_as(&scene.kit, KIT_UID, 0);
                scene_send_many(silent[n], CALL_FOR_ONE, 2 * BROKER_FDS);
                for (int i = 0; i < 2 * BROKER_FDS; i++)
                        scene_serve_honest(&scene);
        }
        cr_assert(expects_in_flight_refusal(silent[ELEMENTS(silent) - 1], 2 * BROKER_FDS));
        /* One that hangs up without having received goes on to pay, until it is gone for good. */
        cr_assert(zero(int, shutdown(silent[0], SHUT_WR)));
        scene_serve_honest(&scene);
        for (size_t n = 0; n < ELEMENTS(silent); n++)
                close(silent[n]);
        scene_expect_count(&scene, "connections", 1);
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

/* Who has shut down has not received: what it was sent is under way, and paid for, until it closes. */
Test(descriptors, descriptors_in_flight_to_who_shut_down) {
        int silent[4];

        kit_require_root();
        scene_begin(&scene, KIT_CONFIG);
        for (size_t n = 0; n < ELEMENTS(silent); n++) {
                silent[n] = kit_connect_as(&scene.kit, KIT_UID, 0);
                harness_send_frame(silent[n], CALL_FOR_ONE);
        }
        scene_expect_count(&scene, "leases", ELEMENTS(silent));
        for (size_t n = 0; n < ELEMENTS(silent); n++)
                cr_assert(zero(int, shutdown(silent[n], SHUT_RDWR)));
        scene_expect_count(&scene, "leases", 0);
        for (int i = 0; i < BROKER_FDS; i++)
                scene_serve_honest(&scene);
        scene_expect_count(&scene, "connections", 1 + ELEMENTS(silent));
        for (size_t n = 0; n < ELEMENTS(silent); n++)
                close(silent[n]);
        scene_expect_count(&scene, "connections", 1);
        scene_end(&scene);
}
