/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One point in time to be called at, set again and again. sd_event hears of it before the loop waits
 * next: see EndpointRegistry.timers_changed.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Timer Timer;

struct Timer {
        sd_event_source *source;
        bool armed;
        void (*on_elapsed)(Timer *timer);
};

/* Not armed. Returns 0 or a negative errno; timer_deinit() may follow either. */
int timer_init(Timer *timer, sd_event *event, void (*on_elapsed)(Timer *timer));

/*
 * Calls timer->on_elapsed() once, at @usec (CLOCK_MONOTONIC) or as soon as possible after; replaces what
 * was set. Returns 0 or a negative errno.
 */
int timer_set(Timer *timer, uint64_t usec);

/* A timer that was never made is left alone. */
void timer_deinit(Timer *timer);
