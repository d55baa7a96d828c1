/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The library and a running broker inside a program's own loop: nothing but poll(2) on what the library
 * names, several calls under way, and events that come when they come.
 */

#include <time.h>

#include "tests/integration/library-kit.h"

TestSuite(library_async, .timeout = 60);

enum {
        EVENTS_MAX = 16,
        CLIENTS_MAX = 2,
};

/* What the handlers of one test were told, in order. */
typedef struct Log {
        char words[EVENTS_MAX][32];
        size_t n;
        reuse_sockets *sockets;
        int continues;
} Log;

static void log_add(Log *log, const char *word) {
        cr_assert(log->n < EVENTS_MAX);
        snprintf(log->words[log->n++], sizeof(log->words[0]), "%s", word);
}

static void expect_log(const Log *log, size_t n, const char *const words[]) {
        cr_assert(eq(sz, log->n, n));
        for (size_t i = 0; i < n; i++)
                KIT_EXPECT_TEXT(log->words[i], words[i]);
}

/* ---- the loop of a
 * program -------------------------------------------------------------------------- */

/* Milliseconds until @due of CLOCK_MONOTONIC, for poll(2); no test waits without end. */
static int poll_timeout(uint64_t due) {
        struct timespec now;
        uint64_t usec;

        clock_gettime(CLOCK_MONOTONIC, &now);
        usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
        if (due <= usec)
                return 0;
        return due - usec > KIT_PATIENCE_MSEC * 1000ULL ? KIT_PATIENCE_MSEC
                                                        : (int)((due - usec + 999) / 1000);
}

/* One turn: waits for any of the clients, and lets each do what it can. Returns the first error. */
static int loop_turn(reuse_client *const clients[], size_t n) {
        struct pollfd p[CLIENTS_MAX];
        uint64_t due = UINT64_MAX;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                uint64_t timeout = reuse_client_get_timeout(clients[i]);

                p[i] = (struct pollfd){ .fd = reuse_client_get_fd(clients[i]),
                                        .events = (short)reuse_client_get_events(clients[i]) };
                due = timeout < due ? timeout : due;
        }
        cr_assert(poll(p, n, poll_timeout(due)) > 0 || due != UINT64_MAX, "nothing happens");
        for (size_t i = 0; i < n && r >= 0; i++)
                while ((r = reuse_client_process(clients[i])) > 0)
                        ;
        return r;
}

/* Turns until the log has @n words. */
static void loop_until(reuse_client *const clients[], size_t n_clients, const Log *log, size_t n) {
        while (log->n < n)
                cr_assert(zero(int, loop_turn(clients, n_clients)));
}

/* ----
 * handlers --------------------------------------------------------------------------------------- */

/* Notes "ok", or the name of the error. */
static int on_reply(reuse_client *client, reuse_reply *reply, void *userdata) {
        const reuse_error *error = reuse_reply_get_error(reply);

        (void)client;
        log_add(userdata, error ? strrchr(reuse_error_get_name(error) ?: ".errno", '.') + 1 : "ok");
        cr_assert(zero(int, reuse_reply_get_continues(reply)));
        return 0;
}

static int on_sockets(reuse_client *client, reuse_reply *reply, void *userdata) {
        Log *log = userdata;

        (void)client;
        cr_assert(reuse_reply_get_error(reply) == NULL);
        log->sockets = reuse_reply_take_sockets(reply);
        cr_assert(log->sockets != NULL);
        cr_assert(reuse_reply_take_sockets(reply) == NULL);
        log_add(log, "sockets");
        return 0;
}

/* Notes what happened; an error as its errno. */
static int on_event(reuse_client *client, reuse_reply *reply, void *userdata) {
        const reuse_error *error = reuse_reply_get_error(reply);
        json_auto_t *parameters = NULL;
        Log *log = userdata;

        (void)client;
        log->continues = reuse_reply_get_continues(reply);
        if (error) {
                log_add(log, strerrorname_np(-reuse_error_get_errno(error)));
                return 0;
        }
        parameters = json_loads(reuse_reply_get_parameters(reply), 0, NULL);
        log_add(log, kit_text(parameters, "event.what"));
        return 0;
}

