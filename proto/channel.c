/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Descriptors attach to the first byte of the sendmsg() that carries them, and a reader that gets bytes
 * and descriptors together cannot see where in the bytes they belong. So a frame that has some is sent
 * by calls of its own, descriptors with its first byte. Others share a call, once they had to wait.
 */

#include "proto/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* The kernel's bound on descriptors in one message. */
        SCM_FDS_MAX = 253,
        /* Frames without descriptors that leave in one call. */
        FRAMES_PER_SEND = 64,
};

struct OutFrame {
        TAILQ_ENTRY(OutFrame) entry;
        FDList fds;
        size_t n;
        size_t sent;
        char data[];
};

typedef union ControlBuffer {
        struct cmsghdr header;
        char space[CMSG_SPACE(SCM_FDS_MAX * sizeof(int))];
} ControlBuffer;

void channel_init(Channel *channel, int fd, size_t frame_max, bool takes_fds) {
        *channel = (Channel){ .fd = fd, .takes_fds = takes_fds };
        frame_reader_init(&channel->in, frame_max);
        TAILQ_INIT(&channel->out);
}

static void out_frame_free(Channel *channel, OutFrame *frame) {
        TAILQ_REMOVE(&channel->out, frame, entry);
        channel->out_bytes -= frame->n - frame->sent;
        fdlist_deinit(&frame->fds);
        free(frame);
}

void channel_deinit(Channel *channel) {
        while (!TAILQ_EMPTY(&channel->out))
                out_frame_free(channel, TAILQ_FIRST(&channel->out));
        fdlist_deinit(&channel->in_fds);
        frame_reader_deinit(&channel->in);
        channel->fd = fd_close(channel->fd);
}

/* Takes in what came beside the bytes: all of it, also what alignment let in beyond the room
 * asked for. */
static int channel_claim(Channel *channel, struct msghdr *header) {
        int result = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd, r;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        r = fdlist_add(&channel->in_fds, fd);
                        if (r < 0)
                                result = error_trace(r);
                }
        }
        return result;
}

int channel_receive(Channel *channel, bool wait) {
        ControlBuffer control;
        struct iovec iov;
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        char *room;
        ssize_t n;
        int r;

        r = frame_reader_room(&channel->in, &room, &iov.iov_len);
        if (r == FRAME_E_OVERSIZED)
                return CHANNEL_E_OVERSIZED;
        if (r < 0)
                return error_trace(r);
        iov.iov_base = room;
        /* Without a control buffer the kernel drops descriptors unseen and says that it did. */
        if (channel->takes_fds) {
                header.msg_control = &control;
                header.msg_controllen = sizeof(control);
        }

        do
                n = recvmsg(channel->fd, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                if (errno == EAGAIN)
                        return CHANNEL_E_AGAIN;
                if (errno == ECONNRESET)
                        return CHANNEL_E_EOF;
                return error_origin(-errno);
        }

        r = channel->takes_fds ? channel_claim(channel, &header) : 0;
        if (r < 0)
                return error_trace(r);
        if (header.msg_flags & MSG_CTRUNC)
                return CHANNEL_E_DESCRIPTORS;
        if (n == 0)
                return CHANNEL_E_EOF;
        frame_reader_commit(&channel->in, (size_t)n);
        return 0;
}

int channel_next(Channel *channel, char **ret_frame, size_t *ret_n) {
        switch (frame_reader_next(&channel->in, ret_frame, ret_n)) {
        case 0:
                return 0;
        case FRAME_E_OVERSIZED:
                return CHANNEL_E_OVERSIZED;
        default:
                return CHANNEL_E_AGAIN;
        }
}

