/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Two brokers change places while both run (reuseportd --replace): the one that serves hands everything
 * to its successor, in batches, each under the name that it has in the saved state, and ends when that
 * says that it has everything. Until then it serves nobody, so that what it hands over stays true; if
 * the successor goes away or is slow, it serves on as if nothing had happened.
 *
 * They talk over a pair of sockets of their own, which TakeOver gives to the successor.
 */

#include <stdbool.h>

#include "daemon/inherited.h"
#include "daemon/services.h"

enum {
        /* How long the successor may take, from the first batch until it has everything. */
        HANDOVER_SEC_MAX = 10,
};

/*
 * The side that serves: hands over by @fd, a stream of messages, which it consumes. Returns whether
 * there is a successor now: then nothing may be touched any more.
 */
bool handover_run(Services *services, int fd);

enum {
        _HANDOVER_E_SUCCESS,
        HANDOVER_E_NOBODY,  /* no broker listens there */
        HANDOVER_E_REFUSED, /* the reason was logged */
};

/*
 * The successor's side: asks the broker at @path, and adds all that it hands over to @inherited. On 0,
 * handover_finish() is to follow on *@ret_fd, or a close, with which the other serves on. Returns 0,
 * HANDOVER_E_*, or a negative errno.
 */
int handover_take(const char *path, Inherited *inherited, int *ret_fd);

/* This broker has everything: waits until the other has ended. Consumes @fd. Returns 0 or a negative
 * errno. */
int handover_finish(int fd);
