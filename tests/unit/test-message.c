/* SPDX-License-Identifier: BSD-2-Clause */

/* Texts that are no message, envelopes that are no call or reply, and encoding. test-decode.c has the
 * parameters. */

#include "proto/message.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "tests/unit/leaks.h"

TestSuite(message, .timeout = 30);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

static int parse(const char *text, size_t n, Message **ret) {
        char reason[MESSAGE_TEXT_MAX] = "", *exact = malloc(n ?: 1);
        int r;

        /* No byte behind the text, so that a sanitizer sees a read too far. */
        cr_assert(ne(ptr, exact, NULL));
        memcpy(exact, text, n);
        r = message_parse(exact, n, ret, reason);
        cr_assert(eq(int, r == MESSAGE_E_MALFORMED, reason[0] != '\0'));
        free(exact);
        return r;
}

static void expect_malformed(const char *text, size_t n) {
        Message *message = NULL;

        cr_assert(eq(int, parse(text, n, &message), MESSAGE_E_MALFORMED), "%.*s", (int)n, text);
        cr_assert(eq(ptr, message, NULL));
}

static Message *expect_parsed(const char *text) {
        Message *message = NULL;

        cr_assert(zero(int, parse(text, strlen(text), &message)), "%s", text);
        return message;
}

Test(message, free_takes_null) {
        cr_assert(eq(ptr, message_free(NULL), NULL));
}

