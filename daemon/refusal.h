/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Answers that say no. Each returns CONTEXT_E_REFUSED once the call has been answered, for the steps of
 * a method to pass up; or a negative errno.
 */

#include "daemon/context.h"
#include "daemon/policy.h"
#include "daemon/wanted.h"

enum {
        _CONTEXT_E_SUCCESS,
        CONTEXT_E_REFUSED,
};

int refuse(Context *context, WireErrorId error, const ErrorParameters *parameters);

#define REFUSE_NO_INDEX SIZE_MAX

/* InvalidParameter: @field of the socket at @index, or of the one request that there is. */
int refuse_parameter(Context *context, const char *field, size_t index);

int refuse_conflict(Context *context, const char *option, const char *have, const char *want);

/* AddressInUse, with the holder of @endpoint; NULL: it is held by somebody outside the broker. */
int refuse_in_use(Context *context, const char *address, const Endpoint *endpoint);

/* SystemFailure. @option may be NULL; @error: a positive errno. */
int refuse_failure(Context *context, const char *step, const char *option, int error);

/*
 * QuotaExceeded, and the watchers learn of it. @wanted: for which socket, or NULL. @outcome:
 * ACCOUNT_E_USER_LIMIT or ACCOUNT_E_LIMIT.
 */
int refuse_quota(Context *context, const Wanted *wanted, Resource resource, int outcome);

/* The parameters of the same. */
ErrorParameters refusal_of_quota(const Accounts *accounts, Resource resource, int outcome);

/* The same for a limit of the rule that gives @wanted. @what: of what, in front of the rule's name. */
int refuse_rule(Context *context, const Wanted *wanted, const char *what, size_t limit);

/* PolicyDenied, for @wanted at @address, and the watchers learn of it. */
int refuse_denied(Context *context, const Wanted *wanted, const Address *address,
                  const PolicyVerdict *verdict);

/* A group could not be steered: @r is what it said, and not 0. @feature: what would take that. */
int refuse_steering(Context *context, const char *feature, int r);

/* The caller's process, borrowed; or answers why it cannot be had. Returns 0, CONTEXT_E_REFUSED, or a
 * negative errno. */
int require_process(Context *context, Process **ret);
