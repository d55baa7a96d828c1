/* SPDX-License-Identifier: BSD-2-Clause */

/* No text is made of a user's number and compared: a tenant called "1000" is not user 1000. */

#include "daemon/tenant.h"

#include <stdio.h>
#include <string.h>

Tenant tenant_of(const char *name, uid_t uid) {
        Tenant tenant = {};

        if (name)
                snprintf(tenant.name, sizeof(tenant.name), "%s", name);
        else
                tenant.uid = uid;
        return tenant;
}

bool tenant_equal(const Tenant *a, const Tenant *b) {
        return a->uid == b->uid && strcmp(a->name, b->name) == 0;
}

const char *tenant_text(const Tenant *tenant, char buffer[static TENANT_TEXT_MAX]) {
        if (tenant->name[0])
                return strcpy(buffer, tenant->name);
        snprintf(buffer, TENANT_TEXT_MAX, "uid %u", tenant->uid);
        return buffer;
}
