/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The kernel lets a socket be in one map of this kind only. That of the broker before is told by the records
 * where its sockets are. One that died amid its recovery leaves another, and the records do not say yet which
 * of the two a socket is in: then both are emptied.
 */

#include <string.h>

#include "daemon/recovery-private.h"
#include "proto/cleanup.h"

static bool is_map(const InheritedItem *item) {
        return item->fd >= 0 && strncmp(item->name, STATE_MAP_NAME, sizeof(STATE_MAP_NAME) - 1) == 0;
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
                if (is_map(&inherited->items[i]) && n++ == 0)
                        recovery->map = inherited->items[i].fd;
        if (n <= 1)
                return;
        for (size_t i = 0; i < inherited->n; i++)
                if (is_map(&inherited->items[i]))
                        empty(inherited->items[i].fd);
        recovery->map = -1;
}

void recovery_steering_release(const Recovery *recovery, uint64_t place) {
        if (recovery->map >= 0 && place > 0)
                steering_take_out(recovery->map, (uint32_t)(place - 1));
}

void recovery_steering_end(Recovery *recovery) {
        for (size_t i = 0; i < recovery->inherited->n; i++) {
                InheritedItem *item = &recovery->inherited->items[i];

                if (!is_map(item))
                        continue;
                fd_store_discard(recovery->services->state.store, item->name);
                fd_close(fd_take(&item->fd));
        }
        recovery->map = -1;
}
