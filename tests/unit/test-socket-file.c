/* SPDX-License-Identifier: BSD-2-Clause */

/* The file of a UNIX socket (threat T9): its owner and mode, and who else moves files where it is. */

#include "daemon/socket-file.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/unit/path-kit.h"

TestSuite(socket_file, .init = path_kit_setup, .fini = path_kit_cleanup, .timeout = 60);

static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

static SocketFileRefusal refusal;

/* In front of the C library's: what happens between bind() and what comes after it. */
static void (*after_bind)(void);

int bind(int fd, const struct sockaddr *address, socklen_t len) {
        int r = (int)syscall(SYS_bind, fd, address, len);

        if (r == 0 && after_bind)
                after_bind();
        return r;
}

static bool chmod_fails;

int fchmodat(int fd, const char *path, mode_t mode, int flags) {
        if (!chmod_fails)
                return (int)syscall(SYS_fchmodat, fd, path, mode);
        errno = EROFS;
        return -1;
}

static int other_bind(int type, const char *path) {
        struct sockaddr_un address = path_kit_address(path);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, (int)syscall(SYS_bind, fd, &address, sizeof(address))));
        return fd;
}

/* The socket; -1 with the answer in *@ret, and nothing left. */
static int try_bind(SocketFile *file, int type, const char *path, int *ret) {
        struct sockaddr_un address = path_kit_address(path);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), n_fds = leaks_count_fds();
        mode_t mask = umask(0027);

        refusal = (SocketFileRefusal){ 0 };
        *ret = socket_file_bind(file, fd, &address, sizeof(address), &refusal);
        cr_assert(eq(u32, umask(mask), 0027), "the mask was not put back");
        cr_assert(eq(int, leaks_count_fds(), n_fds));
        cr_assert(eq(int, file->inode != 0, *ret == 0));
        if (*ret == 0)
                return fd;
        close(fd);
        return -1;
}

static int must_bind(SocketFile *file, int type, const char *path) {
        int r, fd = try_bind(file, type, path, &r);

        cr_assert(zero(int, r), "%s: %s %s %s", path, refusal.step, strerror(refusal.error),
                  refusal.reason);
        return fd;
}

static void expect_answer(SocketFile *file, int type, const char *path, int answer) {
        int r;

        try_bind(file, type, path, &r);
        cr_assert(eq(int, r, answer), "%s", path);
}

static void expect_system(SocketFile *file, const char *path, const char *step, int error) {
        expect_answer(file, SOCK_STREAM, path, SOCKET_FILE_E_SYSTEM);
        cr_assert(eq(str, (char *)refusal.step, (char *)step));
        cr_assert(eq(int, refusal.error, error));
}

static void expect_file(const char *path, uid_t uid, gid_t gid, mode_t mode) {
        struct stat st;

        cr_assert(zero(int, lstat(path, &st)), "%s", path);
        cr_assert(eq(u32, st.st_mode & S_IFMT, S_IFSOCK));
        cr_assert(eq(u32, st.st_uid, uid));
        cr_assert(eq(u32, st.st_gid, gid));
        cr_assert(eq(u32, st.st_mode & 07777, mode), "%s: %o", path, st.st_mode);
}

static SocketFile for_other(mode_t mode) {
        return (SocketFile){ .uid = PATH_KIT_UID, .gid = PATH_KIT_OTHER_UID, .mode = mode };
}

static void drop_capability(cap_value_t capability) {
        cap_t caps = cap_get_proc();

        cr_assert(zero(int, cap_set_flag(caps, CAP_EFFECTIVE, 1, &capability, CAP_CLEAR)));
        cr_assert(zero(int, cap_set_proc(caps)));
        cap_free(caps);
}

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(socket_file, a_link_on_the_way_is_refused) {
        SocketFile file = SOCKET_FILE_DEFAULT;

        path_kit_mkdir("real", geteuid(), 0755);
        cr_assert(zero(int, symlink("real", path_kit("link"))));
        expect_answer(&file, SOCK_STREAM, path_kit("link/socket"), SOCKET_FILE_E_PATH);
        cr_assert(strstr(refusal.reason, path_kit("link")) != NULL);
        cr_assert(not(path_kit_exists(path_kit("real/socket"))));
}

