/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What an Acquire changes of an endpoint that was there before: its name, its terms, and the options of
 * its parked socket. Until the socket is handed over, all of it can be put back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/lease.h"
#include "daemon/socket-factory.h"
#include "proto/wire.h"

typedef struct EndpointChange {
        const Lease *lease; /* for whose sake; NULL: nothing was changed */
        /* As it was before. */
        bool renamed, reshaped, regrouped;
        char *name; /* if renamed; NULL: none */
        Sharing sharing;
        Options *requested; /* owned once the endpoint has others */
        uint64_t retain_usec;
        SteeringMode steering;
        OptionsBackup *options; /* of the member's socket; NULL: none were set */
} EndpointChange;

/*
 * From here on the endpoint of @lease may be changed for its sake. @lease is borrowed until
 * endpoint_change_undo() or endpoint_change_commit(), one of which must follow.
 */
void endpoint_change_begin(EndpointChange *change, const Lease *lease);

/* Gives the endpoint a name that no other has; NULL: the one it has. Returns 0 or -ENOMEM. */
int endpoint_change_rename(EndpointChange *change, const char *name);

/*
 * Makes the endpoint and the socket of the lease's member, which nobody else holds, what is wanted, as
 * far as a bound socket can be. @options may be NULL, for no wish, and is borrowed as @lease is. Returns
 * 0, SOCKET_FACTORY_E_*, or a negative errno; the socket may be changed in part unless it is 0.
 */
int endpoint_change_reshape(EndpointChange *change, Sharing sharing, uint64_t retain_usec,
                            const Options *options, SocketFailure *ret_failure);

/*
 * Makes the endpoint, with the lease's member alone, a group that is steered so, or none, as its sharing
 * is now. Returns 0, GROUP_E_FULL, or a negative errno.
 */
int endpoint_change_regroup(EndpointChange *change, SteeringMode steering);

/*
 * Puts everything back, unless somebody has acquired the endpoint since: then it stays what they were
 * given. Nothing is done where nothing was begun. The lease ends after this, not before.
 */
void endpoint_change_undo(EndpointChange *change);

/* The change is final. */
void endpoint_change_commit(EndpointChange *change);
