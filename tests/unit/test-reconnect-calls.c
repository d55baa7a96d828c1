/* SPDX-License-Identifier: BSD-2-Clause */

/* What becomes of the calls of a client that holds something, when its broker hangs up. */

#include "tests/unit/reconnect-kit.h"

TestSuite(reconnect_calls, .timeout = 20);

#define LIST "{\"method\":\"io.reuseportd.List\"}"
#define GET_INFO "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{}}"
#define WATCH "{\"method\":\"io.reuseportd.Watch\",\"more\":true}"

/* ---- calls meanwhile ---- */

Test(reconnect_calls, time_of_a_call_is_over_meanwhile) {
        reuse_error *error = NULL;
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        reuse_client_set_reconnect(broker.client, REUSE_TIMEOUT_INFINITE);
        reuse_client_set_timeout(broker.client, 1000);
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error), -ETIMEDOUT));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "not back in time"), NULL));
        reuse_error_free(error);
        /* That call alone has failed. */
        reuse_client_set_timeout(broker.client, REUSE_TIMEOUT_INFINITE);
        kit_listen_again(&broker);
        kit_await(&broker);
        kit_answer_resume(&broker, KIT_RESUMED("l0"));
        broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        kit_expect(&broker, LIST);
        expect_text(notices.text, "lost resumed:l0 back");
        kit_end(&broker, &notices);
}

Test(reconnect_calls, calls_are_made_again_in_their_order) {
        char seen[256] = "";
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", "{\"endpoint\":\"a\"}", 0,
                                                    kit_see, seen)));
        cr_assert(
                zero(int, reuse_client_call_async(broker.client, "GetStatus", NULL, 0, kit_see, seen)));
        kit_come_back(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", "{\"endpoint\":\"b\"}", 0,
                                                    kit_see, seen)));
        kit_expect_resume(&broker);
        broker_expect_silence(&broker);
        kit_answer(&broker, KIT_RESUMED("l0"));
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", "{\"endpoint\":\"c\"}", 0,
                                                    kit_see, seen)));
        kit_expect(&broker, "{\"method\":\"io.reuseportd.List\",\"parameters\":{\"endpoint\":\"a\"}}");
        kit_expect(&broker, "{\"method\":\"io.reuseportd.GetStatus\"}");
        kit_expect(&broker, "{\"method\":\"io.reuseportd.List\",\"parameters\":{\"endpoint\":\"b\"}}");
        kit_expect(&broker, "{\"method\":\"io.reuseportd.List\",\"parameters\":{\"endpoint\":\"c\"}}");
        broker_say(&broker, "{}");
        broker_say(&broker,
                   "{\"error\":\"io.reuseportd.PolicyDenied\",\"parameters\":{\"reason\":\"\"}}");
        broker_say(&broker,
                   "{\"error\":\"io.reuseportd.NoSuchEndpoint\",\"parameters\":{\"endpoint\":\"\"}}");
        kit_answer(&broker, "{}");
        expect_text(seen, "0 -13 -2 0");
        kit_end(&broker, &notices);
}

/* Whoever answers, nothing comes of it but the answer: so it needs no lease to be asked of the next. */
Test(reconnect_calls, calls_that_only_read_are_made_again) {
        static const char *const methods[] = {
                "io.reuseportd.List",
                "io.reuseportd.GetStatus",
                "io.reuseportd.Explain",
                "org.varlink.service.GetInfo",
                "org.varlink.service.GetInterfaceDescription",
        };
        char call[128], seen[256] = "";
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
                snprintf(call, sizeof(call), "{\"method\":\"%s\",\"parameters\":{\"a\":1}}", methods[i]);
                seen[0] = '\0';
                cr_assert(zero(int, reuse_client_call_async(broker.client, methods[i], "{\"a\":1}", 0,
                                                            kit_see, seen)));
                kit_expect(&broker, call);
                kit_come_back(&broker);
                /* A refusal of the connection would be the answer to the first call. */
                kit_expect(&broker, GET_INFO);
                broker_expect_silence(&broker);
                kit_answer(&broker, "{}");
                kit_expect(&broker, call);
                expect_text(seen, "");
                kit_answer(&broker, "{}");
                expect_text(seen, "0");
        }
        broker_end(&broker);
}

