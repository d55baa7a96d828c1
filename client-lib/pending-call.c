/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One call under way. It keeps what was sent: a connection that is lost takes the answer with it, and
 * the next broker can be asked again. An Acquire is kept on by the leases that it gave, as the record of
 * what to ask for should they be lost.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/internal.h"

static int method_find(const char *name) {
        for (int i = 0; i < _WIRE_METHOD_N; i++)
                if (strcmp(wire_methods[i].name, name) == 0)
                        return i;
        return -1;
}

int pending_call_new(const Question *question, const MessageBuffer *frame, PendingCall **ret) {
        PendingCall *call = malloc(sizeof(*call) + frame->n);

        if (!call)
                return -ENOMEM;
        *call = (PendingCall){
                .handler = question->handler,
                .userdata = question->userdata,
                .method = method_find(question->call.method),
                .more = question->call.more,
                .n_sockets = question->n_sockets,
                .n_frame = frame->n,
                .n_refs = 1,
        };
        memcpy(call->frame, frame->data, frame->n);
        *ret = call;
        return 0;
}

PendingCall *pending_call_ref(PendingCall *call) {
        call->n_refs++;
        return call;
}

PendingCall *pending_call_unref(PendingCall *call) {
        if (call && --call->n_refs == 0)
                free(call);
        return NULL;
}

int pending_call_decode(const PendingCall *call, Message **ret_message, void *ret) {
        _cleanup_(message_freep) Message *message = NULL;
        char reason[MESSAGE_TEXT_MAX];
        Call envelope;
        int r;

        r = message_parse(call->frame, call->n_frame - 1, &message, reason);
        if (r == 0)
                r = message_call(message, &envelope);
        if (r == 0)
                r = message_decode(message, wire_methods[call->method].in, false, ret);
        if (r == 0)
                *ret_message = ptr_take(message);
        return r;
}

int pending_call_repeatable(const PendingCall *call) {
        _cleanup_(message_freep) Message *message = NULL;
        AcquireIn in;
        int r;

        if (call->method != WIRE_METHOD_ACQUIRE)
                return call->method >= 0;
        r = pending_call_decode(call, &message, &in);
        if (r != 0)
                return r < 0 ? r : true;
        return in.lifetime != LIFETIME_PROCESS;
}
