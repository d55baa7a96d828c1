/* SPDX-License-Identifier: BSD-2-Clause */

/* Plain lines for people; "<N>" before each when the journal is listening, as sd-daemon(3) has it. */

#include "daemon/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/error.h"

enum {
        LOG_LINE_MAX = 1024,
};

static bool to_journal;

void log_init(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        struct stat st;
        uintmax_t dev, ino;

        to_journal = stream && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &dev, &ino) == 2 &&
                     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_line(int priority, const char *format, ...) {
        char line[LOG_LINE_MAX];
        va_list ap;

        va_start(ap, format);
        vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        if (to_journal)
                fprintf(stderr, "<%d>%s\n", priority, line);
        else
                fprintf(stderr, "reuseportd: %s\n", line);
}

void log_fault(int priority, const char *what) {
        char trace[LOG_LINE_MAX / 2];

        log_line(priority, "%s: %s", what, error_describe(trace, sizeof(trace)));
}
