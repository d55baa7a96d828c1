/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* UNIX stream sockets that carry frames, each ended by a NUL, each with at most one descriptor. */

#include <stddef.h>

enum {
        LINK_FRAME_MAX = 16 * 1024,
        /* No step of a measurement takes that long: whoever waits longer gives up with -EAGAIN. */
        LINK_TIMEOUT_SEC = 10,
};

/* A listening socket at @path, the caller's. Returns 0 or a negative errno. */
int link_listen(const char *path, int *ret_fd);

/* A connected socket, the caller's, with LINK_TIMEOUT_SEC. Returns 0 or a negative errno. */
int link_connect(const char *path, int *ret_fd);

/* Sends @n bytes, the NUL among them, and @passed if it is not -1. Borrows @passed. 0 or a negative
 * errno. */
int link_send(int fd, const char *frame, size_t n, int passed);

/*
 * Waits for one frame. @buffer holds LINK_FRAME_MAX bytes. *@ret_n counts the NUL. *@ret_passed is the
 * descriptor that came along, the caller's, or -1.
 * Returns 0, -ECONNRESET when the peer has gone, or another negative errno.
 */
int link_receive(int fd, char *buffer, size_t *ret_n, int *ret_passed);
