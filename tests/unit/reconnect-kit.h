/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the tests of a broker that goes and comes back share. */

#include "tests/unit/fake-broker.h"

enum {
        KIT_TEXT_MAX = 96 * 1024,
        KIT_SHORT_USEC = 5000,
};

#define KIT_REFUSAL                                                                                     \
        "{\"error\":\"io.reuseportd.QuotaExceeded\",\"parameters\":{\"resource\":\"connections\","      \
        "\"limit\":8}}"

/* What the handler for notices was told: "lost resumed:l0 gone:l1=ENOENT back". */
typedef struct Notices {
        char text[1024];
        size_t n;
        reuse_sockets *taken; /* the last */
        bool leaves;          /* the handler takes no sockets */
        int result;
} Notices;

static inline int kit_note(reuse_client *client, reuse_notice *notice, void *userdata) {
        static const char *const words[] = {
                "?", "lost", "resumed", "close", "replaced", "gone", "back"
        };
        const reuse_error *error = reuse_notice_get_error(notice);
        const char *lease = reuse_notice_get_lease(notice);
        Notices *notices = userdata;
        size_t n = strlen(notices->text);

        (void)client;
        notices->n++;
        snprintf(notices->text + n, sizeof(notices->text) - n, "%s%s%s%s%s%s", n > 0 ? " " : "",
                 words[reuse_notice_get_what(notice)], lease ? ":" : "", lease ?: "", error ? "=" : "",
                 error ? strerrorname_np(-reuse_error_get_errno(error)) : "");
        if (!notices->leaves) {
                reuse_sockets *sockets = reuse_notice_take_sockets(notice);

                if (sockets) {
                        reuse_sockets_free(notices->taken);
                        notices->taken = sockets;
                        cr_assert(eq(ptr, reuse_notice_take_sockets(notice), NULL));
                }
        }
        return notices->result;
}

/* The next whole call, whatever its length; the caller compares. */
static inline const char *kit_hear(Broker *broker) {
        static char heard[KIT_TEXT_MAX];
        size_t n = 0;

        do {
                cr_assert(lt(sz, n, sizeof(heard)));
                cr_assert(eq(long, recv(broker->peer, &heard[n], 1, 0), 1), "nothing after %.*s", (int)n,
                          heard);
        } while (heard[n++] != '\0');
        return heard;
}

static inline void kit_expect(Broker *broker, const char *text) {
        expect_text(kit_hear(broker), text);
}

/* Answers an Acquire with one socket for each of @n leases, all of them the socket @fd. */
static inline void kit_say_acquired(Broker *broker, const char *const *leases, size_t n, int fd) {
        static char text[KIT_TEXT_MAX];
        int fds[64];
        size_t at;

        at = (size_t)snprintf(text, sizeof(text), "{\"parameters\":{\"sockets\":[");
        for (size_t i = 0; i < n; i++) {
                fds[i] = fd;
                at += (size_t)snprintf(
                        text + at, sizeof(text) - at,
                        "%s{\"lease\":\"%s\",\"endpoint\":\"e1\",\"socketFileDescriptor\":%zu,"
                        "\"cookie\":\"%" PRIu64 "\",\"network\":\"tcp4\","
                        "\"address\":\"127.0.0.1:8080\",\"sharing\":\"group\",\"adopted\":false,"
                        "\"options\":{}}",
                        i > 0 ? "," : "", leases[i], i, socket_cookie(fd));
        }
        snprintf(text + at, sizeof(text) - at, "]}}");
        broker_say_with(broker, text, fds, n);
}

/* The client acquires @request, and gets these leases. The descriptors are closed. Returns the cookie of
 * all. */
