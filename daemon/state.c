/* SPDX-License-Identifier: BSD-2-Clause */

/* From objects to records, and what goes into the store beside them. */

#include "daemon/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/lease.h"
#include "daemon/log.h"
#include "daemon/process.h"
#include "daemon/rule.h"
#include "daemon/state-file.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/message.h"

#define OBJECT_OF(mark, type, member) ((type *)(void *)((char *)(mark)-offsetof(type, member)))

static SavedSubject save_subject(const Subject *subject) {
        return (SavedSubject){
                .uid = subject->uid,
                .gid = subject->gid,
                .pid = (uint64_t)subject->pid,
                .connected_usec = subject->connected_usec,
                .groups = { subject->groups, subject->n_groups * sizeof(gid_t) },
                .cgroup = subject->cgroup,
                .label = subject->label,
                .rest = { subject->rest, subject->n_rest },
        };
}

/* Behind @prefix. */
static const char *name_of(const char *prefix, uint64_t id, char buffer[static STATE_NAME_MAX]) {
        static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
        char *end = stpcpy(buffer, prefix);

        *end++ = '.';
        do
                *end++ = digits[id % 64];
        while ((id /= 64) > 0);
        *end = '\0';
        return buffer;
}

const char *state_name(uint64_t id, char buffer[static STATE_NAME_MAX]) {
        return name_of("", id, buffer);
}

const char *state_steering_name(const char *prefix, uint64_t id, char buffer[static STATE_NAME_MAX]) {
        return name_of(prefix, id, buffer);
}

static void keep(const State *state, FdStoreEntry *entry, uint64_t id, int fd) {
        char name[STATE_NAME_MAX];

        if (state->store)
                fd_store_put(state->store, entry, state_name(id, name), fd);
}

/* ---- objects ------------------------------------------------------------------------------------- */

static int save_endpoint(State *state, Endpoint *endpoint, StateBuffer *buffer) {
        _cleanup_(message_buffer_deinit) MessageBuffer options = { 0 };
        Sentinel *sentinel = &endpoint->group.sentinel;
        const Namespace *elsewhere = endpoint->network_namespace;
        char namespace_text[NAMESPACE_PATH_MAX + ID_TEXT_MAX];
        SavedEndpoint saved = {
                .network = endpoint->network,
                .address = endpoint_address_text(endpoint),
                .name = endpoint->name,
                .sharing = endpoint->sharing,
                .steering = endpoint->group.mode,
                .retain_usec = endpoint->retain_usec,
                .tenant_uid = endpoint->tenant.uid,
                .tenant_name = endpoint->tenant.name[0] ? endpoint->tenant.name : NULL,
                .maker = save_subject(endpoint->maker),
                .file_device = endpoint->file.device,
                .file_inode = endpoint->file.inode,
                .passed = endpoint->passed,
                .survivors = endpoint->group.survivors,
        };
        int r = 0;

        if (elsewhere) {
                snprintf(namespace_text, sizeof(namespace_text), "%" PRIu64 " %s", elsewhere->cookie,
                         elsewhere->path);
                saved.network_namespace = namespace_text;
        }
        if (sentinel_is_open(sentinel)) {
                if (sentinel->id == 0)
                        sentinel->id = id_next(state->ids);
                saved.sentinel = sentinel->id;
                saved.sentinel_cookie = sentinel->cookie;
                saved.sentinel_place = sentinel->slot + 1ULL;
        }
        if (endpoint->requested) {
                r = message_encode_reply(&options, &(Reply){ .error = NULL }, &wire_options,
                                         endpoint->requested);
                saved.options = options.data;
        }
        if (r == 0)
                r = state_record_encode(STATE_ENDPOINT, &saved, buffer);
        if (r == 0 && sentinel_is_open(sentinel))
                keep(state, &sentinel->kept, sentinel->id, sentinel->alarm.fd);
        return error_trace(r);
}

static int save_member(State *state, Member *member, StateBuffer *buffer) {
        SavedMember saved = {
                .endpoint = member->endpoint->id,
                .cookie = member->cookie,
                .state = member->state,
                .weight = member->weight,
                .orphan = member->orphan,
                .retain_until_usec = member->retain_until_usec,
                .parked_usec = member->parked_usec,
                .has_holder = member->last_holder != NULL,
                .payer = member->charge.user ? member->charge.user->uid : 0,
                .departs = member->departure.waiting,
                .flows = member->flows_before,
        };
        int r;

        if (member->steered) {
                saved.place = member->slot + 1ULL;
                saved.counted_by = state->steering_id;
                saved.count_at = steering_count_at(member->endpoint->registry->steering, member->slot);
        }
        if (member->last_holder)
                saved.last_holder = save_subject(member->last_holder);
        r = state_record_encode(STATE_MEMBER, &saved, buffer);
        /* What the service manager passes it passes again. */
        if (r == 0 && !member->endpoint->passed)
                keep(state, &member->kept, member->id, member->fd);
        return error_trace(r);
}

