/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A share of the CPUs of its own for each service and each user, in a control group, as a service
 * manager gives it: however many processes one has, they are one to the scheduler.
 */

#include <sys/types.h>

enum {
        /* CPUWeight= of a unit that says nothing. */
        CPU_WEIGHT_DEFAULT = 100,
        CPU_SHARE_PATH_MAX = 128,
};

typedef struct CpuShares {
        /* The folder of the groups; empty: there are none. */
        char folder[CPU_SHARE_PATH_MAX];
        int version; /* of the control groups */
} CpuShares;

enum {
        _CPU_SHARES_E_SUCCESS,
        CPU_SHARES_E_NOT_ALLOWED, /* no control group with a share of the CPUs can be made */
};

/* Of version 2 the controller is switched on at the root, and stays so: others may have come to need it.
 * Returns 0, CPU_SHARES_E_NOT_ALLOWED, or a negative errno. */
int cpu_shares_init(CpuShares *shares);

/* Removes the groups, in which no process is left. */
void cpu_shares_deinit(CpuShares *shares);

/*
 * Puts the process @pid into the group @name, which is made if it is not there, of @weight as CPUWeight=
 * has it. Nothing is done where there are none. Returns 0 or a negative errno.
 */
int cpu_shares_put(const CpuShares *shares, const char *name, unsigned weight, pid_t pid);
