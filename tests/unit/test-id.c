/* SPDX-License-Identifier: BSD-2-Clause */

/* An id is found again by the one spelling that it was given out in, and by no other. */

#include "daemon/id.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

static const IdSource source = { .epoch = 0x3f9a1c, .last = 100 };

static const char *const foreign[] = {
        "",
        "l",
        "l-",
        "12",
        "l12",
        "l12-",
        "-003f9a1c",
        "l-003f9a1c",
        /* other kinds */
        "m12-003f9a1c",
        "e12-003f9a1c",
        "L12-003f9a1c",
        "ll12-003f9a1c",
        /* other epochs */
        "l12-003f9a1d",
        "l12-00000000",
        "l12-ffffffff",
        /* other spellings */
        "l0-003f9a1c",
        "l00-003f9a1c",
        "l012-003f9a1c",
        "l+12-003f9a1c",
        "l-12-003f9a1c",
        "l 12-003f9a1c",
        " l12-003f9a1c",
        "l12 -003f9a1c",
        "l12- 03f9a1c",
        "l12-003f9a1c ",
        "l12-003f9a1c\n",
        "l12-003F9A1C",
        "l12-3f9a1c",
        "l12-0003f9a1c",
        "l12-0x3f9a1c",
        "l12--03f9a1c",
        "l12_003f9a1c",
        "l0xc-003f9a1c",
        "l12.0-003f9a1c",
        "l1e1-003f9a1c",
        "l\xd9\xa1-003f9a1c",
        /* over 64 bits, and what 12 is modulo 2^64 */
        "l18446744073709551616-003f9a1c",
        "l18446744073709551628-003f9a1c",
        "l99999999999999999999999999999999-003f9a1c",
};

TestSuite(id, .timeout = 10);

Test(id, what_is_no_id_is_not_found) {
        for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
                cr_assert(zero(u64, id_parse(&source, 'l', foreign[i])), "\"%s\"", foreign[i]);
}

Test(id, a_very_long_text_is_not_found) {
        static char text[65536];

        memset(text, '1', sizeof(text) - 1);
        text[0] = 'l';
        cr_assert(zero(u64, id_parse(&source, 'l', text)));
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the text goes on */
        memcpy(text, "l12-003f9a1c", 12);
        cr_assert(zero(u64, id_parse(&source, 'l', text)));
}

Test(id, an_id_of_another_source_is_not_found) {
        IdSource other = { .epoch = source.epoch + 1 };
        char text[ID_TEXT_MAX];

        for (uint64_t id = 1; id < 100; id++)
                cr_assert(zero(u64, id_parse(&other, 'l', id_format(&source, 'l', id, text))));
}

Test(id, a_source_starts_over) {
        IdSource new = { .last = 77 };

        cr_assert(zero(int, id_source_init(&new)));
        cr_assert(eq(u64, id_next(&new), 1));
        cr_assert(eq(u64, id_next(&new), 2));
}

Test(id, what_is_written_is_found) {
        static const uint64_t ids[] = { 1, 9, 10, 12, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX };
        IdSource sources[] = { source, { .epoch = 0 }, { .epoch = UINT32_MAX } };
        char text[ID_TEXT_MAX];

        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
                for (size_t j = 0; j < sizeof(sources) / sizeof(sources[0]); j++) {
                        id_format(&sources[j], 'l', ids[i], text);
                        cr_assert(eq(u64, id_parse(&sources[j], 'l', text), ids[i]), "%s", text);
                }
        KIT_EXPECT_TEXT(id_format(&source, 'l', 12, text), "l12-003f9a1c");
        KIT_EXPECT_TEXT(id_format(&source, 'e', UINT64_MAX, text), "e18446744073709551615-003f9a1c");
}
