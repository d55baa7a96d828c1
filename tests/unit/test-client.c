/* SPDX-License-Identifier: BSD-2-Clause */

#include "build-config.h"
#include "proto/limits.h"
#include "tests/unit/fake-broker.h"

TestSuite(client, .timeout = 10);

/* What a handler saw of its answers. */
typedef struct Seen {
        int n;
        int error;
        int continues;
        char last[128];
} Seen;

static int see(reuse_client *client, reuse_reply *reply, void *userdata) {
        const char *parameters = reuse_reply_get_parameters(reply);
        Seen *seen = userdata;

        (void)client;
        seen->n++;
        seen->error = reuse_error_get_errno(reuse_reply_get_error(reply));
        seen->continues = reuse_reply_get_continues(reply);
        snprintf(seen->last, sizeof(seen->last), "%s", parameters ? parameters : "none");
        return 0;
}

/* ---- what is no answer ---- */

static const struct {
        const char *text;
        size_t n_fds;
} violations[] = {
        { "", 0 },
        { "not JSON", 0 },
        { "[]", 0 },
        { "{\"parameters\":{}", 0 },
        { "{\"parameters\":[]}", 0 },
        { "{\"parameters\":{\"a\":1,\"a\":2}}", 0 },
        { "{\"error\":5}", 0 },
        { "{\"error\":\"\"}", 0 },
        { "{\"error\":\"io.reuseportd.PolicyDenied\",\"continues\":true}", 0 },
        { "{\"continues\":1}", 0 },
        { "{\"continues\":true,\"parameters\":{}}", 0 },
        { "{\"parameters\":{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}}", 0 },
        { "{\"parameters\":{}}", 1 },
        { "{\"parameters\":{}}", 100 },
        { "{\"error\":\"io.reuseportd.PolicyDenied\",\"parameters\":{\"reason\":\"r\"}}", 2 },
};

Test(client, violation_ends_the_connection) {
        int fds[100];

        for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
                reuse_error *error = NULL;
                char *parameters = NULL;
                Broker broker;

                broker_start(&broker);
                for (size_t j = 0; j < violations[i].n_fds; j++)
                        fds[j] = broker.listener;
                broker_say_with(&broker, violations[i].text, fds, violations[i].n_fds);
                cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, &parameters, &error),
                             -EPROTO),
                          "%s", violations[i].text);
                cr_assert(eq(ptr, parameters, NULL));
                cr_assert(eq(int, reuse_error_get_errno(error), -EPROTO));
                cr_assert(eq(ptr, (void *)reuse_error_get_name(error), NULL));
                cr_assert(gt(sz, strlen(reuse_error_get_message(error)), 0));
                error = reuse_error_free(error);
                cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error),
                             -ENOTCONN));
                error = reuse_error_free(error);
                cr_assert(eq(int, reuse_client_process(broker.client), -ENOTCONN));
                cr_assert(eq(int, reuse_client_wait(broker.client, 0), -ENOTCONN));
                cr_assert(eq(int, reuse_client_get_fd(broker.client), -ENOTCONN));
                cr_assert(zero(int, reuse_client_get_events(broker.client)));
                broker_end(&broker);
        }
}

Test(client, answer_to_nothing) {
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, "{\"parameters\":{}}");
        cr_assert(eq(int, client_settle(broker.client), -EPROTO));
        broker_end(&broker);
}

Test(client, second_answer_to_one_call) {
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        broker_say(&broker, "{\"parameters\":{}}");
        broker_say(&broker, "{\"parameters\":{}}");
        cr_assert(eq(int, client_settle(broker.client), -EPROTO));
        cr_assert(eq(int, seen.n, 1));
        cr_assert(zero(int, seen.error));
        broker_end(&broker);
}

Test(client, error_that_goes_on) {
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Watch", NULL, REUSE_CALL_MORE, see,
                                                    &seen)));
        broker_say(&broker, "{\"error\":\"org.varlink.service.PermissionDenied\",\"continues\":true}");
        cr_assert(eq(int, client_settle(broker.client), -EPROTO));
        cr_assert(eq(int, seen.error, -EPROTO));
        broker_end(&broker);
}

