/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What happens to endpoints, told to whoever watches. Nothing is put together while nobody does.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/subject.h"
#include "proto/address.h"

typedef struct Endpoint Endpoint;
typedef struct Member Member;
typedef struct Lease Lease;
typedef struct Watcher Watcher;

/* What was asked for: not given, or of no lease. */
typedef struct EventRequest {
        const Address *address; /* with the port that was judged */
        const Address *remote;  /* to which it goes out; NULL: it does not */
        Sharing sharing;
        const char *name;              /* NULL: none */
        const char *network_namespace; /* its path; NULL: the broker's own */
} EventRequest;

/* Something that happened. Everything is borrowed for the call; NULL where it does not apply. */
typedef struct Event {
        const char *what; /* one of the words of Event in the interface */
        const Endpoint *endpoint;
        const Member *member;
        const Lease *lease;
        Subject *subject;
        const char *reason;
        /* Of no concern to watchers of the protocol, but to the audit. */
        const EventRequest *request;
        const char *rule;     /* that gave or refused it */
        const char *resource; /* of which there are no more than limit */
        uint64_t limit;
        bool revoked;    /* the lease was ended by the broker, not by its holder */
        bool audit_only; /* no word of the interface: watchers of the protocol are not told at all */
} Event;

struct Watcher {
        LIST_ENTRY(Watcher) entry;
        /* May end the watcher's client later, but not within the call. */
        void (*notify)(Watcher *watcher, const Event *event);
};

typedef struct EventHub {
        uint64_t serial; /* of the event that is being told; 0: none */
        uint64_t last;
        LIST_HEAD(, Watcher) watchers;
} EventHub;

void event_hub_emit(EventHub *hub, const Event *event);

/*
 * "quota": @subject came to a limit. @whose: "for each user", or "for all users together". @request may
 * be NULL, if it was not about a socket.
 */
void event_hub_emit_quota(EventHub *hub, Subject *subject, const EventRequest *request,
                          const char *resource, uint64_t limit, const char *whose);
