/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* One socket of an Acquire, on its way from what was asked for to a lease. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/context.h"
#include "daemon/endpoint-change.h"
#include "daemon/policy.h"
#include "proto/address.h"
#include "proto/wire.h"

typedef struct Wanted Wanted;

struct Wanted {
        const SocketRequest *request;
        const Wanted *before; /* in the same call; NULL: it is the first */
        Wanted *leader;       /* whose port it is to have; NULL: any */
        Wanted *followers;    /* those that are to have the port of this one, */
        Wanted *next_follower;
        Address address;
        /* NULL: the broker's own. With a path and without a namespace, policy gives none of it. */
        const char *namespace_path;
        Namespace *network_namespace;
        Sharing sharing;
        unsigned rights; /* PolicyRight bits that its options need */
        /* Once policy has given it: the rule, whose it is. */
        const Rule *rule;
        Tenant tenant;
        uint64_t retain_usec;
        SteeringMode steering;
        bool standby;
        uint32_t weight;
        SocketFile file; /* of a path: as the rule that gives it says */
        /* Once acquired. */
        Lease *lease;
        bool adopted;
        EndpointChange change;
        size_t n_ports_passed; /* of its range, with the one that it got; 0: it was not searched */
};

/* Parses an address of the call, for a host of @families, or answers why it is none. Returns 0,
 * CONTEXT_E_REFUSED, or a negative errno. */
int wanted_parse(Context *context, const char *network, const char *address,
                 const AddressFamilies *families, Address *ret);

/* Checks the @index-th request and fills *@wanted. The network namespace that it names is entered, if
 * the caller may have anything there. Returns 0, CONTEXT_E_REFUSED, or a negative errno. */
int wanted_check(Context *context, const SocketRequest *request, size_t index, Wanted *wanted);

/* The same of a request that nothing is made for: the namespace is the one that the broker knows by that
 * name. */
int wanted_look(Context *context, const SocketRequest *request, size_t index, Wanted *wanted);

/* Of a request that has nothing else yet: its namespace alone, as wanted_check() enters it. */
int wanted_enter(Context *context, Wanted *wanted);

/* Where its addresses are to be. */
AddressFamilies wanted_families(const Context *context, const Wanted *wanted);

/* Where the ports for "port 0" come from. */
PortPool *wanted_ports(const Context *context, const Wanted *wanted);
