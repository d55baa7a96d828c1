/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Descriptors that were sent over a connection and not yet received. The kernel counts them against the
 * broker's user: one client that never receives could use up what it allows for all (ETOOMANYREFS).
 */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/account.h"

/* Embedded; zeroed is empty. */
typedef struct Flight {
        int fd; /* the connection; borrowed */
        Charge charge;
        LIST_ENTRY(Flight) entry; /* of its user's */
} Flight;

/*
 * Before @n more are sent over @fd: charges @user for them. When that is at its limit, its other
 * connections are looked at, too: what has been received meanwhile counts no more. Returns 0 or
 * ACCOUNT_E_*.
 */
int flight_begin(Flight *flight, User *user, int fd, size_t n);

/* They were not sent: takes back what flight_begin() charged last. */
void flight_undo(Flight *flight, size_t n);

/* Whether so many are under way that nothing more should be sent before all of it is received: what a
 * client receives bit by bit is not seen to become less. */
bool flight_is_long(const Flight *flight);

/* Whether nothing is under way any more. */
bool flight_is_over(Flight *flight);

/* Nobody will ever receive them; an empty one is left alone. */
void flight_end(Flight *flight);
