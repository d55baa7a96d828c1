/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Names of leases, members and endpoints: a running number, and a random part that differs with every
 * start, so that an id of an earlier broker is never taken for one of this.
 */

#include <stdint.h>

typedef struct IdSource {
        uint32_t epoch;
        uint64_t last;
} IdSource;

enum {
        ID_TEXT_MAX = 32,
};

/* Starts counting in a new epoch. Returns 0 or a negative errno. */
int id_source_init(IdSource *source);

uint64_t id_next(IdSource *source);

/* Writes @value in decimal with its NUL; returns where the NUL is. On the path of every hand-over. */
char *id_format_decimal(uint64_t value, char buffer[static ID_TEXT_MAX]);

/* "l12-3f9a1c07" for kind 'l'. Returns @buffer. */
const char *id_format(const IdSource *source, char kind, uint64_t id, char buffer[static ID_TEXT_MAX]);

/* The number in @text, or 0 if that is no id of this kind and epoch. */
uint64_t id_parse(const IdSource *source, char kind, const char *text);
