/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * For tests of what a parent passes. What is at 3 and above is the test runner's, so each case is a
 * child of its own, in which nothing is open there; it answers with the line that failed.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                                \
        do {                                                                                            \
                if (!(condition))                                                                       \
                        return __LINE__ % 255 + 1;                                                      \
        } while (false)

/* What a row of a table has for the number of the process, or of its pidfd, which is not
 * known before. */
#define PASSED_OWN "own"

static inline void passed_run(int (*f)(const void *userdata), const void *userdata, const char *what) {
        int status = -1;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                close_range(3, ~0U, 0);
                _exit(f(userdata));
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(status == 0, "%s: status %#x: line %d, or 255 more", what, status,
                  WEXITSTATUS(status) - 1);
}

static inline int passed_flags(int fd) {
        return fcntl(fd, F_GETFD);
}

/* @n files from 3 on. */
static inline void passed_open(int n) {
        for (int i = 0; i < n; i++)
                (void)!open("/dev/null", O_RDONLY);
}

/* NULL: there is no such variable. */
static inline void passed_set(const char *variable, const char *value, unsigned long long own) {
        char text[32];

        unsetenv(variable);
        snprintf(text, sizeof(text), "%llu", own);
        if (value)
                setenv(variable, strcmp(value, PASSED_OWN) == 0 ? text : value, 1);
}

/* The number that LISTEN_PIDFDID is to have; 0: the kernel has none. */
static inline uint64_t passed_own_id(void) {
        int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        struct statfs fs = { 0 };
        struct stat st = { 0 };

        fstatfs(fd, &fs);
        fstat(fd, &st);
        close(fd);
        return fs.f_type == 0x50494446 ? st.st_ino : 0;
}
