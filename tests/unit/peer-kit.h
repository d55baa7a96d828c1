/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Peers of a broker without a control socket: each has the other end of a socket pair. */

#include <errno.h>
#include <fcntl.h>

#include "daemon/config.h"
#include "daemon/peer.h"
#include "proto/limits.h"
#include "tests/unit/daemon-kit.h"

#define GET_INFO "{\"method\":\"org.varlink.service.GetInfo\"}"
#define GET_STATUS "{\"method\":\"io.reuseportd.GetStatus\"}"
#define WATCH "{\"method\":\"io.reuseportd.Watch\",\"more\":true}"
#define ACQUIRE(rest)                                                                                   \
        "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{\"network\":\"tcp4\","     \
        "\"address\":\"127.0.0.1:0\",\"retainSec\":0}]" rest "}}"

enum {
        TEXT_MAX = 256 * 1024,
};

static Kit kit;
static PeerList peers;
static char text[TEXT_MAX];

static inline void peers_start(void) {
        char *reason;

        kit_init(&kit, getuid());
        cr_assert(
                zero(int, config_load_from(NULL, NULL, false, getuid(), &kit.services.config, &reason)));
        cr_assert(zero(int, port_pool_new(&kit.services.ports)));
        cr_assert(zero(int, peer_list_init(&peers, &kit.services)));
}

static inline void peers_end(void) {
        peer_list_end(&peers);
        cr_assert(zero(sz, kit.services.accounts.used[RESOURCE_CONNECTIONS]));
        config_free(kit.services.config);
        port_pool_free(kit.services.ports);
        kit_end(&kit);
}

/* The client's end of a connection, or -1 with *@ret_answer. */
static inline int connect_peer(int *ret_answer) {
        int pair[2];

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)));
        *ret_answer = peer_new(&kit.services, &peers, pair[0]);
        return pair[1];
}

static inline int dial(void) {
        int answer, fd = connect_peer(&answer);

        cr_assert(zero(int, answer));
        return fd;
}

static inline void send_bytes(int fd, const void *data, size_t n) {
        cr_assert(eq(long, send(fd, data, n, MSG_NOSIGNAL), (long)n));
}

/* Sends @frame with its NUL and lets the loop run. */
static inline void send_frame(int fd, const char *frame) {
        send_bytes(fd, frame, strlen(frame) + 1);
        kit_turn(&kit);
}

/* All there is to read now, each NUL a newline. Descriptors are closed: their number goes
 * to *@ret_fds. */
static inline const char *receive(int fd, int *ret_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(8 * sizeof(int))];
        } control;
        struct iovec iov = { text, sizeof(text) - 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
        ssize_t n, total = 0;

        if (ret_fds)
                *ret_fds = 0;
        for (;;) {
                iov.iov_base = text + total;
                iov.iov_len = sizeof(text) - 1 - (size_t)total;
                message.msg_controllen = sizeof(control);
                n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                if (n <= 0)
                        break;
                total += n;
                if (message.msg_controllen == 0)
                        continue;
                cr_assert(ne(ptr, ret_fds, NULL), "descriptors that nobody asked for");
                *ret_fds = (int)((control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int));
                for (int i = 0; i < *ret_fds; i++)
                        close(((int *)(void *)CMSG_DATA(&control.header))[i]);
        }
        for (ssize_t i = 0; i < total; i++)
                if (text[i] == '\0')
                        text[i] = '\n';
        text[total] = '\0';
        return text;
}

static inline int count_lines(const char *lines) {
        int n = 0;

        for (; *lines; lines++)
                n += *lines == '\n';
        return n;
}

static inline bool contains(const char *lines, const char *fragment) {
        return strstr(lines, fragment) != NULL;
}

/* With ECONNRESET if not all was read that this end had sent. */
static inline bool has_hung_up(int fd) {
        char byte;
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

        return n == 0 || (n < 0 && errno == ECONNRESET);
}
