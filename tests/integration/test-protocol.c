/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a client may rely on, byte by byte: frames, their order, oneway and more, the four rules of
 * descriptors, and the two methods that every Varlink service has.
 */

#include "tests/integration/scene.h"

#ifndef INTERFACE_FILE
#define INTERFACE_FILE "proto/io.reuseportd.varlink"
#endif

/* Sockets close with their last client, so what is left is a leak. */
#define CONFIG KIT_CONFIG

TestSuite(protocol, .timeout = 30);

static Scene scene;

/* ---- oneway -------------------------------------------------------------------------------------- */

Test(protocol, oneway_is_never_answered) {
        static const char *const calls[] = {
                "{\"method\":\"org.varlink.service.GetInfo\",\"oneway\":true}",
                "{\"method\":\"io.reuseportd.Nothing\",\"oneway\":true}",
                "{\"method\":\"org.example.Nothing\",\"oneway\":true}",
                "{\"method\":\"nothing\",\"oneway\":true}",
                "{\"method\":\"io.reuseportd.Dial\",\"oneway\":true}",
                "{\"method\":\"io.reuseportd.List\",\"oneway\":true,\"upgrade\":true}",
                "{\"method\":\"io.reuseportd.List\",\"oneway\":true,\"parameters\":{\"bogus\":1}}",
                "{\"method\":\"io.reuseportd.Release\",\"oneway\":true}",
                "{\"method\":\"io.reuseportd.Watch\",\"oneway\":true}",
                "{\"method\":\"io.reuseportd.Watch\",\"oneway\":true,\"more\":true}",
        };
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        for (size_t i = 0; i < ELEMENTS(calls); i++) {
                harness_send_frame(control, calls[i]);
                scene_expect_serving(control);
        }
        close(control);
        scene_end(&scene);
}

Test(protocol, oneway_acquire_makes_nothing) {
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        harness_send_frame(control,
                           "{\"method\":\"io.reuseportd.Acquire\",\"oneway\":true,\"parameters\":"
                           "{\"sockets\":[{\"network\":\"tcp\",\"address\":\"127.0.0.1:0\"}]}}");
        scene_expect_serving(control);
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        cr_assert(zero(llong, scene_count(&scene, "endpoints")));
        close(control);
        scene_end(&scene);
}

static void send_oneway_release(int control, const KitSocket *socket) {
        char parameters[128];

        snprintf(parameters, sizeof(parameters), "{'leases':['%s']}", kit_lease(socket));
        kit_send(control, "Release", ",'oneway':true", parameters);
}

Test(protocol, oneway_release_takes_effect) {
        KitSocket socket;
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        socket = kit_acquire(control, "{'network':'tcp','address':'127.0.0.1:0'}");
        cr_assert(eq(llong, scene_count(&scene, "leases"), 1));
        send_oneway_release(control, &socket);
        scene_expect_serving(control);
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        kit_drop(&socket);
        close(control);
        scene_end(&scene);
}

/* More of them than one turn serves, and the hang-up is there before the first turn. */
Test(protocol, oneway_calls_are_served_after_a_hangup) {
        KitSocket socket;
        int control, holder;

        scene_begin(&scene, CONFIG);
        holder = scene_connect(&scene);
        socket = kit_acquire(holder, "{'network':'tcp','address':'127.0.0.1:0'}");
        control = scene_connect(&scene);
        scene_expect_serving(control);
        scene_stop_broker(&scene);
        scene_send_many(control, "{\"method\":\"org.varlink.service.GetInfo\",\"oneway\":true}", 300);
        send_oneway_release(control, &socket);
        close(control);
        scene_continue_broker(&scene);
        scene_expect_count(&scene, "leases", 0);
        kit_drop(&socket);
        close(holder);
        scene_end(&scene);
}

/* ---- more ---------------------------------------------------------------------------------------- */

Test(protocol, watch_wants_more) {
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        kit_send(control, "Watch", "", "{}");
        scene_expect_error(control, "org.varlink.service.ExpectedMore", NULL);
        scene_expect_serving(control);
        close(control);
        scene_end(&scene);
}

