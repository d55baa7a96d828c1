/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The types of io.reuseportd.varlink as C structs, and the tables that message.c encodes and decodes
 * them by. A unit test holds the tables against the interface file, field by field.
 *
 * Absent fields: WIRE_ABSENT for an integer, TRISTATE_ABSENT for a boolean, -1 for an enum, NULL for a
 * string, record or list. wire_init() sets a whole struct so. Nothing here owns memory: strings and
 * lists belong to the message they were decoded from, or to whoever filled the struct.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_ABSENT INT64_MIN

typedef int8_t Tristate;
enum {
        TRISTATE_ABSENT = -1,
};

/* @items: an array of records, or of const char *; NULL when absent. */
typedef struct WireList {
        void *items;
        size_t n;
} WireList;

typedef enum FieldType {
        FIELD_STRING,  /* const char * */
        FIELD_INT,     /* int64_t */
        FIELD_BOOL,    /* Tristate */
        FIELD_ENUM,    /* int, an index into symbols */
        FIELD_RECORD,  /* pointer to a struct */
        FIELD_STRINGS, /* WireList of const char * */
        FIELD_RECORDS, /* WireList of structs */
        FIELD_INTS,    /* WireList of int64_t */
} FieldType;

typedef struct Field Field;
typedef struct Record Record;

struct Field {
        const char *name;
        FieldType type;
        bool nullable;
        size_t offset;
        const Record *record;       /* FIELD_RECORD, FIELD_RECORDS */
        const char *const *symbols; /* FIELD_ENUM, ends with NULL */
};

struct Record {
        const char *name;
        size_t size;
        const Field *fields;
        size_t n_fields;
};

/* Makes every field of a struct absent. */
void wire_init(const Record *record, void *value);

typedef enum Sharing { SHARING_EXCLUSIVE, SHARING_SHARED, SHARING_GROUP, _SHARING_N } Sharing;
typedef enum SteeringMode {
        STEERING_HASH,
        STEERING_ROUND_ROBIN,
        STEERING_LEAST_LOAD,
        STEERING_CPU,
        STEERING_SOURCE,
        _STEERING_N
} SteeringMode;
typedef enum Lifetime {
        LIFETIME_CONNECTION,
        LIFETIME_PROCESS,
        LIFETIME_DESCRIPTOR,
        _LIFETIME_N
} Lifetime;
typedef enum MemberState {
        MEMBER_STANDBY,
        MEMBER_LIVE,
        MEMBER_DRAINING,
        MEMBER_PARKED,
        _MEMBER_STATE_N
} MemberState;

extern const char *const wire_sharing[];
extern const char *const wire_lifetime[];
extern const char *const wire_steering[];
extern const char *const wire_member_state[];

typedef struct RawOption {
        int64_t level;
        int64_t name;
        const char *value;
} RawOption;

typedef struct Options {
        int64_t backlog;
        const char *bind_to_device;
        int64_t mark;
        int64_t priority;
        int64_t type_of_service;
        int64_t time_to_live;
        int64_t keep_alive_idle_sec;
        int64_t keep_alive_interval_sec;
        int64_t keep_alive_probes;
        int64_t defer_accept_sec;
        int64_t fast_open_queue;
        int64_t user_timeout_msec;
        int64_t linger_sec;
        int64_t receive_buffer;
        int64_t send_buffer;
        const char *congestion;
        WireList multicast_groups; /* const char * */
        const char *multicast_interface;
        WireList raw; /* RawOption */
        Tristate ipv6_only;
        Tristate reuse_address;
        Tristate broadcast;
        Tristate free_bind;
        Tristate transparent;
        Tristate keep_alive;
        Tristate no_delay;
        Tristate packet_info;
        Tristate timestamp;
        Tristate pass_credentials;
        Tristate multicast_loop;
} Options;

typedef struct SocketRequest {
        const char *network;
        const char *address;
        const char *name;
        int sharing;
        int steering;
        int64_t weight;
        Tristate standby;
        int64_t retain_sec;
        const char *network_namespace;
        int64_t same_port_as;
        Options *options;
} SocketRequest;

typedef struct SocketReply {
        const char *lease;
        const char *endpoint;
        const char *name;
        int64_t socket_file_descriptor;
        const char *cookie;
        const char *network;
        const char *address;
        int sharing;
        Tristate adopted;
        Options *options;
} SocketReply;

typedef struct HolderInfo {
        int64_t uid;
        int64_t gid;
        int64_t pid;
        const char *command;
        const char *unit;
        int64_t since_usec;
} HolderInfo;

typedef struct LeaseInfo {
        const char *lease;
        HolderInfo *holder;
        int lifetime;
} LeaseInfo;

typedef struct MemberInfo {
        const char *member;
        int state;
        int64_t weight;
        WireList leases; /* LeaseInfo */
        int64_t queue_length;
        int64_t queue_limit;
        int64_t drops;
        Tristate stalled;
        int64_t flows;
} MemberInfo;

typedef struct EndpointInfo {
        const char *endpoint;
        const char *name;
        const char *network;
        const char *address;
        const char *network_namespace;
        int sharing;
        int steering;
        const char *continuity;
        const char *continuity_reason;
        WireList members; /* MemberInfo */
        const char *tenant;
} EndpointInfo;

typedef struct EventInfo {
        const char *what;
        int64_t time_usec;
        const char *endpoint;
        const char *member;
        const char *lease;
        HolderInfo *holder;
        const char *reason;
} EventInfo;

typedef struct ResumeRequest {
        const char *lease;
        const char *cookie;
} ResumeRequest;

typedef struct AcquireIn {
        WireList sockets; /* SocketRequest */
        int lifetime;
} AcquireIn;

