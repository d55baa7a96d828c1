/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Every field of every record, wrong in every way: the samples are valid, one place at a time is
 * spoilt, and the refusal must name that place. Also what is decoded when nothing is wrong.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "tests/unit/leaks.h"
#include "tests/unit/samples.h"

TestSuite(decode, .timeout = 60);

enum {
        PATH_SIZE = 256,
};

#define TYPE(t) (1U << (t))
#define LISTS (TYPE(FIELD_STRINGS) | TYPE(FIELD_RECORDS) | TYPE(FIELD_INTS))

/* What is no value of most types. */
static const struct {
        const char *json;
        unsigned fits; /* the types for which it is, or for which another place would be named */
        bool item;     /* for a list, it is the first item that is wrong */
} wrong_values[] = {
        { "null", 0, false },
        { "\"text\"", TYPE(FIELD_STRING), false },
        { "\"\"", TYPE(FIELD_STRING), false },
        { "80", TYPE(FIELD_INT), false },
        { "80.0", 0, false },
        { "1e3", 0, false },
        { "-9223372036854775808", 0, false },
        { "true", TYPE(FIELD_BOOL), false },
        { "{}", TYPE(FIELD_RECORD), false },
        { "[]", LISTS, false },
        { "[null]", 0, true },
        { "[\"text\"]", TYPE(FIELD_STRINGS), true },
        { "[1]", TYPE(FIELD_INTS), true },
        { "[1.5]", 0, true },
        { "[true]", 0, true },
        { "[[]]", 0, true },
        { "[{}]", TYPE(FIELD_RECORDS), true },
};

/* One record inside the parameters of another, and the way to it. */
typedef struct Place {
        json_t *root;
        const Record *root_record;
        json_t *object;
        const Record *record;
        const char *path;
} Place;

typedef void (*Probe)(const Place *place);

/* Calls @probe for every record in the sample. */
static void walk(const Place *place, Probe probe) {
        probe(place);
        for (size_t i = 0; i < place->record->n_fields; i++) {
                const Field *field = &place->record->fields[i];
                json_t *json = json_object_get(place->object, field->name);
                const char *dot = place->path[0] ? "." : "";
                char path[PATH_SIZE];
                Place inner = *place;

                inner.record = field->record;
                inner.path = path;
                if (field->type == FIELD_RECORD && json) {
                        snprintf(path, sizeof(path), "%s%s%s", place->path, dot, field->name);
                        inner.object = json;
                        walk(&inner, probe);
                }
                for (size_t j = 0; field->type == FIELD_RECORDS && j < json_array_size(json); j++) {
                        snprintf(path, sizeof(path), "%s%s%s[%zu]", place->path, dot, field->name, j);
                        inner.object = json_array_get(json, j);
                        walk(&inner, probe);
                }
        }
}

static void walk_all(SampleKind kind, Probe probe) {
        for (size_t i = 0; i < SAMPLE_RECORDS; i++) {
                const Record *record = sample_parameters(i);
                json_t *root = sample_record(record, kind);

                walk(&(Place){ root, record, root, record, "" }, probe);
                json_decref(root);
        }
        leaks_expect_none();
}

static void expect_refusal(const Place *place, bool strict, const char *name, const char *suffix) {
        char path[PATH_SIZE];
        Message *message;
        void *value;

        snprintf(path, sizeof(path), "%s%s%s%s", place->path, place->path[0] ? "." : "", name, suffix);
        cr_assert(eq(int, sample_decode(place->root, place->root_record, strict, &message, &value),
                     MESSAGE_E_PARAMETER),
                  "%s", path);
        cr_assert(eq(str, (char *)message_parameter(message), path));
        message_free(message);
        free(value);
}

/* The parameters are taken, and say @expected when they are encoded again. */
static void expect_decoded(const Place *place, bool strict, const json_t *expected) {
        Message *message;
        void *value;
        json_t *encoded;

        cr_assert(zero(int, sample_decode(place->root, place->root_record, strict, &message, &value)),
                  "%s: %s", place->path, message_parameter(message));
        encoded = sample_encoded(place->root_record, value);
        cr_assert(json_equal(encoded, expected));
        json_decref(encoded);
        message_free(message);
        free(value);
}

/* Consumes @kept, which is NULL where the sample does not have the field. */
static void put_back(const Place *place, const char *name, json_t *kept) {
        if (kept)
                json_object_set_new(place->object, name, kept);
        else
                json_object_del(place->object, name);
}

static bool is_list(const Field *field) {
        return TYPE(field->type) & LISTS;
}

