/* SPDX-License-Identifier: BSD-2-Clause */

/* The tables of the protocol: one row per field, method and error. wire.h has the structs. */

#include "proto/wire.h"

#include <string.h>

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

#define ROW(s, member, wire, kind, null)                                                                \
        .name = (wire), .type = (kind), .nullable = (null), .offset = offsetof(s, member)
#define STRING(s, m, w)                                                                                 \
        { ROW(s, m, w, FIELD_STRING, false) }
#define STRING_OR_NULL(s, m, w)                                                                         \
        { ROW(s, m, w, FIELD_STRING, true) }
#define INT(s, m, w)                                                                                    \
        { ROW(s, m, w, FIELD_INT, false) }
#define INT_OR_NULL(s, m, w)                                                                            \
        { ROW(s, m, w, FIELD_INT, true) }
#define BOOL(s, m, w)                                                                                   \
        { ROW(s, m, w, FIELD_BOOL, false) }
#define BOOL_OR_NULL(s, m, w)                                                                           \
        { ROW(s, m, w, FIELD_BOOL, true) }
#define ENUM(s, m, w, e)                                                                                \
        { ROW(s, m, w, FIELD_ENUM, false), .symbols = (e) }
#define ENUM_OR_NULL(s, m, w, e)                                                                        \
        { ROW(s, m, w, FIELD_ENUM, true), .symbols = (e) }
#define RECORD(s, m, w, r)                                                                              \
        { ROW(s, m, w, FIELD_RECORD, false), .record = (r) }
#define RECORD_OR_NULL(s, m, w, r)                                                                      \
        { ROW(s, m, w, FIELD_RECORD, true), .record = (r) }
#define STRINGS(s, m, w)                                                                                \
        { ROW(s, m, w, FIELD_STRINGS, false) }
#define STRINGS_OR_NULL(s, m, w)                                                                        \
        { ROW(s, m, w, FIELD_STRINGS, true) }
#define INTS_OR_NULL(s, m, w)                                                                           \
        { ROW(s, m, w, FIELD_INTS, true) }
#define RECORDS(s, m, w, r)                                                                             \
        { ROW(s, m, w, FIELD_RECORDS, false), .record = (r) }
#define RECORDS_OR_NULL(s, m, w, r)                                                                     \
        { ROW(s, m, w, FIELD_RECORDS, true), .record = (r) }

