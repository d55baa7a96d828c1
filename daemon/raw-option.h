/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Options without a name in the protocol: level, name and the bytes of the value in hexadecimal. */

#include <stdbool.h>
#include <stddef.h>

#include "proto/limits.h"
#include "proto/wire.h"

enum {
        RAW_HEX_SIZE = 2 * RAW_VALUE_MAX + 1,
};

/* NULL, or a static text: why @list (of RawOption) may not be set. */
const char *raw_options_check(const WireList *list);

/* Sets a checked @option. Returns 0, or the errno of setsockopt(). */
int raw_option_set(int fd, const RawOption *option);

/*
 * What the kernel has, in as many bytes as @option was set with; the value of @option itself where the
 * kernel does not tell. Returns whether it did.
 */
bool raw_option_read(int fd, const RawOption *option, char ret_value[static RAW_HEX_SIZE]);

/* The same options with the same bytes in the same order. */
bool raw_options_equal(const WireList *a, const WireList *b);

/* "6:1=01000000 0:1=10", cut at @size. */
void raw_options_format(const WireList *list, char *buffer, size_t size);
