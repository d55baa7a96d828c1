/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * An address that the broker holds, and its members: the sockets bound to it. A member is live while it
 * has leases, and parked, with its queue, for a while after the last lease of its endpoint was lost.
 *
 * The endpoint keeps one copy of every member. Closing a member is also a shutdown(), which UDP does not
 * know: the end of a lease must mean the end of serving, even if a stray process still holds the
 * descriptor.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/events.h"
#include "daemon/hash.h"
#include "daemon/id.h"
#include "daemon/socket-factory.h"
#include "proto/address.h"
#include "proto/wire.h"

enum {
        /* Share of a member where nothing else is asked for. */
        MEMBER_WEIGHT_DEFAULT = 10,
        /* "NETWORK ADDRESS" */
        ENDPOINT_KEY_MAX = 16 + ADDRESS_TEXT_MAX,
};

struct Member {
        uint64_t id;
        Endpoint *endpoint;
        TAILQ_ENTRY(Member) entry;
        int fd;
        uint64_t cookie;
        MemberState state;
        LIST_HEAD(, Lease) leases;
        sd_event_source *retain_timer; /* while parked */
        uint64_t retain_until_usec;    /* CLOCK_MONOTONIC; valid while parked, and until an adoption is
                                          committed */
        Subject *last_holder;          /* whose the queue is; a reference */
        uint64_t parked_usec;          /* CLOCK_REALTIME; since when */
};

typedef struct EndpointRegistry {
        sd_event *event;
        EventHub *hub;
        IdSource *ids;
        Endpoint *by_key;
        Endpoint *by_name;
        /* A timer was added: the event loop must run once before it can be waited for. */
        bool timers_changed;
} EndpointRegistry;

struct Endpoint {
        EndpointRegistry *registry;
        uint64_t id;
        char *key; /* address_network() and address_format() with a blank between */
        char *name;
        Address address;
        Sharing sharing;
        Options *requested; /* what the first client asked for; NULL: nothing */
        uint64_t retain_usec;
        uid_t owner; /* who made it */
        TAILQ_HEAD(MemberList, Member) members;
        size_t n_members;
        /* The file of a UNIX socket, to be removed with it if it is still the same. */
        dev_t file_device;
        ino_t file_inode;
        UT_hash_handle hh;
        UT_hash_handle hh_name;
};

void endpoint_registry_init(EndpointRegistry *registry, sd_event *event, EventHub *hub, IdSource *ids);

/* Closes every endpoint; no lease may be left. */
void endpoint_registry_deinit(EndpointRegistry *registry);

size_t endpoint_registry_count(const EndpointRegistry *registry);

/* The address as text: the second half of the key. */
static inline const char *endpoint_address_text(const Endpoint *endpoint) {
        return strchr(endpoint->key, ' ') + 1;
}

/* Writes the key of an address with its port. Returns @buffer. */
const char *endpoint_key(const Address *address, char buffer[static ENDPOINT_KEY_MAX]);

Endpoint *endpoint_find(const EndpointRegistry *registry, const char *key);
Endpoint *endpoint_find_named(const EndpointRegistry *registry, const char *name);

/* By id ("e3-..."), name, or "NETWORK ADDRESS". */
Endpoint *endpoint_find_any(const EndpointRegistry *registry, const char *text);

/*
 * A new endpoint without members for @address, which no endpoint has yet. Copies @name and @requested.
 * Returns 0 or -ENOMEM.
 */
int endpoint_new(EndpointRegistry *registry, const Address *address, const char *name, Sharing sharing,
                 const Options *requested, uint64_t retain_usec, uid_t owner, Endpoint **ret);

/* Gives the endpoint a name, or another; no other endpoint may have it. Returns 0 or -ENOMEM. */
int endpoint_rename(Endpoint *endpoint, const char *name);

/* Closes an endpoint that has no leases, with its parked member if there is one. Returns NULL. */
Endpoint *endpoint_close(Endpoint *endpoint, const char *reason);

/* Adds a live member without a lease. Consumes @fd, also on failure. Returns 0 or a negative errno. */
int endpoint_add_member(Endpoint *endpoint, int fd, Member **ret);

/* The member without a lease, kept for the next client, or NULL. */
Member *endpoint_parked_member(const Endpoint *endpoint);

/* The first lease of the endpoint, for telling who holds it; NULL if nobody does. */
const Lease *endpoint_first_lease(const Endpoint *endpoint);

/* How the last lease of a member ended, which decides what becomes of the member. */
typedef enum MemberLeave {
        MEMBER_LEAVE_RELEASED, /* the holder said that it is done: nothing is kept */
        MEMBER_LEAVE_LOST,     /* it died or hung up: kept for the next if no other member takes over */
        MEMBER_LEAVE_UNDONE,   /* it was never handed over: as if nothing had happened */
} MemberLeave;

/*
 * The last lease of @member has ended. Parks the member, puts it back where it was, or closes it, and
 * the endpoint with its last member: both may be gone afterwards.
 */
void member_leave(Member *member, MemberLeave how, const char *reason);

/* Takes a parked member out for a new lease. Until member_commit() an undo parks it again. */
void member_adopt(Member *member);

/* The lease was handed over: an adoption is final. */
void member_commit(Member *member, Subject *holder);

/* Of several clients of a shared member, what is parked is meant for the one who held it last. */
void member_set_holder(Member *member, Subject *holder);

/* Queue of a listening TCP member, and what a UDP one dropped; WIRE_ABSENT where the kernel does not
 * say. */
void member_read_queue(const Member *member, int64_t *ret_length, int64_t *ret_limit,
                       int64_t *ret_drops);

/*
 * What happens to connections when a member leaves: "migrate", "adopt" or "none". *@ret_reason may be
 * NULL.
 * @migrate_req: whether net.ipv4.tcp_migrate_req is on.
 */
const char *endpoint_continuity(const Endpoint *endpoint, bool migrate_req, const char **ret_reason);
