/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What clients must not do. A call that can be answered is answered with an error, and the connection
 * goes on; a frame that is no call is answered, and the connection ends; the rest just ends it. Whatever
 * it was, the honest client of the scene does not notice, and nothing stays behind.
 */

#include <sys/resource.h>

#include "proto/limits.h"
#include "tests/integration/scene.h"

TestSuite(bad_input, .timeout = 30);

static Scene scene;

/* One frame; single quotes stand for double ones. */
static void send_text(int control, const char *text) {
        char *frame = strdup(text);

        cr_assert(frame != NULL);
        for (char *c = frame; *c; c++)
                if (*c == '\'')
                        *c = '"';
        harness_send_frame(control, frame);
        free(frame);
}

/* Sends until all has left or the broker hung up. */
static void send_stubborn(int control, const char *data, size_t n) {
        for (ssize_t sent = 1; n > 0 && sent > 0; data += sent, n -= (size_t)sent) {
                sent = send(control, data, n, MSG_NOSIGNAL);
                cr_assert(sent > 0 || errno == EPIPE || errno == ECONNRESET, "%m");
                if (sent < 0)
                        return;
        }
}

/* ---- framing ------------------------------------------------------------------------------------- */

Test(bad_input, hangup_at_any_byte) {
        scene_begin(&scene, KIT_CONFIG);
        for (size_t n = 0; n <= sizeof(SCENE_ACQUIRE); n++) {
                int control = scene_connect(&scene);

                harness_send(control, SCENE_ACQUIRE, n);
                close(control);
        }
        scene_end(&scene);
}

Test(bad_input, end_in_the_middle_of_a_frame) {
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        harness_send(control, SCENE_PING, sizeof(SCENE_PING) - 1);
        cr_assert(zero(int, shutdown(control, SHUT_WR)));
        scene_expect_ended(control);
        scene_end(&scene);
}

