/* SPDX-License-Identifier: BSD-2-Clause */

/* Ids as people see them in `reusectl list`: short, in order of age, and never used twice. */

#include "daemon/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/error.h"

int id_source_init(IdSource *source) {
        *source = (IdSource){ 0 };
        if (getrandom(&source->epoch, sizeof(source->epoch), GRND_NONBLOCK) < 0)
                return error_origin(-errno);
        return 0;
}

uint64_t id_next(IdSource *source) {
        return ++source->last;
}

char *id_format_decimal(uint64_t value, char buffer[static ID_TEXT_MAX]) {
        char digits[ID_TEXT_MAX], *first = digits + sizeof(digits) - 1;

        *first = '\0';
        do
                *--first = (char)('0' + value % 10);
        while ((value /= 10) > 0);
        return stpcpy(buffer, first);
}

const char *id_format(const IdSource *source, char kind, uint64_t id, char buffer[static ID_TEXT_MAX]) {
        char number[ID_TEXT_MAX], *end;

        id_format_decimal(id, number);
        buffer[0] = kind;
        end = stpcpy(buffer + 1, number);
        *end++ = '-';
        for (int shift = 28; shift >= 0; shift -= 4)
                *end++ = "0123456789abcdef"[source->epoch >> shift & 0xf];
        *end = '\0';
        return buffer;
}

uint64_t id_parse(const IdSource *source, char kind, const char *text) {
        char expected[ID_TEXT_MAX];
        uint64_t id;

        if (text[0] != kind || text[1] < '1' || text[1] > '9')
                return 0;
        id = strtoull(text + 1, NULL, 10);
        /* One id has one spelling. */
        return strcmp(id_format(source, kind, id, expected), text) == 0 ? id : 0;
}
