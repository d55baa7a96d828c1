/* SPDX-License-Identifier: BSD-2-Clause */

/* Release: who may, what it ends, and that the end of a lease is the end of serving. */

#include <sys/stat.h>

#include "tests/integration/acquire-kit.h"

TestSuite(release, .timeout = 60);

static void expect_no_lease(int control, const char *leases, const char *which) {
        json_auto_t *reply =
                kit_expect_error(kit_call(control, "Release", "{'leases':[%s]}", leases), "NoSuchLease");

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.lease"), which);
}

Test(release, unknown) {
        static const char *const leases[] = { "",
                                              "l",
                                              "l0",
                                              "l1",
                                              "e1",
                                              "lease",
                                              "l1-0000000000000000",
                                              "-1",
                                              "l-",
                                              "l99999999999999999999999999" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(leases) / sizeof(leases[0]); i++) {
                char quoted[64];

                snprintf(quoted, sizeof(quoted), "'%s'", leases[i]);
                expect_no_lease(control, quoted, leases[i]);
        }
        close(control);
        kit_stop(&kit);
}

/* The ids of other things are not those of leases. */
Test(release, not_a_lease) {
        Kit kit;
        KitSocket held;
        char quoted[80];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(quoted, sizeof(quoted), "'%s'", kit_text(held.reply, "endpoint"));
        expect_no_lease(control, quoted, kit_text(held.reply, "endpoint"));
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

Test(release, twice) {
        Kit kit;
        KitSocket held;
        char quoted[80];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        json_decref(kit_call(control, "Release", "{'leases':['%s']}", kit_lease(&held)));
        snprintf(quoted, sizeof(quoted), "'%s'", kit_lease(&held));
        expect_no_lease(control, quoted, kit_lease(&held));
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

Test(release, all_or_none) {
        Kit kit;
        KitSocket held[2];
        char quoted[256];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 2; i++)
                held[i] = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(quoted, sizeof(quoted), "'%s','l1','%s'", kit_lease(&held[0]), kit_lease(&held[1]));
        expect_no_lease(control, quoted, "l1");
        snprintf(quoted, sizeof(quoted), "'%s','%s','%s'", kit_lease(&held[0]), kit_lease(&held[1]),
                 kit_lease(&held[0]));
        expect_no_lease(control, quoted, kit_lease(&held[0]));
        for (int i = 0; i < 2; i++)
                kit_expect_served(held[i].fd);
        {
                json_auto_t *reply = kit_call(control, "Release", "{'leases':['%s','%s']}",
                                              kit_lease(&held[0]), kit_lease(&held[1]));

                kit_expect_success(reply);
        }
        for (int i = 0; i < 2; i++)
                kit_drop(&held[i]);
        close(control);
        kit_stop(&kit);
}

/* To another user a lease looks as if it did not exist. */
Test(release, of_another_user) {
        Kit kit;
        KitSocket held;
        char quoted[80];
        int control, stranger;

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        control = kit_connect_as(&kit, KIT_UID, 0);
        stranger = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(quoted, sizeof(quoted), "'%s'", kit_lease(&held));
        expect_no_lease(stranger, quoted, kit_lease(&held));
        kit_expect_served(held.fd);
        kit_release(control, &held);
        close(control);
        close(stranger);
        kit_stop(&kit);
}

/* The same user on another connection: a program that cleans up after its other processes. */
Test(release, of_another_connection) {
        Kit kit;
        KitSocket held;
        int control, other;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        other = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_release(other, &held);
        kit_ping(control);
        close(control);
        close(other);
        kit_stop(&kit);
}

Test(release, nothing) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_call(control, "Release", "{'leases':[]}");

                kit_expect_success(reply);
        }
        close(control);
        kit_stop(&kit);
}

/* ---- whoever still has the descriptor ------------------------------------------------------------- */

