/* SPDX-License-Identifier: BSD-2-Clause */

/* What is read back is whole and the latest, wherever the broker was killed and whatever is damaged. */

#include "tests/unit/state-file-kit.h"

TestSuite(state_file_damage, .timeout = 60);

/* ---- what is damaged ---------------------------------------------------------------------------- */

Test(state_file_damage, a_file_of_a_head_alone_is_empty_and_grows) {
        int n_fds = leaks_count_fds(), fd = raw_new(UNIT);
        uint32_t at = 0;
        StateFile *file;

        raw_write(fd, 0, &good_head, sizeof(good_head));
        raw_seal(fd, F_SEAL_SHRINK);
        file = open_good(fd);
        expect_records(file, "");
        cr_assert(not(state_file_is_damaged(file)));
        cr_assert(eq(u32, state_file_get_epoch(file), 7));
        cr_assert(eq(u64, state_file_get_last_id(file), 99));
        put(file, 1, 1, "a", &at);
        file = open_again(file);
        expect_records(file, "1:1=a ");
        state_file_free(file);
        leaks_expect_fds(n_fds);
}

Test(state_file_damage, a_record_that_cannot_be_is_the_end) {
        RawSlot bad[] = {
                { .order = 16, .kind = 2, .n = 2, .id = 2, .serial = 2 },
                { .order = UINT32_MAX, .kind = 2, .n = 2, .id = 2, .serial = 2 },
                { .order = 32, .kind = 2, .n = 2, .id = 2, .serial = 2 },
                { .order = ORDER_MAX, .kind = 2, .n = 2, .id = 2, .serial = 2 },
                { .order = 0, .kind = 2, .n = 33, .id = 2, .serial = 2 },
                { .order = 0, .kind = 2, .n = UINT32_MAX, .id = 2, .serial = 2 },
                { .order = 3, .kind = 2, .n = 512 - 31, .id = 2, .serial = 2 },
                { .order = 16, .kind = 0, .n = 2, .id = 2, .serial = 2 },
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                int fd = raw_file();
                StateFile *file;

                raw_slot(fd, 1, raw_record(1, 1, 1, 2), "a");
                raw_slot(fd, 2, bad[i], "b");
                raw_slot(fd, 3, raw_record(1, 3, 3, 2), "c");
                file = open_good(fd);
                cr_assert(state_file_is_damaged(file));
                expect_records(file, "1:1=a ");
                state_file_free(file);
        }
}

Test(state_file_damage, a_record_that_is_cut_short_is_the_end) {
        int fd = raw_new(5 * UNIT);
        StateFile *file;
        uint32_t at = 0;

        raw_write(fd, 0, &good_head, sizeof(good_head));
        raw_seal(fd, F_SEAL_SHRINK);
        raw_slot(fd, 1, raw_record(1, 1, 1, 2), "a");
        raw_slot(fd, 2, (RawSlot){ .order = 2, .kind = 2, .n = 2, .id = 2, .serial = 2 }, "b");
        file = open_good(fd);
        cr_assert(state_file_is_damaged(file));
        expect_records(file, "1:1=a ");
        put(file, 1, 4, "a record that is longer than what was left of the old one, by some bytes", &at);
        file = open_again(file);
        cr_assert(not(state_file_is_damaged(file)));
        expect_records(file,
                       "1:1=a 1:4=a record that is longer than what was left of the old one, by some "
                       "bytes ");
        state_file_free(file);
}

/* Amid its head, where there is no room for a place. */
Test(state_file_damage, a_record_without_its_head_is_the_end) {
        for (size_t n = 1; n < UNIT; n += 21) {
                int fd = raw_new((off_t)(2 * UNIT + n));
                StateFile *file;

                raw_write(fd, 0, &good_head, sizeof(good_head));
                raw_slot(fd, 1, raw_record(1, 1, 1, 2), "a");
                raw_write(fd, 2 * UNIT, &(char){ 1 }, 1);
                raw_seal(fd, F_SEAL_SHRINK);
                file = open_good(fd);
                cr_assert(state_file_is_damaged(file));
                expect_records(file, "1:1=a ");
                file = open_again(file);
                cr_assert(not(state_file_is_damaged(file)));
                state_file_free(file);
        }
}

