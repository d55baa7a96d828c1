/* SPDX-License-Identifier: BSD-2-Clause */

/* The errors that more than one step of a call may answer with. */

#include "daemon/refusal.h"

#include <stdio.h>
#include <string.h>

#include "daemon/describe.h"
#include "proto/error.h"

int refuse(Context *context, WireErrorId error, const ErrorParameters *parameters) {
        int r = context_refuse(context, error, parameters);

        return r < 0 ? error_trace(r) : CONTEXT_E_REFUSED;
}

int refuse_parameter(Context *context, const char *field, size_t index) {
        char path[64];

        snprintf(path, sizeof(path), "sockets[%zu].%s", index, field);
        return refuse(context, WIRE_ERROR_INVALID_PARAMETER, &(ErrorParameters){ .parameter = path });
}

int refuse_conflict(Context *context, const char *option, const char *have, const char *want) {
        return refuse(context, WIRE_ERROR_OPTION_CONFLICT,
                      &(ErrorParameters){ .option = option, .have = have, .want = want });
}

int refuse_in_use(Context *context, const char *address, const Endpoint *endpoint) {
        HolderInfo holder;

        return refuse(context, WIRE_ERROR_ADDRESS_IN_USE,
                      &(ErrorParameters){
                              .address = address,
                              .holder = endpoint ? describe_holder(endpoint, &holder) : NULL,
                      });
}

int refuse_failure(Context *context, const char *step, const char *option, int error) {
        char text[64];

        if (option)
                snprintf(text, sizeof(text), "%s %s", step, option);
        return refuse(context, WIRE_ERROR_SYSTEM_FAILURE,
                      &(ErrorParameters){
                              .step = option ? text : step,
                              .errno_name = strerrorname_np(error) ?: "unknown",
                              .message = strerrordesc_np(error) ?: "unknown error",
                      });
}

int refuse_denied(Context *context, const PolicyVerdict *verdict) {
        event_hub_emit(
                &context->services->hub,
                &(Event){ .what = "denied", .subject = context->subject, .reason = verdict->reason });
        return refuse(context, WIRE_ERROR_POLICY_DENIED,
                      &(ErrorParameters){ .rule = verdict->rule ? rule_name(verdict->rule) : NULL,
                                          .reason = verdict->reason });
}