Test(bad_input, hangup_with_replies_unread) {
        scene_begin(&scene, KIT_CONFIG);
        for (int i = 0; i < 20; i++) {
                int control = scene_connect(&scene);

                scene_send_many(control, SCENE_ACQUIRE, 20);
                scene_send_many(control, SCENE_PING, 20);
                scene_serve_honest(&scene);
                close(control);
        }
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

Test(bad_input, frame_may_have_64_KiB_and_no_more) {
        static const struct {
                size_t n; /* with its NUL */
                bool served;
        } sizes[] = {
                { CALL_SIZE_MAX - 1, true },
                { CALL_SIZE_MAX, true },
                { CALL_SIZE_MAX + 1, false },
                { CALL_SIZE_MAX * 4, false },
        };
        static char frame[CALL_SIZE_MAX * 4];

        scene_begin(&scene, KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                int control = scene_connect(&scene);

                memset(frame, ' ', sizeof(frame));
                memcpy(frame, SCENE_PING, strlen(SCENE_PING));
                frame[sizes[i].n - 1] = '\0';
                send_stubborn(control, frame, sizes[i].n);
                scene_serve_honest(&scene);
                if (sizes[i].served) {
                        json_decref(scene_receive(control));
                        scene_expect_serving(control);
                        close(control);
                } else {
                        scene_expect_ended(control);
                }
        }
        scene_end(&scene);
}

/* Ten seconds are for the whole call: a byte now and then does not put the end off. */
Test(bad_input, one_byte_a_second) {
        static const char call[] = SCENE_PING;
        size_t n = 0;
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        do {
                cr_assert(lt(sz, n, CALL_SEC_MAX * 2));
                send_stubborn(control, &call[n++], 1);
        } while (poll(&(struct pollfd){ .fd = control, .events = POLLIN }, 1, 1000) == 0);
        scene_expect_ended(control);
        scene_end(&scene);
}

Test(bad_input, frame_that_never_ends) {
        static char bytes[1 << 20];
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        memset(bytes, 'x', sizeof(bytes));
        send_stubborn(control, bytes, sizeof(bytes));
        scene_expect_ended(control);
        scene_end(&scene);
}

Test(bad_input, many_NULs) {
        static const char bytes[100 * 1024];
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        send_stubborn(control, bytes, sizeof(bytes));
        scene_expect_error(control, "org.varlink.service.InvalidParameter", NULL);
        scene_expect_ended(control);
        scene_end(&scene);
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

#define ACQUIRE(sockets) "{'method':'io.reuseportd.Acquire','parameters':{'sockets':[" sockets "]}}"
#define REQUEST(fields) ACQUIRE("{'network':'tcp','address':'127.0.0.1:0'," fields "}")

/* Answered with an InvalidParameter, and nothing else is heard after it. */
static const char *const malformed[] = {
        "",
        " ",
        "x",
        "[]",
        "null",
        "1",
        "'method'",
        "{'method':'io.reuseportd.List'",
        "{'method':'io.reuseportd.List'}}",
        "{'method':'io.reuseportd.List'} {'method':'io.reuseportd.List'}",
        "{'method':'io.reuseportd.List',}",
        "{'method':'io.reuseportd.List','method':'io.reuseportd.List'}",
        "{'method':'io.reuseportd.List','parameters':{'endpoint':'a','\\u0065ndpoint':'a'}}",
        "\xef\xbb\xbf{'method':'io.reuseportd.List'}",
        "{'method':'\xff'}",
        "{'method':'\xc0\xaf'}",
        "{'method':'\\ud800'}",
        "{'method':'a\\u0000b'}",
        "{'method':'a\nb'}",
        "{'method':NaN}",
        "{'method':'io.reuseportd.List','x.y':1e400}",
        "{'method':'io.reuseportd.List'} // more",
        "{/* more */'method':'io.reuseportd.List'}",
        "{'method':'io.reuseportd.List','x.y':-9223372036854775809}",
        REQUEST("'retainSec':9223372036854775808"),
        "{'x.y':[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}",
        "{'x.y':[[[[[[[[[[[[[[[[",
};

Test(bad_input, t10_malformed_frame_is_answered_and_ends_the_connection) {
        scene_begin(&scene, KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(malformed); i++) {
                int control = scene_connect(&scene);

                send_text(control, malformed[i]);
                scene_expect_error(control, "org.varlink.service.InvalidParameter", NULL);
                scene_expect_ended(control);
                scene_serve_honest(&scene);
        }
        scene_end(&scene);
}

Test(bad_input, depth_of_16_is_not_too_deep) {
        json_t *reply;
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        send_text(control,
                  "{'method':'org.varlink.service.GetInfo','x.y':[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}");
        reply = scene_receive(control);
        kit_expect_success(reply);
        json_decref(reply);
        close(control);
        scene_end(&scene);
}

#define INVALID "org.varlink.service.InvalidParameter"

/* Answered with an error, and the connection goes on. */
static const struct {
        const char *call;
        const char *error;
        const char *parameter; /* of InvalidParameter */
} refused[] = {
        { "{}", INVALID, "method" },
        { "{'method':null}", INVALID, "method" },
        { "{'method':1}", INVALID, "method" },
        { "{'method':''}", INVALID, "method" },
        { "{'method':'List'}", INVALID, "method" },
        { "{'method':'.List'}", INVALID, "method" },
        { "{'method':'io.reuseportd.'}", "org.varlink.service.MethodNotFound", NULL },
        { "{'method':'io.reuseportd.list'}", "org.varlink.service.MethodNotFound", NULL },
        { "{'method':'io.reuseportd.Dial'}", INVALID, "network" },
        { "{'method':'io.reuseportd'}", "org.varlink.service.InterfaceNotFound", NULL },
        { "{'method':'IO.reuseportd.List'}", "org.varlink.service.InterfaceNotFound", NULL },
        { "{'method':'org.example.List'}", "org.varlink.service.InterfaceNotFound", NULL },
        { "{'method':'io.reuseportd.List','bogus':1}", INVALID, "bogus" },
        { "{'method':'io.reuseportd.List','more':1}", INVALID, "more" },
        { "{'method':'io.reuseportd.List','oneway':'true'}", INVALID, "oneway" },
        { "{'method':'io.reuseportd.List','upgrade':true}", INVALID, "upgrade" },
        { "{'method':'io.reuseportd.List','parameters':[]}", INVALID, "parameters" },
        { "{'method':'io.reuseportd.List','parameters':'{}'}", INVALID, "parameters" },
        { "{'method':'io.reuseportd.List','parameters':{'endpoint':1}}", INVALID, "endpoint" },
        { "{'method':'io.reuseportd.List','parameters':{'Endpoint':'x'}}", INVALID, "Endpoint" },
        { "{'method':'io.reuseportd.List','parameters':{'endpoint':'x'}}", "NoSuchEndpoint", NULL },
        { "{'method':'io.reuseportd.Release'}", INVALID, "leases" },
        { "{'method':'io.reuseportd.Release','parameters':{'leases':null}}", INVALID, "leases" },
        { "{'method':'io.reuseportd.Release','parameters':{'leases':[1]}}", INVALID, "leases[0]" },
        { "{'method':'io.reuseportd.Release','parameters':{'leases':['l1-00000000']}}", "NoSuchLease",
          NULL },
        { "{'method':'io.reuseportd.Release','parameters':{'leases':['']}}", "NoSuchLease", NULL },
        { "{'method':'io.reuseportd.Watch','parameters':{}}", "org.varlink.service.ExpectedMore", NULL },
        { ACQUIRE(""), INVALID, "sockets" },
        { ACQUIRE("null"), INVALID, "sockets[0]" },
        { ACQUIRE("{}"), INVALID, "sockets[0].network" },
        { ACQUIRE("{'network':'tcp'}"), INVALID, "sockets[0].address" },
        { ACQUIRE("{'network':'tcp','address':80}"), INVALID, "sockets[0].address" },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:0'},[]"), INVALID, "sockets[1]" },
        { ACQUIRE("{'network':'','address':''}"), "NetworkUnknown", NULL },
        { ACQUIRE("{'network':'TCP','address':':0'}"), "NetworkUnknown", NULL },
        { ACQUIRE("{'network':'tcp','address':'80'}"), "AddressInvalid", NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:65536'}"), "AddressInvalid", NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:-1'}"), "AddressInvalid", NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:2147483648'}"), "AddressInvalid", NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:4294967376'}"), "AddressInvalid", NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:9223372036854775808'}"), "AddressInvalid",
          NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:80.0'}"), "AddressInvalid", NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:0x50'}"), "AddressInvalid", NULL },
        { ACQUIRE("{'network':'tcp','address':'127.0.0.1:++80'}"), "AddressInvalid", NULL },
        { REQUEST("'sharing':'Group'"), INVALID, "sockets[0].sharing" },
        { REQUEST("'sharing':2"), INVALID, "sockets[0].sharing" },
        { REQUEST("'fileDescriptor':0"), INVALID, "sockets[0].fileDescriptor" },
        { REQUEST("'retainSec':-1"), INVALID, "sockets[0].retainSec" },
        { REQUEST("'retainSec':2147483648"), INVALID, "sockets[0].retainSec" },
        { REQUEST("'retainSec':9223372036854775807"), INVALID, "sockets[0].retainSec" },
        { REQUEST("'retainSec':-9223372036854775808"), INVALID, "sockets[0].retainSec" },
        { REQUEST("'retainSec':80.0"), INVALID, "sockets[0].retainSec" },
        { REQUEST("'retainSec':'80'"), INVALID, "sockets[0].retainSec" },
        { REQUEST("'standby':1"), INVALID, "sockets[0].standby" },
        { REQUEST("'name':''"), INVALID, "sockets[0].name" },
        { REQUEST("'name':'a:b'"), INVALID, "sockets[0].name" },
        { REQUEST("'name':'a/../b'"), INVALID, "sockets[0].name" },
        { REQUEST("'name':'a\\\\b'"), INVALID, "sockets[0].name" },
        { REQUEST("'name':'a\\u0007b'"), INVALID, "sockets[0].name" },
        { REQUEST("'options':[]"), INVALID, "sockets[0].options" },
        { REQUEST("'options':{'reuseaddr':true}"), INVALID, "sockets[0].options.reuseaddr" },
        { REQUEST("'options':{'backlog':true}"), INVALID, "sockets[0].options.backlog" },
        { REQUEST("'options':{'backlog':-1}"), "OptionInvalid", NULL },
        { REQUEST("'options':{'backlog':2147483648}"), "OptionInvalid", NULL },
        { REQUEST("'options':{'raw':[{'level':1}]}"), INVALID, "sockets[0].options.raw[0].name" },
};

