/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the process may do: its resource limits and capabilities. */

#include <stdbool.h>

/* As many descriptors as the hard limit allows: every socket held is one. Returns 0 or a negative errno.
 */
int privileges_raise_limits(void);

/* Whether ports below net.ipv4.ip_unprivileged_port_start can be bound. */
bool privileges_low_ports(void);
