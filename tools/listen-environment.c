/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The variables bind to the process by LISTEN_PID, so this is done in the process that calls execve(),
 * with no fork after it.
 */

#include "tools/listen-environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int listen_environment_place(int *fds, size_t n_fds) {
        const int end = LISTEN_ENVIRONMENT_FIRST + (int)n_fds;
        size_t i;
        int fd;

        /* First out of the way, all of them: any may sit where another has to go. */
        for (i = 0; i < n_fds; i++) {
                if (fds[i] >= end)
                        continue;
                fd = fcntl(fds[i], F_DUPFD_CLOEXEC, end);
                if (fd < 0)
                        return -errno;
                close(fds[i]);
                fds[i] = fd;
        }

        /* dup2() leaves close-on-exec off. */
        for (i = 0; i < n_fds; i++) {
                fd = dup2(fds[i], LISTEN_ENVIRONMENT_FIRST + (int)i);
                if (fd < 0)
                        return -errno;
                close(fds[i]);
                fds[i] = fd;
        }
        return 0;
}

int listen_environment_keep(int fd, size_t n_fds) {
        int copy = fcntl(fd, F_DUPFD, LISTEN_ENVIRONMENT_FIRST + (int)n_fds);

        return copy < 0 ? -errno : copy;
}

/* Some readers take a backslash as an escape and others do not, so neither it nor a colon may occur. */
static bool name_is_valid(const char *name) {
        return name && *name &&
               !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

/* Sets @variable to @texts with @separator in between; those that cannot be a name are "unknown". */
static int texts_set(const char *variable, const char *const *texts, size_t n_texts, char separator) {
        char *joined = NULL;
        size_t size, i;
        FILE *file;
        int r;

        file = open_memstream(&joined, &size);
        if (!file)
                return -ENOMEM;

        for (i = 0; i < n_texts; i++) {
                if (i > 0)
                        fputc(separator, file);
                fputs(name_is_valid(texts[i]) ? texts[i] : "unknown", file);
        }
        r = fclose(file) < 0 || setenv(variable, joined, 1) < 0 ? -ENOMEM : 0;
        free(joined);
        return r;
}

static int number_set(const char *variable, long value) {
        char text[32];

        snprintf(text, sizeof(text), "%ld", value);
        return setenv(variable, text, 1) < 0 ? -errno : 0;
}

int listen_environment_set(pid_t pid, const char *const *names, size_t n_fds) {
        int r;

        r = texts_set("LISTEN_FDNAMES", names, n_fds, ':');
        if (r < 0)
                return r;

        r = number_set("LISTEN_FDS", (long)n_fds);
        if (r < 0)
                return r;
        r = number_set("LISTEN_PID", pid);
        if (r < 0)
                return r;

        /* Names another process once this one has replaced LISTEN_PID; a reader would
         * believe neither. */
        return unsetenv("LISTEN_PIDFDID") < 0 ? -errno : 0;
}

int listen_environment_set_leases(const char *const *leases, size_t n_leases) {
        return texts_set("REUSE_LEASES", leases, n_leases, ' ');
}

int listen_environment_set_lifetime(int fd) {
        if (fd < 0)
                return unsetenv("REUSE_LIFETIME_FD") < 0 ? -errno : 0;
        return number_set("REUSE_LIFETIME_FD", fd);
}
