/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tables against the structs. A row that names one member and fills another would survive every
 * round trip, so each member is looked up by its name, written the way of the interface.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ctype.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/unit/samples.h"

TestSuite(wire_structs, .timeout = 10);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

typedef struct Member {
        const char *name;
        size_t offset;
        size_t size;
} Member;

#define MEMBER(s, m)                                                                                    \
        { #m, offsetof(s, m), sizeof(((s *)0)->m) }

static const Member raw_option[] = { MEMBER(RawOption, level), MEMBER(RawOption, name),
                                     MEMBER(RawOption, value) };

static const Member options[] = {
        MEMBER(Options, backlog),
        MEMBER(Options, ipv6_only),
        MEMBER(Options, reuse_address),
        MEMBER(Options, broadcast),
        MEMBER(Options, bind_to_device),
        MEMBER(Options, free_bind),
        MEMBER(Options, transparent),
        MEMBER(Options, mark),
        MEMBER(Options, priority),
        MEMBER(Options, type_of_service),
        MEMBER(Options, time_to_live),
        MEMBER(Options, keep_alive),
        MEMBER(Options, keep_alive_idle_sec),
        MEMBER(Options, keep_alive_interval_sec),
        MEMBER(Options, keep_alive_probes),
        MEMBER(Options, no_delay),
        MEMBER(Options, defer_accept_sec),
        MEMBER(Options, fast_open_queue),
        MEMBER(Options, user_timeout_msec),
        MEMBER(Options, linger_sec),
        MEMBER(Options, receive_buffer),
        MEMBER(Options, send_buffer),
        MEMBER(Options, congestion),
        MEMBER(Options, packet_info),
        MEMBER(Options, timestamp),
        MEMBER(Options, pass_credentials),
        MEMBER(Options, multicast_groups),
        MEMBER(Options, multicast_interface),
        MEMBER(Options, multicast_loop),
        MEMBER(Options, raw),
};

static const Member socket_request[] = {
        MEMBER(SocketRequest, network),
        MEMBER(SocketRequest, address),
        MEMBER(SocketRequest, name),
        MEMBER(SocketRequest, sharing),
        MEMBER(SocketRequest, steering),
        MEMBER(SocketRequest, weight),
        MEMBER(SocketRequest, standby),
        MEMBER(SocketRequest, retain_sec),
        MEMBER(SocketRequest, network_namespace),
        MEMBER(SocketRequest, same_port_as),
        MEMBER(SocketRequest, options),
};

static const Member socket_reply[] = {
        MEMBER(SocketReply, lease),   MEMBER(SocketReply, endpoint),
        MEMBER(SocketReply, name),    MEMBER(SocketReply, socket_file_descriptor),
        MEMBER(SocketReply, cookie),  MEMBER(SocketReply, network),
        MEMBER(SocketReply, address), MEMBER(SocketReply, sharing),
        MEMBER(SocketReply, adopted), MEMBER(SocketReply, options),
};

static const Member holder[] = {
        MEMBER(HolderInfo, uid),     MEMBER(HolderInfo, gid),  MEMBER(HolderInfo, pid),
        MEMBER(HolderInfo, command), MEMBER(HolderInfo, unit), MEMBER(HolderInfo, since_usec),
};

static const Member lease[] = { MEMBER(LeaseInfo, lease), MEMBER(LeaseInfo, holder),
                                MEMBER(LeaseInfo, lifetime) };

static const Member member[] = {
        MEMBER(MemberInfo, member), MEMBER(MemberInfo, state),        MEMBER(MemberInfo, weight),
        MEMBER(MemberInfo, leases), MEMBER(MemberInfo, queue_length), MEMBER(MemberInfo, queue_limit),
        MEMBER(MemberInfo, drops),  MEMBER(MemberInfo, stalled),      MEMBER(MemberInfo, flows),
};

static const Member endpoint[] = {
        MEMBER(EndpointInfo, endpoint),
        MEMBER(EndpointInfo, name),
        MEMBER(EndpointInfo, network),
        MEMBER(EndpointInfo, address),
        MEMBER(EndpointInfo, network_namespace),
        MEMBER(EndpointInfo, sharing),
        MEMBER(EndpointInfo, steering),
        MEMBER(EndpointInfo, continuity),
        MEMBER(EndpointInfo, continuity_reason),
        MEMBER(EndpointInfo, members),
        MEMBER(EndpointInfo, tenant),
};

static const Member event[] = {
        MEMBER(EventInfo, what),   MEMBER(EventInfo, time_usec), MEMBER(EventInfo, endpoint),
        MEMBER(EventInfo, member), MEMBER(EventInfo, lease),     MEMBER(EventInfo, holder),
        MEMBER(EventInfo, reason),
};

static const Member resume_request[] = { MEMBER(ResumeRequest, lease), MEMBER(ResumeRequest, cookie) };
static const Member acquire_in[] = { MEMBER(AcquireIn, sockets), MEMBER(AcquireIn, lifetime) };
static const Member acquire_out[] = { MEMBER(AcquireOut, sockets),
                                      MEMBER(AcquireOut, lifetime_file_descriptor) };
static const Member leases_in[] = { MEMBER(LeasesIn, leases) };
static const Member set_weight_in[] = { MEMBER(SetWeightIn, leases), MEMBER(SetWeightIn, weight) };
static const Member dial_in[] = { MEMBER(DialIn, network), MEMBER(DialIn, remote_address),
                                  MEMBER(DialIn, local_address), MEMBER(DialIn, network_namespace),
                                  MEMBER(DialIn, options) };
static const Member dial_out[] = { MEMBER(DialOut, socket_file_descriptor), MEMBER(DialOut, cookie),
                                   MEMBER(DialOut, network), MEMBER(DialOut, local_address),
                                   MEMBER(DialOut, reused) };
static const Member resume_in[] = { MEMBER(ResumeIn, leases), MEMBER(ResumeIn, lifetime) };
static const Member resume_out[] = { MEMBER(ResumeOut, resumed), MEMBER(ResumeOut, lost) };
static const Member list_in[] = { MEMBER(ListIn, endpoint) };
static const Member list_out[] = { MEMBER(ListOut, endpoints) };
static const Member watch_out[] = { MEMBER(WatchOut, event) };
static const Member explain_in[] = { MEMBER(ExplainIn, request), MEMBER(ExplainIn, uid),
                                     MEMBER(ExplainIn, gids) };
static const Member explain_out[] = { MEMBER(ExplainOut, allowed), MEMBER(ExplainOut, rule),
                                      MEMBER(ExplainOut, reason),  MEMBER(ExplainOut, file),
                                      MEMBER(ExplainOut, line),    MEMBER(ExplainOut, tenant) };
static const Member status_out[] = {
        MEMBER(GetStatusOut, version),     MEMBER(GetStatusOut, started_usec),
        MEMBER(GetStatusOut, connections), MEMBER(GetStatusOut, endpoints),
        MEMBER(GetStatusOut, leases),      MEMBER(GetStatusOut, capabilities),
        MEMBER(GetStatusOut, warnings),    MEMBER(GetStatusOut, recovered),
        MEMBER(GetStatusOut, lost),        MEMBER(GetStatusOut, foreign),
        MEMBER(GetStatusOut, kept),        MEMBER(GetStatusOut, not_kept)
};
static const Member take_over_out[] = { MEMBER(TakeOverOut, socket_file_descriptor) };
static const Member info_out[] = { MEMBER(GetInfoOut, vendor), MEMBER(GetInfoOut, product),
                                   MEMBER(GetInfoOut, version), MEMBER(GetInfoOut, url),
                                   MEMBER(GetInfoOut, interfaces) };
static const Member description_in[] = { MEMBER(GetInterfaceDescriptionIn, interface) };
static const Member description_out[] = { MEMBER(GetInterfaceDescriptionOut, description) };

static const Member error_parameters[] = {
        MEMBER(ErrorParameters, network),
        MEMBER(ErrorParameters, address),
        MEMBER(ErrorParameters, reason),
        MEMBER(ErrorParameters, rule),
        MEMBER(ErrorParameters, file),
        MEMBER(ErrorParameters, line),
        MEMBER(ErrorParameters, resource),
        MEMBER(ErrorParameters, option),
        MEMBER(ErrorParameters, have),
        MEMBER(ErrorParameters, want),
        MEMBER(ErrorParameters, feature),
        MEMBER(ErrorParameters, lease),
        MEMBER(ErrorParameters, endpoint),
        MEMBER(ErrorParameters, step),
        MEMBER(ErrorParameters, message),
        MEMBER(ErrorParameters, parameter),
        MEMBER(ErrorParameters, method),
        MEMBER(ErrorParameters, interface),
        MEMBER(ErrorParameters, holder),
        MEMBER(ErrorParameters, limit),
        /* errno is a macro, so the member has a longer name. */
        { "errno", offsetof(ErrorParameters, errno_name), sizeof(((ErrorParameters *)0)->errno_name) },
};

#define STRUCT(record, s, members)                                                                      \
        { (record), sizeof(s), (members), ELEMENTS(members) }
#define IN(id) wire_methods[WIRE_METHOD_##id].in
#define OUT(id) wire_methods[WIRE_METHOD_##id].out

/* keepAliveIdleSec is keep_alive_idle_sec. */
static bool same_name(const char *wire, const char *c) {
        for (; *wire && *c; wire++, c++)
                if (isupper((unsigned char)*wire)) {
                        if (c[0] != '_' || *++c != tolower((unsigned char)*wire))
                                return false;
                } else if (*wire != *c)
                        return false;
        return !*wire && !*c;
}

static size_t type_size(FieldType type) {
        switch (type) {
        case FIELD_INT:
                return sizeof(int64_t);
        case FIELD_BOOL:
                return sizeof(Tristate);
        case FIELD_ENUM:
                return sizeof(int);
        case FIELD_STRING:
        case FIELD_RECORD:
                return sizeof(void *);
        default:
                return sizeof(WireList);
        }
}

/* Each row fills the member of its name. */
static void expect_members(const Record *record, size_t size, const Member *members, size_t n) {
        cr_assert(eq(sz, record->size, size), "%s", record->name);
        for (size_t i = 0; i < record->n_fields; i++) {
                const Field *field = &record->fields[i];
                size_t j = 0;

                while (j < n && !same_name(field->name, members[j].name))
                        j++;
                cr_assert(lt(sz, j, n), "%s has no member %s", record->name, field->name);
                cr_assert(eq(sz, field->offset, members[j].offset), "%s", field->name);
                cr_assert(eq(sz, type_size(field->type), members[j].size), "%s", field->name);
        }
}

Test(wire_structs, every_row_fills_the_member_of_its_name) {
        const struct {
                const Record *record;
                size_t size;
                const Member *members;
                size_t n;
        } structs[] = {
                STRUCT(&wire_raw_option, RawOption, raw_option),
                STRUCT(&wire_options, Options, options),
                STRUCT(&wire_socket_request, SocketRequest, socket_request),
                STRUCT(&wire_socket, SocketReply, socket_reply),
                STRUCT(&wire_holder, HolderInfo, holder),
                STRUCT(&wire_lease, LeaseInfo, lease),
                STRUCT(&wire_member, MemberInfo, member),
                STRUCT(&wire_endpoint, EndpointInfo, endpoint),
                STRUCT(&wire_event, EventInfo, event),
                STRUCT(&wire_resume_request, ResumeRequest, resume_request),
                STRUCT(IN(ACQUIRE), AcquireIn, acquire_in),
                STRUCT(OUT(ACQUIRE), AcquireOut, acquire_out),
                STRUCT(IN(DIAL), DialIn, dial_in),
                STRUCT(OUT(DIAL), DialOut, dial_out),
                STRUCT(IN(READY), LeasesIn, leases_in),
                STRUCT(IN(DRAIN), LeasesIn, leases_in),
                STRUCT(IN(SET_WEIGHT), SetWeightIn, set_weight_in),
                STRUCT(IN(RELEASE), LeasesIn, leases_in),
                STRUCT(IN(RESUME), ResumeIn, resume_in),
                STRUCT(OUT(RESUME), ResumeOut, resume_out),
                STRUCT(IN(LIST), ListIn, list_in),
                STRUCT(OUT(LIST), ListOut, list_out),
                STRUCT(OUT(WATCH), WatchOut, watch_out),
                STRUCT(IN(EXPLAIN), ExplainIn, explain_in),
                STRUCT(OUT(EXPLAIN), ExplainOut, explain_out),
                STRUCT(OUT(GET_STATUS), GetStatusOut, status_out),
                STRUCT(OUT(TAKE_OVER), TakeOverOut, take_over_out),
                STRUCT(OUT(GET_INFO), GetInfoOut, info_out),
                STRUCT(IN(GET_INTERFACE_DESCRIPTION), GetInterfaceDescriptionIn, description_in),
                STRUCT(OUT(GET_INTERFACE_DESCRIPTION), GetInterfaceDescriptionOut, description_out),
        };

        for (size_t i = 0; i < ELEMENTS(structs); i++) {
                expect_members(structs[i].record, structs[i].size, structs[i].members, structs[i].n);
                cr_assert(eq(sz, structs[i].record->n_fields, structs[i].n), "a member without a row");
        }
        for (size_t i = 0; i < _WIRE_ERROR_N; i++)
                if (wire_errors[i].parameters != &wire_empty)
                        expect_members(wire_errors[i].parameters, sizeof(ErrorParameters),
                                       error_parameters, ELEMENTS(error_parameters));
}

/* The decoder remembers in 64 bits what it has seen. */
Test(wire_structs, no_record_is_too_large_for_the_decoder) {
        for (size_t i = 0; i < SAMPLE_RECORDS; i++)
                cr_assert(le(sz, sample_parameters(i)->n_fields, 64));
        cr_assert(le(sz, wire_options.n_fields, 64));
}

Test(wire_structs, init_makes_every_field_absent) {
        SocketRequest request;
        Options all;

        memset(&request, 0x55, sizeof(request));
        memset(&all, 0x55, sizeof(all));
        wire_init(&wire_socket_request, &request);
        wire_init(&wire_options, &all);
        wire_init(&wire_empty, &all);
        cr_assert(eq(ptr, (void *)request.network, NULL));
        cr_assert(eq(int, request.sharing, -1));
        cr_assert(eq(i64, request.weight, WIRE_ABSENT));
        cr_assert(eq(int, request.standby, TRISTATE_ABSENT));
        cr_assert(eq(ptr, request.options, NULL));
        cr_assert(eq(i64, all.mark, WIRE_ABSENT));
        cr_assert(eq(int, all.multicast_loop, TRISTATE_ABSENT));
        cr_assert(eq(ptr, all.raw.items, NULL));
        cr_assert(eq(sz, all.raw.n, 0));
}
