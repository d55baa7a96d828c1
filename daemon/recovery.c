/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Endpoints first, then their members, then the leases on them; at last what follows from all of them:
 * which members nobody holds any more, and what the steering program is to know. A record that leads
 * nowhere is given up, and the socket with it: nobody could ever be given it.
 */

#include "daemon/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/hash.h"
#include "daemon/judge.h"
#include "daemon/log.h"
#include "daemon/passed.h"
#include "daemon/process.h"
#include "daemon/state-file.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/message.h"

CLEANUP_DEFINE(Message, message_free)
CLEANUP_DEFINE(Subject, subject_unref)

enum {
        /* Of what is lost, and of what is not known, so many are named. */
        TOLD_MAX = 10,
};

/* An object that was made of a record. */
typedef struct Found {
        uint64_t id;
        void *object;
        UT_hash_handle hh;
} Found;

typedef struct Recovery {
        Services *services;
        Inherited *inherited;
        StateFile *file;
        RecoveryTally *tally;
        Found *endpoints;
        Found *members;
        Found *processes;
        Found *clients; /* by pid: with whom the leases wait */
        int map; /* of the earlier broker's steering program; -1: there is none */
} Recovery;

/* ---- what was found ------------------------------------------------------------------------------- */

static int found_add(Found **table, uint64_t id, void *object) {
        Found *found = calloc(1, sizeof(*found));

        if (!found)
                return error_origin(-ENOMEM);
        found->id = id;
        found->object = object;
        HASH_ADD(hh, *table, id, sizeof(id), found);
        if (hash_add_failed(hh, found)) {
                free(found);
                return error_origin(-ENOMEM);
        }
        return 0;
}

static void *found_get(Found *table, uint64_t id) {
        Found *found;

        HASH_FIND(hh, table, &id, sizeof(id), found);
        return found ? found->object : NULL;
}

static void found_clear(Found **table) {
        Found *found, *next;

        HASH_ITER (hh, *table, found, next) {
                HASH_DEL(*table, found);
                free(found);
        }
}

/* A socket leaves the map of the earlier broker, or it could not be in this one's. */
static void take_out(const Recovery *recovery, uint64_t place) {
        if (recovery->map >= 0 && place > 0)
                steering_take_out(recovery->map, (uint32_t)(place - 1));
}

/* ---- pieces --------------------------------------------------------------------------------------- */

static int subject_of(const SavedSubject *saved, Subject **ret) {
        _cleanup_(subject_unrefp) Subject *subject = calloc(1, sizeof(*subject));

        if (!subject)
                return error_origin(-ENOMEM);
        subject->n_refs = 1;
        subject->uid = (uid_t)saved->uid;
        subject->gid = (gid_t)saved->gid;
        subject->pid = (pid_t)saved->pid;
        subject->connected_usec = saved->connected_usec;
        subject->n_groups = saved->groups.n / sizeof(gid_t);
        if (subject->n_groups > 0) {
                subject->groups = calloc(subject->n_groups, sizeof(gid_t));
                if (!subject->groups)
                        return error_origin(-ENOMEM);
                memcpy(subject->groups, saved->groups.data, subject->n_groups * sizeof(gid_t));
        }
        if ((saved->cgroup && !(subject->cgroup = strdup(saved->cgroup))) ||
            (saved->label && !(subject->label = strdup(saved->label))))
                return error_origin(-ENOMEM);
        *ret = ptr_take(subject);
        return 0;
}

/* *@ret borrows from *@ret_message. Options that cannot be read are none. */
static int options_of(const char *text, Message **ret_message, Options **ret) {
        char reason[MESSAGE_TEXT_MAX];
        Reply envelope;
        Options *options;
        int r;

        *ret = NULL;
        if (!text)
                return 0;
        r = message_parse(text, strlen(text), ret_message, reason);
        if (r == 0)
                r = message_reply(*ret_message, &envelope);
        if (r != 0)
                return r < 0 ? error_trace(r) : 0;
        options = message_allocate(*ret_message, sizeof(*options));
        if (!options)
                return error_origin(-ENOMEM);
        r = message_decode(*ret_message, &wire_options, false, options);
        if (r < 0)
                return error_trace(r);
        *ret = r == 0 ? options : NULL;
        return 0;
}

