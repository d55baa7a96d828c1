/* SPDX-License-Identifier: BSD-2-Clause */

/* What a broker meets on its host that no client brings about: a full disk, a clock that is set, and the
 * kernel's bounds. */

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

/* The one file that a disk of two has room for is the folder itself, and so the other is all there is.
 */
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
