/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Of whom rules ask for a unit, the control group is looked for before anything is served. One in a
 * huge tree of them, where /proc does not help, is looked for while others are served.
 */

#include "daemon/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "daemon/cgroup.h"
#include "daemon/config.h"
#include "daemon/peer-private.h"
#include "tests/unit/daemon-kit.h"

#define GET_STATUS "{\"method\":\"io.reuseportd.GetStatus\"}"

enum {
        /* None looks through so many in one turn. */
        N_FOLDERS = 3000,
};

static Kit kit;
static PeerList peers;
static char root[32], top[64], config[64];

/* ---- a tree of control groups, and this process in its last --------------------------------------- */

static void find_root(void) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < 2; i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
                        strcpy(root, roots[i]);
                        return;
                }
        cr_skip_test("no control groups of version 2 are mounted");
}

static void folder_path(char *buffer, size_t size, int i) {
        snprintf(buffer, size, "%s/group-%d", top, i);
}

static void make_tree(void) {
        char path[128];

        find_root();
        snprintf(top, sizeof(top), "%s/reuseportd-door-%d.service", root, getpid());
        if (mkdir(top, 0755) < 0) {
                *top = '\0';
                cr_skip_test("no control group can be made: %s", strerror(errno));
        }
        for (int i = 0; i < N_FOLDERS; i++) {
                folder_path(path, sizeof(path), i);
                cr_assert(zero(int, mkdir(path, 0755)), "%s: %s", path, strerror(errno));
        }
}

static void enter(const char *folder) {
        char path[160];
        int fd;

        snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        cr_assert(ge(int, fd, 0), "%s: %s", path, strerror(errno));
        cr_assert(eq(long, write(fd, "0", 1), 1), "%s: %s", path, strerror(errno));
        close(fd);
}

/* After a failure, too: nobody else would. */
static void leave_tree(void) {
        char path[128];

        if (!*top)
                return;
        enter(root);
        for (int i = 0; i < N_FOLDERS; i++) {
                folder_path(path, sizeof(path), i);
                rmdir(path);
        }
        cr_assert(zero(int, rmdir(top)), "%s: %s", top, strerror(errno));
}

/* Before, nothing is known of who is not in /proc, and so looked for. */
static void need_control_group_numbers(void) {
        uint64_t info[8] = { 1 << 2 }; /* PIDFD_INFO_CGROUPID */
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

        if (pidfd < 0 || ioctl(pidfd, PIDFD_GET_INFO_V0, info) < 0)
                cr_skip_test("the kernel does not tell a control group's number (6.13)");
        close(pidfd);
}

static void hide_proc(void) {
        cr_assert(zero(int, unshare(CLONE_NEWNS)));
        cr_assert(zero(int, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)));
        cr_assert(zero(int, mount("none", "/proc", "tmpfs", 0, NULL)));
}

/* ---- a broker whose rules ask for units ----------------------------------------------------------- */

static void start(void) {
        FILE *file;
        char *reason;

        kit_init(&kit, getuid());
        snprintf(config, sizeof(config), "/tmp/reuseportd-door-%d.conf", getpid());
        file = fopen(config, "we");
        cr_assert(ne(ptr, file, NULL));
        fputs("[Rule door]\nUnit=none-such.service\n", file);
        fclose(file);
        cr_assert(zero(int,
                       config_load_from(config, NULL, true, getuid(), &kit.services.config, &reason)));
        unlink(config);
        cr_assert(zero(int, port_pool_new(&kit.services.ports)));
        cr_assert(zero(int, peer_list_init(&peers, &kit.services)));
}

static void end(void) {
        peer_list_end(&peers);
        config_free(kit.services.config);
        port_pool_free(kit.services.ports);
        cgroup_map_deinit(&kit.services.cgroups);
        kit_end(&kit);
}

/* Returns the client's end; *@ret is the broker's. */
static int dial(Peer **ret) {
        int pair[2];

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)));
        cr_assert(zero(int, peer_new(&kit.services, &peers, pair[0])));
        *ret = LIST_FIRST(&peers.peers);
        return pair[1];
}

static void ask(int fd) {
        cr_assert(eq(long, send(fd, GET_STATUS, sizeof(GET_STATUS), MSG_NOSIGNAL),
                     (long)sizeof(GET_STATUS)));
}

static bool is_answered(int fd) {
        char text[8192];

        return recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0;
}

TestSuite(peer_door, .fini = leave_tree, .timeout = 60);

Test(peer_door, t5_search_for_a_control_group_keeps_nobody_waiting) {
        Peer *known, *sought;
        int fd_known, fd_sought;
        char last[128];

        if (getuid() != 0)
                cr_skip_test("needs root, for control groups of its own");
        need_control_group_numbers();
        make_tree();
        start();
        fd_known = dial(&known);
        ask(fd_known);
        kit_turn(&kit);
        cr_assert(is_answered(fd_known));

        folder_path(last, sizeof(last), N_FOLDERS - 1);
        enter(last);
        hide_proc();
        fd_sought = dial(&sought);
        ask(fd_sought);
        for (int turns = 0; turns < 3; turns++) {
                sought->item.on_turn(&sought->item, turns == 0 ? EPOLLIN : 0);
                cr_assert(ne(ptr, sought->search, NULL), "it was found in %d turns", turns + 1);
                cr_assert(not(is_answered(fd_sought)));
                ask(fd_known);
                known->item.on_turn(&known->item, EPOLLIN);
                cr_assert(is_answered(fd_known));
        }
        kit_turn(&kit);
        cr_assert(is_answered(fd_sought));
        cr_assert(eq(str, sought->subject->cgroup, last + strlen(root)));

        close(fd_known);
        close(fd_sought);
        umount("/proc");
        end();
}
