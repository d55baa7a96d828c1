/* SPDX-License-Identifier: BSD-2-Clause */

/* The tables of what is saved: one row per field. A tag is never given to another field. */

#include "daemon/state-record.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/error.h"

typedef enum FieldType {
        FIELD_NUMBER, /* uint64_t */
        FIELD_TEXT,   /* const char *, saved with its NUL */
        FIELD_BYTES,  /* StateBytes */
        FIELD_NESTED, /* a struct of another table */
} FieldType;

typedef struct FieldTable FieldTable;

typedef struct Field {
        uint32_t tag;
        FieldType type;
        size_t offset;
        const FieldTable *table; /* FIELD_NESTED */
} Field;

struct FieldTable {
        const Field *fields;
        size_t n;
        size_t size; /* of the struct */
        size_t rest; /* where in there a StateBytes is for what is not known; 0: it has none */
};

/* In front of each field. */
typedef struct FieldHead {
        uint32_t tag;
        uint32_t n; /* bytes that follow */
} FieldHead;

#define TABLE(name, type, rest)                                                                         \
        static const FieldTable name = { name##_fields, sizeof(name##_fields) / sizeof(Field),          \
                                         sizeof(type), (rest) }

static const Field subject_fields[] = {
        { 1, FIELD_NUMBER, offsetof(SavedSubject, uid), NULL },
        { 2, FIELD_NUMBER, offsetof(SavedSubject, gid), NULL },
        { 3, FIELD_NUMBER, offsetof(SavedSubject, pid), NULL },
        { 4, FIELD_NUMBER, offsetof(SavedSubject, connected_usec), NULL },
        { 5, FIELD_BYTES, offsetof(SavedSubject, groups), NULL },
        { 6, FIELD_TEXT, offsetof(SavedSubject, cgroup), NULL },
        { 7, FIELD_TEXT, offsetof(SavedSubject, label), NULL },
};
TABLE(subject, SavedSubject, offsetof(SavedSubject, rest));

static const Field endpoint_fields[] = {
        { 1, FIELD_TEXT, offsetof(SavedEndpoint, network), NULL },
        { 2, FIELD_TEXT, offsetof(SavedEndpoint, address), NULL },
        { 3, FIELD_TEXT, offsetof(SavedEndpoint, name), NULL },
        { 4, FIELD_NUMBER, offsetof(SavedEndpoint, sharing), NULL },
        { 5, FIELD_NUMBER, offsetof(SavedEndpoint, steering), NULL },
        { 6, FIELD_NUMBER, offsetof(SavedEndpoint, retain_usec), NULL },
        { 7, FIELD_NUMBER, offsetof(SavedEndpoint, tenant_uid), NULL },
        { 8, FIELD_TEXT, offsetof(SavedEndpoint, tenant_name), NULL },
        { 9, FIELD_NESTED, offsetof(SavedEndpoint, maker), &subject },
        { 10, FIELD_TEXT, offsetof(SavedEndpoint, options), NULL },
        { 11, FIELD_NUMBER, offsetof(SavedEndpoint, file_device), NULL },
        { 12, FIELD_NUMBER, offsetof(SavedEndpoint, file_inode), NULL },
        { 13, FIELD_NUMBER, offsetof(SavedEndpoint, sentinel), NULL },
        { 14, FIELD_NUMBER, offsetof(SavedEndpoint, sentinel_cookie), NULL },
        { 15, FIELD_NUMBER, offsetof(SavedEndpoint, sentinel_place), NULL },
        { 16, FIELD_NUMBER, offsetof(SavedEndpoint, passed), NULL },
        { 17, FIELD_NUMBER, offsetof(SavedEndpoint, survivors), NULL },
        { 24, FIELD_TEXT, offsetof(SavedEndpoint, network_namespace), NULL },
};
TABLE(endpoint, SavedEndpoint, 0);

