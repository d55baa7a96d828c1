/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Who was given what, and who was not: one entry of the journal, or where there is none one line of the
 * log, for each grant, denial, quota hit, end of a lease and socket to connect with. It follows the
 * events, as watchers do; what watchers are not shown of them is for the audit.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/events.h"

typedef struct Audit Audit;

/*
 * Tells of what happens on @hub from now on. Held-back entries are told of by a timer of @event:
 * *@timers_changed is set when the loop must run before it is waited for. @journal: the path of the
 * journal's socket; NULL: there is none. Returns 0 or a negative errno.
 */
int audit_new(EventHub *hub, sd_event *event, bool *timers_changed, const char *journal, Audit **ret);

/* Tells what was held back. Takes NULL; returns NULL. */
Audit *audit_free(Audit *audit);
