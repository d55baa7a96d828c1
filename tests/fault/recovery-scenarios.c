/* SPDX-License-Identifier: BSD-2-Clause */

/* In each round the broker is the successor of one that was killed, and holds what its clients still
 * have. */

#include "tests/fault/scenario.h"

#include "proto/cleanup.h"

#define GROUP "{'network':'tcp4','address':'127.0.0.1:4000'}"

static Keeper keeper;

/* A lease that was recovered, for when its guest has left. */
static char lease[GUEST_TEXT_MAX];
static unsigned long long cookie;

/* One comes back, and one ends before. */
static void recover(Play *play) {
        Guest *first = play_guest(play), *second = play_foreign_guest(play);

        cr_assert(guest_acquire(first, GROUP) && guest_acquire(second, GROUP));
        snprintf(lease, sizeof(lease), "%s", first->leases[0]);
        cookie = kit_cookie(first->fds[0]);
        play_recover(play);
        guest_come_back(first, &play->harness);
        second->control = fd_close(second->control);
        second->ended = true;
}

/* Also of one whose end the broker learned by its process. */
static void go_on(Play *play) {
        Guest *first = &play->guests[0], *second = &play->guests[1], *third = play_guest(play);
        size_t mark = play_mark(play);

        guest_leave(second);
        play_linger(play, mark);
        guest_resume(first, 0);
        guest_acquire(third, GROUP);
        if (play->steers) {
                guest_say(first, "Drain", 0);
                guest_say(first, "Ready", 0);
        }
        guest_call(third, "List", "{}");
        guest_release(first, 0);
        guest_release(third, 0);
}

/* The grace is not over: what was not taken up waits. */
static void take_up(Play *play) {
        Guest *guest;

        play_expect_gone(play);
        guest = play_guest(play);
        cr_assert(guest_call(guest, "Resume", "{'leases':[{'lease':'%s','cookie':'%llu'}]}", lease,
                             cookie));
        play_leave(play);
        play_expect_gone(play);
}

const Scenario recovery_scenarios[] = {
        /* A recovery in each round takes its time. */
        { "a recovered broker", .how = { .keeper = &keeper }, .prepare = recover, .run = go_on,
          .tidy = take_up, .stride = 3 },
};

const size_t n_recovery_scenarios = sizeof(recovery_scenarios) / sizeof(recovery_scenarios[0]);
