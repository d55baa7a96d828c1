/* SPDX-License-Identifier: BSD-2-Clause */

/* Calls about leases: what goes out, what does not, and what a refusal becomes. */

#include <limits.h>

#include "tests/unit/fake-broker.h"

TestSuite(leases, .timeout = 10);

static int weigh(reuse_client *client, const char *const *leases, size_t n, reuse_error **ret_error) {
        return reuse_client_set_weight(client, leases, n, 7, ret_error);
}

static int drain_and_wait(reuse_client *client, const char *const *leases, size_t n,
                          reuse_error **ret_error) {
        return reuse_client_drain_wait(client, leases, n, 0, ret_error);
}

typedef int (*Verb)(reuse_client *client, const char *const *leases, size_t n, reuse_error **ret_error);

static const struct {
        Verb function;
        const char *method;
        const char *more; /* parameters beside the leases */
} verbs[] = {
        { reuse_client_release, "Release", "" },
        { reuse_client_ready, "Ready", "" },
        { reuse_client_drain, "Drain", "" },
        { weigh, "SetWeight", ",\"weight\":7" },
        /* It asks other things first: see test-drain-wait.c. */
        { drain_and_wait, NULL, NULL },
};

enum {
        N_VERBS = sizeof(verbs) / sizeof(verbs[0]),
        LEASES_TOO_MANY = 16 * 1024,
};

/* ---- what is not sent ---- */

Test(leases, texts_that_no_lease_has) {
        static const char *const bad[] = { NULL, "\xff", "\xc0\xaf", "l1\xed\xa0\x80" };
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < N_VERBS; i++)
                for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
                        const char *const leases[] = { "l1", bad[j] };
                        reuse_error *error = NULL;

                        cr_assert(eq(int, verbs[i].function(broker.client, leases, 2, &error), -EINVAL));
                        cr_assert(eq(int, reuse_error_get_errno(error), -EINVAL));
                        cr_assert(eq(ptr, (void *)reuse_error_get_name(error), NULL));
                        reuse_error_free(error);
                        cr_assert(eq(int, verbs[i].function(broker.client, leases, 2, NULL), -EINVAL));
                }
        broker_expect_silence(&broker);
        broker_end(&broker);
}

Test(leases, nothing_to_ask_or_nobody_to_ask_it_of) {
        const char *const leases[] = { "l1" };
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < N_VERBS; i++) {
                cr_assert(eq(int, verbs[i].function(broker.client, NULL, 0, NULL), -EINVAL));
                cr_assert(eq(int, verbs[i].function(NULL, leases, 1, &error), -EINVAL));
                error = reuse_error_free(error);
        }
        broker_expect_silence(&broker);
        broker_end(&broker);
}

Test(leases, more_than_a_call_holds) {
        const char **leases = calloc(LEASES_TOO_MANY, sizeof(*leases));
        reuse_error *error = NULL;
        Broker broker;

        for (size_t i = 0; i < LEASES_TOO_MANY; i++)
                leases[i] = "l12-3f9a1c07";
        broker_start(&broker);
        for (size_t i = 0; i < N_VERBS; i++) {
                if (!verbs[i].method)
                        continue;
                cr_assert(eq(int, verbs[i].function(broker.client, leases, LEASES_TOO_MANY, &error),
                             -E2BIG));
                error = reuse_error_free(error);
        }
        broker_expect_silence(&broker);
        broker_end(&broker);
        free(leases);
}

/* ---- what is refused ---- */

static const struct {
        const char *answer;
        int number;
        const char *words;
} refusals[] = {
        { "{\"error\":\"io.reuseportd.NoSuchLease\",\"parameters\":{\"lease\":\"l2\"}}", -ENOENT,
          "no lease \"l2\"" },
        { "{\"error\":\"io.reuseportd.NotSupported\",\"parameters\":{\"feature\":\"Drain\","
          "\"reason\":\"it is shared\"}}",
          -EOPNOTSUPP, "it is shared" },
        { "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"weight\"}"
          "}",
          -EINVAL, "the parameter weight" },
        { "{\"error\":\"io.reuseportd.QuotaExceeded\",\"parameters\":{\"resource\":"
          "\"leases in one call\",\"limit\":1024}}",
          -EDQUOT, "1024 leases in one call" },
        { "{\"error\":\"org.varlink.service.MethodNotImplemented\",\"parameters\":{\"method\":"
          "\"io.reuseportd.Ready\"}}",
          -ENOSYS, "io.reuseportd.Ready" },
};

Test(leases, refusals_leave_the_connection_as_it_is) {
        const char *const leases[] = { "l1", "l2" };
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < N_VERBS; i++)
                for (size_t j = 0; verbs[i].method && j < sizeof(refusals) / sizeof(refusals[0]); j++) {
                        reuse_error *error = NULL;
                        int r;

                        broker_say(&broker, refusals[j].answer);
                        r = verbs[i].function(broker.client, leases, 2, &error);
                        cr_assert(eq(int, r, refusals[j].number), "%s", refusals[j].answer);
                        cr_assert(
                                ne(ptr, strstr(reuse_error_get_message(error), refusals[j].words), NULL),
                                "%s", reuse_error_get_message(error));
                        reuse_error_free(error);
                        broker_say(&broker, refusals[j].answer);
                        r = verbs[i].function(broker.client, leases, 2, NULL);
                        cr_assert(eq(int, r, refusals[j].number));
                }
        broker_end(&broker);
}

Test(leases, broker_that_hangs_up) {
        const char *const leases[] = { "l1" };

        for (size_t i = 0; i < N_VERBS; i++) {
                Broker broker;

                broker_start(&broker);
                broker_hang_up(&broker);
                close(broker.listener);
                broker.listener = -1;
                cr_assert(lt(int, verbs[i].function(broker.client, leases, 1, NULL), 0));
                broker_end(&broker);
        }
}

/* ---- what is sent ---- */

Test(leases, each_call_names_the_leases) {
        const char *const leases[] = { "l1", "l2" };
        char expected[256];
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < N_VERBS; i++) {
                if (!verbs[i].method)
                        continue;
                broker_say(&broker, "{\"parameters\":{}}");
                cr_assert(zero(int, verbs[i].function(broker.client, leases, 2, NULL)));
                snprintf(expected, sizeof(expected),
                         "{\"method\":\"io.reuseportd.%s\",\"parameters\":{\"leases\":[\"l1\",\"l2\"]%s}"
                         "}",
                         verbs[i].method, verbs[i].more);
                broker_expect(&broker, expected);
        }
        broker_end(&broker);
}

/* What is none is the broker's to say. */
Test(leases, weights_are_not_judged_here) {
        static const int weights[] = { 0, 100, 101, -1, INT_MAX, INT_MIN };
        const char *const leases[] = { "l1" };
        char expected[256];
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
                broker_say(&broker, "{}");
                cr_assert(
                        zero(int, reuse_client_set_weight(broker.client, leases, 1, weights[i], NULL)));
                snprintf(expected, sizeof(expected),
                         "{\"method\":\"io.reuseportd.SetWeight\",\"parameters\":{\"leases\":[\"l1\"],"
                         "\"weight\":%d}}",
                         weights[i]);
                broker_expect(&broker, expected);
        }
        broker_end(&broker);
}

Test(leases, none_at_all_is_the_brokers_to_judge) {
        const char *const leases[] = { NULL };
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_ready(broker.client, leases, 0, NULL)));
        broker_expect(&broker, "{\"method\":\"io.reuseportd.Ready\",\"parameters\":{\"leases\":[]}}");
        broker_end(&broker);
}
