/* SPDX-License-Identifier: BSD-2-Clause */

/* Whatever rings, and whatever is removed meanwhile: who is gone is not called. */

#include "daemon/alarm.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "tests/unit/group-kit.h"

enum {
        BELLS = 40, /* more than are served in one turn */
};

typedef struct Bell {
        Alarm alarm; /* the first: the callback is given this */
        int n_rung;
        uint32_t events; /* of the last time */
        struct Bell *victims;
        int n_victims; /* removed by the callback */
} Bell;

static void ring(Alarm *alarm, uint32_t events) {
        Bell *bell = (Bell *)alarm;

        bell->n_rung++;
        bell->events = events;
        for (int i = 0; i < bell->n_victims; i++) {
                alarm_remove(&bell->victims[i].alarm);
                bell->victims[i].alarm.fd = fd_close(bell->victims[i].alarm.fd);
        }
}

/* Rings at once. */
static void hang(Bell *bell, Kit *kit, uint32_t events) {
        *bell = (Bell){ .alarm = { .fd = eventfd(1, EFD_CLOEXEC), .on_alarm = ring } };
        cr_assert(zero(int, alarm_add(&bell->alarm, &kit->services.endpoints.alarms, events)));
        cr_assert(eq(ptr, bell->alarm.set, &kit->services.endpoints.alarms));
}

static void take_down(Bell *bells, int n) {
        for (int i = 0; i < n; i++) {
                alarm_remove(&bells[i].alarm);
                fd_close(bells[i].alarm.fd);
        }
}

static int count_rung(const Bell *bells, int n) {
        int sum = 0;

        for (int i = 0; i < n; i++)
                sum += bells[i].n_rung;
        return sum;
}

TestSuite(alarm, .timeout = 10);

Test(alarm, what_was_never_added_is_left_alone) {
        AlarmSet set = { 0 };
        Alarm alarm = { .fd = -1 };

        alarm_remove(&alarm);
        alarm_remove(&alarm);
        alarm_set_deinit(&set);
        alarm_set_deinit(&set);
}

Test(alarm, a_set_is_refused_without_a_descriptor) {
        AlarmSet set;
        rlim_t limit;
        Kit kit;
        int r;

        kit_init(&kit, 1000);
        limit = kit_refuse_fds();
        r = alarm_set_init(&set, &kit.services.poller);
        kit_allow_fds(limit);
        cr_assert(eq(int, r, -EMFILE));
        alarm_set_deinit(&set);
        kit_end(&kit);
}

Test(alarm, what_cannot_ring_is_refused) {
        AlarmSet *set;
        Bell bell;
        Alarm alarm = { .fd = -1, .on_alarm = ring };
        Kit kit;

        kit_init(&kit, 1000);
        set = &kit.services.endpoints.alarms;
        cr_assert(eq(int, alarm_add(&alarm, set, EPOLLIN), -EBADF));
        cr_assert(eq(ptr, alarm.set, NULL));
        alarm.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        cr_assert(eq(int, alarm_add(&alarm, set, EPOLLIN), -EPERM));
        cr_assert(eq(ptr, alarm.set, NULL));
        alarm_remove(&alarm);
        close(alarm.fd);
        hang(&bell, &kit, 0);
        alarm = bell.alarm;
        cr_assert(eq(int, alarm_add(&alarm, set, EPOLLIN), -EEXIST));
        fd_close(bell.alarm.fd);
        cr_assert(eq(int, alarm_rearm(&bell.alarm, EPOLLIN), -EBADF));
        alarm_remove(&bell.alarm);
        kit_end(&kit);
}

Test(alarm, does_not_ring_for_what_was_not_asked) {
        Bell bells[2];
        Kit kit;

        kit_init(&kit, 1000);
        hang(&bells[0], &kit, 0);
        hang(&bells[1], &kit, EPOLLRDHUP | EPOLLET);
        kit_turn(&kit);
        cr_assert(zero(int, count_rung(bells, 2)));
        take_down(bells, 2);
        kit_end(&kit);
}

Test(alarm, removed_by_another_in_the_same_batch_is_not_called) {
        Bell bells[BELLS];
        Kit kit;

        kit_init(&kit, 1000);
        for (int i = 0; i < BELLS; i++)
                hang(&bells[i], &kit, EPOLLIN | EPOLLONESHOT);
        for (int i = 0; i < BELLS; i++) {
                bells[i].victims = bells;
                bells[i].n_victims = BELLS; /* itself as well */
        }
        kit_turn(&kit);
        cr_assert(eq(int, count_rung(bells, BELLS), 1));
        take_down(bells, BELLS);
        kit_end(&kit);
}

Test(alarm, one_that_rings_all_the_time_holds_up_nobody) {
        Bell bells[2];
        Kit kit;

        kit_init(&kit, 1000);
        hang(&bells[0], &kit, EPOLLIN);
        hang(&bells[1], &kit, EPOLLIN | EPOLLONESHOT);
        cr_assert(ge(int, poller_run(&kit.services.poller, true), 0));
        cr_assert(eq(int, bells[1].n_rung, 1));
        cr_assert(eq(int, bells[0].n_rung, 15));
        take_down(bells, 2);
        kit_end(&kit);
}

Test(alarm, of_many_each_is_called) {
        Bell bells[BELLS];
        Kit kit;

        kit_init(&kit, 1000);
        for (int i = 0; i < BELLS; i++)
                hang(&bells[i], &kit, EPOLLIN | EPOLLONESHOT);
        kit_turn(&kit);
        for (int i = 0; i < BELLS; i++)
                cr_assert(eq(int, bells[i].n_rung, 1));
        take_down(bells, BELLS);
        kit_end(&kit);
}

Test(alarm, rings_once_until_it_is_set_again) {
        Bell bell;
        Kit kit;

        kit_init(&kit, 1000);
        hang(&bell, &kit, EPOLLIN | EPOLLONESHOT);
        for (int i = 1; i <= 3; i++) {
                kit_turn(&kit);
                kit_turn(&kit);
                cr_assert(eq(int, bell.n_rung, i));
                cr_assert(zero(int, alarm_rearm(&bell.alarm, EPOLLIN | EPOLLONESHOT)));
        }
        take_down(&bell, 1);
        kit_end(&kit);
}

Test(alarm, tells_of_a_hangup_unasked) {
        int ends[2];
        Bell bell = { .alarm.on_alarm = ring };
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
        bell.alarm.fd = ends[0];
        cr_assert(zero(int, alarm_add(&bell.alarm, &kit.services.endpoints.alarms, EPOLLET)));
        kit_turn(&kit);
        cr_assert(zero(int, bell.n_rung));
        close(ends[1]);
        kit_turn(&kit);
        cr_assert(eq(int, bell.n_rung, 1));
        cr_assert(eq(u32, bell.events, EPOLLHUP));
        take_down(&bell, 1);
        kit_end(&kit);
}
