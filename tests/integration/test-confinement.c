/* SPDX-License-Identifier: BSD-2-Clause */

/* What a broker may still do while it serves, read from /proc, and that it serves all the same. */

#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tests/integration/acquire-kit.h"

TestSuite(confinement, .timeout = 60);

#define BIT(cap) (UINT64_C(1) << (cap))
#define BASE (BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_CHOWN))
#define NETWORK (BIT(CAP_NET_RAW) | BIT(CAP_NET_ADMIN))

/* Neither root nor any client of the tests. */
#define USER "daemon"

/* The words after "KEY:" in /proc/PID/status. Returns @buffer. */
static char *status_of(const Kit *kit, const char *key, char buffer[static 256]) {
        char path[64], line[256];
        size_t n = strlen(key);
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", kit->harness.pid);
        file = fopen(path, "re");
        cr_assert(ne(ptr, file, NULL));
        buffer[0] = '\0';
        while (fgets(line, sizeof(line), file))
                if (strncmp(line, key, n) == 0 && line[n] == ':')
                        snprintf(buffer, 256, "%s", line + n + 1 + strspn(line + n + 1, "\t "));
        fclose(file);
        buffer[strcspn(buffer, "\n")] = '\0';
        return buffer;
}

static uint64_t capabilities_of(const Kit *kit, const char *key) {
        char text[256];

        return strtoull(status_of(kit, key, text), NULL, 16);
}

/* All four: real, effective, saved, of the file system. */
static void expect_ids(const Kit *kit, const char *key, unsigned id) {
        unsigned ids[4] = { 0 };
        char text[256];

        cr_assert(
                eq(int,
                   sscanf(status_of(kit, key, text), "%u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]),
                   4));
        for (int i = 0; i < 4; i++)
                cr_assert(eq(uint, ids[i], id), "%s: %s", key, text);
}

static bool is_capable(const Kit *kit, const char *capability) {
        int control = harness_connect(&kit->harness);
        bool capable = kit_is_capable(control, capability);

        close(control);
        return capable;
}

/* No privilege can come of anything, and the set of capabilities is the same everywhere; returned. */
static uint64_t expect_confined(const Kit *kit) {
        uint64_t set = capabilities_of(kit, "CapPrm");
        char text[256];

        cr_assert(eq(u64, capabilities_of(kit, "CapEff"), set));
        cr_assert(eq(u64, capabilities_of(kit, "CapInh"), 0));
        cr_assert(eq(u64, capabilities_of(kit, "CapAmb"), 0));
        KIT_EXPECT_TEXT(status_of(kit, "NoNewPrivs", text), "1");
        KIT_EXPECT_TEXT(status_of(kit, "Seccomp", text), is_capable(kit, "seccomp") ? "2" : "0");
        return set;
}

/* ---- whom it becomes ------------------------------------------------------------------------------ */

/* Its groups are the user's, too; root that stays so keeps those it has. */
static void expect_user(const Kit *kit, const struct passwd *passwd) {
        char groups[256], primary[16];

        expect_ids(kit, "Uid", passwd->pw_uid);
        expect_ids(kit, "Gid", passwd->pw_gid);
        snprintf(primary, sizeof(primary), "%u", passwd->pw_gid);
        if (passwd->pw_uid != 0)
                cr_assert(strstr(status_of(kit, "Groups", groups), primary) != NULL, "%s", groups);
}

static void expect_file(const char *path, mode_t mode, uid_t uid) {
        struct stat st;

        cr_assert(zero(int, lstat(path, &st)), "%s", path);
        cr_assert(eq(int, st.st_mode & 07777, mode), "%s", path);
        cr_assert(eq(uint, st.st_uid, uid), "%s", path);
}

/* The capabilities are those of the rules, whoever the broker is. */
Test(confinement, capabilities_follow_from_the_rules) {
        static const struct {
                const char *rules;
                bool network;
        } rows[] = {
                { "[Rule a]\nUser=*\n", false },
                { "[Rule a]\nUser=*\nOptions=freeBind\n", false },
                { "[Rule a]\nUser=*\nAllow=no\nOptions=mark\n", false },
                { "[Rule a]\nUser=*\nOptions=mark\n", true },
                { "[Rule a]\nUser=*\nPort=80\n[Rule b]\nUser=1000\nOptions=bindToDevice\n", true },
                { "[Rule a]\nUser=*\nOptions=raw\n", true },
                { "[Rule a]\nUser=*\nNetwork=*\n", false },
                { "[Rule a]\nUser=*\nNetwork=ip4:icmp\nAllow=no\n", false },
                { "[Rule a]\nUser=*\nNetwork=ip\nNetworkNamespace=blue\n", false },
                { "[Rule a]\nUser=*\nNetwork=tcp ip4:icmp\nPort=80\n", false },
                { "[Rule a]\nUser=*\nNetwork=ip4:icmp\n", true },
                { "[Rule a]\nUser=*\nNetwork=tcp ip6\n", true },
        };

        kit_require_root();
        for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
                const char *user = i % 2 ? USER : "root";
                uint64_t set;
                Kit kit;

                kit_start_as_set(&kit, rows[i / 2].rules, &(Harness){ .user = user });
                expect_user(&kit, getpwnam(user));
                set = expect_confined(&kit);
                cr_assert(eq(u64, set & ~NETWORK, BASE), "%s", rows[i / 2].rules);
                cr_assert(eq(int, (set & NETWORK) != 0, rows[i / 2].network), "%s", rows[i / 2].rules);
                cr_assert(eq(u64, capabilities_of(&kit, "CapBnd"), set));
                cr_assert(eq(int, is_capable(&kit, "unprivileged"), i % 2));
                kit_stop(&kit);
        }
}

