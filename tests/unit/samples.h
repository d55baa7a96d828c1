/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Valid parameters for any record of wire.h, built from its table with jansson alone, so that what
 * message.c makes of them can be held against them.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdlib.h>

#include "proto/message.h"

typedef enum SampleKind {
        SAMPLE_MINIMAL, /* mandatory fields only, lists empty */
        SAMPLE_FULL,    /* every field; lists of a minimal and of a full item */
        _SAMPLE_N,
} SampleKind;

static inline json_t *sample_record(const Record *record, SampleKind kind);

static inline json_t *sample_list(const Field *field, SampleKind kind) {
        json_t *list = json_array();

        if (kind == SAMPLE_MINIMAL)
                return list;
        if (field->type == FIELD_STRINGS)
                json_array_append_new(list, json_string(""));
        else if (field->type == FIELD_INTS)
                json_array_append_new(list, json_integer(INT64_MIN));
        else
                json_array_append_new(list, sample_record(field->record, SAMPLE_MINIMAL));
        if (field->type == FIELD_STRINGS)
                json_array_append_new(list, json_sprintf("an item of %s", field->name));
        else if (field->type == FIELD_INTS)
                json_array_append_new(list, json_integer(INT64_MAX));
        else
                json_array_append_new(list, sample_record(field->record, SAMPLE_FULL));
        return list;
}

/* No two fields of a record have the same value, so far as their types allow. */
static inline json_t *sample_field(const Field *field, SampleKind kind) {
        int n = 0;

        switch (field->type) {
        case FIELD_STRING:
                return json_sprintf("the \"%s\" \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", field->name);
        case FIELD_INT:
                return json_integer(INT64_MIN + 1 + (int64_t)field->offset);
        case FIELD_BOOL:
                return json_boolean(field->offset % 2);
        case FIELD_ENUM:
                while (field->symbols[n + 1])
                        n++;
                return json_string(field->symbols[kind == SAMPLE_FULL ? n : 0]);
        case FIELD_RECORD:
                return sample_record(field->record, kind);
        default:
                return sample_list(field, kind);
        }
}

static inline json_t *sample_record(const Record *record, SampleKind kind) {
        json_t *object = json_object();

        for (size_t i = 0; i < record->n_fields; i++) {
                const Field *field = &record->fields[i];

                if (kind == SAMPLE_FULL || !field->nullable)
                        json_object_set_new(object, field->name, sample_field(field, kind));
        }
        return object;
}

/* The message of a call with these parameters. */
static inline Message *sample_message(json_t *parameters) {
        json_t *root = json_pack("{s:s, s:O}", "method", "a.B", "parameters", parameters);
        char *text = json_dumps(root, JSON_COMPACT), reason[MESSAGE_TEXT_MAX];
        Message *message;

        cr_assert(ne(ptr, text, NULL));
        cr_assert(zero(int, message_parse(text, strlen(text), &message, reason)));
        /* Exactly what message_call() finds and message_decode() uses. */
        cr_assert(zero(int, message_call(message, &(Call){ 0 })));
        free(text);
        json_decref(root);
        return message;
}

/* Decodes sample @parameters; *@ret_value is malloc'ed, exactly as large as the record. */
static inline int sample_decode(json_t *parameters, const Record *record, bool strict, Message **ret,
                                void **ret_value) {
        *ret = sample_message(parameters);
        *ret_value = malloc(record->size ?: 1);
        cr_assert(ne(ptr, *ret_value, NULL));
        return message_decode(*ret, record, strict, *ret_value);
}

/* What a struct says when encoded and read back by jansson. */
static inline json_t *sample_encoded(const Record *record, const void *value) {
        MessageBuffer buffer = { 0 };
        json_t *root, *parameters;

        cr_assert(zero(int, message_encode_reply(&buffer, &(Reply){ 0 }, record, value)));
        root = json_loadb(buffer.data, buffer.n - 1, 0, NULL);
        cr_assert(ne(ptr, root, NULL));
        parameters = json_incref(json_object_get(root, "parameters"));
        json_decref(root);
        message_buffer_deinit(&buffer);
        return parameters;
}

enum {
        SAMPLE_RECORDS = 2 * _WIRE_METHOD_N + _WIRE_ERROR_N,
};

/* Every record that is ever a call's or a reply's parameters, by number. */
static inline const Record *sample_parameters(size_t i) {
        if (i < _WIRE_METHOD_N)
                return wire_methods[i].in;
        if (i < 2 * _WIRE_METHOD_N)
                return wire_methods[i - _WIRE_METHOD_N].out;
        return wire_errors[i - 2 * _WIRE_METHOD_N].parameters;
}
