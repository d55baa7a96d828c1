/* SPDX-License-Identifier: BSD-2-Clause */

/* Connections under way: their deadlines, giving them up, and what else goes on meanwhile. */

#include "tests/unit/outgoing-kit.h"

TestSuite(outgoing_loop, .timeout = 30);

/* ---- the time, and giving up ---- */

Test(outgoing_loop, s1_19_deadline_before_the_answer) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        cr_assert(eq(int,
                     reuse_client_dial(broker.client, "tcp", target.text, NULL, NULL, KIT_SHORT_USEC,
                                       &outgoing, &error),
                     -ETIMEDOUT));
        kit_expect_error(error, -ETIMEDOUT, "the broker has given no socket");
        /* The answer that comes after all is nobody's, and the connection is as good as it was. */
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_loop, s1_19_deadline_half_open) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_silent_target(AF_INET);
        broker_say(&broker, KIT_ANSWER_IN_USE);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(eq(int,
                     reuse_client_dial(broker.client, "tcp", target.text, NULL, NULL,
                                       10 * KIT_SHORT_USEC, &outgoing, &error),
                     -ETIMEDOUT));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), target.text), NULL));
        /* The second attempt has no time of its own. */
        kit_expect_error(error, -ETIMEDOUT, "before that: 127.0.0.1:1 is in use");
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_loop, s1_19_no_time_at_all) {
        reuse_outgoing *outgoing = NULL;
        Broker broker;

        broker_start(&broker);
        cr_assert(eq(
                int,
                reuse_client_dial(broker.client, "tcp", "127.0.0.1:1", NULL, NULL, 0, &outgoing, NULL),
                -ETIMEDOUT));
        broker_expect_silence(&broker);
        broker_end(&broker);
}

Test(outgoing_loop, s1_19_cancel_before_the_answer) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;

        broker_start(&broker);
        outgoing = kit_dial_async(&broker, "127.0.0.1:1", NULL, KIT_LONG_USEC, &told);
        cr_assert(eq(int, reuse_outgoing_get_fd(outgoing), -EINPROGRESS));
        cr_assert(eq(int, reuse_outgoing_take_fd(outgoing), -EINPROGRESS));
        cr_assert(eq(int, reuse_outgoing_get_reused(outgoing), -EINPROGRESS));
        cr_assert(eq(ptr, (void *)reuse_outgoing_get_error(outgoing), NULL));
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        cr_assert(zero(int, told.n));
        cr_assert(zero(u64, reuse_client_get_timeout(broker.client)));
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, told.n, 1));
        cr_assert(eq(int, told.number, -ECANCELED));
        cr_assert(eq(int, reuse_outgoing_get_fd(outgoing), -ECANCELED));
        cr_assert(ne(ptr,
                     strstr(reuse_error_get_message(reuse_outgoing_get_error(outgoing)), "canceled"),
                     NULL));
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, told.n, 1));
        reuse_outgoing_free(outgoing);
        broker_end(&broker);
}

Test(outgoing_loop, s1_19_cancel_half_open) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target target;
        int n_fds;

        broker_start(&broker);
        target = kit_silent_target(AF_INET);
        cr_assert(ge(int, reuse_client_get_fd(broker.client), 0));
        n_fds = leaks_count_fds();
        outgoing = kit_dial_async(&broker, target.text, NULL, REUSE_TIMEOUT_INFINITE, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(zero(int, told.n));
        cr_assert(eq(int, leaks_count_fds(), n_fds + 1));
        cr_assert(eq(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        cr_assert(eq(int, leaks_count_fds(), n_fds));
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, told.number, -ECANCELED));
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* Also where nobody was told of the success yet. */
Test(outgoing_loop, s1_19_cancel_after_success) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        outgoing = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        while (reuse_outgoing_get_fd(outgoing) == -EINPROGRESS)
                cr_assert(ge(int, reuse_client_process(broker.client), 0));
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing)));
        kit_expect_served(&target, outgoing);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_loop, freed_at_any_time) {
        Told told = { 0 };
        reuse_outgoing *outgoing;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_silent_target(AF_INET);
        /* Before the answer. */
        reuse_outgoing_free(kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told));
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        /* Half open. */
        outgoing = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        reuse_outgoing_free(outgoing);
        /* Settled, but not told. */
        outgoing = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        reuse_outgoing_cancel(outgoing);
        reuse_outgoing_free(outgoing);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(zero(int, told.n));
        /* By its handler. */
        told.frees = true;
        broker_say(&broker, KIT_ANSWER_DENIED);
        (void)kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, told.n, 1));
        kit_target_end(&target);
        broker_end(&broker);
}

