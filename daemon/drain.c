/* SPDX-License-Identifier: BSD-2-Clause */

/* One timer asks for all of them, the queue first, which is cheap, and then for the handshakes. */

#include "daemon/drain.h"

#include <assert.h>
#include <stddef.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/lease.h"
#include "daemon/log.h"
#include "proto/error.h"

enum {
        /* Also before the first look: a SYN that chose the member just before must be in the tables. */
        DRAIN_PERIOD_USEC = 5000,
        /* Looking takes no longer at one time, or little: the rest waits for the next time. */
        DRAIN_TURN_USEC = 2000,
        /* As many times what it took passes until then: so it is a tenth of the broker's time
         * at most. */
        DRAIN_REST = 9,
        /* What a handshake takes whose first answer was lost: as long as one may be under way unseen. */
        DRAIN_BLIND_USEC = 3 * 1000 * 1000,
        /* When the kernel cannot be asked, the next time is after a rest from that. */
        DRAIN_FAILED_USEC = 100000,
};

static void drains_set_timer(Drains *drains, uint64_t rest) {
        uint64_t period = rest > DRAIN_PERIOD_USEC ? rest : DRAIN_PERIOD_USEC;

        if (TAILQ_EMPTY(&drains->queue) || drains->timer.armed)
                return;
        if (timer_set(&drains->timer, clock_usec(CLOCK_MONOTONIC) + period) == 0)
                *drains->timers_changed = true;
        else
                log_fault(LOG_ERR, "no timer: nobody will be told that a member is drained");
}

/* The handshakes of one endpoint, asked for once however many of its members drain. */
typedef struct Answer {
        const Endpoint *endpoint; /* NULL: none */
        Handshakes handshakes;
} Answer;

static void answer_deinit(Answer *answer) {
        handshakes_deinit(&answer->handshakes);
        answer->endpoint = NULL;
}

static int answer_ask(Answer *answer, const Endpoint *endpoint) {
        int r;

        if (answer->endpoint == endpoint)
                return 0;
        answer_deinit(answer);
        r = handshakes_read_in(endpoint->network_namespace, &endpoint->address, &answer->handshakes);
        if (r < 0)
                return error_trace(r);
        answer->endpoint = endpoint;
        return 0;
}

/* Returns 1 if a handshake that began before the member left the list is still under way, 0 if none is,
 * or a negative errno. */
static int drain_has_handshakes(const Drains *drains, Member *member, Answer *answer) {
        Drain *drain = &member->drain;
        int r;

        if (member->endpoint->address.transport != TRANSPORT_TCP)
                return 0;
        if (drains->blind)
                return clock_usec(CLOCK_MONOTONIC) - drain->began < DRAIN_BLIND_USEC;
        if (drain->handshakes_known && drain->handshakes.n == 0)
                return 0;
        r = answer_ask(answer, member->endpoint);
        if (r == 0 && drain->handshakes_known)
                handshakes_keep(&drain->handshakes, &answer->handshakes);
        else if (r == 0)
                r = handshakes_copy(&answer->handshakes, &drain->handshakes);
        if (r < 0)
                return error_trace(r);
        drain->handshakes_known = true;
        return drain->handshakes.n > 0;
}

static void drain_tell(Member *member) {
        const Lease *lease;

        LIST_FOREACH (lease, &member->leases, by_member)
                event_hub_emit(member->endpoint->registry->hub,
                               &(Event){ .what = "drained",
                                         .endpoint = member->endpoint,
                                         .member = member,
                                         .lease = lease,
                                         .subject = lease->subject,
                                         .reason = "nothing waits on it any more" });
}

/* The handshakes are asked for first: what ends one meanwhile is in the queue then. Returns 0 or a
 * negative errno. */
static int drain_look(Drains *drains, Member *member, Answer *answer) {
        int r = drain_has_handshakes(drains, member, answer);

        if (r < 0)
                return error_trace(r);
        if (r > 0 || member_read_load(member) > 0) {
                /* The others first, the next time. */
                TAILQ_REMOVE(&drains->queue, member, drain.entry);
                TAILQ_INSERT_TAIL(&drains->queue, member, drain.entry);
                return 0;
        }
        drain_cancel(drains, member);
        drain_tell(member);
        return 0;
}

static void drains_on_elapsed(Timer *timer) {
        Drains *drains = (Drains *)((char *)timer - offsetof(Drains, timer));
        uint64_t begin = clock_usec(CLOCK_MONOTONIC), spent = 0;
        Member *member, *next, *last = TAILQ_LAST(&drains->queue, DrainQueue);
        Answer answer = { 0 };

        for (member = TAILQ_FIRST(&drains->queue); member && spent < DRAIN_TURN_USEC; member = next) {
                next = member == last ? NULL : TAILQ_NEXT(member, drain.entry);
                if (drain_look(drains, member, &answer) < 0) {
                        log_fault(LOG_WARNING, "cannot ask for handshakes");
                        spent = DRAIN_FAILED_USEC;
                        break;
                }
                spent = clock_usec(CLOCK_MONOTONIC) - begin;
        }
        answer_deinit(&answer);
        drains_set_timer(drains, spent * DRAIN_REST);
}

int drains_init(Drains *drains, sd_event *event, bool *timers_changed, bool blind) {
        *drains = (Drains){ .timers_changed = timers_changed, .blind = blind };
        TAILQ_INIT(&drains->queue);
        return error_trace(timer_init(&drains->timer, event, drains_on_elapsed));
}

void drains_deinit(Drains *drains) {
        assert(TAILQ_EMPTY(&drains->queue));
        timer_deinit(&drains->timer);
}

void drain_begin(Drains *drains, Member *member) {
        if (member->drain.waiting)
                return;
        member->drain = (Drain){ .waiting = true, .began = clock_usec(CLOCK_MONOTONIC) };
        TAILQ_INSERT_TAIL(&drains->queue, member, drain.entry);
        drains_set_timer(drains, 0);
}

void drain_cancel(Drains *drains, Member *member) {
        if (!member->drain.waiting)
                return;
        TAILQ_REMOVE(&drains->queue, member, drain.entry);
        handshakes_deinit(&member->drain.handshakes);
        member->drain = (Drain){ 0 };
}
