/* SPDX-License-Identifier: BSD-2-Clause */

/* Everything about a request that can be judged without the kernel and without policy. */

#include "daemon/wanted.h"

#include <net/if.h>
#include <string.h>

#include "daemon/group.h"
#include "daemon/policy.h"
#include "daemon/refusal.h"
#include "daemon/socket-options.h"
#include "proto/limits.h"

/* Fields of the interface that this version does not serve: refused by name, never ignored. */
static int check_not_built(Context *context, const SocketRequest *request) {
        if (!request->network_namespace)
                return 0;
        return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                      &(ErrorParameters){ .feature = "networkNamespace",
                                          .reason = "this version of the broker does not have it" });
}

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

static int check_address(Context *context, Wanted *wanted) {
        const SocketRequest *request = wanted->request;
        const char *reason;

        switch (address_parse(request->network, request->address, &context->services->families,
                              &wanted->address, &reason)) {
        case 0:
                break;
        case ADDRESS_E_NETWORK_UNKNOWN:
                return refuse(context, WIRE_ERROR_NETWORK_UNKNOWN,
                              &(ErrorParameters){ .network = request->network });
        case ADDRESS_E_NETWORK_NOT_BUILT:
                return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                              &(ErrorParameters){ .feature = request->network, .reason = reason });
        default:
                return refuse(context, WIRE_ERROR_ADDRESS_INVALID,
                              &(ErrorParameters){ .address = request->address, .reason = reason });
        }
        /* Whether a wildcard serves IPv4 too is part of the address; elsewhere nothing is to be decided.
         */
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
                                            .reason = "UNIX sockets have no groups: ask for shared" });
        return 0;
}

/* The kernel would follow the zone, and say nothing. */
static int check_device(Context *context, const Wanted *wanted) {
        const Options *options = wanted->request->options;
        uint32_t zone = address_zone(&wanted->address);

        if (zone == 0 || !options->bind_to_device || if_nametoindex(options->bind_to_device) == zone)
                return 0;
        return refuse(context, WIRE_ERROR_OPTION_INVALID,
                      &(ErrorParameters){ .option = "bindToDevice",
                                          .reason = "the zone of the address names another interface; "
                                                    "leave the option out" });
}

static int check_options(Context *context, Wanted *wanted) {
        const Options *options = wanted->request->options;
        OptionRefusal refusal;

        if (!options)
                return 0;
        wanted->rights = policy_rights_of(options);
        if (socket_options_check(options, &wanted->address, &refusal) == 0)
                return check_device(context, wanted);
        return refuse(context, WIRE_ERROR_OPTION_INVALID,
                      &(ErrorParameters){ .option = refusal.option, .reason = refusal.reason });
}

int wanted_check(Context *context, const SocketRequest *request, size_t index, Wanted *wanted) {
        int r;

        *wanted = (Wanted){ .request = request };
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
        r = check_not_built(context, request);
        if (r == 0)
                r = check_address(context, wanted);
        if (r == 0)
                r = check_sharing(context, wanted);
        if (r == 0)
                r = check_steering(context, wanted);
        if (r == 0)
                r = check_options(context, wanted);
        return r;
}
