/* SPDX-License-Identifier: BSD-2-Clause */

/* A record that leads nowhere is given up, and the socket with it: nobody could ever be given it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/group-resume.h"
#include "daemon/log.h"
#include "daemon/passed.h"
#include "daemon/process.h"
#include "daemon/recovery-private.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/message.h"

CLEANUP_DEFINE(Message, message_free)
CLEANUP_DEFINE(Subject, subject_unref)

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

void found_clear(Found **table) {
        Found *found = *table, *next;

        HASH_CLEAR(hh, *table);
        for (; found; found = next) {
                next = found->hh.next;
                free(found);
        }
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
        if (saved->rest.n > 0) {
                subject->rest = malloc(saved->rest.n);
                if (!subject->rest)
                        return error_origin(-ENOMEM);
                subject->n_rest = saved->rest.n;
                memcpy(subject->rest, saved->rest.data, saved->rest.n);
        }
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

/* Where an endpoint was. Returns 0 with *@ret NULL of the broker's own, 1 if it does not make sense, or
 * -ENOMEM. */
static int namespace_of(Recovery *recovery, const char *saved, Namespace **ret) {
        char path[NAMESPACE_PATH_MAX], *end = NULL;
        uint64_t cookie;

        *ret = NULL;
        if (!saved)
                return 0;
        cookie = strtoull(saved, &end, 10);
        if (cookie == 0 || end[0] != ' ' || namespace_path_parse(end + 1, path))
                return 1;
        return error_trace(namespace_resume(&recovery->services->namespaces, cookie, path, ret));
}

/* ---- records -------------------------------------------------------------------------------------- */

