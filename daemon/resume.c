/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Resume: after a broker was lost, its clients come back to the next and name what they hold. Each
 * proves it by the number of the socket, which only its holders and the broker know.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/id.h"
#include "daemon/methods.h"
#include "daemon/process.h"
#include "daemon/refusal.h"
#include "proto/error.h"
#include "proto/limits.h"

/* The lease, if it is there for this client, and may have @lifetime; else NULL. */
static Lease *find_resumable(const Context *context, const ResumeRequest *request, int lifetime) {
        const Services *services = context->services;
        Lease *lease = lease_find(&services->leases, &services->ids, request->lease);
        char cookie[ID_TEXT_MAX];

        if (!lease || lease->subject->uid != context->subject->uid)
                return NULL;
        id_format_decimal(lease->member->cookie, cookie);
        if (strcmp(request->cookie, cookie) != 0)
                return NULL;
        /* It ends with a process or a descriptor, whatever becomes of connections. */
        if (lease->process)
                return lease;
        /* It waits, or was resumed already; there is no descriptor to give. */
        return (lease->owner->waits || lease->owner == context->connection) &&
                               lifetime != LIFETIME_DESCRIPTOR
                       ? lease
                       : NULL;
}

static void resume_one(const Context *context, Lease *lease, Process *process) {
        LeaseOwner *before = lease->owner;

        lease_move(lease, context->connection, process, context->subject);
        if (before->waits)
                grace_resumed(&context->services->grace, before);
}

static void resume(const Context *context, const ResumeIn *in, Process *process, ResumeOut *out) {
        const ResumeRequest *requests = in->leases.items;
        const char **resumed = out->resumed.items, **lost = out->lost.items;

        for (size_t i = 0; i < in->leases.n; i++) {
                Lease *lease = find_resumable(context, &requests[i], in->lifetime);

                if (!lease) {
                        lost[out->lost.n++] = requests[i].lease;
                        continue;
                }
                if (!lease->process)
                        resume_one(context, lease, process);
                resumed[out->resumed.n++] = requests[i].lease;
        }
}

int method_resume(Context *context, const void *p) {
        const ResumeIn *in = p;
        size_t size = in->leases.n * sizeof(char *);
        ResumeOut out = { 0 };
        Process *process = NULL;
        int r = 0;

        if (in->leases.n > LEASES_PER_CALL_MAX) {
                r = refuse(context, WIRE_ERROR_QUOTA_EXCEEDED,
                           &(ErrorParameters){ .resource = "leases in one call",
                                               .limit = LEASES_PER_CALL_MAX });
                return r < 0 ? error_trace(r) : 0;
        }
        out.resumed.items = message_allocate(context->message, size);
        out.lost.items = message_allocate(context->message, size);
        if (!out.resumed.items || !out.lost.items)
                return error_origin(-ENOMEM);
        if (in->lifetime == LIFETIME_PROCESS)
                r = require_process(context, &process);
        if (r != 0)
                return r < 0 ? error_trace(r) : 0;
        resume(context, in, process, &out);
        return context_reply(context, &out);
}
