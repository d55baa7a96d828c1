/* SPDX-License-Identifier: BSD-2-Clause */

/* Members that another broker made are locked, so it is the sentinel by which the program
 * is attached. */

#include "daemon/group-resume.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/log.h"
#include "daemon/survivors.h"
#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* Until the map of a broker that was to take over is gone. */
        RESTORE_REST_MSEC = 5,
        /* From one group with survivors to the next: a look goes over all listeners of the machine. */
        LOOK_REST_USEC = 100 * 1000,
};

const char group_survivors_reason[] =
        "clients hold sockets of an earlier broker in this group, which cannot "
        "be steered; when they have closed them it is";

/* All that can be on the list, before the program is asked for the first time. */
static int group_resume_members(Endpoint *endpoint) {
        Group *group = &endpoint->group;
        Member *member;
        int r;

        TAILQ_FOREACH (member, &endpoint->members, entry) {
                r = steering_member_add(group->steering, member->fd, member->cookie, &member->slot);
                if (r != 0)
                        return r > 0 ? GROUP_E_FULL : error_trace(r);
                member->steered = true;
        }
        return 0;
}

/* Members are locked; one that was alone in its group had no sentinel. */
static int group_resume_program(Endpoint *endpoint) {
        Group *group = &endpoint->group;

        if (sentinel_is_open(&group->sentinel))
                return error_trace(steering_group_attach(group->steering, group->sentinel.alarm.fd));
        return error_trace(sentinel_open(&group->sentinel, endpoint));
}

static int group_try_steering(Endpoint *endpoint, int *sentinel) {
        Group *group = &endpoint->group;
        int r;

        r = steering_group_new(endpoint->registry->steering, group->mode, endpoint, &group->steering);
        if (r != 0)
                return r == STEERING_E_FULL ? GROUP_E_FULL : error_trace(r);
        r = group_resume_members(endpoint);
        if (r == 0 && *sentinel >= 0)
                r = sentinel_resume(&group->sentinel, endpoint, fd_take(sentinel));
        if (r == 0)
                r = group_publish(endpoint);
        if (r == 0)
                r = group_resume_program(endpoint);
        if (r == 0)
                health_group_begin(endpoint);
        return r > 0 ? GROUP_E_FULL : error_trace(r);
}

/* All or nothing. Returns as group_join(). */
static int group_resume_steering(Endpoint *endpoint, int *sentinel) {
        Member *member;
        int r = group_try_steering(endpoint, sentinel);

        if (r == 0)
                return 0;
        TAILQ_FOREACH (member, &endpoint->members, entry)
                group_leave(member);
        group_deinit(endpoint);
        return r > 0 ? r : error_trace(r);
}

/* The other broker's lists would be in force for ever. */
static void group_disarm(const Endpoint *endpoint, int sentinel) {
        int fd = sentinel >= 0 ? sentinel : TAILQ_FIRST(&endpoint->members)->fd;
        int r = survivors_disarm(fd);

        if (r >= 0)
                r = survivors_mark(fd);
        if (r < 0)
                log_fault(LOG_ERR, "an earlier broker's program cannot be taken off");
}

int group_resume(Endpoint *endpoint, int sentinel) {
        _cleanup_(fd_closep) int owned = sentinel;
        int r = 0;

        if (endpoint->sharing != SHARING_GROUP || !group_can_be_steered(&endpoint->address))
                return 0;
        if (endpoint->registry->steering && endpoint->group.survivors &&
            namespace_is_reached(endpoint->network_namespace))
                r = survivors_look(endpoint);
        if (r < 0)
                log_fault(LOG_ERR, "it cannot be seen who else is in a group");
        group_set_survivors(endpoint, r != 0);
        if (!endpoint->registry->steering || r != 0 ||
            !namespace_is_reached(endpoint->network_namespace)) {
                group_disarm(endpoint, owned);
                return 0;
        }
        r = group_resume_steering(endpoint, &owned);
        return r > 0 ? r : error_trace(r);
}

