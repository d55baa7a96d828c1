/* SPDX-License-Identifier: BSD-2-Clause */

/* Asked of the kernel, so that the status can say what is missing before a client finds out. What is
 * given up is given up for good: nothing in here takes anything back. */

#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/error.h"

int privileges_raise_limits(size_t *ret) {
        struct rlimit limit;
        int r = 0;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return error_origin(-errno);
        if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){ limit.rlim_max, limit.rlim_max }) < 0)
                r = error_origin(-errno);
        else
                limit.rlim_cur = limit.rlim_max;
        *ret = limit.rlim_cur == RLIM_INFINITY ? 0 : limit.rlim_cur;
        return r;
}

/* Everything is unprivileged from here on. */
static unsigned unprivileged_port_start(void) {
        FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
        unsigned start;

        if (!file)
                return 1024;
        /* NOLINTNEXTLINE(cert-err34-c): the kernel's, and fits */
        if (fscanf(file, "%u", &start) != 1)
                start = 1024;
        fclose(file);
        return start;
}

static CapabilitySet capabilities_read(cap_flag_t flag) {
        cap_t caps = cap_get_proc();
        CapabilitySet set = 0;

        for (cap_value_t cap = 0; caps && cap <= CAP_LAST_CAP; cap++) {
                cap_flag_value_t value = CAP_CLEAR;

                if (cap_get_flag(caps, cap, flag, &value) == 0 && value == CAP_SET)
                        set |= CAPABILITY(cap);
        }
        cap_free(caps);
        return set;
}

static int capabilities_fill(cap_t caps, cap_flag_t flag, CapabilitySet set) {
        for (cap_value_t cap = 0; cap <= CAP_LAST_CAP; cap++)
                if (set & CAPABILITY(cap) && cap_set_flag(caps, flag, 1, &cap, CAP_SET) < 0)
                        return error_origin(-errno);
        return 0;
}

/* Nothing is ever executed, so nothing is left to inherit; ambient ones go with them. */
static int capabilities_write(CapabilitySet effective, CapabilitySet permitted) {
        cap_t caps = cap_init();
        int r;

        if (!caps)
                return error_origin(-errno);
        r = capabilities_fill(caps, CAP_EFFECTIVE, effective);
        if (r == 0)
                r = capabilities_fill(caps, CAP_PERMITTED, permitted);
        if (r == 0 && cap_set_proc(caps) < 0)
                r = error_origin(-errno);
        cap_free(caps);
        return error_trace(r);
}

CapabilitySet privileges_effective(void) {
        return capabilities_read(CAP_EFFECTIVE);
}

CapabilitySet privileges_permitted(void) {
        return capabilities_read(CAP_PERMITTED);
}

bool privileges_low_ports(void) {
        return privileges_effective() & CAPABILITY(CAP_NET_BIND_SERVICE) ||
               unprivileged_port_start() <= 1;
}

int privileges_use(CapabilitySet set) {
        CapabilitySet permitted = privileges_permitted();

        return error_trace(capabilities_write(set & permitted, permitted));
}

int privileges_drop_bpf(bool (*works)(void *userdata), void *userdata) {
        const CapabilitySet bpf = CAPABILITY(CAP_BPF);
        CapabilitySet effective = privileges_effective(), permitted = privileges_permitted();
        int r;

        /* Out of use first, from where it can be taken back. */
        r = capabilities_write(effective & ~bpf, permitted);
        if (r == 0 && effective & bpf && !works(userdata))
                return error_trace(capabilities_write(effective, permitted)) ?: PRIVILEGES_E_KEPT;
        if (r == 0)
                r = capabilities_write(effective & ~bpf, permitted & ~bpf);
        return error_trace(r);
}

int privileges_become(const char *name, uid_t uid, gid_t gid) {
        int signal = 0;

        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || prctl(PR_GET_PDEATHSIG, &signal) < 0)
                return error_origin(-errno);
        if (initgroups(name, gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                return error_origin(-errno);
        /* Who started the broker may have asked to be followed; the kernel forgets that of
         * another user. */
        if (prctl(PR_SET_PDEATHSIG, signal) < 0 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
                return error_origin(-errno);
        return 0;
}

/* It bounds what an executed program may gain. Without CAP_SETPCAP it stays as it is. */
static void bounding_keep(CapabilitySet set) {
        for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
                if (cap > CAP_LAST_CAP || !(set & CAPABILITY(cap)))
                        prctl(PR_CAPBSET_DROP, cap);
}

int privileges_keep(CapabilitySet set) {
        int r = privileges_use(set | CAPABILITY(CAP_SETPCAP));

        if (r < 0)
                return error_trace(r);
        bounding_keep(set);
        set &= privileges_permitted();
        return error_trace(capabilities_write(set, set));
}
