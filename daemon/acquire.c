/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Acquire: from what was asked for to leases and descriptors. Everything is checked before anything is
 * done, and what was done is undone if a later socket of the same call fails: all or none.
 *
 * The steps return 0 to go on, CONTEXT_E_REFUSED when the call has been answered with an error, or a
 * negative errno.
 */

#include <errno.h>

#include "daemon/describe.h"
#include "daemon/join.h"
#include "daemon/lifeline.h"
#include "daemon/methods.h"
#include "daemon/place.h"
#include "daemon/process.h"
#include "daemon/refusal.h"
#include "daemon/wanted.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

typedef struct Acquired {
        Wanted *wanted;
        size_t n;
        Process *lifeline; /* for the lifetime "descriptor"; the leases have references of their own */
        int lifeline_fd;   /* the client's end; -1: there is none */
} Acquired;

static int acquire_all(Context *context, const LeaseTerms *terms, Acquired *acquired) {
        size_t n = acquired->n;
        Wanted *wanted = acquired->wanted;
        SocketReply *sockets = message_allocate(context->message, n * sizeof(*sockets));
        AcquireOut out = { .sockets = { .items = sockets, .n = n },
                           .lifetime_file_descriptor = WIRE_ABSENT };
        int r;

        if (!sockets)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++) {
                r = place_socket(context, terms, &wanted[i]);
                if (r == 0)
                        r = describe_socket(wanted[i].lease, wanted[i].request->options,
                                            context->message, &sockets[i]);
                if (r == 0)
                        r = fdlist_add(&context->fds, wanted[i].lease->member->fd);
                if (r != 0)
                        return r;
                sockets[i].socket_file_descriptor = (int64_t)i;
                sockets[i].adopted = (Tristate)wanted[i].adopted;
        }
        if (acquired->lifeline) {
                out.lifetime_file_descriptor = (int64_t)n;
                r = fdlist_add(&context->fds, acquired->lifeline_fd);
                if (r < 0)
                        return error_trace(r);
        }
        return context_reply(context, &out);
}

static int acquire_lifeline(Context *context, Acquired *acquired) {
        _cleanup_(charge_deinit) Charge charge = {};
        int r;

        r = user_charge(context->user, RESOURCE_DESCRIPTORS, 1, &charge);
        if (r != 0)
                return refuse_quota(context, NULL, RESOURCE_DESCRIPTORS, r);
        r = lifeline_new(context->services->event, &acquired->lifeline_fd, &acquired->lifeline);
        if (r > 0)
                return refuse_failure(context, "pipe", NULL, errno);
        if (r < 0)
                return error_trace(r);
        acquired->lifeline->charge = charge_take(&charge);
        return 0;
}

static int acquire_terms(Context *context, const AcquireIn *in, Acquired *acquired, LeaseTerms *ret) {
        int r = 0;

        *ret = (LeaseTerms){ .subject = context->subject,
                             .user = context->user,
                             .connection = context->connection };
        if (in->lifetime == LIFETIME_PROCESS)
                return require_process(context, &ret->process);
        if (in->lifetime == LIFETIME_DESCRIPTOR)
                r = acquire_lifeline(context, acquired);
        ret->process = acquired->lifeline;
        return r;
}

/* A leader of a leader leads all. */
static int acquire_follow(Context *context, Wanted *wanted, size_t index) {
        Wanted *follower = &wanted[index], *leader;

        if (follower->request->same_port_as == WIRE_ABSENT)
                return 0;
        leader = &wanted[follower->request->same_port_as];
        if (!address_has_port(&follower->address) || !address_has_port(&leader->address) ||
            follower->address.port_last > 0)
                return refuse_parameter(context, "samePortAs", index);
        if (leader->leader)
                leader = leader->leader;
        follower->leader = leader;
        follower->next_follower = leader->followers;
        leader->followers = follower;
        return 0;
}

static int acquire_check(Context *context, const AcquireIn *in, Wanted *wanted) {
        const SocketRequest *requests = in->sockets.items;
        int r;

        for (size_t i = 0; i < in->sockets.n; i++) {
                r = wanted_check(context, &requests[i], i, &wanted[i]);
                if (r != 0)
                        return r;
                wanted[i].before = i > 0 ? &wanted[i - 1] : NULL;
                r = acquire_follow(context, wanted, i);
                if (r != 0)
                        return r;
        }
        /* What is wrong with the form of any comes before what policy says of another. */
        for (size_t i = 0; i < in->sockets.n; i++) {
                r = place_check(context, &wanted[i]);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Undone in reverse: the last thing done is the first to go. */
static void acquire_finish(Context *context, bool delivered) {
        Acquired *acquired = context->finish_data;

        for (size_t i = 0; i < acquired->n && delivered; i++) {
                lease_commit(acquired->wanted[i].lease, acquired->wanted[i].adopted);
                endpoint_change_commit(&acquired->wanted[i].change);
        }
        for (size_t i = acquired->n; i > 0 && !delivered; i--)
                join_undo(&acquired->wanted[i - 1]);
        /* What was sent is on its way, and keeps them. */
        acquired->lifeline = process_unref(acquired->lifeline);
        acquired->lifeline_fd = fd_close(acquired->lifeline_fd);
}

int method_acquire(Context *context, const void *p) {
        const AcquireIn *in = p;
        size_t n = in->sockets.n;
        LeaseTerms terms;
        Acquired *acquired;
        int r;

        if (context->silent)
                return 0; /* nobody would ever receive the descriptors */
        if (n == 0)
                return context_refuse(context, WIRE_ERROR_INVALID_PARAMETER,
                                      &(ErrorParameters){ .parameter = "sockets" });
        if (n > SOCKETS_MAX)
                return context_refuse(
                        context, WIRE_ERROR_QUOTA_EXCEEDED,
                        &(ErrorParameters){ .resource = "sockets in one call", .limit = SOCKETS_MAX });
        acquired = message_allocate(context->message, sizeof(*acquired));
        if (!acquired)
                return error_origin(-ENOMEM);
        *acquired = (Acquired){ .wanted = message_allocate(context->message, n * sizeof(Wanted)),
                                .n = n,
                                .lifeline_fd = -1 };
        if (!acquired->wanted)
                return error_origin(-ENOMEM);
        context->fds = FDLIST_BORROWING; /* the endpoints own them */
        context->finish_data = acquired;
        r = acquire_check(context, in, acquired->wanted);
        if (r == 0)
                r = acquire_terms(context, in, acquired, &terms);
        if (r == 0)
                r = acquire_all(context, &terms, acquired);
        else
                acquired->n = 0; /* nothing was done yet */
        if (r == 0) {
                context->finish = acquire_finish;
        } else {
                fdlist_deinit(&context->fds); /* an error carries none */
                acquire_finish(context, false);
        }
        return r < 0 ? error_trace(r) : 0;
}