static const Field member_fields[] = {
        { 1, FIELD_NUMBER, offsetof(SavedMember, endpoint), NULL },
        { 2, FIELD_NUMBER, offsetof(SavedMember, cookie), NULL },
        { 3, FIELD_NUMBER, offsetof(SavedMember, state), NULL },
        { 4, FIELD_NUMBER, offsetof(SavedMember, weight), NULL },
        { 5, FIELD_NUMBER, offsetof(SavedMember, orphan), NULL },
        { 6, FIELD_NUMBER, offsetof(SavedMember, retain_until_usec), NULL },
        { 7, FIELD_NUMBER, offsetof(SavedMember, parked_usec), NULL },
        { 8, FIELD_NUMBER, offsetof(SavedMember, has_holder), NULL },
        { 9, FIELD_NESTED, offsetof(SavedMember, last_holder), &subject },
        { 10, FIELD_NUMBER, offsetof(SavedMember, payer), NULL },
        { 11, FIELD_NUMBER, offsetof(SavedMember, departs), NULL },
        { 12, FIELD_NUMBER, offsetof(SavedMember, place), NULL },
        { 13, FIELD_NUMBER, offsetof(SavedMember, flows), NULL },
        { 14, FIELD_NUMBER, offsetof(SavedMember, counted_by), NULL },
        { 15, FIELD_NUMBER, offsetof(SavedMember, count_at), NULL },
};
TABLE(member, SavedMember, 0);

static const Field lease_fields[] = {
        { 1, FIELD_NUMBER, offsetof(SavedLease, member), NULL },
        { 2, FIELD_NUMBER, offsetof(SavedLease, since_usec), NULL },
        { 3, FIELD_NESTED, offsetof(SavedLease, subject), &subject },
        { 4, FIELD_NUMBER, offsetof(SavedLease, process), NULL },
        { 5, FIELD_TEXT, offsetof(SavedLease, rule), NULL },
        { 6, FIELD_NUMBER, offsetof(SavedLease, lifeline), NULL },
};
TABLE(lease, SavedLease, 0);

static const FieldTable *const tables[_STATE_KIND_N] = {
        [STATE_ENDPOINT] = &endpoint,
        [STATE_MEMBER] = &member,
        [STATE_LEASE] = &lease,
};

/* ---- writing ------------------------------------------------------------------------------------ */

void state_buffer_deinit(StateBuffer *buffer) {
        free(buffer->data);
        *buffer = (StateBuffer){ 0 };
}

int state_buffer_append(StateBuffer *buffer, const void *data, size_t n) {
        size_t size = buffer->size ?: 512;
        char *grown;

        while (size < buffer->n + n)
                size *= 2;
        if (size > buffer->size) {
                grown = realloc(buffer->data, size);
                if (!grown)
                        return error_origin(-ENOMEM);
                buffer->data = grown;
                buffer->size = size;
        }
        if (n > 0)
                memcpy(buffer->data + buffer->n, data, n);
        buffer->n += n;
        return 0;
}

static const Field *find_field(const FieldTable *table, uint32_t tag) {
        for (size_t i = 0; i < table->n; i++)
                if (table->fields[i].tag == tag)
                        return &table->fields[i];
        return NULL;
}

static int append_field(StateBuffer *buffer, uint32_t tag, const void *data, size_t n) {
        FieldHead head = { .tag = tag, .n = (uint32_t)n };
        int r;

        if (n == 0)
                return 0;
        r = state_buffer_append(buffer, &head, sizeof(head));
        if (r == 0)
                r = state_buffer_append(buffer, data, n);
        return error_trace(r);
}

/* NOLINTBEGIN(misc-no-recursion): as deep as tables lie in tables above */
static int encode(const FieldTable *table, const void *saved, StateBuffer *buffer);

/* Its length is known when it is there; one without fields is left out, too. */
static int encode_nested(const Field *field, const void *saved, StateBuffer *buffer) {
        FieldHead head = { .tag = field->tag };
        size_t at = buffer->n;
        int r;

        r = state_buffer_append(buffer, &head, sizeof(head));
        if (r == 0)
                r = encode(field->table, saved, buffer);
        if (r < 0)
                return error_trace(r);
        head.n = (uint32_t)(buffer->n - at - sizeof(head));
        if (head.n == 0)
                buffer->n = at;
        else
                memcpy(buffer->data + at, &head, sizeof(head));
        return 0;
}

