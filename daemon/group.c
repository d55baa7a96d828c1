/* SPDX-License-Identifier: BSD-2-Clause */

/* From the states of the members to a list for the program; nobody else makes one. */

#include "daemon/group.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/group-resume.h"
#include "daemon/log.h"
#include "daemon/socket-factory.h"
#include "daemon/survivors.h"
#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* A list that cannot follow is tried again after a rest. */
        SETTLE_REST_USEC = 100 * 1000,
};

/* Members of the best class that there is make the list. */
typedef enum Class {
        CLASS_SERVES,
        CLASS_WEIGHTLESS,
        CLASS_STALLED,
        CLASS_PARKED,
        CLASS_OFF, /* never on the list */
} Class;

static Class member_class(const Member *member) {
        switch (member->state) {
        case MEMBER_LIVE:
                return member->health.stalled ? CLASS_STALLED
                       : member->weight == 0  ? CLASS_WEIGHTLESS
                                              : CLASS_SERVES;
        case MEMBER_PARKED:
                return CLASS_PARKED;
        default:
                return CLASS_OFF;
        }
}

bool group_migrate_req(void) {
        _cleanup_(fd_closep) int fd = open("/proc/sys/net/ipv4/tcp_migrate_req", O_RDONLY | O_CLOEXEC);
        char value = '0';

        return fd >= 0 && read(fd, &value, 1) == 1 && value == '1';
}

/* The kernel's map of sockets takes no others. */
bool group_can_be_steered(const Address *address) {
        return address->transport == TRANSPORT_TCP || address->transport == TRANSPORT_UDP;
}

const char group_kernel_reason[] = "the kernel has steering for TCP and UDP alone";

bool group_migrate_req_of(const Endpoint *endpoint) {
        return endpoint->network_namespace ? namespace_migrate_req(endpoint->network_namespace)
                                           : group_migrate_req();
}

bool group_is_steered(const Endpoint *endpoint) {
        return endpoint->group.steering;
}

int group_anchor(Endpoint *endpoint) {
        int r = sentinel_is_open(&endpoint->group.sentinel)
                        ? 0
                        : sentinel_open(&endpoint->group.sentinel, endpoint);

        return r > 0 ? GROUP_E_FULL : error_trace(r);
}

bool group_migrates(const Endpoint *endpoint) {
        return endpoint->sharing == SHARING_GROUP && endpoint->address.transport == TRANSPORT_TCP &&
               (group_is_steered(endpoint) || group_migrate_req_of(endpoint));
}

bool group_has_live(const Endpoint *endpoint, const Member *but) {
        const Member *member;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (member != but && member->state == MEMBER_LIVE)
                        return true;
        return false;
}

static size_t group_choose(const Endpoint *endpoint, SteeringShare *shares) {
        const Member *member;
        Class best = CLASS_OFF;
        size_t n = 0;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (member->steered && member_class(member) < best)
                        best = member_class(member);
        if (best == CLASS_OFF)
                return 0;
        /* What takes flows for want of a better one takes them whatever its weight. */
        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (member->steered && member_class(member) == best)
                        shares[n++] =
                                (SteeringShare){ .slot = member->slot,
                                                 .weight = member->weight > 0 ? member->weight : 1 };
        return n;
}

/* With nobody to take them, connections wait with the sentinel. */
static int group_choose_sentinel(Endpoint *endpoint, SteeringShare *shares, size_t *ret_n) {
        Sentinel *sentinel = &endpoint->group.sentinel;
        int r = 0;

        *ret_n = 0;
        if (endpoint->address.transport != TRANSPORT_TCP)
                return 0;
        if (!sentinel_is_open(sentinel))
                r = sentinel_open(sentinel, endpoint);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        shares[0] = (SteeringShare){ .slot = sentinel->slot, .weight = 1 };
        *ret_n = 1;
        return 0;
}

static void group_untouch(Endpoint *endpoint) {
        if (!endpoint->group.stale)
                return;
        TAILQ_REMOVE(&endpoint->registry->stale, endpoint, group.stale_entry);
        endpoint->group.stale = false;
}

static void group_mark_stale(Endpoint *endpoint) {
        endpoint->group.stale = true;
        TAILQ_INSERT_TAIL(&endpoint->registry->stale, endpoint, group.stale_entry);
}

