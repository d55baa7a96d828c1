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
#include <stdbool.h>
#include <stddef.h>

/* Starts a new trace at this place. Returns @r, a negative errno; -ENOTRECOVERABLE if it is none. */
#define error_origin(r) error_begin((r), __FILE__, __LINE__, __func__)

/* Adds this place to the trace, if @r is a fault. Returns @r. */
#define error_trace(r) error_pass((r), __FILE__, __LINE__, __func__)

/* An answer that cannot happen here becomes a fault: -ENOTRECOVERABLE. A fault is traced. */
#define error_fold(r)                                                                                   \
        ({                                                                                              \
                int _r = (r);                                                                           \
                _r <= 0 ? error_trace(_r) : error_origin(-ENOTRECOVERABLE);                             \
        })

void error_record(int fault, bool origin, const char *file, int line, const char *function);

/* Inline, so that compilers and analyzers see that a fault is never 0. */
static inline int error_begin(int r, const char *file, int line, const char *function) {
        int fault = r < 0 ? r : -ENOTRECOVERABLE;

        error_record(fault, true, file, line, function);
        return fault;
}

static inline int error_pass(int r, const char *file, int line, const char *function) {
        if (r < 0)
                error_record(r, false, file, line, function);
        return r;
}

/* Writes the trace of the last fault of this thread, innermost first, as one line. Returns @buffer. */
const char *error_describe(char *buffer, size_t size);