/* The object goes on where its record is. */
static void mark_resume(Recovery *recovery, StateMark *mark, const StateSlot *slot, StateBuffer *rest) {
        StateMarks *marks = &recovery->services->state.marks;

        state_mark_touch(mark, marks, (StateKind)slot->kind);
        mark->at = slot->at;
        mark->rest = *rest;
        *rest = (StateBuffer){ 0 };
}

/* The socket is the one of the record: its number, which the kernel never gives again, and its address. */
static bool socket_fits(int fd, uint64_t cookie, const Endpoint *endpoint) {
        char key[ENDPOINT_KEY_MAX];
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss), size = sizeof(uint64_t);
        Address bound = endpoint->address;
        uint64_t have;
        int type;

        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &have, &size) < 0 || have != cookie)
                return false;
        size = sizeof(type);
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            type != address_socket_type(&endpoint->address))
                return false;
        if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
            ss.ss_family != address_family(&endpoint->address))
                return false;
        address_set_sockaddr(&bound, &ss, len);
        return strcmp(endpoint_key(&bound, key), endpoint->key) == 0;
}

static void count_lost(Recovery *recovery, const char *what, uint64_t id, const char *why) {
        if (recovery->tally->n_lost++ >= TOLD_MAX)
                return;
        log_line(LOG_WARNING, "%s %" PRIu64 " of an earlier broker is lost: %s", what, id, why);
}

/* A descriptor that is not what its record says, or has none. Consumes it. */
static void count_foreign(Recovery *recovery, int fd, const char *name, const char *why) {
        if (recovery->tally->n_foreign++ < TOLD_MAX)
                log_line(LOG_WARNING,
                         "the descriptor \"%s\" that was kept for the broker is closed: %s", name, why);
        fd_store_discard(recovery->services->state.store, name);
        fd_close(fd);
}

/* Of a process, as leases depend on it. Any other would never end, or not be watched at all. */
static bool is_pidfd(int fd) {
        return syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0 || errno == ESRCH || errno == EPERM;
}

/* What was kept of a socket or a process, and fits its record. */
typedef struct Claimed {
        int fd;    /* -1: there is none */
        bool anew; /* it is to go into the store once more */
} Claimed;

/*
 * The descriptor of @id: the socket of @cookie in @endpoint or, if that is NULL, a process. All others that
 * are called so are closed; the manager then gives up every one of the name.
 */
static Claimed claim(Recovery *recovery, uint64_t id, uint64_t cookie, const Endpoint *endpoint) {
        Claimed claimed = { .fd = -1 };
        char name[STATE_NAME_MAX];
        int fd;

        while ((fd = inherited_claim(recovery->inherited, state_name(id, name))) >= 0)
                if (claimed.fd < 0 && (endpoint ? socket_fits(fd, cookie, endpoint) : is_pidfd(fd))) {
                        claimed.fd = fd;
                } else {
                        count_foreign(recovery, fd, name, "it is not what was kept under this name");
                        claimed.anew = true;
                }
        return claimed;
}

/* It goes on to be kept. */
static void keep(const Recovery *recovery, FdStoreEntry *entry, uint64_t id, int fd, bool anew) {
        FdStore *store = recovery->services->state.store;
        char name[STATE_NAME_MAX];

        /* Of a broker that still runs nothing is in there. */
        if (anew || recovery->services->takes_over)
                fd_store_put(store, entry, state_name(id, name), fd);
        else
                fd_store_resume(store, entry, state_name(id, name), fd);
}

/* ---- records -------------------------------------------------------------------------------------- */

/* The functions below return 0 when the record has become an object, 1 when it is of no use, or a
 * negative errno. */

