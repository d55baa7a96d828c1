/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A broker of our own to measure. */

#include <stddef.h>
#include <sys/types.h>

#include "tests/bench/child.h"
#include "tests/bench/scratch.h"

typedef struct Broker {
        Child child;
        char path[SCRATCH_PATH_MAX + 16]; /* of its control socket */
} Broker;

#define BROKER_NONE ((Broker){ .child = CHILD_NONE })

typedef struct BrokerSettings {
        const char
                *config; /* text of its configuration; NULL: anybody may have anything, in any number */
        uid_t uid;       /* its user, as in user_become_broker() */
        int nice;        /* as Nice= of its unit; left out where it is not allowed */
        size_t max_fds;  /* RLIMIT_NOFILE; 0: as it is here */
        const char *log; /* path of a file to log to; NULL: where this process writes its errors */
} BrokerSettings;

/* What a broker is started with, once or again and again. */
typedef struct BrokerProgram {
        const char *daemon;
        const BrokerSettings *settings;
        char path[SCRATCH_PATH_MAX + 16]; /* of its control socket */
        char config[SCRATCH_PATH_MAX + 32];
        char notify[SCRATCH_PATH_MAX + 32];
} BrokerProgram;

/* Writes the configuration. Borrows @daemon and @settings. Returns 0 or a negative errno. */
int broker_prepare(const char *daemon, const char *folder, const char *name,
                   const BrokerSettings *settings, BrokerProgram *ret);

/* The socket that @program tells on when it is ready; its file is the caller's, too. Returns 0 or a
 * negative errno. */
int broker_open_notices(const BrokerProgram *program, int *ret_fd);

/* Makes this process the broker. Returns only with a negative errno. */
int broker_become(const BrokerProgram *program);

/*
 * Starts the program @daemon with its files in @folder, told apart by @name, and waits until it is
 * ready. Any user may have anything of it, in any number. Returns 0 or a negative errno.
 */
int broker_start(const char *daemon, const char *folder, const char *name, Broker *ret);

/* The same, with @settings. */
int broker_start_with(const char *daemon, const char *folder, const char *name,
                      const BrokerSettings *settings, Broker *ret);

/* Takes BROKER_NONE, and leaves it. */
void broker_stop(Broker *broker);

/* Bytes of memory that are the broker's own: neither files nor what the kernel keeps for it. */
int broker_memory(const Broker *broker, size_t *ret);
