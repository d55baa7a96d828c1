/* SPDX-License-Identifier: BSD-2-Clause */

/* Whatever a number can be mistaken for is refused: signs, blanks, other bases, what does not fit. */

#include "daemon/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/reason.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

#define USEC_PER_SEC UINT64_C(1000000)
#define DIGITS "0123456789"
#define BLANKS " \t\r"
#define ELEMENTSOF(array) (sizeof(array) / sizeof(*(array)))

int value_parse_count(const char *text, size_t *ret, char **ret_reason) {
        unsigned long long n;

        n = strtoull(text, NULL, 10);
        if (text[strspn(text, DIGITS)] || n == 0 || n > VALUE_COUNT_MAX)
                return reason_write(ret_reason, VALUE_E_INVALID, "\"%s\" is no number of 1 to %d", text,
                                    VALUE_COUNT_MAX);

        *ret = n;
        return 0;
}

int value_parse_mode(const char *text, mode_t *ret, char **ret_reason) {
        size_t n = strspn(text, "01234567");
        unsigned long mode;

        mode = strtoul(text, NULL, 8);
        if (text[n] || mode > 0777)
                return reason_write(ret_reason, VALUE_E_INVALID,
                                    "\"%s\" is no file mode; give an octal number of 0 to 0777", text);

        *ret = (mode_t)mode;
        return 0;
}

int value_parse_span(const char *text, uint64_t *ret_usec, char **ret_reason) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "", USEC_PER_SEC },
                { "s", USEC_PER_SEC },
                { "sec", USEC_PER_SEC },
                { "us", 1 },
                { "ms", USEC_PER_SEC / 1000 },
                { "m", 60 * USEC_PER_SEC },
                { "min", 60 * USEC_PER_SEC },
                { "h", USEC_PER_SEC * 60 * 60 },
                { "hr", USEC_PER_SEC * 60 * 60 },
        };
        const uint64_t max = RETAIN_SEC_MAX * USEC_PER_SEC;
        const char *rest = text;
        uint64_t total = 0;

        while (*rest) {
                size_t n_digits = strspn(rest, DIGITS), n_unit, i;
                unsigned long long n = strtoull(rest, NULL, 10);

                rest += n_digits;
                rest += strspn(rest, BLANKS);
                n_unit = strcspn(rest, BLANKS DIGITS);
                for (i = 0; i < ELEMENTSOF(units); i++)
                        if (strlen(units[i].name) == n_unit && strncmp(units[i].name, rest, n_unit) == 0)
                                break;
                if (n_digits == 0 || i == ELEMENTSOF(units))
                        return reason_write(
                                ret_reason, VALUE_E_INVALID,
                                "\"%s\" is no time span; give seconds, or units like 500ms, 10s, "
                                "5min, 1h",
                                text);
                if (n > (max - total) / units[i].usec)
                        return reason_write(ret_reason, VALUE_E_INVALID,
                                            "%s is longer than a day (%d s)", text, RETAIN_SEC_MAX);
                total += n * units[i].usec;
                rest += n_unit;
                rest += strspn(rest, BLANKS);
        }

        *ret_usec = total;
        return 0;
}

int value_parse_rate(const char *text, Rate *ret, char **ret_reason) {
        const char *slash = strchr(text, '/');
        _cleanup_(freep) char *count = NULL;
        Rate rate = {};
        int r;

        if (!slash || !slash[1])
                return reason_write(ret_reason, VALUE_E_INVALID,
                                    "\"%s\" is no rate; give a number and a time span, like 100/1s",
                                    text);
        count = strndup(text, (size_t)(slash - text));
        if (!count)
                return error_origin(-ENOMEM);
        r = value_parse_count(count, &rate.n, ret_reason);
        if (r == 0)
                r = value_parse_span(slash + 1, &rate.interval_usec, ret_reason);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        if (rate.interval_usec == 0)
                return reason_write(ret_reason, VALUE_E_INVALID,
                                    "\"%s\" is no rate: its time span is nothing", text);

        *ret = rate;
        return 0;
}
