/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The whole attack surface in one table. Before a method runs, its call is a known name, every field
 * known and typed, nothing doubled and nothing missing.
 */

#include "daemon/dispatch.h"

#include <errno.h>
#include <string.h>

#include "daemon/methods.h"
#include "proto/error.h"
#include "proto/interface.h"

typedef struct Method {
        MethodFunction function; /* NULL: in the interface, and not built yet */
        bool sends_fds;          /* then never with "more": descriptors ride on final replies only */
} Method;

static const Method methods[_WIRE_METHOD_N] = {
        [WIRE_METHOD_ACQUIRE] = { method_acquire, true },
        [WIRE_METHOD_RELEASE] = { method_release, false },
        [WIRE_METHOD_LIST] = { method_list, false },
        [WIRE_METHOD_WATCH] = { method_watch, false },
        [WIRE_METHOD_GET_STATUS] = { method_get_status, false },
        [WIRE_METHOD_GET_INFO] = { method_get_info, false },
        [WIRE_METHOD_GET_INTERFACE_DESCRIPTION] = { method_get_interface_description, false },
        [WIRE_METHOD_DIAL] = { method_dial, true },
        [WIRE_METHOD_READY] = { method_ready, false },
        [WIRE_METHOD_DRAIN] = { method_drain, false },
        [WIRE_METHOD_SET_WEIGHT] = { method_set_weight, false },
        [WIRE_METHOD_RESUME] = { method_resume, false },
        [WIRE_METHOD_TAKE_OVER] = { method_take_over, true },
        [WIRE_METHOD_EXPLAIN] = { method_explain, false },
};

static int refuse_parameter(Context *context, const char *parameter) {
        return context_refuse(context, WIRE_ERROR_INVALID_PARAMETER,
                              &(ErrorParameters){ .parameter = parameter });
}

/* The name is none of the table: says whether the interface or the method is unknown. */
static int refuse_name(Context *context, const char *name) {
        const char *dot = strrchr(name, '.');
        char interface[128];

        if (!dot || dot == name || (size_t)(dot - name) >= sizeof(interface))
                return refuse_parameter(context, "method");
        memcpy(interface, name, (size_t)(dot - name));
        interface[dot - name] = '\0';
        if (!interface_description(interface))
                return context_refuse(context, WIRE_ERROR_INTERFACE_NOT_FOUND,
                                      &(ErrorParameters){ .interface = interface });
        return context_refuse(context, WIRE_ERROR_METHOD_NOT_FOUND,
                              &(ErrorParameters){ .method = name });
}

static int dispatch_method(Context *context, const Call *call) {
        const Method *method = NULL;
        void *in;
        int r;

        for (int i = 0; i < _WIRE_METHOD_N && !method; i++)
                if (strcmp(wire_methods[i].name, call->method) == 0) {
                        context->method = &wire_methods[i];
                        method = &methods[i];
                }
        if (!method)
                return refuse_name(context, call->method);
        if (!method->function)
                return context_refuse(context, WIRE_ERROR_METHOD_NOT_IMPLEMENTED,
                                      &(ErrorParameters){ .method = call->method });
        if (call->upgrade)
                return refuse_parameter(context, "upgrade");
        if (call->more && method->sends_fds)
                return refuse_parameter(context, "more");
        context->more = call->more && !call->oneway; /* who wants no answer wants no further ones */

        in = message_allocate(context->message, context->method->in->size);
        if (!in)
                return error_origin(-ENOMEM);
        r = message_decode(context->message, context->method->in, true, in);
        if (r < 0)
                return error_trace(r);
        if (r == MESSAGE_E_PARAMETER)
                return refuse_parameter(context, message_parameter(context->message));
        r = method->function(context, in);
        return error_fold(r);
}

int dispatch_call(Context *context, const char *frame, size_t n) {
        char reason[MESSAGE_TEXT_MAX];
        Call call;
        int r;

        r = message_parse(frame, n, &context->message, reason);
        if (r < 0)
                return error_trace(r);
        if (r == MESSAGE_E_MALFORMED) {
                /* Whether an answer is expected cannot be known: one is given, and then nothing is. */
                r = refuse_parameter(context, reason);
                return r < 0 ? error_trace(r) : DISPATCH_E_MALFORMED;
        }
        r = message_call(context->message, &call);
        context->silent = call.oneway;
        if (r != 0)
                return refuse_parameter(context, message_parameter(context->message));
        return dispatch_method(context, &call);
}
