/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Which endpoint, at which port, a socket that is asked for belongs to. */

#include "daemon/wanted.h"

/* Finds the place and joins it. Returns 0 with wanted->lease, CONTEXT_E_REFUSED when the call has been
 * answered, or a negative errno. */
int place_socket(Context *context, const LeaseTerms *terms, Wanted *wanted);
