/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* An address that the broker holds, and its members: the sockets bound to it. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/events.h"
#include "daemon/group.h"
#include "daemon/hash.h"
#include "daemon/id.h"
#include "daemon/member.h"
#include "daemon/namespace.h"
#include "daemon/socket-factory.h"
#include "daemon/state-mark.h"
#include "daemon/tenant.h"
#include "proto/address.h"
#include "proto/wire.h"

enum {
        /* "NETWORK ADDRESS", in another network namespace with "netns:COOKIE/" before it */
        ENDPOINT_KEY_MAX = 32 + NETWORK_TEXT_MAX + ADDRESS_TEXT_MAX,
};

/* What endpoints work with; all borrowed. */
typedef struct EndpointServices {
        sd_event *event;
        Poller *poller;
        EventHub *hub;
        IdSource *ids;
        Steering *steering;  /* NULL: groups are not steered */
        StateMarks *marks;   /* NULL: nothing is saved */
        bool no_socket_diag; /* the kernel does not list the sockets of a port */
        /* A holder shut down the socket of a member. */
        void (*on_shut_down)(Member *member);
} EndpointServices;

/*
 * A walk over all endpoints and their members that may rest while both come and go: what goes is stepped
 * over, what comes is met at the end.
 */
typedef struct EndpointCursor {
        LIST_ENTRY(EndpointCursor) entry;
        Endpoint *endpoint; /* the next, or the one whose members are walked; NULL: the end */
        Member *member;     /* of it, the next; NULL: the end */
        bool inside;        /* its members are walked */
        bool cut;           /* the one whose members were walked has gone */
} EndpointCursor;

/* What several endpoints, of as many tenants, are called. */
typedef struct EndpointName {
        LIST_HEAD(, Endpoint) endpoints;
        UT_hash_handle hh;
        char text[];
} EndpointName;

struct EndpointRegistry {
        sd_event *event;
        EventHub *hub;
        IdSource *ids;
        Steering *steering;
        StateMarks *marks;
        void (*on_shut_down)(Member *member);
        Endpoint *by_key;
        EndpointName *by_name;
        uint32_t *n_at_port; /* how many there are at each, in whatever network and network namespace */
        LIST_HEAD(, EndpointCursor) cursors;
        AlarmSet alarms;
        Departures departures;
        Drains drains;
        HealthMonitor health;
        struct StaleGroups stale; /* see group_settle() */
        Timer settle_rest;
        struct SurvivorGroups survivors; /* see group-resume.h; the next to be looked at first */
        Timer survivors_look;
        bool look_failed; /* the last time, which has been said */
        /* A timer was set: the event loop must run once before it can be waited for. */
        bool timers_changed;
};

struct Endpoint {
        EndpointRegistry *registry;
        uint64_t id;
        char *key;                    /* address_network() and address_format() with a blank between */
        const char *name;             /* NULL: none */
        Namespace *network_namespace; /* NULL: the broker's own */
        Address address;
        char network[NETWORK_TEXT_MAX]; /* its address_network() */
        Sharing sharing;
        Options *requested; /* what the first client asked for; NULL: nothing */
        uint64_t retain_usec;
        Tenant tenant;  /* whose it is */
        Subject *maker; /* who made it; a reference */
        TAILQ_HEAD(MemberList, Member) members;
        size_t n_members;
        struct MemberList departing; /* no members any more, but for an adoption: see departure.h */
        Group group;
        SocketFile file; /* of a UNIX path; to be removed with it */
        StateMark saved;
        /* A .socket unit's: its socket is the service manager's to close, and for everybody to whom
         * policy gives its address. */
        bool passed;
        bool lent; /* others may be connected from its port, and no group: see outgoing.c */
        UT_hash_handle hh;
        EndpointName *under;          /* its name, */
        LIST_ENTRY(Endpoint) by_name; /* and the others who have it */
};

/* Returns 0 or a negative errno; endpoint_registry_deinit() may follow either. */
int endpoint_registry_init(EndpointRegistry *registry, const EndpointServices *services);

/* Something of it has changed that is to be saved. */
void endpoint_touch(Endpoint *endpoint);

/* Closes every endpoint; no lease may be left. */
void endpoint_registry_deinit(EndpointRegistry *registry);

size_t endpoint_registry_count(const EndpointRegistry *registry);

/* The address as text: the second half of the key. */
static inline const char *endpoint_address_text(const Endpoint *endpoint) {
        return strchr(endpoint->key, ' ') + 1;
}

/* Writes the key of an address with its port. Returns @buffer. */
const char *endpoint_key(const Address *address, char buffer[static ENDPOINT_KEY_MAX]);

/* The same in another network namespace; NULL: in the broker's own. */
const char *endpoint_key_in(const Namespace *network_namespace, const Address *address,
                            char buffer[static ENDPOINT_KEY_MAX]);

Endpoint *endpoint_find(const EndpointRegistry *registry, const char *key);

/* [A-Za-z0-9._-], up to NAME_SIZE_MAX. */
bool endpoint_name_is_valid(const char *name);

/* Each tenant may give a name to one endpoint of its own: the first of them, in the list by_name. */
Endpoint *endpoint_find_named(const EndpointRegistry *registry, const char *text);
Endpoint *endpoint_find_of_tenant(const EndpointRegistry *registry, const char *text,
                                  const Tenant *tenant);

/* By id ("e3-..."), name, or "NETWORK ADDRESS". */
Endpoint *endpoint_find_any(const EndpointRegistry *registry, const char *text);

/*
 * A new endpoint without members for @address, which no endpoint has yet. Copies @name, @requested and
 * @tenant.
 * Returns 0 or -ENOMEM.
 */
int endpoint_new(EndpointRegistry *registry, const Address *address, const char *name, Sharing sharing,
                 const Options *requested, uint64_t retain_usec, const Tenant *tenant, Subject *maker,
                 Endpoint **ret);

/* The same in another network namespace; NULL: in the broker's own. */
int endpoint_new_in(EndpointRegistry *registry, Namespace *network_namespace, const Address *address,
                    const char *name, Sharing sharing, const Options *requested, uint64_t retain_usec,
                    const Tenant *tenant, Subject *maker, Endpoint **ret);

/*
 * Gives the endpoint a name, or another, which none of its tenant may have; NULL takes its name away.
 * Returns 0, or -ENOMEM with the name that it had; taking away does not fail.
 */
int endpoint_rename(Endpoint *endpoint, const char *text);

void endpoint_cursor_begin(EndpointCursor *cursor, EndpointRegistry *registry);

/* To the members of cursor->endpoint. */
void endpoint_cursor_enter(EndpointCursor *cursor);

/* To the endpoint after it. */
void endpoint_cursor_next(EndpointCursor *cursor);

void endpoint_cursor_end(EndpointCursor *cursor);

/* Takes a member out of its endpoint's list. */
void endpoint_unlink_member(Member *member);

/* Closes an endpoint that has no leases, with its parked member if there is one. Returns NULL. */
Endpoint *endpoint_close(Endpoint *endpoint, const char *reason);

/* A member without a lease, kept for the next client, or NULL. */
Member *endpoint_parked_member(const Endpoint *endpoint);

/* A member that a new client is to be given before any other, with what waits on it: parked, or about
 * to be closed; or NULL. */
Member *endpoint_orphan(const Endpoint *endpoint);

/* The first lease of the endpoint, for telling who holds it; NULL if nobody does. */
const Lease *endpoint_first_lease(const Endpoint *endpoint);
