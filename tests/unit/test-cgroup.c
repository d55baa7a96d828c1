/* SPDX-License-Identifier: BSD-2-Clause */

/* A process's control group by its pidfd, and what unit it stands for. */

#include "daemon/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "proto/cleanup.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

enum {
        UID = 65534,
        OTHER_UID = 65533,
        LONE_UID = 65532, /* of no folder of another test, which may run meanwhile */
};

static CgroupMap map;

/* To its end, however long that takes; *@ret_steps: in how many parts. */
static int look_for(int pidfd, pid_t pid, uid_t uid, int *ret_steps, char **ret) {
        CgroupSearch *search = NULL;
        int r = cgroup_of_process(&map, pidfd, pid, uid, &search, ret), n_fds = leaks_count_fds();

        *ret_steps = 0;
        while (r == CGROUP_E_AGAIN) {
                r = cgroup_search_go_on(&map, search, 0, ret);
                if (++*ret_steps == 1)
                        leaks_expect_fds(n_fds);
        }
        cgroup_search_free(search);
        return r;
}

static int find(int pidfd, pid_t pid, char **ret) {
        int n_steps;

        return look_for(pidfd, pid, getuid(), &n_steps, ret);
}

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
        cr_assert(eq(int, find(pidfd, pid, &path), CGROUP_E_UNKNOWN));
        /* Its number is of no use, were it another's by now. */
        cr_assert(eq(int, find(pidfd, getpid(), &path), CGROUP_E_UNKNOWN));
        cr_assert(eq(int, find(null, 0, &path), CGROUP_E_UNKNOWN));
        cr_assert(eq(int, find(-1, -1, &path), CGROUP_E_UNKNOWN));
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
                cr_assert(zero(int, find(pidfd, pid, &path)));
                KIT_EXPECT_TEXT(path, expected);
                free(path);
        }
        end_child(pid);
        cr_assert(eq(int, find(pidfd, pid, &path), CGROUP_E_UNKNOWN));
        close(pidfd);
        cr_assert(zero(int, rmdir(below)));
        cr_assert(zero(int, rmdir(folder)));
        cgroup_map_deinit(&map);
        leaks_expect_none();
}

/* ---- the search: for a number of no process /proc says nothing ------------------------------------ */

enum {
        N_FOLDERS = 60,
        N_OF_OTHERS = 400,
};

static char top[128];

/* A folder of the test's own below @parent, given to @uid. Returns its path, to be freed. */
static char *make(const char *parent, const char *name, uid_t uid) {
        char *path = NULL;

        cr_assert(gt(int, asprintf(&path, "%s/%s", parent, name), 0));
        cr_assert(zero(int, mkdir(path, 0755)), "%s: %s", path, strerror(errno));
        cr_assert(zero(int, chown(path, uid, (gid_t)-1)));
        return path;
}

static void drop(char *path) {
        cr_assert(zero(int, rmdir(path)), "%s: %s", path, strerror(errno));
        free(path);
}

/* Since Linux 6.13 a pidfd tells the number of the folder, which is what is searched for. */
static bool kernel_tells_numbers(void) {
        uint64_t info[8] = { 1 << 2 };
        _cleanup_(fd_closep) int pidfd = pidfd_of(getpid());

        return ioctl(pidfd, PIDFD_GET_INFO_V0, info) == 0;
}

static void begin_below_root(void) {
        if (!kernel_tells_numbers())
                cr_skip_test("the kernel tells no numbers of control groups (Linux 6.13)");
        if (getuid() != 0)
                cr_skip_test("needs root, to give folders away");
        snprintf(top, sizeof(top), "%s/reuseportd-search-%d.slice", root(), getpid());
        if (mkdir(top, 0755) < 0)
                cr_skip_test("no control group can be made: %s", strerror(errno));
}

static void end_below_root(void) {
        cr_assert(zero(int, rmdir(top)));
        cgroup_map_deinit(&map);
        leaks_expect_none();
}

/* A process in @folder is found to be there, for a client of @uid, by its number or by a search. Returns
 * in how many parts. */
static int expect_there(const char *folder, uid_t uid, bool by_number) {
        pid_t pid = child_in(folder);
        int pidfd = pidfd_of(pid), n_steps;
        char *path;

        cr_assert(zero(int, look_for(pidfd, by_number ? pid : 0, uid, &n_steps, &path)));
        KIT_EXPECT_TEXT(path, folder + strlen(root()));
        free(path);
        close(pidfd);
        end_child(pid);
        return n_steps;
}

static int expect_found(const char *folder, uid_t uid) {
        return expect_there(folder, uid, false);
}

