/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Leases as people name them: by id, by the endpoint that they are of, or by the process that holds
 * them.
 */

#include <jansson.h>

#include "client-lib/reuse-client.h"
#include "tools/settings.h"

typedef struct LeaseSelection {
        reuse_client *client; /* to do something with them over */
        const char **leases;
        size_t n;
        json_t *reply; /* has the texts */
} LeaseSelection;

/* For the --help of commands that take such words. */
#define LEASE_SELECTION_HELP                                                                            \
        "LEASE is the id of a lease, as in REUSE_LEASES or 'reusectl list --members'; the name or id\n" \
        "of an endpoint, for all your leases of it; or pid:PID, for all your leases that this\n"        \
        "process holds.\n"

/*
 * Connects to the broker and finds the leases that @words, ended by NULL, stand for: each once.
 * Returns REPORT_OK, or another exit status with the failure reported; @ret is to be given to
 * lease_selection_deinit() in either case.
 */
int lease_selection_init(const Settings *settings, char *const *words, LeaseSelection *ret);
void lease_selection_deinit(LeaseSelection *selection);

/* Tells what became of them: @r and @error are of the library's call; consumes @error. With --json the
 * leases are printed. Returns the exit status. */
int lease_selection_report(const Settings *settings, const LeaseSelection *selection, int r,
                           reuse_error *error);