/* Wherever a last link leads, neither is it followed nor goes it away. */
Test(socket_file, a_link_in_its_place_is_in_use) {
        static const char *const targets[] = { "nowhere", "stale", "alive", "/dev/null", ".", "link" };
        SocketFile file = SOCKET_FILE_DEFAULT;
        const char *link = path_kit("link");
        int alive;

        close(other_bind(SOCK_STREAM, path_kit("stale")));
        alive = other_bind(SOCK_STREAM, path_kit("alive"));
        for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
                char target[32] = { 0 };

                cr_assert(zero(int, symlink(targets[i], link)));
                expect_answer(&file, SOCK_STREAM, link, SOCKET_FILE_E_IN_USE);
                cr_assert(gt(int, (int)readlink(link, target, sizeof(target) - 1), 0));
                cr_assert(eq(str, target, (char *)targets[i]));
                cr_assert(not(path_kit_exists(path_kit("nowhere"))));
                cr_assert(path_kit_exists(path_kit("stale")));
                cr_assert(zero(int, unlink(link)));
        }
        close(alive);
}

/* Bound is enough, listening or not, of the same kind or another; and nobody notices the question. */
Test(socket_file, a_living_socket_in_its_place_is_in_use) {
        const char *path = path_kit("socket");

        for (size_t i = 0; i < N_TYPES * N_TYPES * 2; i++) {
                int type = types[i % N_TYPES], fd = other_bind(type, path);
                SocketFile file = SOCKET_FILE_DEFAULT;
                bool listens = i % 2 && type != SOCK_DGRAM;

                if (listens)
                        cr_assert(zero(int, listen(fd, 1)));
                expect_answer(&file, types[i / N_TYPES % N_TYPES], path, SOCKET_FILE_E_IN_USE);
                cr_assert(path_kit_exists(path));
                fcntl(fd, F_SETFL, O_NONBLOCK);
                cr_assert(eq(int, listens ? accept(fd, NULL, NULL) : (int)recv(fd, &type, 1, 0), -1));
                close(fd);
                cr_assert(zero(int, unlink(path)));
        }
}

Test(socket_file, what_is_no_socket_is_in_use) {
        SocketFile file = SOCKET_FILE_DEFAULT;
        const char *path = path_kit("file");

        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        expect_answer(&file, SOCK_STREAM, path, SOCKET_FILE_E_IN_USE);
        cr_assert(zero(int, unlink(path)));
        cr_assert(zero(int, mkdir(path, 0700)));
        expect_answer(&file, SOCK_STREAM, path, SOCKET_FILE_E_IN_USE);
        cr_assert(zero(int, rmdir(path)));
        cr_assert(zero(int, mkfifo(path, 0600)));
        expect_answer(&file, SOCK_STREAM, path, SOCKET_FILE_E_IN_USE);
        cr_assert(path_kit_exists(path));
}

Test(socket_file, a_stale_socket_of_another_user_stays) {
        SocketFile file = SOCKET_FILE_DEFAULT;
        const char *path = path_kit("socket");

        path_kit_require_root();
        close(other_bind(SOCK_STREAM, path));
        cr_assert(zero(int, chown(path, PATH_KIT_UID, PATH_KIT_UID)));
        expect_answer(&file, SOCK_STREAM, path, SOCKET_FILE_E_IN_USE);
        cr_assert(path_kit_exists(path));
}

Test(socket_file, who_may_not_give_it_away_leaves_nothing) {
        SocketFile user = { .uid = 0, .gid = (gid_t)-1, .mode = 0666 };
        SocketFile group = { .uid = (uid_t)-1, .gid = 0, .mode = 0666 };
        const char *path = path_kit("home/socket");

        path_kit_require_root();
        path_kit_mkdir("home", PATH_KIT_UID, 0755);
        cr_assert(zero(int, setgroups(0, NULL)));
        cr_assert(zero(int, setegid(PATH_KIT_UID)));
        cr_assert(zero(int, seteuid(PATH_KIT_UID)));
        expect_system(&user, path, "chown", EPERM);
        cr_assert(not(path_kit_exists(path)));
        expect_system(&group, path, "chown", EPERM);
        cr_assert(not(path_kit_exists(path)));
        expect_system(&user, "/socket-of-a-test", "bind", EACCES);
        expect_system(&user, path_kit("none/socket"), "bind", ENOENT);
        cr_assert(zero(int, seteuid(0)));
}