static int encode_field(const Field *field, const void *at, StateBuffer *buffer) {
        const StateBytes *bytes = at;
        const char *text;
        uint64_t number;

        switch (field->type) {
        case FIELD_NUMBER:
                memcpy(&number, at, sizeof(number));
                return append_field(buffer, field->tag, &number, number != 0 ? sizeof(number) : 0);
        case FIELD_TEXT:
                memcpy(&text, at, sizeof(text));
                return append_field(buffer, field->tag, text, text ? strlen(text) + 1 : 0);
        case FIELD_BYTES:
                return append_field(buffer, field->tag, bytes->data, bytes->n);
        default:
                return encode_nested(field, at, buffer);
        }
}

/* Of @rest, what is not known. It was read before, so it has whole fields. */
static int encode_rest(const FieldTable *table, StateBytes rest, StateBuffer *buffer) {
        const char *data = rest.data;
        FieldHead head;
        int r = 0;

        for (size_t n = rest.n; n > 0 && r == 0;
             data += sizeof(head) + head.n, n -= sizeof(head) + head.n) {
                memcpy(&head, data, sizeof(head));
                if (!find_field(table, head.tag))
                        r = state_buffer_append(buffer, data, sizeof(head) + head.n);
        }
        return error_trace(r);
}

static int encode(const FieldTable *table, const void *saved, StateBuffer *buffer) {
        StateBytes rest;
        for (size_t i = 0; i < table->n; i++) {
                int r = encode_field(&table->fields[i], (const char *)saved + table->fields[i].offset,
                                     buffer);

                if (r < 0)
                        return error_trace(r);
        }
        if (table->rest == 0)
                return 0;
        memcpy(&rest, (const char *)saved + table->rest, sizeof(rest));
        return error_trace(encode_rest(table, rest, buffer));
}

int state_record_encode(StateKind kind, const void *saved, StateBuffer *buffer) {
        return encode(tables[kind], saved, buffer);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static int decode(const FieldTable *table, const char *data, size_t n, void *ret, StateBuffer *rest);

static int decode_field(const Field *field, const char *data, size_t n, void *at) {
        uint64_t number;

        switch (field->type) {
        case FIELD_NUMBER:
                if (n != sizeof(number))
                        return STATE_RECORD_E_MALFORMED;
                memcpy(at, data, n);
                return 0;
        case FIELD_TEXT:
                if (n == 0 || strnlen(data, n) != n - 1)
                        return STATE_RECORD_E_MALFORMED;
                memcpy(at, &data, sizeof(data));
                return 0;
        case FIELD_BYTES:
                memcpy(at, &(StateBytes){ data, n }, sizeof(StateBytes));
                return 0;
        default:
                return decode(field->table, data, n, at, NULL);
        }
}

/* The first field that is not known begins the rest. */
static void note_rest(const FieldTable *table, const char *data, size_t n, void *ret) {
        StateBytes *rest = (StateBytes *)(void *)((char *)ret + table->rest);

        if (rest->n == 0)
                *rest = (StateBytes){ data, n };
}

static int decode(const FieldTable *table, const char *data, size_t n, void *ret, StateBuffer *rest) {
        memset(ret, 0, table->size);
        while (n > 0) {
                const Field *field;
                FieldHead head;
                int r = 0;

                if (n < sizeof(head))
                        return STATE_RECORD_E_MALFORMED;
                memcpy(&head, data, sizeof(head));
                if (head.n > n - sizeof(head))
                        return STATE_RECORD_E_MALFORMED;
                field = find_field(table, head.tag);
                if (field)
                        r = decode_field(field, data + sizeof(head), head.n,
                                         (char *)ret + field->offset);
                else if (table->rest > 0)
                        note_rest(table, data, n, ret);
                else if (rest)
                        r = state_buffer_append(rest, data, sizeof(head) + head.n);
                if (r != 0)
                        return r < 0 ? error_trace(r) : r;
                data += sizeof(head) + head.n;
                n -= sizeof(head) + head.n;
        }
        return 0;
}

/* NOLINTEND(misc-no-recursion) */

int state_record_decode(StateKind kind, const char *data, size_t n, void *ret, StateBuffer *rest) {
        return decode(tables[kind], data, n, ret, rest);
}
