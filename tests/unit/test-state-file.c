/* SPDX-License-Identifier: BSD-2-Clause */

/* What is read back is whole and the latest, wherever the broker was killed, and whatever the file is. */

#include "daemon/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/unit/leaks.h"

enum {
        UNIT = 64,
        RAW_SIZE = 64 * 1024,
        ORDER_MAX = 15,
};

/* The file as it is written down: another broker reads it. */
typedef struct RawHead {
        char magic[16];
        uint32_t version;
        uint32_t epoch;
        uint64_t last_id;
        uint64_t serial;
} RawHead;

typedef struct RawSlot {
        uint32_t order;
        uint32_t kind;
        uint32_t n;
        uint32_t replaces;
        uint64_t id;
        uint64_t serial;
} RawSlot;

static const RawHead good_head = {
        .magic = "reuseportd state", .version = STATE_VERSION, .epoch = 7, .last_id = 99, .serial = 10
};

/* ---- files that a test writes ---------------------------------------------------------------------- */

static int raw_new(off_t size) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        cr_assert(ge(int, fd, 0));
        cr_assert(zero(int, ftruncate(fd, size)));
        return fd;
}

static void raw_write(int fd, size_t at, const void *data, size_t n) {
        cr_assert(eq(sz, (size_t)pwrite(fd, data, n, (off_t)at), n));
}

static void raw_seal(int fd, int seals) {
        cr_assert(zero(int, fcntl(fd, F_ADD_SEALS, seals)));
}

/* With a good head, and sealed. */
static int raw_file(void) {
        int fd = raw_new(RAW_SIZE);

        raw_write(fd, 0, &good_head, sizeof(good_head));
        raw_seal(fd, F_SEAL_SHRINK);
        return fd;
}

/* At place @at, in units. */
static void raw_slot(int fd, uint32_t at, RawSlot slot, const char *text) {
        raw_write(fd, (size_t)at * UNIT, &slot, sizeof(slot));
        if (text)
                raw_write(fd, (size_t)at * UNIT + sizeof(slot), text, strlen(text) + 1);
}

static RawSlot raw_record(uint32_t kind, uint64_t id, uint64_t serial, uint32_t n) {
        return (RawSlot){ .kind = kind, .id = id, .serial = serial, .n = n };
}

/* ---- what is in a file ----------------------------------------------------------------------------- */

static StateFile *open_good(int fd) {
        const char *reason = NULL;
        StateFile *file = NULL;

        cr_assert(zero(int, state_file_open(fd, &file, &reason)), "%s", reason ?: "");
        return file;
}

/* As the next broker has it. Consumes @file. */
static StateFile *open_again(StateFile *file) {
        int fd = fcntl(state_file_get_fd(file), F_DUPFD_CLOEXEC, 3);

        cr_assert(ge(int, fd, 0));
        state_file_free(file);
        return open_good(fd);
}

/* All records are "KIND:ID=TEXT ", in their order. */
static void expect_records(const StateFile *file, const char *expected) {
        StateSlot slot = { 0 };
        char have[1024] = "";

        while (state_file_next(file, &slot)) {
                size_t n = strlen(have);

                snprintf(have + n, sizeof(have) - n, "%u:%llu=%.*s ", slot.kind,
                         (unsigned long long)slot.id, (int)slot.n, slot.data);
        }
        cr_assert(eq(str, have, (char *)expected));
}

static void put(StateFile *file, uint32_t kind, uint64_t id, const char *text, uint32_t *at) {
        cr_assert(zero(int, state_file_put(file, kind, id, text, strlen(text) + 1, at)));
}

static void expect_refused(int fd, const char *reason) {
        StateFile *file = NULL;
        const char *have = NULL;

        cr_assert(eq(int, state_file_open(fd, &file, &have), STATE_FILE_E_FOREIGN));
        cr_assert(eq(str, (char *)have, (char *)reason));
        cr_assert(eq(ptr, file, NULL));
        cr_assert(lt(int, fcntl(fd, F_GETFD), 0));
}