/* What it made as root it can remove, for it is its own. */
Test(confinement, folder_and_socket_are_its_user_s) {
        char folder[96];
        uid_t uid;
        Kit kit;

        kit_require_root();
        uid = getpwnam(USER)->pw_uid;
        kit_start_as_set(&kit, "[Broker]\nSocketMode=0622\n", &(Harness){ .user = USER });
        snprintf(folder, sizeof(folder), "%s", kit.harness.socket);
        *strrchr(folder, '/') = '\0';
        expect_file(folder, 0755, uid);
        expect_file(kit.harness.socket, 0622, uid);
        kit_stop(&kit); /* the socket is gone */
        kit_start_as_set(&kit, "[Broker]\nSocketGroup=65534\n", &(Harness){ .user = USER });
        expect_file(kit.harness.socket, 0600, uid);
        kit_stop(&kit);
}

Test(confinement, who_it_is_by_default) {
        const struct passwd *passwd = getpwnam("reuseportd");
        int control;
        Kit kit;

        kit_require_root();
        kit_start_as_set(&kit, KIT_CONFIG, &(Harness){ .user = "" });
        control = harness_connect(&kit.harness);
        expect_user(&kit, passwd ?: getpwuid(0));
        cr_assert(eq(int, kit_is_warned(control, "the broker runs as root: there is no user reuseportd"),
                     !passwd));
        cr_assert(eq(int, kit_is_capable(control, "unprivileged"), passwd != NULL));
        close(control);
        kit_stop(&kit);
}

/* Without a configuration, root's own. */
Test(confinement, who_started_it_is_served) {
        KitSocket held;
        int control;
        Kit kit;

        kit_start(&kit, NULL);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        cr_assert(kit_is_warned(control, "no configuration"));
        cr_assert(eq(int, kit_is_warned(control, "started so with --user"), geteuid() == 0));
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

/* ---- that it serves ------------------------------------------------------------------------------- */

static void expect_all_served(const Kit *kit, int control) {
        static const char *const requests[] = {
                "{'network':'tcp4','address':'127.0.0.1:80'}",
                "{'network':'udp4','address':'127.0.0.1:53'}",
                "{'network':'tcp','address':'[::1]:443'}",
                "{'network':'tcp4','address':'127.0.0.1:0','options':{'mark':1}}",
                "{'network':'tcp4','address':'127.0.0.1:0','options':{'transparent':true}}",
                "{'network':'tcp4','address':'127.0.0.1:0','options':{'bindToDevice':'lo'}}",
                "{'network':'udp4','address':'127.0.0.1:0','options':{'priority':7}}",
                "{'network':'unixgram','address':'@confinement'}",
                "{'network':'udp4','address':':0','options':{'multicastGroups':['239.1.2.3%lo']}}",
        };
        KitSocket held;

        for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
                held = kit_acquire(control, "%s", requests[i]);
                kit_release(control, &held);
        }
        /* A file where its user may make one. */
        held = kit_acquire(control, "{'network':'unix','address':'%s/run/client'}", kit->harness.folder);
        kit_expect_served(held.fd);
        kit_release(control, &held);
}