#define DEFINE(var, title, type)                                                                        \
        const Record var = { .name = (title),                                                           \
                             .size = sizeof(type),                                                      \
                             .fields = var##_fields,                                                    \
                             .n_fields = ELEMENTS(var##_fields) }

const char *const wire_sharing[] = { "exclusive", "shared", "group", NULL };
const char *const wire_lifetime[] = { "connection", "process", "descriptor", NULL };
const char *const wire_steering[] = { "hash", "roundRobin", "leastLoad", "cpu", "source", NULL };
const char *const wire_member_state[] = { "standby", "live", "draining", "parked", NULL };

const Record wire_empty = { .name = "" };

static const Field wire_raw_option_fields[] = {
        INT(RawOption, level, "level"),
        INT(RawOption, name, "name"),
        STRING(RawOption, value, "value"),
};
DEFINE(wire_raw_option, "RawOption", RawOption);

static const Field wire_options_fields[] = {
        INT_OR_NULL(Options, backlog, "backlog"),
        BOOL_OR_NULL(Options, ipv6_only, "ipv6Only"),
        BOOL_OR_NULL(Options, reuse_address, "reuseAddress"),
        BOOL_OR_NULL(Options, broadcast, "broadcast"),
        STRING_OR_NULL(Options, bind_to_device, "bindToDevice"),
        BOOL_OR_NULL(Options, free_bind, "freeBind"),
        BOOL_OR_NULL(Options, transparent, "transparent"),
        INT_OR_NULL(Options, mark, "mark"),
        INT_OR_NULL(Options, priority, "priority"),
        INT_OR_NULL(Options, type_of_service, "typeOfService"),
        INT_OR_NULL(Options, time_to_live, "timeToLive"),
        BOOL_OR_NULL(Options, keep_alive, "keepAlive"),
        INT_OR_NULL(Options, keep_alive_idle_sec, "keepAliveIdleSec"),
        INT_OR_NULL(Options, keep_alive_interval_sec, "keepAliveIntervalSec"),
        INT_OR_NULL(Options, keep_alive_probes, "keepAliveProbes"),
        BOOL_OR_NULL(Options, no_delay, "noDelay"),
        INT_OR_NULL(Options, defer_accept_sec, "deferAcceptSec"),
        INT_OR_NULL(Options, fast_open_queue, "fastOpenQueue"),
        INT_OR_NULL(Options, user_timeout_msec, "userTimeoutMsec"),
        INT_OR_NULL(Options, linger_sec, "lingerSec"),
        INT_OR_NULL(Options, receive_buffer, "receiveBuffer"),
        INT_OR_NULL(Options, send_buffer, "sendBuffer"),
        STRING_OR_NULL(Options, congestion, "congestion"),
        BOOL_OR_NULL(Options, packet_info, "packetInfo"),
        BOOL_OR_NULL(Options, timestamp, "timestamp"),
        BOOL_OR_NULL(Options, pass_credentials, "passCredentials"),
        STRINGS_OR_NULL(Options, multicast_groups, "multicastGroups"),
        STRING_OR_NULL(Options, multicast_interface, "multicastInterface"),
        BOOL_OR_NULL(Options, multicast_loop, "multicastLoop"),
        RECORDS_OR_NULL(Options, raw, "raw", &wire_raw_option),
};
DEFINE(wire_options, "Options", Options);

static const Field wire_socket_request_fields[] = {
        STRING(SocketRequest, network, "network"),
        STRING(SocketRequest, address, "address"),
        STRING_OR_NULL(SocketRequest, name, "name"),
        ENUM_OR_NULL(SocketRequest, sharing, "sharing", wire_sharing),
        ENUM_OR_NULL(SocketRequest, steering, "steering", wire_steering),
        INT_OR_NULL(SocketRequest, weight, "weight"),
        BOOL_OR_NULL(SocketRequest, standby, "standby"),
        INT_OR_NULL(SocketRequest, retain_sec, "retainSec"),
        STRING_OR_NULL(SocketRequest, network_namespace, "networkNamespace"),
        INT_OR_NULL(SocketRequest, same_port_as, "samePortAs"),
        RECORD_OR_NULL(SocketRequest, options, "options", &wire_options),
};
DEFINE(wire_socket_request, "SocketRequest", SocketRequest);

static const Field wire_socket_fields[] = {
        STRING(SocketReply, lease, "lease"),
        STRING(SocketReply, endpoint, "endpoint"),
        STRING_OR_NULL(SocketReply, name, "name"),
        INT(SocketReply, socket_file_descriptor, "socketFileDescriptor"),
        STRING(SocketReply, cookie, "cookie"),
        STRING(SocketReply, network, "network"),
        STRING(SocketReply, address, "address"),
        ENUM(SocketReply, sharing, "sharing", wire_sharing),
        BOOL(SocketReply, adopted, "adopted"),
        RECORD(SocketReply, options, "options", &wire_options),
};
DEFINE(wire_socket, "Socket", SocketReply);

static const Field wire_holder_fields[] = {
        INT(HolderInfo, uid, "uid"),
        INT(HolderInfo, gid, "gid"),
        INT(HolderInfo, pid, "pid"),
        STRING_OR_NULL(HolderInfo, command, "command"),
        STRING_OR_NULL(HolderInfo, unit, "unit"),
        INT(HolderInfo, since_usec, "sinceUsec"),
};
DEFINE(wire_holder, "Holder", HolderInfo);

static const Field wire_lease_fields[] = {
        STRING(LeaseInfo, lease, "lease"),
        RECORD(LeaseInfo, holder, "holder", &wire_holder),
        ENUM(LeaseInfo, lifetime, "lifetime", wire_lifetime),
};
DEFINE(wire_lease, "Lease", LeaseInfo);

static const Field wire_member_fields[] = {
        STRING(MemberInfo, member, "member"),
        ENUM(MemberInfo, state, "state", wire_member_state),
        INT(MemberInfo, weight, "weight"),
        RECORDS(MemberInfo, leases, "leases", &wire_lease),
        INT_OR_NULL(MemberInfo, queue_length, "queueLength"),
        INT_OR_NULL(MemberInfo, queue_limit, "queueLimit"),
        INT_OR_NULL(MemberInfo, drops, "drops"),
        BOOL_OR_NULL(MemberInfo, stalled, "stalled"),
        INT_OR_NULL(MemberInfo, flows, "flows"),
};
DEFINE(wire_member, "Member", MemberInfo);

static const Field wire_endpoint_fields[] = {
        STRING(EndpointInfo, endpoint, "endpoint"),
        STRING_OR_NULL(EndpointInfo, name, "name"),
        STRING(EndpointInfo, network, "network"),
        STRING(EndpointInfo, address, "address"),
        STRING_OR_NULL(EndpointInfo, network_namespace, "networkNamespace"),
        ENUM(EndpointInfo, sharing, "sharing", wire_sharing),
        ENUM_OR_NULL(EndpointInfo, steering, "steering", wire_steering),
        STRING(EndpointInfo, continuity, "continuity"),
        STRING_OR_NULL(EndpointInfo, continuity_reason, "continuityReason"),
        RECORDS(EndpointInfo, members, "members", &wire_member),
        STRING_OR_NULL(EndpointInfo, tenant, "tenant"),
};
DEFINE(wire_endpoint, "Endpoint", EndpointInfo);

static const Field wire_event_fields[] = {
        STRING(EventInfo, what, "what"),
        INT(EventInfo, time_usec, "timeUsec"),
        STRING_OR_NULL(EventInfo, endpoint, "endpoint"),
        STRING_OR_NULL(EventInfo, member, "member"),
        STRING_OR_NULL(EventInfo, lease, "lease"),
        RECORD_OR_NULL(EventInfo, holder, "holder", &wire_holder),
        STRING_OR_NULL(EventInfo, reason, "reason"),
};
DEFINE(wire_event, "Event", EventInfo);

static const Field wire_resume_request_fields[] = {
        STRING(ResumeRequest, lease, "lease"),
        STRING(ResumeRequest, cookie, "cookie"),
};
DEFINE(wire_resume_request, "ResumeRequest", ResumeRequest);

static const Field acquire_in_fields[] = {
        RECORDS(AcquireIn, sockets, "sockets", &wire_socket_request),
        ENUM_OR_NULL(AcquireIn, lifetime, "lifetime", wire_lifetime),
};
static DEFINE(acquire_in, "", AcquireIn);

static const Field acquire_out_fields[] = {
        RECORDS(AcquireOut, sockets, "sockets", &wire_socket),
        INT_OR_NULL(AcquireOut, lifetime_file_descriptor, "lifetimeFileDescriptor"),
};
static DEFINE(acquire_out, "", AcquireOut);

static const Field leases_in_fields[] = {
        STRINGS(LeasesIn, leases, "leases"),
};
static DEFINE(leases_in, "", LeasesIn);

static const Field set_weight_in_fields[] = {
        STRINGS(SetWeightIn, leases, "leases"),
        INT(SetWeightIn, weight, "weight"),
};
static DEFINE(set_weight_in, "", SetWeightIn);

static const Field dial_in_fields[] = {
        STRING(DialIn, network, "network"),
        STRING(DialIn, remote_address, "remoteAddress"),
        STRING_OR_NULL(DialIn, local_address, "localAddress"),
        STRING_OR_NULL(DialIn, network_namespace, "networkNamespace"),
        RECORD_OR_NULL(DialIn, options, "options", &wire_options),
};
static DEFINE(dial_in, "", DialIn);

static const Field dial_out_fields[] = {
        INT(DialOut, socket_file_descriptor, "socketFileDescriptor"),
        STRING(DialOut, cookie, "cookie"),
        STRING(DialOut, network, "network"),
        STRING_OR_NULL(DialOut, local_address, "localAddress"),
        BOOL(DialOut, reused, "reused"),
};
static DEFINE(dial_out, "", DialOut);

static const Field resume_in_fields[] = {
        RECORDS(ResumeIn, leases, "leases", &wire_resume_request),
        ENUM_OR_NULL(ResumeIn, lifetime, "lifetime", wire_lifetime),
};
static DEFINE(resume_in, "", ResumeIn);

static const Field resume_out_fields[] = {
        STRINGS(ResumeOut, resumed, "resumed"),
        STRINGS(ResumeOut, lost, "lost"),
};
static DEFINE(resume_out, "", ResumeOut);

static const Field list_in_fields[] = {
        STRING_OR_NULL(ListIn, endpoint, "endpoint"),
};
static DEFINE(list_in, "", ListIn);

static const Field list_out_fields[] = {
        RECORDS(ListOut, endpoints, "endpoints", &wire_endpoint),
};
static DEFINE(list_out, "", ListOut);

static const Field watch_out_fields[] = {
        RECORD(WatchOut, event, "event", &wire_event),
};
static DEFINE(watch_out, "", WatchOut);

static const Field explain_in_fields[] = {
        RECORD(ExplainIn, request, "request", &wire_socket_request),
        INT_OR_NULL(ExplainIn, uid, "uid"),
        INTS_OR_NULL(ExplainIn, gids, "gids"),
};
static DEFINE(explain_in, "", ExplainIn);

static const Field explain_out_fields[] = {
        BOOL(ExplainOut, allowed, "allowed"),  STRING_OR_NULL(ExplainOut, rule, "rule"),
        STRING(ExplainOut, reason, "reason"),  STRING_OR_NULL(ExplainOut, file, "file"),
        INT_OR_NULL(ExplainOut, line, "line"), STRING_OR_NULL(ExplainOut, tenant, "tenant"),
};
static DEFINE(explain_out, "", ExplainOut);

static const Field get_status_out_fields[] = {
        STRING(GetStatusOut, version, "version"),
        INT(GetStatusOut, started_usec, "startedUsec"),
        INT(GetStatusOut, connections, "connections"),
        INT(GetStatusOut, endpoints, "endpoints"),
        INT(GetStatusOut, leases, "leases"),
        STRINGS(GetStatusOut, capabilities, "capabilities"),
        STRINGS(GetStatusOut, warnings, "warnings"),
        INT_OR_NULL(GetStatusOut, recovered, "recovered"),
        INT_OR_NULL(GetStatusOut, lost, "lost"),
        INT_OR_NULL(GetStatusOut, foreign, "foreign"),
        INT_OR_NULL(GetStatusOut, kept, "kept"),
        INT_OR_NULL(GetStatusOut, not_kept, "notKept"),
};
static DEFINE(get_status_out, "", GetStatusOut);

static const Field take_over_out_fields[] = {
        INT(TakeOverOut, socket_file_descriptor, "socketFileDescriptor"),
};
static DEFINE(take_over_out, "", TakeOverOut);

static const Field get_info_out_fields[] = {
        STRING(GetInfoOut, vendor, "vendor"),          STRING(GetInfoOut, product, "product"),
        STRING(GetInfoOut, version, "version"),        STRING(GetInfoOut, url, "url"),
        STRINGS(GetInfoOut, interfaces, "interfaces"),
};
static DEFINE(get_info_out, "", GetInfoOut);

static const Field get_interface_description_in_fields[] = {
        STRING(GetInterfaceDescriptionIn, interface, "interface"),
};
static DEFINE(get_interface_description_in, "", GetInterfaceDescriptionIn);

static const Field get_interface_description_out_fields[] = {
        STRING(GetInterfaceDescriptionOut, description, "description"),
};
static DEFINE(get_interface_description_out, "", GetInterfaceDescriptionOut);

const WireMethod wire_methods[_WIRE_METHOD_N] = {
        [WIRE_METHOD_ACQUIRE] = { "io.reuseportd.Acquire", &acquire_in, &acquire_out },
        [WIRE_METHOD_DIAL] = { "io.reuseportd.Dial", &dial_in, &dial_out },
        [WIRE_METHOD_READY] = { "io.reuseportd.Ready", &leases_in, &wire_empty },
        [WIRE_METHOD_DRAIN] = { "io.reuseportd.Drain", &leases_in, &wire_empty },
        [WIRE_METHOD_SET_WEIGHT] = { "io.reuseportd.SetWeight", &set_weight_in, &wire_empty },
        [WIRE_METHOD_RELEASE] = { "io.reuseportd.Release", &leases_in, &wire_empty },
        [WIRE_METHOD_RESUME] = { "io.reuseportd.Resume", &resume_in, &resume_out },
        [WIRE_METHOD_LIST] = { "io.reuseportd.List", &list_in, &list_out },
        [WIRE_METHOD_WATCH] = { "io.reuseportd.Watch", &wire_empty, &watch_out },
        [WIRE_METHOD_EXPLAIN] = { "io.reuseportd.Explain", &explain_in, &explain_out },
        [WIRE_METHOD_GET_STATUS] = { "io.reuseportd.GetStatus", &wire_empty, &get_status_out },
        [WIRE_METHOD_TAKE_OVER] = { "io.reuseportd.TakeOver", &wire_empty, &take_over_out },
        [WIRE_METHOD_GET_INFO] = { "org.varlink.service.GetInfo", &wire_empty, &get_info_out },
        [WIRE_METHOD_GET_INTERFACE_DESCRIPTION] = { "org.varlink.service.GetInterfaceDescription",
                                                    &get_interface_description_in,
                                                    &get_interface_description_out },
};

static const Field error_network_fields[] = {
        STRING(ErrorParameters, network, "network"),
};
static DEFINE(error_network, "NetworkUnknown", ErrorParameters);

static const Field error_address_invalid_fields[] = {
        STRING(ErrorParameters, address, "address"),
        STRING(ErrorParameters, reason, "reason"),
};
static DEFINE(error_address_invalid, "AddressInvalid", ErrorParameters);

static const Field error_address_in_use_fields[] = {
        STRING(ErrorParameters, address, "address"),
        RECORD_OR_NULL(ErrorParameters, holder, "holder", &wire_holder),
};
static DEFINE(error_address_in_use, "AddressInUse", ErrorParameters);

static const Field error_address_unavailable_fields[] = {
        STRING(ErrorParameters, address, "address"),
        STRING_OR_NULL(ErrorParameters, network, "network"),
};
static DEFINE(error_address_unavailable, "AddressUnavailable", ErrorParameters);

static const Field error_policy_denied_fields[] = {
        STRING_OR_NULL(ErrorParameters, rule, "rule"),
        STRING(ErrorParameters, reason, "reason"),
        STRING_OR_NULL(ErrorParameters, file, "file"),
        INT_OR_NULL(ErrorParameters, line, "line"),
};
static DEFINE(error_policy_denied, "PolicyDenied", ErrorParameters);

static const Field error_quota_exceeded_fields[] = {
        STRING(ErrorParameters, resource, "resource"),
        INT(ErrorParameters, limit, "limit"),
        STRING_OR_NULL(ErrorParameters, reason, "reason"),
};
static DEFINE(error_quota_exceeded, "QuotaExceeded", ErrorParameters);

static const Field error_option_conflict_fields[] = {
        STRING(ErrorParameters, option, "option"),
        STRING(ErrorParameters, have, "have"),
        STRING(ErrorParameters, want, "want"),
};
static DEFINE(error_option_conflict, "OptionConflict", ErrorParameters);

static const Field error_option_invalid_fields[] = {
        STRING(ErrorParameters, option, "option"),
        STRING(ErrorParameters, reason, "reason"),
};
static DEFINE(error_option_invalid, "OptionInvalid", ErrorParameters);

static const Field error_not_supported_fields[] = {
        STRING(ErrorParameters, feature, "feature"),
        STRING(ErrorParameters, reason, "reason"),
};
static DEFINE(error_not_supported, "NotSupported", ErrorParameters);

static const Field error_lease_fields[] = {
        STRING(ErrorParameters, lease, "lease"),
};
static DEFINE(error_lease, "NoSuchLease", ErrorParameters);

static const Field error_endpoint_fields[] = {
        STRING(ErrorParameters, endpoint, "endpoint"),
};
static DEFINE(error_endpoint, "NoSuchEndpoint", ErrorParameters);

static const Field error_system_failure_fields[] = {
        STRING(ErrorParameters, step, "step"),
        STRING(ErrorParameters, errno_name, "errno"),
        STRING(ErrorParameters, message, "message"),
};
static DEFINE(error_system_failure, "SystemFailure", ErrorParameters);

static const Field error_interface_fields[] = {
        STRING(ErrorParameters, interface, "interface"),
};
static DEFINE(error_interface, "InterfaceNotFound", ErrorParameters);

static const Field error_method_fields[] = {
        STRING(ErrorParameters, method, "method"),
};
static DEFINE(error_method, "MethodNotFound", ErrorParameters);

static const Field error_parameter_fields[] = {
        STRING(ErrorParameters, parameter, "parameter"),
};
static DEFINE(error_parameter, "InvalidParameter", ErrorParameters);

const WireError wire_errors[_WIRE_ERROR_N] = {
        [WIRE_ERROR_NETWORK_UNKNOWN] = { "io.reuseportd.NetworkUnknown", &error_network },
        [WIRE_ERROR_ADDRESS_INVALID] = { "io.reuseportd.AddressInvalid", &error_address_invalid },
        [WIRE_ERROR_ADDRESS_IN_USE] = { "io.reuseportd.AddressInUse", &error_address_in_use },
        [WIRE_ERROR_ADDRESS_UNAVAILABLE] = { "io.reuseportd.AddressUnavailable",
                                             &error_address_unavailable },
        [WIRE_ERROR_POLICY_DENIED] = { "io.reuseportd.PolicyDenied", &error_policy_denied },
        [WIRE_ERROR_QUOTA_EXCEEDED] = { "io.reuseportd.QuotaExceeded", &error_quota_exceeded },
        [WIRE_ERROR_OPTION_CONFLICT] = { "io.reuseportd.OptionConflict", &error_option_conflict },
        [WIRE_ERROR_OPTION_INVALID] = { "io.reuseportd.OptionInvalid", &error_option_invalid },
        [WIRE_ERROR_NOT_SUPPORTED] = { "io.reuseportd.NotSupported", &error_not_supported },
        [WIRE_ERROR_NO_SUCH_LEASE] = { "io.reuseportd.NoSuchLease", &error_lease },
        [WIRE_ERROR_NO_SUCH_ENDPOINT] = { "io.reuseportd.NoSuchEndpoint", &error_endpoint },
        [WIRE_ERROR_SYSTEM_FAILURE] = { "io.reuseportd.SystemFailure", &error_system_failure },
        [WIRE_ERROR_INTERFACE_NOT_FOUND] = { "org.varlink.service.InterfaceNotFound", &error_interface },
        [WIRE_ERROR_METHOD_NOT_FOUND] = { "org.varlink.service.MethodNotFound", &error_method },
        [WIRE_ERROR_METHOD_NOT_IMPLEMENTED] = { "org.varlink.service.MethodNotImplemented",
                                                &error_method },
        [WIRE_ERROR_INVALID_PARAMETER] = { "org.varlink.service.InvalidParameter", &error_parameter },
        [WIRE_ERROR_PERMISSION_DENIED] = { "org.varlink.service.PermissionDenied", &wire_empty },
        [WIRE_ERROR_EXPECTED_MORE] = { "org.varlink.service.ExpectedMore", &wire_empty },
};

void wire_init(const Record *record, void *value) {
        memset(value, 0, record->size);
        for (size_t i = 0; i < record->n_fields; i++) {
                const Field *field = &record->fields[i];
                void *at = (char *)value + field->offset;

                switch (field->type) {
                case FIELD_INT:
                        memcpy(at, &(int64_t){ WIRE_ABSENT }, sizeof(int64_t));
                        break;
                case FIELD_BOOL:
                        *(Tristate *)at = TRISTATE_ABSENT;
                        break;
                case FIELD_ENUM:
                        memcpy(at, &(int){ -1 }, sizeof(int));
                        break;
                case FIELD_STRING:
                case FIELD_RECORD:
                case FIELD_STRINGS:
                case FIELD_RECORDS:
                case FIELD_INTS:
                        break; /* NULL already */
                }
        }
}

int wire_error_find(const char *name) {
        for (int i = 0; i < _WIRE_ERROR_N; i++)
                if (strcmp(wire_errors[i].name, name) == 0)
                        return i;
        return -1;
}
