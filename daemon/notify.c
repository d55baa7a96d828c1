/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What cannot be told is not: the manager finds out in its own way. Should it not read, it is waited
 * for; it can end the broker at any time anyway.
 */

#include "daemon/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "proto/error.h"

enum {
        STATUS_MAX = 512,
        /* Of the time that the manager waits: one that is late is still in time. */
        SIGNS_OF_LIFE = 3,
};

static int watchdog_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Watchdog *watchdog = userdata;
        int r;

        watchdog->due = true;
        r = sd_event_source_set_time_relative(source, watchdog->period_usec);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int watchdog_init(Watchdog *watchdog, sd_event *event) {
        uint64_t usec = 0;
        int r = sd_watchdog_enabled(false, &usec);

        *watchdog = (Watchdog){ .period_usec = usec / SIGNS_OF_LIFE };
        if (r <= 0)
                return r < 0 ? error_origin(r) : 0;
        r = sd_event_add_time_relative(event, &watchdog->timer, CLOCK_MONOTONIC, 0, 0, watchdog_on_timer,
                                       watchdog);
        return r < 0 ? error_origin(r) : 0;
}

void watchdog_round(Watchdog *watchdog) {
        if (!watchdog->due)
                return;
        watchdog->due = false;
        sd_notify(false, "WATCHDOG=1");
}

void watchdog_deinit(Watchdog *watchdog) {
        sd_event_source_disable_unref(watchdog->timer);
        *watchdog = (Watchdog){ 0 };
}

void notify_ready(const char *path, const char *failure) {
        char status[STATUS_MAX], escaped[STATUS_MAX];

        if (failure)
                snprintf(status, sizeof(status), "Serving %s; the configuration was not reloaded: %.*s",
                         path, (int)strcspn(failure, "\n"), failure);
        else
                snprintf(status, sizeof(status), "Serving %s", path);
        sd_notifyf(false, "READY=1\nSTATUS=%s", log_escape(status, escaped, sizeof(escaped)));
}

/* From when on what is told is about this reload: the manager may have been told of another before. */
void notify_reloading(void) {
        sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_usec(CLOCK_MONOTONIC));
}

void notify_stopping(void) {
        sd_notify(false, "STOPPING=1\nSTATUS=Stopping");
}
