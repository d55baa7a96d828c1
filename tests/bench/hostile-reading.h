/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What a broker has at one moment: by its own account, and by the kernel's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/broker.h"

typedef struct Reading {
        /* Of the kernel. */
        size_t fds;
        size_t memory; /* VmRSS, bytes */
        uint64_t cpu_nsec;
        uint64_t waited_nsec; /* for a CPU */
        /* Of GetStatus. */
        size_t connections;
        size_t endpoints;
        size_t leases;
} Reading;

/* What the kernel says; the broker does not notice. Returns 0, or a negative errno when it has ended. */
int reading_take(const Broker *broker, Reading *ret);

/* What the broker says as well, over the connection @control. Returns 0 or a negative errno. */
int reading_ask(const Broker *broker, int control, Reading *ret);

/* Whether there is no more of anything than before, but for memory. */
bool reading_is_back(const Reading *before, const Reading *now);
