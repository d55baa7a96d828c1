/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One decoder for every method: it walks the tables of wire.h. Strings are borrowed from the parsed
 * JSON, structs come from the message's arena.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "proto/error.h"
#include "proto/message-private.h"

static int decode_record(Message *message, const Record *record, json_t *object, bool strict,
                         void *value);

/* NOLINTBEGIN(misc-no-recursion): as deep as records lie in records, by the tables of wire.c */
static int decode_list(Message *message, const Field *field, json_t *array, bool strict, WireList *ret) {
        size_t size = field->type == FIELD_STRINGS ? sizeof(char *)
                      : field->type == FIELD_INTS  ? sizeof(int64_t)
                                                   : field->record->size;
        size_t n = json_array_size(array);
        char *items;

        if (!json_is_array(array))
                return message_refuse_field(message, field->name);
        items = message_allocate(message, (n ?: 1) * size);
        if (!items)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++) {
                json_t *item = json_array_get(array, i);
                bool fits = true;
                int r = 0;

                if (field->type == FIELD_STRINGS) {
                        fits = json_is_string(item);
                        ((const char **)(void *)items)[i] = json_string_value(item);
                } else if (field->type == FIELD_INTS) {
                        fits = json_is_integer(item);
                        ((int64_t *)(void *)items)[i] = json_integer_value(item);
                } else if (json_is_object(item))
                        r = decode_record(message, field->record, item, strict, items + i * size);
                else
                        fits = false;
                if (r < 0)
                        return error_trace(r);
                if (r > 0 || !fits)
                        return message_refuse_item(message, i),
                               message_refuse_field(message, field->name);
        }
        *ret = (WireList){ .items = items, .n = n };
        return 0;
}

static int decode_enum(const Field *field, json_t *json, bool strict, int *ret) {
        const char *text = json_string_value(json);

        if (!text)
                return MESSAGE_E_PARAMETER;
        for (int i = 0; field->symbols[i]; i++)
                if (strcmp(field->symbols[i], text) == 0) {
                        *ret = i;
                        return 0;
                }
        /* A later broker may know more symbols than this library. */
        *ret = -1;
        return strict ? MESSAGE_E_PARAMETER : 0;
}

/* One field that is there and not null. */
static int decode_field(Message *message, const Field *field, json_t *json, bool strict, void *at) {
        bool fits = false;
        int r;

        switch (field->type) {
        case FIELD_STRING:
                fits = json_is_string(json);
                memcpy(at, &(const char *){ json_string_value(json) }, sizeof(char *));
                break;
        case FIELD_INT:
                fits = json_is_integer(json) && json_integer_value(json) != WIRE_ABSENT;
                memcpy(at, &(int64_t){ json_integer_value(json) }, sizeof(int64_t));
                break;
        case FIELD_BOOL:
                fits = json_is_boolean(json);
                *(Tristate *)at = json_is_true(json);
                break;
        case FIELD_ENUM:
                fits = decode_enum(field, json, strict, at) == 0;
                break;
        case FIELD_RECORD: {
                void *value;

                if (!json_is_object(json))
                        break;
                value = message_allocate(message, field->record->size);
                if (!value)
                        return error_origin(-ENOMEM);
                r = decode_record(message, field->record, json, strict, value);
                if (r < 0)
                        return error_trace(r);
                memcpy(at, &value, sizeof(value));
                fits = r == 0;
                break;
        }
        case FIELD_STRINGS:
        case FIELD_RECORDS:
        case FIELD_INTS:
                return decode_list(message, field, json, strict, at);
        }
        return fits ? 0 : message_refuse_field(message, field->name);
}

static int decode_record(Message *message, const Record *record, json_t *object, bool strict,
                         void *value) {
        uint64_t seen = 0;
        size_t next = 0;
        const char *key;
        json_t *json;

        assert(record->n_fields <= 64);
        wire_init(record, value);
        json_object_foreach(object, key, json) {
                const Field *field = NULL;

                /* Fields mostly come in the order of the table: go on where the last one was found. */
                for (size_t i = 0; i < record->n_fields && !field;
                     i++, next = (next + 1) % record->n_fields)
                        if (strcmp(record->fields[next].name, key) == 0)
                                field = &record->fields[next];
                if (!field) {
                        if (strict)
                                return message_refuse_field(message, key);
                        continue;
                }
                if (json_is_null(json)) {
                        if (!field->nullable)
                                return message_refuse_field(message, key);
                        continue;
                }
                int r = decode_field(message, field, json, strict, (char *)value + field->offset);
                if (r != 0)
                        return r < 0 ? error_trace(r) : r;
                seen |= UINT64_C(1) << (field - record->fields);
        }
        for (size_t i = 0; i < record->n_fields; i++)
                if (!record->fields[i].nullable && !(seen & UINT64_C(1) << i))
                        return message_refuse_field(message, record->fields[i].name);
        return 0;
}

/* NOLINTEND(misc-no-recursion) */

int message_decode(Message *message, const Record *record, bool strict, void *ret) {
        json_auto_t *none = NULL;

        message->path[0] = '\0';
        if (message->parameters)
                return decode_record(message, record, message->parameters, strict, ret);
        none = json_object();
        return none ? decode_record(message, record, none, strict, ret) : error_origin(-ENOMEM);
}
