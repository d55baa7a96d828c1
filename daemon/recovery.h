/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What an earlier broker left, made this one's: its saved state (state.h), and the sockets that were
 * kept for it. Each is checked against its record; what does not fit is told, and closed.
 */

#include "daemon/inherited.h"
#include "daemon/services.h"

/*
 * Opens the state, that of an earlier broker if it is among @inherited, else a new one, and takes over
 * ids from it; before anything has an id. Returns 0 or a negative errno.
 */
int recovery_open_state(Services *services, Inherited *inherited);

/*
 * Makes endpoints, members and leases of what it says, with their descriptors out of @inherited. What
 * cannot be made is counted and told, and is no failure. Returns 0 or a negative errno.
 */
int recovery_run(Services *services, Inherited *inherited);
