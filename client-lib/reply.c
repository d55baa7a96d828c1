/* SPDX-License-Identifier: BSD-2-Clause */

/* One answer, as long as its handler runs. What the handler does not take goes with it. */

#include <errno.h>
#include <stdlib.h>

#include "client-lib/internal.h"

void reply_deinit(reuse_reply *reply) {
        reuse_error_free(reply->error);
        reuse_sockets_free(reply->sockets);
        message_free(reply->message);
        free(reply->parameters);
        fdlist_deinit(&reply->fds);
        *reply = (reuse_reply){ 0 };
}

_public_ const reuse_error *reuse_reply_get_error(const reuse_reply *reply) {
        if (!reply || reply->number == 0)
                return NULL;
        return reply->error ?: &reuse_error_no_memory;
}

_public_ const char *reuse_reply_get_parameters(reuse_reply *reply) {
        if (!reply || !reply->message)
                return NULL;
        if (!reply->parameters && message_parameters_text(reply->message, &reply->parameters) < 0)
                return NULL;
        return reply->parameters;
}

_public_ int reuse_reply_get_continues(const reuse_reply *reply) {
        return reply && reply->continues;
}

_public_ reuse_sockets *reuse_reply_take_sockets(reuse_reply *reply) {
        return reply ? ptr_take(reply->sockets) : NULL;
}
