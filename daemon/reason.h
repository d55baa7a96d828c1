/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The text for people that goes with an answer. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "proto/error.h"

/* Writes a malloc'ed text to *@ret, owned by the caller. Returns @answer, or -ENOMEM with *@ret
 * untouched. */
__attribute__((format(printf, 3, 4))) static inline int reason_write(char **ret, int answer,
                                                                     const char *format, ...) {
        char *text;
        va_list args;
        int n;

        va_start(args, format);
        n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0)
                return error_origin(-ENOMEM);

        *ret = text;
        return answer;
}

/* For a key that its section does not have; @near is what may have been meant, or NULL. */
static inline int reason_unknown_key(char **ret, int answer, const char *near) {
        if (near)
                return reason_write(ret, answer, "unknown key; did you mean %s=?", near);
        return reason_write(ret, answer, "unknown key in this section; reuseportd.conf(5) has the list");
}
