/* SPDX-License-Identifier: BSD-2-Clause */

/* What leaves: calls and replies as bytes. That every record survives the way is in test-decode.c. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/message.h"
#include "tests/unit/leaks.h"

TestSuite(encode, .timeout = 30);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

static const Call call_plain = { .method = "a.B" };

static void expect_text(const MessageBuffer *buffer, const char *text) {
        cr_assert(eq(str, buffer->data, (char *)text));
        cr_assert(eq(sz, buffer->n, strlen(text) + 1));
        cr_assert(le(sz, buffer->n, buffer->size));
}

Test(encode, parameters_that_are_no_object_are_refused) {
        static const char *const texts[] = {
                " ",
                "[]",
                "1",
                "null",
                "\"x\"",
                "{",
                "{}}",
                "{} {}",
                "{\"a\":1,\"a\":2}",
                "{\"a\":\"\xff\"}",
                "x",
                "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
        };
        MessageBuffer buffer = { 0 };

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                cr_assert(eq(int, message_encode_call_text(&buffer, &call_plain, texts[i]),
                             MESSAGE_E_MALFORMED),
                          "%s", texts[i]);
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

Test(encode, call_that_is_not_utf8_is_refused_not_changed) {
        MessageBuffer buffer = { 0 };
        ListIn in = { .endpoint = "/\xff" };

        cr_assert(eq(int,
                     message_encode_call(&buffer, &call_plain, wire_methods[WIRE_METHOD_LIST].in, &in),
                     -EINVAL));
        cr_assert(
                eq(int, message_encode_call(&buffer, &(Call){ .method = "\xc3" }, NULL, NULL), -EINVAL));
        cr_assert(
                eq(int, message_encode_call_text(&buffer, &(Call){ .method = "\xc3" }, "{}"), -EINVAL));
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

/* Else a process could choose a name that nobody can be told. */
Test(encode, reply_that_is_not_utf8_is_sent_without_those_bytes) {
        HolderInfo holder = { .uid = 1, .gid = 2, .pid = 3, .command = "a\xff\xc3z", .since_usec = 4 };
        WireList texts = { .items = (const char *[]){ "\x80" }, .n = 1 };
        MessageBuffer buffer = { 0 };

        cr_assert(zero(int, message_encode_reply(&buffer, &(Reply){ 0 }, &wire_holder, &holder)));
        expect_text(&buffer, "{\"parameters\":{\"uid\":1,\"gid\":2,\"pid\":3,\"command\":\"a\?\?z\","
                             "\"sinceUsec\":4}}");
        cr_assert(zero(int,
                       message_encode_reply(&buffer, &(Reply){ 0 }, wire_methods[WIRE_METHOD_READY].in,
                                            &(LeasesIn){ .leases = texts })));
        expect_text(&buffer, "{\"parameters\":{\"leases\":[\"?\"]}}");
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

Test(encode, message_over_the_limit_is_refused_and_the_buffer_still_good) {
        static const char frame[] = "{\"parameters\":{\"endpoint\":\"\"}}";
        MessageBuffer buffer = { 0 };
        char *text = malloc(REPLY_SIZE_MAX);
        ListIn in = { .endpoint = text };
        size_t n = REPLY_SIZE_MAX - sizeof(frame);

        cr_assert(ne(ptr, text, NULL));
        memset(text, 'a', REPLY_SIZE_MAX);
        text[n + 1] = '\0';
        cr_assert(
                eq(int,
                   message_encode_reply(&buffer, &(Reply){ 0 }, wire_methods[WIRE_METHOD_LIST].in, &in),
                   -EMSGSIZE));
        text[n] = '\0';
        cr_assert(zero(int, message_encode_reply(&buffer, &(Reply){ 0 },
                                                 wire_methods[WIRE_METHOD_LIST].in, &in)));
        cr_assert(eq(sz, buffer.n, REPLY_SIZE_MAX));

        cr_assert(zero(int, message_encode_reply(&buffer, &(Reply){ 0 }, NULL, NULL)));
        expect_text(&buffer, "{\"parameters\":{}}");
        cr_assert(lt(sz, buffer.size, REPLY_SIZE_MAX),
                  "memory of the one long reply must be given back");
        message_buffer_deinit(&buffer);
        free(text);
        leaks_expect_none();
}

Test(encode, absent_fields_are_not_written) {
        MessageBuffer buffer = { 0 };
        SocketRequest request;

        wire_init(&wire_socket_request, &request);
        request.network = "tcp";
        request.address = ":0";
        cr_assert(zero(int, message_encode_call(&buffer, &call_plain, &wire_socket_request, &request)));
        expect_text(&buffer,
                    "{\"method\":\"a.B\",\"parameters\":{\"network\":\"tcp\",\"address\":\":0\"}}");
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

Test(encode, list_without_items_is_written_unless_it_is_absent) {
        MessageBuffer buffer = { 0 };
        SocketRequest request;
        ExplainIn in = { .request = &request, .uid = 0, .gids = { .items = &in } };

        wire_init(&wire_socket_request, &request);
        request.network = "tcp";
        request.address = ":0";
        cr_assert(zero(int, message_encode_call(&buffer, &call_plain,
                                                wire_methods[WIRE_METHOD_EXPLAIN].in, &in)));
        expect_text(&buffer, "{\"method\":\"a.B\",\"parameters\":{\"request\":{\"network\":\"tcp\","
                             "\"address\":\":0\"},"
                             "\"uid\":0,\"gids\":[]}}");
        cr_assert(zero(int, message_encode_call(&buffer, &call_plain, wire_methods[WIRE_METHOD_READY].in,
                                                &(LeasesIn){ 0 })));
        expect_text(&buffer, "{\"method\":\"a.B\",\"parameters\":{\"leases\":[]}}");
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

Test(encode, flags_of_a_call_are_written_when_set) {
        static const struct {
                Call call;
                const char *text;
        } rows[] = {
                { { .method = "a.B" }, "{\"method\":\"a.B\"}" },
                { { .method = "a.B", .oneway = true }, "{\"method\":\"a.B\",\"oneway\":true}" },
                { { .method = "a.B", .more = true }, "{\"method\":\"a.B\",\"more\":true}" },
                { { .method = "a.B", .upgrade = true }, "{\"method\":\"a.B\",\"upgrade\":true}" },
                { { .method = "a.\"\n" }, "{\"method\":\"a.\\\"\\n\"}" },
        };
        MessageBuffer buffer = { 0 };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                cr_assert(zero(int, message_encode_call(&buffer, &rows[i].call, NULL, NULL)));
                expect_text(&buffer, rows[i].text);
                cr_assert(zero(int, message_encode_call_text(&buffer, &rows[i].call, NULL)));
                expect_text(&buffer, rows[i].text);
                cr_assert(zero(int, message_encode_call_text(&buffer, &rows[i].call, "")));
                expect_text(&buffer, rows[i].text);
        }
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

Test(encode, call_of_text_takes_any_object) {
        MessageBuffer buffer = { 0 };

        cr_assert(zero(int, message_encode_call_text(&buffer, &call_plain, " { \"x\" : [ { } ] } ")));
        expect_text(&buffer, "{\"method\":\"a.B\",\"parameters\":{\"x\":[{}]}}");
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

Test(encode, replies) {
        ErrorParameters parameters = { .resource = "sockets", .limit = 64 };
        Reply error = { .error = wire_errors[WIRE_ERROR_QUOTA_EXCEEDED].name };
        MessageBuffer buffer = { 0 };

        cr_assert(zero(int, message_encode_reply(&buffer, &(Reply){ 0 }, &wire_empty, NULL)));
        expect_text(&buffer, "{\"parameters\":{}}");
        cr_assert(zero(int, message_encode_reply(&buffer, &(Reply){ .continues = true }, NULL, NULL)));
        expect_text(&buffer, "{\"parameters\":{},\"continues\":true}");
        cr_assert(zero(int, message_encode_reply(&buffer, &error,
                                                 wire_errors[WIRE_ERROR_QUOTA_EXCEEDED].parameters,
                                                 &parameters)));
        expect_text(&buffer, "{\"error\":\"io.reuseportd.QuotaExceeded\","
                             "\"parameters\":{\"resource\":\"sockets\",\"limit\":64}}");
        message_buffer_deinit(&buffer);
        leaks_expect_none();
}

Test(encode, buffer_is_reused) {
        MessageBuffer buffer = { 0 };
        const char *data;
        char text[4000];

        memset(text, 'a', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        cr_assert(zero(int, message_encode_call(&buffer, &call_plain, NULL, NULL)));
        data = buffer.data;
        cr_assert(zero(int, message_encode_call(&buffer, &(Call){ .method = text }, NULL, NULL)));
        cr_assert(eq(ptr, (void *)buffer.data, (void *)data));
        cr_assert(zero(int, message_encode_call(&buffer, &call_plain, NULL, NULL)));
        expect_text(&buffer, "{\"method\":\"a.B\"}");
        cr_assert(eq(ptr, (void *)buffer.data, (void *)data));
        message_buffer_deinit(&buffer);
        message_buffer_deinit(&buffer);
        cr_assert(eq(sz, buffer.n, 0));
        leaks_expect_none();
}

/* The NUL must not be lost where the text ends just at the end of the buffer. */
Test(encode, every_length_around_the_size_of_the_buffer) {
        for (size_t n = 4000; n < 4200; n++) {
                MessageBuffer buffer = { 0 };
                char method[4200];

                memset(method, 'a', n);
                method[n] = '\0';
                cr_assert(zero(int, message_encode_call(&buffer, &call_plain, NULL, NULL)));
                cr_assert(zero(int,
                               message_encode_call(&buffer, &(Call){ .method = method }, NULL, NULL)));
                cr_assert(eq(sz, buffer.n, n + sizeof("{\"method\":\"\"}")));
                cr_assert(eq(sz, strlen(buffer.data), buffer.n - 1));
                cr_assert(zero(int, memcmp(buffer.data + buffer.n - 4, "a\"}", 4)));
                message_buffer_deinit(&buffer);
        }
        leaks_expect_none();
}
