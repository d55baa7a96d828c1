/* SPDX-License-Identifier: BSD-2-Clause */

/* Against a socket in the journal's place: one that reads, one that does not, and none. */

#include "daemon/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/journal-kit.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

static JournalKit kit;
static Journal journal;
static int n_fds;

static void setup(void) {
        n_fds = leaks_count_fds();
        journal_kit_begin(&kit);
        cr_assert(zero(int, journal_init(&journal, kit.path)));
}

static void end(void) {
        journal_deinit(&journal);
        journal_kit_end(&kit);
        leaks_expect_fds(n_fds);
}

static int send_text(const char *text) {
        JournalEntry entry = { .n = 0 };

        journal_entry_add(&entry, "MESSAGE", "%s", text);
        return journal_send(&journal, &entry);
}

TestSuite(journal, .timeout = 10);

Test(journal, a_path_that_is_too_long) {
        char path[256];
        Journal other;

        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        n_fds = leaks_count_fds();
        cr_assert(eq(int, journal_init(&other, path), -ENAMETOOLONG));
        journal_deinit(&other);
        journal_deinit(&other);
        leaks_expect_fds(n_fds);
}

Test(journal, nobody_is_there) {
        setup();
        journal_kit_close(&kit); /* the file stays */
        cr_assert(eq(int, send_text("a"), JOURNAL_E_ABSENT));
        unlink(kit.path);
        cr_assert(eq(int, send_text("b"), JOURNAL_E_ABSENT));
        cr_assert(zero(ulong, journal.n_lost));
        /* It comes later, or once more. */
        journal_kit_open(&kit);
        cr_assert(zero(int, send_text("c")));
        KIT_EXPECT_TEXT(journal_kit_receive(&kit), "MESSAGE=c\n");
        end();
}

Test(journal, nobody_reads) {
        uint64_t n = 0;

        setup();
        while (send_text("a") == 0)
                n++;
        cr_assert(gt(ulong, n, 0));
        cr_assert(eq(ulong, journal.n_lost, 1));
        for (int i = 0; i < 1000; i++)
                cr_assert(eq(int, send_text("a"), JOURNAL_E_LOST));
        cr_assert(eq(ulong, journal.n_lost, 1001));
        journal_kit_receive(&kit);
        cr_assert(zero(int, send_text("b")));
        cr_assert(zero(ulong, journal.n_lost));
        end();
}

Test(journal, no_value_becomes_a_field) {
        JournalEntry entry = { .n = 0 };

        setup();
        journal_entry_add(&entry, "A", "%s\n%s", "x", "_UID=0\nMESSAGE=forged");
        journal_entry_add(&entry, "B", "%d", 7);
        journal_entry_add(&entry, "C", "%s", "");
        cr_assert(zero(int, journal_send(&journal, &entry)));
        KIT_EXPECT_TEXT(journal_kit_receive(&kit), "A=x\\x0a_UID=0\\x0aMESSAGE=forged\nB=7\nC=\n");
        end();
}

/* Whatever comes, every line is whole, and the datagram is no larger than it may be. */
Test(journal, what_is_too_large_is_cut) {
        JournalEntry entry = { .n = 0 };
        char value[4 * JOURNAL_ENTRY_MAX], name[8], *line, *next;
        int n = 0;

        memset(value, '\n', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        setup();
        for (int i = 0; i < 1000; i++) {
                snprintf(name, sizeof(name), "F%03d", i);
                journal_entry_add(&entry, name, "%s", value + (i < 3 ? 0 : sizeof(value) - 2));
        }
        cr_assert(le(sz, entry.n, (size_t)JOURNAL_ENTRY_MAX));
        cr_assert(gt(sz, entry.n, (size_t)JOURNAL_ENTRY_MAX - 16));
        cr_assert(zero(int, journal_send(&journal, &entry)));
        for (line = journal_kit_receive(&kit); *line; line = next + 1) {
                next = strchr(line, '\n');
                cr_assert(ne(ptr, next, NULL));
                cr_assert(eq(chr, *line, 'F'));
                cr_assert(zero(int, ((next - line) - 5) % 4), "%.*s", (int)(next - line), line);
                n++;
        }
        cr_assert(gt(int, n, 2));
        end();
}
