/* SPDX-License-Identifier: BSD-2-Clause */

/* All wait equally long: one queue and one timer for however many. */

#include "daemon/departure.h"

#include <assert.h>
#include <stddef.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "proto/error.h"

/* Without the moment that the list takes to follow. */
static void departures_end_all(Departures *departures) {
        Member *first;

        while ((first = TAILQ_FIRST(&departures->queue))) {
                group_settle(first->endpoint->registry);
                member_hand_over(first);
        }
}

/* @earliest: CLOCK_MONOTONIC. */
static void departures_set_timer(Departures *departures, uint64_t earliest) {
        const Member *first = TAILQ_FIRST(&departures->queue);

        if (!first || departures->timer.armed)
                return;
        if (first->departure.close_usec > earliest)
                earliest = first->departure.close_usec;
        if (timer_set(&departures->timer, earliest) == 0)
                *departures->timers_changed = true;
        else
                departures_end_all(departures);
}

static void departures_on_elapsed(Timer *timer) {
        Departures *departures = (Departures *)((char *)timer - offsetof(Departures, timer));
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        Member *first;

        for (int i = 0; i < DEPARTURES_PER_TURN_MAX; i++) {
                first = TAILQ_FIRST(&departures->queue);
                if (!first || first->departure.close_usec > now)
                        break;
                member_hand_over(first);
        }
        departures_set_timer(departures, now + DEPARTURE_PERIOD_USEC);
}

int departures_init(Departures *departures, sd_event *event, bool *timers_changed) {
        *departures = (Departures){ .timers_changed = timers_changed };
        TAILQ_INIT(&departures->queue);
        return error_trace(timer_init(&departures->timer, event, departures_on_elapsed));
}

void departures_deinit(Departures *departures) {
        assert(TAILQ_EMPTY(&departures->queue));
        timer_deinit(&departures->timer);
}

/* Those that can be adopted come first. */
void departure_begin(Departures *departures, Member *member) {
        Endpoint *endpoint = member->endpoint;

        endpoint_unlink_member(member);
        endpoint->n_members--;
        if (member->orphan)
                TAILQ_INSERT_HEAD(&endpoint->departing, member, entry);
        else
                TAILQ_INSERT_TAIL(&endpoint->departing, member, entry);
        member->departure.waiting = true;
        member->departure.close_usec = clock_usec(CLOCK_MONOTONIC) + DEPARTURE_LINGER_USEC;
        TAILQ_INSERT_TAIL(&departures->queue, member, departure.entry);
        departures_set_timer(departures, 0);
}

void departure_cancel(Departures *departures, Member *member) {
        Endpoint *endpoint = member->endpoint;

        if (!member->departure.waiting)
                return;
        TAILQ_REMOVE(&departures->queue, member, departure.entry);
        member->departure.waiting = false;
        TAILQ_REMOVE(&endpoint->departing, member, entry);
        TAILQ_INSERT_HEAD(&endpoint->members, member, entry);
        endpoint->n_members++;
}