Test(protocol, more_is_refused_where_descriptors_are_sent) {
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        kit_send(control, "Acquire", ",'more':true",
                 "{'sockets':[{'network':'tcp','address':'127.0.0.1:0'}]}");
        scene_expect_error(control, "org.varlink.service.InvalidParameter", "more");
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        scene_expect_serving(control);
        close(control);
        scene_end(&scene);
}

Test(protocol, more_is_one_reply_elsewhere) {
        json_t *reply;
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        kit_send(control, "List", ",'more':true", "{}");
        reply = scene_receive(control);
        kit_expect_success(reply);
        cr_assert(not(kit_true(reply, "continues")));
        json_decref(reply);
        scene_expect_serving(control);
        close(control);
        scene_end(&scene);
}

/* ---- framing ------------------------------------------------------------------------------------- */

Test(protocol, one_call_over_200_writes) {
        char call[200];
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        snprintf(call, sizeof(call), "%*s", (int)sizeof(call) - 1, SCENE_ACQUIRE);
        for (size_t i = 0; i < sizeof(call); i++) {
                harness_send(control, call + i, 1);
                scene_expect_serving(scene.honest);
        }
        cr_assert(scene_receive_sockets(control, 1));
        close(control);
        scene_end(&scene);
}

/* Far more than one turn serves: none is lost, none overtakes another. */
Test(protocol, many_calls_in_one_write_are_answered_in_order) {
        enum { N_CALLS = 500 };
        static char calls[N_CALLS * 64];
        size_t n = 0;
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        for (int i = 0; i < N_CALLS; i++)
                n += (size_t)sprintf(calls + n, "{\"method\":\"io.reuseportd.N%d\"}", i) + 1;
        harness_send(control, calls, n);
        scene_serve_honest(&scene);
        for (int i = 0; i < N_CALLS; i++) {
                json_auto_t *reply =
                        kit_expect_error(scene_receive(control), "org.varlink.service.MethodNotFound");
                char name[64];

                snprintf(name, sizeof(name), "io.reuseportd.N%d", i);
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.method"), name);
        }
        close(control);
        scene_end(&scene);
}

Test(protocol, half_closed_client_gets_its_answers) {
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        scene_send_many(control, SCENE_PING, 100);
        harness_send_frame(control, SCENE_ACQUIRE);
        cr_assert(zero(int, shutdown(control, SHUT_WR)));
        for (int i = 0; i < 100; i++)
                json_decref(scene_receive(control));
        cr_assert(scene_receive_sockets(control, 1));
        scene_expect_ended(control);
        scene_end(&scene);
}

/* ---- descriptors --------------------------------------------------------------------------------- */

/* One read, however much there is; @ret_fds: how many descriptors came. Returns the bytes. */
static size_t receive_much(int control, char *buffer, size_t size, size_t *ret_fds) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(253 * sizeof(int))];
        } ancillary;
        struct iovec iov = { .iov_base = buffer, .iov_len = size };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &ancillary,
                .msg_controllen = sizeof(ancillary),
        };
        ssize_t n = recvmsg(control, &header, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);

        cr_assert(n > 0, "%m");
        cr_assert(zero(int, header.msg_flags &MSG_CTRUNC));
        *ret_fds = c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
        for (size_t i = 0; i < *ret_fds; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
                close(fd);
        }
        return (size_t)n;
}

/* The frame that the @n bytes end with; frames are whole, as they are sent. */
static const char *last_frame(const char *bytes, size_t n) {
        const char *before = memrchr(bytes, '\0', n - 1);

        cr_assert(eq(chr, bytes[n - 1], '\0'));
        return before ? before + 1 : bytes;
}

/*
 * The kernel ends a read after the bytes that descriptors came with. So a reader that takes what it can
 * get finds them with the last frame of a read: that must be one that names descriptors, and no other.
 */