TestSuite(state_file, .timeout = 60);

/* ---- what is refused ------------------------------------------------------------------------------- */

Test(state_file, what_is_no_sealed_memfd_is_refused) {
        int n_fds = leaks_count_fds(), pair[2], fd = raw_new(RAW_SIZE);

        raw_write(fd, 0, &good_head, sizeof(good_head));
        expect_refused(fd, "it is not a sealed memfd");
        cr_assert(zero(int, pipe(pair)));
        expect_refused(pair[0], "it is not a sealed memfd");
        expect_refused(pair[1], "it is not a sealed memfd");
        expect_refused(open("/dev/null", O_RDWR | O_CLOEXEC), "it is not a sealed memfd");
        expect_refused(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "it is not a sealed memfd");
        leaks_expect_fds(n_fds);
}

Test(state_file, what_cannot_be_written_is_refused) {
        static const int seals[] = { F_SEAL_WRITE, F_SEAL_GROW, F_SEAL_FUTURE_WRITE };
        int n_fds = leaks_count_fds(), fd;
        char path[32];

        for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
                fd = raw_file();
                raw_seal(fd, seals[i]);
                expect_refused(fd, "it cannot be written");
        }
        fd = raw_file();
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        expect_refused(open(path, O_RDONLY | O_CLOEXEC), "it cannot be written");
        close(fd);
        leaks_expect_fds(n_fds);
}

Test(state_file, what_is_too_short_is_refused) {
        static const off_t sizes[] = { 0, 1, sizeof(RawHead) - 1, UNIT - 1 };

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                int fd = raw_new(sizes[i]);

                raw_seal(fd, F_SEAL_SHRINK);
                expect_refused(fd, "it is too short");
        }
}

Test(state_file, another_magic_is_refused) {
        for (size_t i = 0; i < sizeof(good_head.magic); i++) {
                int fd = raw_file();

                raw_write(fd, i, "\xff", 1);
                expect_refused(fd, "it is something else");
        }
        expect_refused(({
                               int fd = raw_new(RAW_SIZE);
                               raw_seal(fd, F_SEAL_SHRINK);
                               fd;
                       }),
                       "it is something else");
}

Test(state_file, a_version_beside_this_one_is_read) {
        static const uint32_t read[] = { STATE_VERSION - 1, STATE_VERSION, STATE_VERSION + 1 };
        static const uint32_t refused[] = { STATE_VERSION + 2, UINT32_MAX - 1, UINT32_MAX };

        for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++) {
                int fd = raw_file();
                StateFile *file;

                raw_write(fd, offsetof(RawHead, version), &read[i], sizeof(read[i]));
                raw_slot(fd, 1, raw_record(2, 5, 1, 2), "a");
                file = open_good(fd);
                expect_records(file, "2:5=a ");
                state_file_free(file);
        }
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                int fd = raw_file();

                raw_write(fd, offsetof(RawHead, version), &refused[i], sizeof(refused[i]));
                expect_refused(fd, "it is of a version that came much later");
        }
}

/* ---- what is damaged ------------------------------------------------------------------------------- */