int recovery_make_endpoint(Recovery *recovery, const StateSlot *slot, StateBuffer *rest) {
        Services *services = recovery->services;
        _cleanup_(subject_unrefp) Subject *maker = NULL;
        _cleanup_(message_freep) Message *message = NULL;
        char key[ENDPOINT_KEY_MAX];
        SavedEndpoint saved;
        Options *options;
        Namespace *network_namespace;
        const AddressFamilies *families;
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
        r = namespace_of(recovery, saved.network_namespace, &network_namespace);
        if (r != 0)
                return r < 0 ? error_trace(r) : 1;
        families = network_namespace ? &network_namespace->families : &services->families;
        if (address_parse(saved.network, saved.address, families, &address, &reason) != 0) {
                log_line(LOG_WARNING, "%s %s of an earlier broker cannot be had: %s", saved.network,
                         saved.address, reason);
                return 1;
        }
        if (endpoint_find(&services->endpoints, endpoint_key_in(network_namespace, &address, key)))
                return 1;
        tenant = tenant_of(saved.tenant_name, (uid_t)saved.tenant_uid);
        r = subject_of(&saved.maker, &maker);
        if (r == 0)
                r = options_of(saved.options, &message, &options);
        if (r == 0)
                r = endpoint_new_in(&services->endpoints, network_namespace, &address, saved.name,
                                    (Sharing)saved.sharing, options, saved.retain_usec, &tenant, maker,
                                    &endpoint);
        if (r != 0)
                return error_trace(r);
        endpoint->id = slot->id;
        endpoint->group.mode = (SteeringMode)saved.steering;
        endpoint->file.device = saved.file_device;
        endpoint->file.inode = saved.file_inode;
        endpoint->passed = saved.passed;
        endpoint->group.sentinel.id = saved.sentinel;
        endpoint->group.sentinel.cookie = saved.sentinel_cookie;
        recovery_steering_release(recovery, saved.sentinel_place);
        mark_resume(recovery, &endpoint->saved, slot, rest);
        group_set_survivors(endpoint, saved.survivors);
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
        member->flows_before = recovery_steering_count(recovery, saved);
        if (!endpoint->passed)
                recovery_keep(recovery, &member->kept, member->id, member->fd, claimed.anew);
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

int recovery_make_member(Recovery *recovery, const StateSlot *slot, StateBuffer *rest) {
        char name[STATE_NAME_MAX];
        SavedMember saved;
        Endpoint *endpoint;
        Claimed claimed;
        int r;

        r = state_record_decode(STATE_MEMBER, slot->data, slot->n, &saved, rest);
        if (r != 0)
                return r < 0 ? error_trace(r) : 1;
        recovery_steering_release(recovery, saved.place);
        endpoint = found_get(recovery->endpoints, saved.endpoint);
        if (!endpoint || saved.state >= _MEMBER_STATE_N || saved.orphan > MEMBER_ORPHAN_DEPARTING ||
            saved.weight > STEERING_WEIGHT_MAX) {
                recovery_count_lost(recovery, "socket", slot->id,
                                    endpoint ? "its record is damaged" : "its endpoint is");
                return 1;
        }
        if (endpoint->passed)
                claimed = (Claimed){ .fd = passed_claim(recovery->inherited, saved.cookie) };
        else
                claimed = recovery_claim(recovery, slot->id, saved.cookie, endpoint);
        if (claimed.fd < 0) {
                recovery_count_lost(recovery, "socket", slot->id,
                                    claimed.anew ? "another is in its place" : "it was not kept");
                /* Its holder may serve on with it. */
                group_set_survivors(endpoint, endpoint->sharing == SHARING_GROUP &&
                                                      group_can_be_steered(&endpoint->address));
                return 1;
        }
        /* Released, and kept for the moment that its last handshake took: what waits goes to
         * the others. */
        if (saved.departs && saved.orphan == MEMBER_ORPHAN_NOT) {
                if (!address_has_packets(&endpoint->address))
                        shutdown(claimed.fd, SHUT_RDWR);
                fd_store_discard(recovery->services->state.store, state_name(slot->id, name));
                fd_close(claimed.fd);
                return 1;
        }
        return make_member_of(recovery, slot, &saved, endpoint, claimed, rest);
}

/* What leases depend on, a process or a pipe, by the descriptor that was kept of it. *@ret is borrowed;
 * NULL: it cannot be had. */
static int find_process(Recovery *recovery, uint64_t id, uint64_t lifeline, Process **ret) {
        Claimed claimed;
        int r;

        *ret = found_get(recovery->processes, id);
        if (*ret)
                return 0;
        claimed = recovery_claim(recovery, id, lifeline, NULL);
        if (claimed.fd < 0)
                return 0;
        r = process_new_lifeline(recovery->services->event, claimed.fd, lifeline, ret);
        if (r < 0)
                return error_trace(r);
        (*ret)->id = id;
        recovery_keep(recovery, &(*ret)->kept, id, (*ret)->fd, claimed.anew);
        /* Should that fail, the broker ends; what is kept of the process is for the next one. */
        r = found_add(&recovery->processes, id, *ret);
        return error_trace(r);
}

/* With whom leases of the connection wait: one for each process. *@ret is borrowed; NULL: it has gone,
 * and nobody is left who could come back. */
static int find_client(Recovery *recovery, const SavedSubject *subject, LeaseOwner **ret) {
        *ret = found_get(recovery->clients, subject->pid);
        if (*ret)
                return 0;
        *ret = grace_expect(&recovery->services->grace, (pid_t)subject->pid);
        return *ret ? error_trace(found_add(&recovery->clients, subject->pid, *ret)) : 0;
}

static int make_lease_of(Recovery *recovery, const StateSlot *slot, const SavedLease *saved,
                         Member *member, Process *process, LeaseOwner *client, StateBuffer *rest) {
        Services *services = recovery->services;
        _cleanup_(subject_unrefp) Subject *subject = NULL;
        Lease *lease;
        User *user;
        int r;

        r = subject_of(&saved->subject, &subject);
        if (r == 0)
                r = accounts_user(&services->accounts, subject->uid, &user);
        if (r != 0)
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
        if (r == 0 && process && !process->charge.user)
                user_charge_anyway(user, RESOURCE_DESCRIPTORS, 1, &process->charge);
        user_unref(user);
        if (r < 0)
                return error_trace(r);
        mark_resume(recovery, &lease->saved, slot, rest);
        recovery->tally->n_leases++;
        return 0;
}

int recovery_make_lease(Recovery *recovery, const StateSlot *slot, StateBuffer *rest) {
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
                recovery_count_lost(recovery, "lease", slot->id, "its socket is");
                return 1;
        }
        if (saved.process > 0)
                r = find_process(recovery, saved.process, saved.lifeline, &process);
        else
                r = find_client(recovery, &saved.subject, &client);
        if (r < 0)
                return error_trace(r);
        /* Without the descriptor of its process it would never end. */
        if (!process && !client) {
                recovery_count_lost(recovery, "lease", slot->id, "its holder has gone");
                return 1;
        }
        return make_lease_of(recovery, slot, &saved, member, process, client, rest);
}
