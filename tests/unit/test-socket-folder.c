/* SPDX-License-Identifier: BSD-2-Clause */

/* The way to a UNIX path (threat T9): who could make it lead elsewhere, and that it is not gone then. */

#include "daemon/socket-folder.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/path-kit.h"

TestSuite(socket_folder, .init = path_kit_setup, .fini = path_kit_cleanup, .timeout = 60);

static char reason[SOCKET_FOLDER_REASON_MAX];

static int walk(const char *path) {
        SocketFolder folder = { .fd = -1 };
        int n_fds = leaks_count_fds(), r;

        r = socket_folder_walk(path, &folder, reason);
        cr_assert(eq(int, folder.fd >= 0, r == 0));
        socket_folder_deinit(&folder);
        cr_assert(eq(int, leaks_count_fds(), n_fds));
        return r;
}

/* The reason names the part that is at fault. */
static void expect_unsafe(const char *path, const char *part, const char *words) {
        reason[0] = '\0';
        cr_assert(eq(int, walk(path), SOCKET_FOLDER_E_UNSAFE), "%s", path);
        cr_assert(strstr(reason, part) != NULL && strstr(reason, words) != NULL, "%s: %s", path, reason);
        cr_assert(strstr(reason, "; give ") != NULL, "%s", reason);
}

