/* SPDX-License-Identifier: BSD-2-Clause */

/* A source of sd-event that is kept, because making one costs more than setting it. */

#include "daemon/timer.h"

#include "proto/error.h"

enum {
        /* sd-event would otherwise wait up to 250 ms for company. */
        ACCURACY_USEC = 1,
};

static int timer_dispatch(sd_event_source *source, uint64_t usec, void *userdata) {
        Timer *timer = userdata;

        timer->armed = false;
        timer->on_elapsed(timer);
        return 0;
}

int timer_init(Timer *timer, sd_event *event, void (*on_elapsed)(Timer *timer)) {
        int r;

        *timer = (Timer){ .on_elapsed = on_elapsed };
        r = sd_event_add_time(event, &timer->source, CLOCK_MONOTONIC, 0, ACCURACY_USEC, timer_dispatch,
                              timer);
        if (r >= 0)
                r = sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
        return r < 0 ? error_origin(r) : 0;
}

int timer_set(Timer *timer, uint64_t usec) {
        int r;

        r = sd_event_source_set_time(timer->source, usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT);
        if (r < 0)
                return error_origin(r);
        timer->armed = true;
        return 0;
}

void timer_deinit(Timer *timer) {
        timer->source = sd_event_source_disable_unref(timer->source);
        timer->armed = false;
}