/* One sendmsg(). Descriptors have left, and are closed here, once any byte has. */
static int channel_transmit(Channel *channel, struct iovec *iov, size_t n_iov, FDList *fds,
                            size_t *ret_sent) {
        ControlBuffer control;
        struct msghdr header = { .msg_iov = iov, .msg_iovlen = n_iov };
        ssize_t sent;

        if (fds && fds->n > 0) {
                header.msg_control = &control;
                header.msg_controllen = CMSG_SPACE(fds->n * sizeof(int));
                memset(&control, 0, header.msg_controllen);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(fds->n * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds->fds, fds->n * sizeof(int));
        }
        do
                sent = sendmsg(channel->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (sent < 0 && errno == EINTR);
        if (sent < 0) {
                if (errno == EAGAIN)
                        return CHANNEL_E_AGAIN;
                if (errno == EPIPE || errno == ECONNRESET)
                        return CHANNEL_E_EOF;
                return error_origin(-errno);
        }
        if (fds)
                fdlist_sent(fds);
        *ret_sent = (size_t)sent;
        return 0;
}

static int channel_enqueue(Channel *channel, const char *data, size_t n, FDList *fds) {
        OutFrame *frame;
        int r;

        r = fds ? fdlist_own(fds) : 0;
        if (r < 0)
                return error_trace(r);
        frame = malloc(sizeof(*frame) + n);
        if (!frame)
                return error_origin(-ENOMEM);
        frame->n = n;
        frame->sent = 0;
        frame->fds = fds ? *fds : FDLIST_INIT;
        if (fds)
                *fds = FDLIST_INIT;
        memcpy(frame->data, data, n);
        TAILQ_INSERT_TAIL(&channel->out, frame, entry);
        channel->out_bytes += n;
        return 0;
}

int channel_send(Channel *channel, const char *data, size_t n, FDList *fds) {
        size_t sent = 0;
        int r = CHANNEL_E_AGAIN;

        if (fds && fds->n > SCM_FDS_MAX) {
                fdlist_deinit(fds);
                return error_origin(-ENOBUFS);
        }
        if (TAILQ_EMPTY(&channel->out))
                r = channel_transmit(channel, &(struct iovec){ (char *)data, n }, 1, fds, &sent);
        if (r == 0 && sent == n)
                return 0;
        if (r == 0 || r == CHANNEL_E_AGAIN) {
                r = channel_enqueue(channel, data + sent, n - sent, fds);
                if (r == 0)
                        return CHANNEL_E_AGAIN;
        }
        if (fds)
                fdlist_deinit(fds);
        return r < 0 ? error_trace(r) : r;
}

int channel_post(Channel *channel, const char *data, size_t n) {
        return error_trace(channel_enqueue(channel, data, n, NULL));
}

/* The first frame, and those behind it, as long as none has descriptors. Returns how many. */
static size_t channel_gather(const Channel *channel, struct iovec iov[static FRAMES_PER_SEND]) {
        OutFrame *frame = TAILQ_FIRST(&channel->out);
        bool alone = frame->fds.n > 0;
        size_t n = 0;

        do {
                iov[n++] = (struct iovec){ frame->data + frame->sent, frame->n - frame->sent };
                frame = TAILQ_NEXT(frame, entry);
        } while (frame && !alone && frame->fds.n == 0 && n < FRAMES_PER_SEND);
        return n;
}

static void channel_take_off(Channel *channel, size_t sent) {
        while (sent > 0) {
                OutFrame *frame = TAILQ_FIRST(&channel->out);
                size_t left = frame->n - frame->sent, n = sent < left ? sent : left;

                frame->sent += n;
                channel->out_bytes -= n;
                sent -= n;
                if (frame->sent == frame->n)
                        out_frame_free(channel, frame);
        }
}

int channel_flush(Channel *channel) {
        struct iovec iov[FRAMES_PER_SEND];

        while (!TAILQ_EMPTY(&channel->out)) {
                size_t n = channel_gather(channel, iov), sent = 0;
                int r = channel_transmit(channel, iov, n, &TAILQ_FIRST(&channel->out)->fds, &sent);

                if (r != 0)
                        return r < 0 ? error_trace(r) : r;
                channel_take_off(channel, sent);
        }
        return 0;
}
