/* SPDX-License-Identifier: BSD-2-Clause */

/* The daemon's start and reload: configurations, the control socket, and who else is in its place. */

#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "tests/integration/acquire-kit.h"

TestSuite(start, .timeout = 60);

/* Runs a command to its end. Its exit status; what it said is in @said. */
static int run(const char *const *argv, char *said, size_t size) {
        posix_spawn_file_actions_t actions;
        size_t used = 0;
        ssize_t n;
        int out[2], status;
        pid_t pid;

        cr_assert(zero(int, pipe2(out, O_CLOEXEC)));
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
        cr_assert(zero(int, posix_spawn(&pid, argv[0], &actions, NULL, (char **)argv, environ)));
        posix_spawn_file_actions_destroy(&actions);
        close(out[1]);
        while ((n = read(out[0], said + used, size - 1 - used)) > 0)
                used += (size_t)n;
        said[used] = '\0';
        close(out[0]);
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A daemon that does not come to serve. */
static int run_daemon(const char *const *arguments, char *said, size_t size) {
        const char *argv[8] = { REUSEPORTD_PATH };

        for (int i = 0; arguments[i]; i++)
                argv[i + 1] = arguments[i];
        return run(argv, said, size);
}

/* The same, passed /dev/null as a service manager would, with these assignments. */
static int run_passed(const char *variables, const char *socket, char *said, size_t size) {
        char script[1024];

        snprintf(script, sizeof(script),
                 "exec 3</dev/null; LISTEN_PID=$$ %s exec " REUSEPORTD_PATH " --user --socket %s",
                 variables, socket);
        return run((const char *const[]){ "/bin/sh", "-c", script, NULL }, said, size);
}

/* A folder with a file of this name and text in it; the folder is the caller's to remove. */
static void make_file(char folder[static 32], char path[static 64], const char *name, const char *text) {
        FILE *file;

        strcpy(folder, "/tmp/reuseportd-start-XXXXXX");
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, 64, "%s/%s", folder, name);
        file = fopen(path, "we");
        cr_assert(ne(ptr, file, NULL));
        fputs(text, file);
        fclose(file);
}

static void remove_file(const char *folder, const char *path) {
        unlink(path);
        cr_assert(rmdir(folder) == 0, "something is left in %s", folder);
}

/* ---- configuration
 * errors -------------------------------------------------------------------------- */

Test(start, configuration_in_error) {
        static const struct {
                const char *text;
                unsigned line; /* 0: said of the file */
                const char *said;
        } table[] = {
                { "Port=80\n", 1, "Port=" },
                { "[Broker]\nSocketmode=0666\n", 2, "did you mean SocketMode=?" },
                { "[Broker]\nSocketMode=0888\n", 2, "SocketMode=" },
                { "[Broker]\nRetainSec=soon\n", 2, "RetainSec=" },
                { "[Broker]\n\n\nMaxConnections=0\n", 4, "MaxConnections=" },
                { "[Broker]\nSocketGroup=no-such-group-here\n", 2, "SocketGroup=" },
                { "[Broker]\nUser=no-such-user-here\n", 2, "User=" },
                { "[Rule a]\nUser=no-such-user-here\n", 2, "User=" },
                { "[Rule a]\nUser=*\nAddress=10.0.0.1/8\n", 3, "Address=" },
                { "[Rule a]\nUser=*\nPort=90-80\n", 3, "Port=" },
                { "[Rule a]\nPort=80\n", 1, "User=" },
                { "[Rule a]\nUser=*\n[Rule a]\nUser=*\n", 3, "[Rule a]" },
                { "[Rules a]\n", 1, "[Rules a]" },
                { "[Rule a\n", 1, "section" },
                { "[Broker]\nwhat is this\n", 2, "neither" },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                char folder[32], path[64], socket[64], said[1024], place[80];
                int n_fds = leaks_count_fds();

                make_file(folder, path, "test.conf", table[i].text);
                snprintf(socket, sizeof(socket), "%s/io.reuseportd", folder);
                cr_assert(eq(
                        int,
                        run_daemon((const char *const[]){ "--socket", socket, "--config", path, NULL },
                                   said, sizeof(said)),
                        EX_CONFIG));
                snprintf(place, sizeof(place), "%s:%u: ", path, table[i].line);
                cr_assert(strstr(said, place) != NULL, "%s in %s", place, said);
                cr_assert(strstr(said, table[i].said) != NULL, "%s in %s", table[i].said, said);
                remove_file(folder, path); /* no socket was made */
                leaks_expect_fds(n_fds);
        }
}

