/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Plain lines for people; "<N>" before each when the journal is listening, as sd-daemon(3) has it.
 *
 * Clients bring about lines, so who does not read them must not stop the broker: a line is written if
 * it can be at once. Standard error may be shared with others, which forbids making it non-blocking.
 */

#include "daemon/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/error.h"

enum {
        LOG_LINE_MAX = 1024,
};

static bool to_journal;
static int terminal = -1; /* if standard error is one: opened once more, non-blocking */
static size_t n_lost;     /* lines, since the last that was written */

void log_init(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        struct stat st;
        uintmax_t dev, ino;

        /* NOLINTNEXTLINE(cert-err34-c): the service manager's, and fits */
        to_journal = stream && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &dev, &ino) == 2 &&
                     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
        n_lost = 0;
        if (isatty(STDERR_FILENO) && terminal < 0)
                terminal = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        /* Who has stopped reading must not end the broker either. */
        signal(SIGPIPE, SIG_IGN);
}

bool log_is_journal(void) {
        return to_journal;
}

const char *log_escape(const char *text, char *buffer, size_t size) {
        char *end = buffer, *last = buffer + size - 1;

        for (; *text; text++) {
                bool plain = *text >= ' ' && *text <= '~';

                if (last - end < (plain ? 1 : 4))
                        break;
                if (plain)
                        *end++ = *text;
                else
                        end += sprintf(end, "\\x%02x", (unsigned char)*text);
        }
        *end = '\0';
        return buffer;
}

static bool write_at_once(const char *line) {
        struct iovec iov = { .iov_base = (char *)line, .iov_len = strlen(line) };
        int fd = terminal >= 0 ? terminal : STDERR_FILENO;
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        if (pwritev2(fd, &iov, 1, -1, RWF_NOWAIT) >= 0)
                return true;
        /*
         * Terminals and some files do not know the flag, nor do pipes before Linux 6.4; other files
         * refuse by it what needs a new block. A pipe that is ready has room for PIPE_BUF, which is more
         * than a line.
         */
        return poll(&p, 1, 0) == 1 && write(fd, iov.iov_base, iov.iov_len) >= 0;
}

static bool write_line(int priority, const char *text) {
        char line[LOG_LINE_MAX + 16];
        int n;

        n = to_journal ? sprintf(line, "<%d>", priority) : sprintf(line, "reuseportd: ");
        log_escape(text, line + n, LOG_LINE_MAX);
        strcat(line, "\n");
        return write_at_once(line);
}

void log_line(int priority, const char *format, ...) {
        char text[LOG_LINE_MAX];
        va_list ap;

        if (n_lost > 0) {
                snprintf(text, sizeof(text), "%zu lines were lost here: nobody read them", n_lost);
                if (!write_line(LOG_WARNING, text)) {
                        n_lost++;
                        return;
                }
                n_lost = 0;
        }
        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (!write_line(priority, text))
                n_lost++;
}

void log_fault(int priority, const char *what) {
        char trace[LOG_LINE_MAX / 2];

        log_line(priority, "%s: %s", what, error_describe(trace, sizeof(trace)));
}