static int on_reply_fail(reuse_client *client, reuse_reply *reply, void *userdata) {
        (void)client;
        (void)reply;
        log_add(userdata, "failed");
        return -ECANCELED;
}

/* ----
 * refusals --------------------------------------------------------------------------------------- */

Test(library_async, calls_that_are_no_calls) {
        reuse_client *client;
        Log log = { 0 };
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        cr_assert(eq(int, reuse_client_call_async(client, "", NULL, 0, on_reply, &log), -EINVAL));
        cr_assert(eq(int, reuse_client_call_async(client, NULL, NULL, 0, on_reply, &log), -EINVAL));
        cr_assert(eq(int, reuse_client_call_async(client, "List", "[]", 0, on_reply, &log), -EINVAL));
        cr_assert(eq(int, reuse_client_call_async(client, "List", "{", 0, on_reply, &log), -EINVAL));
        cr_assert(eq(int, reuse_client_call_async(client, "List", NULL, 8, on_reply, &log), -EINVAL));
        cr_assert(eq(int, reuse_client_acquire_async(client, NULL, on_sockets, &log), -EINVAL));
        cr_assert(zero(int, reuse_client_process(client)));
        expect_log(&log, 0, NULL);
        /* None of this reached the broker, and the connection is as good as before. */
        cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, on_reply, &log)));
        loop_until(&client, 1, &log, 1);
        expect_log(&log, 1, (const char *const[]){ "ok" });
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_async, refusals_among_the_answers) {
        reuse_request *request = library_request("tcp:192.0.2.1:0");
        reuse_client *client;
        Log log = { 0 };
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        cr_assert(zero(int, reuse_client_call_async(client, "Nothing", NULL, 0, on_reply, &log)));
        cr_assert(zero(int, reuse_client_acquire_async(client, request, on_reply, &log)));
        cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, on_reply, &log)));
        cr_assert(zero(int, reuse_client_call_async(client, "Watch", NULL, 0, on_reply, &log)));
        reuse_request_free(request); /* it was read before the call returned */
        loop_until(&client, 1, &log, 4);
        expect_log(
                &log, 4,
                (const char *const[]){ "MethodNotFound", "AddressUnavailable", "ok", "ExpectedMore" });
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_async, handler_stops_the_loop) {
        reuse_client *client;
        Log log = { 0 };
        Kit kit;
        int r;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, on_reply_fail, &log)));
        cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, on_reply, &log)));
        do
                r = loop_turn(&client, 1);
        while (r == 0);
        cr_assert(eq(int, r, -ECANCELED));
        /* That was the handler's error: the connection goes on. */
        loop_until(&client, 1, &log, 2);
        expect_log(&log, 2, (const char *const[]){ "failed", "ok" });
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_async, broker_goes_while_watched) {
        int n_fds = leaks_count_fds();
        reuse_client *client = NULL;
        Harness harness;
        Log log = { 0 };
        int r;

        harness_start(&harness, KIT_CONFIG);
        cr_assert(zero(int, reuse_client_connect(harness.socket, &client, NULL)));
        cr_assert(zero(int,
                       reuse_client_call_async(client, "Watch", NULL, REUSE_CALL_MORE, on_event, &log)));
        reuse_client_set_reconnect(client, 0);
        /* A watch waits without end. */
        cr_assert(eq(u64, reuse_client_get_timeout(client), UINT64_MAX));
        harness_stop(&harness);
        do
                r = loop_turn(&client, 1);
        while (r == 0);
        cr_assert(eq(int, r, -ECONNRESET));
        expect_log(&log, 1, (const char *const[]){ "ECONNRESET" });
        cr_assert(zero(int, log.continues));
        reuse_client_free(client);
        leaks_expect_fds(n_fds);
}

/* ----
 * answers ---------------------------------------------------------------------------------------- */

