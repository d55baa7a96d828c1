/* SPDX-License-Identifier: BSD-2-Clause */

/* The poller forbids its callbacks to remove items other than their own; here it is the rule. */

#include "daemon/alarm.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* A turn of the loop handles no more: a holder that rings all the time holds up nobody. */
        ALARMS_PER_TURN_MAX = 16,
};

static void alarm_set_on_ready(PollItem *item, uint32_t revents) {
        struct epoll_event event;

        for (int i = 0; i < ALARMS_PER_TURN_MAX; i++) {
                Alarm *alarm;

                if (epoll_wait(item->fd, &event, 1, 0) <= 0)
                        return;
                alarm = event.data.ptr;
                alarm->on_alarm(alarm, event.events);
        }
}

int alarm_set_init(AlarmSet *set, Poller *poller) {
        *set = (AlarmSet){ .item = { .fd = epoll_create1(EPOLL_CLOEXEC),
                                     .on_ready = alarm_set_on_ready } };
        if (set->item.fd < 0)
                return error_origin(-errno);
        return error_trace(poll_item_add(&set->item, poller, EPOLLIN));
}

void alarm_set_deinit(AlarmSet *set) {
        if (!set->item.on_ready)
                return;
        poll_item_remove(&set->item);
        set->item.fd = fd_close(set->item.fd);
}

int alarm_add(Alarm *alarm, AlarmSet *set, uint32_t events) {
        struct epoll_event event = { .events = events, .data.ptr = alarm };

        if (epoll_ctl(set->item.fd, EPOLL_CTL_ADD, alarm->fd, &event) < 0)
                return error_origin(-errno);
        alarm->set = set;
        return 0;
}

int alarm_rearm(Alarm *alarm, uint32_t events) {
        struct epoll_event event = { .events = events, .data.ptr = alarm };

        if (epoll_ctl(alarm->set->item.fd, EPOLL_CTL_MOD, alarm->fd, &event) < 0)
                return error_origin(-errno);
        return 0;
}

void alarm_remove(Alarm *alarm) {
        if (!alarm->set)
                return;
        epoll_ctl(alarm->set->item.fd, EPOLL_CTL_DEL, alarm->fd, NULL);
        alarm->set = NULL;
}