Test(protocol, t7_descriptors_come_with_the_frame_that_names_them) {
        enum { N_ROUNDS = 40 };
        static const char answer[] = "{\"parameters\":{\"sockets\":";
        static char buffer[1 << 20];
        size_t n_frames = 0, n_fds = 0;
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        for (int i = 0; i < N_ROUNDS; i++) {
                harness_send_frame(control, SCENE_PING);
                harness_send_frame(control, SCENE_ACQUIRE);
        }
        while (n_frames < 2 * N_ROUNDS) {
                size_t n_came, n = receive_much(control, buffer, sizeof(buffer), &n_came);
                bool named = strncmp(last_frame(buffer, n), answer, strlen(answer)) == 0;

                cr_assert(eq(sz, n_came, named));
                n_fds += n_came;
                for (size_t i = 0; i < n; i++)
                        n_frames += buffer[i] == '\0';
        }
        cr_assert(eq(sz, n_fds, N_ROUNDS));
        close(control);
        scene_end(&scene);
}

Test(protocol, reply_lists_each_descriptor_once_from_zero) {
        static const size_t sizes[] = { 1, 2, 7, 64 };
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        for (size_t k = 0; k < ELEMENTS(sizes); k++) {
                int fds[HARNESS_FDS_MAX];
                char *text = scene_acquire_text(sizes[k]);
                json_t *reply, *socket;
                size_t n_fds, i;

                harness_send_frame(control, text);
                free(text);
                reply = kit_receive(control, fds, &n_fds);
                cr_assert(eq(sz, n_fds, sizes[k]));
                cr_assert(eq(sz, json_array_size(kit_at(reply, "parameters.sockets")), n_fds));
                json_array_foreach(kit_at(reply, "parameters.sockets"), i, socket) {
                        cr_assert(eq(llong, kit_number(socket, "socketFileDescriptor"), (long long)i));
                        cr_assert(eq(ullong, kit_cookie(fds[i]),
                                     strtoull(kit_text(socket, "cookie"), NULL, 10)));
                        close(fds[i]);
                }
                json_decref(reply);
        }
        close(control);
        scene_end(&scene);
}

/* All or none: what the first sockets of a call got is taken back, and an error carries
 * no descriptors. */
Test(protocol, refused_call_carries_no_descriptors) {
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        kit_send(control, "Acquire", "",
                 "{'sockets':[{'network':'tcp','address':'127.0.0.1:0'},"
                 "{'network':'tcp','address':'192.0.2.1:0'}]}");
        scene_expect_error(control, "AddressUnavailable", NULL);
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        cr_assert(zero(llong, scene_count(&scene, "endpoints")));
        close(control);
        scene_end(&scene);
}

/* No call is begun while an answer with descriptors has not left: what nobody reads costs no more
 * leases. */
Test(protocol, t7_no_call_is_served_before_descriptors_have_left) {
        enum { N_CALLS = 40, N_SOCKETS = 64 };
        char *text = scene_acquire_text(N_SOCKETS);
        long long leases;
        int control;

        scene_begin(&scene, CONFIG);
        control = scene_connect(&scene);
        scene_send_many(control, text, N_CALLS);
        free(text);
        leases = scene_count(&scene, "leases");
        for (long long before = -1; leases != before; leases = scene_count(&scene, "leases"))
                before = leases;
        cr_assert(lt(llong, leases, N_CALLS * N_SOCKETS / 2));
        scene_serve_honest(&scene);
        for (int i = 0; i < N_CALLS; i++)
                cr_assert(scene_receive_sockets(control, N_SOCKETS));
        cr_assert(eq(llong, scene_count(&scene, "leases"), N_CALLS * N_SOCKETS));
        close(control);
        scene_end(&scene);
}

/* ---- every Varlink service ----------------------------------------------------------------------- */

Test(protocol, unknown_interface_has_no_description) {
        scene_begin(&scene, CONFIG);
        harness_send_frame(scene.honest, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                                         "\"parameters\":{\"interface\":\"io.reuseport\"}}");
        scene_expect_error(scene.honest, "org.varlink.service.InterfaceNotFound", NULL);
        scene_end(&scene);
}