Test(start, configuration_is_missing) {
        char folder[32], path[64], socket[64], said[1024];

        make_file(folder, path, "other", "");
        snprintf(socket, sizeof(socket), "%s/io.reuseportd", folder);
        cr_assert(eq(
                int,
                run_daemon((const char *const[]){ "--socket", socket, "--config", "/none/such", NULL },
                           said, sizeof(said)),
                EX_CONFIG));
        cr_assert(strstr(said, "/none/such: ") != NULL, "%s", said);
        remove_file(folder, path);
}

/* The same files, asked about beforehand; the rest is in test-reusectl-check-config.c. */
Test(start, configuration_is_checked) {
        char folder[32], path[64], said[1024], expected[128];

        make_file(folder, path, "check.conf", "[Rule a]\nUser=*\nPort=0x\n");
        cr_assert(eq(int,
                     run_daemon((const char *const[]){ "--check-config", "--config", path, NULL }, said,
                                sizeof(said)),
                     EX_CONFIG));
        snprintf(expected, sizeof(expected), "%s:3: Port=: ", path);
        cr_assert(zero(int, strncmp(said, expected, strlen(expected))), "%s", said);
        remove_file(folder, path);
        /* It ends, and nothing is served. */
        cr_assert(eq(int,
                     run_daemon((const char *const[]){ "--user", "--check-config", NULL }, said,
                                sizeof(said)),
                     0));
        KIT_EXPECT_TEXT(said, "");
        cr_assert(eq(int,
                     run_daemon((const char *const[]){ "--check-config", "check.conf", NULL }, said,
                                sizeof(said)),
                     EX_USAGE));
}

Test(start, arguments_in_error) {
        static const char *const table[][3] = { { "--none-such" }, { "--socket" }, { "argument" } };
        char said[1024];

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                cr_assert(eq(int, run_daemon(table[i], said, sizeof(said)), EX_USAGE));
}

/* ---- the control
 * socket ---------------------------------------------------------------------------- */

Test(start, relative_and_too_long_paths) {
        static const char *const paths[] = {
                "io.reuseportd",
                "",
                "/tmp/"
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                "xxxxxxxxxxxxxxxxx",
        };
        char said[1024];

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                cr_assert(eq(int,
                             run_daemon((const char *const[]){ "--user", "--socket", paths[i], NULL },
                                        said, sizeof(said)),
                             EX_CANTCREAT),
                          "%s", paths[i]);
}

/* A second broker is turned away, and the first goes on with its clients. */
Test(start, another_broker_is_there) {
        Kit kit;
        KitSocket held;
        char said[1024];
        struct stat before, after;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        cr_assert(zero(int, lstat(kit.harness.socket, &before)));
        cr_assert(eq(int,
                     run_daemon((const char *const[]){ "--user", "--socket", kit.harness.socket, NULL },
                                said, sizeof(said)),
                     EX_CANTCREAT));
        cr_assert(strstr(said, "another broker") != NULL, "%s", said);
        cr_assert(zero(int, lstat(kit.harness.socket, &after)));
        cr_assert(eq(ullong, before.st_ino, after.st_ino));
        kit_expect_served(held.fd);
        kit_release(control, &held);
        close(control);
        control = harness_connect(&kit.harness);
        kit_ping(control);
        close(control);
        kit_stop(&kit);
}

Test(start, something_else_is_there) {
        char folder[32], path[64], said[1024];
        struct stat before, after;

        make_file(folder, path, "io.reuseportd", "precious");
        cr_assert(zero(int, lstat(path, &before)));
        cr_assert(eq(int,
                     run_daemon((const char *const[]){ "--user", "--socket", path, NULL }, said,
                                sizeof(said)),
                     EX_CANTCREAT));
        cr_assert(strstr(said, path) != NULL, "%s", said);
        cr_assert(zero(int, lstat(path, &after)));
        cr_assert(eq(ullong, before.st_ino, after.st_ino));
        cr_assert(eq(llong, after.st_size, before.st_size));
        remove_file(folder, path);
}

/* What a service manager passes is not right: nothing is served in its place. */
Test(start, wrong_descriptors_are_passed) {
        char folder[32], path[64], socket[64], said[1024];

        make_file(folder, path, "other", "");
        snprintf(socket, sizeof(socket), "%s/io.reuseportd", folder);
        cr_assert(eq(int, run_passed("LISTEN_FDS=1 LISTEN_FDNAMES=control", socket, said, sizeof(said)),
                     EX_CANTCREAT));
        cr_assert(strstr(said, "\"control\" of the service manager is no UNIX stream socket") != NULL,
                  "%s", said);
        /* More than there are, and fewer names. */
        cr_assert(eq(int, run_passed("LISTEN_FDS=9", socket, said, sizeof(said)), EX_OSERR));
        cr_assert(strstr(said, "inherited_take") != NULL, "%s", said);
        cr_assert(eq(int, run_passed("LISTEN_FDS=1 LISTEN_FDNAMES=a:b", socket, said, sizeof(said)),
                     EX_OSERR));
        remove_file(folder, path);
}

