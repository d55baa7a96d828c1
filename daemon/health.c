/* SPDX-License-Identifier: BSD-2-Clause */

/* Only TCP members stall. What waits on a UDP member is known by its memory alone: enough for leastLoad,
 * and too little to tell a holder that does not read from one that is slow. */

#include "daemon/health.h"

#include <assert.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/log.h"
#include "proto/error.h"

static void health_tell(Member *member, const char *what, const char *reason) {
        event_hub_emit(member->endpoint->registry->hub, &(Event){ .what = what,
                                                                  .endpoint = member->endpoint,
                                                                  .member = member,
                                                                  .subject = member->last_holder,
                                                                  .reason = reason });
        group_touch(member->endpoint);
}

static void health_judge(Member *member, uint64_t now) {
        Health *health = &member->health;
        int64_t queue, limit, drops, served;
        bool accepted;

        member_read_queue(member, &queue, &limit, &drops);
        if (queue < 0)
                return; /* shut down */
        served = (int64_t)steering_selected(member->endpoint->registry->steering, member->slot) - queue;
        /* At its limit the kernel turns flows away that the program gives to it, so they do
         * not count. */
        accepted = queue < health->queue || (queue < limit && served > health->served);

        if (queue == 0 || accepted) {
                health->progress_usec = now;
                health->grown = false;
        } else if (queue > health->queue || queue >= limit) {
                health->grown = true; /* or would have, had there been room */
        }
        health->queue = queue;
        health->served = served;
        if (health->stalled && health->progress_usec == now) {
                health->stalled = false;
                health_tell(member, "recovered", "its holder accepts again");
        } else if (!health->stalled && health->grown && member->state == MEMBER_LIVE &&
                   now - health->progress_usec >= HEALTH_STALL_USEC) {
                health->stalled = true;
                health_tell(member, "stalled", "its holder accepts nothing while connections wait");
        }
}

/* Returns whether the group may go to sleep. */
static bool health_look(Endpoint *endpoint, uint64_t now) {
        GroupHealth *group = &endpoint->group.health;
        bool balanced = endpoint->group.mode == STEERING_LEAST_LOAD;
        bool judge = now - group->looked_usec >= HEALTH_PERIOD_USEC, quiet = true;
        uint64_t flows = steering_group_flows(endpoint->group.steering);
        Member *member;

        TAILQ_FOREACH (member, &endpoint->members, entry) {
                int64_t load;

                if (!member->steered)
                        continue;
                /* It came while the group was awake. */
                if (member->health.progress_usec == 0)
                        health_member_begin(member);
                load = member_read_load(member);
                quiet = quiet && (load == 0 || member->state != MEMBER_LIVE) && !member->health.stalled;
                if (balanced)
                        balance_look(member, load);
                if (judge && endpoint->address.transport == TRANSPORT_TCP)
                        health_judge(member, now);
        }
        if (!judge)
                return false;
        if (balanced)
                balance_weigh(endpoint);
        group->busy = flows != group->flows;
        group->flows = flows;
        group->looked_usec = now;
        if (!group->busy)
                steering_group_arm(endpoint->group.steering);
        return quiet && !group->busy;
}

static void health_sleep(HealthMonitor *monitor, Endpoint *endpoint) {
        GroupHealth *group = &endpoint->group.health;

        /* A flow that came before it was armed rings no bell. */
        if (steering_group_flows(endpoint->group.steering) != group->flows)
                return;
        TAILQ_REMOVE(&monitor->awake, endpoint, group.health.entry);
        group->awake = false;
}

static uint64_t health_period(const Endpoint *endpoint) {
        return endpoint->group.mode == STEERING_LEAST_LOAD && endpoint->group.health.busy
                       ? HEALTH_LOAD_PERIOD_USEC
                       : HEALTH_PERIOD_USEC;
}

