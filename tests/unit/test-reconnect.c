/* SPDX-License-Identifier: BSD-2-Clause */

/* A broker that hangs up on a client that is not to come back, or comes back to nobody. */

#include "tests/unit/reconnect-kit.h"

TestSuite(reconnect, .timeout = 20);

static void expect_ended(Broker *broker) {
        cr_assert(eq(int, reuse_client_process(broker->client), -ENOTCONN));
        cr_assert(eq(int, reuse_client_wait(broker->client, 0), -ENOTCONN));
        cr_assert(eq(int, reuse_client_get_fd(broker->client), -ENOTCONN));
        cr_assert(eq(int, reuse_client_get_connection(broker->client), -ENOTCONN));
        cr_assert(eq(int, reuse_client_call(broker->client, "List", NULL, NULL, NULL), -ENOTCONN));
}

/* Nobody has connected again. */
static void expect_no_return(Broker *broker) {
        cr_assert(eq(int, accept(broker->listener, NULL, NULL), -1));
        cr_assert(eq(int, errno, EAGAIN));
}

/* ---- what is not made anew ---- */

Test(reconnect, wrong_arguments) {
        reuse_client_set_reconnect(NULL, 1);
        reuse_client_set_notice_handler(NULL, kit_note, NULL);
        cr_assert(eq(int, reuse_client_get_connection(NULL), -EINVAL));
        cr_assert(zero(uint, reuse_notice_get_what(NULL)));
        cr_assert(eq(ptr, (void *)reuse_notice_get_lease(NULL), NULL));
        cr_assert(eq(ptr, (void *)reuse_notice_get_error(NULL), NULL));
        cr_assert(eq(ptr, reuse_notice_take_sockets(NULL), NULL));
}

Test(reconnect, turned_off) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        reuse_client_set_reconnect(broker.client, 0);
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        expect_ended(&broker);
        expect_no_return(&broker);
        cr_assert(zero(sz, notices.n));
        kit_end(&broker, &notices);
}

Test(reconnect, nothing_is_held) {
        Broker broker;

        broker_start(&broker);
        kit_hold(&broker);
        broker_say(&broker, "{}");
        cr_assert(
                zero(int, reuse_client_release(broker.client, (const char *const[]){ "l0" }, 1, NULL)));
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        expect_no_return(&broker);
        broker_end(&broker);
}

Test(reconnect, violation_ends_the_connection) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        broker_say(&broker, "not JSON");
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -EPROTO));
        expect_ended(&broker);
        expect_no_return(&broker);
        kit_end(&broker, &notices);
}

Test(reconnect, late_answer_ends_the_connection) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        reuse_client_set_timeout(broker.client, 1000);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL), -ETIMEDOUT));
        expect_ended(&broker);
        expect_no_return(&broker);
        kit_end(&broker, &notices);
}

/* Whether they were done, nobody knows; and the client has nothing that it would come back for. */
Test(reconnect, calls_that_change_something_are_not_waited_for) {
        static const struct {
                const char *method, *parameters;
        } calls[] = {
                { "Ready", "{\"leases\":[\"l9\"]}" },
                { "Drain", "{\"leases\":[\"l9\"]}" },
                { "SetWeight", "{\"leases\":[\"l9\"],\"weight\":1}" },
                { "Release", "{\"leases\":[\"l9\"]}" },
                { "Acquire", "{\"sockets\":[]}" },
                { "Resume", "{\"leases\":[]}" },
                { "TakeOver", "{}" },
                { "Watch", "{}" }, /* without parts to come it is refused */
                { "org.example.Method", "{}" },
        };

        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                char seen[256] = "";
                Broker broker;

                broker_start(&broker);
                cr_assert(zero(int, reuse_client_call_async(broker.client, calls[i].method,
                                                            calls[i].parameters, 0, kit_see, seen)));
                broker_hang_up(&broker);
                cr_assert(eq(int, client_settle(broker.client), -ECONNRESET), "%s", calls[i].method);
                expect_text(seen, "-104");
                expect_no_return(&broker);
                broker_end(&broker);
        }
}

/* ---- nobody comes back ---- */

Test(reconnect, nobody_comes_back_for_who_only_reads) {
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        reuse_client_set_timeout(broker.client, KIT_SHORT_USEC);
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error), -ETIMEDOUT));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "not back in time"), NULL), "%s",
                  reuse_error_get_message(error));
        reuse_error_free(error);
        broker_end(&broker);
}

Test(reconnect, nobody_comes_back) {
        char seen[256] = "";
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        reuse_client_set_reconnect(broker.client, KIT_SHORT_USEC);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(eq(int, kit_run(&broker), -ECONNRESET));
        expect_text(seen, "-104");
        expect_text(notices.text, "lost");
        expect_ended(&broker);
        kit_end(&broker, &notices);
}

Test(reconnect, call_says_that_nobody_came_back) {
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        kit_hold(&broker);
        reuse_client_set_reconnect(broker.client, KIT_SHORT_USEC);
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error), -ECONNRESET));
        cr_assert(ne(ptr,
                     strstr(reuse_error_get_message(error), "none has come back in time: no broker"),
                     NULL),
                  "%s", reuse_error_get_message(error));
        reuse_error_free(error);
        broker_end(&broker);
}

Test(reconnect, next_broker_does_not_answer) {
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        kit_hold(&broker);
        reuse_client_set_reconnect(broker.client, KIT_SHORT_USEC);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error), -ECONNRESET));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "does not answer"), NULL), "%s",
                  reuse_error_get_message(error));
        reuse_error_free(error);
        broker_end(&broker);
}

Test(reconnect, next_broker_is_full_for_good) {
        char seen[256] = "";
        Notices notices;
        Broker broker;
        int n = 0, r;

        kit_start(&broker, &notices);
        reuse_client_set_reconnect(broker.client, KIT_SHORT_USEC);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        broker_hang_up(&broker);
        while ((r = kit_run(&broker)) == 0) {
                broker_hang_up(&broker);
                broker_accept(&broker);
                broker_say(&broker, KIT_REFUSAL);
                broker_hang_up(&broker);
                n++;
        }
        cr_assert(eq(int, r, -ECONNRESET));
        cr_assert(ge(int, n, 1));
        expect_text(seen, "-104");
        expect_text(notices.text, "lost");
        kit_end(&broker, &notices);
}

Test(reconnect, freed_while_nobody_is_there) {
        char seen[256] = "";
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_process(broker.client), 1));
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        broker.client = reuse_client_free(broker.client);
        expect_text(notices.text, "");
        expect_text(seen, "");
        kit_end(&broker, &notices);
}
