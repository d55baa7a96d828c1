/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What a client holds, and what became of it since its broker was lost. */

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "client-lib/internal.h"

typedef enum HoldingState {
        HOLDING_HELD,   /* the broker knows of it */
        HOLDING_UNSURE, /* another broker: it has not been asked yet */
        HOLDING_ASKED,  /* a Resume that names it is under way */
        HOLDING_LOST,   /* the broker does not know of it */
} HoldingState;

struct Holding {
        UT_hash_handle hh;   /* by lease */
        PendingCall *call;   /* the Acquire */
        size_t index;        /* of the socket in it */
        SocketReply *socket; /* lease, cookie, network and address; one block */
        HoldingState state;
        bool told;   /* that it was resumed, since the broker was lost */
        bool in_way; /* the program was asked to close its descriptor */
        bool ready;
        bool draining;
        int64_t weight; /* WIRE_ABSENT: as it was acquired */
};

enum {
        _HOLDING_E_SUCCESS,
        HOLDING_E_UNKNOWN, /* what was asked for has no such socket */
};

Holding *holding_free(Holding *holding);
CLEANUP_DEFINE(Holding, holding_free)

/* NULL: not held. */
Holding *holdings_find(const reuse_client *client, const char *lease);

/* Notes it, in place of one of the same name. Consumes @holding, also on failure. Returns 0
 * or -ENOMEM. */
int holdings_attach(reuse_client *client, Holding *holding);

/* Forgets it. The first leaves the holding to the caller. */
void holdings_detach(reuse_client *client, Holding *holding);
void holdings_remove(reuse_client *client, Holding *holding);

/* Of another broker nobody knows what it knows. Returns 0 or -ENOMEM. */
int holdings_doubt(reuse_client *client);

/* The lifetime that was asked for; -1: none was said. Returns 0 or -ENOMEM. */
int holding_lifetime(const Holding *holding, int *ret);

/*
 * What to ask for in place of a lost lease. @ret borrows from *@ret_message, the caller's, and from the
 * holding. Returns 0, HOLDING_E_UNKNOWN, or -ENOMEM.
 */
int holding_request(const Holding *holding, Message **ret_message, SocketRequest *ret,
                    int *ret_lifetime);

/*
 * Takes @lease, which is lost, out of every Release in the queue: it is not to be asked for again, and
 * would have the broker refuse the others. Returns 1 if it was in one, 0, or a negative errno.
 */
int client_release_trim(reuse_client *client, const char *lease);
