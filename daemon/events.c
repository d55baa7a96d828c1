/* SPDX-License-Identifier: BSD-2-Clause */

/* The one place where events fan out; who may see which is decided by the watcher. */

#include "daemon/events.h"

void event_hub_emit(EventHub *hub, const Event *event) {
        Watcher *watcher;

        LIST_FOREACH (watcher, &hub->watchers, entry)
                watcher->notify(watcher, event);
}