Test(message, text_that_is_no_object_is_malformed) {
        static const char *const texts[] = {
                "",
                " ",
                "1",
                "null",
                "true",
                "\"{}\"",
                "[]",
                "[{}]",
                "{",
                "}",
                "{}{}",
                "{} x",
                "{},",
                "\xef\xbb\xbf{}",
                "{a:1}",
                "{'a':1}",
                "{\"a\"}",
                "{\"a\":}",
                "{\"a\":1,}",
                "{,}",
                "{\"a\":01}",
                "{\"a\":+1}",
                "{\"a\":.5}",
                "{\"a\":1.}",
                "{\"a\":0x1}",
                "{\"a\":tru}",
                "{\"a\":True}",
                "{\"a\":[1,]}",
                "{\"a\":[}]",
                "{\"a\"=1}",
                "// no\n{}",
                "{1:2}",
                "{null:1}",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                expect_malformed(texts[i], strlen(texts[i]));
        leaks_expect_none();
}

Test(message, numbers_out_of_range_are_malformed) {
        static const char *const texts[] = {
                "{\"a\":NaN}",
                "{\"a\":Infinity}",
                "{\"a\":-Infinity}",
                "{\"a\":9223372036854775808}",
                "{\"a\":-9223372036854775809}",
                "{\"a\":123456789012345678901234567890}",
                "{\"a\":1e999}",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                expect_malformed(texts[i], strlen(texts[i]));
        leaks_expect_none();
}

Test(message, broken_strings_are_malformed) {
        static const char *const texts[] = {
                "{\"a\":\"\xff\"}",
                "{\"a\":\"\xc3\"}",
                "{\"a\":\"\xc0\xaf\"}",
                "{\"a\":\"\xed\xa0\x80\"}",
                "{\"a\":\"\xf4\x90\x80\x80\"}",
                "{\"\xff\":1}",
                "{\"a\":\"\\u0000\"}",
                "{\"a\\u0000b\":1}",
                "{\"a\":\"\\ud800\"}",
                "{\"a\":\"\\udc00\\ud800\"}",
                "{\"a\":\"\\u12g4\"}",
                "{\"a\":\"\\x41\"}",
                "{\"a\":\"\n\"}",
                "{\"a\":\"\x1f\"}",
                "{\"a\":\"\\\"}",
                "{\"a\":\"",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                expect_malformed(texts[i], strlen(texts[i]));
        expect_malformed("{\"a\":\"b\0c\"}", 11);
        expect_malformed("{}\0", 3);
        expect_malformed("\0", 1);
        leaks_expect_none();
}

Test(message, doubled_keys_are_malformed_however_they_are_written) {
        static const char *const texts[] = {
                "{\"a\":1,\"a\":1}",
                "{\"a\":1,\"\\u0061\":2}",
                "{\"\\u0061\":1,\"b\":2,\"a\":3}",
                "{\"p\":{\"a\":null,\"a\":null}}",
                "{\"p\":[{\"a\":1,\"a\":2}]}",
                "{\"\":1,\"\":1}",
                "{\"/\":1,\"\\/\":1}",
                "{\"\xc3\xa9\":1,\"\\u00e9\":1}",
                "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                expect_malformed(texts[i], strlen(texts[i]));
        message_free(expect_parsed("{\"a\":{\"a\":1},\"b\":{\"a\":1},\"A\":1}"));
        leaks_expect_none();
}

Test(message, text_cut_off_anywhere_is_malformed) {
        static const char text[] =
                "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{\"network\":"
                "\"tcp\","
                "\"address\":\"\\u00e9\xc3\xa9:80\",\"weight\":-10,\"standby\":true,\"x\":null}]}}";

        for (size_t n = 0; n < sizeof(text) - 1; n++)
                expect_malformed(text, n);
        message_free(expect_parsed(text));
        leaks_expect_none();
}

/* {"a":{"a": ... 1}}, @depth objects; or with @list {"a":[[ ... ]]}. */
static char *nested(size_t depth, bool list) {
        char *text = calloc(depth, 8), *end = text;

        cr_assert(ne(ptr, text, NULL));
        for (size_t i = 0; i < depth; i++)
                end = stpcpy(end, list && i > 0 ? "[" : "{\"a\":");
        end = stpcpy(end, "1");
        for (size_t i = depth; i > 0; i--)
                end = stpcpy(end, list && i > 1 ? "]" : "}");
        return text;
}

Test(message, nesting_has_a_limit) {
        for (int list = 0; list <= 1; list++)
                for (size_t depth = 1; depth < 4 * JSON_DEPTH_MAX; depth++) {
                        char *text = nested(depth, list);

                        if (depth <= JSON_DEPTH_MAX)
                                message_free(expect_parsed(text));
                        else
                                expect_malformed(text, strlen(text));
                        free(text);
                }
        leaks_expect_none();
}

Test(message, call_full_of_brackets_is_malformed) {
        static const char brackets[] = "[{\"]}:\\";
        char *text = malloc(CALL_SIZE_MAX);

        cr_assert(ne(ptr, text, NULL));
        for (size_t i = 0; i < sizeof(brackets); i++) {
                memset(text, brackets[i], CALL_SIZE_MAX);
                expect_malformed(text, CALL_SIZE_MAX);
        }
        free(text);
        leaks_expect_none();
}

Test(message, brackets_in_strings_are_no_nesting) {
        static const char *const texts[] = {
                "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
                "{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"{{{{{{{{\"}",
                "{\"a\\\\\":\"\\\\\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
                "{\"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{\":1}",
                "{\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                message_free(expect_parsed(texts[i]));
        /* Strings that end must not hide what follows. */
        expect_malformed("{\"\\\\\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}", 42);
        leaks_expect_none();
}

Test(message, call_with_a_wrong_envelope_is_refused) {
        static const struct {
                const char *text, *parameter;
        } rows[] = {
                { "{}", "method" },
                { "{\"parameters\":{}}", "method" },
                { "{\"method\":null}", "method" },
                { "{\"method\":1}", "method" },
                { "{\"method\":[\"a.B\"]}", "method" },
                { "{\"method\":{}}", "method" },
                { "{\"method\":true}", "method" },
                { "{\"method\":\"a.B\",\"parameters\":[]}", "parameters" },
                { "{\"method\":\"a.B\",\"parameters\":\"{}\"}", "parameters" },
                { "{\"method\":\"a.B\",\"parameters\":1}", "parameters" },
                { "{\"method\":\"a.B\",\"parameters\":false}", "parameters" },
                { "{\"method\":\"a.B\",\"oneway\":1}", "oneway" },
                { "{\"method\":\"a.B\",\"oneway\":\"true\"}", "oneway" },
                { "{\"method\":\"a.B\",\"more\":0}", "more" },
                { "{\"method\":\"a.B\",\"more\":{}}", "more" },
                { "{\"method\":\"a.B\",\"upgrade\":[]}", "upgrade" },
                { "{\"method\":\"a.B\",\"upgrade\":1.0}", "upgrade" },
                { "{\"method\":\"a.B\",\"continues\":false}", "continues" },
                { "{\"method\":\"a.B\",\"error\":null}", "error" },
                { "{\"method\":\"a.B\",\"Method\":\"a.B\"}", "Method" },
                { "{\"method\":\"a.B\",\"\":1}", "" },
                { "{\"method \":\"a.B\"}", "method " },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Message *message = expect_parsed(rows[i].text);
                Call call = { .method = "untouched" };

                cr_assert(eq(int, message_call(message, &call), MESSAGE_E_PARAMETER), "%s",
                          rows[i].text);
                cr_assert(eq(str, (char *)message_parameter(message), (char *)rows[i].parameter));
                cr_assert(eq(str, (char *)call.method, (char *)"untouched"));
                message_free(message);
        }
        leaks_expect_none();
}

Test(message, reply_with_a_wrong_envelope_is_refused) {
        static const struct {
                const char *text, *parameter;
        } rows[] = {
                { "{\"error\":1}", "error" },
                { "{\"error\":{}}", "error" },
                { "{\"error\":false}", "error" },
                { "{\"continues\":1}", "continues" },
                { "{\"continues\":\"no\"}", "continues" },
                { "{\"parameters\":[]}", "parameters" },
                { "{\"parameters\":\"\"}", "parameters" },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Message *message = expect_parsed(rows[i].text);
                Reply reply = { .error = "untouched" };

                cr_assert(eq(int, message_reply(message, &reply), MESSAGE_E_PARAMETER), "%s",
                          rows[i].text);
                cr_assert(eq(str, (char *)message_parameter(message), (char *)rows[i].parameter));
                cr_assert(eq(str, (char *)reply.error, (char *)"untouched"));
                message_free(message);
        }
        leaks_expect_none();
}

Test(message, flags_of_a_call_are_true_false_null_or_not_there) {
        static const struct {
                const char *text;
                bool oneway, more, upgrade;
        } rows[] = {
                { "{\"method\":\"a.B\"}", false, false, false },
                { "{\"method\":\"a.B\",\"oneway\":null,\"more\":null,\"upgrade\":null}", false, false,
                  false },
                { "{\"method\":\"a.B\",\"oneway\":false,\"more\":false,\"upgrade\":false}", false, false,
                  false },
                { "{\"oneway\":true,\"method\":\"a.B\"}", true, false, false },
                { "{\"more\":true,\"method\":\"a.B\"}", false, true, false },
                { "{\"upgrade\":true,\"method\":\"a.B\"}", false, false, true },
                { "{\"com.example.x\":[1],\"method\":\"a.B\",\".\":null}", false, false, false },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Message *message = expect_parsed(rows[i].text);
                Call call = { .oneway = true, .more = true, .upgrade = true };

                cr_assert(zero(int, message_call(message, &call)), "%s", rows[i].text);
                cr_assert(eq(str, (char *)call.method, (char *)"a.B"));
                cr_assert(eq(int, call.oneway, rows[i].oneway));
                cr_assert(eq(int, call.more, rows[i].more));
                cr_assert(eq(int, call.upgrade, rows[i].upgrade));
                message_free(message);
        }
        leaks_expect_none();
}

Test(message, envelope_of_a_reply) {
        Message *message = expect_parsed("{\"parameters\":null,\"error\":null,\"later\":1}");
        Reply reply = { .error = "x", .continues = true };

        cr_assert(zero(int, message_reply(message, &reply)));
        cr_assert(eq(ptr, (void *)reply.error, NULL));
        cr_assert(not(reply.continues));
        message_free(message);

        message = expect_parsed("{\"error\":\"a.B\",\"continues\":true}");
        cr_assert(zero(int, message_reply(message, &reply)));
        cr_assert(eq(str, (char *)reply.error, (char *)"a.B"));
        cr_assert(reply.continues);
        message_free(message);
        leaks_expect_none();
}

Test(message, parameters_are_given_back_as_text) {
        static const char *const rows[][2] = {
                { "{\"method\":\"a.B\"}", "{}" },
                { "{\"method\":\"a.B\",\"parameters\":null}", "{}" },
                { "{\"method\":\"a.B\",\"parameters\": { \"b\" : [ 1, 2.5 ], \"a\" : null } }",
                  "{\"b\":[1,2.5],\"a\":null}" },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Message *message = expect_parsed(rows[i][0]);
                Call call;
                char *text;

                cr_assert(zero(int, message_call(message, &call)));
                cr_assert(zero(int, message_parameters_text(message, &text)));
                cr_assert(eq(str, text, (char *)rows[i][1]));
                free(text);
                message_free(message);
        }
        leaks_expect_none();
}
