/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A broker of our own to measure: any user may have anything, in any number. */

#include <stddef.h>

#include "tests/bench/child.h"
#include "tests/bench/scratch.h"

typedef struct Broker {
        Child child;
        char path[SCRATCH_PATH_MAX + 16]; /* of its control socket */
} Broker;

#define BROKER_NONE ((Broker){ .child = CHILD_NONE })

/*
 * Starts the program @daemon with its files in @folder, told apart by @name, and waits until it is
 * ready. Returns 0 or a negative errno.
 */
int broker_start(const char *daemon, const char *folder, const char *name, Broker *ret);

/* Takes BROKER_NONE, and leaves it. */
void broker_stop(Broker *broker);

/* Bytes of memory that are the broker's own: neither files nor what the kernel keeps for it. */
int broker_memory(const Broker *broker, size_t *ret);