Test(confinement, another_user_serves_what_rules_give) {
        int control;
        Kit kit;

        harness_private_network();
        kit_start_as_set(&kit, KIT_CONFIG, &(Harness){ .user = USER });
        control = kit_connect_as(&kit, KIT_UID, 0);
        cr_assert(not(kit_is_warned(control, "CAP_")));
        cr_assert(kit_is_capable(control, "privilegedPorts"));
        expect_all_served(&kit, control);
        close(control);
        kit_stop(&kit);
}

/* Users are looked up behind the filter. What was given up cannot be had again, and the status
 * says so. */
Test(confinement, reload_asks_for_more) {
        KitSocket held;
        int control;
        Kit kit;

        kit_require_root();
        kit_start_as_set(&kit, "[Broker]\nSocketMode=0666\n[Rule a]\nUser=root\n",
                         &(Harness){ .user = USER });
        control = harness_connect(&kit.harness);
        harness_reload(&kit.harness, "[Rule a]\nUser=root nobody\nGroup=daemon\nOptions=mark\n");
        kit_expect_warned_soon(control,
                               "rules give mark since the broker gave up what it takes: restart", true);
        json_decref(kit_refused(control, "SystemFailure",
                                "{'network':'tcp4','address':'127.0.0.1:0','options':{'mark':1}}"));
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_drop(&held);
        harness_reload(&kit.harness, "[Rule a]\nUser=root no-such-user\n");
        kit_expect_warned_soon(control, "not reloaded", true);
        kit.harness.user = "root";
        harness_reload(&kit.harness, "[Broker]\nRetainSec=0\n[Rule a]\nUser=root\n");
        kit_expect_warned_soon(control, "User= has changed", true);
        kit_expect_warned_soon(control, "rules give mark", false);
        cr_assert(not(kit_is_warned(control, "not reloaded")));
        expect_ids(&kit, "Uid", getpwnam(USER)->pw_uid);
        close(control);
        harness_stop(&kit.harness);
}

/* ---- what is missing is told ---------------------------------------------------------------------- */

Test(confinement, every_capability_absent) {
        static const char *const missing[] = {
                "no CAP_NET_BIND_SERVICE", "no CAP_CHOWN",
                "no CAP_NET_RAW (before Linux 5.17, CAP_NET_ADMIN): rules give mark, transparent",
                "no steering (no CAP_BPF"
        };
        KitSocket held;
        int control;
        Kit kit;

        kit_require_root();
        kit_start_as(&kit, KIT_CONFIG, KIT_UID);
        cr_assert(zero(u64, expect_confined(&kit)));
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++)
                cr_assert(kit_is_warned(control, missing[i]), "%s", missing[i]);
        cr_assert(not(kit_is_warned(control, "runs as root")));
        cr_assert(kit_is_capable(control, "unprivileged"));
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_expect_served(held.fd);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

Test(confinement, built_without_a_filter) {
        int control;
        Kit kit;

        kit_start_as_set(&kit, KIT_CONFIG,
                         &(Harness){ .uid = geteuid(), .program = REUSEPORTD_BARE_PATH });
        control = harness_connect(&kit.harness);
        cr_assert(kit_is_warned(control, "no filter of system calls (seccomp): built without"));
        cr_assert(not(kit_is_capable(control, "seccomp")));
        expect_confined(&kit);
        close(control);
        kit_stop(&kit);
}
