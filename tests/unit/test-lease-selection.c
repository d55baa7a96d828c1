/* SPDX-License-Identifier: BSD-2-Clause */

/* Which leases a person means, by what the broker lists. */

#include "tests/unit/broker-script.h"
#include "tools/lease-selection.h"
#include "tools/report.h"

TestSuite(lease_selection, .timeout = 10);

enum {
        WORDS_MAX = 6,
};

/*
 * "web" has two members of ours, of the processes 1 and 2, and one of another user's process 2; an
 * endpoint without a name has one of ours. A name looks like a lease.
 */
static const char *listing(void) {
        static char text[4096];
        long long me = geteuid(), other = me + 1;

        snprintf(text, sizeof(text),
                 "{\"parameters\":{\"endpoints\":["
                 "{\"endpoint\":\"e1\",\"name\":\"web\",\"members\":["
                 "{\"leases\":[{\"lease\":\"l1\",\"holder\":{\"uid\":%lld,\"pid\":1}}]},"
                 "{\"leases\":[{\"lease\":\"l2\",\"holder\":{\"uid\":%lld,\"pid\":2}}]},"
                 "{\"leases\":[{\"lease\":\"l3\",\"holder\":{\"uid\":%lld,\"pid\":2}}]},"
                 "{\"leases\":[]}]},"
                 "{\"endpoint\":\"e2\",\"members\":["
                 "{\"leases\":[{\"lease\":\"l4\",\"holder\":{\"uid\":%lld,\"pid\":2}}]}]},"
                 "{\"endpoint\":\"e3\",\"name\":\"l4\",\"members\":["
                 "{\"leases\":[{\"lease\":\"l5\",\"holder\":{\"uid\":%lld,\"pid\":3}},"
                 "{\"lease\":\"l6\",\"holder\":{\"uid\":%lld,\"pid\":1}}]}]},"
                 "{\"endpoint\":\"e4\",\"name\":\"theirs\",\"members\":["
                 "{\"leases\":[{\"lease\":\"l7\",\"holder\":{\"uid\":%lld,\"pid\":4}}]}]}]}}",
                 me, me, other, me, me, me, other);
        return text;
}

#define LIST "{\"method\":\"io.reuseportd.List\"}"
#define GET_INFO "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{}}"
#define GREETING "{\"parameters\":{}}"

/* The exit status, and in @ret_text the leases with blanks in between. */
static int select_by(const Step *steps, const char *const *words, char ret_text[static 64]) {
        LeaseSelection selection;
        Settings settings = { .timeout_usec = REUSE_TIMEOUT_DEFAULT, .quiet = true };
        Script script;
        Broker broker;
        int status;

        broker_listen(&broker, 4);
        settings.socket = broker.path;
        script_begin(&script, steps, &broker);
        status = lease_selection_init(&settings, (char *const *)words, &selection);
        ret_text[0] = '\0';
        for (size_t i = 0; i < selection.n; i++)
                snprintf(ret_text + strlen(ret_text), 64 - strlen(ret_text), "%s%s", i > 0 ? " " : "",
                         selection.leases[i]);
        lease_selection_deinit(&selection);
        cr_assert(zero(sz, script_end(&script)));
        broker_end(&broker);
        return status;
}

static int select_words(const char *reply, const char *const *words, char ret_text[static 64]) {
        const Step steps[] = { { SIDE_CALLS, LIST, reply }, { SIDE_NONE, NULL, NULL } };

        return select_by(steps, words, ret_text);
}

/* ---- what is not found ---- */

static const char *const missing[][WORDS_MAX] = {
        { "" },
        { "wbe" },
        { "WEB" },
        { "e" },
        { "e9" },
        { "l9" },
        { "pid:" },
        { "pid:9" },
        { "pid:-1" },
        { "pid:1x" },
        { "pid:0" },
        { "pid: 1" },
        { "PID:1" },
        { "1" },
        { "theirs" },
        { "e4" },
        { "pid:4" },
        { "-" },
        { "tcp4 web" },
        { "web", "wbe" },
        { "nix", "l1" },
        { "l1", "", "l2" },
        { "pid:18446744073709551617" },
};

