/* SPDX-License-Identifier: BSD-2-Clause */

/* The errors that more than one step of a call may answer with. */

#include "daemon/refusal.h"

#include <stdio.h>
#include <string.h>

#include "daemon/describe.h"
#include "daemon/group-resume.h"
#include "daemon/judge.h"
#include "proto/error.h"
#include "proto/limits.h"

int refuse(Context *context, WireErrorId error, const ErrorParameters *parameters) {
        int r = context_refuse(context, error, parameters);

        return r < 0 ? error_trace(r) : CONTEXT_E_REFUSED;
}

int refuse_parameter(Context *context, const char *field, size_t index) {
        char path[64];

        if (index == REFUSE_NO_INDEX)
                snprintf(path, sizeof(path), "request.%s", field);
        else
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

/* As who follows the events is told of it. */
static EventRequest request_of(const Wanted *wanted, const Address *address) {
        return (EventRequest){ .address = address,
                               .sharing = wanted->sharing,
                               .name = wanted->request->name,
                               .network_namespace = wanted->namespace_path };
}

/* QuotaExceeded, and the watchers learn of it. */
static int refuse_limit(Context *context, const Wanted *wanted, const ErrorParameters *parameters) {
        EventRequest request;

        if (wanted)
                request = request_of(wanted, &wanted->address);
        event_hub_emit_quota(&context->services->hub, context->subject, wanted ? &request : NULL,
                             parameters->resource, (uint64_t)parameters->limit, parameters->reason);
        return refuse(context, WIRE_ERROR_QUOTA_EXCEEDED, parameters);
}

ErrorParameters refusal_of_quota(const Accounts *accounts, Resource resource, int outcome) {
        bool own = outcome == ACCOUNT_E_USER_LIMIT;

        return (ErrorParameters){
                .resource = resource_name(resource),
                .limit = (int64_t)(own ? accounts->limit_per_user : accounts->limit)[resource],
                .reason = own ? "for each user"
                              : "for all users together, and what is left is kept for others",
        };
}

int refuse_quota(Context *context, const Wanted *wanted, Resource resource, int outcome) {
        ErrorParameters parameters = refusal_of_quota(&context->services->accounts, resource, outcome);

        return refuse_limit(context, wanted, &parameters);
}

int refuse_rule(Context *context, const Wanted *wanted, const char *what, size_t limit) {
        char resource[NAME_SIZE_MAX + 64];

        snprintf(resource, sizeof(resource), "%s rule \"%s\"", what, rule_name(wanted->rule));
        return refuse_limit(context, wanted,
                            &(ErrorParameters){ .resource = resource,
                                                .limit = (int64_t)limit,
                                                .reason = "for each user" });
}

int refuse_denied(Context *context, const Wanted *wanted, const Address *address,
                  const PolicyVerdict *verdict) {
        PolicySubject subject = judge_subject(context->subject);
        const EventRequest request = request_of(wanted, address);
        const Rule *rule = verdict->rule;
        char reason[POLICY_REASON_MAX];

        policy_explain(context->services->config->policy,
                       &(PolicyQuery){ .subject = &subject,
                                       .address = address,
                                       .sharing = wanted->sharing,
                                       .rights = wanted->rights,
                                       .network_namespace = wanted->namespace_path },
                       verdict, reason);
        event_hub_emit(&context->services->hub, &(Event){ .what = "denied",
                                                          .subject = context->subject,
                                                          .reason = reason,
                                                          .request = &request,
                                                          .rule = rule ? rule_name(rule) : NULL });
        return refuse(
                context, WIRE_ERROR_POLICY_DENIED,
                &(ErrorParameters){ .rule = rule ? rule_name(rule) : NULL,
                                    .file = rule ? rule_file(rule) : NULL,
                                    .line = rule && rule_line(rule) > 0 ? rule_line(rule) : WIRE_ABSENT,
                                    .reason = reason });
}

int refuse_steering(Context *context, const char *feature, int r) {
        if (r < 0)
                return refuse_failure(context, "steering", NULL, -r);
        if (r == GROUP_E_SURVIVORS)
                return refuse(
                        context, WIRE_ERROR_NOT_SUPPORTED,
                        &(ErrorParameters){ .feature = feature, .reason = group_survivors_reason });
        return refuse(context, WIRE_ERROR_QUOTA_EXCEEDED,
                      &(ErrorParameters){ .resource = "sockets in steered groups",
                                          .limit = STEERING_MEMBERS_MAX });
}

int require_process(Context *context, Process **ret) {
        int r = context->get_process(context, ret);

        if (r == SUBJECT_E_GONE)
                return refuse_failure(context, "pidfd", NULL, ESRCH);
        if (r == SUBJECT_E_NO_DESCRIPTOR)
                return refuse_failure(context, "pidfd", NULL, EMFILE);
        return error_trace(r);
}
