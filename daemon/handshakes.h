/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * TCP connections that are being made to a port: the SYN was answered and the last ACK is not there yet.
 * They belong to the listener that took the SYN, wherever new ones go by now; which one that was the
 * kernel does not tell.
 */

#include <stddef.h>
#include <stdint.h>

#include "proto/address.h"

typedef struct Namespace Namespace;

typedef struct Handshakes {
        uint64_t *cookies; /* ascending */
        size_t n;
} Handshakes;

/* Those of @address's port, at any of its addresses, now. Returns 0 or a negative errno. */
int handshakes_read(const Address *address, Handshakes *ret);

/* The same in another network namespace; NULL: in the broker's own. Where nobody can be asked any more,
 * for its name has gone, there are none. */
int handshakes_read_in(const Namespace *network_namespace, const Address *address, Handshakes *ret);

/* Returns 0 or -ENOMEM. */
int handshakes_copy(const Handshakes *handshakes, Handshakes *ret);

void handshakes_deinit(Handshakes *handshakes);

/* Leaves in @some those that are in @now as well: the others have been completed, or given up. */
void handshakes_keep(Handshakes *some, const Handshakes *now);