/* All over one connection: each answer leaves it as it was. */
Test(bad_input, t10_wrong_call_is_answered_and_the_connection_goes_on) {
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        for (size_t i = 0; i < ELEMENTS(refused); i++) {
                send_text(control, refused[i].call);
                scene_expect_error(control, refused[i].error, refused[i].parameter);
        }
        scene_expect_serving(control);
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        close(control);
        scene_end(&scene);
}

/* As many as a call has room for: of values, and of names. */
Test(bad_input, as_many_items_and_keys_as_fit) {
        static char call[CALL_SIZE_MAX];
        size_t n;
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        n = (size_t)sprintf(call, "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[0");
        while (n < sizeof(call) - 8)
                n += (size_t)sprintf(call + n, ",0");
        sprintf(call + n, "]}}");
        harness_send_frame(control, call);
        scene_expect_error(control, INVALID, "leases[0]");

        n = (size_t)sprintf(call, "{\"method\":\"io.reuseportd.List\",\"parameters\":{\"a\":0");
        for (int i = 0; n < sizeof(call) - 16; i++)
                n += (size_t)sprintf(call + n, ",\"a%x\":0", i);
        sprintf(call + n, "}}");
        harness_send_frame(control, call);
        scene_expect_error(control, INVALID, NULL);
        scene_expect_serving(control);
        close(control);
        scene_end(&scene);
}

