/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The kernel lets a socket be in one map of this kind only. That of the broker before is told by the
 * records where its sockets are. One that died amid its recovery leaves another, and the records do not
 * say yet which of the two a socket is in: then both are emptied. What no record speaks of is given up
 * at once, or a broker that dies time and again would fill the store; the rest when everything is in
 * this broker's map.
 *
 * What a program has counted is read when a socket is in its map no more, as nothing is added to it
 * then.
 */

#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/recovery-private.h"
#include "proto/cleanup.h"
#include "proto/error.h"

static bool begins(const InheritedItem *item, const char *prefix) {
        return strncmp(item->name, prefix, strlen(prefix)) == 0;
}

static bool is_left(const InheritedItem *item) {
        return begins(item, STATE_MAP_NAME) || begins(item, STATE_COUNTS_NAME);
}

static void empty(int map) {
        for (uint32_t slot = 0; slot < STEERING_MEMBERS_MAX; slot++)
                steering_take_out(map, slot);
}

/* ---- of which programs the records speak ---------------------------------------------------------- */

static bool has_program(const Recovery *recovery, uint64_t id) {
        for (size_t i = 0; i < recovery->n_programs; i++)
                if (recovery->programs[i] == id)
                        return true;
        return false;
}

/* Returns 0 or -ENOMEM. */
static int note_programs(Recovery *recovery) {
        StateSlot slot = { 0 };

        while (state_file_next(recovery->file, &slot) && recovery->n_programs < RECOVERY_PROGRAMS_MAX) {
                SavedMember saved;
                int r;

                if (slot.kind != STATE_MEMBER)
                        continue;
                r = state_record_decode(STATE_MEMBER, slot.data, slot.n, &saved, NULL);
                if (r < 0)
                        return error_trace(r);
                if (r == 0 && saved.place > 0 && !has_program(recovery, saved.counted_by))
                        recovery->programs[recovery->n_programs++] = saved.counted_by;
        }
        return 0;
}

/* Of so many that not all are noted, any may be. */
static bool is_spoken_of(const Recovery *recovery, const InheritedItem *item) {
        const char *prefix = begins(item, STATE_MAP_NAME) ? STATE_MAP_NAME : STATE_COUNTS_NAME;
        char name[STATE_NAME_MAX];

        for (size_t i = 0; i < recovery->n_programs; i++)
                if (strcmp(state_steering_name(prefix, recovery->programs[i], name), item->name) == 0)
                        return true;
        return recovery->n_programs == RECOVERY_PROGRAMS_MAX;
}

/* ---- what is left --------------------------------------------------------------------------------- */

static void give_up(const Recovery *recovery, InheritedItem *item) {
        fd_store_discard(recovery->services->state.store, item->name);
        fd_close(fd_take(&item->fd));
}

/* Where nothing was steered, nothing is in there. */
static void empty_maps(const Recovery *recovery) {
        const Inherited *inherited = recovery->inherited;

        for (size_t i = 0; i < inherited->n && recovery->n_programs > 0; i++)
                if (begins(&inherited->items[i], STATE_MAP_NAME))
                        empty(inherited->items[i].fd);
}

int recovery_steering_begin(Recovery *recovery) {
        const Inherited *inherited = recovery->inherited;
        const InheritedItem *map = NULL;
        size_t n = 0;
        int r;

        recovery->map = -1;
        r = note_programs(recovery);
        if (r < 0)
                return error_trace(r);
        for (size_t i = 0; i < inherited->n; i++)
                if (begins(&inherited->items[i], STATE_MAP_NAME) && n++ == 0)
                        map = &inherited->items[i];
        if (n == 1 && recovery->n_programs == 1 && is_spoken_of(recovery, map))
                recovery->map = map->fd;
        else
                empty_maps(recovery);
        for (size_t i = 0; i < inherited->n; i++)
                if (is_left(&inherited->items[i]) && !is_spoken_of(recovery, &inherited->items[i]))
                        give_up(recovery, &inherited->items[i]);
        return 0;
}

void recovery_steering_release(const Recovery *recovery, uint64_t place) {
        if (recovery->map >= 0 && place > 0)
                steering_take_out(recovery->map, (uint32_t)(place - 1));
}

/* What is called so and is no such memory, is nobody's. All of the name leave the store in the end. */
static void open_counts(Recovery *recovery, uint64_t id) {
        char name[STATE_NAME_MAX];
        int fd;

        steering_counts_close(&recovery->counts);
        recovery->counts_id = id;
        state_steering_name(STATE_COUNTS_NAME, id, name);
        while ((fd = inherited_claim(recovery->inherited, name)) >= 0) {
                int r = recovery->counts.memory ? STEERING_E_FOREIGN
                                                : steering_counts_open(fd, &recovery->counts);

                if (r == STEERING_E_FOREIGN)
                        recovery_note_foreign(recovery, name, "it is not what was kept under this name");
                else if (r < 0)
                        log_fault(LOG_WARNING,
                                  "flows that an earlier broker's program counted are forgotten");
                fd_close(fd);
        }
}

uint64_t recovery_steering_count(Recovery *recovery, const SavedMember *saved) {
        if (saved->counted_by == 0)
                return saved->flows;
        if (saved->counted_by != recovery->counts_id)
                open_counts(recovery, saved->counted_by);
        return saved->flows + steering_counts_read(&recovery->counts, saved->count_at);
}

void recovery_steering_end(Recovery *recovery) {
        for (size_t i = 0; i < recovery->inherited->n; i++)
                if (is_left(&recovery->inherited->items[i]))
                        give_up(recovery, &recovery->inherited->items[i]);
        recovery->map = -1;
        steering_counts_close(&recovery->counts);
}