static int make_endpoint(Recovery *recovery, const StateSlot *slot, StateBuffer *rest) {
        Services *services = recovery->services;
        _cleanup_(subject_unrefp) Subject *maker = NULL;
        _cleanup_(message_freep) Message *message = NULL;
        char key[ENDPOINT_KEY_MAX];
        SavedEndpoint saved;
        Options *options;
        Endpoint *endpoint;
        Address address;
        const char *reason;
        Tenant tenant;
        int r;

        r = state_record_decode(STATE_ENDPOINT, slot->data, slot->n, &saved, rest);
        if (r != 0)
                return r < 0 ? error_trace(r) : 1;
        if (!saved.network || !saved.address || saved.sharing >= _SHARING_N ||
            saved.steering >= _STEERING_N || found_get(recovery->endpoints, slot->id))
                return 1;
        if (address_parse(saved.network, saved.address, &services->families, &address, &reason) != 0) {
                log_line(LOG_WARNING, "%s %s of an earlier broker cannot be had: %s", saved.network,
                         saved.address, reason);
                return 1;
        }
        if (endpoint_find(&services->endpoints, endpoint_key(&address, key)))
                return 1;
        tenant = tenant_of(saved.tenant_name, (uid_t)saved.tenant_uid);
        r = subject_of(&saved.maker, &maker);
        if (r == 0)
                r = options_of(saved.options, &message, &options);
        if (r == 0)
                r = endpoint_new(&services->endpoints, &address, saved.name, (Sharing)saved.sharing,
                                 options, saved.retain_usec, &tenant, maker, &endpoint);
        if (r < 0)
                return error_trace(r);
        endpoint->id = slot->id;
        endpoint->group.mode = (SteeringMode)saved.steering;
        endpoint->file.device = saved.file_device;
        endpoint->file.inode = saved.file_inode;
        endpoint->passed = saved.passed;
        endpoint->group.sentinel.id = saved.sentinel;
        endpoint->group.sentinel.cookie = saved.sentinel_cookie;
        take_out(recovery, saved.sentinel_place);
        mark_resume(recovery, &endpoint->saved, slot, rest);
        recovery->tally->n_endpoints++;
        return error_trace(found_add(&recovery->endpoints, slot->id, endpoint));
}

/* Who paid for the descriptor goes on to. */
static int charge_member(Recovery *recovery, Member *member, uid_t payer) {
        User *user;
        int r = accounts_user(&recovery->services->accounts, payer, &user);

        if (r < 0)
                return error_trace(r);
        user_charge_anyway(user, RESOURCE_DESCRIPTORS, 1, &member->charge);
        user_unref(user);
        return 0;
}

/* Consumes the descriptor. */
static int make_member_of(Recovery *recovery, const StateSlot *slot, const SavedMember *saved,
                          Endpoint *endpoint, Claimed claimed, StateBuffer *rest) {
        _cleanup_(subject_unrefp) Subject *holder = NULL;
        Member *member;
        int r = 0;

        if (saved->has_holder)
                r = subject_of(&saved->last_holder, &holder);
        if (r < 0) {
                fd_close(claimed.fd);
                return error_trace(r);
        }
        r = endpoint_add_member(endpoint, claimed.fd, &member);
        if (r < 0)
                return error_trace(r);
        member->id = slot->id;
        member->orphan = (MemberOrphan)saved->orphan;
        member->retain_until_usec = saved->retain_until_usec;
        member->parked_usec = saved->parked_usec;
        if (!endpoint->passed)
                keep(recovery, &member->kept, member->id, member->fd, claimed.anew);
        mark_resume(recovery, &member->saved, slot, rest);
        r = member_resume(member, (MemberState)saved->state, (uint32_t)saved->weight);
        if (r == 0)
                r = charge_member(recovery, member, (uid_t)saved->payer);
        if (holder)
                member_set_holder(member, holder);
        recovery->tally->n_members++;
        if (r == 0)
                r = found_add(&recovery->members, slot->id, member);
        return error_trace(r);
}

