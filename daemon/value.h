/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Numbers, file modes and time spans as the configuration files write them. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        VALUE_COUNT_MAX = 1000000,
};

enum {
        _VALUE_E_SUCCESS,
        /* *@ret_reason is a malloc'ed text for people, owned by the caller. */
        VALUE_E_INVALID,
};

/* 1 to VALUE_COUNT_MAX. Returns 0, VALUE_E_INVALID, or -ENOMEM; so do all of them. */
int value_parse_count(const char *text, size_t *ret, char **ret_reason);

/* An octal number of 0 to 0777. */
int value_parse_mode(const char *text, mode_t *ret, char **ret_reason);

/* systemd's notation: "90", "1min 30s", "500ms"; at most a day. */
int value_parse_span(const char *text, uint64_t *ret_usec, char **ret_reason);

/* So many in so long. */
typedef struct Rate {
        size_t n; /* 0: as many as one likes */
        uint64_t interval_usec;
} Rate;

/* "100/1s": a count, and a span which is not 0. */
int value_parse_rate(const char *text, Rate *ret, char **ret_reason);
