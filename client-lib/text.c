/* SPDX-License-Identifier: BSD-2-Clause */

/* Judging texts that a program passes in. The locale has no say in any of it. */

#include <string.h>
#include <strings.h>

#include "client-lib/internal.h"

enum {
        /* No key of the protocol is longer. */
        DISTANCE_TEXT_MAX = 32,
        DISTANCE_MANY = 3,
};

/* The length of the UTF-8 character at @p, 0 if there is none. Overlong forms and surrogates
 * are none. */
static size_t utf8_length(const unsigned char *p) {
        static const struct {
                unsigned char first, last, next_min, next_max;
                size_t length;
        } forms[] = {
                { 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
                { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
                { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
                { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
                { 0xf4, 0xf4, 0x80, 0x8f, 4 },
        };

        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                if (*p < forms[i].first || *p > forms[i].last)
                        continue;
                for (size_t j = 1; j < forms[i].length; j++) {
                        unsigned char min = j == 1 ? forms[i].next_min : 0x80;
                        unsigned char max = j == 1 ? forms[i].next_max : 0xbf;

                        if (p[j] < min || p[j] > max)
                                return 0;
                }
                return forms[i].length;
        }
        return 0;
}

bool text_is_utf8(const char *text) {
        const unsigned char *p = (const unsigned char *)text;

        while (*p) {
                size_t n = utf8_length(p);

                if (n == 0)
                        return false;
                p += n;
        }
        return true;
}

bool text_to_integer(const char *text, int64_t *ret) {
        const char *digits = text + (*text == '-');
        int64_t value = 0;

        if (!*digits)
                return false;
        for (const char *p = digits; *p; p++) {
                if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, *p - '0', &value))
                        return false;
        }
        *ret = *text == '-' ? -value : value;
        return true;
}

bool text_to_boolean(const char *text, bool *ret) {
        static const char *const words[][2] = {
                { "no", "yes" },
                { "false", "true" },
                { "off", "on" },
                { "0", "1" },
        };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                for (int value = 0; value < 2; value++)
                        if (strcmp(text, words[i][value]) == 0) {
                                *ret = value;
                                return true;
                        }
        return false;
}

/* Levenshtein's distance, one row at a time. */
size_t text_distance(const char *a, const char *b) {
        size_t n_a = strlen(a), n_b = strlen(b);
        size_t row[DISTANCE_TEXT_MAX + 1];

        if (n_a > DISTANCE_TEXT_MAX || n_b > DISTANCE_TEXT_MAX)
                return DISTANCE_MANY;
        for (size_t j = 0; j <= n_b; j++)
                row[j] = j;
        for (size_t i = 1; i <= n_a; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= n_b; j++) {
                        size_t best = diagonal + (strncasecmp(&a[i - 1], &b[j - 1], 1) != 0);

                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        diagonal = row[j];
                        row[j] = best;
                }
        }
        return row[n_b];
}