/* What a killed broker left is replaced. */
Test(start, stale_socket_is_replaced) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, KIT_CONFIG);
        harness_kill(&kit.harness);
        cr_assert(zero(int, access(kit.harness.socket, F_OK)));
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_expect_served(held.fd);
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

static void expect_socket_file(const char *config, mode_t mode, gid_t group) {
        Kit kit;
        struct stat st;

        kit_start(&kit, config);
        cr_assert(zero(int, lstat(kit.harness.socket, &st)));
        cr_assert(eq(int, S_ISSOCK(st.st_mode) != 0, true));
        cr_assert(eq(int, st.st_mode & 07777, mode));
        cr_assert(eq(uint, st.st_uid, geteuid()));
        cr_assert(eq(uint, st.st_gid, group));
        kit_stop(&kit);
}

Test(start, socket_mode_and_group) {
        mode_t mask = umask(0);

        expect_socket_file("", 0600, getegid());
        expect_socket_file("[Broker]\nSocketMode=0660\n", 0660, getegid());
        expect_socket_file("[Broker]\nSocketMode=666\n", 0666, getegid());
        umask(0777);
        expect_socket_file("[Broker]\nSocketMode=0622\n", 0622, getegid());
        umask(mask);
        if (geteuid() == 0)
                expect_socket_file("[Broker]\nSocketGroup=65534\nSocketMode=0620\n", 0620, 65534);
}

/* ----
 * reload ----------------------------------------------------------------------------------------- */

/* Asks until the answer is another: a signal is dealt with in the broker's own time. */
static void expect_soon(int control, bool granted) {
        for (int i = 0; i < 100000; i++) {
                json_auto_t *reply = kit_call(
                        control, "Acquire", "{'sockets':[{'network':'tcp4','address':'192.0.2.1:0'}]}");

                /* Allowed by policy, it fails for the address, so that nothing is ever handed over. */
                if ((strcmp(kit_text(reply, "error"), "io.reuseportd.AddressUnavailable") == 0) ==
                    granted)
                        return;
        }
        cr_fatal("the decision did not change");
}

Test(start, reload_changes_decisions) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        harness_reload(&kit.harness, "[Broker]\nRetainSec=0\n[Rule none]\nUser=*\nAllow=no\n");
        expect_soon(control, false);
        /* What was given stays given. */
        kit_expect_served(held.fd);
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'tcp4','address':'%s'}",
                                kit_address(&held)));
        harness_reload(&kit.harness, "[Broker]\nRetainSec=0\n[Rule all]\nUser=*\n");
        expect_soon(control, true);
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* The limits too, for clients that are there already. */
Test(start, reload_changes_limits) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        /* The same moment brings a denial that can be waited for. */
        harness_reload(&kit.harness,
                       "[Broker]\nRetainSec=0\nMaxLeasesPerUser=1\n"
                       "[Rule no]\nUser=*\nAddress=192.0.2.1\nAllow=no\n[Rule all]\nUser=*\n");
        expect_soon(control, false);
        json_decref(kit_refused(control, "QuotaExceeded", "{'network':'tcp4','address':'127.0.0.1:0'}"));
        kit_expect_served(held.fd);
        kit_release(control, &held);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* A broken file changes nothing, however often it is read, and the status says so; the next good one
 * does. */
Test(start, reload_of_a_broken_file) {
        static const char *const texts[] = {
                "[Rule none]\nUser=*\nAllow=no\n[Rule broken]\nPort=80\n",
                "\n[Rule none]\nUser=*\nAllow=no\n[Rule broken]\nPort=80\n",
                "\n\n[Rule none]\nUser=*\nAllow=no\n[Rule broken]\nPort=80\n",
        };
        Kit kit;
        char where[256];
        int control;

        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        cr_assert(not(kit_is_warned(control, "not reloaded")));
        for (int i = 0; i < 3; i++) {
                harness_reload(&kit.harness, texts[i]);
                snprintf(where, sizeof(where),
                         "the configuration was not reloaded: %s:%d: [Rule broken]", kit.harness.config,
                         i + 4);
                kit_expect_warned_soon(control, where, true);
                expect_soon(control, true);
        }
        harness_reload(&kit.harness, "[Rule none]\nUser=*\nAllow=no\n");
        kit_expect_warned_soon(control, "not reloaded", false);
        expect_soon(control, false);
        close(control);
        kit_stop(&kit);
}
