/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The descriptors that a parent passed: by number, from 3 upward, and by LISTEN_PID, LISTEN_FDS,
 * LISTEN_FDNAMES and LISTEN_PIDFDID in the environment. The convention of sd_listen_fds(3).
 */

#include <stdbool.h>
#include <stddef.h>

/* The number of the first. */
enum {
        LISTEN_FDS_FIRST = 3,
};

/* What a descriptor is called that came without a name. */
#define LISTEN_FDS_UNKNOWN "unknown"

typedef struct ListenFds {
        /* One for each descriptor; each is allocated by itself, and so is the list. */
        char **names;
        size_t n;
} ListenFds;

enum {
        _LISTEN_FDS_E_SUCCESS,
        /* LISTEN_PID or LISTEN_PIDFDID cannot be the number of a process. */
        LISTEN_FDS_E_PROCESS,
        /* LISTEN_FDS is no number of descriptors. */
        LISTEN_FDS_E_COUNT,
        /* Not so many descriptors are open. */
        LISTEN_FDS_E_NOT_OPEN,
        /* LISTEN_FDNAMES has another number of names, or ends within one. */
        LISTEN_FDS_E_NAMES,
};

/*
 * Reads the environment, and makes the descriptors close-on-exec. There are none if the variables are
 * not set, or are meant for another process. With @unset they are gone afterwards, whatever is returned:
 * no child takes itself to be meant. Not beside other threads that use the environment.
 * Returns 0, LISTEN_FDS_E_* or -ENOMEM; then no descriptor was changed.
 */
int listen_fds_take(bool unset, ListenFds *ret);

/* The descriptors stay open. */
void listen_fds_deinit(ListenFds *fds);
