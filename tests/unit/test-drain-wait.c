/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Drain with its wait, against a broker that follows a script in a thread: what must have been heard on
 * which of the two connections before what is said.
 */

#include "tests/unit/broker-script.h"
#include "tests/unit/reconnect-kit.h"

TestSuite(drain_wait, .timeout = 10);

#define GET_INFO "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{}}"
#define LIST "{\"method\":\"io.reuseportd.List\"}"
#define WATCH "{\"method\":\"io.reuseportd.Watch\",\"more\":true}"
#define DRAIN(leases) "{\"method\":\"io.reuseportd.Drain\",\"parameters\":{\"leases\":[" leases "]}}"
#define EVENT(what, lease)                                                                              \
        "{\"continues\":true,\"parameters\":{\"event\":{\"what\":\"" what                               \
        "\",\"timeUsec\":1,\"lease\":\"" lease "\"}}}"
#define OVERFLOW "{\"continues\":true,\"parameters\":{\"event\":{\"what\":\"overflow\",\"timeUsec\":1}}}"
#define NO_LEASE(lease)                                                                                 \
        "{\"error\":\"io.reuseportd.NoSuchLease\",\"parameters\":{\"lease\":\"" lease "\"}}"

enum {
        STEPS_MAX = 16,
};

/* Listening before draining, and nothing drained before it is known that the broker listens. */
/* clang-format off */
#define SUBSCRIBE                                                                                       \
        { SIDE_WATCH, GET_INFO, "{}" },                                                                 \
        { SIDE_WATCH, WATCH, NULL },                                                                    \
        { SIDE_CALLS, GET_INFO, "{}" }
/* clang-format on */

typedef struct Case {
        const char *what;
        uint64_t usec;
        int expected;
        const char *words; /* of the error; NULL: there is none */
        bool holds;        /* the leases are the client's own, so it outlives its broker */
        Step steps[STEPS_MAX];
} Case;

/* Drains l1 and l2. */
static void case_run(const Case *test) {
        static const char *const leases[] = { "l1", "l2" };
        reuse_error *error = NULL;
        Script script;
        Broker broker;
        size_t failed;
        int r;

        broker_start(&broker);
        if (test->holds)
                kit_hold_request(&broker, request_of(2), leases, 2);
        script_begin(&script, test->steps, &broker);
        r = reuse_client_drain_wait(broker.client, leases, 2, test->usec, &error);
        failed = script_end(&script);
        cr_assert(zero(sz, failed), "%s: step %zu", test->what, failed);
        cr_assert(eq(int, r, test->expected), "%s: %s", test->what, reuse_error_get_message(error));
        cr_assert(eq(int, reuse_error_get_errno(error), test->words ? test->expected : 0), "%s",
                  test->what);
        if (test->words)
                cr_assert(ne(ptr, strstr(reuse_error_get_message(error), test->words), NULL), "%s: %s",
                          test->what, reuse_error_get_message(error));
        reuse_error_free(error);
        broker_end(&broker);
}

/* ---- what fails ---- */

static const Case failures[] = {
        { "the watch is refused",
          REUSE_TIMEOUT_INFINITE,
          -ENOSYS,
          "io.reuseportd.Watch",
          false,
          { SUBSCRIBE,
            { SIDE_WATCH, NULL,
              "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
              "\"io.reuseportd.Watch\"}}" },
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" } } },
        { "no further connection is given",
          REUSE_TIMEOUT_INFINITE,
          -EDQUOT,
          "the limit of 4 connections",
          false,
          { { SIDE_WATCH, GET_INFO,
              "{\"error\":\"io.reuseportd.QuotaExceeded\",\"parameters\":{\"resource\":\"connections\","
              "\"limit\":4}}" } } },
        { "the drain is refused",
          REUSE_TIMEOUT_INFINITE,
          -ENOENT,
          "no lease \"l2\"",
          false,
          { SUBSCRIBE, { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), NO_LEASE("l2") } } },
        { "time is over",
          0,
          -ETIMEDOUT,
          "at 2 of 2 sockets",
          false,
          { SUBSCRIBE, { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" } } },
        { "time is over for one of the two",
          0,
          -ETIMEDOUT,
          "at 1 of 2 sockets",
          false,
          { SUBSCRIBE,
            { SIDE_WATCH, NULL, EVENT("drained", "l2") },
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" } } },
        { "events of others are not enough",
          0,
          -ETIMEDOUT,
          "at 2 of 2 sockets",
          false,
          { SUBSCRIBE,
            { SIDE_WATCH, NULL, EVENT("drained", "l3") },
            { SIDE_WATCH, NULL, EVENT("readied", "l1") },
            { SIDE_WATCH, NULL, EVENT("stalled", "l2") },
            { SIDE_WATCH, NULL,
              "{\"continues\":true,\"parameters\":{\"event\":{\"what\":\"drained\",\"timeUsec\":1}}}" },
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" } } },
        { "the broker goes while it is waited for",
          REUSE_TIMEOUT_INFINITE,
          -ECONNRESET,
          "hung up",
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, EVENT("drained", "l1") },
            { SIDE_WATCH, NULL, HANG_UP } } },
        { "no event at all",
          REUSE_TIMEOUT_INFINITE,
          -EPROTO,
          "not an event",
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, "{\"continues\":true,\"parameters\":{\"event\":{\"what\":1}}}" } } },
        { "the last event",
          REUSE_TIMEOUT_INFINITE,
          -EPROTO,
          "not an event",
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL,
              "{\"parameters\":{\"event\":{\"what\":\"drained\",\"timeUsec\":1}}}" } } },
        { "events were lost, and to ask again fails",
          REUSE_TIMEOUT_INFINITE,
          -EOPNOTSUPP,
          "no longer",
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, OVERFLOW },
            { SIDE_CALLS, DRAIN("\"l1\""),
              "{\"error\":\"io.reuseportd.NotSupported\",\"parameters\":{\"feature\":\"Drain\","
              "\"reason\":\"no longer\"}}" } } },
};

