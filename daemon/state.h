/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the broker knows, saved as it changes: its objects in a file that outlives it (state-file.h), its
 * sockets in the service manager's store (fd-store.h). recovery.h reads both back.
 */

#include <stdbool.h>

#include "daemon/endpoint.h"
#include "daemon/fd-store.h"
#include "daemon/state-mark.h"

typedef struct State {
        StateMarks marks;
        FdStore *store; /* NULL: there is none, and only who takes over by --replace finds anything */
        IdSource *ids;
        StateBuffer buffer;
        FdStoreEntry kept; /* the file */
        FdStoreEntry kept_map;
        FdStoreEntry kept_counts;
        uint64_t steering_id; /* by which what is kept of the steering program is called */
        bool failing;         /* something could not be saved when last tried, which has been said */
} State;

enum {
        STATE_NAME_MAX = 24,
        /* Descriptors that state_keep_steering() has kept. */
        STATE_STEERING_N = 2,
};

/*
 * What the file itself is called in the store, and how the names begin of the map of a steering program
 * and of the memory that it counts in, which end as that of an object. No object is called so: beyond
 * the first full stop its name has none.
 */
#define STATE_FILE_NAME "..state"
#define STATE_MAP_NAME "..map"
#define STATE_COUNTS_NAME "..counts"

/*
 * What the descriptor of the object with this id is called there. Short: the manager hands over all
 * names in one variable, which may have 128 KiB. With a full stop in front it is no name of a .socket
 * unit's. Returns @buffer.
 */
const char *state_name(uint64_t id, char buffer[static STATE_NAME_MAX]);

/* The same of what the steering program of that id has: @prefix is one of the names above. */
const char *state_steering_name(const char *prefix, uint64_t id, char buffer[static STATE_NAME_MAX]);

/* Saves into @file, which is the state's from now on; so is @store. @resumed: the file is in there. */
void state_init(State *state, StateFile *file, FdStore *store, IdSource *ids, bool resumed);

/* Has what a broker needs that comes after this one kept of @steering as well, under names that no other
 * broker's has. */
void state_keep_steering(State *state, const Steering *steering);

/* Everything that was touched; before anybody is told of it. A state that was never made is
 * left alone. */
void state_settle(State *state);

/* Gives up what it has, and leaves all that is saved to whoever comes next. */
void state_deinit(State *state);