static void expect_missing(const char *path, int error) {
        errno = 0;
        cr_assert(eq(int, walk(path), SOCKET_FOLDER_E_MISSING), "%s", path);
        cr_assert(eq(int, errno, error), "%s", path);
}

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(socket_folder, a_link_anywhere_is_refused) {
        static const char *const targets[] = { "real", "/tmp", ".", "..", "nowhere", "link", "file" };

        path_kit_mkdir("real", geteuid(), 0755);
        path_kit_mkdir("real/deep", geteuid(), 0755);
        close(open(path_kit("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
                const char *link = path_kit("link"), *deep = path_kit("real/link");

                cr_assert(zero(int, symlink(targets[i], link)));
                cr_assert(zero(int, symlink(targets[i], deep)));
                expect_unsafe(path_kit("link/socket"), link, "is a symbolic link");
                expect_unsafe(path_kit("link/deep/socket"), link, "is a symbolic link");
                expect_unsafe(path_kit("real/link/socket"), deep, "is a symbolic link");
                cr_assert(zero(int, unlink(link)));
                cr_assert(zero(int, unlink(deep)));
        }
        /* The kernel's own are links, too. */
        expect_unsafe("/proc/self/socket", "/proc/self", "is a symbolic link");
}

Test(socket_folder, what_is_no_folder_is_not_there) {
        char name[NAME_MAX + 1];

        close(open(path_kit("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        expect_missing(path_kit("none/socket"), ENOENT);
        expect_missing(path_kit("none/deep/socket"), ENOENT);
        expect_missing(path_kit("file/socket"), ENOTDIR);
        expect_missing("/dev/null/socket", ENOTDIR);
        /* As long as a path can be. */
        memset(name, 'x', sizeof(name));
        snprintf(name, 108, "/%.*s/s", 104, path_kit("%0100d", 0));
        expect_missing(name, ENOENT);
}

Test(socket_folder, a_folder_that_others_may_write_to_leads_nowhere) {
        static const mode_t modes[] = { 0777, 0775, 0757, 0720, 0702 };

        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                const char *folder = path_kit_mkdir("open", geteuid(), modes[i]);

                path_kit_mkdir("open/in", geteuid(), 0755);
                path_kit_mkdir("open/in/deep", geteuid(), 0755);
                expect_unsafe(path_kit("open/in/socket"), folder, "others than root");
                expect_unsafe(path_kit("open/in/deep/socket"), folder, "others than root");
                /* As the last one it may be. */
                cr_assert(zero(int, walk(path_kit("open/socket"))));
                path_kit_cleanup();
                cr_assert(zero(int, mkdir(path_kit_folder, 0755)));
        }
}

Test(socket_folder, a_folder_of_another_user_leads_nowhere) {
        path_kit_require_root();
        for (int i = 0; i < 2; i++) {
                const char *folder = path_kit_mkdir("theirs", PATH_KIT_UID, i ? 01755 : 0755);

                path_kit_mkdir("theirs/in", i ? 0 : PATH_KIT_UID, 0755);
                expect_unsafe(path_kit("theirs/in/socket"), folder, "others than root");
                cr_assert(zero(int, walk(path_kit("theirs/socket"))));
                path_kit_cleanup();
                cr_assert(zero(int, mkdir(path_kit_folder, 0755)));
        }
}

Test(socket_folder, in_a_sticky_folder_only_what_is_ours) {
        path_kit_require_root();
        path_kit_mkdir("sticky", 0, 01777);
        path_kit_mkdir("sticky/ours", 0, 0755);
        path_kit_mkdir("sticky/theirs", PATH_KIT_UID, 0755);
        cr_assert(zero(int, walk(path_kit("sticky/socket"))));
        cr_assert(zero(int, walk(path_kit("sticky/ours/socket"))));
        expect_unsafe(path_kit("sticky/theirs/socket"), path_kit("sticky/theirs"), "others than root");
}

/* A user's own broker trusts root and that user, and nobody else. */
Test(socket_folder, a_users_own_broker) {
        path_kit_require_root();
        path_kit_mkdir("home", PATH_KIT_UID, 0755);
        path_kit_mkdir("home/in", PATH_KIT_UID, 0755);
        path_kit_mkdir("other", PATH_KIT_OTHER_UID, 0755);
        path_kit_mkdir("other/in", PATH_KIT_UID, 0755);
        path_kit_mkdir("closed", 0, 0700);
        path_kit_mkdir("closed/in", PATH_KIT_UID, 0755);
        cr_assert(zero(int, seteuid(PATH_KIT_UID)));
        cr_assert(zero(int, walk(path_kit("home/socket"))));
        cr_assert(zero(int, walk(path_kit("home/in/socket"))));
        cr_assert(zero(int, walk(path_kit("other/socket"))));
        expect_unsafe(path_kit("other/in/socket"), path_kit("other"), "others than root");
        expect_missing(path_kit("closed/in/socket"), EACCES);
        cr_assert(zero(int, seteuid(0)));
}

/* ---- what is given ------------------------------------------------------------------------------ */

Test(socket_folder, is_the_one_that_the_path_names) {
        static const char *const names[] = { "a", "a/b", "a/b/c" };
        SocketFolder folder;

        for (size_t i = 0; i < 3; i++) {
                const char *path = path_kit_mkdir(names[i], geteuid(), 0755);
                const char *socket = path_kit("%s/socket", names[i]);
                struct stat st, expected;

                cr_assert(zero(int, socket_folder_walk(socket, &folder, reason)));
                cr_assert(zero(int, fstat(folder.fd, &st)));
                cr_assert(zero(int, stat(path, &expected)));
                cr_assert(eq(ullong, st.st_ino, expected.st_ino));
                cr_assert(eq(sz, (size_t)(folder.name - socket), strlen(path) + 1));
                cr_assert(ne(int, fcntl(folder.fd, F_GETFD) & FD_CLOEXEC, 0));
                socket_folder_deinit(&folder);
        }
        cr_assert(zero(int, walk("/socket")));
}

Test(socket_folder, tells_where_files_are_safe) {
        static const struct {
                mode_t mode;
                uid_t uid;
                bool open;
        } rows[] = {
                { 0755, 0, false },
                { 0700, 0, false },
                { 01777, 0, false },
                { 01775, 0, false },
                { 0777, 0, true },
                { 0775, 0, true },
                { 0755, PATH_KIT_UID, true },
                { 0700, PATH_KIT_UID, true },
                { 01777, PATH_KIT_UID, true },
        };

        path_kit_require_root();
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                SocketFolder folder;

                path_kit_mkdir("folder", rows[i].uid, rows[i].mode);
                for (int j = 0; j < 2; j++) {
                        cr_assert(zero(int, j ? socket_folder_open(path_kit("folder/socket"), &folder)
                                              : socket_folder_walk(path_kit("folder/socket"), &folder,
                                                                   reason)));
                        cr_assert(eq(int, folder.open_to_others, rows[i].open), "row %zu", i);
                        socket_folder_deinit(&folder);
                }
                cr_assert(zero(int, rmdir(path_kit("folder"))));
        }
}

Test(socket_folder, the_administrator_may_have_links) {
        SocketFolder folder = { .fd = -1 };
        struct stat st, expected;
        int n_fds = leaks_count_fds();

        cr_assert(
                eq(int, socket_folder_open(path_kit("link/socket"), &folder), SOCKET_FOLDER_E_MISSING));
        cr_assert(zero(int, stat(path_kit_mkdir("real", geteuid(), 0755), &expected)));
        cr_assert(zero(int, symlink("real", path_kit("link"))));
        cr_assert(zero(int, socket_folder_open(path_kit("link/socket"), &folder)));
        cr_assert(zero(int, fstat(folder.fd, &st)));
        cr_assert(eq(ullong, st.st_ino, expected.st_ino));
        socket_folder_deinit(&folder);
        leaks_expect_fds(n_fds);
}

/* ---- racing ------------------------------------------------------------------------------------- */

/* By turns a folder of the attacker's own, and a link to where only root may write. */
static void swap_folder(void) {
        mkdir(path_kit("sticky/way"), 0777);
        rename(path_kit("sticky/way"), path_kit("sticky/aside"));
        (void)!symlink("../secret", path_kit("sticky/way"));
        unlink(path_kit("sticky/way"));
        rename(path_kit("sticky/aside"), path_kit("sticky/way"));
        rmdir(path_kit("sticky/way"));
}

Test(socket_folder, a_way_that_is_swapped_all_the_time_is_never_gone) {
        unsigned refused = 0, turns = 0;
        pid_t attacker;

        path_kit_require_root();
        path_kit_mkdir("sticky", 0, 01777);
        path_kit_mkdir("secret", 0, 0700);
        attacker = path_kit_attack(swap_folder);
        /* Until the attacker has shown it something some hundred times. */
        while (refused < 500 && turns++ < 1000000) {
                int r = walk(path_kit("sticky/way/socket"));

                cr_assert(ne(int, r, 0));
                refused += r == SOCKET_FOLDER_E_UNSAFE;
        }
        path_kit_end_attack(attacker);
        cr_assert(eq(uint, refused, 500));
}