Test(client, answer_without_end) {
        static char flood[64 * 1024];
        Seen seen = { 0 };
        Broker broker;
        int r = 0;

        memset(flood, ' ', sizeof(flood));
        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        for (int i = 0; i < 300 && r == 0; i++) {
                broker_send(&broker, flood, sizeof(flood), NULL, 0);
                r = client_settle(broker.client);
        }
        cr_assert(eq(int, r, -EPROTO));
        cr_assert(eq(int, seen.error, -EPROTO));
        broker_end(&broker);
}

/* An answer of @n bytes, its NUL included. Returns what came of the call. */
static int answer_of(size_t n) {
        static char text[64 * 1024];
        Seen seen = { 0 };
        Broker broker;
        int r = 0;

        memset(text, ' ', sizeof(text));
        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        broker_send(&broker, "{}", 2, NULL, 0);
        for (n -= 3; n > 0 && r == 0;) {
                size_t chunk = n < sizeof(text) ? n : sizeof(text);

                broker_send(&broker, text, chunk, NULL, 0);
                n -= chunk;
                r = client_settle(broker.client);
        }
        if (r == 0) {
                broker_send(&broker, "", 1, NULL, 0);
                r = client_settle(broker.client);
        }
        cr_assert(eq(int, seen.n, 1));
        cr_assert(eq(int, seen.error, r));
        broker_end(&broker);
        return r;
}

Test(client, answer_of_16_MiB_and_no_more) {
        cr_assert(eq(int, answer_of(REPLY_SIZE_MAX + 1), -EPROTO));
        cr_assert(zero(int, answer_of(REPLY_SIZE_MAX)));
        cr_assert(zero(int, answer_of(REPLY_SIZE_MAX - 1)));
}

Test(client, hang_up_tells_every_call) {
        Seen seen[2] = { 0 };
        Broker broker;

        broker_start(&broker);
        reuse_client_set_reconnect(broker.client, 0);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen[0])));
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Watch", NULL, REUSE_CALL_MORE, see,
                                                    &seen[1])));
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, NULL, NULL)));
        broker_send(&broker, "{\"param", 7, NULL, 0);
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        for (int i = 0; i < 2; i++) {
                cr_assert(eq(int, seen[i].n, 1));
                cr_assert(eq(int, seen[i].error, -ECONNRESET));
                expect_text(seen[i].last, "none");
        }
        cr_assert(
                eq(int, reuse_client_call_async(broker.client, "List", NULL, 0, NULL, NULL), -ENOTCONN));
        broker_end(&broker);
}

Test(client, hang_up_while_idle) {
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        reuse_client_set_reconnect(broker.client, 0);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL), -ECONNRESET));
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL), -ENOTCONN));
        broker_end(&broker);
}

#define REFUSAL                                                                                         \
        "{\"error\":\"io.reuseportd.QuotaExceeded\",\"parameters\":{\"resource\":\"connections\","      \
        "\"limit\":8}}"

Test(client, refusal_before_the_call_is_its_answer) {
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, REFUSAL);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error), -EDQUOT));
        expect_text(reuse_error_get_name(error), "io.reuseportd.QuotaExceeded");
        reuse_error_free(error);
        reuse_client_set_reconnect(broker.client, 0);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL), -ECONNRESET));
        broker_end(&broker);
}

Test(client, refusal_without_a_call_ends_the_connection) {
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, REFUSAL);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_wait(broker.client, REUSE_TIMEOUT_INFINITE), 1));
        cr_assert(eq(int, client_settle(broker.client), -EDQUOT));
        broker_end(&broker);
}

Test(client, no_answer_in_time) {
        reuse_error *error = NULL;
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        reuse_client_set_timeout(broker.client, REUSE_TIMEOUT_INFINITE);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        cr_assert(eq(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));
        reuse_client_set_timeout(broker.client, 1000);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error), -ETIMEDOUT));
        cr_assert(eq(int, reuse_error_get_errno(error), -ETIMEDOUT));
        cr_assert(eq(int, seen.error, -ETIMEDOUT));
        reuse_error_free(error);
        broker_end(&broker);
}

