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

/*
 * The kernel binds raw IP anew, as often as its holder likes, unless it is connected: then it takes the
 * packets of one peer, and without a port nothing else says so.
 */
static bool repair_is_moved(const Member *member) {
        const Address *address = &member->endpoint->address;
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss);
        Address bound = *address;

        if (getsockname(member->fd, (struct sockaddr *)&ss, &len) < 0)
                return true;
        address_set_sockaddr(&bound, &ss, len);
        return bound.len != address->len || memcmp(&bound.u, &address->u, bound.len) != 0 ||
               bind(member->fd, &address->u.sa, address->len) < 0;
}

bool repair_moved(Endpoint *endpoint) {
        Member *member, *next;

        if (!address_is_raw(&endpoint->address) || endpoint->passed)
                return false;
        for (member = TAILQ_FIRST(&endpoint->members); member; member = next) {
                bool last = endpoint->n_members == 1;

                next = TAILQ_NEXT(member, entry);
                if (!LIST_EMPTY(&member->leases) || !repair_is_moved(member))
                        continue;
                repair_close(member, "a holder bound the socket elsewhere");
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
