/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Places are of 64 bytes times a power of two, and stay of the size they were made with: what a broker
 * of some hour's use has given up fits what comes next. Room is asked for before it is touched: memory
 * that is not to be had is an error then, and no signal.
 */

#include "daemon/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        UNIT = 64,
        ORDERS = 16, /* a record has up to 2 MiB */
        GROWTH = 64 * 1024,
};

/* The first UNIT bytes. */
typedef struct FileHead {
        char magic[16];
        uint32_t version;
        uint32_t epoch;
        uint64_t last_id;
        uint64_t serial;
} FileHead;

/* In front of each record. */
typedef struct SlotHead {
        uint32_t order;
        uint32_t kind; /* STATE_NONE: free. Written last. */
        uint32_t n;
        uint32_t replaces; /* what was valid until then */
        uint64_t id;
        uint64_t serial;
} SlotHead;

_Static_assert(sizeof(FileHead) <= UNIT, "head");

static const char magic[16] = "reuseportd state";

/* Places that are free, of one order. */
typedef struct FreeList {
        uint32_t *items;
        size_t n;
        size_t size;
} FreeList;

struct StateFile {
        int fd;
        char *memory; /* STATE_FILE_SIZE_MAX of addresses; up to @size there is a file behind them */
        size_t size;
        size_t end; /* of the last place */
        bool damaged;
        FreeList free[ORDERS];
};

static FileHead *file_head(const StateFile *file) {
        return (FileHead *)(void *)file->memory;
}

static SlotHead *slot_head(const StateFile *file, uint32_t at) {
        return (SlotHead *)(void *)(file->memory + (size_t)at * UNIT);
}

static size_t order_size(unsigned order) {
        return (size_t)UNIT << order;
}

static int free_list_push(FreeList *list, uint32_t at) {
        if (list->n == list->size) {
                size_t size = list->size * 2 ?: 16;
                uint32_t *items = reallocarray(list->items, size, sizeof(*items));

                if (!items)
                        return error_origin(-ENOMEM);
                list->items = items;
                list->size = size;
        }
        list->items[list->n++] = at;
        return 0;
}

/* Without memory to remember it by, the place is lost until the next broker looks. */
static void slot_release(StateFile *file, uint32_t at) {
        SlotHead *slot = slot_head(file, at);

        __atomic_store_n(&slot->kind, STATE_NONE, __ATOMIC_RELEASE);
        (void)error_fold(free_list_push(&file->free[slot->order], at));
}

/* ---- open and close ------------------------------------------------------------------------------ */

static int file_grow(StateFile *file, size_t size) {
        size = (size + GROWTH - 1) / GROWTH * GROWTH;
        if (size > STATE_FILE_SIZE_MAX)
                return STATE_FILE_E_FULL;
        if (fallocate(file->fd, 0, (off_t)file->size, (off_t)(size - file->size)) < 0)
                return error_origin(-errno);
        file->size = size;
        return 0;
}

