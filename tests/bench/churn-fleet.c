/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The oldest member is always the next to go: so each of them lives for members times interval. Who is
 * killed is waited for, since only then is what it noted final; who leaves in good order takes the time
 * it needs, beside its replacement.
 */

#include "tests/bench/churn-fleet.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/shared.h"
#include "tests/bench/stats.h"

#define HANDS_SIZE (FLEET_PLACES * sizeof(Hand))

static bool place_is_free(const Fleet *fleet, size_t place) {
        return fleet->places[place].pid < 0;
}

/* Returns FLEET_PLACES when all are taken. */
static size_t fleet_find_place(const Fleet *fleet) {
        size_t place = 0;

        while (place < FLEET_PLACES && !place_is_free(fleet, place))
                place++;
        return place;
}

static int fleet_recruit(Fleet *fleet) {
        size_t place = fleet_find_place(fleet);
        MemberOrder order = {
                .lease = fleet->order.lease,
                .work_nsec = fleet->order.work_nsec,
                .drain = fleet->order.manner == MANNER_DRAIN,
                .ready = fleet->ready,
        };
        int r;

        if (place == FLEET_PLACES)
                return error_origin(-EBUSY);
        if (fleet->order.one_slow && place == 0)
                order.work_nsec *= FLEET_SLOW_FACTOR;
        order.hand = &fleet->hands[place];
        atomic_store(&order.hand->holds, HAND_EMPTY);
        atomic_store(&order.hand->serves, 0);
        r = member_start(&order, &fleet->places[place]);
        if (r < 0)
                return error_trace(r);
        fleet->live[fleet->n_live++] = place;
        return 0;
}

static int fleet_note(Fleet *fleet, const Note *note) {
        if (fleet->n_notes == fleet->notes_size) {
                size_t size = fleet->notes_size * 2 ?: 256;
                Note *notes = reallocarray(fleet->notes, size, sizeof(*notes));

                if (!notes)
                        return error_origin(-ENOMEM);
                fleet->notes = notes;
                fleet->notes_size = size;
        }
        fleet->notes[fleet->n_notes++] = *note;
        return 0;
}

static size_t fleet_dismiss(Fleet *fleet) {
        size_t place = fleet->live[0];

        memmove(fleet->live, fleet->live + 1, --fleet->n_live * sizeof(*fleet->live));
        fleet->departures++;
        return place;
}

static int fleet_kill(Fleet *fleet) {
        size_t place = fleet_dismiss(fleet);
        Child *child = &fleet->places[place];
        struct pollfd ended = { .fd = child->pidfd, .events = POLLIN };
        Note note = { .killed_nsec = clock_nsec() };

        if (kill(child->pid, SIGKILL) < 0)
                return error_origin(-errno);
        if (poll(&ended, 1, CHILD_PATIENCE_MSEC) != 1)
                return error_origin(-ETIMEDOUT);
        child_stop(child);
        note.dead_nsec = clock_nsec();
        note.holds = atomic_load(&fleet->hands[place].holds);
        return note.holds == HAND_EMPTY ? 0 : fleet_note(fleet, &note);
}

/* Who gives the last socket back ends the endpoint, as is meant. However slow the machine is at
 * starting processes, the oldest goes only when a younger one serves. */
static bool fleet_can_spare_one(const Fleet *fleet) {
        for (size_t i = 1; i < fleet->n_live; i++)
                if (atomic_load(&fleet->hands[fleet->live[i]].serves))
                        return true;
        return false;
}

static int fleet_ask_to_leave(Fleet *fleet) {
        size_t place = fleet_dismiss(fleet);

        return kill(fleet->places[place].pid, SIGTERM) < 0 ? error_origin(-errno) : 0;
}

static bool fleet_is_live(const Fleet *fleet, size_t place) {
        for (size_t i = 0; i < fleet->n_live; i++)
                if (fleet->live[i] == place)
                        return true;
        return false;
}

