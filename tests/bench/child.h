/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Processes under measurement. None outlives this one, whichever way it ends. */

#include <sys/types.h>

typedef struct Child {
        pid_t pid;
        int pidfd;
} Child;

#define CHILD_NONE ((Child){ .pid = -1, .pidfd = -1 })

enum {
        /* For a child to become ready, or to end when asked to. */
        CHILD_PATIENCE_MSEC = 10 * 1000,
};

/* Forks a process that exits with the result of @function. Returns 0 or a negative errno. */
int child_run(int (*function)(void *userdata), void *userdata, Child *ret);

/*
 * Starts the program @argv[0], found by PATH, with the variable @name set to @value unless @name is
 * NULL, and with its standard output to @output unless that is -1. Borrows @output. Returns 0 or a
 * negative errno; a program that cannot be started shows as a child that ends.
 */
int child_exec(const char *const *argv, const char *name, const char *value, int output, Child *ret);

/*
 * Waits until @fd can be read. Returns 0, -ETIMEDOUT after CHILD_PATIENCE_MSEC, -ECHILD when the child
 * ended instead, or another negative errno.
 */
int child_await(const Child *child, int fd);

/* Asks the child to end, makes it end if it does not, reaps it. Takes CHILD_NONE, and leaves it. */
void child_stop(Child *child);
