/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Any text as a frame, and its parameters as those of every method, reply and error. What one struct
 * can be made of must come back the same from what the struct is written as.
 */

#include "proto/message.h"

#include <jansson.h>

#include "proto/limits.h"
#include "tests/fuzz/fuzz.h"

static Message *parse(const char *text, size_t n) {
        char reason[MESSAGE_TEXT_MAX] = "";
        Message *message = NULL;
        int r = message_parse(text, n, &message, reason);

        fuzz_expect(r == 0 || r == MESSAGE_E_MALFORMED);
        fuzz_expect((r == 0) == (message != NULL));
        fuzz_expect(r == 0 || *reason);
        return message;
}

static void *decode(Message *message, const Record *record, bool strict) {
        void *value = malloc(record->size ?: 1);
        int r;

        fuzz_expect(value);
        r = message_decode(message, record, strict, value);
        if (r == 0)
                return value;
        /* The name of a field may be empty. */
        fuzz_expect(r == MESSAGE_E_PARAMETER && strlen(message_parameter(message)) < CALL_SIZE_MAX);
        free(value);
        return NULL;
}

static void encode(MessageBuffer *buffer, bool call, const Record *record, const void *value) {
        int r = call ? message_encode_call(buffer, &(Call){ .method = "a.B", .more = true }, record,
                                           value)
                     : message_encode_reply(buffer, &(Reply){ .continues = true }, record, value);

        fuzz_expect(r == 0);
        fuzz_expect(buffer->data[buffer->n - 1] == '\0' && strlen(buffer->data) == buffer->n - 1);
}

/* What is written reads as the same; so does a copy. */
static void expect_round(const Record *record, const void *value, bool call) {
        MessageBuffer first = { 0 }, second = { 0 };
        void *copy, *again;
        Message *message;

        encode(&first, call, record, value);
        message = parse(first.data, first.n - 1);
        fuzz_expect(message);
        if (call)
                fuzz_expect(message_call(message, &(Call){ 0 }) == 0);
        else
                fuzz_expect(message_reply(message, &(Reply){ 0 }) == 0);
        again = decode(message, record, true);
        fuzz_expect(again);
        encode(&second, call, record, again);
        fuzz_expect(first.n == second.n && memcmp(first.data, second.data, first.n) == 0);
        fuzz_expect(wire_copy(record, value, &copy) == 0);
        encode(&second, call, record, copy);
        fuzz_expect(first.n == second.n && memcmp(first.data, second.data, first.n) == 0);
        free(copy);
        free(again);
        message_free(message);
        message_buffer_deinit(&first);
        message_buffer_deinit(&second);
}

static void try_record(Message *message, const Record *record, bool call) {
        void *strict = decode(message, record, true), *loose = decode(message, record, false), *copy;

        if (strict) {
                fuzz_expect(loose);
                expect_round(record, strict, call);
        }
        if (loose) {
                fuzz_expect(wire_copy(record, loose, &copy) == 0);
                free(copy);
        }
        free(strict);
        free(loose);
}

static void try_records(Message *message) {
        for (int i = 0; i < _WIRE_METHOD_N; i++) {
                try_record(message, wire_methods[i].in, true);
                try_record(message, wire_methods[i].out, false);
        }
        for (int i = 0; i < _WIRE_ERROR_N; i++)
                try_record(message, wire_errors[i].parameters, false);
}

/* Parameters that were given as text are sent as they are. */
static void try_text(const char *text) {
        MessageBuffer buffer = { 0 };
        Message *message;
        char *parameters;
        Call call;

        if (message_encode_call_text(&buffer, &(Call){ .method = "a.B", .oneway = true }, text) == 0) {
                /* One level deeper than the text alone. */
                message = parse(buffer.data, buffer.n - 1);
                if (message) {
                        fuzz_expect(message_call(message, &call) == 0);
                        fuzz_expect(strcmp(call.method, "a.B") == 0 && call.oneway && !call.more);
                        fuzz_expect(message_parameters_text(message, &parameters) == 0);
                        free(parameters);
                        message_free(message);
                }
        }
        message_buffer_deinit(&buffer);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        /* The same every time. */
        json_object_seed(1);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = fuzz_copy((const char *)data, size);
        Message *message = parse(text, size);
        Call call = { .method = NULL };
        Reply reply;

        if (message && message_call(message, &call) == 0) {
                fuzz_expect(call.method);
                try_records(message);
        }
        if (message && message_reply(message, &reply) == 0)
                try_records(message);
        message_free(message);
        try_text(text);
        free(text);
        return 0;
}
