/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Who runs what, where that may be chosen: numbers that no system gives out, and no file belongs to. */

#include <stdbool.h>
#include <sys/types.h>

enum {
        USER_BROKER = 60520,
        USER_HONEST,
        /* The first of USERS_HOSTILE. */
        USER_HOSTILE,
        USERS_HOSTILE = 8,
};

/* Whether this process may choose. Otherwise all are the one user. */
bool user_may_choose(void);

/* @uid, or the user of this process if it may not choose. */
uid_t user_or_own(uid_t uid);

/*
 * Makes this process @uid's, for good and without any capability: it ends with its parent, still.
 * Nothing is done if it may not choose. Returns 0 or a negative errno.
 */
int user_become(uid_t uid);

/* As user_become(), for a broker that runs as a service would: with CAP_BPF, CAP_CHOWN and
 * CAP_NET_BIND_SERVICE, as far as this process has them, also in the program that it executes next. */
int user_become_broker(uid_t uid);
