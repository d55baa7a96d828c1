/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Deep copies of wire structs. Measured first, then filled: one block holds the struct, its lists and
 * its strings, so that what an endpoint remembers of a request is one allocation.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/error.h"
#include "proto/message.h"

static size_t aligned(size_t size) {
        return (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
}

static size_t item_size(const Field *field) {
        switch (field->type) {
        case FIELD_STRINGS:
                return sizeof(char *);
        case FIELD_INTS:
                return sizeof(int64_t);
        default:
                return field->record->size;
        }
}

static size_t record_size(const Record *record, const void *value);

/* NOLINTBEGIN(misc-no-recursion): as deep as records lie in records, by the tables of wire.c */
/* What a field needs beside its place in the struct. */
static size_t field_size(const Field *field, const void *at) {
        const WireList *list = at;
        const void *p;
        size_t size;

        switch (field->type) {
        case FIELD_STRING:
                memcpy(&p, at, sizeof(p));
                return p ? aligned(strlen(p) + 1) : 0;
        case FIELD_RECORD:
                memcpy(&p, at, sizeof(p));
                return p ? record_size(field->record, p) : 0;
        case FIELD_STRINGS:
        case FIELD_RECORDS:
        case FIELD_INTS:
                if (!list->items)
                        return 0;
                size = aligned(list->n * item_size(field));
                for (size_t i = 0; i < list->n; i++) {
                        const char *item = (const char *)list->items + i * item_size(field);

                        if (field->type == FIELD_STRINGS)
                                size += aligned(strlen(((const char **)list->items)[i]) + 1);
                        else if (field->type == FIELD_RECORDS)
                                size += record_size(field->record, item) - aligned(field->record->size);
                }
                return size;
        default:
                return 0;
        }
}

static size_t record_size(const Record *record, const void *value) {
        size_t size = aligned(record->size);

        for (size_t i = 0; i < record->n_fields; i++)
                size += field_size(&record->fields[i], (const char *)value + record->fields[i].offset);
        return size;
}

/* NOLINTEND(misc-no-recursion) */

/* Copies @size bytes to the next free place of the block. */
static void *place(char **next, const void *data, size_t size) {
        void *p = *next;

        memcpy(p, data, size);
        *next += aligned(size);
        return p;
}

/* The struct itself is copied already; this gives it strings and lists of its own. */
/* NOLINTNEXTLINE(misc-no-recursion): as above */
static void record_own(const Record *record, void *value, char **next) {
        for (size_t i = 0; i < record->n_fields; i++) {
                const Field *field = &record->fields[i];
                void *at = (char *)value + field->offset;
                WireList *list = at;
                void *p;

                switch (field->type) {
                case FIELD_STRING:
                        memcpy(&p, at, sizeof(p));
                        if (p) {
                                p = place(next, p, strlen(p) + 1);
                                memcpy(at, &p, sizeof(p));
                        }
                        break;
                case FIELD_RECORD:
                        memcpy(&p, at, sizeof(p));
                        if (p) {
                                p = place(next, p, field->record->size);
                                memcpy(at, &p, sizeof(p));
                                record_own(field->record, p, next);
                        }
                        break;
                case FIELD_STRINGS:
                case FIELD_RECORDS:
                case FIELD_INTS:
                        if (!list->items)
                                break;
                        list->items = place(next, list->items, list->n * item_size(field));
                        for (size_t j = 0; j < list->n; j++) {
                                char *item = (char *)list->items + j * item_size(field);

                                if (field->type == FIELD_STRINGS) {
                                        char **s = (char **)list->items + j;

                                        *s = place(next, *s, strlen(*s) + 1);
                                } else if (field->type == FIELD_RECORDS)
                                        record_own(field->record, item, next);
                        }
                        break;
                default:
                        break;
                }
        }
}

int wire_copy(const Record *record, const void *value, void **ret) {
        char *block = malloc(record_size(record, value));
        char *next = block;
        void *copy;

        if (!block)
                return error_origin(-ENOMEM);
        copy = place(&next, value, record->size);
        record_own(record, copy, &next);
        *ret = copy;
        return 0;
}
