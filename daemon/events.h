/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What happens to endpoints, told to whoever watches. Nothing is put together while nobody does.
 */

#include <sys/queue.h>

#include "daemon/subject.h"

typedef struct Endpoint Endpoint;
typedef struct Member Member;
typedef struct Lease Lease;
typedef struct Watcher Watcher;

/* Something that happened. Everything is borrowed for the call; NULL where it does not apply. */
typedef struct Event {
        const char *what; /* one of the words of Event in the interface */
        const Endpoint *endpoint;
        const Member *member;
        const Lease *lease;
        Subject *subject;
        const char *reason;
} Event;

struct Watcher {
        LIST_ENTRY(Watcher) entry;
        /* May end the watcher's client later, but not within the call. */
        void (*notify)(Watcher *watcher, const Event *event);
};

typedef struct EventHub {
        LIST_HEAD(, Watcher) watchers;
} EventHub;

void event_hub_emit(EventHub *hub, const Event *event);
