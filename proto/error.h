/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Three kinds of return value: 0 is done; a negative errno is a fault, passed up unchanged; a positive
 * MODULE_E_* is an answer that the function documents and its direct caller interprets.
 *
 * A fault leaves a trace, so that it reads like a small backtrace in the log of whoever stops it.
 * The trace is kept per thread and never printed from here.
 */

#include <errno.h>
#include <stddef.h>

/* Starts a new trace at this place. @r: a negative errno, returned. */
#define error_origin(r) error_record((r), 1, __FILE__, __LINE__, __func__)

/* Adds this place to the trace. @r: a negative errno, returned. */
#define error_trace(r) error_record((r), 0, __FILE__, __LINE__, __func__)

/* An answer that cannot happen here becomes a fault: -ENOTRECOVERABLE. A fault is traced. */
#define error_fold(r)                                                                                   \
        ({                                                                                              \
                int _r = (r);                                                                           \
                _r <= 0 ? error_trace(_r) : error_origin(-ENOTRECOVERABLE);                             \
        })

int error_record(int r, int origin, const char *file, int line, const char *function);

/* Writes the trace of the last fault of this thread, innermost first, as one line. Returns @buffer. */
const char *error_describe(char *buffer, size_t size);
