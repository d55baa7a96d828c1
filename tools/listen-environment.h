/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * How a program is handed open sockets: by number, from 3 upward, and by LISTEN_FDS, LISTEN_PID and
 * LISTEN_FDNAMES in its environment. The convention of sd_listen_fds(3). REUSE_LEASES and
 * REUSE_LIFETIME_FD are our own.
 */

#include <stddef.h>
#include <sys/types.h>

/* The number of the first descriptor. */
#define LISTEN_ENVIRONMENT_FIRST 3

/*
 * Moves the descriptors @fds to 3, 4, ... and lets them survive execve(). Whatever was open there is
 * closed. On return @fds holds the new numbers; on failure those that are still open.
 * Returns 0 or a negative errno.
 */
int listen_environment_place(int *fds, size_t n_fds);

/*
 * Makes a copy of @fd that survives execve(), at the lowest free number above @n_fds placed descriptors.
 * Borrows @fd. Returns the copy, the caller's, or a negative errno.
 */
int listen_environment_keep(int fd, size_t n_fds);

/*
 * Sets the variables for the process @pid, in place of any that were inherited. @names: @n_fds texts;
 * NULL or what cannot be a name becomes "unknown". Returns 0 or -ENOMEM.
 */
int listen_environment_set(pid_t pid, const char *const *names, size_t n_fds);

/* Sets REUSE_LEASES: @leases with blanks in between, for "reusectl ready $REUSE_LEASES". Returns 0 or
 * -ENOMEM. */
int listen_environment_set_leases(const char *const *leases, size_t n_leases);

/* Sets REUSE_LIFETIME_FD: the descriptor on which the leases depend; -1: there is none, and whatever was
 * inherited is gone. Returns 0 or a negative errno. */
int listen_environment_set_lifetime(int fd);