Test(socket_file, what_cannot_have_its_mode_is_not_left) {
        SocketFile file = { .uid = (uid_t)-1, .gid = getegid(), .mode = 0666 };

        chmod_fails = true;
        expect_system(&file, path_kit("socket"), "chmod", EROFS);
        cr_assert(not(path_kit_exists(path_kit("socket"))));
}

/* With room for one descriptor more each time, until there is enough: all or nothing. */
Test(socket_file, no_descriptors_left) {
        const char *path = path_kit("socket");
        struct rlimit old, limit;
        int r = SOCKET_FILE_E_SYSTEM, failures = 0;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &old)));
        limit = old;
        for (limit.rlim_cur = 0; r != 0 && limit.rlim_cur < 100; limit.rlim_cur++) {
                SocketFile file = { .uid = (uid_t)-1, .gid = getegid(), .mode = 0666 };
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                struct sockaddr_un address = path_kit_address(path);

                cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
                r = socket_file_bind(&file, fd, &address, sizeof(address), &refusal);
                cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &old)));
                if (r != 0) {
                        cr_assert(eq(int, r, SOCKET_FILE_E_SYSTEM));
                        cr_assert(eq(int, refusal.error, EMFILE));
                        failures++;
                }
                cr_assert(eq(int, path_kit_exists(path), r == 0));
                close(fd);
        }
        cr_assert(zero(int, r));
        cr_assert(gt(int, failures, 0));
}

/* ---- what is made ------------------------------------------------------------------------------- */

Test(socket_file, has_its_mode_whatever_the_mask) {
        static const mode_t modes[] = { 0666, 0660, 0600, 0777, 0 };
        const char *path = path_kit("socket");

        for (size_t i = 0; i < N_TYPES * 5; i++) {
                SocketFile file = SOCKET_FILE_DEFAULT;
                int fd;

                file.mode = modes[i / N_TYPES];
                fd = must_bind(&file, types[i % N_TYPES], path);
                expect_file(path, geteuid(), getegid(), file.mode);
                socket_file_remove(&file, path);
                cr_assert(not(path_kit_exists(path)));
                cr_assert(zero(ullong, file.inode));
                close(fd);
        }
}

Test(socket_file, has_the_very_name_that_was_asked_for) {
        SocketFile file = SOCKET_FILE_DEFAULT;
        struct sockaddr_un name, expected = path_kit_address(path_kit("socket"));
        socklen_t size = sizeof(name);
        int fd = must_bind(&file, SOCK_STREAM, expected.sun_path);

        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&name, &size)));
        cr_assert(eq(str, name.sun_path, expected.sun_path));
        close(fd);
}

/* What the file was when bind() had made it. */
static struct stat born;

static void look_at_birth(void) {
        cr_assert(zero(int, lstat(path_kit("socket"), &born)));
}

Test(socket_file, is_given_away_from_0600) {
        const char *path = path_kit("socket");

        path_kit_require_root();
        after_bind = look_at_birth;
        for (size_t i = 0; i < N_TYPES; i++) {
                SocketFile file = for_other(0660);
                int fd = must_bind(&file, types[i], path);

                cr_assert(eq(u32, born.st_mode & 07777, 0600));
                cr_assert(zero(u32, born.st_uid));
                expect_file(path, PATH_KIT_UID, PATH_KIT_OTHER_UID, 0660);
                socket_file_remove(&file, path);
                cr_assert(not(path_kit_exists(path)));
                close(fd);
        }
}

/* The order of the steps takes CAP_CHOWN alone. */
Test(socket_file, is_given_away_by_cap_chown_alone) {
        SocketFile file = for_other(0640);
        int fd;

        path_kit_require_root();
        drop_capability(CAP_FOWNER);
        drop_capability(CAP_NET_ADMIN);
        fd = must_bind(&file, SOCK_STREAM, path_kit("socket"));
        expect_file(path_kit("socket"), PATH_KIT_UID, PATH_KIT_OTHER_UID, 0640);
        close(fd);
}