Test(protocol, interface_description_is_the_file) {
        const char *path = getenv("INTERFACE_FILE") ?: INTERFACE_FILE;
        static char text[64 * 1024];
        FILE *file = fopen(path, "re");
        json_t *reply;
        size_t n;

        cr_assert(file != NULL, "%s", path);
        n = fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
        cr_assert(n > 0 && n < sizeof(text) - 1);

        scene_begin(&scene, CONFIG);
        harness_send_frame(scene.honest, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                                         "\"parameters\":{\"interface\":\"io.reuseportd\"}}");
        reply = scene_receive(scene.honest);
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.description"), text);
        json_decref(reply);
        scene_end(&scene);
}

Test(protocol, info_names_both_interfaces) {
        static const char *const fields[] = { "vendor", "product", "version", "url" };
        json_t *reply;

        scene_begin(&scene, CONFIG);
        harness_send_frame(scene.honest, SCENE_PING);
        reply = scene_receive(scene.honest);
        for (size_t i = 0; i < ELEMENTS(fields); i++)
                cr_assert(kit_text(kit_at(reply, "parameters"), fields[i])[0] != '\0', "%s", fields[i]);
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.interfaces.0"), "io.reuseportd");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.interfaces.1"), "org.varlink.service");
        json_decref(reply);
        scene_end(&scene);
}

/* ---- Watch --------------------------------------------------------------------------------------- */

/* A connection whose Watch is active: it was sent with a call before it, which has been answered. */
static int watch(void) {
        static const char calls[] = "{\"method\":\"io.reuseportd.GetStatus\"}\0"
                                    "{\"method\":\"io.reuseportd.Watch\",\"more\":true}";
        int control = scene_connect(&scene);

        harness_send(control, calls, sizeof(calls));
        json_decref(scene_receive(control));
        return control;
}

/* The answer of whoever causes an event is its own, with its descriptors: not what the watchers are
 * told. */
Test(protocol, watchers_are_told_what_others_do) {
        int watchers[3];

        scene_begin(&scene, CONFIG);
        for (size_t i = 0; i < ELEMENTS(watchers); i++)
                watchers[i] = watch();
        scene_serve_honest(&scene);
        for (size_t i = 0; i < ELEMENTS(watchers); i++) {
                json_decref(kit_event(watchers[i], "acquired"));
                json_decref(kit_event(watchers[i], "released"));
                json_decref(kit_event(watchers[i], "closed"));
                close(watchers[i]);
        }
        scene_end(&scene);
}

Test(protocol, watcher_is_not_listened_to_any_more) {
        int control;

        scene_begin(&scene, CONFIG);
        control = watch();
        scene_send_many(control, SCENE_ACQUIRE, 100);
        harness_send(control, "no JSON at all", sizeof("no JSON at all"));
        scene_serve_honest(&scene);
        json_decref(kit_event(control, "acquired"));
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        close(control);
        scene_end(&scene);
}

Test(protocol, watch_ends_with_the_writing_side_of_the_client) {
        int control;

        scene_begin(&scene, CONFIG);
        control = watch();
        cr_assert(zero(int, shutdown(control, SHUT_WR)));
        scene_expect_ended(control);
        scene_end(&scene);
}

Test(protocol, watcher_of_another_user_is_told_nothing) {
        KitSocket socket;
        int control, own;

        kit_require_root();
        scene_begin(&scene, KIT_TENANTS_CONFIG);
        kit_become(KIT_UID, 0);
        control = watch();
        kit_become_root();
        scene_serve_honest(&scene);

        /* What it does itself it is told; had it been told of others, that would stand before. */
        own = kit_connect_as(&scene.kit, KIT_UID, 0);
        socket = kit_acquire(own, "{'network':'tcp','address':'127.0.0.1:0'}");
        kit_expect_event(control, "acquired", kit_text(socket.reply, "endpoint"));
        kit_release(own, &socket);
        close(own);
        close(control);
        scene_end(&scene);
}
