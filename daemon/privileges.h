/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the process may do: its resource limits and capabilities. */

#include <stdbool.h>

enum {
        _PRIVILEGES_E_SUCCESS,
        PRIVILEGES_E_KEPT,
};

/* As many descriptors as the hard limit allows: every socket held is one. Returns 0 or a negative errno.
 */
int privileges_raise_limits(void);

/* Whether ports below net.ipv4.ip_unprivileged_port_start can be bound. */
bool privileges_low_ports(void);

/*
 * Gives up CAP_BPF in every set, for good, unless @works(userdata) says that what it was needed for does
 * not work without. Having none is no error. Returns 0, PRIVILEGES_E_KEPT, or a negative errno.
 */
int privileges_drop_bpf(bool (*works)(void *userdata), void *userdata);
