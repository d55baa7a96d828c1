/* SPDX-License-Identifier: BSD-2-Clause */

/* Calls that wait while the broker goes and comes back: it follows a script in a thread. */

#include "tests/unit/broker-script.h"
#include "tests/unit/reconnect-kit.h"

TestSuite(reconnect_wait, .timeout = 20);

#define LIST "{\"method\":\"io.reuseportd.List\"}"
#define STATUS "{\"method\":\"io.reuseportd.GetStatus\"}"

enum {
        RESUME_TEXT_MAX = 256,
};

/* A client that holds "l0"; @resume is how it will say so. */
static void start(Broker *broker, char resume[static RESUME_TEXT_MAX]) {
        broker_start(broker);
        snprintf(resume, RESUME_TEXT_MAX,
                 "{\"method\":\"io.reuseportd.Resume\",\"parameters\":{\"leases\":[{\"lease\":\"l0\","
                 "\"cookie\":\"%" PRIu64 "\"}]}}",
                 kit_hold(broker));
}

Test(reconnect_wait, call_takes_longer) {
        char resume[RESUME_TEXT_MAX], *parameters = NULL;
        const Step steps[] = {
                { SIDE_CALLS, LIST, HANG_UP },
                { SIDE_AGAIN, resume, KIT_RESUMED("l0") },
                { SIDE_AGAIN, LIST, "{\"parameters\":{\"endpoints\":[]}}" },
                { SIDE_NONE, NULL, NULL },
        };
        Script script;
        Broker broker;

        start(&broker, resume);
        script_begin(&script, steps, &broker);
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, &parameters, NULL)));
        expect_text(parameters, "{\"endpoints\":[]}");
        free(parameters);
        broker.client = reuse_client_free(broker.client);
        cr_assert(zero(sz, script_end(&script)));
        broker_end(&broker);
}

/* From the second call on, waiting is reading. */
Test(reconnect_wait, call_that_reads) {
        char resume[RESUME_TEXT_MAX];
        const Step steps[] = {
                { SIDE_CALLS, LIST, "{}" },
                { SIDE_CALLS, LIST, HANG_UP },
                { SIDE_AGAIN, resume, KIT_RESUMED("l0") },
                { SIDE_AGAIN, LIST, "{}" },
                { SIDE_AGAIN, LIST, "{}" },
                { SIDE_AGAIN, LIST, HANG_UP },
                { SIDE_WATCH, resume, KIT_RESUMED("l0") },
                { SIDE_WATCH, LIST, "{}" },
                { SIDE_NONE, NULL, NULL },
        };
        Script script;
        Broker broker;

        start(&broker, resume);
        script_begin(&script, steps, &broker);
        for (int i = 0; i < 4; i++)
                cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        broker.client = reuse_client_free(broker.client);
        cr_assert(zero(sz, script_end(&script)));
        broker_end(&broker);
}

typedef struct Caller {
        Notices notices;
        int n;
        int results[4];
} Caller;

static int note_and_call(reuse_client *client, reuse_notice *notice, void *userdata) {
        Caller *caller = userdata;

        kit_note(client, notice, &caller->notices);
        caller->results[caller->n++] = reuse_client_call(client, "GetStatus", NULL, NULL, NULL);
        return 0;
}

/* The first of them cannot be answered before the leases are settled, which it must not hold up. */
Test(reconnect_wait, handler_makes_calls) {
        char resume[RESUME_TEXT_MAX];
        const Step steps[] = {
                { SIDE_CALLS, LIST, HANG_UP },
                { SIDE_AGAIN, resume, KIT_RESUMED("l0") },
                { SIDE_AGAIN, LIST, "{}" },
                { SIDE_AGAIN, STATUS, "{}" },
                { SIDE_AGAIN, STATUS, "{}" },
                { SIDE_AGAIN, STATUS, "{\"error\":\"io.reuseportd.NoSuchEndpoint\"}" },
                { SIDE_NONE, NULL, NULL },
        };
        Caller caller = { 0 };
        Script script;
        Broker broker;

        start(&broker, resume);
        reuse_client_set_notice_handler(broker.client, note_and_call, &caller);
        script_begin(&script, steps, &broker);
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(caller.notices.text, "lost resumed:l0 back");
        cr_assert(zero(int, caller.results[0]));
        cr_assert(zero(int, caller.results[1]));
        cr_assert(eq(int, caller.results[2], -ENOENT));
        broker.client = reuse_client_free(broker.client);
        cr_assert(zero(sz, script_end(&script)));
        broker_end(&broker);
}

/* The end of the connection in the middle of a handler. */
Test(reconnect_wait, handler_waits_in_vain) {
        Caller caller = { 0 };
        char resume[RESUME_TEXT_MAX];
        Broker broker;

        start(&broker, resume);
        reuse_client_set_notice_handler(broker.client, note_and_call, &caller);
        reuse_client_set_reconnect(broker.client, KIT_SHORT_USEC);
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL), -ECONNRESET));
        cr_assert(eq(int, caller.n, 1));
        cr_assert(eq(int, caller.results[0], -ECONNRESET));
        broker_end(&broker);
}