/* Bytes at the end that are no unit, and nothing. */
Test(state_file_damage, an_odd_size_is_read_and_grows) {
        int fd = raw_new(3 * UNIT + 17);
        uint32_t at[4] = { 0 };
        StateFile *file;

        raw_write(fd, 0, &good_head, sizeof(good_head));
        raw_seal(fd, F_SEAL_SHRINK);
        raw_slot(fd, 1, raw_record(1, 1, 1, 2), "a");
        file = open_good(fd);
        for (uint32_t i = 0; i < 4; i++)
                put(file, 2, i + 2, "b", &at[i]);
        file = open_again(file);
        cr_assert(not(state_file_is_damaged(file)));
        expect_records(file, "1:1=a 2:2=b 2:3=b 2:4=b 2:5=b ");
        state_file_free(file);
}

/* What was behind the damage is given up; it must not come back when the place before it is taken. */
Test(state_file_damage, what_was_given_up_does_not_come_back) {
        StateFile *file;
        uint32_t at = 0;
        int fd = raw_file();

        raw_slot(fd, 1, raw_record(1, 1, 1, 2), "a");
        raw_slot(fd, 2, (RawSlot){ .order = 99, .kind = 2, .id = 2, .serial = 2 }, "b");
        raw_slot(fd, 3, raw_record(1, 3, 3, 2), "c");
        raw_slot(fd, 5, raw_record(1, 5, 5, 2), "e");
        file = open_good(fd);
        put(file, 1, 4, "d", &at);
        file = open_again(file);
        expect_records(file, "1:1=a 1:4=d ");
        cr_assert(not(state_file_is_damaged(file)));
        state_file_free(file);
}

/* Neither must what is behind the end. */
Test(state_file_damage, what_is_behind_the_end_does_not_come_back) {
        StateFile *file;
        uint32_t at = 0;
        int fd = raw_file();

        raw_slot(fd, 1, raw_record(1, 1, 1, 2), "a");
        raw_slot(fd, 3, raw_record(1, 3, 3, 2), "c");
        file = open_good(fd);
        cr_assert(not(state_file_is_damaged(file)));
        put(file, 1, 4, "d", &at);
        file = open_again(file);
        expect_records(file, "1:1=a 1:4=d ");
        state_file_free(file);
}

/* The older of two is given up; but what is said to be it may be the bytes of another. */
Test(state_file_damage, what_a_record_replaces_is_a_record) {
        RawSlot fake = { .order = 4000, .kind = 1, .n = 2, .id = 3, .serial = 1 };
        uint32_t at = 0;
        StateFile *file;
        int fd = raw_file();

        raw_slot(fd, 1, (RawSlot){ .order = 2, .kind = 2, .n = 200, .id = 2, .serial = 2 }, NULL);
        raw_write(fd, 3 * UNIT, &fake, sizeof(fake));
        raw_slot(fd, 5, (RawSlot){ .kind = 1, .n = 2, .id = 3, .serial = 3, .replaces = 3 }, "c");
        raw_slot(fd, 6, (RawSlot){ .kind = 1, .n = 2, .id = 4, .serial = 4, .replaces = UINT32_MAX },
                 "d");
        file = open_good(fd);
        put(file, 1, 5, "e", &at);
        file = open_again(file);
        cr_assert(not(state_file_is_damaged(file)));
        cr_assert(eq(u32, at, 7));
        state_file_free(file);
}

Test(state_file_damage, a_record_may_replace_itself_and_the_head) {
        StateFile *file;
        int fd = raw_file();

        raw_slot(fd, 1, (RawSlot){ .kind = 1, .n = 2, .id = 3, .serial = 3, .replaces = 1 }, "a");
        raw_slot(fd, 2, (RawSlot){ .kind = 1, .n = 2, .id = 4, .serial = 4, .replaces = 0 }, "b");
        file = open_good(fd);
        expect_records(file, "1:3=a 1:4=b ");
        state_file_free(file);
}

/* ---- killed ------------------------------------------------------------------------------------- */

/* What the broker had written, of a record that is to replace the one at place 1. */
typedef struct Killed {
        const char *when;
        RawSlot slot;
        const char *text;
        bool released; /* the old one */
        const char *expected;
} Killed;

