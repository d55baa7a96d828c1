/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A broker that says what a test wants it to say. It runs in the test's own process: its answer is
 * written before the client asks, which to the client looks like a broker that is quick.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client-lib/reuse-client.h"
#include "proto/cleanup.h"
#include "tests/unit/leaks.h"

enum {
        BROKER_FDS_MAX = 253,
};

/* Criterion compares texts that are not const. */
#define expect_text(text, expected) cr_assert(eq(str, (char *)(text), (char *)(expected)))

typedef struct Broker {
        char folder[32];
        char path[64];
        int listener;
        int peer; /* the broker's end of the client's connection */
        reuse_client *client;
        int n_fds; /* of this process, before all this */
} Broker;

/* A control socket that listens; nobody is connected. */
static inline void broker_listen(Broker *broker, int backlog) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        *broker = (Broker){ .peer = -1, .n_fds = leaks_count_fds() };
        strcpy(broker->folder, "/tmp/reuse-test-XXXXXX");
        cr_assert(ne(ptr, mkdtemp(broker->folder), NULL));
        snprintf(broker->path, sizeof(broker->path), "%s/socket", broker->folder);
        strcpy(address.sun_path, broker->path);
        broker->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        cr_assert(ge(int, broker->listener, 0));
        cr_assert(zero(int, bind(broker->listener, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(broker->listener, backlog)));
}

static inline void broker_accept(Broker *broker) {
        broker->peer = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        cr_assert(ge(int, broker->peer, 0));
}

/* A broker and a client connected to it. */
static inline void broker_start(Broker *broker) {
        broker_listen(broker, 16);
        cr_assert(zero(int, reuse_client_connect(broker->path, &broker->client, NULL)));
        broker_accept(broker);
}

static inline void broker_hang_up(Broker *broker) {
        broker->peer = fd_close(broker->peer);
}

/* Ends both sides; nothing may be left. */
static inline void broker_end(Broker *broker) {
        broker->client = reuse_client_free(broker->client);
        broker_hang_up(broker);
        close(broker->listener);
        unlink(broker->path);
        rmdir(broker->folder);
        leaks_expect_fds(broker->n_fds);
}

/* Sends @size bytes, with descriptors beside the first of them. */
static inline void broker_send(Broker *broker, const char *data, size_t size, const int *fds, size_t n) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(BROKER_FDS_MAX * sizeof(int))];
        } control = { .space = { 0 } };
        struct iovec iov = { .iov_base = (char *)data, .iov_len = size };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n > 0) {
                header.msg_control = &control;
                header.msg_controllen = CMSG_SPACE(n * sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
        }
        cr_assert(eq(long, sendmsg(broker->peer, &header, MSG_NOSIGNAL), (long)size));
}

/* A whole frame. */
static inline void broker_say_with(Broker *broker, const char *text, const int *fds, size_t n) {
        broker_send(broker, text, strlen(text) + 1, fds, n);
}

static inline void broker_say(Broker *broker, const char *text) {
        broker_say_with(broker, text, NULL, 0);
}

/* What the client has said and nobody has read yet. */
static inline void broker_expect(Broker *broker, const char *text) {
        char heard[4096];
        ssize_t n = recv(broker->peer, heard, sizeof(heard), 0);

        cr_assert(eq(long, (long)n, (long)strlen(text) + 1), "heard %ld bytes: %s", (long)n,
                  n > 0 ? heard : "");
        expect_text(heard, text);
}

/* The client has said nothing, and is still there. */
static inline void broker_expect_silence(Broker *broker) {
        char byte;

        cr_assert(eq(long, recv(broker->peer, &byte, 1, 0), -1));
        cr_assert(eq(int, errno, EAGAIN));
}

static inline uint64_t socket_cookie(int fd) {
        socklen_t size = sizeof(uint64_t);
        uint64_t cookie = 0;

        getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
        return cookie;
}

/* Adds one element of the reply to an Acquire to @text. */
static inline void write_socket(char *text, size_t size, int64_t index, uint64_t cookie) {
        size_t n = strlen(text);

        snprintf(text + n, size - n,
                 "%s{\"lease\":\"l%" PRId64 "\",\"endpoint\":\"e1\",\"socketFileDescriptor\":%" PRId64
                 ",\"cookie\":\"%" PRIu64 "\",\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\","
                 "\"sharing\":\"group\",\"adopted\":false,\"options\":{},\"later\":[1]}",
                 n > 0 && text[n - 1] == '}' ? "," : "", index, index, cookie);
}

/* The reply to an Acquire with each of @fds in its place. */
static inline void write_acquire_reply(char *text, size_t size, const int *fds, size_t n) {
        snprintf(text, size, "{\"parameters\":{\"sockets\":[");
        for (size_t i = 0; i < n; i++)
                write_socket(text, size, (int64_t)i, socket_cookie(fds[i]));
        strncat(text, "]}}", size - strlen(text) - 1);
}

/* @n sockets; the caller's to close. */
static inline void open_sockets(int *fds, size_t n) {
        for (size_t i = 0; i < n; i++) {
                fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                cr_assert(ge(int, fds[i], 0));
        }
}

static inline void close_sockets(const int *fds, size_t n) {
        for (size_t i = 0; i < n; i++)
                close(fds[i]);
}

/* @n sockets asked for. The caller's to free. */
static inline reuse_request *request_of(size_t n) {
        reuse_request *request = NULL;

        cr_assert(zero(int, reuse_request_new(&request)));
        for (size_t i = 0; i < n; i++)
                cr_assert(eq(int, reuse_request_add(request, "tcp4", "127.0.0.1:80"), (int)i));
        return request;
}

/* Processes until there is nothing more to do. Returns 0 or the error that ended the connection. */
static inline int client_settle(reuse_client *client) {
        int r;

        do
                r = reuse_client_process(client);
        while (r > 0);
        return r;
}
