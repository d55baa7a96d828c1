/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Other servers that replace their workers without a pause: nginx and HAProxy, as packaged. */

#include <stddef.h>

#include "tests/bench/child.h"

typedef enum PeerKind { PEER_NGINX, PEER_HAPROXY, _PEER_KIND_N } PeerKind;

/* What a client sends, and how the answer begins. */
#define PEER_REQUEST "GET / HTTP/1.0\r\n\r\n"
#define PEER_ANSWER "HTTP/1.1 200"

typedef struct Peer {
        PeerKind kind;
        Child child;
        size_t reloads;
} Peer;

enum {
        _PEER_E_SUCCESS,
        PEER_E_MISSING, /* it is not installed */
};

/*
 * Starts the server with @workers workers, or threads, at the address of KIND_TCP4, its files in
 * @folder, and waits until it answers. Returns 0, PEER_E_MISSING, or a negative errno; the caller ends
 * @peer with peer_stop(), in any case.
 */
int peer_start(PeerKind kind, const char *folder, size_t workers, Peer *peer);
void peer_stop(Peer *peer);

/* Has all workers replaced, as its own reload command does. Returns 0 or a negative errno. */
int peer_reload(Peer *peer);
