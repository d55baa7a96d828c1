/* SPDX-License-Identifier: BSD-2-Clause */

#include "tests/bench/arguments.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        OPTIONS_MAX = 16,
        /* Above every letter: getopt_long() says by it which row it was. */
        ROW_FIRST = 256,
};

static int number_parse(const Argument *argument, const char *text) {
        unsigned long long value;
        char *end;

        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || *text < '0' || *text > '9' || *end || value < argument->min ||
            value > argument->max) {
                fprintf(stderr, "%s: \"%s\" is not a number from %zu to %zu\n",
                        program_invocation_short_name, text, argument->min, argument->max);
                return -EINVAL;
        }
        *argument->number = (size_t)value;
        return 0;
}

static int argument_take(const Argument *argument, const char *value) {
        if (argument->number)
                return number_parse(argument, value);
        if (argument->text)
                *argument->text = value;
        else
                *argument->flag = true;
        return 0;
}

static bool are_complete(const Argument *arguments, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (arguments[i].mandatory && !*arguments[i].text)
                        return false;
        return true;
}

int arguments_parse(const Argument *arguments, size_t n, const char *usage, int argc, char **argv) {
        struct option options[OPTIONS_MAX + 2] = { 0 };
        int c;

        assert(n <= OPTIONS_MAX);

        for (size_t i = 0; i < n; i++)
                options[i] = (struct option){ arguments[i].name,
                                              arguments[i].flag ? no_argument : required_argument, NULL,
                                              ROW_FIRST + (int)i };
        options[n] = (struct option){ "help", no_argument, NULL, 'h' };
        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                if (c == 'h') {
                        fputs(usage, stdout);
                        return 1;
                }
                if (c < ROW_FIRST || argument_take(&arguments[c - ROW_FIRST], optarg) < 0)
                        return -EINVAL;
        }
        if (optind < argc || !are_complete(arguments, n)) {
                fputs(usage, stderr);
                return -EINVAL;
        }
        return 0;
}