Test(client, bytes_do_not_put_off_the_deadline) {
        Seen seen = { 0 };
        Broker broker;
        int r;

        broker_start(&broker);
        reuse_client_set_timeout(broker.client, 1000);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        do {
                broker_send(&broker, " ", 1, NULL, 0);
                r = reuse_client_process(broker.client);
        } while (r >= 0);
        cr_assert(eq(int, r, -ETIMEDOUT));
        cr_assert(eq(int, seen.error, -ETIMEDOUT));
        broker_end(&broker);
}

/* ---- wrong arguments ---- */

Test(client, wrong_arguments) {
        static char text[70 * 1024];
        reuse_client *client = NULL;
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        client = broker.client;
        cr_assert(eq(int, reuse_client_call(client, NULL, NULL, NULL, &error), -EINVAL));
        error = reuse_error_free(error);
        cr_assert(eq(int, reuse_client_call(client, "", NULL, NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_call(client, "L\xff", NULL, NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_call(client, "List", "[]", NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_call(client, "List", "{\"a\":1,\"a\":1}", NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_call_async(client, "List", "{", 0, NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_call_async(client, "List", NULL, 6, NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_process(NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_wait(NULL, 0), -EINVAL));
        cr_assert(eq(int, reuse_client_get_fd(NULL), -EINVAL));
        cr_assert(eq(ptr, reuse_client_free(NULL), NULL));

        strcpy(text, "{\"a\":\"");
        memset(text + 6, 'a', 66 * 1024);
        strcat(text, "\"}");
        cr_assert(eq(int, reuse_client_call(client, "List", text, NULL, &error), -E2BIG));
        reuse_error_free(error);

        cr_assert(lt(long, recv(broker.peer, text, sizeof(text), 0), 0));
        cr_assert(zero(int, client_settle(client)));
        broker_end(&broker);
}

/* ---- answers ---- */

Test(client, method_gets_its_interface) {
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        broker_expect(&broker, "{\"method\":\"io.reuseportd.List\"}");
        broker_say(&broker, "{}");
        cr_assert(zero(
                int, reuse_client_call(broker.client, "org.varlink.service.GetInfo", "{}", NULL, NULL)));
        broker_expect(&broker, "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{}}");
        broker_end(&broker);
}

Test(client, unknown_fields_are_left_alone) {
        char *parameters = NULL;
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, "{\"later\":1,\"parameters\":{\"x\":1},\"error\":null,\"continues\":false}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, &parameters, NULL)));
        expect_text(parameters, "{\"x\":1}");
        free(parameters);
        broker_end(&broker);
}

Test(client, answer_in_single_bytes) {
        static const char text[] = "{\"parameters\":{\"x\":1}}";
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        for (size_t i = 0; i < sizeof(text); i++) {
                cr_assert(zero(int, seen.n));
                broker_send(&broker, text + i, 1, NULL, 0);
                cr_assert(zero(int, client_settle(broker.client)));
        }
        cr_assert(eq(int, seen.n, 1));
        expect_text(seen.last, "{\"x\":1}");
        broker_end(&broker);
}

Test(client, more_goes_on_until_it_does_not) {
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Watch", "{}", REUSE_CALL_MORE, see,
                                                    &seen)));
        broker_expect(&broker, "{\"method\":\"io.reuseportd.Watch\",\"parameters\":{},\"more\":true}");
        cr_assert(eq(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));
        for (int i = 0; i < 3; i++)
                broker_say(&broker, "{\"parameters\":{},\"continues\":true}");
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, seen.n, 3));
        cr_assert(eq(int, seen.continues, 1));
        broker_say(&broker,
                   "{\"error\":\"io.reuseportd.NoSuchEndpoint\",\"parameters\":{\"endpoint\":\"e\"}}");
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, seen.n, 4));
        cr_assert(eq(int, seen.error, -ENOENT));
        cr_assert(zero(int, seen.continues));
        broker_end(&broker);
}