/* Nobody is upgraded, so what follows is taken for what it is not: calls. */
Test(bad_input, garbage_after_upgrade) {
        static const char calls[] =
                "{\"method\":\"io.reuseportd.List\",\"upgrade\":true}\0GET / HTTP/1.1\r\n\r\n";
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        harness_send(control, calls, sizeof(calls));
        scene_expect_error(control, INVALID, "upgrade");
        scene_expect_error(control, INVALID, NULL);
        scene_expect_ended(control);
        scene_end(&scene);
}

Test(bad_input, long_strings_are_echoed_whole) {
        static char call[CALL_SIZE_MAX];
        json_t *reply;
        size_t n;

        scene_begin(&scene, KIT_CONFIG);
        n = (size_t)sprintf(call, "{\"method\":\"io.reuseportd.");
        while (n < sizeof(call) - 16)
                n += (size_t)sprintf(call + n, "\\u0007");
        sprintf(call + n, "\"}");
        harness_send_frame(scene.honest, call);
        reply = kit_expect_error(scene_receive(scene.honest), "org.varlink.service.MethodNotFound");
        cr_assert(gt(sz, strlen(kit_text(reply, "parameters.method")), 10000));
        json_decref(reply);
        scene_end(&scene);
}

/* ---- descriptors --------------------------------------------------------------------------------- */

/* Where the kernel can (6.16), it refuses them at the sender: then they have not been sent. */
static bool send_with_fds(int control, const char *data, size_t n, int fd, size_t n_fds) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(253 * sizeof(int))];
        } ancillary;
        struct iovec iov = { .iov_base = (char *)data, .iov_len = n };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &ancillary,
                .msg_controllen = CMSG_SPACE(n_fds * sizeof(int)),
        };
        ssize_t sent;

        memset(&ancillary, 0, sizeof(ancillary));
        ancillary.align.cmsg_level = SOL_SOCKET;
        ancillary.align.cmsg_type = SCM_RIGHTS;
        ancillary.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        for (size_t i = 0; i < n_fds; i++)
                memcpy(CMSG_DATA(&ancillary.align) + i * sizeof(int), &fd, sizeof(fd));
        sent = sendmsg(control, &header, MSG_NOSIGNAL);
        cr_assert(sent == (ssize_t)n || errno == EPERM, "%m");
        return sent >= 0;
}