/* Those that were asked to leave are gone for good; that others ended, or failed on leaving, is
 * a fault. */
static int fleet_reap(Fleet *fleet) {
        struct pollfd ended[FLEET_PLACES];

        for (size_t place = 0; place < FLEET_PLACES; place++)
                ended[place] = (struct pollfd){ .fd = fleet->places[place].pidfd, .events = POLLIN };
        if (poll(ended, FLEET_PLACES, 0) < 0)
                return error_origin(-errno);
        for (size_t place = 0; place < FLEET_PLACES; place++) {
                if (!ended[place].revents)
                        continue;
                if (fleet_is_live(fleet, place) || atomic_load(&fleet->hands[place].failed))
                        return error_origin(-ECHILD);
                child_stop(&fleet->places[place]);
        }
        return 0;
}

static int fleet_fill(Fleet *fleet) {
        while (fleet->n_live < fleet->order.members) {
                int r = fleet_recruit(fleet);

                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

static int fleet_empty(Fleet *fleet) {
        while (fleet->n_live > 0) {
                int r = fleet_kill(fleet);

                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

int fleet_turn(Fleet *fleet) {
        int r;

        r = fleet_reap(fleet);
        if (r < 0)
                return error_trace(r);
        switch (fleet->order.manner) {
        case MANNER_RELEASE:
        case MANNER_DRAIN:
                /* As many are leaving as there can be: this one waits for its turn. */
                if (fleet_find_place(fleet) == FLEET_PLACES || !fleet_can_spare_one(fleet))
                        return 0;
                r = fleet_ask_to_leave(fleet);
                break;
        case MANNER_KILL:
                r = fleet_kill(fleet);
                break;
        case MANNER_GAP:
                if (fleet->n_live > 0) {
                        r = fleet_empty(fleet);
                        return r < 0 ? error_trace(r) : 0;
                }
                break;
        default:
                break;
        }
        if (r == 0)
                r = fleet_fill(fleet);
        return r < 0 ? error_trace(r) : 0;
}

/* One after the other: each has a child that can be asked whether it is still there. */
static int fleet_await(Fleet *fleet) {
        eventfd_t n;
        int r;

        for (size_t i = 0; i < fleet->order.members; i++) {
                r = fleet_recruit(fleet);
                if (r == 0)
                        r = child_await(&fleet->places[fleet->live[i]], fleet->ready);
                if (r < 0)
                        return error_trace(r);
                if (eventfd_read(fleet->ready, &n) < 0)
                        return error_origin(-errno);
        }
        return 0;
}

size_t fleet_replaced(const Fleet *fleet) {
        size_t n = 0;

        for (size_t place = 0; place < FLEET_PLACES; place++)
                n += atomic_load(&fleet->hands[place].replaced);
        return n;
}

int fleet_start(const FleetOrder *order, Fleet *fleet) {
        int r;

        *fleet = (Fleet){ .order = *order };
        for (size_t place = 0; place < FLEET_PLACES; place++)
                fleet->places[place] = CHILD_NONE;
        fleet->ready = eventfd(0, EFD_CLOEXEC);
        if (fleet->ready < 0)
                return error_origin(-errno);
        r = shared_map(HANDS_SIZE, (void **)&fleet->hands);
        if (r == 0)
                r = fleet_await(fleet);
        return r < 0 ? error_trace(r) : 0;
}

void fleet_stop(Fleet *fleet) {
        for (size_t place = 0; place < FLEET_PLACES; place++)
                if (!place_is_free(fleet, place))
                        kill(fleet->places[place].pid, SIGKILL);
        for (size_t place = 0; place < FLEET_PLACES; place++)
                child_stop(&fleet->places[place]);
        fleet->ready = fd_close(fleet->ready);
        fleet->hands = shared_unmap(fleet->hands, HANDS_SIZE);
        free(ptr_take(fleet->notes));
}
