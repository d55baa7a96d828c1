/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Whether a connected socket finds a place beside those that have its port, and how it is let in. */

#include "daemon/endpoint.h"

/*
 * Whether a datagram socket to @remote can be made aside, where the kernel finds it behind all that
 * share its address: @families are those of its network. It also takes a kernel that finds it at all.
 */
bool lending_steps_aside(const Address *remote, const AddressFamilies *families);

/* Whether one that is made @aside, or is not, parts nobody from the sockets of @endpoint. */
bool lending_has_room(const Endpoint *endpoint, bool aside);

/* Has the sockets of @endpoint let one in. Returns 0 or a negative errno. */
int lending_open(Endpoint *endpoint, bool aside);

/* The same for all whose sockets overlap @local in @network_namespace and are @tenant's, who may have
 * the port at addresses of their own. */
int lending_open_neighbours(const EndpointRegistry *endpoints, const Tenant *tenant,
                            const Namespace *network_namespace, const Address *local, bool aside);

/* Has something stay before the one that comes to be at the address of @endpoint. Returns as
 * group_anchor(). */
int lending_anchor(Endpoint *endpoint);
