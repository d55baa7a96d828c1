/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The log: standard error, one line an event, with the priority in front where the journal reads it.
 * Nobody waits for who reads it: lines that find no room are lost, and counted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

/* Looks whether standard error is the journal. Called once, before the first line. */
void log_init(void);

/* Whether it is. */
bool log_is_journal(void);

void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A fault with its trace: "what: No such file at f (file:line) < ...". */
void log_fault(int priority, const char *what);

/*
 * Writes @text so that it is one line and no more than text wherever it is shown: what is not printable
 * ASCII as "\x0a". Cut where @size, which is not 0, is reached. Returns @buffer.
 */
const char *log_escape(const char *text, char *buffer, size_t size);