Test(drain_wait, failures) {
        for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
                case_run(&failures[i]);
}

Test(drain_wait, nobody_to_listen_to) {
        const char *const leases[] = { "l1" };
        Broker broker;

        broker_start(&broker);
        close(broker.listener);
        broker.listener = -1;
        cr_assert(eq(int, reuse_client_drain_wait(broker.client, leases, 1, 0, NULL), -ECONNREFUSED));
        broker_expect_silence(&broker);
        broker_end(&broker);
}

/* ---- what is waited for ---- */

static const Case successes[] = {
        { "the broker goes meanwhile, and another is asked for the rest",
          REUSE_TIMEOUT_INFINITE,
          0,
          NULL,
          true,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, EVENT("drained", "l1") },
            { SIDE_WATCH, NULL, HANG_UP },
            { SIDE_WATCH_AGAIN, GET_INFO, "{}" },
            { SIDE_WATCH_AGAIN, WATCH, NULL },
            { SIDE_CALLS, DRAIN("\"l2\""), "{}" },
            { SIDE_WATCH_AGAIN, NULL, EVENT("drained", "l2") } } },
        { "both are drained, one before the other",
          REUSE_TIMEOUT_INFINITE,
          0,
          NULL,
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, EVENT("acquired", "l9") },
            { SIDE_WATCH, NULL, EVENT("drained", "l2") },
            { SIDE_WATCH, NULL, EVENT("drained", "l2") },
            { SIDE_WATCH, NULL, EVENT("drained", "l1") } } },
        { "the events come before the answer",
          REUSE_TIMEOUT_INFINITE,
          0,
          NULL,
          false,
          { SUBSCRIBE,
            { SIDE_WATCH, NULL, EVENT("drained", "l1") },
            { SIDE_WATCH, NULL, EVENT("drained", "l2") },
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" } } },
        { "one holder is gone",
          REUSE_TIMEOUT_INFINITE,
          0,
          NULL,
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, EVENT("released", "l1") },
            { SIDE_WATCH, NULL, EVENT("drained", "l2") } } },
        { "events were lost: those that are left are asked for again",
          REUSE_TIMEOUT_INFINITE,
          0,
          NULL,
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, EVENT("drained", "l1") },
            { SIDE_WATCH, NULL, OVERFLOW },
            { SIDE_CALLS, DRAIN("\"l2\""), "{}" },
            { SIDE_WATCH, NULL, EVENT("drained", "l2") } } },
        { "events were lost, that of a holder's end among them",
          REUSE_TIMEOUT_INFINITE,
          0,
          NULL,
          false,
          { SUBSCRIBE,
            { SIDE_CALLS, DRAIN("\"l1\",\"l2\""), "{}" },
            { SIDE_WATCH, NULL, OVERFLOW },
            { SIDE_CALLS, DRAIN("\"l1\""), NO_LEASE("l1") },
            { SIDE_CALLS, DRAIN("\"l2\""), NO_LEASE("l2") } } },
};

Test(drain_wait, successes) {
        for (size_t i = 0; i < sizeof(successes) / sizeof(successes[0]); i++)
                case_run(&successes[i]);
}

/* A time that is over is no fault of the connection. */
Test(drain_wait, connection_is_good_after_a_timeout) {
        static const Step steps[] = {
                SUBSCRIBE,
                { SIDE_CALLS, DRAIN("\"l1\""), "{}" },
                { SIDE_CALLS, LIST, "{}" },
                { SIDE_NONE, NULL, NULL },
        };
        const char *const leases[] = { "l1" };
        Script script;
        Broker broker;

        broker_start(&broker);
        script_begin(&script, steps, &broker);
        cr_assert(eq(int, reuse_client_drain_wait(broker.client, leases, 1, 0, NULL), -ETIMEDOUT));
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        cr_assert(zero(sz, script_end(&script)));
        broker_end(&broker);
}
