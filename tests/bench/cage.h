/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A network and processes apart: no port is taken from anybody, and nothing is left running. */

enum {
        _CAGE_E_SUCCESS,
        CAGE_E_NOT_ALLOWED, /* this user, or this container, may not make namespaces */
};

/* A network of its own, where only the loopback is, for this process and those that it starts from now
 * on. Returns 0, CAGE_E_NOT_ALLOWED, or a negative errno. */
int cage_own_network(void);

/*
 * Runs @function in a process of its own, with its own network, where only the loopback is, its own
 * process numbers and its own /proc. When it returns, or this process ends in whichever way, all
 * processes that it started end as well. A signal that breaks off the wait (see interrupt_init()) is
 * passed on as SIGTERM. *@ret_status: what @function returned, 0 to 127, or 255 when it was killed.
 * Returns 0, CAGE_E_NOT_ALLOWED with *@ret_reason a static text, or a negative errno.
 */
int cage_run(int (*function)(void *userdata), void *userdata, int *ret_status, const char **ret_reason);
