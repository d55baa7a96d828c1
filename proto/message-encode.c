/* SPDX-License-Identifier: BSD-2-Clause */

/* One encoder for every method: it walks the tables of wire.h, into a buffer that is used again. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/message-private.h"

enum {
        BUFFER_SIZE_MIN = 4096,
        /* A buffer that one long reply made larger than this is given back before the next. */
        BUFFER_SIZE_KEPT = 256 * 1024,
};

void message_buffer_deinit(MessageBuffer *buffer) {
        free(buffer->data);
        *buffer = (MessageBuffer){ 0 };
}

/*
 * What the kernel says of somebody else, as the name of a process, is under no rule to be UTF-8, and
 * must not be able to spoil a reply. *@ret_replaced is set where such text was changed, else left alone.
 */
static json_t *encode_text(const char *text, bool *ret_replaced) {
        _cleanup_(freep) char *ascii = NULL;
        json_t *json = json_string(text);

        if (json)
                return json;
        ascii = strdup(text);
        if (!ascii)
                return NULL;
        for (char *c = ascii; *c; c++)
                if (*c & 0x80)
                        *c = '?';
        json = json_string(ascii);
        if (json)
                *ret_replaced = true;
        return json;
}

static json_t *encode_record(const Record *record, const void *value, bool *ret_replaced);

/* NOLINTBEGIN(misc-no-recursion): as deep as records lie in records, by the tables of wire.c */
static json_t *encode_list(const Field *field, const WireList *list, bool *ret_replaced) {
        json_t *array = json_array();

        for (size_t i = 0; i < list->n && array; i++) {
                json_t *item = NULL;

                if (field->type == FIELD_STRINGS)
                        item = encode_text(((const char **)list->items)[i], ret_replaced);
                else if (field->type == FIELD_INTS)
                        item = json_integer(((const int64_t *)list->items)[i]);
                else
                        item = encode_record(field->record,
                                             (const char *)list->items + i * field->record->size,
                                             ret_replaced);
                if (json_array_append_new(array, item) < 0) {
                        json_decref(array);
                        array = NULL;
                }
        }
        return array;
}

/* *@ret_absent: there is nothing to write. NULL otherwise means no memory. */
static json_t *encode_field(const Field *field, const void *at, bool *ret_absent, bool *ret_replaced) {
        const void *p;
        int64_t n;
        int i;

        *ret_absent = false;
        switch (field->type) {
        case FIELD_STRING:
                memcpy(&p, at, sizeof(p));
                *ret_absent = !p;
                return p ? encode_text(p, ret_replaced) : NULL;
        case FIELD_INT:
                memcpy(&n, at, sizeof(n));
                *ret_absent = n == WIRE_ABSENT;
                return *ret_absent ? NULL : json_integer(n);
        case FIELD_BOOL:
                *ret_absent = *(const Tristate *)at < 0;
                return *ret_absent ? NULL : json_boolean(*(const Tristate *)at);
        case FIELD_ENUM:
                memcpy(&i, at, sizeof(i));
                *ret_absent = i < 0;
                return *ret_absent ? NULL : json_string(field->symbols[i]);
        case FIELD_RECORD:
                memcpy(&p, at, sizeof(p));
                *ret_absent = !p;
                return p ? encode_record(field->record, p, ret_replaced) : NULL;
        case FIELD_STRINGS:
        case FIELD_RECORDS:
        case FIELD_INTS:
                *ret_absent = field->nullable && !((const WireList *)at)->items;
                return *ret_absent ? NULL : encode_list(field, at, ret_replaced);
        }
        return NULL;
}

static json_t *encode_record(const Record *record, const void *value, bool *ret_replaced) {
        json_t *object = json_object();

        for (size_t i = 0; i < record->n_fields && object; i++) {
                const Field *field = &record->fields[i];
                bool absent;
                json_t *json =
                        encode_field(field, (const char *)value + field->offset, &absent, ret_replaced);

                assert(!absent || field->nullable);
                if (absent)
                        continue;
                if (json_object_set_new_nocheck(object, field->name, json) < 0) {
                        json_decref(object);
                        object = NULL;
                }
        }
        return object;
}

/* NOLINTEND(misc-no-recursion) */

static int message_dump(MessageBuffer *buffer, const json_t *root) {
        size_t n;

        if (buffer->size > BUFFER_SIZE_KEPT)
                message_buffer_deinit(buffer);
        n = json_dumpb(root, buffer->data, buffer->size, JSON_COMPACT);
        if (n == 0)
                return error_origin(-ENOMEM);
        if (n + 1 > REPLY_SIZE_MAX)
                return error_origin(-EMSGSIZE);
        if (n + 1 > buffer->size) {
                size_t size = n + 1 > BUFFER_SIZE_MIN ? n + 1 : BUFFER_SIZE_MIN;
                char *data = realloc(buffer->data, size);

                if (!data)
                        return error_origin(-ENOMEM);
                buffer->data = data;
                buffer->size = size;
                json_dumpb(root, data, size, JSON_COMPACT);
        }
        buffer->data[n] = '\0';
        buffer->n = n + 1;
        return 0;
}