static int save_lease(State *state, Lease *lease, StateBuffer *buffer) {
        Process *process = lease->process;
        SavedLease saved = {
                .member = lease->member->id,
                .since_usec = lease->since_usec,
                .subject = save_subject(lease->subject),
                .rule = rule_charge_rule(&lease->rule_charge),
        };
        int r;

        if (process) {
                if (process->id == 0)
                        process->id = id_next(state->ids);
                saved.process = process->id;
                saved.lifeline = process->lifeline;
        }
        r = state_record_encode(STATE_LEASE, &saved, buffer);
        if (r == 0 && process)
                keep(state, &process->kept, process->id, process->fd);
        return error_trace(r);
}

/* ---- saving --------------------------------------------------------------------------------------- */

static int save(State *state, StateMark *mark) {
        StateBuffer *buffer = &state->buffer;
        uint64_t id;
        int r;

        buffer->n = 0;
        switch (mark->kind) {
        case STATE_ENDPOINT:
                id = OBJECT_OF(mark, Endpoint, saved)->id;
                r = save_endpoint(state, OBJECT_OF(mark, Endpoint, saved), buffer);
                break;
        case STATE_MEMBER:
                id = OBJECT_OF(mark, Member, saved)->id;
                r = save_member(state, OBJECT_OF(mark, Member, saved), buffer);
                break;
        default:
                id = OBJECT_OF(mark, Lease, saved)->id;
                r = save_lease(state, OBJECT_OF(mark, Lease, saved), buffer);
        }
        if (r == 0)
                r = state_buffer_append(buffer, mark->rest.data, mark->rest.n);
        /* Never behind the ids that are in the file. */
        state_file_set_ids(state->marks.file, state->ids->epoch, state->ids->last);
        if (r == 0)
                r = state_file_put(state->marks.file, mark->kind, id, buffer->data, buffer->n,
                                   &mark->at);
        return r < 0 ? error_trace(r) : r;
}

/* What could not be saved is served all the same, and saved with its next change. */
static void save_failed(State *state, int r) {
        if (!state->failing && r < 0)
                log_fault(LOG_ERR, "cannot save the state: a broker that takes over will miss some");
        else if (!state->failing)
                log_line(LOG_ERR, "the saved state is full: a broker that takes over will miss some");
        state->failing = true;
}

void state_settle(State *state) {
        StateMark *mark;
        bool failed = false;

        if (!state->marks.file || TAILQ_EMPTY(&state->marks.touched))
                return;
        while ((mark = TAILQ_FIRST(&state->marks.touched))) {
                int r = save(state, mark);

                TAILQ_REMOVE(&state->marks.touched, mark, entry);
                mark->touched = false;
                if (r != 0)
                        save_failed(state, r);
                failed = failed || r != 0;
        }
        state->failing = failed;
}

static void keep_steering(const State *state, FdStoreEntry *entry, const char *prefix, int fd) {
        char name[STATE_NAME_MAX];

        if (state->store && fd >= 0)
                fd_store_put(state->store, entry, state_steering_name(prefix, state->steering_id, name),
                             fd);
}

void state_keep_steering(State *state, const Steering *steering) {
        keep_steering(state, &state->kept_map, STATE_MAP_NAME, steering_get_members_fd(steering));
        keep_steering(state, &state->kept_counts, STATE_COUNTS_NAME, steering_get_counts_fd(steering));
}

void state_init(State *state, StateFile *file, FdStore *store, IdSource *ids, bool resumed) {
        *state = (State){
                .marks = { .file = file }, .store = store, .ids = ids, .steering_id = id_next(ids)
        };
        TAILQ_INIT(&state->marks.touched);
        /* It is in the store before anything is saved. */
        state_file_set_ids(file, ids->epoch, ids->last);
        if (resumed)
                fd_store_resume(store, &state->kept, STATE_FILE_NAME, state_file_get_fd(file));
        else
                fd_store_put(store, &state->kept, STATE_FILE_NAME, state_file_get_fd(file));
}

void state_deinit(State *state) {
        state_buffer_deinit(&state->buffer);
        state->marks.file = state_file_free(state->marks.file);
        state->store = fd_store_free(state->store);
}