Test(library_async, several_calls_under_way) {
        reuse_request *request = library_request("tcp:127.0.0.1:0,sharing=exclusive");
        reuse_client *client;
        Log log = { 0 };
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        cr_assert(zero(int, reuse_client_call_async(client, "GetStatus", NULL, 0, on_reply, &log)));
        cr_assert(zero(int, reuse_client_acquire_async(client, request, on_sockets, &log)));
        cr_assert(zero(int, reuse_client_call_async(client, "List", "{}", 0, on_reply, &log)));
        cr_assert(zero(int, reuse_client_call_async(client, "List", "{}", 0, NULL, NULL)));
        cr_assert(zero(int, reuse_client_call_async(client, "org.varlink.service.GetInfo", NULL, 0,
                                                    on_reply, &log)));
        /* Queuing calls no handler. */
        expect_log(&log, 0, NULL);
        loop_until(&client, 1, &log, 4);
        expect_log(&log, 4, (const char *const[]){ "ok", "sockets", "ok", "ok" });
        kit_expect_served(reuse_sockets_get_fd(log.sockets, 0));
        reuse_sockets_free(log.sockets);
        reuse_request_free(request);
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_async, many_calls_fill_the_connection) {
        enum { N_CALLS = 4000 };
        reuse_client *client;
        Log log = { 0 };
        bool full = false;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        cr_assert(zero(int, kill(kit.harness.pid, SIGSTOP)));
        for (int i = 0; i < N_CALLS; i++) {
                cr_assert(zero(int, reuse_client_call_async(client, "GetStatus", NULL, 0, NULL, NULL)));
                full |= reuse_client_get_events(client) == (POLLIN | POLLOUT);
        }
        cr_assert(full);
        cr_assert(zero(int, kill(kit.harness.pid, SIGCONT)));
        cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, on_reply, &log)));
        loop_until(&client, 1, &log, 1);
        cr_assert(eq(int, reuse_client_get_events(client), POLLIN));
        expect_log(&log, 1, (const char *const[]){ "ok" });
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_async, waiting_call_serves_those_before_it) {
        reuse_client *client;
        Log log = { 0 };
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, on_reply, &log)));
        cr_assert(zero(int, reuse_client_call(client, "GetStatus", NULL, NULL, NULL)));
        expect_log(&log, 1, (const char *const[]){ "ok" });
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_async, free_with_calls_under_way) {
        reuse_client *client;
        Log log = { 0 };
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        for (int i = 0; i < 100; i++)
                cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, on_reply, &log)));
        reuse_client_free(client);
        expect_log(&log, 0, NULL);
        kit_stop(&kit);
}

/* ----
 * events ----------------------------------------------------------------------------------------- */

Test(library_async, events_arrive) {
        reuse_request *request = library_request("tcp:127.0.0.1:0,name=web");
        reuse_client *clients[2]; /* one watches, one acts; one loop */
        Log log = { 0 }, events = { 0 };
        const char *lease;
        Kit kit;

        library_begin(&kit, LIBRARY_CONFIG);
        for (size_t i = 0; i < 2; i++)
                clients[i] = library_connect(&kit);
        /* Answered: the broker knows the connection, so it takes up the watch before the next call. */
        cr_assert(zero(llong, library_number(clients[0], "GetStatus", "leases")));
        cr_assert(zero(int, reuse_client_call_async(clients[0], "Watch", NULL, REUSE_CALL_MORE, on_event,
                                                    &events)));
        cr_assert(zero(llong, library_number(clients[1], "GetStatus", "leases")));

        cr_assert(zero(int, reuse_client_acquire_async(clients[1], request, on_sockets, &log)));
        loop_until(clients, 2, &log, 1);
        loop_until(clients, 2, &events, 1);
        lease = reuse_sockets_get_lease(log.sockets, 0);
        cr_assert(zero(int, reuse_client_release(clients[1], &lease, 1, NULL)));
        loop_until(clients, 2, &events, 3);
        reuse_request_free(request);
        request = library_request("tcp:127.0.0.1:80");
        cr_assert(zero(int, reuse_client_acquire_async(clients[1], request, on_reply, &log)));
        loop_until(clients, 2, &events, 4);
        expect_log(&events, 4, (const char *const[]){ "acquired", "released", "closed", "denied" });
        cr_assert(eq(int, events.continues, 1));

        reuse_sockets_free(log.sockets);
        reuse_request_free(request);
        for (size_t i = 0; i < 2; i++)
                reuse_client_free(clients[i]);
        kit_stop(&kit);
}
