/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The kernel lets a socket be in one map of this kind only. That of the broker before is told by the records
 * where its sockets are. One that died amid its recovery leaves another, and the records do not say yet which
 * of the two a socket is in: then both are emptied.
 *
 * What a program has counted is read when a socket is in its map no more, as nothing is added to it then.
 */

#include <string.h>

#include "daemon/log.h"
#include "daemon/recovery-private.h"
#include "proto/cleanup.h"

static bool begins(const InheritedItem *item, const char *prefix) {
        return strncmp(item->name, prefix, strlen(prefix)) == 0;
}

static void empty(int map) {
        for (uint32_t slot = 0; slot < STEERING_MEMBERS_MAX; slot++)
                steering_take_out(map, slot);
}

void recovery_steering_begin(Recovery *recovery) {
        const Inherited *inherited = recovery->inherited;
        size_t n = 0;

        recovery->map = -1;
        for (size_t i = 0; i < inherited->n; i++)
                if (begins(&inherited->items[i], STATE_MAP_NAME) && n++ == 0)
                        recovery->map = inherited->items[i].fd;
        if (n <= 1)
                return;
        for (size_t i = 0; i < inherited->n; i++)
                if (begins(&inherited->items[i], STATE_MAP_NAME))
                        empty(inherited->items[i].fd);
        recovery->map = -1;
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
                        log_fault(LOG_WARNING, "flows that an earlier broker's program counted are forgotten");
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
        for (size_t i = 0; i < recovery->inherited->n; i++) {
                InheritedItem *item = &recovery->inherited->items[i];

                if (!begins(item, STATE_MAP_NAME) && !begins(item, STATE_COUNTS_NAME))
                        continue;
                fd_store_discard(recovery->services->state.store, item->name);
                fd_close(fd_take(&item->fd));
        }
        recovery->map = -1;
        steering_counts_close(&recovery->counts);
}
