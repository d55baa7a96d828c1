/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Sockets of a group that an earlier broker made and this one knows nothing of, as it was killed and
 * nobody kept them: clients serve on with what they hold. The program cannot choose such a socket, for
 * only who has it can make it known. So a group with survivors is not steered: the kernel spreads flows
 * over all that listen.
 *
 * Whether a group may have some costs one system call: a broker leaves something attached to each group
 * that it founds, its program, or a mark that means nothing. Who finds that on what ought to be a new
 * group has found somebody else's, and looks.
 */

#include "daemon/endpoint.h"

/*
 * Takes off what an earlier broker attached to the group of @fd. Returns 1 if there was something, 0 if
 * not, or a negative errno.
 */
int survivors_disarm(int fd);

/* Marks the group of @fd as somebody's, for a broker that comes after this one. Flows are not changed.
 * Returns 0 or a negative errno. */
int survivors_mark(int fd);

/* Whether there are such sockets in the group of @endpoint, which has a member. Returns 1, 0, or a
 * negative errno. */
int survivors_look(const Endpoint *endpoint);
