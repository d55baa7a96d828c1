/* SPDX-License-Identifier: BSD-2-Clause */

/* What a broker meets on its host that no client brings about: a full disk, a clock that is set, and the
 * kernel's bounds. */

#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/integration/scene.h"

TestSuite(host, .timeout = 60);

static Scene scene;

/* ---- a full disk ---------------------------------------------------------------------------------- */

static void require_own_mounts(void) {
        kit_require_root();
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                cr_skip_test("the kernel gives no mount namespace");
}

/* The one file that a disk of two has room for is the folder itself, and so the other is all
 * there is. */
static void mount_disk(const char *folder, unsigned long flags, int n_files) {
        char options[64];

        snprintf(options, sizeof(options), "mode=755,nr_inodes=%d", n_files);
        cr_assert(zero(int, mount("disk", folder, "tmpfs", flags, options)), "%m");
}

/* A socket's file is all that a broker writes: without room for it the client is told, and nothing of
 * its call stays. */
Test(host, full_disk) {
        static const char *const networks[] = { "unix", "unixgram", "unixpacket" };
        char folder[128];
        KitSocket held;

        require_own_mounts();
        scene_begin(&scene, KIT_CONFIG);
        snprintf(folder, sizeof(folder), "%s/disk", scene.kit.harness.folder);
        cr_assert(zero(int, mkdir(folder, 0755)));
        mount_disk(folder, 0, 1);
        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                json_auto_t *reply = kit_refused(scene.honest, "SystemFailure",
                                                 "{'network':'tcp','address':'127.0.0.1:0'},"
                                                 "{'network':'%s','address':'%s/socket'}",
                                                 networks[i], folder);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "bind");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "ENOSPC");
                cr_assert(zero(llong, scene_count(&scene, "endpoints")));
                scene_expect_clean(&scene);
        }
        mount_disk(folder, MS_REMOUNT, 2);
        held = kit_acquire(scene.honest, "{'network':'unix','address':'%s/socket'}", folder);
        kit_expect_served(held.fd);
        kit_release(scene.honest, &held);
        cr_assert(zero(int, umount(folder)));
        scene_end(&scene);
}

/* ---- how many may wait ---------------------------------------------------------------------------- */

#define SOMAXCONN_FILE "/proc/sys/net/core/somaxconn"

static int somaxconn_of_kernel(void) {
        FILE *file = fopen(SOMAXCONN_FILE, "re");
        int value = 0;

        cr_assert(file != NULL);
        cr_assert(eq(int, fscanf(file, "%d", &value), 1)); /* NOLINT(cert-err34-c): the kernel's */
        fclose(file);
        return value;
}

/* How many the kernel lets wait of a listener that nobody said it of. */
static int backlog_by_default(void) {
        struct tcp_info info = { 0 };
        socklen_t size = sizeof(info);
        KitSocket held;
        int backlog;

        scene_begin(&scene, KIT_CONFIG);
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        cr_assert(zero(int, getsockopt(held.fd, IPPROTO_TCP, TCP_INFO, &info, &size)));
        backlog = (int)info.tcpi_sacked;
        cr_assert(eq(llong, kit_number(held.reply, "options.backlog"), backlog));
        kit_release(scene.honest, &held);
        scene_end(&scene);
        return backlog;
}

/* The first integer of the file; the kernel, which does not read it there, has the last word. */
static const struct {
        const char *text;
        int backlog; /* 0: the kernel's */
} somaxconns[] = {
        { "", 128 },           { "0\n", 128 },        { "many\n", 128 },
        { "-5\n", 128 },       { "7\n", 7 },          { "\t9 8 7\n", 9 },
        { "2147483647\n", 0 }, { "4294967297\n", 0 }, { "99999999999999999999999\n", 0 },
};

Test(host, s3_12_backlog_of_who_does_not_say) {
        char path[] = "/tmp/test-host-XXXXXX";
        int most, file;

        require_own_mounts();
        most = somaxconn_of_kernel();
        cr_assert(gt(int, most, 128));
        cr_assert(eq(int, backlog_by_default(), most));

        file = mkostemp(path, O_CLOEXEC);
        cr_assert(zero(int, mount(path, SOMAXCONN_FILE, NULL, MS_BIND, NULL)), "%m");
        for (size_t i = 0; i < ELEMENTS(somaxconns); i++) {
                const char *text = somaxconns[i].text;

                cr_assert(zero(int, ftruncate(file, 0)));
                cr_assert(eq(long, pwrite(file, text, strlen(text), 0), (long)strlen(text)));
                cr_assert(eq(int, backlog_by_default(), somaxconns[i].backlog ?: most), "\"%s\"", text);
        }
        cr_assert(zero(int, umount(SOMAXCONN_FILE)));
        close(file);
        unlink(path);
}

