/* SPDX-License-Identifier: BSD-2-Clause */

/* Answers are encoded where they are decided, while everything they point to is still there. */

#include "daemon/context.h"

#include <assert.h>
#include <errno.h>

#include "daemon/group.h"
#include "proto/error.h"
#include "proto/limits.h"

int context_reply(Context *context, const void *out) {
        int r;

        assert(!context->answered);
        services_settle(context->services);
        if (context->silent)
                return 0;
        r = message_encode_reply(&context->services->buffer, &(Reply){ .error = NULL },
                                 context->method->out, out);
        if (r == -EMSGSIZE)
                return context_refuse(
                        context, WIRE_ERROR_QUOTA_EXCEEDED,
                        &(ErrorParameters){ .resource = "bytes in one reply", .limit = REPLY_SIZE_MAX });
        if (r < 0)
                return error_trace(r);
        context->answered = true;
        return 0;
}

void context_finish(Context *context, bool delivered) {
        if (context->finish)
                context->finish(context, delivered);
        context->message = message_free(context->message);
        fdlist_deinit(&context->fds);
}

int context_refuse(Context *context, WireErrorId error, const ErrorParameters *parameters) {
        int r;

        assert(!context->answered);
        if (context->silent)
                return 0;
        r = message_encode_reply(&context->services->buffer,
                                 &(Reply){ .error = wire_errors[error].name },
                                 wire_errors[error].parameters, parameters);
        if (r < 0)
                return error_trace(r);
        context->answered = true;
        return 0;
}
