/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The control socket: made with the mode and group it shall have, and a client accepted at a time. */

#include "daemon/peer.h"
#include "daemon/services.h"

typedef struct Listener Listener;

enum {
        _LISTENER_E_SUCCESS,
        /* Another broker has a socket at the path, or something else is in its place. */
        LISTENER_E_IN_USE,
        /* The path is not absolute, or too long. */
        LISTENER_E_PATH,
};

/*
 * Binds @path, its folder made if only the last one is missing, and starts to accept. Both belong to
 * whom the broker will run as. A socket left behind by a broker that is gone is replaced. Returns 0,
 * LISTENER_E_*, or a negative errno.
 */
int listener_new(Services *services, const char *path, Listener **ret);

/* Stops accepting, ends all clients, removes the socket's file if it is still this listener's. */
Listener *listener_free(Listener *listener);