/* The client goes first, with one that is asked for, one half open and one settled. */
Test(outgoing_loop, client_is_freed_first) {
        reuse_outgoing *outgoing[3];
        Told told = { 0 };
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_silent_target(AF_INET);
        outgoing[0] = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        outgoing[1] = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        outgoing[2] = kit_dial_async(&broker, target.text, NULL, 0, &told);
        broker.client = reuse_client_free(broker.client);
        cr_assert(zero(int, told.n));
        cr_assert(eq(int, reuse_outgoing_get_fd(outgoing[0]), -ECANCELED));
        cr_assert(eq(int, reuse_outgoing_get_fd(outgoing[1]), -ECANCELED));
        cr_assert(eq(int, reuse_outgoing_get_fd(outgoing[2]), -ETIMEDOUT));
        for (size_t i = 0; i < 3; i++)
                reuse_outgoing_free(outgoing[i]);
        kit_target_end(&target);
        broker_end(&broker);
}

/* ---- in a loop ---- */

/* The one descriptor tells of what was connected, too. */
Test(outgoing_loop, one_descriptor_tells_of_all) {
        struct pollfd pollfd;
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target target;
        int first;

        broker_start(&broker);
        target = kit_silent_target(AF_INET);
        pollfd = (struct pollfd){ .fd = reuse_client_get_fd(broker.client), .events = POLLIN };
        outgoing = kit_dial_async(&broker, target.text, NULL, REUSE_TIMEOUT_INFINITE, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(eq(int, poll(&pollfd, 1, 0), 1));
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, reuse_client_get_events(broker.client), POLLIN));
        cr_assert(zero(int, poll(&pollfd, 1, 0)));
        cr_assert(zero(int, reuse_client_wait(broker.client, 0)));
        cr_assert(zero(int, reuse_client_process(broker.client)));

        /* With the queue empty, the SYN that is sent again is answered. */
        first = accept4(target.fd, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(ge(int, first, 0));
        cr_assert(eq(int, poll(&pollfd, 1, -1), 1));
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        cr_assert(ge(int, reuse_outgoing_get_fd(outgoing), 0));
        cr_assert(zero(int, poll(&pollfd, 1, 0)));
        cr_assert(eq(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));
        close(first);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

static int seen(reuse_client *client, reuse_reply *reply, void *userdata) {
        (void)client;
        (void)reply;
        ++*(int *)userdata;
        return 0;
}

/* Many at once, between other calls; answers come in the order of the calls. */
Test(outgoing_loop, beside_other_calls) {
        reuse_outgoing *outgoing[8];
        Told told[8] = { 0 };
        Broker broker;
        Target target;
        int n_seen = 0;

        broker_start(&broker);
        target = kit_target();
        for (size_t i = 0; i < 8; i++) {
                outgoing[i] = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told[i]);
                cr_assert(zero(int,
                               reuse_client_call_async(broker.client, "List", NULL, 0, seen, &n_seen)));
                kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
                broker_say(&broker, "{}");
        }
        cr_assert(zero(int, reuse_outgoing_cancel(outgoing[3])));
        for (size_t i = 0; i < 8; i++) {
                kit_run_until_told(broker.client, &told[i]);
                cr_assert(eq(int, told[i].number, i == 3 ? -ECANCELED : 0));
        }
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, n_seen, 8));
        for (size_t i = 0; i < 8; i++) {
                cr_assert(eq(int, told[i].n, 1));
                reuse_outgoing_free(outgoing[i]);
        }
        kit_target_end(&target);
        broker_end(&broker);
}

/* Only now the broker answers what is waited for. */
static int answer_list(reuse_client *client, reuse_outgoing *outgoing, void *userdata) {
        (void)client;
        (void)outgoing;
        broker_say(userdata, "{}");
        return 0;
}

