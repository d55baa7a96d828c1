/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Any bytes as the state of an earlier broker. It is refused with a reason, or it can be read, written
 * and read again; and every record in it is decoded or not, and never beyond its end.
 */

#include "daemon/state-file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/state-record.h"
#include "tests/fuzz/fuzz.h"

typedef union Saved {
        SavedEndpoint endpoint;
        SavedMember member;
        SavedLease lease;
} Saved;

/* What can be read is written so that it is read as the same. */
static void expect_same(StateKind kind, const Saved *saved, const StateBuffer *rest) {
        StateBuffer buffer = { 0 }, again = { 0 };
        Saved other;

        fuzz_expect(state_record_encode(kind, saved, &buffer) == 0);
        fuzz_expect(state_buffer_append(&buffer, rest->data, rest->n) == 0);
        fuzz_expect(state_record_decode(kind, buffer.data, buffer.n, &other, &again) == 0);
        fuzz_expect(again.n == rest->n &&
                    (rest->n == 0 || memcmp(again.data, rest->data, rest->n) == 0));
        state_buffer_deinit(&buffer);
        state_buffer_deinit(&again);
}

static void decode(const StateSlot *slot) {
        char *data = fuzz_copy(slot->data, slot->n);
        StateBuffer rest = { 0 };
        Saved saved;
        int r;

        r = state_record_decode((StateKind)slot->kind, data, slot->n, &saved, &rest);
        fuzz_expect(r == 0 || r == STATE_RECORD_E_MALFORMED);
        if (r == 0)
                expect_same((StateKind)slot->kind, &saved, &rest);
        state_buffer_deinit(&rest);
        free(data);
}

/* Returns how many records there are. */
static size_t walk(const StateFile *file) {
        StateSlot slot = { 0 };
        size_t n = 0;

        for (; state_file_next(file, &slot); n++)
                if (slot.kind < _STATE_KIND_N)
                        decode(&slot);
        return n;
}

/* As recovery does: some go, some come. */
static void change(StateFile *file, size_t n) {
        static const char data[200];
        StateSlot slot = { 0 };

        for (size_t i = 0; i < n && state_file_next(file, &slot); i++) {
                uint32_t at = slot.at;

                if (i % 2)
                        state_file_remove(file, &at);
        }
        for (uint32_t i = 0; i < 8; i++) {
                uint32_t at = 0;

                fuzz_expect(state_file_put(file, 1, i + 1, data, i * 25, &at) == 0);
        }
}

static int new_file(const uint8_t *data, size_t size) {
        int fd = memfd_create("fuzz-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        fuzz_expect(fd >= 0 && write(fd, data, size) == (ssize_t)size);
        fuzz_expect(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int n_fds = fuzz_count_fds(), fd = new_file(data, size), again, r;
        const char *reason = NULL;
        StateFile *file = NULL;
        size_t n;

        r = state_file_open(fd, &file, &reason);
        fuzz_expect(r == 0 || (r == STATE_FILE_E_FOREIGN && reason && !file));
        if (r == 0) {
                n = walk(file);
                fuzz_expect(n <= size / 64);
                change(file, n);
                n = n - n / 2 + 8;
                fuzz_expect(walk(file) == n);
                again = fcntl(state_file_get_fd(file), F_DUPFD_CLOEXEC, 3);
                state_file_free(file);
                fuzz_expect(state_file_open(again, &file, &reason) == 0);
                fuzz_expect(!state_file_is_damaged(file));
                /* Of one object that is there twice, the older may go. */
                fuzz_expect(walk(file) <= n);
                state_file_free(file);
        }
        fuzz_expect(fuzz_count_fds() == n_fds);
        return 0;
}
