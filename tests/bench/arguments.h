/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What a program here is told on its command line: each option is a row that says where its
 * value goes. */

#include <stdbool.h>
#include <stddef.h>

/* One of @text, @number and @flag is set: an option with a text, with a number from @min to @max, or
 * without a value. */
typedef struct Argument {
        const char *name;
        const char **text;
        size_t *number;
        size_t min, max;
        bool *flag;
        bool mandatory; /* a text that has to be given */
} Argument;

/*
 * Reads the command line; -h and --help print @usage and are of every program. What was not given is
 * left as it is. Returns 0, 1 when only help was asked for, or -EINVAL, with its reason printed.
 */
int arguments_parse(const Argument *arguments, size_t n, const char *usage, int argc, char **argv);
