/* SPDX-License-Identifier: BSD-2-Clause */

/* What is read back is whole and the latest, and what is no file of state is refused. */

#include "tests/unit/state-file-kit.h"

TestSuite(state_file, .timeout = 60);

/* ---- what is refused ---------------------------------------------------------------------------- */

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

/* ---- use ---------------------------------------------------------------------------------------- */

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

/* ---- against a model ---------------------------------------------------------------------------- */

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
