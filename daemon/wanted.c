/* SPDX-License-Identifier: BSD-2-Clause */

/* Everything about a request that can be judged without the kernel and without policy. */

#include "daemon/wanted.h"

#include <errno.h>
#include <string.h>

#include "daemon/group.h"
#include "daemon/judge.h"
#include "daemon/policy.h"
#include "daemon/refusal.h"
#include "daemon/socket-options.h"
#include "proto/error.h"
#include "proto/ip-protocol.h"
#include "proto/limits.h"

/* ---- the network namespace ---------------------------------------------------------------------- */

static int refuse_namespace(Context *context, const char *reason) {
        return refuse(context, WIRE_ERROR_OPTION_INVALID,
                      &(ErrorParameters){ .option = "networkNamespace", .reason = reason });
}

/* What keeps it from being where the client says, whatever is there. NULL: nothing. */
static const char *namespace_misfit(const SocketRequest *request) {
        const char *protocol;
        int family;

        if (strncmp(request->network, "unix", 4) == 0 && request->address[0] != '@')
                return "a path is the same in every network namespace: leave it out";
        if (strcmp(request->network, "vsock") == 0)
                return "vsock is the same in every network namespace: leave it out";
        if (ip_network_split(request->network, &family, &protocol))
                return "raw IP is given in the broker's own network namespace alone: leave it out";
        return NULL;
}

/* The path, in one spelling, in wanted->namespace_path. */
static int check_namespace(Context *context, Wanted *wanted) {
        const char *why;
        char *path;

        if (!wanted->request->network_namespace)
                return 0;
        path = message_allocate(context->message, NAMESPACE_PATH_MAX);
        if (!path)
                return error_origin(-ENOMEM);
        why = namespace_path_parse(wanted->request->network_namespace, path);
        if (!why)
                why = namespace_misfit(wanted->request);
        wanted->namespace_path = path;
        return why ? refuse_namespace(context, why) : 0;
}

/* Who can have nothing there is refused by policy, and learns nothing of what is there. */
static int enter_namespace(Context *context, Wanted *wanted) {
        Services *services = context->services;
        PolicySubject who = judge_subject(context->subject);
        NamespaceFailure failure;
        int r;

        if (!wanted->namespace_path ||
            !policy_may_enter(services->config->policy, &who, wanted->namespace_path))
                return 0;
        r = namespace_enter(&services->namespaces, wanted->namespace_path, &wanted->network_namespace,
                            &failure);
        switch (r) {
        case NAMESPACE_HELPER_E_UNAVAILABLE:
                return refuse(
                        context, WIRE_ERROR_NOT_SUPPORTED,
                        &(ErrorParameters){ .feature = "networkNamespace", .reason = failure.reason });
        case NAMESPACE_HELPER_E_INVALID:
                return refuse_namespace(context, failure.reason);
        case NAMESPACE_HELPER_E_SYSTEM:
                return refuse_failure(context, failure.step, NULL, failure.error);
        default:
                return error_trace(r);
        }
}

int wanted_enter(Context *context, Wanted *wanted) {
        int r = check_namespace(context, wanted);

        return r ?: enter_namespace(context, wanted);
}

AddressFamilies wanted_families(const Context *context, const Wanted *wanted) {
        AddressFamilies families = context->services->families;

        if (wanted->network_namespace)
                return wanted->network_namespace->families;
        families.elsewhere = wanted->namespace_path;
        families.interfaces = -1;
        return families;
}

PortPool *wanted_ports(const Context *context, const Wanted *wanted) {
        return wanted->network_namespace && wanted->network_namespace->ports
                       ? wanted->network_namespace->ports
                       : context->services->ports;
}

/* ---- the rest ----------------------------------------------------------------------------------- */

/* What only a steered group can keep: which members take new flows, and how many. */
static int check_steering(Context *context, Wanted *wanted) {
        const SocketRequest *request = wanted->request;
        const char *feature = request->steering >= 0           ? "steering"
                              : request->weight != WIRE_ABSENT ? "weight"
                              : request->standby == true       ? "standby"
                                                               : NULL;
        const char *reason = wanted->sharing != SHARING_GROUP ? "only the members of a group are steered"
                             : !group_can_be_steered(&wanted->address) ? group_kernel_reason
                                                                       : context->services->no_steering;

        wanted->steering = request->steering >= 0 ? (SteeringMode)request->steering : STEERING_HASH;
        wanted->weight =
                request->weight != WIRE_ABSENT ? (uint32_t)request->weight : MEMBER_WEIGHT_DEFAULT;
        wanted->standby = request->standby == true;
        if (!feature || !reason)
                return 0;
        return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                      &(ErrorParameters){ .feature = feature, .reason = reason });
}

int wanted_parse(Context *context, const char *network, const char *address,
                 const AddressFamilies *families, Address *ret) {
        const char *reason;

        switch (address_parse(network, address, families, ret, &reason)) {
        case 0:
                return 0;
        case ADDRESS_E_NETWORK_UNKNOWN:
                return refuse(context, WIRE_ERROR_NETWORK_UNKNOWN,
                              &(ErrorParameters){ .network = network });
        case ADDRESS_E_NETWORK_REFUSED:
                return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                              &(ErrorParameters){ .feature = network, .reason = reason });
        default:
                return refuse(context, WIRE_ERROR_ADDRESS_INVALID,
                              &(ErrorParameters){ .address = address, .reason = reason });
        }
}