static void probe_wrong_values(const Place *place) {
        for (size_t i = 0; i < place->record->n_fields; i++) {
                const Field *field = &place->record->fields[i];
                json_t *kept = json_incref(json_object_get(place->object, field->name));

                for (size_t j = 0; j < sizeof(wrong_values) / sizeof(wrong_values[0]); j++) {
                        json_t *wrong = json_loads(wrong_values[j].json, JSON_DECODE_ANY, NULL);

                        if (!(wrong_values[j].fits & TYPE(field->type)) &&
                            !(json_is_null(wrong) && field->nullable)) {
                                const char *suffix = wrong_values[j].item && is_list(field) ? "[0]" : "";

                                json_object_set(place->object, field->name, wrong);
                                expect_refusal(place, true, field->name, suffix);
                                if (field->type != FIELD_ENUM || !json_is_string(wrong))
                                        expect_refusal(place, false, field->name, suffix);
                        }
                        json_decref(wrong);
                }
                put_back(place, field->name, kept);
        }
}

Test(decode, value_of_a_wrong_type_is_refused_wherever_it_stands) {
        walk_all(SAMPLE_FULL, probe_wrong_values);
}

static void probe_wrong_last_item(const Place *place) {
        for (size_t i = 0; i < place->record->n_fields; i++) {
                const Field *field = &place->record->fields[i];
                json_t *list = json_object_get(place->object, field->name);

                size_t n = json_array_size(list);
                char suffix[32];

                if (!is_list(field) || !list)
                        continue;
                snprintf(suffix, sizeof(suffix), "[%zu]", n);
                json_array_append_new(list, json_null());
                expect_refusal(place, true, field->name, suffix);
                expect_refusal(place, false, field->name, suffix);
                json_array_remove(list, n);
        }
}

Test(decode, one_wrong_item_behind_good_ones_is_refused) {
        walk_all(SAMPLE_FULL, probe_wrong_last_item);
}

/* A symbol is one of the list, letter for letter. */
static void probe_wrong_symbols(const Place *place) {
        for (size_t i = 0; i < place->record->n_fields; i++) {
                const Field *field = &place->record->fields[i];
                json_t *kept = json_incref(json_object_get(place->object, field->name));
                char symbol[64];

                for (size_t j = 0; field->type == FIELD_ENUM && field->symbols[j]; j++) {
                        snprintf(symbol, sizeof(symbol), "%s ", field->symbols[j]);
                        json_object_set_new(place->object, field->name, json_string(symbol));
                        expect_refusal(place, true, field->name, "");
                        symbol[strlen(field->symbols[j]) - 1] = '\0';
                        json_object_set_new(place->object, field->name, json_string(symbol));
                        expect_refusal(place, true, field->name, "");
                        snprintf(symbol, sizeof(symbol), "%s", field->symbols[j]);
                        symbol[0] ^= 0x20;
                        json_object_set_new(place->object, field->name, json_string(symbol));
                        expect_refusal(place, true, field->name, "");
                }
                put_back(place, field->name, kept);
        }
}

Test(decode, symbol_that_is_not_in_the_list_is_refused) {
        walk_all(SAMPLE_FULL, probe_wrong_symbols);
}

static void probe_missing(const Place *place) {
        for (size_t i = 0; i < place->record->n_fields; i++) {
                const Field *field = &place->record->fields[i];
                json_t *kept = json_incref(json_object_get(place->object, field->name));

                if (!field->nullable) {
                        json_object_del(place->object, field->name);
                        expect_refusal(place, true, field->name, "");
                        expect_refusal(place, false, field->name, "");
                }
                put_back(place, field->name, kept);
        }
}

Test(decode, missing_mandatory_field_is_refused) {
        walk_all(SAMPLE_MINIMAL, probe_missing);
        walk_all(SAMPLE_FULL, probe_missing);
}

static void probe_unknown(const Place *place) {
        static const char *const names[] = { "unknown", "Options", "a.b", "\xc3\xa9" };
        json_t *expected = json_deep_copy(place->root);

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                static const char *const values[] = { "null", "1", "{}", "[[]]" };
                json_t *value = json_loads(values[i], JSON_DECODE_ANY, NULL);

                json_object_set_new(place->object, names[i], value);
                expect_refusal(place, true, names[i], "");
                expect_decoded(place, false, expected);
                json_object_del(place->object, names[i]);
        }
        json_decref(expected);
}

Test(decode, unknown_field_is_refused_if_strict_else_ignored) {
        walk_all(SAMPLE_MINIMAL, probe_unknown);
        walk_all(SAMPLE_FULL, probe_unknown);
}

static void probe_null(const Place *place) {
        for (size_t i = 0; i < place->record->n_fields; i++) {
                const Field *field = &place->record->fields[i];
                json_t *kept = json_incref(json_object_get(place->object, field->name)), *expected;

                if (field->nullable) {
                        json_object_del(place->object, field->name);
                        expected = json_deep_copy(place->root);
                        expect_decoded(place, true, expected);
                        json_object_set_new(place->object, field->name, json_null());
                        expect_decoded(place, true, expected);
                        expect_decoded(place, false, expected);
                        json_decref(expected);
                }
                put_back(place, field->name, kept);
        }
}

Test(decode, null_is_absent_where_it_is_allowed) {
        walk_all(SAMPLE_FULL, probe_null);
}

