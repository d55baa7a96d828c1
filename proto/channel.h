/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One connected control socket: frames in, frames out, descriptors beside the frame that names them.
 * Nothing blocks; the owner polls. A frame with descriptors is one sendmsg() of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "proto/fdlist.h"
#include "proto/frame.h"

typedef struct OutFrame OutFrame;

typedef struct Channel {
        int fd;
        /* Whether descriptors are taken in; otherwise their arrival ends the connection. */
        bool takes_fds;
        FrameReader in;
        FDList in_fds; /* received, in order, not yet claimed by a message */
        TAILQ_HEAD(, OutFrame) out;
        size_t out_bytes; /* not yet sent */
} Channel;

enum {
        _CHANNEL_E_SUCCESS,
        CHANNEL_E_AGAIN,       /* nothing to read, or not everything could be sent */
        CHANNEL_E_EOF,         /* the peer has gone */
        CHANNEL_E_OVERSIZED,   /* a frame over the limit */
        CHANNEL_E_DESCRIPTORS, /* descriptors came that are not taken here, or some were lost on the way
                                */
};

/* Consumes @fd. @frame_max: longest frame taken in, its NUL included. */
void channel_init(Channel *channel, int fd, size_t frame_max, bool takes_fds);

/* Closes the socket and every descriptor queued or received. */
void channel_deinit(Channel *channel);

/*
 * Reads once. With @wait and a blocking descriptor, waits for something to read, as long as SO_RCVTIMEO
 * says. Take every whole frame before reading again. Returns 0 when bytes came, CHANNEL_E_*, or a
 * negative errno.
 */
int channel_receive(Channel *channel, bool wait);

/* The next whole frame, valid until channel_receive(). 0, CHANNEL_E_AGAIN, CHANNEL_E_OVERSIZED. */
int channel_next(Channel *channel, char **ret_frame, size_t *ret_n);

/*
 * Sends one frame, now if possible, else queues the rest. @data is @n bytes with the NUL, borrowed.
 * @fds: consumed, also on failure; NULL for none.
 * Returns 0 (all has left), CHANNEL_E_AGAIN (queued), CHANNEL_E_EOF, or a negative errno.
 */
int channel_send(Channel *channel, const char *data, size_t n, FDList *fds);

/* Queues one frame without descriptors: what comes often is to leave together. Returns 0 or -ENOMEM. */
int channel_post(Channel *channel, const char *data, size_t n);

/* Sends what is queued. 0 (all has left), CHANNEL_E_AGAIN, CHANNEL_E_EOF, or a negative errno. */
int channel_flush(Channel *channel);

/* Bytes queued and not yet sent. */
static inline size_t channel_pending(const Channel *channel) {
        return channel->out_bytes;
}
