/* SPDX-License-Identifier: BSD-2-Clause */

/* What a parent may say of descriptors, and what it may not. That libsystemd reads the same is what
 * fuzz-listen-fds checks. */

#include "proto/listen-fds.h"

#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/passed-kit.h"

TestSuite(listen_fds, .timeout = 30);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

static const char *const variables[] = { "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS",
                                         "LISTEN_FDNAMES" };

typedef struct Case {
        const char *pid;
        const char *id;
        const char *fds;
        const char *names;
        int n_open; /* from 3 on */
        int result;
        size_t n;
} Case;

static void announce(const Case *c) {
        passed_open(c->n_open);
        passed_set("LISTEN_PID", c->pid, (unsigned)getpid());
        passed_set("LISTEN_PIDFDID", c->id, passed_own_id());
        passed_set("LISTEN_FDS", c->fds, 0);
        passed_set("LISTEN_FDNAMES", c->names, 0);
}

/* Nothing is changed where something is wrong, or not meant; but the variables go, if they are to. */
static int child_none(const void *userdata) {
        const Case *c = userdata;
        ListenFds fds = { .n = 77 };

        announce(c);
        for (int unset = 0; unset < 2; unset++) {
                CHECK(listen_fds_take(unset, &fds) == c->result);
                CHECK(fds.n == (c->result == 0 ? 0 : 77));
                CHECK(c->result != 0 || !fds.names);
                for (int i = 0; i < c->n_open; i++)
                        CHECK(passed_flags(3 + i) == 0);
                CHECK(passed_flags(3 + c->n_open) < 0);
                CHECK(!getenv("LISTEN_PID") == (unset || !c->pid));
        }
        for (size_t i = 0; i < ELEMENTS(variables); i++)
                CHECK(!getenv(variables[i]));
        CHECK(listen_fds_take(true, &fds) == 0 && fds.n == 0);
        return 0;
}

/* ---- what is refused ---- */

#define OWN PASSED_OWN

