/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The broker's state in memory that outlives it: a memfd, mapped, that the service manager keeps as
 * well. A record is written to a place of its own first and then, by one word, made valid; only after
 * that the one it replaces is given up. So whenever the broker is killed, what is found is whole, and
 * saving costs no system call.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/state-record.h"

typedef struct StateFile StateFile;

/* A record that is in the file. Its data is borrowed until it is replaced or removed. */
typedef struct StateSlot {
        uint32_t at; /* where it is; 0: nowhere */
        uint32_t kind;
        uint64_t id;
        const char *data;
        size_t n;
} StateSlot;

enum {
        /* Versions of the file that are read: what only this one and its neighbours mean the same by. */
        STATE_VERSION = 1,
        STATE_FILE_SIZE_MAX = 256 * 1024 * 1024,
};

enum {
        _STATE_FILE_E_SUCCESS,
        STATE_FILE_E_FOREIGN, /* not a state that this broker can read */
        STATE_FILE_E_FULL,
};

/* An empty one. Returns 0 or a negative errno. */
int state_file_new(StateFile **ret);

/*
 * The one that an earlier broker had. Consumes @fd, also on failure. A file that is cut short, or has a
 * record that cannot be, is read up to there, and says so: state_file_is_damaged(). Returns 0,
 * STATE_FILE_E_FOREIGN with *@ret_reason a static text, or a negative errno.
 */
int state_file_open(int fd, StateFile **ret, const char **ret_reason);

/* A file like that of @fd, which it leaves alone: a mapped one may change meanwhile only in the records
 * themselves. *@ret is the caller's. Returns 0 or a negative errno. */
int state_file_copy(int fd, int *ret);

/* Gives up the mapping; the file lives as long as somebody has it. Takes NULL; returns NULL. */
StateFile *state_file_free(StateFile *file);

/* Its descriptor, for others to keep; borrowed. */
int state_file_get_fd(const StateFile *file);

bool state_file_is_damaged(const StateFile *file);

/* What ids are made of: see id.h. */
uint32_t state_file_get_epoch(const StateFile *file);
uint64_t state_file_get_last_id(const StateFile *file);
void state_file_set_ids(StateFile *file, uint32_t epoch, uint64_t last);

/* The first valid record after @slot, or the first of all if slot->at is 0. Returns false at the end. */
bool state_file_next(const StateFile *file, StateSlot *slot);

/*
 * Saves a record in place of the one at *@at (0: of none), and sets *@at to where it is now. Returns 0,
 * STATE_FILE_E_FULL, or a negative errno; then the old one stays.
 */
int state_file_put(StateFile *file, uint32_t kind, uint64_t id, const void *data, size_t n,
                   uint32_t *at);

/* Removes the record at *@at, if there is one, and sets it to 0. */
void state_file_remove(StateFile *file, uint32_t *at);
