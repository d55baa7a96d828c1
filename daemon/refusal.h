/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Answers that say no. Each returns CONTEXT_E_REFUSED once the call has been answered, for the steps of
 * a method to pass up; or a negative errno.
 */

#include "daemon/context.h"
#include "daemon/policy.h"

enum {
        _CONTEXT_E_SUCCESS,
        CONTEXT_E_REFUSED,
};

int refuse(Context *context, WireErrorId error, const ErrorParameters *parameters);

/* InvalidParameter: @field of the socket at @index. */
int refuse_parameter(Context *context, const char *field, size_t index);

int refuse_conflict(Context *context, const char *option, const char *have, const char *want);

/* AddressInUse, with the holder of @endpoint; NULL: it is held by somebody outside the broker. */
int refuse_in_use(Context *context, const char *address, const Endpoint *endpoint);

/* SystemFailure. @option may be NULL; @error: a positive errno. */
int refuse_failure(Context *context, const char *step, const char *option, int error);

/* PolicyDenied, and the watchers learn of it. */
int refuse_denied(Context *context, const PolicyVerdict *verdict);
