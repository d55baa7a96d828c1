/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Sockets that the broker keeps a copy of and to which nothing should happen: that a holder shuts one
 * down, or that something arrives at one that is off the list, is news. They share an epoll set of their
 * own, which is one item of the poller: events are taken out one by one, so that whatever a callback
 * closes is never told of again.
 */

#include <stdint.h>

#include "daemon/poller.h"

typedef struct Alarm Alarm;

typedef struct AlarmSet {
        PollItem item; /* its fd is the epoll set */
} AlarmSet;

struct Alarm {
        AlarmSet *set; /* NULL: not set */
        int fd;
        void (*on_alarm)(Alarm *alarm, uint32_t events);
};

/* Returns 0 or a negative errno; alarm_set_deinit() may follow either. */
int alarm_set_init(AlarmSet *set, Poller *poller);
void alarm_set_deinit(AlarmSet *set);

/*
 * Calls alarm->on_alarm() at EPOLLHUP and EPOLLERR, always, and at @events. fd and callback are set.
 * Returns 0 or a negative errno.
 */
int alarm_add(Alarm *alarm, AlarmSet *set, uint32_t events);

/* Sets it again after EPOLLONESHOT. Returns 0 or a negative errno. */
int alarm_rearm(Alarm *alarm, uint32_t events);

/* An alarm that was never added is left alone. Needed before the descriptor is closed: copies of it may
 * stay open elsewhere. */
void alarm_remove(Alarm *alarm);