static const struct {
        const char *before; /* sent without descriptors */
        const char *with;
        size_t n; /* bytes of it */
        size_t n_fds;
        const char *after;
} unasked[] = {
        { "", SCENE_PING, sizeof(SCENE_PING), 1, "" },
        { "", SCENE_PING, sizeof(SCENE_PING), 253, "" },
        { "", SCENE_PING, 1, 1, "\"method\":\"org.varlink.service.GetInfo\"}" },
        { "{\"method\":", "\"org.varlink.service.GetInfo\"", 10, 3, "" },
        { "{\"method\":\"org.varlink.service.GetInfo\"", "}", 1, 253, "" },
        { "", "", 1, 1, "" },
};

/* A descriptor nobody asked for ends the connection, unless it did not even arrive. @own: the
 * connection. */
static void expect_refused_descriptors(size_t i, bool own) {
        int control = scene_connect(&scene);
        bool arrived;

        harness_send(control, unasked[i].before, strlen(unasked[i].before));
        arrived = send_with_fds(control, unasked[i].with, unasked[i].n, own ? control : STDIN_FILENO,
                                unasked[i].n_fds);
        scene_serve_honest(&scene);
        if (arrived) {
                send_stubborn(control, unasked[i].after, strlen(unasked[i].after) + 1);
                scene_expect_ended(control);
                return;
        }
        if (!unasked[i].before[0])
                scene_expect_serving(control);
        close(control);
}

Test(bad_input, descriptors_that_nobody_asked_for) {
        scene_begin(&scene, KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(unasked); i++) {
                expect_refused_descriptors(i, false);
                expect_refused_descriptors(i, true);
        }
        scene_end(&scene);
}

/* There they do arrive, and it is the broker that gets rid of them. */
Test(bad_input, descriptors_that_the_kernel_does_not_turn_away) {
        scene_begin_as_set(&scene, KIT_CONFIG, &(Harness){ .uid = geteuid(), .no_pass_rights = true });
        cr_assert(not(kit_is_capable(scene.honest, "passRights")));
        for (size_t i = 0; i < ELEMENTS(unasked); i++) {
                expect_refused_descriptors(i, false);
                expect_refused_descriptors(i, true);
        }
        scene_end(&scene);
}

Test(bad_input, descriptors_beside_no_byte) {
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        send_with_fds(control, "", 0, STDIN_FILENO, 1);
        cr_assert(zero(int, (int)send(control, "", 0, MSG_NOSIGNAL)));
        scene_expect_serving(control);
        close(control);
        scene_end(&scene);
}

/* The kernel drops what the client has no room for; the leases are its to give back. */
Test(bad_input, client_without_room_for_its_descriptors) {
        enum { N_SOCKETS = 8 };
        char *text = scene_acquire_text(N_SOCKETS);
        struct rlimit limit, old;
        char bytes[16384];
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        harness_send_frame(control, text);
        free(text);
        scene_expect_count(&scene, "leases", N_SOCKETS);
        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &old)));
        limit = (struct rlimit){ .rlim_cur = (rlim_t)control + 1, .rlim_max = old.rlim_max };
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        {
                char ancillary[CMSG_SPACE(N_SOCKETS * sizeof(int))];
                struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
                struct msghdr header = { .msg_iov = &iov,
                                         .msg_iovlen = 1,
                                         .msg_control = ancillary,
                                         .msg_controllen = sizeof(ancillary) };

                cr_assert(gt(int, (int)recvmsg(control, &header, MSG_CMSG_CLOEXEC), 0));
                cr_assert(ne(int, header.msg_flags &MSG_CTRUNC, 0));
        }
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &old)));
        scene_serve_honest(&scene);
        close(control);
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}
