/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The leases that a call names. */

#include <stddef.h>

#include "daemon/context.h"

typedef struct LeaseList {
        Lease **items;
        size_t n;
} LeaseList;

/*
 * Finds every lease of @texts (strings), in memory of the call's. Another user's lease is as good as
 * unknown, and so is one that is named twice. Returns 0, CONTEXT_E_REFUSED, or a negative errno.
 */
int lease_list_find(Context *context, const WireList *texts, LeaseList *ret);