Test(lease_selection, missing) {
        char text[64];

        for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
                cr_assert(eq(int, select_words(listing(), missing[i], text), REPORT_NOT_FOUND), "%s: %s",
                          missing[i][0], text);
}

Test(lease_selection, answers_without_what_is_looked_for) {
        static const char *const replies[] = {
                "{\"parameters\":{}}",
                "{\"parameters\":{\"endpoints\":null}}",
                "{\"parameters\":{\"endpoints\":{}}}",
                "{\"parameters\":{\"endpoints\":[1,null,[]]}}",
                "{\"parameters\":{\"endpoints\":[{\"endpoint\":\"e1\",\"members\":[{\"leases\":[{}]}]}]}"
                "}",
                "{\"parameters\":{\"endpoints\":[{\"endpoint\":\"e1\",\"members\":[{\"leases\":["
                "{\"lease\":\"l1\",\"holder\":{}}]}]}]}}",
                "{\"parameters\":{\"endpoints\":[{\"endpoint\":\"e1\",\"members\":[{\"leases\":["
                "{\"holder\":{\"uid\":0,\"pid\":1}}]}]}]}}",
        };
        static const char *const words[] = { "e1", NULL };
        char text[64];

        for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
                cr_assert(eq(int, select_words(replies[i], words, text), REPORT_NOT_FOUND), "%s",
                          replies[i]);
}

Test(lease_selection, refusals_are_the_brokers) {
        static const char *const words[] = { "web", NULL };
        char text[64];

        cr_assert(eq(int,
                     select_words("{\"error\":\"io.reuseportd.QuotaExceeded\",\"parameters\":{"
                                  "\"resource\":\"bytes in one reply\",\"limit\":1}}",
                                  words, text),
                     REPORT_LIMIT));
}

/* Each one dies of it. */
Test(lease_selection, brokers_that_hang_up) {
        static const Step steps[] = {
                { SIDE_CALLS, LIST, HANG_UP },       { SIDE_WATCH, GET_INFO, GREETING },
                { SIDE_WATCH, LIST, HANG_UP },       { SIDE_WATCH_AGAIN, GET_INFO, GREETING },
                { SIDE_WATCH_AGAIN, LIST, HANG_UP }, { SIDE_NONE, NULL, NULL },
        };
        static const char *const words[] = { "web", NULL };
        char text[64];

        cr_assert(eq(int, select_by(steps, words, text), REPORT_UNREACHABLE));
}

Test(lease_selection, no_broker) {
        const Settings settings = { .socket = "/nonexistent/socket", .quiet = true };
        static const char *const words[] = { "web", NULL };
        LeaseSelection selection;

        cr_assert(eq(int, lease_selection_init(&settings, (char *const *)words, &selection),
                     REPORT_UNREACHABLE));
        lease_selection_deinit(&selection);
        leaks_expect_none();
}

/* ---- what is found ---- */

static const struct {
        const char *words[WORDS_MAX];
        const char *leases;
} found[] = {
        { { "l1" }, "l1" },
        { { "l2", "l1" }, "l1 l2" },
        { { "web" }, "l1 l2" },
        { { "e1" }, "l1 l2" },
        { { "e2" }, "l4" },
        { { "e3" }, "l5 l6" },
        { { "pid:1" }, "l1 l6" },
        { { "pid:2" }, "l2 l4" },
        /* A lease of another user: the broker is to say no. */
        { { "l3" }, "l3" },
        { { "l3", "web" }, "l1 l2 l3" },
        /* Both the lease and the endpoint that is called so. */
        { { "l4" }, "l4 l5 l6" },
        /* Each once. */
        { { "l1", "l1" }, "l1" },
        { { "web", "l1", "pid:1", "e1" }, "l1 l2 l6" },
};

Test(lease_selection, found) {
        char text[64];

        for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
                cr_assert(zero(int, select_words(listing(), found[i].words, text)), "%s",
                          found[i].words[0]);
                expect_text(text, found[i].leases);
        }
}
