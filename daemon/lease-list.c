/* SPDX-License-Identifier: BSD-2-Clause */

/* Looked up before anything is done with one of them: all or none. */

#include "daemon/lease-list.h"

#include <errno.h>

#include "daemon/refusal.h"
#include "proto/error.h"
#include "proto/limits.h"

/* NULL where it may not be used. */
static Lease *find_own(const Context *context, const char *text, const LeaseList *before) {
        Lease *lease = lease_find(&context->services->leases, &context->services->ids, text);

        if (!lease || lease->subject->uid != context->subject->uid)
                return NULL;
        for (size_t i = 0; i < before->n; i++)
                if (before->items[i] == lease)
                        return NULL;
        return lease;
}

int lease_list_find(Context *context, const WireList *texts, LeaseList *ret) {
        const char *const *items = texts->items;
        LeaseList list = { 0 };

        if (texts->n > LEASES_PER_CALL_MAX)
                return refuse(context, WIRE_ERROR_QUOTA_EXCEEDED,
                              &(ErrorParameters){ .resource = "leases in one call",
                                                  .limit = LEASES_PER_CALL_MAX });
        list.items = message_allocate(context->message, texts->n * sizeof(*list.items));
        if (!list.items)
                return error_origin(-ENOMEM);
        while (list.n < texts->n) {
                Lease *lease = find_own(context, items[list.n], &list);

                if (!lease)
                        return refuse(context, WIRE_ERROR_NO_SUCH_LEASE,
                                      &(ErrorParameters){ .lease = items[list.n] });
                list.items[list.n++] = lease;
        }
        *ret = list;
        return 0;
}