static inline uint64_t kit_hold_request(Broker *broker, reuse_request *request,
                                        const char *const *leases, size_t n) {
        reuse_sockets *sockets = NULL;
        uint64_t cookie;
        int fd;

        open_sockets(&fd, 1);
        cookie = socket_cookie(fd);
        kit_say_acquired(broker, leases, n, fd);
        cr_assert(zero(int, reuse_client_acquire(broker->client, request, &sockets, NULL)));
        kit_hear(broker);
        reuse_sockets_free(sockets);
        reuse_request_free(request);
        close(fd);
        return cookie;
}

/* The client holds "l0", for the connection. */
static inline uint64_t kit_hold(Broker *broker) {
        return kit_hold_request(broker, request_of(1), (const char *const[]){ "l0" }, 1);
}

/* A client that holds "l0" and has a handler for notices. */
static inline void kit_start(Broker *broker, Notices *notices) {
        *notices = (Notices){ 0 };
        broker_start(broker);
        kit_hold(broker);
        reuse_client_set_notice_handler(broker->client, kit_note, notices);
}

static inline void kit_end(Broker *broker, Notices *notices) {
        notices->taken = reuse_sockets_free(notices->taken);
        broker_end(broker);
}

/* The broker dies, and the next one has the client's connection. */
static inline void kit_come_back(Broker *broker) {
        broker_hang_up(broker);
        cr_assert(zero(int, client_settle(broker->client)));
        broker_accept(broker);
}

/* Nobody listens there any more. */
static inline void kit_stop_listening(Broker *broker) {
        close(broker->listener);
        broker->listener = -1;
        unlink(broker->path);
}

static inline void kit_listen_again(Broker *broker) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strcpy(address.sun_path, broker->path);
        broker->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        cr_assert(zero(int, bind(broker->listener, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(broker->listener, 16)));
}

/* Goes on until the connection ends, or until the broker's side has something to accept or to read.
 * Returns 0 or the error. */
static inline int kit_run(Broker *broker) {
        int r;

        for (;;) {
                struct pollfd pollfd[] = { { .fd = broker->listener, .events = POLLIN },
                                           { .fd = broker->peer, .events = POLLIN } };

                r = client_settle(broker->client);
                if (r < 0 || poll(pollfd, 2, 0) > 0)
                        return r;
                r = reuse_client_wait(broker->client, REUSE_TIMEOUT_INFINITE);
                cr_assert(ge(int, r, 0));
        }
}

/* The client comes back once it may, and has its connection. */
static inline void kit_await(Broker *broker) {
        cr_assert(zero(int, kit_run(broker)));
        broker_accept(broker);
}

/* The client hears this, and does what is to be done then. */
static inline void kit_answer(Broker *broker, const char *text) {
        broker_say(broker, text);
        cr_assert(zero(int, client_settle(broker->client)));
}

/* What a handler saw of its answers: "0 -104 ..." */
static inline int kit_see(reuse_client *client, reuse_reply *reply, void *userdata) {
        char *seen = userdata;
        size_t n = strlen(seen);

        (void)client;
        snprintf(seen + n, 256 - n, "%s%d", n > 0 ? " " : "",
                 reuse_error_get_errno(reuse_reply_get_error(reply)));
        return 0;
}

/* The next call is a Resume. */
static inline void kit_expect_resume(Broker *broker) {
        const char *heard = kit_hear(broker);

        cr_assert(ne(ptr, strstr(heard, "\"io.reuseportd.Resume\""), NULL), "%s", heard);
}

static inline void kit_answer_resume(Broker *broker, const char *text) {
        kit_expect_resume(broker);
        kit_answer(broker, text);
}

/* The client comes back to the next broker, which answers its Resume. */
static inline void kit_resume(Broker *broker, const char *text) {
        kit_come_back(broker);
        kit_answer_resume(broker, text);
}

#define KIT_RESUMED(lease) "{\"parameters\":{\"resumed\":[\"" lease "\"],\"lost\":[]}}"
#define KIT_LOST(lease) "{\"parameters\":{\"resumed\":[],\"lost\":[\"" lease "\"]}}"
