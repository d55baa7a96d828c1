/* SPDX-License-Identifier: BSD-2-Clause */

/* The one place where events fan out; who may see which is decided by the watcher. */

#include "daemon/events.h"

#include <inttypes.h>
#include <stdio.h>

void event_hub_emit(EventHub *hub, const Event *event) {
        uint64_t before = hub->serial;
        Watcher *watcher;

        hub->serial = ++hub->last;
        LIST_FOREACH (watcher, &hub->watchers, entry)
                watcher->notify(watcher, event);
        hub->serial = before;
}

void event_hub_emit_quota(EventHub *hub, Subject *subject, const EventRequest *request,
                          const char *resource, uint64_t limit, const char *whose) {
        char reason[128];

        snprintf(reason, sizeof(reason), "the limit is %" PRIu64 " %s %s", limit, resource, whose);
        event_hub_emit(hub, &(Event){ .what = "quota",
                                      .subject = subject,
                                      .reason = reason,
                                      .request = request,
                                      .resource = resource,
                                      .limit = limit });
}
