/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the process may do: its user, its capabilities and its resource limits. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Capabilities as bits. */
typedef uint64_t CapabilitySet;

#define CAPABILITY(cap) (UINT64_C(1) << (cap))

enum {
        _PRIVILEGES_E_SUCCESS,
        PRIVILEGES_E_KEPT,
};

/*
 * As many descriptors as the hard limit allows: every socket held is one. *@ret: how many, raised or
 * not; 0 if there is no limit. Returns 0 or a negative errno.
 */
int privileges_raise_limits(size_t *ret);

/* Whether ports below net.ipv4.ip_unprivileged_port_start can be bound. */
bool privileges_low_ports(void);

/* The capabilities in force, and those that could be; none if the kernel does not say. */
CapabilitySet privileges_effective(void);
CapabilitySet privileges_permitted(void);

/* Has those of @set in force that are permitted, and no others, for now. Returns 0 or a
 * negative errno. */
int privileges_use(CapabilitySet set);

/*
 * Gives up CAP_BPF in every set, for good, unless @works(userdata) says that what it was needed for does
 * not work without. Having none is no error. Returns 0, PRIVILEGES_E_KEPT, or a negative errno.
 */
int privileges_drop_bpf(bool (*works)(void *userdata), void *userdata);

/*
 * Becomes user @uid with the group @gid and those that the user @name is in; capabilities stay
 * permitted. Returns 0 or a negative errno, and then whom the process is is not defined.
 */
int privileges_become(const char *name, uid_t uid, gid_t gid);

/*
 * Gives up, in every set and for good, all capabilities but those of @set, and with them whatever a
 * program that is executed could bring. Returns 0 or a negative errno.
 */
int privileges_keep(CapabilitySet set);
