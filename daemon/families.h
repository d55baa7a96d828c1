/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the IP of a network can do, by trying. */

#include "proto/address.h"

/*
 * @make: a stream socket of @family in the network that is asked about, or a negative errno; NULL: the
 * caller's own. What cannot be tried is not there. Returns 0, or a negative errno if that was not since
 * there is none.
 */
int families_probe(int (*make)(void *userdata, int family), void *userdata, AddressFamilies *ret);

/* Whether a connected datagram socket gets what is for it though others share its port, in whatever
 * group they are (Linux 6.13). Asked in the caller's network; where that cannot be told, no. */
bool families_find_connected(void);