Test(socket_file, a_group_of_the_brokers_own_takes_no_privilege) {
        const char *path = path_kit("home/socket");
        SocketFile file = { .uid = (uid_t)-1, .gid = PATH_KIT_OTHER_UID, .mode = 0660 };
        gid_t group = PATH_KIT_OTHER_UID;
        int fd;

        path_kit_require_root();
        path_kit_mkdir("home", PATH_KIT_UID, 0755);
        cr_assert(zero(int, setgroups(1, &group)));
        cr_assert(zero(int, seteuid(PATH_KIT_UID)));
        fd = must_bind(&file, SOCK_STREAM, path);
        expect_file(path, PATH_KIT_UID, PATH_KIT_OTHER_UID, 0660);
        close(fd);
        cr_assert(zero(int, seteuid(0)));
}

/* Left by a broker that was killed: its own, or given to whom it would give this one. */
Test(socket_file, what_was_left_behind_is_replaced) {
        const char *path = path_kit("socket");

        for (size_t i = 0; i < N_TYPES * N_TYPES; i++) {
                SocketFile file = SOCKET_FILE_DEFAULT;
                int fd;

                close(other_bind(types[i % N_TYPES], path));
                if (geteuid() == 0 && i % 2) {
                        file = for_other(0600);
                        cr_assert(zero(int, chown(path, PATH_KIT_UID, PATH_KIT_UID)));
                }
                fd = must_bind(&file, types[i / N_TYPES], path);
                socket_file_remove(&file, path);
                cr_assert(not(path_kit_exists(path)));
                close(fd);
        }
}

/* ---- what others do meanwhile ------------------------------------------------------------------- */

static void plant_socket(void) {
        cr_assert(zero(int, rename(path_kit("theirs/socket"), path_kit("theirs/aside"))));
        cr_assert(zero(int, rename(path_kit("theirs/planted"), path_kit("theirs/socket"))));
}

static void plant_link(void) {
        cr_assert(zero(int, rename(path_kit("theirs/socket"), path_kit("theirs/aside"))));
        cr_assert(zero(int, symlink("../victim", path_kit("theirs/socket"))));
}

static void plant_nothing(void) {
        cr_assert(zero(int, rename(path_kit("theirs/socket"), path_kit("theirs/aside"))));
}

/* The folder's owner moves another socket of root's, as good as new, to where the new one was. */
Test(socket_file, what_is_planted_is_not_given_away) {
        static void (*const plants[])(void) = { plant_socket, plant_link, plant_nothing };

        path_kit_require_root();
        for (size_t i = 0; i < 3; i++) {
                SocketFile file = for_other(0666);
                int planted, victim, fd;

                path_kit_mkdir("theirs", PATH_KIT_UID, 0755);
                planted = other_bind(SOCK_STREAM, path_kit("theirs/planted"));
                victim = other_bind(SOCK_STREAM, path_kit("victim"));
                cr_assert(zero(int, chmod(path_kit("theirs/planted"), 0600)));
                cr_assert(zero(int, chmod(path_kit("victim"), 0600)));
                after_bind = plants[i];
                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                {
                        struct sockaddr_un address = path_kit_address(path_kit("theirs/socket"));

                        cr_assert(zero(
                                int, socket_file_bind(&file, fd, &address, sizeof(address), &refusal)));
                }
                after_bind = NULL;
                expect_file(path_kit("theirs/aside"), PATH_KIT_UID, PATH_KIT_OTHER_UID, 0666);
                expect_file(path_kit(i == 0 ? "theirs/socket" : "theirs/planted"), 0, 0, 0600);
                expect_file(path_kit("victim"), 0, 0, 0600);
                /* Nor is a link of theirs ours to remove, or what it leads to. */
                if (i > 0)
                        cr_assert(zero(ullong, file.inode));
                close(fd);
                close(planted);
                close(victim);
                path_kit_cleanup();
                cr_assert(zero(int, mkdir(path_kit_folder, 0755)));
        }
}