/* What hung up before it was asked, too: nobody polls a connection that does nothing. */
Test(reconnect_calls, hang_up_while_idle) {
        char seen[256] = "";
        Broker broker;

        broker_start(&broker);
        broker_hang_up(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        cr_assert(zero(int, client_settle(broker.client)));
        broker_accept(&broker);
        kit_expect(&broker, GET_INFO);
        kit_answer(&broker, "{}");
        kit_expect(&broker, LIST);
        kit_answer(&broker, "{}");
        expect_text(seen, "0");
        broker_end(&broker);
}

Test(reconnect_calls, what_may_be_done_is_not_made_again) {
        reuse_request *request = request_of(1);
        char seen[256] = "";
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        cr_assert(zero(int, reuse_request_set_lifetime(request, "process")));
        cr_assert(zero(int, reuse_client_acquire_async(broker.client, request, kit_see, seen)));
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Acquire",
                                                    "{\"sockets\":[],\"lifetime\":\"process\"}", 0,
                                                    kit_see, seen)));
        cr_assert(zero(int, reuse_client_call_async(broker.client, "org.example.Method", NULL, 0,
                                                    kit_see, seen)));
        kit_come_back(&broker);
        expect_text(seen, "-104 -104 -104");
        /* One that would be gone with the connection is. */
        cr_assert(zero(int, reuse_request_set_lifetime(request, "connection")));
        cr_assert(zero(int, reuse_client_acquire_async(broker.client, request, kit_see, seen)));
        broker_hang_up(&broker);
        kit_await(&broker);
        kit_answer_resume(&broker, KIT_RESUMED("l0"));
        kit_expect(&broker, "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{"
                            "\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"}],\"lifetime\":"
                            "\"connection\"}}");
        reuse_request_free(request);
        kit_end(&broker, &notices);
}

Test(reconnect_calls, call_that_the_broker_dies_of) {
        char seen[256] = "";
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        for (int i = 0; i < 3; i++) {
                kit_hear(&broker);
                expect_text(seen, "");
                kit_resume(&broker, KIT_RESUMED("l0"));
        }
        broker_expect_silence(&broker);
        expect_text(seen, "-104");
        kit_end(&broker, &notices);
}

Test(reconnect_calls, hang_up_while_the_leases_are_settled) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        broker_hang_up(&broker);
        for (int i = 0; i < 3; i++) {
                cr_assert(zero(int, kit_run(&broker)));
                broker_hang_up(&broker);
                broker_accept(&broker);
                if (i < 2)
                        broker_hang_up(&broker);
        }
        cr_assert(zero(int, kit_run(&broker)));
        kit_answer_resume(&broker, KIT_RESUMED("l0"));
        expect_text(notices.text, "lost resumed:l0 back");
        kit_end(&broker, &notices);
}

Test(reconnect_calls, full_broker_is_tried_again) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_come_back(&broker);
        broker_say(&broker, KIT_REFUSAL);
        broker_hang_up(&broker);
        kit_await(&broker);
        kit_answer_resume(&broker, KIT_RESUMED("l0"));
        expect_text(notices.text, "lost resumed:l0 back");
        kit_end(&broker, &notices);
}

/* ---- a Watch ---- */

static int see_event(reuse_client *client, reuse_reply *reply, void *userdata) {
        const char *parameters = reuse_reply_get_parameters(reply);
        char *last = userdata;

        (void)client;
        cr_assert(eq(int, reuse_reply_get_continues(reply), parameters != NULL));
        snprintf(last, 256, "%s", parameters ?: "none");
        return 0;
}

Test(reconnect_calls, watch_goes_on_with_an_overflow) {
        char last[256] = "";
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Watch", NULL, REUSE_CALL_MORE,
                                                    see_event, last)));
        kit_expect(&broker, WATCH);
        for (int i = 0; i < 5; i++) {
                last[0] = '\0';
                kit_come_back(&broker);
                /* A refusal of the connection would be the answer to the first call. */
                kit_expect(&broker, GET_INFO);
                broker_expect_silence(&broker);
                kit_answer(&broker, "{}");
                kit_expect(&broker, WATCH);
                cr_assert(ne(ptr, strstr(last, "\"overflow\""), NULL), "%s", last);
                cr_assert(ne(ptr, strstr(last, "\"timeUsec\":"), NULL), "%s", last);
                kit_answer(&broker, "{\"parameters\":{\"event\":1},\"continues\":true}");
                expect_text(last, "{\"event\":1}");
        }
        reuse_client_set_reconnect(broker.client, 0);
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        expect_text(last, "none");
        broker_end(&broker);
}
