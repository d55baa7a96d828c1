/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the broker makes itself unable to do, once it has what only root could give it. */

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/privileges.h"

/* Whom a broker that root started runs as, if no User= says otherwise and there is that user. */
#define CONFINEMENT_USER "reuseportd"

typedef struct Confinement {
        /* Whom to become; if nobody, why root stays root, or NULL of a broker that root did
         * not start. */
        bool changes_user;
        char name[LOGIN_NAME_MAX];
        uid_t uid;
        gid_t gid;
        const char *stays_root;
        uid_t asked;                   /* what User= said: a restart is needed for another one */
        CapabilitySet keeps, given_up; /* of those that it had */
        bool makes_raw_ip;             /* it kept what that takes */
        bool filtered;                 /* by the system calls it may make; */
        const char *no_filter;         /* if not, for this reason */
} Confinement;

/* What is needed for as long as the broker runs. */
typedef struct ConfinementNeeds {
        unsigned rights; /* PolicyRight bits that rules give */
        bool bpf;        /* CAP_BPF cannot be done without */
        bool maps;       /* of BPF, to be changed */
        bool files;      /* of UNIX sockets, to be given to others */
        bool raw_ip;     /* sockets of it */
} ConfinementNeeds;

/*
 * Decides whom to become: the user @uid, or with -1 the default one, or if @own nobody; and nobody if
 * this is not root. Looks users up, which may block. Returns 0 or a negative errno.
 */
int confinement_choose_user(uid_t uid, bool own, Confinement *confinement);

/*
 * Becomes that user, gives up what @needs does not ask for, and lets the kernel refuse all system calls
 * that are not. What this system cannot do of it is left out and told in @confinement; there is no way
 * back. Returns 0 or a negative errno.
 */
int confinement_enter(Confinement *confinement, const ConfinementNeeds *needs);
