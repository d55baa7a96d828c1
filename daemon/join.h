/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The lease on a member, once policy has said that this client may have it. Each returns 0 with
 * wanted->lease, CONTEXT_E_REFUSED when the call has been answered, or a negative errno.
 */

#include "daemon/wanted.h"

enum {
        /* Beside CONTEXT_E_REFUSED. Somebody else has the address, or one that overlaps it. */
        JOIN_E_TAKEN = 2,
};

/*
 * A new endpoint of wanted->tenant at wanted->address, whose port is fixed and which no endpoint has.
 * @unused_port: a free port is being looked for. Returns also JOIN_E_TAKEN.
 */
int join_new_endpoint(Context *context, const LeaseTerms *terms, Wanted *wanted, bool unused_port);

/* Takes back what was acquired, and is not handed over; nothing, if nothing was. */
void join_undo(Wanted *wanted);

/* A member of an endpoint that the client may share: its own, one that is left over, or the one
 * of all. */
int join_existing(Context *context, const LeaseTerms *terms, Wanted *wanted, Endpoint *endpoint);