static int check_address(Context *context, const AddressFamilies *families, Wanted *wanted) {
        const SocketRequest *request = wanted->request;
        int r = wanted_parse(context, request->network, request->address, families, &wanted->address);

        if (r != 0)
                return r;
        /* Whether a wildcard serves IPv4 too is part of the address; elsewhere nothing is to
         * be decided. */
        if (request->options && request->options->ipv6_only >= 0 &&
            address_family(&wanted->address) == AF_INET6 && address_is_wildcard(&wanted->address))
                wanted->address.ipv6_only = request->options->ipv6_only;
        return 0;
}

static int check_sharing(Context *context, Wanted *wanted) {
        bool ip = address_is_ip(&wanted->address);

        wanted->sharing = wanted->request->sharing >= 0 ? (Sharing)wanted->request->sharing
                          : ip                          ? SHARING_GROUP
                                                        : SHARING_SHARED;
        if (wanted->sharing == SHARING_GROUP && !ip)
                return refuse(
                        context, WIRE_ERROR_NOT_SUPPORTED,
                        &(ErrorParameters){ .feature = "sharing group",
                                            .reason = address_is_vsock(&wanted->address)
                                                              ? "vsock has no groups: ask for shared"
                                                              : "UNIX sockets have no groups: ask for "
                                                                "shared" });
        return 0;
}

/* The kernel would follow the zone, and say nothing. */
static int check_device(Context *context, const AddressFamilies *families, const Wanted *wanted) {
        const Options *options = wanted->request->options;
        uint32_t zone = address_zone(&wanted->address);

        if (zone == 0 || !options->bind_to_device || (families->elsewhere && families->interfaces < 0) ||
            address_interface(families, options->bind_to_device) == zone)
                return 0;
        return refuse(context, WIRE_ERROR_OPTION_INVALID,
                      &(ErrorParameters){ .option = "bindToDevice",
                                          .reason = "the zone of the address names another interface; "
                                                    "leave the option out" });
}

static int check_options(Context *context, const AddressFamilies *families, Wanted *wanted) {
        const Options *options = wanted->request->options;
        OptionRefusal refusal;

        if (!options)
                return 0;
        wanted->rights = policy_rights_of(options);
        if (socket_options_check(options, &wanted->address, &refusal) == 0)
                return check_device(context, families, wanted);
        return refuse(context, WIRE_ERROR_OPTION_INVALID,
                      &(ErrorParameters){ .option = refusal.option, .reason = refusal.reason });
}

/* What does not depend on where it is to be. */
static int check_numbers(Context *context, size_t index, Wanted *wanted) {
        const SocketRequest *request = wanted->request;

        if (request->name && !endpoint_name_is_valid(request->name))
                return refuse_parameter(context, "name", index);
        if (request->retain_sec != WIRE_ABSENT &&
            (request->retain_sec < 0 || request->retain_sec > RETAIN_SEC_MAX))
                return refuse_parameter(context, "retainSec", index);
        /* Which socket it is only the call knows. */
        if (request->same_port_as != WIRE_ABSENT &&
            (index == REFUSE_NO_INDEX || request->same_port_as < 0 ||
             request->same_port_as >= (int64_t)index))
                return refuse_parameter(context, "samePortAs", index);
        if (request->weight != WIRE_ABSENT &&
            (request->weight < 0 || request->weight > STEERING_WEIGHT_MAX))
                return refuse_parameter(context, "weight", index);
        wanted->retain_usec = request->retain_sec != WIRE_ABSENT
                                      ? (uint64_t)request->retain_sec * 1000000
                                      : context->services->config->retain_usec;
        return 0;
}

static int wanted_fill(Context *context, const AddressFamilies *families, Wanted *wanted) {
        int r;

        r = check_address(context, families, wanted);
        if (r == 0)
                r = check_sharing(context, wanted);
        if (r == 0)
                r = check_steering(context, wanted);
        if (r == 0)
                r = check_options(context, families, wanted);
        return r;
}

int wanted_check(Context *context, const SocketRequest *request, size_t index, Wanted *wanted) {
        AddressFamilies families;
        int r;

        *wanted = (Wanted){ .request = request };
        r = check_numbers(context, index, wanted);
        if (r == 0)
                r = wanted_enter(context, wanted);
        families = wanted_families(context, wanted);
        return r ?: wanted_fill(context, &families, wanted);
}

int wanted_look(Context *context, const SocketRequest *request, size_t index, Wanted *wanted) {
        AddressFamilies families;
        int r;

        *wanted = (Wanted){ .request = request };
        r = check_numbers(context, index, wanted);
        if (r == 0)
                r = check_namespace(context, wanted);
        if (r == 0 && wanted->namespace_path)
                wanted->network_namespace =
                        namespace_find(&context->services->namespaces, wanted->namespace_path);
        families = wanted_families(context, wanted);
        /* Who asks need not be one who may have something there. */
        families.interfaces = -1;
        return r ?: wanted_fill(context, &families, wanted);
}