/* Consumes @fd. */
static int file_map(int fd, size_t size, StateFile **ret) {
        StateFile *file = calloc(1, sizeof(*file));

        if (!file) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *file = (StateFile){ .fd = fd, .size = size, .end = UNIT };
        file->memory = mmap(NULL, STATE_FILE_SIZE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (file->memory == MAP_FAILED) {
                int r = error_origin(-errno);

                file->memory = NULL;
                state_file_free(file);
                return r;
        }
        *ret = file;
        return 0;
}

int state_file_new(StateFile **ret) {
        StateFile *file;
        int fd, r;

        fd = memfd_create("reuseportd state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return error_origin(-errno);
        r = file_map(fd, 0, &file);
        if (r < 0)
                return error_trace(r);
        r = file_grow(file, UNIT);
        /* Who keeps it must not be able to take memory away that is mapped. */
        if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                r = error_origin(-errno);
        if (r < 0) {
                state_file_free(file);
                return error_trace(r);
        }
        file_head(file)->version = STATE_VERSION;
        memcpy(file_head(file)->magic, magic, sizeof(magic));
        *ret = file;
        return 0;
}

/* Of a file that somebody else had. */
static const char *file_refusal(int fd, size_t *ret_size) {
        FileHead head;
        struct stat st;
        int seals = fcntl(fd, F_GET_SEALS);

        if (seals < 0 || !(seals & F_SEAL_SHRINK))
                return "it is not a sealed memfd";
        if (seals & (F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ||
            (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
                return "it cannot be written";
        if (fstat(fd, &st) < 0 || st.st_size < UNIT || pread(fd, &head, sizeof(head), 0) != sizeof(head))
                return "it is too short";
        if (memcmp(head.magic, magic, sizeof(magic)) != 0)
                return "it is something else";
        if (head.version > STATE_VERSION + 1)
                return "it is of a version that came much later";
        if (head.version + 1 < STATE_VERSION)
                return "it is of a version that is too old";
        *ret_size = (size_t)st.st_size < STATE_FILE_SIZE_MAX ? (size_t)st.st_size : STATE_FILE_SIZE_MAX;
        return NULL;
}

/* What a record may not have. That of a place which is free was perhaps never written to its end. */
static bool slot_is_possible(const SlotHead *slot, size_t room) {
        return slot->order < ORDERS && order_size(slot->order) <= room &&
               (slot->kind == STATE_NONE || slot->n <= order_size(slot->order) - sizeof(*slot));
}

/*
 * Nothing is believed from @at on: it would come back, piece by piece, as new records end where old ones
 * begin. The room is asked for again when it is needed.
 */
static int file_cut(StateFile *file, size_t at) {
        off_t n = (off_t)(file->size - at);

        if (n > 0 && fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, n) < 0)
                return error_origin(-errno);
        file->size = file->end = at;
        return 0;
}

/* Whether something is left behind the last place that there is room for: the head of a record. */
static bool file_ends_amid_record(const StateFile *file, size_t at) {
        for (; at < file->size; at++)
                if (file->memory[at] != 0)
                        return true;
        return false;
}

/* Finds all places, up to one that cannot be. */
static int file_survey(StateFile *file) {
        size_t at = UNIT;
        int r = 0;

        while (r == 0 && file->size - at >= UNIT) {
                const SlotHead *slot = slot_head(file, (uint32_t)(at / UNIT));

                /* Room for the next. */
                if (slot->order == 0 && slot->kind == STATE_NONE && slot->serial == 0)
                        break;
                file->damaged = !slot_is_possible(slot, file->size - at);
                if (file->damaged)
                        break;
                if (slot->kind == STATE_NONE)
                        r = free_list_push(&file->free[slot->order], (uint32_t)(at / UNIT));
                at += order_size(slot->order);
        }
        if (file->size - at < UNIT)
                file->damaged = file_ends_amid_record(file, at);
        return r < 0 ? error_trace(r) : error_trace(file_cut(file, at));
}

/* What a damaged record replaces may be in the midst of another. */
static bool file_has_place(const StateFile *file, uint32_t at) {
        size_t place = UNIT;

        while (place < (size_t)at * UNIT)
                place += order_size(slot_head(file, (uint32_t)(place / UNIT))->order);
        return place == (size_t)at * UNIT;
}

/* Of two records of one object, the broker was killed before it gave up the older. */
static void file_settle(StateFile *file) {
        StateSlot found = { 0 };

        while (state_file_next(file, &found)) {
                const SlotHead *slot = slot_head(file, found.at);
                const SlotHead *old = slot_head(file, slot->replaces);

                if (slot->replaces > 0 && slot->replaces < file->end / UNIT && old->kind == slot->kind &&
                    old->id == slot->id && old->serial < slot->serial &&
                    file_has_place(file, slot->replaces))
                        slot_release(file, slot->replaces);
        }
}

int state_file_open(int fd, StateFile **ret, const char **ret_reason) {
        StateFile *file;
        size_t size = 0;
        int r;

        *ret_reason = file_refusal(fd, &size);
        if (*ret_reason) {
                fd_close(fd);
                return STATE_FILE_E_FOREIGN;
        }
        r = file_map(fd, size, &file);
        if (r < 0)
                return error_trace(r);
        r = file_survey(file);
        if (r < 0) {
                state_file_free(file);
                return error_trace(r);
        }
        file_settle(file);
        *ret = file;
        return 0;
}

int state_file_copy(int fd, int *ret) {
        _cleanup_(fd_closep) int copy =
                memfd_create("reuseportd state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        off_t offset = 0;
        struct stat st;

        if (copy < 0 || fstat(fd, &st) < 0)
                return error_origin(-errno);
        while (offset < st.st_size) {
                ssize_t n = sendfile(copy, fd, &offset, (size_t)(st.st_size - offset));

                if (n <= 0)
                        return error_origin(n < 0 ? -errno : -EIO);
        }
        if (fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                return error_origin(-errno);
        *ret = fd_take(&copy);
        return 0;
}

StateFile *state_file_free(StateFile *file) {
        if (!file)
                return NULL;
        if (file->memory)
                munmap(file->memory, STATE_FILE_SIZE_MAX);
        fd_close(file->fd);
        for (size_t i = 0; i < ORDERS; i++)
                free(file->free[i].items);
        free(file);
        return NULL;
}

int state_file_get_fd(const StateFile *file) {
        return file->fd;
}

bool state_file_is_damaged(const StateFile *file) {
        return file->damaged;
}

uint32_t state_file_get_epoch(const StateFile *file) {
        return file_head(file)->epoch;
}

uint64_t state_file_get_last_id(const StateFile *file) {
        return file_head(file)->last_id;
}

void state_file_set_ids(StateFile *file, uint32_t epoch, uint64_t last) {
        file_head(file)->epoch = epoch;
        file_head(file)->last_id = last;
}

/* ---- records ------------------------------------------------------------------------------------- */

bool state_file_next(const StateFile *file, StateSlot *slot) {
        size_t at = slot->at > 0 ? (size_t)slot->at * UNIT + order_size(slot_head(file, slot->at)->order)
                                 : UNIT;

        while (at < file->end) {
                const SlotHead *head = slot_head(file, (uint32_t)(at / UNIT));

                if (head->kind != STATE_NONE) {
                        *slot = (StateSlot){ .at = (uint32_t)(at / UNIT),
                                             .kind = head->kind,
                                             .id = head->id,
                                             .data = (const char *)(head + 1),
                                             .n = head->n };
                        return true;
                }
                at += order_size(head->order);
        }
        return false;
}

/* A place of @order, from among those given up or at the end. */
static int file_take(StateFile *file, unsigned order, uint32_t *ret) {
        FreeList *list = &file->free[order];
        int r;

        if (list->n > 0) {
                *ret = list->items[--list->n];
                return 0;
        }
        if (order_size(order) > file->size - file->end) {
                r = file_grow(file, file->end + order_size(order));
                if (r != 0)
                        return r < 0 ? error_trace(r) : r;
        }
        *ret = (uint32_t)(file->end / UNIT);
        /* Behind the last place nothing is known of what was there. */
        memset(slot_head(file, *ret), 0, order_size(order));
        file->end += order_size(order);
        return 0;
}

int state_file_put(StateFile *file, uint32_t kind, uint64_t id, const void *data, size_t n,
                   uint32_t *at) {
        uint32_t old = *at, place = 0;
        unsigned order = 0;
        SlotHead *slot;
        int r;

        while (order < ORDERS && order_size(order) < sizeof(*slot) + n)
                order++;
        if (order == ORDERS)
                return STATE_FILE_E_FULL;
        r = file_take(file, order, &place);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        slot = slot_head(file, place);
        /* A place that is not free has a serial number. */
        slot->serial = ++file_head(file)->serial;
        slot->order = order;
        slot->n = (uint32_t)n;
        slot->replaces = old;
        slot->id = id;
        if (n > 0)
                memcpy(slot + 1, data, n);
        __atomic_store_n(&slot->kind, kind, __ATOMIC_RELEASE);
        if (old > 0)
                slot_release(file, old);
        *at = place;
        return 0;
}

void state_file_remove(StateFile *file, uint32_t *at) {
        if (*at > 0)
                slot_release(file, *at);
        *at = 0;
}
