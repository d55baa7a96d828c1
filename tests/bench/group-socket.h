/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The one thing the kernel has to do for a new member of a group, whoever asks. */

#include <netinet/in.h>

/*
 * Makes a TCP socket that listens in a SO_REUSEPORT group at @address; port 0: a free one, written back.
 * *@ret_fd is the caller's. Returns 0 or a negative errno.
 */
int group_socket_listen(struct sockaddr_in *address, int *ret_fd);
