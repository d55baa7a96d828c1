/* SPDX-License-Identifier: BSD-2-Clause */

/* What a service manager passes: names, each claimed once, and environments that are wrong. */

#include "daemon/inherited.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/passed-kit.h"

TestSuite(inherited, .timeout = 10);

static bool is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

/* @n descriptors from 3 on, under @names, or without any. */
static void announce(int n, const char *names) {
        char text[16];

        for (int i = 0; i < n; i++)
                (void)!open("/dev/null", O_RDONLY);
        snprintf(text, sizeof(text), "%d", getpid());
        setenv("LISTEN_PID", text, true);
        snprintf(text, sizeof(text), "%d", n);
        setenv("LISTEN_FDS", text, true);
        unsetenv("LISTEN_FDNAMES");
        if (names)
                setenv("LISTEN_FDNAMES", names, true);
}

static int child_without_any(const void *userdata) {
        Inherited inherited;

        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_PID");
        CHECK(inherited_take(&inherited) == 0);
        CHECK(inherited.n == 0);
        CHECK(inherited_claim(&inherited, "control") == -1);
        CHECK(inherited_claim_path(&inherited, "/run/control") == -1);
        inherited_deinit(&inherited);
        return 0;
}

Test(inherited, nothing_is_passed) {
        passed_run(child_without_any, NULL, "child_without_any");
}

static int child_meant_for_another(const void *userdata) {
        Inherited inherited;

        announce(1, "control");
        setenv("LISTEN_PID", "1", true);
        CHECK(inherited_take(&inherited) == 0);
        CHECK(inherited.n == 0);
        inherited_deinit(&inherited);
        CHECK(is_open(3));
        return 0;
}

Test(inherited, what_is_meant_for_another_process_is_left) {
        passed_run(child_meant_for_another, NULL, "child_meant_for_another");
}

static int child_names(const void *userdata) {
        Inherited inherited;

        announce(4, "web:control:web:");
        CHECK(inherited_take(&inherited) == 0);
        CHECK(inherited.n == 4);
        /* No child gets them, nor takes itself to be meant. */
        CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
        for (int i = 3; i < 7; i++)
                CHECK(fcntl(i, F_GETFD) == FD_CLOEXEC);
        CHECK(inherited_claim(&inherited, "Web") == -1);
        CHECK(inherited_claim(&inherited, "control") == 4);
        CHECK(inherited_claim(&inherited, "control") == -1);
        CHECK(inherited_claim(&inherited, "web") == 3);
        CHECK(inherited_claim(&inherited, "web") == 5);
        CHECK(inherited_claim(&inherited, "web") == -1);
        /* What was claimed is its owner's to close; the rest goes. */
        inherited_deinit(&inherited);
        CHECK(is_open(3) && is_open(4) && is_open(5) && !is_open(6));
        CHECK(inherited.n == 0);
        inherited_deinit(&inherited);
        return 0;
}

Test(inherited, each_is_claimed_once_by_name) {
        passed_run(child_names, NULL, "child_names");
}

static int child_no_names(const void *userdata) {
        Inherited inherited;

        announce(2, NULL);
        CHECK(inherited_take(&inherited) == 0);
        CHECK(inherited.n == 2);
        CHECK(inherited_claim(&inherited, "unknown") == 3);
        inherited_deinit(&inherited);
        CHECK(!is_open(4));
        return 0;
}

Test(inherited, names_are_missing) {
        passed_run(child_no_names, NULL, "child_no_names");
}

static int child_wrong(const void *userdata) {
        Inherited inherited;

        announce(3, "one:two");
        CHECK(inherited_take(&inherited) == -EINVAL);
        inherited_deinit(&inherited);

        announce(0, NULL);
        setenv("LISTEN_FDS", "many", true);
        CHECK(inherited_take(&inherited) == -EINVAL);
        inherited_deinit(&inherited);

        close_range(3, ~0U, 0);
        announce(1, "one");
        setenv("LISTEN_FDS", "2", true);
        setenv("LISTEN_FDNAMES", "one:two", true);
        CHECK(inherited_take(&inherited) == -EBADF);
        inherited_deinit(&inherited);
        return 0;
}

Test(inherited, an_environment_that_is_wrong) {
        passed_run(child_wrong, NULL, "child_wrong");
}

/* At @path, listening or not. */
static int unix_socket(int type, const char *path, bool listening) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type, 0);

        strcpy(address.sun_path, path);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            (listening && listen(fd, 1) < 0))
                return -1;
        return fd;
}

static int child_paths(const void *userdata) {
        char folder[] = "/tmp/test-inherited-XXXXXX", paths[4][64];
        Inherited inherited;

        CHECK(mkdtemp(folder));
        for (int i = 0; i < 4; i++)
                snprintf(paths[i], sizeof(paths[i]), "%s/%d", folder, i);
        CHECK(unix_socket(SOCK_STREAM, paths[0], true) == 3);
        CHECK(unix_socket(SOCK_STREAM, paths[1], false) == 4);
        CHECK(unix_socket(SOCK_SEQPACKET, paths[2], true) == 5);
        announce(1, NULL);
        setenv("LISTEN_FDS", "4", true);
        CHECK(inherited_take(&inherited) == 0);
        for (int i = 1; i < 4; i++)
                CHECK(inherited_claim_path(&inherited, paths[i]) == -1);
        CHECK(inherited_claim_path(&inherited, paths[0]) == 3);
        CHECK(inherited_claim_path(&inherited, paths[0]) == -1);
        inherited_deinit(&inherited);
        for (int i = 0; i < 3; i++)
                CHECK(unlink(paths[i]) == 0);
        CHECK(rmdir(folder) == 0);
        return 0;
}

Test(inherited, a_stream_socket_is_claimed_by_its_path) {
        passed_run(child_paths, NULL, "child_paths");
}
