/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a program finds that it was started with. The tables of what a parent may say are those of
 * test-listen-fds.c; here is what the library adds: whose each descriptor is, and what is said of an
 * error.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "client-lib/reuse-client.h"
#include "tests/unit/leaks.h"
#include "tests/unit/passed-kit.h"

TestSuite(reuse_inherited, .timeout = 30);

static void announce(int n_open, const char *pid, const char *fds, const char *names) {
        passed_open(n_open);
        passed_set("LISTEN_PID", pid, (unsigned)getpid());
        passed_set("LISTEN_PIDFDID", NULL, 0);
        passed_set("LISTEN_FDS", fds, 0);
        passed_set("LISTEN_FDNAMES", names, 0);
}

/* ---- what is refused ---- */

typedef struct Refusal {
        const char *pid;
        const char *fds;
        const char *names;
        int number;
        const char *words;
} Refusal;

static const Refusal refusals[] = {
        { "x", "1", NULL, -EINVAL, "LISTEN_PID or LISTEN_PIDFDID is not the number of a process" },
        { PASSED_OWN, "x", NULL, -EINVAL, "LISTEN_FDS is not a number" },
        { PASSED_OWN, "3", NULL, -EBADF, "more descriptors were passed than are open" },
        { PASSED_OWN, "2", "a", -EINVAL, "LISTEN_FDNAMES has not as many names" },
        { PASSED_OWN, "1", "a:b", -EINVAL, "LISTEN_FDNAMES has not as many names" },
};

static int child_refused(const void *userdata) {
        const Refusal *refusal = userdata;
        reuse_inherited *inherited = (void *)1;
        reuse_error *error = NULL;

        announce(2, refusal->pid, refusal->fds, refusal->names);
        CHECK(reuse_inherited_new(0, &inherited, NULL) == refusal->number);
        CHECK(getenv("LISTEN_PID"));
        CHECK(reuse_inherited_new(REUSE_INHERITED_UNSET, &inherited, &error) == refusal->number);
        CHECK(!getenv("LISTEN_PID"));
        CHECK(inherited == (void *)1);
        CHECK(reuse_error_get_errno(error) == refusal->number);
        CHECK(strstr(reuse_error_get_message(error), refusal->words));
        reuse_error_free(error);
        CHECK(passed_flags(3) == 0 && passed_flags(4) == 0);
        return 0;
}

Test(reuse_inherited, s3_24_what_is_wrong) {
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
                passed_run(child_refused, &refusals[i], refusals[i].words);
}

Test(reuse_inherited, wrong_arguments) {
        reuse_inherited *inherited = NULL;
        reuse_error *error = NULL;

        cr_assert(eq(int, reuse_inherited_new(0, NULL, &error), -EINVAL));
        cr_assert(error != NULL);
        reuse_error_free(error);
        cr_assert(eq(int, reuse_inherited_new(2, &inherited, NULL), -EINVAL));
        cr_assert(inherited == NULL);
        cr_assert(reuse_inherited_free(NULL) == NULL);
        cr_assert(zero(sz, reuse_inherited_count(NULL)));
        cr_assert(eq(int, reuse_inherited_get_fd(NULL, 0), -EINVAL));
        cr_assert(eq(int, reuse_inherited_take_fd(NULL, 0), -EINVAL));
        cr_assert(reuse_inherited_get_name(NULL, 0) == NULL);
        cr_assert(eq(int, reuse_inherited_find(NULL, "a"), -EINVAL));
}

/* ---- nothing is passed, or not to this process ---- */

static int child_none(const void *userdata) {
        reuse_inherited *inherited = NULL;
        reuse_error *error = NULL;

        announce(1, userdata, "1", NULL);
        CHECK(reuse_inherited_new(REUSE_INHERITED_UNSET, &inherited, &error) == 0);
        CHECK(inherited && !error);
        CHECK(reuse_inherited_count(inherited) == 0);
        CHECK(reuse_inherited_get_fd(inherited, 0) == -EINVAL);
        CHECK(reuse_inherited_find(inherited, "unknown") == -ENOENT);
        reuse_inherited_free(inherited);
        CHECK(passed_flags(3) == 0);
        return 0;
}

Test(reuse_inherited, s3_24_nothing_for_this_process) {
        passed_run(child_none, NULL, "none");
        passed_run(child_none, "1", "for another");
}

/* ---- what is passed ---- */

static int child_taken(const void *userdata) {
        reuse_inherited *inherited = NULL;
        int pair[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pair[0] == 3);
        announce(2, PASSED_OWN, "4", "web:admin:web:a\\:b");
        CHECK(reuse_inherited_new(REUSE_INHERITED_UNSET, &inherited, NULL) == 0);
        CHECK(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES"));
        CHECK(reuse_inherited_count(inherited) == 4);
        for (int i = 0; i < 4; i++) {
                CHECK(reuse_inherited_get_fd(inherited, (size_t)i) == 3 + i);
                CHECK(passed_flags(3 + i) == FD_CLOEXEC);
        }
        /* As the parent left it. */
        CHECK(!(fcntl(3, F_GETFL) & O_NONBLOCK));
        CHECK(strcmp(reuse_inherited_get_name(inherited, 3), "a:b") == 0);
        CHECK(!reuse_inherited_get_name(inherited, 4));
        CHECK(reuse_inherited_get_fd(inherited, 4) == -EINVAL);
        CHECK(reuse_inherited_take_fd(inherited, 4) == -EINVAL);
        CHECK(reuse_inherited_find(inherited, NULL) == -EINVAL);
        CHECK(reuse_inherited_find(inherited, "Web") == -ENOENT);

        /* Of several with one name each is found once it is its turn. */
        CHECK(reuse_inherited_find(inherited, "web") == 0);
        CHECK(reuse_inherited_take_fd(inherited, 0) == 3);
        CHECK(reuse_inherited_take_fd(inherited, 0) == -EBADF);
        CHECK(reuse_inherited_get_fd(inherited, 0) == -EBADF);
        CHECK(reuse_inherited_find(inherited, "web") == 2);
        CHECK(reuse_inherited_take_fd(inherited, 2) == 5);
        CHECK(reuse_inherited_find(inherited, "web") == -ENOENT);
        CHECK(reuse_inherited_find(inherited, "admin") == 1);

        reuse_inherited_free(inherited);
        CHECK(passed_flags(3) >= 0 && passed_flags(4) < 0 && passed_flags(5) >= 0 &&
              passed_flags(6) < 0);
        leaks_expect_none();
        return 0;
}

Test(reuse_inherited, s3_24_each_has_one_owner) {
        passed_run(child_taken, NULL, "taken");
}

static int child_twice(const void *userdata) {
        reuse_inherited *inherited = NULL;

        announce(1, PASSED_OWN, "1", NULL);
        CHECK(reuse_inherited_new(0, &inherited, NULL) == 0);
        CHECK(strcmp(reuse_inherited_get_name(inherited, 0), "unknown") == 0);
        reuse_inherited_free(inherited);
        /* The variables were left, the descriptor was not. */
        CHECK(getenv("LISTEN_FDS"));
        CHECK(reuse_inherited_new(0, &inherited, NULL) == -EBADF);
        return 0;
}

Test(reuse_inherited, the_environment_is_left_unless_told) {
        passed_run(child_twice, NULL, "twice");
}
