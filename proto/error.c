/* SPDX-License-Identifier: BSD-2-Clause */

/* Keeps the places that a fault passed on its way up; see error.h for the three kinds of
 * return value. */

#include "proto/error.h"

#include <stdio.h>
#include <string.h>

enum {
        TRACE_MAX = 12,
};

typedef struct Place {
        const char *file;
        const char *function;
        int line;
} Place;

static _Thread_local struct {
        Place places[TRACE_MAX];
        size_t n;
        int fault;
} trace;

void error_record(int fault, bool origin, const char *file, int line, const char *function) {
        if (origin)
                trace.n = 0;
        trace.fault = fault;
        if (trace.n < TRACE_MAX)
                trace.places[trace.n++] = (Place){ .file = file, .function = function, .line = line };
}

const char *error_describe(char *buffer, size_t size) {
        size_t used = 0;
        int n;

        if (trace.fault == 0)
                n = snprintf(buffer, size, "no fault");
        else
                n = snprintf(buffer, size, "%s", strerrordesc_np(-trace.fault) ?: "unknown error");
        for (size_t i = 0; i < trace.n && n >= 0 && (used += (size_t)n) < size; i++)
                n = snprintf(buffer + used, size - used, "%s%s (%s:%d)", i == 0 ? " at " : " < ",
                             trace.places[i].function, trace.places[i].file, trace.places[i].line);
        return buffer;
}