static const Killed killed[] = {
        { "before anything", { 0 }, NULL, false, "1:1=old " },
        { "with its data, no head", { 0 }, "new", false, "1:1=old " },
        { "with a serial number", { .serial = 11 }, NULL, false, "1:1=old " },
        { "with an order", { .serial = 11, .order = 2 }, NULL, false, "1:1=old " },
        { "with an order alone", { .order = 2 }, NULL, false, "1:1=old " },
        { "with a length alone", { .n = 200 }, NULL, false, "1:1=old " },
        { "with a length before its order", { .serial = 11, .n = 200 }, NULL, false, "1:1=old " },
        { "with a length", { .serial = 11, .order = 2, .n = 4 }, NULL, false, "1:1=old " },
        { "with an id",
          { .serial = 11, .order = 2, .n = 4, .replaces = 1, .id = 1 },
          NULL,
          false,
          "1:1=old " },
        { "with its data",
          { .serial = 11, .order = 2, .n = 4, .replaces = 1, .id = 1 },
          "new",
          false,
          "1:1=old " },
        { "when it was valid",
          { .serial = 11, .order = 2, .n = 4, .replaces = 1, .id = 1, .kind = 1 },
          "new",
          false,
          "1:1=new " },
        { "when it was done",
          { .serial = 11, .order = 2, .n = 4, .replaces = 1, .id = 1, .kind = 1 },
          "new",
          true,
          "1:1=new " },
};

static void expect_goes_on(StateFile *file, const Killed *after) {
        char expected[128];
        uint32_t at[8] = { 0 };
        StateSlot slot = { 0 };

        cr_assert(not(state_file_is_damaged(file)), "killed %s", after->when);
        cr_assert(state_file_next(file, &slot));
        for (uint32_t i = 0; i < 8; i++)
                put(file, 3, 100 + i, i % 2 ? "short" : "longer than the place of a unit, whatever",
                    &at[i]);
        for (uint32_t i = 0; i < 8; i++)
                state_file_remove(file, &at[i]);
        put(file, 2, 1, "more", &slot.at);
        state_file_remove(file, &slot.at);
        file = open_again(file);
        expect_records(file, "");
        put(file, 1, 9, "end", &at[0]);
        snprintf(expected, sizeof(expected), "1:9=end ");
        expect_records(file, expected);
        state_file_free(file);
}

Test(state_file_damage, a_kill_at_any_moment_leaves_one_of_both) {
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < sizeof(killed) / sizeof(killed[0]); i++) {
                int fd = raw_file();
                StateFile *file;

                raw_slot(fd, 1, raw_record(killed[i].released ? 0 : 1, 1, 10, 4), "old");
                raw_slot(fd, 2, killed[i].slot, killed[i].text);
                file = open_good(fd);
                expect_records(file, killed[i].expected);
                expect_goes_on(file, &killed[i]);
        }
        leaks_expect_fds(n_fds);
}

/* A place that was used before has the head of what was there. */
Test(state_file_damage, a_kill_in_a_place_that_was_used_leaves_the_old) {
        StateFile *file;
        int fd = raw_file();

        raw_slot(fd, 1, (RawSlot){ .order = 1, .n = 96, .id = 8, .serial = 3, .replaces = 2 }, "half");
        raw_slot(fd, 3, (RawSlot){ .order = 1, .kind = 1, .n = 4, .id = 8, .serial = 2, .replaces = 1 },
                 "old");
        file = open_good(fd);
        expect_records(file, "1:8=old ");
        file = open_again(file);
        expect_records(file, "1:8=old ");
        state_file_free(file);
}

/* Each was in the other's place before. */
Test(state_file_damage, the_newer_wins_whichever_is_first) {
        for (int newer = 0; newer < 2; newer++) {
                int fd = raw_file();
                StateFile *file;

                for (int i = 0; i < 2; i++)
                        raw_slot(fd, (uint32_t)i + 1,
                                 (RawSlot){ .kind = 2,
                                            .n = 2,
                                            .id = 6,
                                            .serial = i == newer ? 9 : 8,
                                            .replaces = (uint32_t)(2 - i) },
                                 i == newer ? "n" : "o");
                file = open_good(fd);
                expect_records(file, "2:6=n ");
                file = open_again(file);
                expect_records(file, "2:6=n ");
                state_file_free(file);
        }
}

/* The place that a record replaced has been given to another since. */
Test(state_file_damage, what_took_the_place_of_the_old_stays) {
        StateFile *file;
        int fd = raw_file();

        raw_slot(fd, 1, raw_record(2, 7, 5, 2), "x");
        raw_slot(fd, 2, (RawSlot){ .kind = 2, .n = 2, .id = 6, .serial = 4, .replaces = 1 }, "a");
        raw_slot(fd, 3, (RawSlot){ .kind = 3, .n = 2, .id = 7, .serial = 6, .replaces = 1 }, "b");
        file = open_good(fd);
        expect_records(file, "2:7=x 2:6=a 3:7=b ");
        state_file_free(file);
}
