/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Many clients at once: how many calls a second one server answers. */

#include <stddef.h>

enum {
        FAN_IN_CLIENTS = 64,
        FAN_IN_ROUNDS = 20,
};

/*
 * Asks two servers, the floor's at @floor_path and the broker's at @broker_path, in turns, for the
 * shared socket at @address, by FAN_IN_CLIENTS connections each of which has one call under way at all
 * times: Acquire and Release by turns, @calls in all for each server. Writes the calls per second of
 * each. Returns 0 or a negative errno.
 */
int fan_in_measure(const char *floor_path, const char *broker_path, const char *address, size_t calls,
                   double *ret_floor_rate, double *ret_broker_rate);
