/* SPDX-License-Identifier: BSD-2-Clause */

/* Asked once at start, so that the status can say what is missing before a client finds out. */

#include "daemon/privileges.h"

#include <errno.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "proto/error.h"

int privileges_raise_limits(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return error_origin(-errno);
        limit.rlim_cur = limit.rlim_max;
        return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? error_origin(-errno) : 0;
}

/* Everything is unprivileged from here on. */
static unsigned unprivileged_port_start(void) {
        FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
        unsigned start;

        if (!file)
                return 1024;
        if (fscanf(file, "%u", &start) != 1)
                start = 1024;
        fclose(file);
        return start;
}

bool privileges_low_ports(void) {
        cap_flag_value_t set = CAP_CLEAR;
        cap_t caps = cap_get_proc();

        if (caps) {
                cap_get_flag(caps, CAP_NET_BIND_SERVICE, CAP_EFFECTIVE, &set);
                cap_free(caps);
        }
        return set == CAP_SET || unprivileged_port_start() <= 1;
}

static int set_bpf(cap_t caps, const cap_flag_t *sets, size_t n, cap_flag_value_t value) {
        static const cap_value_t bpf = CAP_BPF;

        for (size_t i = 0; i < n; i++)
                if (cap_set_flag(caps, sets[i], 1, &bpf, value) < 0)
                        return error_origin(-errno);
        return cap_set_proc(caps) < 0 ? error_origin(-errno) : 0;
}

int privileges_drop_bpf(bool (*works)(void *userdata), void *userdata) {
        static const cap_flag_t sets[] = { CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE };
        cap_flag_value_t had = CAP_CLEAR;
        cap_t caps = cap_get_proc();
        int r;

        if (!caps)
                return error_origin(-errno);
        cap_get_flag(caps, CAP_BPF, CAP_EFFECTIVE, &had);
        /* Out of use first, from where it can be taken back. */
        r = set_bpf(caps, sets, 1, CAP_CLEAR);
        if (r == 0 && had == CAP_SET && !works(userdata))
                r = set_bpf(caps, sets, 1, CAP_SET) ?: PRIVILEGES_E_KEPT;
        else if (r == 0)
                r = set_bpf(caps, sets, 3, CAP_CLEAR);
        cap_free(caps);
        return r;
}