static int make_member(Recovery *recovery, const StateSlot *slot, StateBuffer *rest) {
        char name[STATE_NAME_MAX];
        SavedMember saved;
        Endpoint *endpoint;
        Claimed claimed;
        int r;

        r = state_record_decode(STATE_MEMBER, slot->data, slot->n, &saved, rest);
        if (r != 0)
                return r < 0 ? error_trace(r) : 1;
        take_out(recovery, saved.place);
        endpoint = found_get(recovery->endpoints, saved.endpoint);
        if (!endpoint || saved.state >= _MEMBER_STATE_N || saved.orphan > MEMBER_ORPHAN_DEPARTING ||
            saved.weight > STEERING_WEIGHT_MAX) {
                count_lost(recovery, "socket", slot->id, endpoint ? "its record is damaged" :
                                                                    "its endpoint is");
                return 1;
        }
        if (endpoint->passed)
                claimed = (Claimed){ .fd = passed_claim(recovery->inherited, saved.cookie) };
        else
                claimed = claim(recovery, slot->id, saved.cookie, endpoint);
        if (claimed.fd < 0) {
                count_lost(recovery, "socket", slot->id,
                           claimed.anew ? "another is in its place" : "it was not kept");
                return 1;
        }
        /* Released, and kept for the moment that its last handshake took: what waits goes to the others.
         */
        if (saved.departs && saved.orphan == MEMBER_ORPHAN_NOT) {
                if (endpoint->address.transport != TRANSPORT_UDP)
                        shutdown(claimed.fd, SHUT_RDWR);
                fd_store_discard(recovery->services->state.store, state_name(slot->id, name));
                fd_close(claimed.fd);
                return 1;
        }
        return make_member_of(recovery, slot, &saved, endpoint, claimed, rest);
}

/* A process that leases depend on, by the descriptor that was kept of it. *@ret is borrowed; NULL: it
 * cannot be had. */
static int find_process(Recovery *recovery, uint64_t id, Process **ret) {
        Claimed claimed;
        int r;

        *ret = found_get(recovery->processes, id);
        if (*ret)
                return 0;
        claimed = claim(recovery, id, 0, NULL);
        if (claimed.fd < 0)
                return 0;
        r = process_new(recovery->services->event, claimed.fd, ret);
        if (r < 0)
                return error_trace(r);
        (*ret)->id = id;
        keep(recovery, &(*ret)->kept, id, (*ret)->pidfd, claimed.anew);
        r = found_add(&recovery->processes, id, *ret);
        if (r < 0)
                *ret = process_unref(*ret);
        return error_trace(r);
}

/* With whom leases of the connection wait: one for each process. *@ret is borrowed; NULL: it has gone, and
 * nobody is left who could come back. */
static int find_client(Recovery *recovery, const SavedSubject *subject, LeaseOwner **ret) {
        *ret = found_get(recovery->clients, subject->pid);
        if (*ret)
                return 0;
        *ret = grace_expect(&recovery->services->grace, (pid_t)subject->pid);
        return *ret ? error_trace(found_add(&recovery->clients, subject->pid, *ret)) : 0;
}

static int make_lease_of(Recovery *recovery, const StateSlot *slot, const SavedLease *saved,
                         Member *member, Process *process, LeaseOwner *client,
                         StateBuffer *rest) {
        Services *services = recovery->services;
        _cleanup_(subject_unrefp) Subject *subject = NULL;
        Lease *lease;
        User *user;
        int r;

        r = subject_of(&saved->subject, &subject);
        if (r == 0)
                r = accounts_user(&services->accounts, subject->uid, &user);
        if (r < 0)
                return error_trace(r);
        r = lease_new(&services->leases, member,
                      &(LeaseTerms){ .subject = subject,
                                     .user = user,
                                     .connection = client,
                                     .process = process,
                                     .id = slot->id,
                                     .since_usec = saved->since_usec,
                                     .rule_name = saved->rule },
                      &lease);
        user_unref(user);
        if (r < 0)
                return error_trace(r);
        mark_resume(recovery, &lease->saved, slot, rest);
        recovery->tally->n_leases++;
        return 0;
}

static int make_lease(Recovery *recovery, const StateSlot *slot, StateBuffer *rest) {
        Process *process = NULL;
        LeaseOwner *client = NULL;
        SavedLease saved;
        Member *member;
        int r;

        r = state_record_decode(STATE_LEASE, slot->data, slot->n, &saved, rest);
        if (r != 0)
                return r < 0 ? error_trace(r) : 1;
        member = found_get(recovery->members, saved.member);
        if (!member) {
                count_lost(recovery, "lease", slot->id, "its socket is");
                return 1;
        }
        if (saved.process > 0)
                r = find_process(recovery, saved.process, &process);
        else
                r = find_client(recovery, &saved.subject, &client);
        if (r < 0)
                return error_trace(r);
        /* Without the descriptor of its process it would never end. */
        if (!process && !client) {
                count_lost(recovery, "lease", slot->id, "its holder has gone");
                return 1;
        }
        return make_lease_of(recovery, slot, &saved, member, process, client, rest);
}

