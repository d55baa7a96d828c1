/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Two channels over one socket pair, and what a peer that follows no rule would do with its end. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "proto/channel.h"
#include "proto/cleanup.h"
#include "tests/unit/leaks.h"

enum {
        FRAME_MAX = 64 * 1024,
        FDS_MAX = 253,
};

static int n_fds;
static int raw[2];
static Channel left, right;

static inline void setup(void) {
        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, raw)));
        channel_init(&left, raw[0], FRAME_MAX, true);
        channel_init(&right, raw[1], FRAME_MAX, true);
}

/* To be called in the body, see leaks.h. */
static inline void teardown(void) {
        channel_deinit(&left);
        channel_deinit(&right);
        leaks_expect_fds(n_fds);
}

static inline void count_and_setup(void) {
        n_fds = leaks_count_fds();
        setup();
}

/* @n descriptors of pipes, each of its own inode. */
static inline FDList open_fds(size_t n) {
        FDList list = FDLIST_INIT;

        for (size_t i = 0; i < n; i++) {
                int fds[2];

                cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
                fd_close(fds[1]);
                cr_assert(zero(int, fdlist_add(&list, fds[0])));
        }
        return list;
}

static inline ino_t inode(int fd) {
        struct stat st;

        cr_assert(zero(int, fstat(fd, &st)));
        return st.st_ino;
}

static inline int send_text(Channel *channel, const char *text, FDList *fds) {
        return channel_send(channel, text, strlen(text) + 1, fds);
}

/* Sends by hand, what a peer that follows no rule could send. */
static inline void send_raw(int fd, const char *data, size_t n, const FDList *fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (char *)data, .iov_len = n };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fds) {
                header.msg_control = &control;
                header.msg_controllen = CMSG_SPACE(fds->n * sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(fds->n * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds->fds, fds->n * sizeof(int));
        }
        cr_assert(eq(long, sendmsg(fd, &header, MSG_NOSIGNAL), (long)n));
}

/* Reads until nothing is there. The last answer of channel_receive(). */
static inline int receive_all(Channel *channel) {
        int r;

        while ((r = channel_receive(channel, false)) == 0)
                ;
        return r;
}

static inline void expect_frame(Channel *channel, const char *text) {
        char *frame;
        size_t n;

        cr_assert(zero(int, channel_next(channel, &frame, &n)));
        cr_assert(eq(sz, n, strlen(text)));
        cr_assert(eq(str, frame, (char *)text));
}

static inline void expect_no_frame(Channel *channel) {
        char *frame;
        size_t n;

        cr_assert(eq(int, channel_next(channel, &frame, &n), CHANNEL_E_AGAIN));
}

/* A frame too large for what the socket holds at once, without its last NUL. */
static inline char *big_frame(size_t n) {
        char *data = malloc(n + 1);

        cr_assert(ne(ptr, data, NULL));
        for (size_t i = 0; i < n; i++)
                data[i] = (char)('a' + i % 19);
        data[n] = '\0';
        return data;
}

/* Sends something until the channel has to queue it; the peer reads nothing. */
static inline void stuff(Channel *channel) {
        char *data = big_frame(FRAME_MAX - 1);
        int r;

        do
                r = send_text(channel, data, NULL);
        while (r == 0);
        cr_assert(eq(int, r, CHANNEL_E_AGAIN));
        cr_assert(gt(sz, channel_pending(channel), 0));
        free(data);
}
