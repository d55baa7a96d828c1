/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Which endpoint, at which port, a socket that is asked for belongs to. */

#include "daemon/wanted.h"

/*
 * Whether policy may give it, as far as that is to be known before a port is chosen: nothing is made for
 * a call that has no chance. Returns 0, CONTEXT_E_REFUSED, or a negative errno.
 */
int place_check(Context *context, const Wanted *wanted);

/*
 * wanted->rule is the one of @verdict from now on, which is asked once for each socket: whether this
 * user has asked too often. Returns 0, CONTEXT_E_REFUSED, or a negative errno.
 */
int place_under_rule(Context *context, Wanted *wanted, const PolicyVerdict *verdict);

/*
 * An endpoint of the name asked for, if any is, at the address asked for, that @who may join; or NULL.
 * One of their own tenant comes before what others share: no name that these choose leads away from it.
 */
Endpoint *place_find_named(const Context *context, const PolicySubject *who, const Wanted *wanted);

/* Finds the place and joins it. Returns 0 with wanted->lease, CONTEXT_E_REFUSED when the call has been
 * answered, or a negative errno. */
int place_socket(Context *context, const LeaseTerms *terms, Wanted *wanted);