/* ---- all of them ---------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b) {
        const StateSlot *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

/* All records of a kind, in the order in which the objects came to be. Returns 0 or -ENOMEM. */
static int gather(const StateFile *file, StateKind kind, StateSlot **ret, size_t *ret_n) {
        StateSlot *slots = NULL, slot = { 0 };
        size_t n = 0, size = 0;

        while (state_file_next(file, &slot)) {
                if (slot.kind != (uint32_t)kind)
                        continue;
                if (n == size) {
                        size = size * 2 ?: 64;
                        StateSlot *more = reallocarray(slots, size, sizeof(*slots));

                        if (!more) {
                                free(slots);
                                return error_origin(-ENOMEM);
                        }
                        slots = more;
                }
                slots[n++] = slot;
        }
        if (n > 0)
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
        return id > 0 ? claim(recovery, id, cookie, endpoint) : (Claimed){ .fd = -1 };
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
                keep(recovery, &sentinel->kept, id, sentinel->alarm.fd, claimed.anew);
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
                        count_foreign(recovery, fd_take(&item->fd), item->name, "no record knows it");
        }
}

static void tell(const RecoveryTally *tally) {
        if (!tally->found && tally->n_foreign == 0)
                return;
        log_line(LOG_NOTICE,
                 "of an earlier broker: %zu endpoints, %zu sockets and %zu leases are back; %zu lost, %zu "
                 "descriptors not known",
                 tally->n_endpoints, tally->n_members, tally->n_leases, tally->n_lost,
                 tally->n_foreign);
}

static int make_objects(Recovery *recovery) {
        int r;

        r = make_all(recovery, STATE_ENDPOINT, make_endpoint);
        if (r == 0)
                r = make_all(recovery, STATE_MEMBER, make_member);
        if (r == 0)
                r = make_all(recovery, STATE_LEASE, make_lease);
        return error_trace(r);
}

int recovery_run(Services *services, Inherited *inherited) {
        Recovery recovery = { .services = services,
                              .inherited = inherited,
                              .file = services->state.marks.file,
                              .tally = &services->recovered,
                              .map = inherited_claim(inherited, STATE_MAP_NAME) };
        Found *found, *next;
        int r;

        r = make_objects(&recovery);
        if (r == 0) {
                settle(&recovery);
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
        /* Of which nothing is left. */
        if (recovery.map >= 0)
                fd_store_discard(services->state.store, STATE_MAP_NAME);
        fd_close(recovery.map);
        if (services->steering)
                state_keep_map(&services->state, steering_get_members_fd(services->steering));
        state_settle(&services->state);
        return error_trace(r);
}

/* ---- the state ------------------------------------------------------------------------------------ */

static int open_file(Services *services, FdStore *store, Inherited *inherited, StateFile **ret) {
        int fd = inherited_claim(inherited, STATE_FILE_NAME), r;
        const char *reason;

        if (fd >= 0) {
                r = state_file_open(fd, ret, &reason);
                if (r <= 0) {
                        services->recovered.found = r == 0;
                        return error_trace(r);
                }
                log_line(LOG_ERR, "the state of an earlier broker cannot be read: %s", reason);
                fd_store_discard(store, STATE_FILE_NAME);
                services->recovered.n_foreign++;
        }
        return error_trace(state_file_new(ret));
}

int recovery_open_state(Services *services, Inherited *inherited) {
        FdStore *store;
        StateFile *file;
        int r;

        r = fd_store_new(services->event, &services->endpoints.timers_changed, &store);
        if (r < 0) {
                log_fault(LOG_ERR, "cannot use the service manager's store of descriptors");
                store = NULL;
        }
        r = open_file(services, store, inherited, &file);
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
        state_init(&services->state, file, store, &services->ids,
                   services->recovered.found && !services->takes_over);
        return 0;
}
