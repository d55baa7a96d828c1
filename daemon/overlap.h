/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Addresses that take each other's traffic: a specific one takes a wildcard's, 0.0.0.0 takes a
 * dual-stack socket's. The kernel keeps users apart there by the owner of the socket; all of ours have
 * one owner, so the broker must.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/endpoint.h"
#include "proto/address.h"

/* Whether one packet could be for either. Equal addresses do overlap. */
bool overlap_between(const Address *a, const Address *b);

/*
 * An endpoint at another address that overlaps @address, with its port fixed. @except: endpoints that
 * this user made do not count; NULL: all do. NULL if there is none.
 */
Endpoint *overlap_find(const EndpointRegistry *registry, const Address *address, const Tenant *except);

/* The same in another network namespace, where everything is apart; NULL: in the broker's own. */
Endpoint *overlap_find_in(const EndpointRegistry *registry, const Namespace *network_namespace,
                          const Address *address, const Tenant *except);