/* A socket is in one map only: it may take a moment until the other is gone. */
static int group_restore(const Endpoint *endpoint, uint32_t slot, int fd, uint64_t deadline) {
        const SteeringGroup *group = endpoint->group.steering;
        int r;

        while ((r = steering_member_restore(endpoint->group.steering, slot, fd)) == -EBUSY) {
                (void)error_fold(r);
                /* It never left. */
                if (steering_has_member(group, slot))
                        return 0;
                if (clock_usec(CLOCK_MONOTONIC) >= deadline)
                        return error_origin(-EBUSY);
                poll(NULL, 0, RESTORE_REST_MSEC);
        }
        return error_trace(r);
}

void group_take_back(Endpoint *endpoint, uint64_t deadline) {
        Group *group = &endpoint->group;
        Member *member;
        int r = 0;

        if (!group->steering)
                return;
        /* The other's program goes first, and its map with it. */
        if (sentinel_is_open(&group->sentinel))
                r = steering_group_attach(group->steering, group->sentinel.alarm.fd);
        if (r == 0 && sentinel_is_open(&group->sentinel))
                r = group_restore(endpoint, group->sentinel.slot, group->sentinel.alarm.fd, deadline);
        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (r == 0 && member->steered)
                        r = group_restore(endpoint, member->slot, member->fd, deadline);
        if (r == 0 && !sentinel_is_open(&group->sentinel))
                r = sentinel_open(&group->sentinel, endpoint);
        if (r != 0)
                log_fault(LOG_ERR, "a group is steered no longer as before");
}

/* ---- survivors ------------------------------------------------------------------------------------ */

static void group_plan_look(EndpointRegistry *registry) {
        if (TAILQ_EMPTY(&registry->survivors) || registry->survivors_look.armed)
                return;
        if (timer_set(&registry->survivors_look, clock_usec(CLOCK_MONOTONIC) + LOOK_REST_USEC) == 0)
                registry->timers_changed = true;
}

static void group_on_look(Timer *timer) {
        EndpointRegistry *registry =
                (EndpointRegistry *)((char *)timer - offsetof(EndpointRegistry, survivors_look));
        Endpoint *endpoint = TAILQ_FIRST(&registry->survivors);
        bool failed;

        if (!endpoint)
                return;
        TAILQ_REMOVE(&registry->survivors, endpoint, group.survivors_entry);
        TAILQ_INSERT_TAIL(&registry->survivors, endpoint, group.survivors_entry);
        /* Ten times a second it would be said. */
        failed = group_look_again(endpoint) < 0;
        if (failed && !registry->look_failed)
                log_fault(LOG_ERR, "a group cannot be steered again");
        registry->look_failed = failed;
        group_plan_look(registry);
}

int group_survivors_init(EndpointRegistry *registry) {
        TAILQ_INIT(&registry->survivors);
        return error_trace(timer_init(&registry->survivors_look, registry->event, group_on_look));
}

void group_set_survivors(Endpoint *endpoint, bool survivors) {
        EndpointRegistry *registry = endpoint->registry;

        if (survivors == endpoint->group.survivors)
                return;
        endpoint->group.survivors = survivors;
        if (survivors)
                TAILQ_INSERT_TAIL(&registry->survivors, endpoint, group.survivors_entry);
        else
                TAILQ_REMOVE(&registry->survivors, endpoint, group.survivors_entry);
        group_plan_look(registry);
        endpoint_touch(endpoint);
}

int group_meet_survivors(Endpoint *endpoint, int fd) {
        int r = survivors_disarm(fd);

        if (r == 0)
                return 0;
        /* At once: if all goes wrong now, the next to come looks again. */
        if (r > 0)
                r = survivors_mark(fd);
        if (r == 0)
                r = survivors_look(endpoint);
        if (r <= 0)
                return error_trace(r);
        log_line(LOG_WARNING, "%s is not steered: %s", endpoint->key, group_survivors_reason);
        group_set_survivors(endpoint, true);
        return 1;
}

int group_look_again(Endpoint *endpoint) {
        int none = -1, r;

        if (!endpoint->group.survivors)
                return 0;
        r = survivors_look(endpoint);
        if (r != 0)
                return r < 0 ? error_trace(r) : GROUP_E_SURVIVORS;
        r = group_resume_steering(endpoint, &none);
        group_set_survivors(endpoint, r != 0);
        if (r != 0)
                return r > 0 ? r : error_trace(r);
        log_line(LOG_NOTICE, "%s is steered: no socket of an earlier broker is left in it",
                 endpoint->key);
        return 0;
}