/* If it fails the group stays stale. The old list does for a while: the program passes over members that
 * are closed. */
static void group_follow(Endpoint *endpoint) {
        int r = group_publish(endpoint);

        if (r == 0)
                return;
        if (!endpoint->group.failing && r < 0)
                log_fault(LOG_ERR, "cannot change the list of a group");
        else if (!endpoint->group.failing)
                log_line(LOG_ERR, "%s: no room for another list", endpoint->key);
        endpoint->group.failing = true;
        group_mark_stale(endpoint);
}

void group_touch(Endpoint *endpoint) {
        if (endpoint->group.stale || !group_is_steered(endpoint))
                return;
        if (endpoint->n_members <= GROUP_SMALL)
                group_follow(endpoint);
        else
                group_mark_stale(endpoint);
}

static void group_on_rested(Timer *timer) {
        group_settle((EndpointRegistry *)((char *)timer - offsetof(EndpointRegistry, settle_rest)));
}

int group_settle_init(EndpointRegistry *registry) {
        TAILQ_INIT(&registry->stale);
        return error_trace(timer_init(&registry->settle_rest, registry->event, group_on_rested));
}

void group_settle(EndpointRegistry *registry) {
        const Endpoint *last = TAILQ_LAST(&registry->stale, StaleGroups);
        Endpoint *endpoint, *next = TAILQ_FIRST(&registry->stale);

        while ((endpoint = next)) {
                next = endpoint == last ? NULL : TAILQ_NEXT(endpoint, group.stale_entry);
                if (!endpoint->group.failing || !registry->settle_rest.armed)
                        group_follow(endpoint);
        }
        if (TAILQ_EMPTY(&registry->stale) || registry->settle_rest.armed)
                return;
        if (timer_set(&registry->settle_rest, clock_usec(CLOCK_MONOTONIC) + SETTLE_REST_USEC) == 0)
                registry->timers_changed = true;
}

int group_publish(Endpoint *endpoint) {
        _cleanup_(freep) SteeringShare *shares = NULL;
        bool waiting;
        size_t n;
        int r = 0;

        group_untouch(endpoint);
        if (!group_is_steered(endpoint))
                return 0;
        shares = reallocarray(NULL, endpoint->n_members + 1, sizeof(*shares));
        if (!shares)
                return error_origin(-ENOMEM);
        n = group_choose(endpoint, shares);
        waiting = n == 0;
        if (waiting)
                r = group_choose_sentinel(endpoint, shares, &n);
        if (r == 0)
                r = steering_group_set(endpoint->group.steering, shares, n);
        if (r != 0)
                return r > 0 ? GROUP_E_FULL : error_trace(r);
        if (sentinel_is_open(&endpoint->group.sentinel))
                sentinel_set_listed(&endpoint->group.sentinel, waiting && n > 0);
        endpoint->group.failing = false;
        return 0;
}

void group_announce(void *endpoint, uint64_t cookie) {
        steering_announce(((Endpoint *)endpoint)->group.steering, cookie);
}

/* The first member founds the group, and has the program before anybody else can join. Returns as
 * group_join(). */
static int group_found(Endpoint *endpoint, const Member *first) {
        Group *group = &endpoint->group;
        int r;

        r = group_meet_survivors(endpoint, first->fd);
        if (r != 0)
                return r < 0 ? error_trace(r) : GROUP_E_SURVIVORS;
        r = steering_group_new(endpoint->registry->steering, group->mode, endpoint, &group->steering);
        if (r != 0)
                return r == STEERING_E_FULL ? GROUP_E_FULL : error_trace(r);
        r = steering_group_attach(group->steering, first->fd);
        /*
         * A socket that was in a group before is locked; one that was bound without SO_REUSEPORT, for
         * the sake of a port of its own, is in no group yet. The sentinel makes the group, and is not
         * locked.
         */
        if (r == -EPERM || r == -EINVAL) {
                error_fold(r);
                r = sentinel_open(&group->sentinel, endpoint);
        }
        if (r == 0)
                health_group_begin(endpoint);
        return r > 0 ? GROUP_E_FULL : error_trace(r);
}

