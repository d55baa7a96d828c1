/* SPDX-License-Identifier: BSD-2-Clause */

/* A copy says the same as the original, shares nothing with it, and is there when that has gone. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "tests/unit/leaks.h"
#include "tests/unit/samples.h"

TestSuite(wire_copy, .timeout = 30);

static void expect_copied(const Record *record, const void *a, const void *b);

static void expect_copied_text(const char *a, const char *b) {
        cr_assert(eq(int, a == NULL, b == NULL));
        if (a) {
                cr_assert(ne(ptr, (void *)a, (void *)b));
                cr_assert(eq(str, (char *)a, (char *)b));
        }
}

static void expect_copied_list(const Field *field, const WireList *a, const WireList *b) {
        cr_assert(eq(int, a->items == NULL, b->items == NULL), "%s", field->name);
        cr_assert(eq(sz, a->n, b->n));
        if (a->items)
                cr_assert(ne(ptr, a->items, b->items));
        for (size_t i = 0; i < a->n; i++)
                if (field->type == FIELD_STRINGS)
                        expect_copied_text(((char **)a->items)[i], ((char **)b->items)[i]);
                else if (field->type == FIELD_INTS)
                        cr_assert(eq(i64, ((int64_t *)a->items)[i], ((int64_t *)b->items)[i]));
                else
                        expect_copied(field->record, (char *)a->items + i * field->record->size,
                                      (char *)b->items + i * field->record->size);
}

static void expect_copied_field(const Field *field, const void *a, const void *b) {
        const void *p, *q;

        switch (field->type) {
        case FIELD_INT:
                cr_assert(eq(i64, *(const int64_t *)a, *(const int64_t *)b), "%s", field->name);
                break;
        case FIELD_BOOL:
                cr_assert(eq(int, *(const Tristate *)a, *(const Tristate *)b), "%s", field->name);
                break;
        case FIELD_ENUM:
                cr_assert(eq(int, *(const int *)a, *(const int *)b), "%s", field->name);
                break;
        case FIELD_STRING:
                expect_copied_text(*(char *const *)a, *(char *const *)b);
                break;
        case FIELD_RECORD:
                memcpy(&p, a, sizeof(p));
                memcpy(&q, b, sizeof(q));
                cr_assert(eq(int, p == NULL, q == NULL), "%s", field->name);
                if (p) {
                        cr_assert(ne(ptr, (void *)p, (void *)q));
                        expect_copied(field->record, p, q);
                }
                break;
        default:
                expect_copied_list(field, a, b);
        }
}

static void expect_copied(const Record *record, const void *a, const void *b) {
        for (size_t i = 0; i < record->n_fields; i++)
                expect_copied_field(&record->fields[i], (const char *)a + record->fields[i].offset,
                                    (const char *)b + record->fields[i].offset);
}

/* Decodes, copies, compares, forgets the original, and reads the copy by encoding it. */
static void copy_sample(json_t *parameters, const Record *record) {
        Message *message;
        void *value, *copy;
        json_t *encoded;

        cr_assert(zero(int, sample_decode(parameters, record, true, &message, &value)));
        cr_assert(zero(int, wire_copy(record, value, &copy)));
        expect_copied(record, value, copy);
        memset(value, 0x55, record->size);
        free(value);
        message_free(message);

        encoded = sample_encoded(record, copy);
        cr_assert(json_equal(encoded, parameters));
        json_decref(encoded);
        free(copy);
}

Test(wire_copy, every_record_is_copied_and_outlives_its_message) {
        for (size_t i = 0; i < SAMPLE_RECORDS; i++)
                for (SampleKind kind = 0; kind < _SAMPLE_N; kind++) {
                        json_t *parameters = sample_record(sample_parameters(i), kind);

                        copy_sample(parameters, sample_parameters(i));
                        json_decref(parameters);
                }
        leaks_expect_none();
}

Test(wire_copy, everything_absent) {
        for (size_t i = 0; i < SAMPLE_RECORDS; i++) {
                const Record *record = sample_parameters(i);
                void *value = malloc(record->size ?: 1), *copy;

                cr_assert(ne(ptr, value, NULL));
                wire_init(record, value);
                cr_assert(zero(int, wire_copy(record, value, &copy)));
                expect_copied(record, value, copy);
                free(value);
                free(copy);
        }
        leaks_expect_none();
}

Test(wire_copy, empty_lists_stay_and_absent_ones_stay_absent) {
        json_t *empty = json_pack("{s:s, s:s, s:{s:[], s:[]}}", "network", "tcp", "address", ":0",
                                  "options", "multicastGroups", "raw");
        json_t *request = json_pack("{s:o, s:[]}", "request", empty, "gids");

        copy_sample(request, wire_methods[WIRE_METHOD_EXPLAIN].in);
        json_object_del(json_object_get(empty, "options"), "raw");
        json_object_del(request, "gids");
        copy_sample(request, wire_methods[WIRE_METHOD_EXPLAIN].in);
        json_decref(request);
        leaks_expect_none();
}

Test(wire_copy, copy_of_a_copy) {
        json_t *parameters = sample_record(&wire_endpoint, SAMPLE_FULL), *encoded;
        Message *message;
        void *value, *copy, *again;

        cr_assert(zero(int, sample_decode(parameters, &wire_endpoint, true, &message, &value)));
        cr_assert(zero(int, wire_copy(&wire_endpoint, value, &copy)));
        cr_assert(zero(int, wire_copy(&wire_endpoint, copy, &again)));
        free(copy);
        free(value);
        message_free(message);
        encoded = sample_encoded(&wire_endpoint, again);
        cr_assert(json_equal(encoded, parameters));
        json_decref(encoded);
        json_decref(parameters);
        free(again);
        leaks_expect_none();
}

/* Lengths around the alignment, so that a size counted wrongly is seen by a sanitizer. */
Test(wire_copy, strings_and_lists_of_every_length) {
        for (size_t n = 0; n < 70; n++) {
                char text[128] = "";
                json_t *parameters, *leases = json_array();

                memset(text, 'a', n);
                for (size_t i = 0; i < n; i++)
                        json_array_append_new(leases, json_string(text + i));
                parameters = json_pack("{s:o}", "leases", leases);
                copy_sample(parameters, wire_methods[WIRE_METHOD_READY].in);
                json_decref(parameters);
        }
        leaks_expect_none();
}
