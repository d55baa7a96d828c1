/* SPDX-License-Identifier: BSD-2-Clause */

/* T6: who a client is comes from the kernel, as it was when it connected: also its unit and
 * its label. */

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "tests/integration/scene.h"

#define RULES "[Broker]\nSocketMode=0666\nRetainSec=0\n"
#define REQUEST "{'network':'tcp4','address':'127.0.0.1:0'}"

enum {
        PEER_PIDFD = 77, /* SO_PEERPIDFD; headers before Linux 6.5 lack it */
};

static char slice[256], service[300];

static void write_group(const char *folder) {
        char file[400];
        int fd;

        snprintf(file, sizeof(file), "%s/cgroup.procs", folder);
        fd = open(file, O_WRONLY | O_CLOEXEC);
        cr_assert(ge(int, fd, 0), "%s: %m", file);
        cr_assert(eq(int, (int)write(fd, "0", 1), 1), "%s: %m", file);
        close(fd);
}

static void require_peer_pidfd(void) {
        int pair[2], pidfd = -1;
        socklen_t size = sizeof(pidfd);

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        (void)getsockopt(pair[0], SOL_SOCKET, PEER_PIDFD, &pidfd, &size);
        close(pair[0]);
        close(pair[1]);
        if (pidfd < 0)
                cr_skip_test("nothing is known of units without SO_PEERPIDFD (Linux 6.5)");
        close(pidfd);
}

/* Makes the control group of a unit; the test is skipped where that, or the client's pidfd, cannot be
 * had. */
static const char *make_unit(void) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        require_peer_pidfd();
        for (size_t i = 0; i < 2; i++) {
                if (statfs(roots[i], &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
                        continue;
                snprintf(slice, sizeof(slice), "%s/reuseportd-test-%d.slice", roots[i], getpid());
                snprintf(service, sizeof(service), "%s/web.service", slice);
                if (mkdir(slice, 0755) < 0 || mkdir(service, 0755) < 0)
                        cr_skip_test("no control group can be made: %s", strerror(errno));
                return roots[i];
        }
        cr_skip_test("no control groups of version 2 are mounted");
        return NULL;
}

static void remove_unit(void) {
        cr_assert(zero(int, rmdir(service)));
        cr_assert(zero(int, rmdir(slice)));
}

/* A connection that was made in the unit, by a process that is outside of it by now. */
static int connect_in_unit(const Kit *kit, const char *root) {
        int control;

        write_group(service);
        control = harness_connect(&kit->harness);
        kit_ping(control);
        write_group(root);
        return control;
}

TestSuite(identity, .timeout = 60);

Test(identity, t6_a_unit_is_known_by_the_pidfd_of_the_connection) {
        const char *root;
        int inside, outside;
        KitSocket held;
        Kit kit;

        kit_require_root();
        root = make_unit();
        kit_start(&kit, RULES "[Rule web]\nUnit=web.service\n");
        outside = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_refused(outside, "PolicyDenied", REQUEST);

                cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), "other units"), NULL));
        }
        inside = connect_in_unit(&kit, root);
        held = kit_acquire(inside, REQUEST);
        kit_release(inside, &held);
        close(inside);
        close(outside);
        kit_stop(&kit);
        remove_unit();
}

/* Nothing is known of a unit for those who came before it mattered: they are not let in by it, nor past
 * it. */
Test(identity, a_unit_that_a_reload_asks_for) {
        const char *root;
        int before, after;
        KitSocket held;
        Kit kit;

        kit_require_root();
        root = make_unit();
        kit_start(&kit, RULES "[Rule all]\nUser=*\n");
        before = connect_in_unit(&kit, root);
        harness_reload(&kit.harness, RULES "[Rule web]\nUnit=web.service\n");
        json_decref(kit_refused(before, "PolicyDenied", REQUEST));
        after = connect_in_unit(&kit, root);
        held = kit_acquire(after, REQUEST);
        kit_release(after, &held);
        harness_reload(&kit.harness,
                       RULES "[Rule not]\nUnit=mail.service\nAllow=no\n[Rule all]\nUser=*\n");
        json_decref(kit_refused(before, "PolicyDenied", REQUEST));
        held = kit_acquire(after, REQUEST);
        kit_release(after, &held);
        close(before);
        close(after);
        kit_stop(&kit);
        remove_unit();
}

Test(identity, who_has_no_label_is_not_let_in_by_one) {
        char label[256];
        socklen_t size = sizeof(label);
        int control;
        Kit kit;

        kit_start(&kit, RULES "[Rule labelled]\nLabel=*\n");
        control = harness_connect(&kit.harness);
        if (getsockopt(control, SOL_SOCKET, SO_PEERSEC, label, &size) == 0) {
                KitSocket held = kit_acquire(control, REQUEST);

                kit_release(control, &held);
        } else {
                json_decref(kit_refused(control, "PolicyDenied", REQUEST));
        }
        close(control);
        kit_stop(&kit);
}
