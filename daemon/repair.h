/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A holder can shut down the socket that it was given, and with it everybody's: those who share it, and
 * the port itself. What can listen again does; what cannot is closed, so that the next client gets one
 * that works. And a holder can bind or connect what it was given: that is put right for the next.
 */

#include "daemon/member.h"

enum {
        /* A holder that shuts down what was repaired this short a time ago does not mean it to work. */
        REPAIR_INTERVAL_USEC = 1000000,
};

/*
 * For who comes next to have @endpoint where it says, and all that comes there. Of what nobody holds,
 * raw IP that an earlier holder bound elsewhere or connected is closed; a datagram socket that was
 * connected is taken off its peer, or closed if that cannot be, as in a group. Returns whether the
 * endpoint is gone with it.
 */
bool repair_moved(Endpoint *endpoint);

/* Somebody else than the broker shut down the socket of @member, which may be gone afterwards. */
void repair_member(Member *member);
