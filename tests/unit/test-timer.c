/* SPDX-License-Identifier: BSD-2-Clause */

/* Rings once for each time it is set, and never after its end. */

#include "daemon/timer.h"

#include "tests/unit/group-kit.h"

typedef struct Ringer {
        Timer timer; /* the first: the callback is given this */
        int n_rung;
        uint64_t again_usec; /* set to this by the callback; 0: not */
        bool end;            /* by the callback */
} Ringer;

static void ring(Timer *timer) {
        Ringer *ringer = (Ringer *)timer;

        cr_assert(not(timer->armed));
        ringer->n_rung++;
        if (ringer->again_usec > 0)
                cr_assert(zero(int, timer_set(timer, ringer->again_usec)));
        ringer->again_usec = 0;
        if (ringer->end)
                timer_deinit(timer);
}

static uint64_t in_an_hour(void) {
        return clock_usec(CLOCK_MONOTONIC) + KIT_RETAIN_USEC;
}

TestSuite(timer, .timeout = 10);

Test(timer, that_was_never_made_has_no_end) {
        Timer timer = { 0 };

        timer_deinit(&timer);
        timer_deinit(&timer);
        cr_assert(not(timer.armed));
}

Test(timer, is_refused_without_a_descriptor) {
        Ringer ringer = { 0 };
        sd_event *event;
        rlim_t limit;
        int r;

        cr_assert(ge(int, sd_event_new(&event), 0));
        limit = kit_refuse_fds();
        r = timer_init(&ringer.timer, event, ring);
        kit_allow_fds(limit);
        cr_assert(eq(int, r, -EMFILE));
        timer_deinit(&ringer.timer);
        sd_event_unref(event);
}

Test(timer, is_not_set_in_a_loop_that_has_ended) {
        Ringer ringer = { 0 };
        sd_event *event;

        cr_assert(ge(int, sd_event_new(&event), 0));
        cr_assert(zero(int, timer_init(&ringer.timer, event, ring)));
        cr_assert(ge(int, sd_event_exit(event, 0), 0));
        cr_assert(ge(int, sd_event_loop(event), 0));
        cr_assert(eq(int, timer_set(&ringer.timer, 1), -ESTALE));
        cr_assert(not(ringer.timer.armed));
        timer_deinit(&ringer.timer);
        sd_event_unref(event);
        cr_assert(zero(int, ringer.n_rung));
}

Test(timer, does_not_ring_before_its_time) {
        Ringer ringer = { 0 };
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, timer_init(&ringer.timer, kit.services.event, ring)));
        cr_assert(not(ringer.timer.armed));
        kit_turn(&kit);
        cr_assert(zero(int, timer_set(&ringer.timer, in_an_hour())));
        kit_turn(&kit);
        cr_assert(ringer.timer.armed);
        /* The later time is the one that counts. */
        cr_assert(zero(int, timer_set(&ringer.timer, 1)));
        cr_assert(zero(int, timer_set(&ringer.timer, in_an_hour())));
        kit_turn(&kit);
        cr_assert(zero(int, ringer.n_rung));
        timer_deinit(&ringer.timer);
        kit_end(&kit);
}

Test(timer, does_not_ring_after_its_end) {
        Ringer ringer = { 0 };
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, timer_init(&ringer.timer, kit.services.event, ring)));
        cr_assert(zero(int, timer_set(&ringer.timer, 1)));
        timer_deinit(&ringer.timer);
        cr_assert(not(ringer.timer.armed));
        kit_turn(&kit);
        cr_assert(zero(int, ringer.n_rung));
        kit_end(&kit);
}

Test(timer, may_end_in_its_callback) {
        Ringer ringer = { .end = true };
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, timer_init(&ringer.timer, kit.services.event, ring)));
        cr_assert(zero(int, timer_set(&ringer.timer, 1)));
        kit_turn(&kit);
        kit_turn(&kit);
        cr_assert(eq(int, ringer.n_rung, 1));
        kit_end(&kit);
}

Test(timer, rings_once_each_time_it_is_set) {
        Ringer ringer = { 0 };
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, timer_init(&ringer.timer, kit.services.event, ring)));
        for (int i = 1; i <= 3; i++) {
                cr_assert(zero(int, timer_set(&ringer.timer, in_an_hour())));
                cr_assert(zero(int, timer_set(&ringer.timer, clock_usec(CLOCK_MONOTONIC))));
                cr_assert(ringer.timer.armed);
                kit_turn(&kit);
                kit_turn(&kit);
                cr_assert(eq(int, ringer.n_rung, i));
                cr_assert(not(ringer.timer.armed));
        }
        ringer.again_usec = 1;
        cr_assert(zero(int, timer_set(&ringer.timer, 1)));
        kit_turn(&kit);
        cr_assert(eq(int, ringer.n_rung, 5));
        timer_deinit(&ringer.timer);
        kit_end(&kit);
}
