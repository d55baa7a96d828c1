/* SPDX-License-Identifier: BSD-2-Clause */

/* A process's control group by its pidfd, and what unit it stands for. */

#include "daemon/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "proto/cleanup.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

static CgroupMap map;

static int pidfd_of(pid_t pid) {
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

static const char *root(void) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < 2; i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return roots[i];
        cr_skip_test("no control groups of version 2 are mounted");
        return NULL;
}

/* A child in a control group of the test's own, which waits to be killed. */
static pid_t child_in(const char *folder) {
        char file[512], done;
        int ready[2];
        pid_t pid;

        snprintf(file, sizeof(file), "%s/cgroup.procs", folder);
        cr_assert(zero(int, pipe2(ready, O_CLOEXEC)));
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                int fd = open(file, O_WRONLY | O_CLOEXEC);
                bool moved = write(fd, "0", 1) == 1;

                (void)!write(ready[1], moved ? "y" : "n", 1);
                for (;;)
                        pause();
        }
        cr_assert(eq(int, (int)read(ready[0], &done, 1), 1));
        close(ready[0]);
        close(ready[1]);
        cr_assert(eq(int, done, 'y'));
        return pid;
}

static void end_child(pid_t pid) {
        cr_assert(zero(int, kill(pid, SIGKILL)));
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

TestSuite(cgroup, .timeout = 20);

Test(cgroup, of_a_process_that_is_none) {
        char *path = NULL;
        int pidfd, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        pidfd = pidfd_of(pid);
        cr_assert(ge(int, pidfd, 0));
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
        cr_assert(eq(int, cgroup_of_process(&map, pidfd, pid, &path), CGROUP_E_UNKNOWN));
        /* Its number is of no use, were it another's by now. */
        cr_assert(eq(int, cgroup_of_process(&map, pidfd, getpid(), &path), CGROUP_E_UNKNOWN));
        cr_assert(eq(int, cgroup_of_process(&map, null, 0, &path), CGROUP_E_UNKNOWN));
        cr_assert(eq(int, cgroup_of_process(&map, -1, -1, &path), CGROUP_E_UNKNOWN));
        cr_assert(eq(ptr, path, NULL));
        close(pidfd);
        close(null);
        cgroup_map_deinit(&map);
        leaks_expect_none();
}

Test(cgroup, of_a_process_in_one_of_its_own) {
        char folder[256], below[300], expected[64], *path;
        pid_t pid;
        int pidfd;

        snprintf(folder, sizeof(folder), "%s/reuseportd-test-%d.slice", root(), getpid());
        if (mkdir(folder, 0755) < 0)
                cr_skip_test("no control group can be made: %s", strerror(errno));
        snprintf(below, sizeof(below), "%s/a.service", folder);
        snprintf(expected, sizeof(expected), "/reuseportd-test-%d.slice/a.service", getpid());
        cr_assert(zero(int, mkdir(below, 0755)));
        pid = child_in(below);
        pidfd = pidfd_of(pid);
        /* The second time it is remembered. */
        for (int i = 0; i < 2; i++) {
                cr_assert(zero(int, cgroup_of_process(&map, pidfd, pid, &path)));
                KIT_EXPECT_TEXT(path, expected);
                free(path);
        }
        end_child(pid);
        cr_assert(eq(int, cgroup_of_process(&map, pidfd, pid, &path), CGROUP_E_UNKNOWN));
        close(pidfd);
        cr_assert(zero(int, rmdir(below)));
        cr_assert(zero(int, rmdir(folder)));
        cgroup_map_deinit(&map);
        leaks_expect_none();
}

Test(cgroup, more_of_them_than_are_remembered) {
        char *path;
        int pidfd = pidfd_of(getpid());

        root();
        for (uint64_t i = 0; i < CGROUP_NAMES_MAX; i++)
                map.names[i] = (CgroupName){ .id = UINT64_MAX - i, .path = strdup("/x") };
        cr_assert(zero(int, cgroup_of_process(&map, pidfd, getpid(), &path)));
        cr_assert(eq(int, path[0], '/'));
        cr_assert(not(eq(str, path, (char *)"/x")));
        free(path);
        close(pidfd);
        cgroup_map_deinit(&map);
        leaks_expect_none();
}

Test(cgroup, units) {
        static const struct {
                const char *path, *unit;
        } rows[] = {
                { "/", NULL },
                { "", NULL },
                { "/system.slice", NULL },
                { "/system.slice/", NULL },
                { "/init.scope", "init.scope" },
                { "/system.slice/a.service", "a.service" },
                { "/system.slice/a.service/b.service", "a.service" },
                { "/a.slice/a-b.slice/a@1.service/x", "a@1.service" },
                { "/user.slice/user-1.slice/user@1.service/app.slice/a.service", "user@1.service" },
                /* ".slice" alone is no slice's name. */
                { "/.slice/a.service", ".slice" }, /* which is the name of no slice */
                { "/_cpu.service", "cpu.service" },
                { "/docker/abc", NULL },
        };
        char unit[CGROUP_UNIT_MAX], text[CGROUP_UNIT_MAX + 16];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                bool found = cgroup_unit(rows[i].path, unit);

                cr_assert(eq(int, found, rows[i].unit != NULL), "%s", rows[i].path);
                if (found)
                        KIT_EXPECT_TEXT(unit, rows[i].unit);
        }
        /* As long as may be, and one more. */
        memset(text, 'a', sizeof(text));
        text[0] = '/';
        strcpy(text + CGROUP_UNIT_MAX - 8, ".service");
        cr_assert(cgroup_unit(text, unit));
        cr_assert(eq(sz, strlen(unit), CGROUP_UNIT_MAX - 1));
        text[CGROUP_UNIT_MAX - 8] = 'a';
        strcpy(text + CGROUP_UNIT_MAX - 7, ".service");
        cr_assert(not(cgroup_unit(text, unit)));
}
