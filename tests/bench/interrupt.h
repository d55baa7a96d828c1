/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A run that is broken off still ends its children and removes its files. */

/* From now on SIGINT, SIGTERM and SIGHUP are only noted, and a reader that went away is an error of
 * write(). */
void interrupt_init(void);

/* For every loop that takes long. Returns 0, or -EINTR after such a signal. */
int interrupt_check(void);
