/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The control socket: the service manager's, or made with the mode and group it shall have; and a client
 * accepted at a time.
 */

#include "daemon/peer.h"
#include "daemon/services.h"

typedef struct Inherited Inherited;
typedef struct Listener Listener;

enum {
        /* Who may come before the broker has time, as at its start; the kernel has others wait. */
        LISTENER_BACKLOG = 128,
};

/* What a .socket unit calls it: FileDescriptorName=. */
#define LISTENER_NAME "control"
/* The same of a broker that this one replaces, which made it: its file comes along. */
#define LISTENER_OWN_NAME ".control"

enum {
        _LISTENER_E_SUCCESS,
        /* Another broker has a socket at the path, or something else is in its place. */
        LISTENER_E_IN_USE,
        /* The path is not absolute, or too long. */
        LISTENER_E_PATH,
        /* What was inherited as LISTENER_NAME is no UNIX stream socket that listens. */
        LISTENER_E_INHERITED,
};

/*
 * Starts to accept on the socket that was inherited as LISTENER_NAME, or else on one that listens at
 * @path, which it claims; whose mode, owner and file are for who made it to say. If there is none, binds
 * @path, its folder made if only the last one is missing. Both belong to whom the broker will run as. A
 * socket left behind by a broker that is gone is replaced. Returns 0, LISTENER_E_*, or a negative errno.
 */
int listener_new(Services *services, const char *path, Inherited *inherited, Listener **ret);

/* Where it is, as clients write it. */
const char *listener_path(const Listener *listener);

/* Stops accepting, sends clients what can be sent at once, and removes the socket's file, unless a
 * successor has it: all else is left for the next broker to find. The process has to end. */
void listener_leave(Listener *listener, bool to_successor);

/* Stops accepting, ends all clients, removes the socket's file if this listener made it. */
Listener *listener_free(Listener *listener);
