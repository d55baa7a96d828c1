/* SPDX-License-Identifier: BSD-2-Clause */

/* TakeOver: another broker is to have everything. What follows is the broker's, between two turns of its
 * loop, when nothing is half done: see handover.h. */

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/methods.h"
#include "daemon/refusal.h"
#include "proto/cleanup.h"
#include "proto/error.h"

typedef struct TakeOver {
        int fd; /* of the broker's side */
} TakeOver;

static void take_over_finish(Context *context, bool delivered) {
        TakeOver *take_over = context->finish_data;

        if (delivered)
                context->services->handover_fd = fd_take(&take_over->fd);
        fd_close(take_over->fd);
}

/* Why not; NULL: it may. */
static const char *take_over_refusal(const Services *services) {
        if (services->state.store)
                return "the service manager keeps what this broker has: restart its unit";
        return services->handover_fd >= 0 ? "another broker takes over already" : NULL;
}

int method_take_over(Context *context, const void *p) {
        const Services *services = context->services;
        const char *reason = take_over_refusal(services);
        uid_t uid = context->subject->uid;
        TakeOver *take_over;
        int pair[2], r;

        if (uid != 0 && uid != geteuid())
                return context_refuse(context, WIRE_ERROR_PERMISSION_DENIED, NULL);
        if (reason || context->silent)
                return context_refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                                      &(ErrorParameters){ .feature = "TakeOver", .reason = reason });
        take_over = message_allocate(context->message, sizeof(*take_over));
        if (!take_over)
                return error_origin(-ENOMEM);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
                r = refuse_failure(context, "socketpair", NULL, errno);
                return r < 0 ? error_trace(r) : 0;
        }
        take_over->fd = pair[0];
        context->finish_data = take_over;
        context->finish = take_over_finish;
        r = fdlist_add(&context->fds, pair[1]);
        if (r == 0)
                r = context_reply(context, &(TakeOverOut){ .socket_file_descriptor = 0 });
        return error_trace(r);
}