/* Consumes @json, which may be NULL for lack of memory. */
static bool envelope_set(json_t *root, const char *key, json_t *json) {
        return json_object_set_new_nocheck(root, key, json) == 0;
}

/* Consumes @parameters. @replaced: they are not what the caller said, for lack of UTF-8. */
static int encode_call(MessageBuffer *buffer, const Call *call, json_t *parameters, bool replaced) {
        json_auto_t *root = json_object();
        bool done;

        done = root && envelope_set(root, "method", encode_text(call->method, &replaced));
        if (parameters) {
                if (done)
                        done = envelope_set(root, "parameters", parameters);
                else
                        json_decref(parameters);
        }
        if (done && call->oneway)
                done = envelope_set(root, "oneway", json_true());
        if (done && call->more)
                done = envelope_set(root, "more", json_true());
        if (done && call->upgrade)
                done = envelope_set(root, "upgrade", json_true());
        if (replaced)
                return error_origin(-EINVAL);
        return done ? message_dump(buffer, root) : error_origin(-ENOMEM);
}

int message_encode_call(MessageBuffer *buffer, const Call *call, const Record *record,
                        const void *value) {
        json_t *parameters = NULL;
        bool replaced = false;

        if (record) {
                parameters = encode_record(record, value, &replaced);
                if (!parameters)
                        return error_origin(-ENOMEM);
        }
        return encode_call(buffer, call, parameters, replaced);
}

int message_encode_call_text(MessageBuffer *buffer, const Call *call, const char *parameters) {
        json_t *json = NULL;

        if (parameters && parameters[0]) {
                if (message_text_too_deep(parameters, strlen(parameters)))
                        return MESSAGE_E_MALFORMED;
                json = json_loads(parameters, JSON_REJECT_DUPLICATES, NULL);
                if (!json_is_object(json)) {
                        json_decref(json);
                        return MESSAGE_E_MALFORMED;
                }
        }
        return encode_call(buffer, call, json, false);
}

int message_encode_reply(MessageBuffer *buffer, const Reply *reply, const Record *record,
                         const void *value) {
        json_auto_t *root = json_object();
        bool done = root;
        bool replaced; /* a reply with a few changed letters is better than none */

        if (done && reply->error)
                done = envelope_set(root, "error", json_string(reply->error));
        if (done)
                done = envelope_set(root, "parameters",
                                    record ? encode_record(record, value, &replaced) : json_object());
        if (done && reply->continues)
                done = envelope_set(root, "continues", json_true());
        return done ? message_dump(buffer, root) : error_origin(-ENOMEM);
}

/* ---- in pieces ---------------------------------------------------------------------------------- */

static int buffer_append(MessageBuffer *buffer, const char *text, size_t n) {
        size_t size = buffer->size ?: BUFFER_SIZE_MIN;
        char *data;

        if (buffer->n + n > REPLY_SIZE_MAX)
                return error_origin(-EMSGSIZE);
        while (size < buffer->n + n)
                size *= 2;
        if (size > buffer->size) {
                data = realloc(buffer->data, size);
                if (!data)
                        return error_origin(-ENOMEM);
                buffer->data = data;
                buffer->size = size;
        }
        memcpy(buffer->data + buffer->n, text, n);
        buffer->n += n;
        return 0;
}

int message_append_text(MessageBuffer *buffer, const char *text) {
        int r = buffer_append(buffer, text, strlen(text));

        return error_trace(r);
}

int message_append_end(MessageBuffer *buffer) {
        int r = buffer_append(buffer, "", 1);

        return error_trace(r);
}

int message_append_value(MessageBuffer *buffer, const Record *record, const void *value,
                         const char *open) {
        json_auto_t *object = NULL;
        _cleanup_(freep) char *text = NULL;
        bool replaced;
        int r;

        object = encode_record(record, value, &replaced);
        if (!object)
                return error_origin(-ENOMEM);
        if (open)
                json_object_del(object, open);
        text = json_dumps(object, JSON_COMPACT);
        if (!text)
                return error_origin(-ENOMEM);
        r = buffer_append(buffer, text, strlen(text) - (open ? 1 : 0));
        if (r == 0 && open) {
                const char *const parts[] = { ",\"", open, "\":[" };

                for (size_t i = 0; i < 3 && r == 0; i++)
                        r = message_append_text(buffer, parts[i]);
        }
        return error_trace(r);
}