typedef struct AcquireOut {
        WireList sockets; /* SocketReply */
        int64_t lifetime_file_descriptor;
} AcquireOut;

/* Release, Ready, Drain. */
typedef struct LeasesIn {
        WireList leases; /* const char * */
} LeasesIn;

typedef struct SetWeightIn {
        WireList leases; /* const char * */
        int64_t weight;
} SetWeightIn;

typedef struct DialIn {
        const char *network;
        const char *remote_address;
        const char *local_address;
        const char *network_namespace;
        Options *options;
} DialIn;

typedef struct DialOut {
        int64_t socket_file_descriptor;
        const char *cookie;
        const char *network;
        const char *local_address;
        Tristate reused;
} DialOut;

typedef struct ResumeIn {
        WireList leases; /* ResumeRequest */
        int lifetime;
} ResumeIn;

typedef struct ResumeOut {
        WireList resumed; /* const char * */
        WireList lost;    /* const char * */
} ResumeOut;

typedef struct ListIn {
        const char *endpoint;
} ListIn;

typedef struct ListOut {
        WireList endpoints; /* EndpointInfo */
} ListOut;

typedef struct WatchOut {
        EventInfo *event;
} WatchOut;

typedef struct ExplainIn {
        SocketRequest *request;
        int64_t uid;
        WireList gids; /* int64_t */
} ExplainIn;

typedef struct ExplainOut {
        Tristate allowed;
        const char *rule;
        const char *reason;
        const char *file;
        int64_t line;
        const char *tenant;
} ExplainOut;

typedef struct GetStatusOut {
        const char *version;
        int64_t started_usec;
        int64_t connections;
        int64_t endpoints;
        int64_t leases;
        WireList capabilities; /* const char * */
        WireList warnings;     /* const char * */
        int64_t recovered;
        int64_t lost;
        int64_t foreign;
        int64_t kept;
        int64_t not_kept;
} GetStatusOut;

typedef struct TakeOverOut {
        int64_t socket_file_descriptor;
} TakeOverOut;

typedef struct GetInfoOut {
        const char *vendor;
        const char *product;
        const char *version;
        const char *url;
        WireList interfaces; /* const char * */
} GetInfoOut;

typedef struct GetInterfaceDescriptionIn {
        const char *interface;
} GetInterfaceDescriptionIn;

typedef struct GetInterfaceDescriptionOut {
        const char *description;
} GetInterfaceDescriptionOut;

extern const Record wire_empty;
extern const Record wire_raw_option, wire_options, wire_socket_request, wire_socket, wire_holder,
        wire_lease, wire_member, wire_endpoint, wire_event, wire_resume_request;

/* One row per method of the two interfaces, with its parameters and its reply. */
typedef struct WireMethod {
        const char *name; /* fully qualified */
        const Record *in;
        const Record *out;
} WireMethod;

typedef enum WireMethodId {
        WIRE_METHOD_ACQUIRE,
        WIRE_METHOD_DIAL,
        WIRE_METHOD_READY,
        WIRE_METHOD_DRAIN,
        WIRE_METHOD_SET_WEIGHT,
        WIRE_METHOD_RELEASE,
        WIRE_METHOD_RESUME,
        WIRE_METHOD_LIST,
        WIRE_METHOD_WATCH,
        WIRE_METHOD_EXPLAIN,
        WIRE_METHOD_GET_STATUS,
        WIRE_METHOD_TAKE_OVER,
        WIRE_METHOD_GET_INFO,
        WIRE_METHOD_GET_INTERFACE_DESCRIPTION,
        _WIRE_METHOD_N,
} WireMethodId;

extern const WireMethod wire_methods[_WIRE_METHOD_N];

/* The parameters of every error; each error's record picks its own. */
typedef struct ErrorParameters {
        const char *network;
        const char *address;
        const char *reason;
        const char *rule;
        const char *file;
        int64_t line;
        const char *resource;
        const char *option;
        const char *have;
        const char *want;
        const char *feature;
        const char *lease;
        const char *endpoint;
        const char *step;
        const char *errno_name;
        const char *message;
        const char *parameter;
        const char *method;
        const char *interface;
        HolderInfo *holder;
        int64_t limit;
} ErrorParameters;

typedef enum WireErrorId {
        WIRE_ERROR_NETWORK_UNKNOWN,
        WIRE_ERROR_ADDRESS_INVALID,
        WIRE_ERROR_ADDRESS_IN_USE,
        WIRE_ERROR_ADDRESS_UNAVAILABLE,
        WIRE_ERROR_POLICY_DENIED,
        WIRE_ERROR_QUOTA_EXCEEDED,
        WIRE_ERROR_OPTION_CONFLICT,
        WIRE_ERROR_OPTION_INVALID,
        WIRE_ERROR_NOT_SUPPORTED,
        WIRE_ERROR_NO_SUCH_LEASE,
        WIRE_ERROR_NO_SUCH_ENDPOINT,
        WIRE_ERROR_SYSTEM_FAILURE,
        WIRE_ERROR_INTERFACE_NOT_FOUND,
        WIRE_ERROR_METHOD_NOT_FOUND,
        WIRE_ERROR_METHOD_NOT_IMPLEMENTED,
        WIRE_ERROR_INVALID_PARAMETER,
        WIRE_ERROR_PERMISSION_DENIED,
        WIRE_ERROR_EXPECTED_MORE,
        _WIRE_ERROR_N,
} WireErrorId;

typedef struct WireError {
        const char *name; /* fully qualified */
        const Record *parameters;
} WireError;

extern const WireError wire_errors[_WIRE_ERROR_N];

/* The id of a fully qualified error name, or -1. */
int wire_error_find(const char *name);
