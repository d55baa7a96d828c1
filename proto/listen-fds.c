/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Variables outlive whom they are for: a shell in between, or a program that does not unset them, hands
 * them on to processes that have other files under these numbers. So nothing is believed that cannot be
 * checked, and all is checked before anything is changed.
 */

#include "proto/listen-fds.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"

/* Of linux/magic.h, where that is new enough. */
#define PIDFS_MAGIC 0x50494446

/* NOLINTBEGIN(concurrency-mt-unsafe): the header says that no other thread uses the environment */

static const char *const variables[] = { "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS",
                                         "LISTEN_FDNAMES" };

/* A decimal number from 1 to @max, nothing before or after it. */
static bool number_read(const char *text, uint64_t max, uint64_t *ret) {
        uint64_t value = 0;

        for (const char *p = text; *p; p++)
                if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return false;
        *ret = value;
        return value > 0 && value <= max;
}

/* A number of this process that no other ever has; false before Linux 6.9, which has none. */
static bool process_id_read(uint64_t *ret) {
        _cleanup_(fd_closep) int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        struct statfs fs;
        struct stat st;

        if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != PIDFS_MAGIC || fstat(fd, &st) < 0)
                return false;
        *ret = st.st_ino;
        return true;
}

static int process_is_meant(bool *ret) {
        const char *pid_text = getenv("LISTEN_PID"), *id_text = getenv("LISTEN_PIDFDID");
        uint64_t pid, id, own;

        *ret = false;
        if (!pid_text)
                return 0;
        if (!number_read(pid_text, INT_MAX, &pid))
                return LISTEN_FDS_E_PROCESS;
        if (pid != (uint64_t)getpid())
                return 0;
        if (!id_text) {
                *ret = true;
                return 0;
        }
        if (!number_read(id_text, UINT64_MAX, &id))
                return LISTEN_FDS_E_PROCESS;
        /* The number of a process may be another's by now; this one may not. */
        *ret = !process_id_read(&own) || id == own;
        return 0;
}

/* Ends the name at @text, and drops the backslashes of what is escaped in it. *@ret_next is what follows
 * the colon, NULL: nothing. Returns false if nothing follows a backslash. */
static bool name_cut(char *text, char **ret_next) {
        char *from = text, *to = text;

        for (; *from && *from != ':'; from++) {
                if (*from == '\\' && *++from == '\0')
                        return false;
                *to++ = *from;
        }
        *ret_next = *from ? from + 1 : NULL;
        *to = '\0';
        return true;
}

/* Nothing at all stands for no names, as some parents have it. */
static int names_read(ListenFds *fds, size_t n) {
        _cleanup_(freep) char *text = strdup(getenv("LISTEN_FDNAMES") ?: "");
        bool named = text && *text;
        char *next = text;

        assert(n > 0);
        fds->names = calloc(n, sizeof(*fds->names));
        if (!text || !fds->names)
                return error_origin(-ENOMEM);
        for (; fds->n < n; fds->n++) {
                const char *name = named ? next : LISTEN_FDS_UNKNOWN;

                if (named && (!next || !name_cut(next, &next)))
                        return LISTEN_FDS_E_NAMES;
                fds->names[fds->n] = strdup(name);
                if (!fds->names[fds->n])
                        return error_origin(-ENOMEM);
        }
        return named && next ? LISTEN_FDS_E_NAMES : 0;
}

static int listen_fds_read(ListenFds *fds) {
        const char *text = getenv("LISTEN_FDS");
        uint64_t n;
        bool meant;
        int r;

        r = process_is_meant(&meant);
        if (r != 0 || !meant || !text)
                return r;
        if (!number_read(text, INT_MAX - LISTEN_FDS_FIRST, &n))
                return LISTEN_FDS_E_COUNT;
        for (int i = 0; i < (int)n; i++)
                if (fcntl(LISTEN_FDS_FIRST + i, F_GETFD) < 0)
                        return LISTEN_FDS_E_NOT_OPEN;
        r = names_read(fds, (size_t)n);
        if (r != 0)
                return r;
        for (int i = 0; i < (int)n; i++)
                if (fcntl(LISTEN_FDS_FIRST + i, F_SETFD, FD_CLOEXEC) < 0)
                        return error_origin(-errno);
        return 0;
}

int listen_fds_take(bool unset, ListenFds *ret) {
        ListenFds fds = { 0 };
        int r;

        r = listen_fds_read(&fds);
        if (unset)
                for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
                        unsetenv(variables[i]);
        if (r != 0) {
                listen_fds_deinit(&fds);
                return r;
        }
        *ret = fds;
        return 0;
}

/* NOLINTEND(concurrency-mt-unsafe) */

void listen_fds_deinit(ListenFds *fds) {
        for (size_t i = 0; i < fds->n; i++)
                free(fds->names[i]);
        free(fds->names);
        *fds = (ListenFds){ 0 };
}