static int group_steer(Member *member) {
        Endpoint *endpoint = member->endpoint;
        Group *group = &endpoint->group;
        int r = 0;

        if (group->survivors)
                return group_look_again(endpoint);
        if (!group->steering)
                r = group_found(endpoint, member);
        if (r == 0 && endpoint->n_members > 1 && !sentinel_is_open(&group->sentinel) &&
            sentinel_open(&group->sentinel, endpoint) != 0)
                /* The program is there: what is missing is who would notice if it went. */
                log_fault(LOG_WARNING, "a group goes without a sentinel");
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        r = steering_member_add(group->steering, member->fd, member->cookie, &member->slot);
        if (r != 0)
                return r > 0 ? GROUP_E_FULL : error_trace(r);
        member->steered = true;
        member_touch(member);
        return 0;
}

int group_join(Member *member) {
        const Endpoint *endpoint = member->endpoint;
        int r;

        /* Of raw IP each gets everything, and may filter it as it likes: there is nothing to guard. */
        if (endpoint->sharing != SHARING_GROUP || address_is_raw(&endpoint->address))
                return 0;
        if (!group_can_be_steered(&endpoint->address))
                r = 0;
        else if (endpoint->registry->steering)
                r = group_steer(member);
        else
                r = endpoint->n_members == 1 ? survivors_mark(member->fd) : 0;
        /* The kernel gives it flows, if nothing keeps it from doing so. */
        if (r == GROUP_E_SURVIVORS && member->state != MEMBER_STANDBY)
                r = 0;
        if (r != 0)
                return r > 0 ? r : error_trace(r);
        return error_trace(socket_factory_lock(member->fd));
}

static uint64_t member_flows(const Member *member) {
        return steering_selected(member->endpoint->registry->steering, member->slot);
}

uint64_t group_count_flows(const Member *member) {
        return member->flows_before + member_flows(member);
}

void group_leave(Member *member) {
        if (!member->steered)
                return;
        member->flows_before = group_count_flows(member);
        steering_member_remove(member->endpoint->group.steering, member->slot, member->cookie);
        member->steered = false;
}

void group_rejoin(Member *member) {
        Endpoint *endpoint = member->endpoint;
        Group *group = &endpoint->group;
        int r = 0;

        if (!member->steered)
                return;
        /* If it was alone the group has ended, and the one that it founds anew has no program; a
         * sentinel would have kept it. */
        if (!sentinel_is_open(&group->sentinel))
                r = sentinel_open(&group->sentinel, endpoint);
        if (r == 0)
                r = steering_member_restore(group->steering, member->slot, member->fd);
        if (r != 0 && r != -EBUSY)
                log_fault(LOG_WARNING, "a member that listens again cannot be steered");
}

void group_note_flows(Endpoint *endpoint) {
        Member *member;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (member->steered)
                        member->flows = member_flows(member);
}

void group_nudge(const Endpoint *endpoint) {
        const Member *member;

        /* Where nothing moves nobody has got anything; in a large group, each that leaves would call
         * all. */
        if (!group_migrates(endpoint))
                return;
        /* On a listener, of no other effect: there is nothing to send. */
        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (!member->steered || member->flows != member_flows(member))
                        shutdown(member->fd, SHUT_WR);
}

void group_dissolve(Endpoint *endpoint) {
        group_untouch(endpoint);
        if (group_is_steered(endpoint))
                (void)error_fold(steering_group_set(endpoint->group.steering, NULL, 0));
}

void group_deinit(Endpoint *endpoint) {
        Group *group = &endpoint->group;

        group_set_survivors(endpoint, false);
        if (!group->steering)
                return;
        health_group_end(endpoint);
        sentinel_close(&group->sentinel);
        group->steering = steering_group_free(group->steering);
}

int group_refound(Member *only) {
        Member *departing;
        int r;

        assert(only->endpoint->n_members == 1);
        group_dissolve(only->endpoint);
        TAILQ_FOREACH (departing, &only->endpoint->departing, entry)
                group_leave(departing);
        group_leave(only);
        group_deinit(only->endpoint);
        r = group_join(only);
        return r != 0 ? r : group_publish(only->endpoint);
}