/* Without the right to ask the kernel which file it is. */
Test(socket_file, where_a_name_proves_nothing_nothing_is_given_away) {
        SocketFile file = for_other(0666);
        int fd;

        path_kit_require_root();
        path_kit_mkdir("theirs", PATH_KIT_UID, 0755);
        drop_capability(CAP_NET_ADMIN);
        expect_system(&file, path_kit("theirs/socket"), "chown", EPERM);
        cr_assert(not(path_kit_exists(path_kit("theirs/socket"))));
        /* Mode alone needs no such right: it is born with it. */
        file = (SocketFile){ .uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0622 };
        fd = must_bind(&file, SOCK_STREAM, path_kit("theirs/socket"));
        expect_file(path_kit("theirs/socket"), 0, 0, 0622);
        close(fd);
}

Test(socket_file, a_file_put_in_its_place_is_not_removed) {
        SocketFile file = SOCKET_FILE_DEFAULT;
        const char *path = path_kit("socket");
        int fd = must_bind(&file, SOCK_STREAM, path), other;

        cr_assert(zero(int, rename(path, path_kit("aside"))));
        socket_file_remove(&file, path);
        cr_assert(path_kit_exists(path_kit("aside")));
        other = must_bind(&file, SOCK_STREAM, path_kit("other"));
        cr_assert(zero(int, rename(path_kit("aside"), path)));
        socket_file_remove(&file, path);
        cr_assert(path_kit_exists(path));
        /* Once is enough. */
        socket_file_remove(&file, path_kit("other"));
        cr_assert(path_kit_exists(path_kit("other")));
        close(other);
        close(fd);
}

Test(socket_file, to_be_removed_it_takes_no_descriptor) {
        SocketFile file = SOCKET_FILE_DEFAULT;
        const char *path = path_kit("socket");
        int fd = must_bind(&file, SOCK_STREAM, path);
        struct rlimit none, limit;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &none)));
        socket_file_remove(&file, path);
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        cr_assert(not(path_kit_exists(path)));
        close(fd);
}

/* The owner of the folder, at work in it: what root has there and behind it stays root's. */
static void move_everything(void) {
        rename(path_kit("theirs/socket"), path_kit("theirs/aside"));
        rename(path_kit("theirs/planted"), path_kit("theirs/socket"));
        rename(path_kit("theirs/socket"), path_kit("theirs/planted"));
        (void)!symlink("../victim", path_kit("theirs/socket"));
        unlink(path_kit("theirs/socket"));
        (void)!link(path_kit("victim"), path_kit("theirs/socket"));
        unlink(path_kit("theirs/socket"));
}

/* Wherever its name is by now. */
static void expect_untouched(int fd) {
        int file = ioctl(fd, SIOCPROTOPRIVATE, 0); /* SIOCUNIXFILE */
        struct stat st;

        cr_assert(zero(int, fstat(file, &st)));
        cr_assert(zero(u32, st.st_uid));
        cr_assert(eq(u32, st.st_mode & 07777, 0600));
        close(file);
}

Test(socket_file, racing_with_the_owner_of_the_folder_gains_nothing) {
        struct sockaddr_un address;
        unsigned made = 0, turns = 0;
        int planted, victim;
        pid_t attacker;

        path_kit_require_root();
        path_kit_mkdir("theirs", PATH_KIT_UID, 0755);
        address = path_kit_address(path_kit("theirs/socket"));
        planted = other_bind(SOCK_STREAM, path_kit("theirs/planted"));
        victim = other_bind(SOCK_STREAM, path_kit("victim"));
        cr_assert(zero(int, chmod(path_kit("theirs/planted"), 0600)));
        cr_assert(zero(int, chmod(path_kit("victim"), 0600)));
        attacker = path_kit_attack(move_everything);
        while (made < 500 && turns++ < 1000000) {
                SocketFile file = for_other(0666);
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

                r = socket_file_bind(&file, fd, &address, sizeof(address), &refusal);
                cr_assert(r == 0 || r == SOCKET_FILE_E_IN_USE, "%d %s %d", r, refusal.step,
                          refusal.error);
                made += r == 0;
                socket_file_remove(&file, address.sun_path);
                close(fd);
                expect_untouched(planted);
                expect_untouched(victim);
        }
        path_kit_end_attack(attacker);
        cr_assert(eq(uint, made, 500));
        close(planted);
        close(victim);
}
