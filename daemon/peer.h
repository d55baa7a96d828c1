/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One client: its credentials, channel, charge and leases, from accept to its end. Faults of serving it
 * stop here: they are logged, this client is hung up on, and nobody else notices.
 */

#include <sys/queue.h>

#include "daemon/services.h"
#include "daemon/timer.h"

typedef struct Peer Peer;

typedef struct PeerList {
        LIST_HEAD(, Peer) peers;
        TAILQ_HEAD(, Peer) partial; /* whose call has not come whole yet; the longest first */
        Timer timer;                /* when the first of them has had its time */
        bool *timers_changed;
} PeerList;

enum {
        _PEER_E_SUCCESS,
        /* The user, or all together, have too many connections. The peer is told in its user's turn, or
         * hung up on at once if that user has many who are to be told. */
        PEER_E_LIMIT,
};

/* Returns 0 or a negative errno; peer_list_end() may follow either. */
int peer_list_init(PeerList *list, Services *services);

/* Starts serving @fd, which is consumed, also on failure. Returns 0, PEER_E_LIMIT, or a
 * negative errno. */
int peer_new(Services *services, PeerList *list, int fd);

/* Sends what can be sent at once, and leaves peers and leases as they are; for the end of the broker. */
void peer_list_flush(PeerList *list);

/* Ends all peers, after sending what can be sent at once. */
void peer_list_end(PeerList *list);
