/* SPDX-License-Identifier: BSD-2-Clause */

/* The parent-death signal is asked for again: the kernel forgets it when a process changes its user. */

#include "tests/bench/user.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proto/error.h"

static const cap_value_t broker_caps[] = { CAP_BPF, CAP_CHOWN, CAP_NET_BIND_SERVICE };

enum {
        N_BROKER_CAPS = sizeof(broker_caps) / sizeof(*broker_caps),
};

bool user_may_choose(void) {
        return geteuid() == 0;
}

uid_t user_or_own(uid_t uid) {
        return user_may_choose() ? uid : geteuid();
}

static int user_change(uid_t uid) {
        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
            prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return error_origin(-errno);
        return 0;
}

int user_become(uid_t uid) {
        int r = user_may_choose() ? user_change(uid) : 0;

        return r < 0 ? error_trace(r) : 0;
}

/* What is in @had of what the broker is to keep, into the sets that outlive execve(). */
static int user_keep(cap_t had) {
        cap_t caps = cap_init();
        int r = 0;

        if (!caps)
                return error_origin(-errno);
        for (size_t i = 0; i < N_BROKER_CAPS; i++) {
                cap_flag_value_t value = CAP_CLEAR;

                cap_get_flag(had, broker_caps[i], CAP_PERMITTED, &value);
                for (cap_flag_t set = CAP_EFFECTIVE; set <= CAP_INHERITABLE; set++)
                        cap_set_flag(caps, set, 1, &broker_caps[i], value);
        }
        if (cap_set_proc(caps) < 0)
                r = error_origin(-errno);
        for (size_t i = 0; i < N_BROKER_CAPS && r == 0; i++) {
                cap_flag_value_t value = CAP_CLEAR;

                cap_get_flag(caps, broker_caps[i], CAP_PERMITTED, &value);
                if (value == CAP_SET && cap_set_ambient(broker_caps[i], CAP_SET) < 0)
                        r = error_origin(-errno);
        }
        cap_free(caps);
        return r;
}

int user_become_broker(uid_t uid) {
        cap_t had;
        int r;

        if (!user_may_choose())
                return 0;
        had = cap_get_proc();
        if (!had || prctl(PR_SET_KEEPCAPS, 1) < 0)
                r = error_origin(-errno);
        else
                r = user_change(uid);
        if (r == 0)
                r = user_keep(had);
        cap_free(had);
        return r < 0 ? error_trace(r) : 0;
}