static const Case refused[] = {
        { "", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { "0", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { "-1", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { "+1", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { "self", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { "1 ", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { "2147483648", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { "18446744073709551617", NULL, "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { OWN, "", "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { OWN, "0", "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { OWN, "-1", "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { OWN, "1x", "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { OWN, "18446744073709551616", "1", NULL, 1, LISTEN_FDS_E_PROCESS, 0 },
        { OWN, NULL, "", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "0", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "-1", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "+1", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, " 1", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "1 ", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "0x1", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "many", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "2147483645", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "4294967297", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "18446744073709551617", NULL, 1, LISTEN_FDS_E_COUNT, 0 },
        { OWN, NULL, "1", NULL, 0, LISTEN_FDS_E_NOT_OPEN, 0 },
        { OWN, NULL, "3", "a:b:c", 2, LISTEN_FDS_E_NOT_OPEN, 0 },
        { OWN, NULL, "2147483644", NULL, 3, LISTEN_FDS_E_NOT_OPEN, 0 },
        /* The pidfd that is opened for this is not taken for one that was passed. */
        { OWN, OWN, "2", NULL, 1, LISTEN_FDS_E_NOT_OPEN, 0 },
        { OWN, NULL, "2", "a", 2, LISTEN_FDS_E_NAMES, 0 },
        { OWN, NULL, "1", "a:b", 2, LISTEN_FDS_E_NAMES, 0 },
        { OWN, NULL, "1", "a:", 2, LISTEN_FDS_E_NAMES, 0 },
        { OWN, NULL, "1", ":", 2, LISTEN_FDS_E_NAMES, 0 },
        { OWN, NULL, "2", "a\\:b", 2, LISTEN_FDS_E_NAMES, 0 },
        { OWN, NULL, "2", "a:b\\", 2, LISTEN_FDS_E_NAMES, 0 },
        { OWN, NULL, "1", "\\", 2, LISTEN_FDS_E_NAMES, 0 },
};

Test(listen_fds, s3_24_what_is_wrong) {
        if (passed_own_id() == 0)
                cr_skip_test("the kernel has no numbers for LISTEN_PIDFDID");
        for (size_t i = 0; i < ELEMENTS(refused); i++)
                passed_run(child_none, &refused[i], refused[i].names ?: refused[i].fds);
}

/* ---- what is not for this process ---- */

static const Case not_meant[] = {
        { NULL, NULL, NULL, NULL, 1, 0, 0 },
        { NULL, NULL, "1", NULL, 1, 0, 0 },
        { NULL, "1", "1", "a", 1, 0, 0 },
        { OWN, NULL, NULL, "a", 1, 0, 0 },
        { "1", NULL, "1", "a", 1, 0, 0 },
        { "2147483647", NULL, "1", NULL, 1, 0, 0 },
        /* What else is wrong is another's to find. */
        { "1", "x", "x", "a:b", 1, 0, 0 },
};

Test(listen_fds, s3_24_what_is_for_another_process) {
        static const Case reused = { OWN, "1", "1", "a", 1, 0, 0 };

        for (size_t i = 0; i < ELEMENTS(not_meant); i++)
                passed_run(child_none, &not_meant[i], not_meant[i].pid ?: "none");
        /* Its number is this one's by now. */
        if (passed_own_id() != 0)
                passed_run(child_none, &reused, "LISTEN_PIDFDID=1");
}

/* ---- what is taken ---- */

static const Case taken[] = {
        { OWN, NULL, "1", NULL, 1, 0, 1 },      { OWN, NULL, "3", "", 4, 0, 3 },
        { OWN, NULL, "2", "a:b", 2, 0, 2 },     { OWN, NULL, "002", ":", 2, 0, 2 },
        { OWN, NULL, "3", "::a b", 3, 0, 3 },   { OWN, NULL, "2", "a\\:b:\\\\", 2, 0, 2 },
        { OWN, NULL, "1", "\\a\\b", 1, 0, 1 },  { OWN, NULL, "1", "\"a", 1, 0, 1 },
        { OWN, NULL, "2", "web:web", 2, 0, 2 },
};

static const char *const names[ELEMENTS(taken)][4] = {
        { "unknown" },     { "unknown", "unknown", "unknown" },
        { "a", "b" },      { "", "" },
        { "", "", "a b" }, { "a:b", "\\" },
        { "ab" },          { "\"a" },
        { "web", "web" },
};

static int child_taken(const void *userdata) {
        const Case *c = userdata;
        ListenFds fds;

        announce(c);
        CHECK(listen_fds_take(false, &fds) == 0);
        CHECK(getenv("LISTEN_PID") && getenv("LISTEN_FDS"));
        CHECK(fds.n == c->n);
        for (size_t i = 0; i < fds.n; i++) {
                CHECK(names[c - taken][i] && strcmp(fds.names[i], names[c - taken][i]) == 0);
                CHECK(passed_flags(3 + (int)i) == FD_CLOEXEC);
        }
        for (int i = (int)c->n; i < c->n_open; i++)
                CHECK(passed_flags(3 + i) == 0);
        listen_fds_deinit(&fds);
        CHECK(fds.n == 0);
        CHECK(passed_flags(3) == FD_CLOEXEC);
        leaks_expect_none();
        return 0;
}

Test(listen_fds, s3_24_what_is_passed) {
        for (size_t i = 0; i < ELEMENTS(taken); i++)
                passed_run(child_taken, &taken[i], taken[i].names ?: taken[i].fds);
}

static int child_with_id(const void *userdata) {
        const Case c = { OWN, OWN, "1", "a", 1, 0, 1 };
        ListenFds fds;

        announce(&c);
        CHECK(listen_fds_take(true, &fds) == 0);
        CHECK(fds.n == 1 && strcmp(fds.names[0], "a") == 0);
        for (size_t i = 0; i < ELEMENTS(variables); i++)
                CHECK(!getenv(variables[i]));
        listen_fds_deinit(&fds);
        return 0;
}

Test(listen_fds, s3_24_the_number_of_the_pidfd) {
        if (passed_own_id() == 0)
                cr_skip_test("the kernel has no numbers for LISTEN_PIDFDID");
        passed_run(child_with_id, NULL, "own");
}

/* As many as a service manager keeps for a broker. */
static int child_many(const void *userdata) {
        enum {
                N = 900,
        };
        static char text[N * 8];
        ListenFds fds;
        size_t n = 0;

        for (int i = 0; i < N; i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%sn%d", i > 0 ? ":" : "", i);
        passed_open(N);
        passed_set("LISTEN_PID", OWN, (unsigned)getpid());
        passed_set("LISTEN_FDS", "900", 0);
        passed_set("LISTEN_FDNAMES", text, 0);
        CHECK(listen_fds_take(true, &fds) == 0 && fds.n == N);
        CHECK(strcmp(fds.names[0], "n0") == 0 && strcmp(fds.names[N - 1], "n899") == 0);
        CHECK(passed_flags(3 + N - 1) == FD_CLOEXEC);
        listen_fds_deinit(&fds);
        return 0;
}

Test(listen_fds, many) {
        passed_run(child_many, NULL, "many");
}
