/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Clients are many and the broker has what they have not. Should one of them get it to run code of its
 * own, that code may bind sockets and little else: there is no file to write, no program to execute and
 * nobody to become.
 */

#include "daemon/confinement.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/right-trial.h"
#include "daemon/syscall-filter.h"
#include "proto/error.h"

#define CHANGE_USER (CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID))

/*
 * Whatever the rules say: ports below 1024 are what a broker is for, and the socket whose lease has
 * ended is given to the user who held it.
 */
#define ALWAYS (CAPABILITY(CAP_NET_BIND_SERVICE) | CAPABILITY(CAP_CHOWN))

static const char *why_root(bool own, const struct passwd *passwd) {
        if (own)
                return "it was started so with --user";
        if (!passwd)
                return "there is no user " CONFINEMENT_USER "; create it, or set User= in [Broker]";
        if (passwd->pw_uid == 0)
                return "User= says so";
        if ((privileges_effective() & CHANGE_USER) != CHANGE_USER)
                return "without CAP_SETUID and CAP_SETGID it cannot become another user";
        return NULL;
}

int confinement_choose_user(uid_t uid, bool own, Confinement *confinement) {
        bool configured = uid != (uid_t)-1;
        const struct passwd *passwd;

        confinement->asked = uid;
        if (geteuid() != 0)
                return 0;
        passwd = configured ? getpwuid(uid) : getpwnam(CONFINEMENT_USER);
        if (configured && !passwd)
                return error_origin(-ESRCH); /* it was there when the configuration was read */
        confinement->stays_root = why_root(own && !configured, passwd);
        if (confinement->stays_root)
                return 0;
        confinement->changes_user = true;
        confinement->uid = passwd->pw_uid;
        confinement->gid = passwd->pw_gid;
        snprintf(confinement->name, sizeof(confinement->name), "%s", passwd->pw_name);
        return 0;
}

static int confinement_give_up(Confinement *confinement, const ConfinementNeeds *needs) {
        const CapabilitySet had = privileges_permitted();
        CapabilitySet keep;
        int r;

        /* Tried out as long as all are there. */
        r = right_trial_needs(needs->rights, &keep);
        if (r < 0)
                return error_trace(r);
        keep |= ALWAYS | (needs->bpf ? CAPABILITY(CAP_BPF) : 0) |
                (needs->raw_ip ? CAPABILITY(CAP_NET_RAW) : 0);
        if (confinement->changes_user)
                r = privileges_become(confinement->name, confinement->uid, confinement->gid);
        if (r == 0)
                r = privileges_keep(keep);
        confinement->keeps = had & keep;
        confinement->makes_raw_ip = needs->raw_ip && confinement->keeps & CAPABILITY(CAP_NET_RAW);
        confinement->given_up = had & ~keep;
        return error_trace(r);
}

int confinement_enter(Confinement *confinement, const ConfinementNeeds *needs) {
        const SyscallFilter filter = { .may_change_maps = needs->maps,
                                       .may_chown_files = needs->files,
                                       .may_make_raw_ip = needs->raw_ip };
        int r;

        r = confinement_give_up(confinement, needs);
        if (r < 0)
                return error_trace(r);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_origin(-errno);
        r = syscall_filter_load(&filter, &confinement->no_filter);
        confinement->filtered = r == 0;
        return r < 0 ? error_trace(r) : 0;
}
