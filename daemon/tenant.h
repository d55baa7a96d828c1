/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Whose an endpoint is: a tenant that rules name, or, where the rule names none, the user who asks. What
 * belongs to one tenant is kept from every other, as the kernel keeps the sockets of users apart.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "proto/limits.h"

/* A value; compared by tenant_equal(). */
typedef struct Tenant {
        uid_t uid;                    /* whose own, where there is no name */
        char name[NAME_SIZE_MAX + 1]; /* "": a user's own */
} Tenant;

enum {
        TENANT_TEXT_MAX = NAME_SIZE_MAX + 16,
};

/* @name: that of a rule, or NULL for the own of @uid. */
Tenant tenant_of(const char *name, uid_t uid);

bool tenant_equal(const Tenant *a, const Tenant *b);

/* For people: "web", or "uid 1000". Returns @buffer. */
const char *tenant_text(const Tenant *tenant, char buffer[static TENANT_TEXT_MAX]);
