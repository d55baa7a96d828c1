/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The log: standard error, one line an event, with the priority in front where the journal reads it.
 * Only main, broker, listener and peer log.
 */

#include <syslog.h>

/* Looks whether standard error is the journal. Called once, before the first line. */
void log_init(void);

void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A fault with its trace: "what: No such file at f (file:line) < ...". */
void log_fault(int priority, const char *what);