/* What is no file cannot be opened to be read, and below an empty folder there is none. */
Test(host, s3_12_backlog_where_nobody_can_read_it) {
        char path[] = "/tmp/test-host-XXXXXX";

        require_own_mounts();
        close(mkostemp(path, O_CLOEXEC));
        unlink(path);
        cr_assert(zero(int, mknod(path, S_IFSOCK | 0600, 0)));
        cr_assert(zero(int, mount(path, SOMAXCONN_FILE, NULL, MS_BIND, NULL)), "%m");
        cr_assert(eq(int, backlog_by_default(), 128));
        cr_assert(zero(int, umount(SOMAXCONN_FILE)));
        unlink(path);
        cr_assert(zero(int, mount("nothing", "/proc/sys/net/core", "tmpfs", 0, NULL)));
        cr_assert(eq(int, backlog_by_default(), 128));
        cr_assert(zero(int, umount("/proc/sys/net/core")));
}

/* ---- the clock ------------------------------------------------------------------------------------ */

/* Loses a socket that is to be kept for @retain_sec. The id of its endpoint is the caller's to free. */
static char *park(const char *name, int watch, int retain_sec) {
        int control = scene_connect(&scene);
        KitSocket held = kit_acquire(
                control, "{'network':'tcp','address':'127.0.0.1:0','name':'%s','retainSec':%d}", name,
                retain_sec);
        char *endpoint = strdup(kit_text(held.reply, "endpoint"));

        json_decref(kit_event(watch, "acquired"));
        kit_drop(&held);
        close(control);
        json_decref(kit_event(watch, "released"));
        json_decref(kit_event(watch, "parked"));
        return endpoint;
}

/* No time that somebody waits for is one of day. */
Test(host, clock_jumps) {
        char *endpoints[2];
        KitSocket adopted;
        int watch;

        scene_begin_as_set(&scene, KIT_CONFIG,
                           &(Harness){ .uid = geteuid(), .program = REUSEPORTD_JUMPING_PATH });
        watch = kit_watch(&scene.kit, scene.honest);
        endpoints[0] = park("long", watch, 3600);
        endpoints[1] = park("short", watch, 1);
        kit_expect_event(watch, "closed", endpoints[1]);
        close(watch);
        adopted = kit_acquire(scene.honest, "{'network':'tcp','address':'127.0.0.1:0','name':'long'}");
        cr_assert(kit_true(adopted.reply, "adopted"));
        KIT_EXPECT_TEXT(kit_text(adopted.reply, "endpoint"), endpoints[0]);
        kit_release(scene.honest, &adopted);
        free(endpoints[0]);
        free(endpoints[1]);
        scene_end(&scene);
}

/* ---- large groups --------------------------------------------------------------------------------- */

/* Until the broker has no more descriptors to give. Returns how many came. */
static size_t join_all(int control, const char *address) {
        char request[4096] = "{'sockets':[";
        size_t n = 0;

        for (size_t i = 0; i < 64; i++)
                sprintf(request + strlen(request), "%s{'network':'tcp4','address':'%s'}",
                        i > 0 ? "," : "", address);
        strcat(request, "]}");
        for (;;) {
                int fds[HARNESS_FDS_MAX];
                size_t n_fds;
                json_t *reply;

                kit_send(control, "Acquire", "", request);
                reply = kit_receive(control, fds, &n_fds);
                n += n_fds;
                if (n_fds == 0) {
                        json_decref(kit_expect_error(reply, "QuotaExceeded"));
                        return n;
                }
                json_decref(reply);
                while (n_fds > 0)
                        close(fds[--n_fds]);
        }
}

/* Members as many as its descriptors are enough for, and all of them gone at once, with steering and
 * without. */
Test(host, members_up_to_the_limit) {
        enum { BROKER_FDS = 4096 };

        for (int i = 0; i < 2; i++) {
                KitSocket first;
                int control;

                scene_begin_as_set(
                        &scene,
                        "[Broker]\nSocketMode=0666\nRetainSec=0\nMaxLeasesPerUser=65535\n[Rule "
                        "all]\nUser=*\n",
                        &(Harness){ .uid = geteuid(), .max_fds = BROKER_FDS, .no_bpf = i == 1 });
                first = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
                control = scene_connect(&scene);
                cr_assert(gt(sz, join_all(control, kit_address(&first)), BROKER_FDS / 4));
                close(control);
                scene_expect_count(&scene, "leases", 1);
                kit_expect_served(first.fd);
                kit_release(scene.honest, &first);
                scene_end(&scene);
        }
}
