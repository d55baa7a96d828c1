/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The kernel as fuzz-dispatch.c needs it: the system calls of the daemon that make, change and ask
 * sockets, or look at files, interfaces and the clock, are answered here, and none leaves the process.
 * Which ones they are is in meson.build (--wrap). A socket is an eventfd with an entry in a table, so
 * that close-on-exec, epoll and the count of descriptors are the real ones.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* Forgets everything; no socket may be open, no timer set. */
void fake_kernel_reset(void);

/* The @nth call from now on, the next being 0, fails with @error. */
void fake_kernel_fail(unsigned nth, int error);

/* Whether a call is to fail now, with errno set: for fakes elsewhere. */
bool fake_kernel_fails(void);

/* Whether any has failed so since the reset. */
bool fake_kernel_has_failed(void);

/* Time passes; the timers of sd-event that are due will elapse when the loop is run. */
void fake_kernel_pass(uint64_t usec);

/* So many connections wait on each listener from now on. */
void fake_kernel_set_queue(unsigned n);

/* A holder shuts the socket down: it listens no more. */
void fake_kernel_shut_down(int fd);

bool fake_kernel_is_socket(int fd);