/* This process stays with a descriptor of what it has released: it is the stray one. */
Test(release, t8_stray_descriptor_gets_no_traffic) {
        static const char *const networks[] = { "unix", "unixpacket", "unixgram" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i <= sizeof(networks) / sizeof(networks[0]); i++) {
                bool tcp = i == sizeof(networks) / sizeof(networks[0]);
                KitSocket held = kit_acquire(control, "{'network':'%s','address':'%s%s'}",
                                             tcp ? "tcp4" : networks[i], tcp ? "127.0.0.1:0" : "@",
                                             tcp ? "" : kit.harness.folder);
                int stray = fcntl(held.fd, F_DUPFD_CLOEXEC, 3),
                    type = kit_int_option(stray, SOL_SOCKET, SO_TYPE);
                struct sockaddr_storage address;
                socklen_t size = kit_bound_address(stray, &address);
                int client = type == SOCK_DGRAM ? kit_connect(stray) : -1;

                kit_release(control, &held);
                if (type == SOCK_DGRAM)
                        cr_assert(eq(int, (int)send(client, "x", 1, MSG_NOSIGNAL), -1));
                else
                        cr_assert(eq(int, kit_connect_address(&address, size, type), -1));
                fd_close(client);
                close(stray);
        }
        close(control);
        kit_stop(&kit);
}

/* The group goes on with the members that are left: not one connection is lost on the other. */
Test(release, t8_stray_member_of_a_group_gets_no_traffic) {
        Kit kit;
        KitSocket stays, leaves;
        int control, stray;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        stays = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        leaves = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&stays));
        stray = fcntl(leaves.fd, F_DUPFD_CLOEXEC, 3);
        kit_release(control, &leaves);
        for (int i = 0; i < 50; i++)
                kit_expect_served(stays.fd);
        close(stray);
        kit_drop(&stays);
        close(control);
        kit_stop(&kit);
}

/* ---- files of UNIX sockets ------------------------------------------------------------------------ */

static const char *const unix_networks[] = { "unix", "unixgram", "unixpacket" };

Test(release, s3_26_file_goes_with_the_socket) {
        Kit kit;
        char path[128];
        struct stat st;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        snprintf(path, sizeof(path), "%s/file", kit.harness.folder);
        for (int i = 0; i < 3; i++) {
                KitSocket first =
                        kit_acquire(control, "{'network':'%s','address':'%s'}", unix_networks[i], path);
                KitSocket second =
                        kit_acquire(control, "{'network':'%s','address':'%s'}", unix_networks[i], path);

                cr_assert(zero(int, lstat(path, &st)));
                cr_assert(eq(int, st.st_mode & 0777, 0666));
                kit_release(control, &first);
                cr_assert(zero(int, lstat(path, &st)));
                kit_release(control, &second);
                cr_assert(eq(int, lstat(path, &st), -1));
        }
        close(control);
        kit_stop(&kit);
}

/* Somebody has put something else there, be it a socket too. */
Test(release, s3_26_file_of_somebody_else_stays) {
        Kit kit;
        char path[128];
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        struct stat before, after;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        snprintf(path, sizeof(path), "%s/file", kit.harness.folder);
        strcpy(un.sun_path, path);
        for (int i = 0; i < 3; i++) {
                KitSocket held =
                        kit_acquire(control, "{'network':'%s','address':'%s'}", unix_networks[i], path);
                char aside[160];
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

                /* Kept, so that its number is not given to the new file. */
                snprintf(aside, sizeof(aside), "%s-aside", path);
                cr_assert(zero(int, rename(path, aside)));
                cr_assert(zero(int, bind(fd, (struct sockaddr *)&un, sizeof(un))));
                cr_assert(zero(int, lstat(path, &before)));
                kit_release(control, &held);
                cr_assert(zero(int, lstat(path, &after)));
                cr_assert(eq(ullong, before.st_ino, after.st_ino));
                unlink(path);
                unlink(aside);
                close(fd);
        }
        close(control);
        kit_stop(&kit);
}

/* Shut down, a stray socket is still bound: its holder may listen again, but not among the broker's. */
Test(release, t8_stray_holder_does_not_listen_itself_back_into_the_group) {
        Kit kit;
        KitSocket first, second, third;
        int control, stray;

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        control = kit_connect_as(&kit, KIT_UID, 0);
        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        second = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&first));
        stray = fcntl(first.fd, F_DUPFD_CLOEXEC, 3);
        kit_release(control, &first);
        kit_wait_shut_down(stray);
        cr_assert(eq(int, listen(stray, 10), -1));
        cr_assert(eq(int, errno, EADDRINUSE));
        kit_expect_served(second.fd);
        /* Nor does it keep anybody out. */
        third = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&second));
        kit_expect_both_served(second.fd, third.fd);
        kit_release(control, &third);
        kit_release(control, &second);
        close(stray);
        close(control);
        kit_stop(&kit);
}
