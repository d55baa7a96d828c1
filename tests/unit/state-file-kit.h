/* SPDX-License-Identifier: BSD-2-Clause */

#pragma once

/* Files of state: as a test writes them, and as the next broker reads them. */

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

/* ---- files that a test writes ------------------------------------------------------------------- */

static inline int raw_new(off_t size) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        cr_assert(ge(int, fd, 0));
        cr_assert(zero(int, ftruncate(fd, size)));
        return fd;
}

static inline void raw_write(int fd, size_t at, const void *data, size_t n) {
        cr_assert(eq(sz, (size_t)pwrite(fd, data, n, (off_t)at), n));
}

static inline void raw_seal(int fd, int seals) {
        cr_assert(zero(int, fcntl(fd, F_ADD_SEALS, seals)));
}

/* With a good head, and sealed. */
static inline int raw_file(void) {
        int fd = raw_new(RAW_SIZE);

        raw_write(fd, 0, &good_head, sizeof(good_head));
        raw_seal(fd, F_SEAL_SHRINK);
        return fd;
}

/* At place @at, in units. */
static inline void raw_slot(int fd, uint32_t at, RawSlot slot, const char *text) {
        raw_write(fd, (size_t)at * UNIT, &slot, sizeof(slot));
        if (text)
                raw_write(fd, (size_t)at * UNIT + sizeof(slot), text, strlen(text) + 1);
}

static inline RawSlot raw_record(uint32_t kind, uint64_t id, uint64_t serial, uint32_t n) {
        return (RawSlot){ .kind = kind, .id = id, .serial = serial, .n = n };
}

/* ---- what is in a file -------------------------------------------------------------------------- */

static inline StateFile *open_good(int fd) {
        const char *reason = NULL;
        StateFile *file = NULL;

        cr_assert(zero(int, state_file_open(fd, &file, &reason)), "%s", reason ?: "");
        return file;
}

/* As the next broker has it. Consumes @file. */
static inline StateFile *open_again(StateFile *file) {
        int fd = fcntl(state_file_get_fd(file), F_DUPFD_CLOEXEC, 3);

        cr_assert(ge(int, fd, 0));
        state_file_free(file);
        return open_good(fd);
}

/* All records are "KIND:ID=TEXT ", in their order. */
static inline void expect_records(const StateFile *file, const char *expected) {
        StateSlot slot = { 0 };
        char have[1024] = "";

        while (state_file_next(file, &slot)) {
                size_t n = strlen(have);

                snprintf(have + n, sizeof(have) - n, "%u:%llu=%.*s ", slot.kind,
                         (unsigned long long)slot.id, (int)slot.n, slot.data);
        }
        cr_assert(eq(str, have, (char *)expected));
}

static inline void put(StateFile *file, uint32_t kind, uint64_t id, const char *text, uint32_t *at) {
        cr_assert(zero(int, state_file_put(file, kind, id, text, strlen(text) + 1, at)));
}

static inline void expect_refused(int fd, const char *reason) {
        StateFile *file = NULL;
        const char *have = NULL;

        cr_assert(eq(int, state_file_open(fd, &file, &have), STATE_FILE_E_FOREIGN));
        cr_assert(eq(str, (char *)have, (char *)reason));
        cr_assert(eq(ptr, file, NULL));
        cr_assert(lt(int, fcntl(fd, F_GETFD), 0));
}
