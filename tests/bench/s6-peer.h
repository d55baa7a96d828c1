/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * s6-fdholderd, asked through libs6: a daemon that keeps descriptors which its clients made, and hands
 * out copies of them by name. It makes no sockets, and its protocol is binary.
 */

typedef struct S6Peer S6Peer;

/*
 * Starts s6-fdholder-daemon with its files in @folder, connects to it, and stores one socket in it.
 * Returns 0 with *@ret the caller's, -EOPNOTSUPP when built without libs6, -ECHILD when the program is
 * not there, or another negative errno.
 */
int s6_peer_new(const char *folder, S6Peer **ret);

/* Ends the daemon as well. Takes NULL; returns NULL. */
S6Peer *s6_peer_free(S6Peer *peer);

/* Steps of a contest, over an S6Peer. */

/* Gets a copy of the socket stored; closes it. Nobody keeps account of who has it. */
int s6_peer_step_retrieve(void *userdata);
int s6_peer_step_close(void *userdata);

/* Makes a group's socket, stores it, and gets it as its taker would; has it deleted, and closes it. */
int s6_peer_step_make(void *userdata);
int s6_peer_step_delete(void *userdata);

/* Connects and gets a copy of the socket stored; closes both. */
int s6_peer_step_visit(void *userdata);
int s6_peer_step_leave(void *userdata);
