/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What becomes of that which waits on a member when it leaves: the promise that this endpoint
 * can keep. */

#include "daemon/endpoint.h"

typedef struct Continuity {
        /* "migrate": goes to the others. "adopt": waits for another client. "none": is lost. */
        const char *promise;
        const char *reason; /* static */
} Continuity;

Continuity continuity_of(const Endpoint *endpoint);
