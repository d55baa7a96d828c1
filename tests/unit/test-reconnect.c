/* SPDX-License-Identifier: BSD-2-Clause */

/* A broker that hangs up on a client that holds something, and what becomes of its calls. */

#include <sys/epoll.h>

#include "tests/unit/reconnect-kit.h"

TestSuite(reconnect, .timeout = 20);

#define LIST "{\"method\":\"io.reuseportd.List\"}"
#define GET_INFO "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{}}"
#define WATCH "{\"method\":\"io.reuseportd.Watch\",\"more\":true}"

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

/* ---- calls meanwhile ---- */

Test(reconnect, time_of_a_call_is_over_meanwhile) {
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
        cr_assert(zero(int, kit_run(&broker)));
        broker_accept(&broker);
        kit_expect_resume(&broker);
        broker_say(&broker, KIT_RESUMED("l0"));
        cr_assert(zero(int, client_settle(broker.client)));
        broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        kit_expect(&broker, LIST);
        expect_text(notices.text, "lost resumed:l0 back");
        kit_end(&broker, &notices);
}

Test(reconnect, calls_are_made_again_in_their_order) {
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
        broker_say(&broker, KIT_RESUMED("l0"));
        cr_assert(zero(int, client_settle(broker.client)));
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
        broker_say(&broker, "{}");
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(seen, "0 -13 -2 0");
        kit_end(&broker, &notices);
}

/* Whoever answers, nothing comes of it but the answer: so it needs no lease to be asked of the next. */
Test(reconnect, calls_that_only_read_are_made_again) {
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
                broker_say(&broker, "{}");
                cr_assert(zero(int, client_settle(broker.client)));
                kit_expect(&broker, call);
                expect_text(seen, "");
                broker_say(&broker, "{}");
                cr_assert(zero(int, client_settle(broker.client)));
                expect_text(seen, "0");
        }
        broker_end(&broker);
}

/* What hung up before it was asked, too: nobody polls a connection that does nothing. */
Test(reconnect, hang_up_while_idle) {
        char seen[256] = "";
        Broker broker;

        broker_start(&broker);
        broker_hang_up(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        cr_assert(zero(int, client_settle(broker.client)));
        broker_accept(&broker);
        kit_expect(&broker, GET_INFO);
        broker_say(&broker, "{}");
        cr_assert(zero(int, client_settle(broker.client)));
        kit_expect(&broker, LIST);
        broker_say(&broker, "{}");
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(seen, "0");
        broker_end(&broker);
}

Test(reconnect, what_may_be_done_is_not_made_again) {
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
        cr_assert(zero(int, kit_run(&broker)));
        broker_accept(&broker);
        kit_expect_resume(&broker);
        broker_say(&broker, KIT_RESUMED("l0"));
        cr_assert(zero(int, client_settle(broker.client)));
        kit_expect(&broker, "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{"
                            "\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"}],\"lifetime\":"
                            "\"connection\"}}");
        reuse_request_free(request);
        kit_end(&broker, &notices);
}

Test(reconnect, call_that_the_broker_dies_of) {
        char seen[256] = "";
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        for (int i = 0; i < 3; i++) {
                kit_hear(&broker);
                expect_text(seen, "");
                kit_come_back(&broker);
                kit_expect_resume(&broker);
                broker_say(&broker, KIT_RESUMED("l0"));
                cr_assert(zero(int, client_settle(broker.client)));
        }
        broker_expect_silence(&broker);
        expect_text(seen, "-104");
        kit_end(&broker, &notices);
}

Test(reconnect, hang_up_while_the_leases_are_settled) {
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
        kit_expect_resume(&broker);
        broker_say(&broker, KIT_RESUMED("l0"));
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(notices.text, "lost resumed:l0 back");
        kit_end(&broker, &notices);
}

Test(reconnect, full_broker_is_tried_again) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_come_back(&broker);
        broker_say(&broker, KIT_REFUSAL);
        broker_hang_up(&broker);
        cr_assert(zero(int, kit_run(&broker)));
        broker_accept(&broker);
        kit_expect_resume(&broker);
        broker_say(&broker, KIT_RESUMED("l0"));
        cr_assert(zero(int, client_settle(broker.client)));
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

Test(reconnect, watch_goes_on_with_an_overflow) {
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
                broker_say(&broker, "{}");
                cr_assert(zero(int, client_settle(broker.client)));
                kit_expect(&broker, WATCH);
                cr_assert(ne(ptr, strstr(last, "\"overflow\""), NULL), "%s", last);
                cr_assert(ne(ptr, strstr(last, "\"timeUsec\":"), NULL), "%s", last);
                broker_say(&broker, "{\"parameters\":{\"event\":1},\"continues\":true}");
                cr_assert(zero(int, client_settle(broker.client)));
                expect_text(last, "{\"event\":1}");
        }
        reuse_client_set_reconnect(broker.client, 0);
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        expect_text(last, "none");
        broker_end(&broker);
}

/* ---- handlers ---- */