static void health_set_timer(HealthMonitor *monitor) {
        uint64_t period = HEALTH_PERIOD_USEC, due;
        const Endpoint *endpoint;

        if (TAILQ_EMPTY(&monitor->awake))
                return;
        TAILQ_FOREACH (endpoint, &monitor->awake, group.health.entry)
                if (health_period(endpoint) < period)
                        period = health_period(endpoint);
        due = clock_usec(CLOCK_MONOTONIC) + period;
        /* However many groups wake up one after the other, the first is looked at in time. */
        if (monitor->timer.armed && monitor->due_usec <= due)
                return;
        if (timer_set(&monitor->timer, due) < 0) {
                log_fault(LOG_ERR, "no timer: members that stall are not noticed");
                return;
        }
        monitor->due_usec = due;
        *monitor->timers_changed = true;
}

static void health_on_elapsed(Timer *timer) {
        HealthMonitor *monitor = (HealthMonitor *)((char *)timer - offsetof(HealthMonitor, timer));
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        Endpoint *endpoint, *next;

        for (endpoint = TAILQ_FIRST(&monitor->awake); endpoint; endpoint = next) {
                next = TAILQ_NEXT(endpoint, group.health.entry);
                /* A group that is busy is looked at each time, and the others when it is their turn. */
                if (health_period(endpoint) == HEALTH_PERIOD_USEC &&
                    now - endpoint->group.health.looked_usec < HEALTH_PERIOD_USEC)
                        continue;
                if (health_look(endpoint, now))
                        health_sleep(monitor, endpoint);
        }
        health_set_timer(monitor);
}

static void health_wake(HealthMonitor *monitor, Endpoint *endpoint) {
        GroupHealth *group = &endpoint->group.health;
        Member *member;

        group->busy = true;
        if (group->awake)
                return;
        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (member->steered)
                        health_member_begin(member);
        group->awake = true;
        group->looked_usec = clock_usec(CLOCK_MONOTONIC);
        TAILQ_INSERT_TAIL(&monitor->awake, endpoint, group.health.entry);
}

static void health_on_ready(PollItem *item, uint32_t revents) {
        HealthMonitor *monitor = (HealthMonitor *)((char *)item - offsetof(HealthMonitor, item));
        Endpoint *endpoint;

        while ((endpoint = steering_next_woken(monitor->steering)))
                health_wake(monitor, endpoint);
        health_set_timer(monitor);
}

int health_monitor_init(HealthMonitor *monitor, Steering *steering, Poller *poller, sd_event *event,
                        bool *timers_changed) {
        int r;

        *monitor = (HealthMonitor){ .steering = steering,
                                    .timers_changed = timers_changed,
                                    .item = { .on_ready = health_on_ready } };
        TAILQ_INIT(&monitor->awake);
        r = timer_init(&monitor->timer, event, health_on_elapsed);
        if (r < 0 || !steering)
                return error_trace(r);
        monitor->item.fd = steering_get_fd(steering);
        return error_trace(poll_item_add(&monitor->item, poller, EPOLLIN));
}

void health_monitor_deinit(HealthMonitor *monitor) {
        assert(TAILQ_EMPTY(&monitor->awake));
        poll_item_remove(&monitor->item);
        timer_deinit(&monitor->timer);
}

void health_group_begin(Endpoint *endpoint) {
        endpoint->group.health = (GroupHealth){ 0 };
        if (endpoint->address.transport == TRANSPORT_TCP || endpoint->group.mode == STEERING_LEAST_LOAD)
                steering_group_arm(endpoint->group.steering);
}

void health_group_end(Endpoint *endpoint) {
        if (!endpoint->group.health.awake)
                return;
        TAILQ_REMOVE(&endpoint->registry->health.awake, endpoint, group.health.entry);
        endpoint->group.health.awake = false;
}

void health_member_begin(Member *member) {
        member->health = (Health){ .stalled = member->health.stalled,
                                   .queue = INT64_MAX,
                                   .progress_usec = clock_usec(CLOCK_MONOTONIC) };
        balance_begin(member);
}