Test(client, waiting_serves_the_calls_before) {
        char *parameters = NULL;
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        broker_say(&broker, "{\"parameters\":{\"first\":1}}");
        broker_say(&broker, "{\"parameters\":{\"second\":2}}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, &parameters, NULL)));
        expect_text(seen.last, "{\"first\":1}");
        expect_text(parameters, "{\"second\":2}");
        free(parameters);
        broker_end(&broker);
}

/* What was read together is not seen by poll() any more. */
Test(client, second_of_two_answers_is_not_waited_for) {
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        for (int i = 0; i < 2; i++) {
                cr_assert(
                        zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
                broker_say(&broker, "{}");
        }
        for (int i = 1; i <= 2; i++) {
                cr_assert(eq(int, reuse_client_wait(broker.client, 0), 1));
                cr_assert(eq(int, reuse_client_process(broker.client), 1));
                cr_assert(eq(int, seen.n, i));
                cr_assert(eq(int, reuse_client_get_timeout(broker.client) == 0, i == 1));
        }
        cr_assert(zero(int, reuse_client_wait(broker.client, 0)));
        broker_end(&broker);
}

static int call_again(reuse_client *client, reuse_reply *reply, void *userdata) {
        char **parameters = userdata;

        (void)reply;
        cr_assert(zero(int, reuse_client_call(client, "List", NULL, parameters, NULL)));
        return -EHOSTDOWN;
}

Test(client, handler_may_call_and_its_result_is_passed_on) {
        char *parameters = NULL;
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(
                int, reuse_client_call_async(broker.client, "List", NULL, 0, call_again, &parameters)));
        broker_say(&broker, "{\"parameters\":{\"first\":1}}");
        broker_say(&broker, "{\"parameters\":{\"second\":2}}");
        cr_assert(eq(int, reuse_client_process(broker.client), -EHOSTDOWN));
        expect_text(parameters, "{\"second\":2}");
        cr_assert(zero(int, client_settle(broker.client)));
        free(parameters);
        broker_end(&broker);
}

Test(client, calls_queue_up_while_the_broker_does_not_read) {
        static char text[60 * 1024], heard[64 * 1024];
        Seen seen = { 0 };
        Broker broker;
        size_t total = 0;
        ssize_t n;

        broker_start(&broker);
        strcpy(text, "{\"a\":\"");
        memset(text + 6, 'a', 50 * 1024);
        strcat(text, "\"}");
        for (int i = 0; i < 20; i++)
                cr_assert(
                        zero(int, reuse_client_call_async(broker.client, "List", text, 0, see, &seen)));
        cr_assert(eq(int, reuse_client_get_events(broker.client), POLLIN | POLLOUT));
        while (reuse_client_get_events(broker.client) & POLLOUT) {
                while ((n = recv(broker.peer, heard, sizeof(heard), 0)) > 0)
                        total += (size_t)n;
                cr_assert(zero(int, client_settle(broker.client)));
        }
        while ((n = recv(broker.peer, heard, sizeof(heard), 0)) > 0)
                total += (size_t)n;
        cr_assert(gt(sz, total, 20 * strlen(text)));
        for (int i = 0; i < 20; i++)
                broker_say(&broker, "{}");
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(int, seen.n, 20));
        broker_end(&broker);
}

Test(client, freeing_gives_up_calls_silently) {
        Seen seen = { 0 };
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, see, &seen)));
        broker_say(&broker, "{}");
        broker.client = reuse_client_free(broker.client);
        cr_assert(zero(int, seen.n));
        broker_end(&broker);
}

Test(client, wait_ends_with_its_time) {
        Broker broker;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_wait(broker.client, 0)));
        cr_assert(zero(int, reuse_client_wait(broker.client, 1)));
        expect_text(reuse_version(), PROJECT_VERSION);
        broker_end(&broker);
}