Test(state_file, a_file_of_a_head_alone_is_empty_and_grows) {
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

Test(state_file, a_record_that_cannot_be_is_the_end) {
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

Test(state_file, a_record_that_is_cut_short_is_the_end) {
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
        expect_records(file, "1:1=a 1:4=a record that is longer than what was left of the old one, by some "
                             "bytes ");
        state_file_free(file);
}

/* Amid its head, where there is no room for a place. */
Test(state_file, a_record_without_its_head_is_the_end) {
        for (size_t n = 1; n < UNIT; n += 21) {
                int fd = raw_new(2 * UNIT + n);
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
Test(state_file, an_odd_size_is_read_and_grows) {
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
Test(state_file, what_was_given_up_does_not_come_back) {
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
Test(state_file, what_is_behind_the_end_does_not_come_back) {
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
Test(state_file, what_a_record_replaces_is_a_record) {
        RawSlot fake = { .order = 4000, .kind = 1, .n = 2, .id = 3, .serial = 1 };
        uint32_t at = 0;
        StateFile *file;
        int fd = raw_file();

        raw_slot(fd, 1, (RawSlot){ .order = 2, .kind = 2, .n = 200, .id = 2, .serial = 2 }, NULL);
        raw_write(fd, 3 * UNIT, &fake, sizeof(fake));
        raw_slot(fd, 5, (RawSlot){ .kind = 1, .n = 2, .id = 3, .serial = 3, .replaces = 3 }, "c");
        raw_slot(fd, 6, (RawSlot){ .kind = 1, .n = 2, .id = 4, .serial = 4, .replaces = UINT32_MAX }, "d");
        file = open_good(fd);
        put(file, 1, 5, "e", &at);
        file = open_again(file);
        cr_assert(not(state_file_is_damaged(file)));
        cr_assert(eq(u32, at, 7));
        state_file_free(file);
}

Test(state_file, a_record_may_replace_itself_and_the_head) {
        StateFile *file;
        int fd = raw_file();

        raw_slot(fd, 1, (RawSlot){ .kind = 1, .n = 2, .id = 3, .serial = 3, .replaces = 1 }, "a");
        raw_slot(fd, 2, (RawSlot){ .kind = 1, .n = 2, .id = 4, .serial = 4, .replaces = 0 }, "b");
        file = open_good(fd);
        expect_records(file, "1:3=a 1:4=b ");
        state_file_free(file);
}

/* ---- killed ---------------------------------------------------------------------------------------- */

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
                put(file, 3, 100 + i, i % 2 ? "short" : "longer than the place of a unit, whatever", &at[i]);
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

Test(state_file, a_kill_at_any_moment_leaves_one_of_both) {
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
Test(state_file, a_kill_in_a_place_that_was_used_leaves_the_old) {
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
Test(state_file, the_newer_wins_whichever_is_first) {
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
Test(state_file, what_took_the_place_of_the_old_stays) {
        StateFile *file;
        int fd = raw_file();

        raw_slot(fd, 1, raw_record(2, 7, 5, 2), "x");
        raw_slot(fd, 2, (RawSlot){ .kind = 2, .n = 2, .id = 6, .serial = 4, .replaces = 1 }, "a");
        raw_slot(fd, 3, (RawSlot){ .kind = 3, .n = 2, .id = 7, .serial = 6, .replaces = 1 }, "b");
        file = open_good(fd);
        expect_records(file, "2:7=x 2:6=a 3:7=b ");
        state_file_free(file);
}

/* ---- use ------------------------------------------------------------------------------------------- */

Test(state_file, is_read_again_as_it_was_left) {
        int n_fds = leaks_count_fds();
        uint32_t at[3] = { 0 };
        StateFile *file;

        cr_assert(zero(int, state_file_new(&file)));
        expect_records(file, "");
        state_file_set_ids(file, 0x12345678, 41);
        for (uint32_t i = 0; i < 3; i++)
                put(file, i + 1, i + 10, "text", &at[i]);
        state_file_remove(file, &at[1]);
        cr_assert(zero(u32, at[1]));
        state_file_remove(file, &at[1]);
        file = open_again(file);
        cr_assert(eq(u32, state_file_get_epoch(file), 0x12345678));
        cr_assert(eq(u64, state_file_get_last_id(file), 41));
        expect_records(file, "1:10=text 3:12=text ");
        state_file_free(file);
        cr_assert(eq(ptr, state_file_free(NULL), NULL));
        leaks_expect_fds(n_fds);
}

/* Of a newer broker. */
Test(state_file, unknown_kinds_stay_where_they_are) {
        uint32_t known = 0, unknown = 0, first;
        StateFile *file;

        cr_assert(zero(int, state_file_new(&file)));
        put(file, 1000, 5, "unknown", &unknown);
        put(file, UINT32_MAX, 6, "more", &(uint32_t){ 0 });
        put(file, 1, 7, "known", &known);
        for (int i = 0; i < 100; i++)
                put(file, 1, 7, "known", &known);
        first = unknown;
        file = open_again(file);
        expect_records(file, "1000:5=unknown 4294967295:6=more 1:7=known ");
        cr_assert(eq(u32, unknown, first));
        state_file_free(file);
}

Test(state_file, an_empty_record_is_one) {
        StateSlot slot = { 0 };
        StateFile *file;
        uint32_t at = 0;

        cr_assert(zero(int, state_file_new(&file)));
        cr_assert(zero(int, state_file_put(file, 1, 1, NULL, 0, &at)));
        file = open_again(file);
        cr_assert(state_file_next(file, &slot));
        cr_assert(zero(sz, slot.n));
        cr_assert(not(state_file_next(file, &slot)));
        state_file_free(file);
}

static off_t size_of(const StateFile *file) {
        return lseek(state_file_get_fd(file), 0, SEEK_END);
}

Test(state_file, places_are_used_again) {
        uint32_t at = 0;
        StateFile *file;
        off_t size;

        cr_assert(zero(int, state_file_new(&file)));
        size = size_of(file);
        for (int i = 0; i < 100000; i++)
                put(file, 1, 1, i % 3 ? "a" : "a text of more than a unit, which is elsewhere", &at);
        cr_assert(eq(int, (int)size_of(file), (int)size));
        state_file_remove(file, &at);
        /* By the next broker as well. */
        file = open_again(file);
        for (int i = 0; i < 100000; i++) {
                put(file, 1, 1, "b", &at);
                state_file_remove(file, &at);
        }
        cr_assert(eq(int, (int)size_of(file), (int)size));
        state_file_free(file);
}

Test(state_file, a_record_that_is_too_long_is_refused) {
        size_t max = ((size_t)UNIT << ORDER_MAX) - sizeof(RawSlot);
        _cleanup_(freep) char *data = calloc(1, max + 1);
        uint32_t at = 0, old;
        StateSlot slot = { 0 };
        StateFile *file;

        cr_assert(zero(int, state_file_new(&file)));
        put(file, 1, 1, "old", &at);
        old = at;
        cr_assert(eq(int, state_file_put(file, 1, 1, data, max + 1, &at), STATE_FILE_E_FULL));
        cr_assert(eq(u32, at, old));
        expect_records(file, "1:1=old ");
        cr_assert(zero(int, state_file_put(file, 1, 1, data, max, &at)));
        file = open_again(file);
        cr_assert(state_file_next(file, &slot));
        cr_assert(eq(sz, slot.n, max));
        state_file_free(file);
}

/* A file of holes that ends at its limit, so full that @left units are. */
static StateFile *nearly_full(uint32_t left) {
        uint32_t n = STATE_FILE_SIZE_MAX / UNIT, at = 1;
        int fd = raw_new(STATE_FILE_SIZE_MAX);

        raw_write(fd, 0, &good_head, sizeof(good_head));
        raw_seal(fd, F_SEAL_SHRINK);
        for (uint32_t order = ORDER_MAX; order <= ORDER_MAX; order--)
                for (; n - left - at >= 1U << order; at += 1U << order)
                        raw_slot(fd, at, (RawSlot){ .order = order, .kind = 9, .serial = 1 }, NULL);
        cr_assert(eq(u32, at, n - left));
        return open_good(fd);
}

Test(state_file, is_full_at_its_limit) {
        static const char longer[] = "a text that takes two units, as one has room for 32 bytes";
        uint32_t at = 0, last = 0, more = 0, old;
        StateFile *file = nearly_full(3);

        cr_assert(not(state_file_is_damaged(file)));
        put(file, 1, 1, longer, &at);
        put(file, 1, 2, "last", &last);
        old = last;
        cr_assert(eq(int, state_file_put(file, 1, 3, "", 1, &more), STATE_FILE_E_FULL));
        cr_assert(zero(u32, more));
        cr_assert(eq(int, state_file_put(file, 1, 2, "", 1, &last), STATE_FILE_E_FULL));
        cr_assert(eq(u32, last, old));
        cr_assert(eq(int, state_file_put(file, 1, 2, longer, sizeof(longer), &last), STATE_FILE_E_FULL));
        /* A place that is given up is room. */
        state_file_remove(file, &last);
        put(file, 1, 3, "more", &more);
        cr_assert(eq(u32, more, old));
        file = open_again(file);
        cr_assert(not(state_file_is_damaged(file)));
        cr_assert(eq(int, state_file_put(file, 1, 4, "", 1, &(uint32_t){ 0 }), STATE_FILE_E_FULL));
        state_file_free(file);
}

/* What is behind the limit is of no broker's. */
Test(state_file, what_is_too_large_is_read_up_to_the_limit) {
        int fd = raw_new((off_t)STATE_FILE_SIZE_MAX + RAW_SIZE);
        uint32_t at = 0;
        StateFile *file;

        raw_write(fd, 0, &good_head, sizeof(good_head));
        raw_seal(fd, F_SEAL_SHRINK);
        file = open_good(fd);
        put(file, 1, 1, "a", &at);
        file = open_again(file);
        expect_records(file, "1:1=a ");
        state_file_free(file);
}

/* ---- against a model ------------------------------------------------------------------------------- */

enum {
        OBJECTS = 60,
        STEPS = 20000,
        TEXT_MAX = 3000,
};

typedef struct Object {
        uint32_t kind; /* 0: it is not there */
        uint32_t at;
        size_t n;
        unsigned char byte; /* all of them are this */
} Object;

static void object_put(StateFile *file, Object *object, uint64_t id) {
        static unsigned char data[TEXT_MAX];

        if (object->kind == 0)
                object->kind = 1 + (uint32_t)random() % 5;
        object->n = (size_t)(random() % 4 ? random() % 200 : random() % TEXT_MAX);
        object->byte = (unsigned char)random();
        memset(data, object->byte, object->n);
        cr_assert(zero(int, state_file_put(file, object->kind, id, data, object->n, &object->at)));
}

static void step(StateFile *file, Object *objects) {
        uint64_t id = (uint64_t)random() % OBJECTS;
        Object *object = &objects[id];

        if (object->kind > 0 && random() % 3 == 0) {
                state_file_remove(file, &object->at);
                *object = (Object){ 0 };
        } else {
                object_put(file, object, id + 1);
        }
}

static void expect_object(const StateSlot *slot, const Object *object) {
        cr_assert(eq(u32, slot->kind, object->kind));
        cr_assert(eq(u32, slot->at, object->at));
        cr_assert(eq(sz, slot->n, object->n));
        for (size_t i = 0; i < slot->n; i++)
                cr_assert(eq(u8, (unsigned char)slot->data[i], object->byte));
}

static void expect_model(const StateFile *file, const Object *objects) {
        StateSlot slot = { 0 };
        size_t n = 0, expected = 0;

        cr_assert(not(state_file_is_damaged(file)));
        for (; state_file_next(file, &slot); n++) {
                cr_assert(le(u64, slot.id, OBJECTS));
                expect_object(&slot, &objects[slot.id - 1]);
        }
        for (size_t i = 0; i < OBJECTS; i++)
                expected += objects[i].kind > 0;
        cr_assert(eq(sz, n, expected));
}

Test(state_file, equals_a_model_after_any_steps) {
        int n_fds = leaks_count_fds();
        Object objects[OBJECTS] = { 0 };
        StateFile *file;

        srandom(1);
        cr_assert(zero(int, state_file_new(&file)));
        for (int i = 0; i < STEPS; i++) {
                step(file, objects);
                if (random() % 100 > 0)
                        continue;
                file = open_again(file);
                expect_model(file, objects);
        }
        expect_model(file, objects);
        /* What is given up is enough for what comes: it does not grow for ever. */
        cr_assert(lt(int, (int)size_of(file), 4 << 20));
        state_file_free(file);
        leaks_expect_fds(n_fds);
}
