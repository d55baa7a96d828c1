/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Endpoints first, then their members, then the leases on them; at last what follows from all of them:
 * which members nobody holds any more, and what the steering program is to know.
 */

#include "daemon/recovery.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/group-resume.h"
#include "daemon/judge.h"
#include "daemon/log.h"
#include "daemon/process.h"
#include "daemon/recovery-private.h"
#include "proto/cleanup.h"
#include "proto/error.h"

static int compare_ids(const void *a, const void *b) {
        const StateSlot *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static size_t count_records(const StateFile *file, StateKind kind) {
        StateSlot slot = { 0 };
        size_t n = 0;

        while (state_file_next(file, &slot))
                n += slot.kind == (uint32_t)kind;
        return n;
}

/* All records of a kind, in the order in which the objects came to be. Returns 0 or -ENOMEM. */
static int gather(const StateFile *file, StateKind kind, StateSlot **ret, size_t *ret_n) {
        size_t size = count_records(file, kind), n = 0;
        StateSlot *slots, slot = { 0 };

        slots = calloc(size ?: 1, sizeof(*slots));
        if (!slots)
                return error_origin(-ENOMEM);
        while (n < size && state_file_next(file, &slot))
                if (slot.kind == (uint32_t)kind)
                        slots[n++] = slot;
        qsort(slots, n, sizeof(*slots), compare_ids);
        *ret = slots;
        *ret_n = n;
        return 0;
}

static int make_all(Recovery *recovery, StateKind kind,
                    int (*make)(Recovery *recovery, const StateSlot *slot, StateBuffer *rest)) {
        uint64_t last = state_file_get_last_id(recovery->file);
        _cleanup_(freep) StateSlot *slots = NULL;
        size_t n = 0;
        int r;

        r = gather(recovery->file, kind, &slots, &n);
        if (r < 0)
                return error_trace(r);
        for (size_t i = 0; i < n; i++) {
                StateBuffer rest = { 0 };
                uint32_t at = slots[i].at;

                /* None is given twice. */
                r = slots[i].id > 0 && slots[i].id <= last ? make(recovery, &slots[i], &rest) : 1;
                state_buffer_deinit(&rest);
                if (r < 0)
                        return error_trace(r);
                if (r > 0)
                        state_file_remove(recovery->file, &at);
        }
        return 0;
}

/* Its sentinel, if that is the one. */
static Claimed claim_sentinel(Recovery *recovery, Endpoint *endpoint) {
        Sentinel *sentinel = &endpoint->group.sentinel;
        uint64_t id = sentinel->id, cookie = sentinel->cookie;

        *sentinel = (Sentinel){ 0 };
        return id > 0 ? recovery_claim(recovery, id, cookie, endpoint) : (Claimed){ .fd = -1 };
}

static void steer(Recovery *recovery, Endpoint *endpoint) {
        Sentinel *sentinel = &endpoint->group.sentinel;
        uint64_t id = sentinel->id;
        Claimed claimed = claim_sentinel(recovery, endpoint);
        char name[STATE_NAME_MAX];
        int r;

        r = group_resume(endpoint, claimed.fd);
        if (r < 0)
                log_fault(LOG_ERR, "a group of an earlier broker cannot be steered");
        else if (r > 0)
                log_line(LOG_ERR, "%s: no room to steer the group", endpoint->key);
        if (claimed.fd >= 0 && sentinel_is_open(sentinel)) {
                sentinel->id = id;
                recovery_keep(recovery, &sentinel->kept, id, sentinel->alarm.fd, claimed.anew);
        } else if (claimed.fd >= 0)
                fd_store_discard(recovery->services->state.store, state_name(id, name));
        endpoint_touch(endpoint);
}

static void settle_members(Endpoint *endpoint) {
        Member *member, *next;

        /* The last one may take the endpoint along. */
        for (member = TAILQ_FIRST(&endpoint->members); member; member = next) {
                next = TAILQ_NEXT(member, entry);
                member_settle(member);
        }
}

/* What follows from all records together. */
static void settle(Recovery *recovery) {
        Endpoint *endpoint, *next;

        HASH_ITER (hh, recovery->services->endpoints.by_key, endpoint, next) {
                if (endpoint->n_members == 0) {
                        endpoint_close(endpoint, "no socket of it was kept");
                        continue;
                }
                steer(recovery, endpoint);
                settle_members(endpoint);
        }
}

/* Those of the store that no record knows. */
static void close_strangers(Recovery *recovery) {
        for (size_t i = 0; i < recovery->inherited->n; i++) {
                InheritedItem *item = &recovery->inherited->items[i];

                if (item->fd >= 0 && item->name[0] == STATE_FILE_NAME[0])
                        recovery_count_foreign(recovery, fd_take(&item->fd), item->name,
                                               "no record knows it");
        }
}

static void tell(const RecoveryTally *tally) {
        if (!tally->found && tally->n_foreign == 0)
                return;
        log_line(LOG_NOTICE,
                 "of an earlier broker: %zu endpoints, %zu sockets and %zu leases are back; %zu lost, "
                 "%zu "
                 "descriptors not known",
                 tally->n_endpoints, tally->n_members, tally->n_leases, tally->n_lost, tally->n_foreign);
}

static int make_objects(Recovery *recovery) {
        int r;

        r = make_all(recovery, STATE_ENDPOINT, recovery_make_endpoint);
        if (r == 0)
                r = make_all(recovery, STATE_MEMBER, recovery_make_member);
        if (r == 0)
                r = make_all(recovery, STATE_LEASE, recovery_make_lease);
        return error_trace(r);
}

/* For what this broker has of its own, beside what there is. */
static bool has_room(const Recovery *recovery) {
        const FdStore *store = recovery->services->state.store;

        return store && (fd_store_get_max(store) == 0 ||
                         recovery->inherited->n + STATE_STEERING_N <= fd_store_get_max(store));
}

static void keep_steering(Services *services) {
        if (services->steering)
                state_keep_steering(&services->state, services->steering);
}

int recovery_run(Services *services, Inherited *inherited) {
        Recovery recovery = { .services = services,
                              .inherited = inherited,
                              .file = services->state.marks.file,
                              .tally = &services->recovered };
        Found *found, *next;
        int r;

        r = recovery_steering_begin(&recovery);
        /* Before a socket is in the map: should this broker be killed, the next must know of it. */
        if (r == 0 && has_room(&recovery))
                keep_steering(services);
        if (r == 0)
                r = make_objects(&recovery);
        if (r == 0) {
                settle(&recovery);
                /* From here on the records say where the sockets are now. */
                state_settle(&services->state);
                recovery_steering_end(&recovery);
                close_strangers(&recovery);
                judge_tenants(services->config->policy, &services->endpoints);
                grace_begin(&services->grace);
                tell(recovery.tally);
        }
        /* The leases have references of their own. */
        HASH_ITER (hh, recovery.processes, found, next)
                process_unref(found->object);
        found_clear(&recovery.endpoints);
        found_clear(&recovery.members);
        found_clear(&recovery.processes);
        found_clear(&recovery.clients);
        keep_steering(services);
        state_settle(&services->state);
        return error_trace(r);
}

/* ---- the state ------------------------------------------------------------------------------------ */

/*
 * The first that can be read. *@ret_anew: others were called so, and the manager gives up all of a name.
 * *@ret is NULL if there is none.
 */
static int find_file(Services *services, Inherited *inherited, StateFile **ret, bool *ret_anew) {
        StateFile *file = NULL;
        const char *reason;
        int fd, r;

        *ret_anew = false;
        while ((fd = inherited_claim(inherited, STATE_FILE_NAME)) >= 0) {
                reason = "there is another";
                if (!file)
                        r = state_file_open(fd, &file, &reason);
                else
                        r = (fd_close(fd), STATE_FILE_E_FOREIGN);
                if (r < 0)
                        return error_trace(r);
                if (r == 0)
                        continue;
                log_line(LOG_ERR, "the state of an earlier broker cannot be read: %s", reason);
                services->recovered.n_foreign++;
                *ret_anew = true;
        }
        *ret = file;
        return 0;
}

static int open_file(Services *services, FdStore *store, Inherited *inherited, StateFile **ret,
                     bool *ret_resumed) {
        bool anew;
        int r;

        r = find_file(services, inherited, ret, &anew);
        if (r < 0)
                return error_trace(r);
        if (anew)
                fd_store_discard(store, STATE_FILE_NAME);
        services->recovered.found = *ret;
        *ret_resumed = *ret && !anew && !services->takes_over;
        return *ret ? 0 : error_trace(state_file_new(ret));
}

int recovery_open_state(Services *services, Inherited *inherited) {
        FdStore *store;
        StateFile *file;
        bool resumed;
        int r;

        r = fd_store_new(services->event, &services->endpoints.timers_changed, &store);
        if (r < 0) {
                log_fault(LOG_ERR, "cannot use the service manager's store of descriptors");
                store = NULL;
        }
        r = open_file(services, store, inherited, &file, &resumed);
        if (r < 0) {
                fd_store_free(store);
                return error_trace(r);
        }
        if (state_file_is_damaged(file))
                log_line(LOG_ERR, "the state of an earlier broker is cut short, and read up to there");
        if (services->recovered.found) {
                services->ids.epoch = state_file_get_epoch(file);
                services->ids.last = state_file_get_last_id(file);
        }
        state_init(&services->state, file, store, &services->ids, resumed);
        return 0;
}
