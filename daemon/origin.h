/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Where an outgoing connection comes from: which of the addresses that a client listens on, if any, is
 * the one to connect from. Chosen as go-libp2p's dialer chooses: an address that routing would take for
 * this destination anyway, else loopback for loopback, else a wildcard; never an address that the
 * destination could not answer to.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/address.h"

typedef struct Namespace Namespace;

typedef enum OriginClass {
        ORIGIN_SPECIFIC,
        ORIGIN_LOOPBACK, /* 127.0.0.0/8, ::1 */
        ORIGIN_WILDCARD,
} OriginClass;

/* What is listened on; borrowed. */
typedef struct OriginCandidate {
        const Address *address;
        uint64_t id; /* of several that are as good, the lowest is taken */
} OriginCandidate;

/* Asks for the address that the kernel would connect from to @remote; false: it does not say.
 * @network_namespace: where; NULL: in the broker's own. */
typedef bool (*OriginRoute)(const Namespace *network_namespace, const Address *remote, Address *ret);

enum {
        _ORIGIN_E_SUCCESS,
        ORIGIN_E_NONE,       /* none fits: an ordinary connection */
        ORIGIN_E_UNDIALABLE, /* no host is there that answers to one address */
};

OriginClass origin_class(const Address *address);

/* Whether @local is of the kind and of the family of @remote; of a dual-stack socket it is of both. */
bool origin_serves(const Address *local, const Address *remote);

/* What a socket that connects to @remote is bound to, to come from @local, which serves it. */
void origin_bind_address(const Address *local, const Address *remote, Address *ret);

/*
 * Chooses among those of the @n candidates that serve @remote, which are all of @network_namespace.
 * @random decides between those that are equally good for it. Returns 0 with *@ret the index of one, or
 * ORIGIN_E_*.
 */
int origin_choose(const OriginCandidate *candidates, size_t n, const Address *remote,
                  const Namespace *network_namespace, OriginRoute route, uint64_t random, size_t *ret);

/* As the kernel's routing table has it. Sends nothing. */
bool origin_route(const Namespace *network_namespace, const Address *remote, Address *ret);