Test(decode, no_parameters_are_no_fields) {
        static const char *const texts[] = { "{\"method\":\"a.B\"}",
                                             "{\"method\":\"a.B\",\"parameters\":null}",
                                             "{\"method\":\"a.B\",\"parameters\":{}}" };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                char reason[MESSAGE_TEXT_MAX];
                Message *message;
                AcquireIn in;
                ListIn list;

                cr_assert(zero(int, message_parse(texts[i], strlen(texts[i]), &message, reason)));
                cr_assert(zero(int, message_call(message, &(Call){ 0 })));
                cr_assert(eq(int,
                             message_decode(message, wire_methods[WIRE_METHOD_ACQUIRE].in, true, &in),
                             MESSAGE_E_PARAMETER));
                cr_assert(eq(str, (char *)message_parameter(message), (char *)"sockets"));
                cr_assert(zero(int,
                               message_decode(message, wire_methods[WIRE_METHOD_LIST].in, true, &list)));
                cr_assert(eq(ptr, (void *)list.endpoint, NULL));
                cr_assert(zero(int, message_decode(message, &wire_empty, true, &list)));
                message_free(message);
        }
        leaks_expect_none();
}

Test(decode, path_of_one_refusal_is_not_part_of_the_next) {
        json_t *json = json_pack("{s:[{}]}", "sockets");
        Message *message = sample_message(json);
        AcquireIn in;

        for (int i = 0; i < 3; i++) {
                cr_assert(eq(int,
                             message_decode(message, wire_methods[WIRE_METHOD_ACQUIRE].in, true, &in),
                             MESSAGE_E_PARAMETER));
                cr_assert(eq(str, (char *)message_parameter(message), (char *)"sockets[0].network"));
        }
        message_free(message);
        json_decref(json);
        leaks_expect_none();
}

/* The name is the client's: whatever its length and letters, a reply with it can be sent. */
Test(decode, long_unknown_field_is_named_in_part) {
        for (size_t n = 60; n < 400; n++) {
                char name[512] = "";
                json_t *json, *encoded;
                ErrorParameters parameters;
                Message *message;
                AcquireIn in;

                memset(name, 'a', n);
                strcat(name, "\xf0\x9f\x98\x80");
                json = json_pack("{s:[{s:{s:n}}]}", "sockets", "options", name);
                message = sample_message(json);
                cr_assert(eq(int,
                             message_decode(message, wire_methods[WIRE_METHOD_ACQUIRE].in, true, &in),
                             MESSAGE_E_PARAMETER));
                cr_assert(zero(int, strncmp(message_parameter(message), "sockets[0].options.aaaa", 23)));
                wire_init(wire_errors[WIRE_ERROR_INVALID_PARAMETER].parameters, &parameters);
                parameters.parameter = message_parameter(message);
                encoded = sample_encoded(wire_errors[WIRE_ERROR_INVALID_PARAMETER].parameters,
                                         &parameters);
                cr_assert(eq(sz, json_object_size(encoded), 1));
                json_decref(encoded);
                json_decref(json);
                message_free(message);
        }
        leaks_expect_none();
}

Test(decode, integers_reach_their_extremes) {
        static const int64_t extremes[] = { INT64_MAX, INT64_MIN + 1, 0, -1, UINT32_MAX, INT32_MIN };

        for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
                json_t *json = json_pack("{s:{s:s, s:s}, s:I, s:[I, I]}", "request", "network", "tcp",
                                         "address", ":0", "uid", extremes[i], "gids", extremes[i],
                                         (int64_t)INT64_MIN);
                Message *message;
                void *value;
                ExplainIn *in;

                cr_assert(zero(int, sample_decode(json, wire_methods[WIRE_METHOD_EXPLAIN].in, true,
                                                  &message, &value)));
                in = value;
                cr_assert(eq(i64, in->uid, extremes[i]));
                cr_assert(eq(i64, ((int64_t *)in->gids.items)[0], extremes[i]));
                cr_assert(eq(i64, ((int64_t *)in->gids.items)[1], INT64_MIN));
                message_free(message);
                free(value);
                json_decref(json);
        }
        leaks_expect_none();
}

Test(decode, symbol_of_a_later_broker_is_absent_to_the_library) {
        json_t *json = json_pack("{s:s, s:s, s:i, s:[]}", "member", "m", "state", "resting", "weight", 1,
                                 "leases");
        Message *message;
        void *value;

        cr_assert(zero(int, sample_decode(json, &wire_member, false, &message, &value)));
        cr_assert(eq(int, ((MemberInfo *)value)->state, -1));
        message_free(message);
        free(value);
        json_decref(json);
        leaks_expect_none();
}

static void probe_round_trip(const Place *place) {
        if (place->object == place->root) {
                expect_decoded(place, true, place->root);
                expect_decoded(place, false, place->root);
        }
}

Test(decode, every_record_comes_back_as_it_was) {
        walk_all(SAMPLE_MINIMAL, probe_round_trip);
        walk_all(SAMPLE_FULL, probe_round_trip);
}
