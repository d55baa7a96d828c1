/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Paths of clients (threat T9): root's broker makes files where users work, with the owner and mode of
 * the rule, and is led nowhere else by a link, a folder or a file of theirs.
 */

#include <sys/stat.h>

#include "tests/integration/acquire-kit.h"

TestSuite(paths, .timeout = 60);

enum { THIRD_UID = 65532 };

static Kit kit;
static int control;

static void begin(const char *config) {
        kit_require_root();
        umask(0);
        kit_start(&kit, config);
        control = kit_connect_as(&kit, KIT_UID, 0);
}

static void end(void) {
        close(control);
        kit_stop(&kit);
}

/* A path below the broker's folder, which is root's. One of the last four is overwritten. */
static const char *path_of(const char *name) {
        static char texts[4][128];
        static unsigned next;
        char *text = texts[next++ % 4];

        snprintf(text, sizeof(texts[0]), "%s/%s", kit.harness.folder, name);
        return text;
}

static void make_folder(const char *name, uid_t uid, mode_t mode) {
        cr_assert(zero(int, mkdir(path_of(name), mode)));
        cr_assert(zero(int, chown(path_of(name), uid, uid)));
        cr_assert(zero(int, chmod(path_of(name), mode)));
}

static bool exists(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0;
}

static void expect_invalid(const char *path, const char *words) {
        json_auto_t *reply =
                kit_refused(control, "AddressInvalid", "{'network':'unix','address':'%s'}", path);
        json_auto_t *list = kit_call(control, "List", "{}");

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.address"), path);
        cr_assert(strstr(kit_text(reply, "parameters.reason"), words) != NULL, "%s",
                  kit_text(reply, "parameters.reason"));
        cr_assert(zero(sz, json_array_size(kit_at(list, "parameters.endpoints"))));
        cr_assert(not(exists(path)));
}

/* Whether user @uid may connect. */
static bool may_connect(uid_t uid, int listener) {
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(listener, &address);
        int fd;

        kit_become(uid, 0);
        fd = kit_connect_address(&address, size, SOCK_STREAM);
        if (fd < 0)
                cr_assert(eq(int, errno, EACCES));
        kit_become_root();
        fd_close(fd);
        return fd >= 0;
}

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(paths, t9_a_link_on_the_way_is_named) {
        begin(KIT_CONFIG);
        make_folder("real", 0, 0755);
        cr_assert(zero(int, symlink("real", path_of("link"))));
        cr_assert(zero(int, symlink("nowhere", path_of("dangling"))));
        expect_invalid(path_of("link/socket"), path_of("link is a symbolic link"));
        expect_invalid(path_of("dangling/socket"), path_of("dangling is a symbolic link"));
        cr_assert(not(exists(path_of("real/socket"))));
        end();
}

Test(paths, t9_a_link_in_its_place_is_neither_followed_nor_removed) {
        begin(KIT_CONFIG);
        make_folder("theirs", KIT_UID, 0755);
        cr_assert(zero(int, symlink("../target", path_of("theirs/socket"))));
        json_decref(kit_refused(control, "AddressInUse", "{'network':'unix','address':'%s'}",
                                path_of("theirs/socket")));
        cr_assert(exists(path_of("theirs/socket")));
        cr_assert(not(exists(path_of("target"))));
        end();
}

Test(paths, t9_a_folder_that_others_can_swap_is_named) {
        begin(KIT_CONFIG);
        make_folder("theirs", KIT_UID, 0755);
        make_folder("theirs/in", KIT_UID, 0755);
        make_folder("open", 0, 0777);
        make_folder("open/in", 0, 0755);
        make_folder("sticky", 0, 01777);
        make_folder("sticky/theirs", KIT_UID, 0755);
        expect_invalid(path_of("theirs/in/socket"), path_of("theirs/in"));
        expect_invalid(path_of("open/in/socket"), path_of("open/in"));
        expect_invalid(path_of("sticky/theirs/socket"), path_of("sticky/theirs"));
        end();
}

/* As whoever it may be: the broker of a user has no right to give files away. */
Test(paths, an_owner_that_the_broker_may_not_give_is_refused_and_nothing_left) {
        kit_require_root();
        kit_start_as(&kit,
                     "[Broker]\nSocketMode=0666\nRetainSec=0\n"
                     "[Rule given]\nUser=*\nNetwork=unix\nSocketUser=root\n"
                     "[Rule others]\nUser=*\n",
                     KIT_UID);
        control = kit_connect_as(&kit, KIT_UID, 0);
        for (int i = 0; i < 2; i++) {
                json_auto_t *reply = kit_refused(control, "SystemFailure",
                                                 "{'network':'unix','address':'%s'}", path_of("socket"));
                KitSocket held;

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "chown");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "EPERM");
                cr_assert(not(exists(path_of("socket"))));
                held = kit_acquire(control, "{'network':'unixgram','address':'%s'}", path_of("socket"));
                kit_release(control, &held);
        }
        end();
}