Test(reconnect, result_of_a_handler_is_passed_on) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        notices.result = -ECANCELED;
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECANCELED));
        notices.result = 0;
        cr_assert(zero(int, client_settle(broker.client)));
        broker_accept(&broker);
        kit_expect_resume(&broker);
        kit_end(&broker, &notices);
}

static int free_other(reuse_client *client, reuse_notice *notice, void *userdata) {
        reuse_client **other = userdata;

        (void)client;
        (void)notice;
        *other = reuse_client_free(*other);
        return 0;
}

Test(reconnect, handler_frees_another_client) {
        reuse_client *other = NULL;
        Broker broker;

        broker_start(&broker);
        kit_hold(&broker);
        cr_assert(zero(int, reuse_client_connect(broker.path, &other, NULL)));
        close(accept(broker.listener, NULL, NULL));
        reuse_client_set_notice_handler(broker.client, free_other, &other);
        broker_hang_up(&broker);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(ptr, other, NULL));
        broker_end(&broker);
}

static int drop_handler(reuse_client *client, reuse_notice *notice, void *userdata) {
        (void)notice;
        (*(int *)userdata)++;
        reuse_client_set_notice_handler(client, NULL, NULL);
        return 0;
}

Test(reconnect, handler_takes_itself_away) {
        Broker broker;
        int n = 0;

        broker_start(&broker);
        kit_hold(&broker);
        reuse_client_set_notice_handler(broker.client, drop_handler, &n);
        kit_come_back(&broker);
        kit_expect_resume(&broker);
        broker_say(&broker, KIT_RESUMED("l0"));
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, n, 1));
        broker_end(&broker);
}

/* ---- the loop of a program ---- */

static int poll_once(int fd) {
        struct epoll_event event;

        return epoll_wait(fd, &event, 1, 0);
}

Test(reconnect, descriptor_is_registered_once) {
        struct epoll_event event = { .events = EPOLLIN };
        Notices notices;
        Broker broker;
        int fd, loop;

        kit_start(&broker, &notices);
        loop = epoll_create1(EPOLL_CLOEXEC);
        fd = reuse_client_get_fd(broker.client);
        cr_assert(zero(int, epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event)));
        for (int i = 0; i < 3; i++) {
                cr_assert(zero(int, poll_once(loop)));
                broker_hang_up(&broker);
                cr_assert(eq(int, poll_once(loop), 1));
                cr_assert(zero(int, client_settle(broker.client)));
                cr_assert(zero(int, poll_once(loop)));
                broker_accept(&broker);
                kit_expect_resume(&broker);
                broker_say(&broker, KIT_RESUMED("l0"));
                cr_assert(eq(int, poll_once(loop), 1));
                cr_assert(zero(int, client_settle(broker.client)));
                cr_assert(eq(int, reuse_client_get_fd(broker.client), fd));
                cr_assert(eq(int, reuse_client_get_events(broker.client), POLLIN));
        }
        /* While nobody is there it is the time that counts. */
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(zero(int, poll_once(loop)));
        cr_assert(zero(int, reuse_client_get_events(broker.client)));
        cr_assert(eq(int, reuse_client_get_fd(broker.client), fd));
        cr_assert(eq(int, reuse_client_get_connection(broker.client), -ENOTCONN));
        cr_assert(lt(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));
        close(loop);
        kit_end(&broker, &notices);
}

Test(reconnect, descriptor_tells_of_room_to_send) {
        static char text[60 * 1024];
        struct epoll_event event = { .events = EPOLLIN };
        char seen[256] = "";
        Broker broker;
        int loop;

        broker_start(&broker);
        loop = epoll_create1(EPOLL_CLOEXEC);
        strcpy(text, "{\"a\":\"");
        memset(text + 6, 'a', 50 * 1024);
        strcat(text, "\"}");
        cr_assert(zero(int, epoll_ctl(loop, EPOLL_CTL_ADD, reuse_client_get_fd(broker.client), &event)));
        while (reuse_client_get_events(broker.client) == POLLIN)
                cr_assert(zero(int,
                               reuse_client_call_async(broker.client, "List", text, 0, kit_see, seen)));
        cr_assert(zero(int, poll_once(loop)));
        while (reuse_client_get_events(broker.client) != POLLIN) {
                while (recv(broker.peer, text, sizeof(text), 0) > 0)
                        ;
                cr_assert(eq(int, poll_once(loop), 1));
                cr_assert(zero(int, client_settle(broker.client)));
        }
        cr_assert(zero(int, poll_once(loop)));
        close(loop);
        broker_end(&broker);
}

/* A child that was forked meanwhile has the old connection, too. */
Test(reconnect, copy_of_the_old_connection_is_not_polled) {
        Notices notices;
        struct pollfd pollfd = { .events = POLLIN };
        Broker broker;
        int copy;

        kit_start(&broker, &notices);
        pollfd.fd = reuse_client_get_fd(broker.client);
        cr_assert(ne(int, reuse_client_get_connection(broker.client), pollfd.fd));
        copy = dup(reuse_client_get_connection(broker.client));
        kit_come_back(&broker);
        kit_expect_resume(&broker);
        cr_assert(zero(int, poll(&pollfd, 1, 0)));
        close(copy);
        kit_end(&broker, &notices);
}
