/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A pipe by whose reading end leases live: it is handed over beside the sockets, and the leases end when
 * the last copy of it is closed, by whatever process. The broker has the writing end, and never writes;
 * so a client can put nothing into the pipe, and learns by a hang-up that the leases have ended before
 * it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Process Process;

enum {
        _LIFELINE_E_SUCCESS,
        LIFELINE_E_NO_PIPE, /* errno says why */
};

/* *@ret_fd is the client's end. Returns 0 with a reference for the caller, LIFELINE_E_NO_PIPE, or a
 * negative errno. */
int lifeline_new(sd_event *event, int *ret_fd, Process **ret);

/* Whether @fd is the broker's end of the pipe with the number @lifeline. */
bool lifeline_fits(int fd, uint64_t lifeline);
