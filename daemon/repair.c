/* SPDX-License-Identifier: BSD-2-Clause */

/* Only TCP listens again: a UNIX or UDP socket that was shut down stays so. */

#include "daemon/repair.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/lease.h"
#include "daemon/socket-factory.h"

/* Which no client of the broker asked for, and which would give it all that comes from there. */
static bool repair_is_on_a_device(const Member *member) {
        const Options *requested = member->endpoint->requested;
        socklen_t size = sizeof(int);
        int index = 0;

        if (requested && requested->bind_to_device)
                return false;
        return getsockopt(member->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &size) == 0 && index != 0;
}

static const char *repair_try(Member *member) {
        const Endpoint *endpoint = member->endpoint;
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        SocketFailure failure;

        if (endpoint->address.transport != TRANSPORT_TCP)
                return "a holder shut the socket down";
        if (repair_is_on_a_device(member))
                return "a holder shut the socket down, and had bound it to a device";
        if (member->repaired_usec > 0 && now - member->repaired_usec < REPAIR_INTERVAL_USEC)
                return "a holder shut the socket down again and again";
        if (socket_factory_listen_again(member->fd,
                                        &(SocketSpec){ .address = endpoint->address,
                                                       .sharing = endpoint->sharing,
                                                       .options = endpoint->requested },
                                        &failure) != 0)
                return "a holder shut the socket down, and it cannot listen again";
        member->repaired_usec = now;
        return NULL;
}

static void repair_tell(const Member *member, const char *what, const char *reason) {
        event_hub_emit(member->endpoint->registry->hub, &(Event){ .what = what,
                                                                  .endpoint = member->endpoint,
                                                                  .member = member,
                                                                  .subject = member->last_holder,
                                                                  .reason = reason });
}

/* Nobody is to adopt it any more. */
static void repair_disown(Member *member) {
        member->orphan = MEMBER_ORPHAN_NOT;
        member->retain_timer = sd_event_source_disable_unref(member->retain_timer);
}

/* The last lease takes the member along, but parked it would be of no use to anybody. */
static void repair_close(Member *member, const char *reason) {
        Lease *lease, *next;

        if (LIST_EMPTY(&member->leases)) {
                repair_disown(member);
                if (member->endpoint->n_members > 1)
                        repair_tell(member, "closed", reason);
                member_leave(member, MEMBER_LEAVE_RELEASED, reason);
                return;
        }
        for (lease = LIST_FIRST(&member->leases); lease; lease = next) {
                next = LIST_NEXT(lease, by_member);
                lease_end(lease, MEMBER_LEAVE_REVOKED, reason);
        }
}

/* What waited has gone to the others already; but it would be found by who looks for an orphan. */
static void repair_departing(Member *member) {
        Endpoint *endpoint = member->endpoint;

        member->orphan = MEMBER_ORPHAN_NOT;
        TAILQ_REMOVE(&endpoint->departing, member, entry);
        TAILQ_INSERT_TAIL(&endpoint->departing, member, entry);
        group_nudge(endpoint);
}

static bool repair_is_at_its_address(const Member *member) {
        const Address *address = &member->endpoint->address;
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss);
        Address bound = *address;

        if (getsockname(member->fd, (struct sockaddr *)&ss, &len) < 0)
                return false;
        address_set_sockaddr(&bound, &ss, len);
        return bound.len == address->len && memcmp(&bound.u, &address->u, bound.len) == 0;
}

/*
 * The kernel binds raw IP anew, as often as its holder likes, unless it is connected: then it takes the
 * packets of one peer, and without a port nothing else says so.
 */
static const char *repair_bound(const Member *member) {
        const Address *address = &member->endpoint->address;

        if (repair_is_at_its_address(member) && bind(member->fd, &address->u.sa, address->len) == 0)
                return NULL;
        return "a holder bound the socket elsewhere";
}

static bool repair_has_peer(const Member *member) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);

        return getpeername(member->fd, (struct sockaddr *)&peer, &len) == 0;
}

/* The device it is to be bound to, which is not one that its holder bound it to; 0: none, and negative
 * when the kernel does not say, which it does not take either. */
static int repair_device(const Member *member) {
        const Endpoint *endpoint = member->endpoint;
        const Address *address = &endpoint->address;
        socklen_t size = sizeof(int);
        int index = -1;

        if (address_family(address) == AF_INET6 && address->u.in6.sin6_scope_id != 0)
                return (int)address->u.in6.sin6_scope_id;
        if (!endpoint->requested || !endpoint->requested->bind_to_device)
                return 0;
        (void)!getsockopt(member->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &size);
        return index;
}

/*
 * A datagram socket that is connected hears one peer, and at a wildcard it has moved to an address. Both
 * can be undone, unless it is in a group: newer kernels give all flows to one member of a group that
 * ever had a connected one. With the peer the kernel forgets the device.
 */
static const char *repair_connected(const Member *member) {
        static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
        int device = repair_device(member);

        if (!repair_has_peer(member))
                return NULL;
        if (member->endpoint->sharing == SHARING_GROUP)
                return "a holder connected the socket, and with it the group";
        if (connect(member->fd, &nobody, sizeof(nobody)) < 0 ||
            (device != 0 &&
             setsockopt(member->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &device, sizeof(device)) < 0) ||
            !repair_is_at_its_address(member))
                return "a holder connected the socket, and it cannot be taken off its peer";
        repair_tell(member, "repaired", "a holder connected the socket; it hears everybody again");
        return NULL;
}

static const char *repair_place(const Member *member) {
        const Address *address = &member->endpoint->address;

        if (address_is_raw(address))
                return repair_bound(member);
        return address_socket_type(address) == SOCK_DGRAM ? repair_connected(member) : NULL;
}

bool repair_moved(Endpoint *endpoint) {
        const char *reason;
        Member *orphan;

        if (endpoint->passed)
                return false;
        while ((orphan = endpoint_orphan(endpoint)) && (reason = repair_place(orphan))) {
                bool last = endpoint->n_members == 1;

                if (orphan->departure.waiting) {
                        repair_departing(orphan);
                        continue;
                }
                repair_close(orphan, reason);
                if (last)
                        return true;
        }
        return false;
}

void repair_member(Member *member) {
        const char *reason;

        if (member->departure.waiting) {
                repair_departing(member);
                return;
        }
        reason = repair_try(member);
        if (reason) {
                repair_close(member, reason);
                return;
        }
        group_rejoin(member);
        group_nudge(member->endpoint);
        repair_tell(member, "repaired",
                    "a holder shut the socket down; it listens again, what waited on it is lost or with "
                    "the others of its group");
}