/* A call that waits for its answer does not wait for that alone. */
Test(outgoing_loop, s1_19_deadline_while_a_call_waits) {
        reuse_outgoing *outgoing = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_silent_target(AF_INET);
        reuse_client_set_timeout(broker.client, REUSE_TIMEOUT_INFINITE);
        for (int i = 0; i < 2; i++) {
                broker_say(&broker, "{}");
                cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        }
        cr_assert(zero(int, reuse_client_dial_async(broker.client, "tcp", target.text, NULL, NULL,
                                                    10 * KIT_SHORT_USEC, answer_list, &broker, &outgoing,
                                                    NULL)));
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        cr_assert(eq(int, reuse_outgoing_get_fd(outgoing), -ETIMEDOUT));
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* Its handler makes one more, and waits for it. */
static int dial_again(reuse_client *client, reuse_outgoing *outgoing, void *userdata) {
        reuse_outgoing *second = NULL;
        Broker *broker = userdata;
        int r;

        kit_say_dialled(broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        r = reuse_client_dial(client, "tcp4", reuse_outgoing_get_remote_address(outgoing), NULL, NULL,
                              KIT_LONG_USEC, &second, NULL);
        reuse_outgoing_free(second);
        return r < 0 ? r : -EREMOTE;
}

Test(outgoing_loop, handler_dials) {
        reuse_outgoing *outgoing = NULL;
        Broker broker;
        Target target;
        int r;

        broker_start(&broker);
        target = kit_target();
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(
                zero(int, reuse_client_dial_async(broker.client, "tcp4", target.text, NULL, NULL,
                                                  KIT_LONG_USEC, dial_again, &broker, &outgoing, NULL)));
        do
                r = reuse_client_process(broker.client);
        while (r > 0 || (r == 0 && reuse_client_wait(broker.client, REUSE_TIMEOUT_INFINITE) >= 0));
        cr_assert(eq(int, r, -EREMOTE));
        cr_assert(zero(int, reuse_client_process(broker.client)));
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* ---- a broker that is lost ---- */

Test(outgoing_loop, s1_19_the_next_broker_is_asked_again) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        outgoing = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        kit_come_back(&broker);
        kit_run(&broker);
        cr_assert(ne(ptr, strstr(kit_hear(&broker), "GetInfo"), NULL));
        broker_say(&broker, "{}");
        kit_run(&broker);
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), true);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        cr_assert(eq(int, reuse_outgoing_get_reused(outgoing), 1));
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* The broker is not needed any more: what is half open is connected. */
Test(outgoing_loop, half_open_outlasts_the_broker) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target target;
        int first;

        broker_start(&broker);
        target = kit_silent_target(AF_INET);
        outgoing = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), true);
        cr_assert(zero(int, client_settle(broker.client)));
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(zero(int, client_settle(broker.client)));
        first = kit_target_accept(&target);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        close(first);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* Nobody comes back while the call waits: then without one. */
Test(outgoing_loop, s1_16_without_a_broker_that_is_not_back_in_time) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        reuse_client_set_timeout(broker.client, 20 * KIT_SHORT_USEC);
        outgoing = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told);
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* All are told when the connection ends for good: asked for, half open, and done. */
Test(outgoing_loop, end_of_the_connection) {
        reuse_outgoing *outgoing[3];
        Told told[3] = { 0 };
        Broker broker;
        Target target, silent;

        broker_start(&broker);
        target = kit_target();
        silent = kit_silent_target(AF_INET);
        reuse_client_set_reconnect(broker.client, 0);
        outgoing[0] = kit_dial_async(&broker, silent.text, NULL, KIT_LONG_USEC, &told[0]);
        outgoing[1] = kit_dial_async(&broker, target.text, NULL, 0, &told[1]);
        outgoing[2] = kit_dial_async(&broker, target.text, NULL, KIT_LONG_USEC, &told[2]);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), true);
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        cr_assert(eq(int, told[0].number, -ECONNRESET));
        cr_assert(eq(int, told[1].number, -ETIMEDOUT));
        cr_assert(eq(int, told[2].number, -ECONNRESET));
        for (size_t i = 0; i < 3; i++) {
                cr_assert(eq(int, told[i].n, 1));
                reuse_outgoing_free(outgoing[i]);
        }
        cr_assert(eq(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing[0], NULL),
                     -ENOTCONN));
        kit_target_end(&target);
        kit_target_end(&silent);
        broker_end(&broker);
}
