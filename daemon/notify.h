/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What a service manager that asks for it is told: that the broker serves, reloads or stops, and, where
 * it has a watchdog, that the broker is alive. Without a manager all of it does nothing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/*
 * The broker has two loops that take turns, and a sign of life says that both do: a timer of the event
 * loop makes it due, and it is sent after the poller's next round.
 */
typedef struct Watchdog {
        sd_event_source *timer; /* NULL: nobody waits for signs of life */
        uint64_t period_usec;
        bool due;
} Watchdog;

/* Starts, if the manager waits for signs of life of this process. Returns 0 or a negative errno;
 * watchdog_deinit() may follow either. */
int watchdog_init(Watchdog *watchdog, sd_event *event);

/* Sends a sign of life that is due. Call it after each round of the poller. */
void watchdog_round(Watchdog *watchdog);

void watchdog_deinit(Watchdog *watchdog);

/* The broker serves @path, after its start or a reload. @failure: why that reload failed, of which the
 * first line is told, or NULL. */
void notify_ready(const char *path, const char *failure);

void notify_reloading(void);
void notify_stopping(void);