Test(cgroup, t5_search_goes_on_where_it_was) {
        char *service, *folders[N_FOLDERS], name[32];

        begin_below_root();
        service = make(top, "a.service", UID);
        for (int i = 0; i < N_FOLDERS; i++) {
                snprintf(name, sizeof(name), "group-%d", i);
                folders[i] = make(service, name, UID);
        }
        for (int i = 0; i < 5; i++)
                cr_assert(gt(int, expect_found(folders[i * N_FOLDERS / 5], UID), 1));
        for (int i = 0; i < N_FOLDERS; i++)
                drop(folders[i]);
        drop(service);
        end_below_root();
}

/* Who has many folders makes nobody else look through them. */
Test(cgroup, t5_folders_of_others_come_last) {
        char *theirs, *folders[N_OF_OTHERS], *own, *nested, name[32];
        int before, beside;

        begin_below_root();
        own = make(top, "own.service", LONE_UID);
        before = expect_found(own, LONE_UID);
        cgroup_map_deinit(&map);
        theirs = make(top, "theirs.service", OTHER_UID);
        for (int i = 0; i < N_OF_OTHERS; i++) {
                snprintf(name, sizeof(name), "group-%d", i);
                folders[i] = make(theirs, name, OTHER_UID);
        }
        beside = expect_found(own, LONE_UID);
        cr_assert(lt(int, beside, before + N_OF_OTHERS / 2));
        /* A client of one user in what was delegated to another is found all the same. */
        nested = make(folders[N_OF_OTHERS / 2], "nested", OTHER_UID);
        cr_assert(gt(int, expect_found(nested, LONE_UID), before));
        drop(nested);
        for (int i = 0; i < N_OF_OTHERS; i++)
                drop(folders[i]);
        drop(theirs);
        drop(own);
        end_below_root();
}

/* Deeper than is looked: that one is not known, and those beside it are. */
Test(cgroup, t5_deep_ones_hide_nothing) {
        enum { DEPTH = CGROUP_DEPTH_MAX + 4 };
        char *deep[DEPTH], *beside, *path = NULL;
        int pidfd, n_steps;
        pid_t pid;

        begin_below_root();
        for (int i = 0; i < DEPTH; i++)
                deep[i] = make(i == 0 ? top : deep[i - 1], "a", UID);
        beside = make(top, "z.service", UID);
        pid = child_in(deep[DEPTH - 1]);
        pidfd = pidfd_of(pid);
        cr_assert(eq(int, look_for(pidfd, 0, UID, &n_steps, &path), CGROUP_E_UNKNOWN));
        /* /proc knows. */
        cr_assert(zero(int, look_for(pidfd, pid, UID, &n_steps, &path)));
        cr_assert(zero(int, n_steps));
        KIT_EXPECT_TEXT(path, deep[DEPTH - 1] + strlen(root()));
        free(path);
        close(pidfd);
        end_child(pid);
        expect_found(beside, UID);
        drop(beside);
        for (int i = DEPTH - 1; i >= 0; i--)
                drop(deep[i]);
        end_below_root();
}

/* Nor does anybody make others forgotten. */
Test(cgroup, t5_one_user_is_remembered_so_often) {
        char *folder, *folders[2 * CGROUP_NAMES_PER_USER_MAX], name[32];
        size_t n_own = 0, n_others = 0;

        begin_below_root();
        for (size_t i = 0; i < CGROUP_NAMES_MAX / 2; i++)
                map.names[i] = (CgroupName){ .id = UINT64_MAX - i, .uid = 0, .path = strdup("/x") };
        folder = make(top, "a.service", UID);
        for (size_t i = 0; i < ELEMENTS(folders); i++) {
                snprintf(name, sizeof(name), "group-%zu", i);
                folders[i] = make(folder, name, UID);
                cr_assert(eq(int, expect_there(folders[i], UID, true), 0));
        }
        for (size_t i = 0; i < CGROUP_NAMES_MAX; i++) {
                n_own += map.names[i].path && map.names[i].uid == UID;
                n_others += map.names[i].path && map.names[i].uid == 0;
        }
        cr_assert(eq(sz, n_own, CGROUP_NAMES_PER_USER_MAX));
        cr_assert(ge(sz, n_others, CGROUP_NAMES_MAX / 2 - CGROUP_NAMES_PER_USER_MAX));
        for (size_t i = 0; i < ELEMENTS(folders); i++)
                drop(folders[i]);
        drop(folder);
        end_below_root();
}

Test(cgroup, more_of_them_than_are_remembered) {
        char *path;
        int pidfd = pidfd_of(getpid());

        root();
        for (uint64_t i = 0; i < CGROUP_NAMES_MAX; i++)
                map.names[i] = (CgroupName){ .id = UINT64_MAX - i, .path = strdup("/x") };
        cr_assert(zero(int, find(pidfd, getpid(), &path)));
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
