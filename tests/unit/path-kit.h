/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* For tests on paths: a folder of root's, and what another user has in it or tries there. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"

enum {
        PATH_KIT_UID = 65534,
        PATH_KIT_OTHER_UID = 65533,
        PATH_KIT_TEXT_MAX = 256,
};

static char path_kit_folder[] = "/tmp/test-path-XXXXXX";

static inline void path_kit_setup(void) {
        umask(0);
        cr_assert(ne(ptr, mkdtemp(path_kit_folder), NULL));
        cr_assert(zero(int, chmod(path_kit_folder, 0755)));
}

static inline int path_kit_remove_entry(const char *path, const struct stat *st, int type,
                                        struct FTW *where) {
        return remove(path);
}

static inline void path_kit_cleanup(void) {
        nftw(path_kit_folder, path_kit_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path below the folder. One of the last eight is overwritten by each call. */
__attribute__((format(printf, 1, 2))) static inline const char *path_kit(const char *format, ...) {
        static char texts[8][PATH_KIT_TEXT_MAX];
        static unsigned next;
        char *text = texts[next++ % 8];
        int n = snprintf(text, PATH_KIT_TEXT_MAX, "%s/", path_kit_folder);
        va_list args;

        va_start(args, format);
        vsnprintf(text + n, PATH_KIT_TEXT_MAX - (size_t)n, format, args);
        va_end(args);
        return text;
}

/* Makes the folder NAME. Returns its path. */
static inline const char *path_kit_mkdir(const char *name, uid_t uid, mode_t mode) {
        const char *path = path_kit("%s", name);

        cr_assert(zero(int, mkdir(path, mode)), "%s", path);
        if (uid != geteuid())
                cr_assert(zero(int, chown(path, uid, uid)));
        cr_assert(zero(int, chmod(path, mode)));
        return path;
}

static inline bool path_kit_exists(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0;
}

static inline struct sockaddr_un path_kit_address(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        cr_assert(lt(sz, strlen(path), sizeof(address.sun_path)));
        strcpy(address.sun_path, path);
        return address;
}

static inline void path_kit_require_root(void) {
        if (geteuid() != 0)
                cr_skip_test("needs root, to become another user");
}

/* Another user's process, which does @f over and over until it is ended. */
static inline pid_t path_kit_attack(void (*f)(void)) {
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        if (pid > 0)
                return pid;
        if (setgroups(0, NULL) < 0 || setgid(PATH_KIT_UID) < 0 || setuid(PATH_KIT_UID) < 0)
                _exit(1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
                f();
}

static inline void path_kit_end_attack(pid_t pid) {
        int status;

        cr_assert(zero(int, kill(pid, SIGKILL)));
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(eq(int, WTERMSIG(status), SIGKILL), "the attacker had ended by itself");
}
