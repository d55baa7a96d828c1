/* SPDX-License-Identifier: BSD-2-Clause */

/* Explain by the library: what goes out, what does not, and what an answer becomes. */

#include "tests/unit/fake-broker.h"

TestSuite(verdict, .timeout = 10);

enum {
        GIDS_TOO_MANY = 64 * 1024,
};

#define NOBODY ((uid_t)-1)
#define CALL "{\"method\":\"io.reuseportd.Explain\",\"parameters\":{\"request\":"
#define REQUEST "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"}"

/* ---- what is not sent ---- */

Test(verdict, what_cannot_be_asked) {
        reuse_request *none = request_of(0), *one = request_of(1), *two = request_of(2);
        gid_t *gids = calloc(GIDS_TOO_MANY, sizeof(*gids));
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        cr_assert(eq(int, reuse_client_explain(NULL, one, NOBODY, NULL, 0, NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_explain(broker.client, NULL, NOBODY, NULL, 0, NULL, NULL),
                     -EINVAL));
        cr_assert(eq(int, reuse_client_explain(broker.client, none, NOBODY, NULL, 0, NULL, NULL),
                     -EINVAL));
        cr_assert(
                eq(int, reuse_client_explain(broker.client, two, NOBODY, NULL, 0, NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_explain(broker.client, one, 33, NULL, 1, NULL, &error), -EINVAL));
        cr_assert(eq(int, reuse_error_get_errno(error), -EINVAL));
        error = reuse_error_free(error);
        cr_assert(eq(int,
                     reuse_client_explain(broker.client, one, 33, gids, GIDS_TOO_MANY, NULL, &error),
                     -E2BIG));
        reuse_error_free(error);
        broker_expect_silence(&broker);
        broker_end(&broker);
        free(gids);
        reuse_request_free(none);
        reuse_request_free(one);
        reuse_request_free(two);
}

/* ---- what is refused, or is no answer ---- */

static const struct {
        const char *answer;
        int number;
        const char *words;
} refusals[] = {
        { "{\"error\":\"org.varlink.service.PermissionDenied\"}", -EPERM, "ask as root" },
        { "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
          "\"io.reuseportd.Explain\"}}",
          -ENOSYS, "does not have the method io.reuseportd.Explain" },
        { "{\"error\":\"io.reuseportd.NetworkUnknown\",\"parameters\":{\"network\":\"tpc\"}}",
          -EPROTONOSUPPORT, "\"tpc\"" },
        { "{\"parameters\":{}}", -EPROTO, "does not say whether it is allowed" },
        { "{\"parameters\":{\"allowed\":1,\"reason\":\"x\"}}", -EPROTO, "does not say" },
        { "{}", -EPROTO, "does not say" },
};

Test(verdict, refusals) {
        reuse_request *request = request_of(1);
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
                reuse_error *error = NULL;
                char *parameters = NULL;

                broker_say(&broker, refusals[i].answer);
                cr_assert(eq(int,
                             reuse_client_explain(broker.client, request, NOBODY, NULL, 0, &parameters,
                                                  &error),
                             refusals[i].number),
                          "%s", refusals[i].answer);
                cr_assert(eq(ptr, parameters, NULL));
                cr_assert(eq(int, reuse_error_get_errno(error), refusals[i].number));
                cr_assert(ne(ptr, strstr(reuse_error_get_message(error), refusals[i].words), NULL), "%s",
                          reuse_error_get_message(error));
                reuse_error_free(error);
                broker_say(&broker, refusals[i].answer);
                cr_assert(eq(int,
                             reuse_client_explain(broker.client, request, NOBODY, NULL, 0, NULL, NULL),
                             refusals[i].number));
        }
        broker_end(&broker);
        reuse_request_free(request);
}

/* ---- what is asked and answered ---- */

Test(verdict, of_whom) {
        static const gid_t gids[] = { 33, 4294967294, 0 };
        reuse_request *request = request_of(1);
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, "{\"parameters\":{\"allowed\":true,\"reason\":\"r\",\"later\":1}}");
        cr_assert(eq(int, reuse_client_explain(broker.client, request, NOBODY, NULL, 0, NULL, NULL), 1));
        broker_expect(&broker, CALL REQUEST "}}");
        broker_say(&broker, "{\"parameters\":{\"allowed\":true,\"reason\":\"r\"}}");
        cr_assert(eq(int, reuse_client_explain(broker.client, request, 0, NULL, 0, NULL, NULL), 1));
        broker_expect(&broker, CALL REQUEST ",\"uid\":0}}");
        broker_say(&broker, "{\"parameters\":{\"allowed\":true,\"reason\":\"r\"}}");
        cr_assert(eq(int, reuse_client_explain(broker.client, request, 33, gids, 3, NULL, NULL), 1));
        broker_expect(&broker, CALL REQUEST ",\"uid\":33,\"gids\":[33,4294967294,0]}}");
        broker_end(&broker);
        reuse_request_free(request);
}

Test(verdict, a_denial_is_an_answer) {
        static const char answer[] = "{\"allowed\":false,\"rule\":\"no\",\"reason\":\"rule \\\"no\\\" "
                                     "refuses\",\"file\":\"/a.conf\",\"line\":3}";
        reuse_request *request = request_of(1);
        reuse_error *error = NULL;
        char *parameters = NULL;
        char text[256];
        Broker broker;

        snprintf(text, sizeof(text), "{\"parameters\":%s}", answer);
        broker_start(&broker);
        broker_say(&broker, text);
        cr_assert(zero(int, reuse_client_explain(broker.client, request, NOBODY, NULL, 0, &parameters,
                                                 &error)));
        cr_assert(eq(ptr, error, NULL));
        expect_text(parameters, answer);
        free(parameters);
        broker_end(&broker);
        reuse_request_free(request);
}