Test(paths, one_file_is_of_one_kind_of_socket) {
        KitSocket held;
        int other;

        begin(KIT_CONFIG);
        other = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        held = kit_acquire(control, "{'network':'unix','address':'%s'}", path_of("socket"));
        for (int i = 0; i < 4; i++) {
                json_auto_t *reply = kit_refused(i % 2 ? control : other, "AddressInUse",
                                                 "{'network':'%s','address':'%s'}",
                                                 i / 2 ? "unixgram" : "unixpacket", path_of("socket"));

                cr_assert(eq(llong, kit_number(reply, "parameters.holder.uid"), KIT_UID));
        }
        kit_expect_served(held.fd);
        kit_release(control, &held);
        cr_assert(not(exists(path_of("socket"))));
        close(other);
        end();
}

Test(paths, what_fails_later_takes_its_files_along) {
        json_t *reply;

        begin(KIT_CONFIG);
        reply = kit_call(control, "Acquire",
                         "{'sockets':[{'network':'unix','address':'%s'},"
                         "{'network':'unix','address':'%s'}]}",
                         path_of("socket"), path_of("none/socket"));
        json_decref(kit_expect_error(reply, "SystemFailure"));
        cr_assert(not(exists(path_of("socket"))));
        end();
}

/* ---- what is made ------------------------------------------------------------------------------- */

Test(paths, a_folder_of_the_clients_own_is_one_to_ask_for) {
        static const char *const networks[] = { "unix", "unixgram", "unixpacket" };

        begin(KIT_CONFIG);
        make_folder("theirs", KIT_UID, 0777);
        for (size_t i = 0; i < 3; i++) {
                const char *path = path_of("theirs/socket");
                KitSocket held =
                        kit_acquire(control, "{'network':'%s','address':'%s'}", networks[i], path);
                struct sockaddr_storage name;

                kit_bound_address(held.fd, &name);
                KIT_EXPECT_TEXT(((struct sockaddr_un *)&name)->sun_path, path);
                kit_expect_served(held.fd);
                kit_release(control, &held);
                cr_assert(not(exists(path)));
        }
        end();
}

Test(paths, the_rule_says_who_may_connect) {
        static const struct {
                const char *keys;
                uid_t uid;
                gid_t gid;
                mode_t mode;
                bool owner, group, others; /* may connect */
        } rows[] = {
                { "", 0, 0, 0666, true, true, true },
                { "SocketMode=0600\n", 0, 0, 0600, false, false, false },
                { "SocketUser=65534\nSocketMode=0600\n", 65534, 0, 0600, true, false, false },
                { "SocketGroup=65533\nSocketMode=0660\n", 0, 65533, 0660, false, true, false },
                { "SocketUser=65534\nSocketGroup=65533\nSocketMode=0420\n", 65534, 65533, 0420, false,
                  true, false },
                { "SocketUser=65534\nSocketGroup=65533\n", 65534, 65533, 0666, true, true, true },
        };

        for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
                const char *path;
                char config[256];
                KitSocket held;
                struct stat st;

                snprintf(config, sizeof(config),
                         "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule all]\nUser=*\n%s",
                         rows[i / 2].keys);
                begin(config);
                make_folder("theirs", KIT_UID, 0777);
                path = path_of(i % 2 ? "theirs/socket" : "socket");
                /* Whose folder it is could swap files: there nothing is given away. */
                if (i % 2 && (rows[i / 2].uid != 0 || rows[i / 2].gid != 0)) {
                        json_auto_t *reply = kit_refused(control, "SystemFailure",
                                                         "{'network':'unix','address':'%s'}", path);

                        KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "chown");
                        cr_assert(not(exists(path)));
                        end();
                        continue;
                }
                held = kit_acquire(control, "{'network':'unix','address':'%s'}", path);
                cr_assert(zero(int, lstat(path, &st)));
                cr_assert(eq(u32, st.st_uid, rows[i / 2].uid));
                cr_assert(eq(u32, st.st_gid, rows[i / 2].gid));
                cr_assert(eq(u32, st.st_mode & 07777, rows[i / 2].mode));
                cr_assert(eq(int, may_connect(KIT_UID, held.fd), rows[i / 2].owner), "row %zu", i / 2);
                cr_assert(eq(int, may_connect(KIT_OTHER_UID, held.fd), rows[i / 2].group));
                cr_assert(eq(int, may_connect(THIRD_UID, held.fd), rows[i / 2].others));
                kit_release(control, &held);
                cr_assert(not(exists(path)));
                end();
        }
}

/* The next broker has the path as soon as nobody has its socket any more, and no sooner. */
Test(paths, what_a_killed_broker_left_is_replaced_when_nobody_has_it) {
        static const char *const networks[] = { "unix", "unixgram", "unixpacket" };

        begin("[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule all]\nUser=*\nSocketUser=65534\n");
        for (size_t i = 0; i < 3; i++) {
                KitSocket held = kit_acquire(control, "{'network':'%s','address':'%s'}", networks[i],
                                             path_of("socket"));

                harness_kill(&kit.harness);
                close(control);
                harness_restart(&kit.harness);
                control = kit_connect_as(&kit, KIT_UID, 0);
                json_decref(kit_refused(control, "AddressInUse", "{'network':'%s','address':'%s'}",
                                        networks[i], path_of("socket")));
                kit_expect_served(held.fd);
                kit_drop(&held);
                held = kit_acquire(control, "{'network':'%s','address':'%s'}", networks[(i + 1) % 3],
                                   path_of("socket"));
                kit_expect_served(held.fd);
                kit_release(control, &held);
                cr_assert(not(exists(path_of("socket"))));
        }
        end();
}
