/* SPDX-License-Identifier: BSD-2-Clause */

/* A lease ties a client to a member; every list it is in is left in one place, lease_end(). */

#include "daemon/lease.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/clock.h"
#include "daemon/process.h"
#include "daemon/rule.h"
#include "proto/error.h"

static int lease_charge_anyway(Lease *lease, const LeaseTerms *terms) {
        user_charge_anyway(terms->user, RESOURCE_LEASES, 1, &lease->charge);
        return terms->rule_name ? error_trace(user_charge_rule(terms->user, terms->rule_name, 0,
                                                               &lease->rule_charge))
                                : 0;
}

static int lease_charge(Lease *lease, const LeaseTerms *terms) {
        int r;

        if (terms->id > 0)
                return error_trace(lease_charge_anyway(lease, terms));
        r = user_charge(terms->user, RESOURCE_LEASES, 1, &lease->charge);

        if (r != 0 || !terms->rule)
                return r;
        r = user_charge_rule(terms->user, rule_name(terms->rule), rule_max_leases(terms->rule),
                             &lease->rule_charge);
        return r > 0 ? LEASE_E_RULE : error_trace(r);
}

static void lease_discharge(Lease *lease) {
        rule_charge_deinit(&lease->rule_charge);
        charge_deinit(&lease->charge);
}

/* ---- by process --------------------------------------------------------------------------------- */

static uint64_t client_key(const Subject *subject) {
        return (uint64_t)subject->uid << 32 | (uint32_t)subject->pid;
}

static LeaseClient *client_find(const LeaseRegistry *registry, const Subject *subject) {
        uint64_t key = client_key(subject);
        LeaseClient *client;

        /* Another namespace's process has no number here. */
        if (subject->pid <= 0)
                return NULL;
        HASH_FIND(hh, registry->clients, &key, sizeof(key), client);
        return client;
}

/* Returns 0 or -ENOMEM; the lease is in no list then. */
static int lease_enter_client(Lease *lease) {
        LeaseRegistry *registry = lease->registry;
        LeaseClient *client = client_find(registry, lease->subject);

        if (!client && lease->subject->pid > 0) {
                client = calloc(1, sizeof(*client));
                if (!client)
                        return error_origin(-ENOMEM);
                client->key = client_key(lease->subject);
                LIST_INIT(&client->leases);
                HASH_ADD(hh, registry->clients, key, sizeof(client->key), client);
                if (hash_add_failed(hh, client)) {
                        free(client);
                        return error_origin(-ENOMEM);
                }
        }
        lease->client = client;
        if (client)
                LIST_INSERT_HEAD(&client->leases, lease, by_client);
        return 0;
}

static void lease_leave_client(Lease *lease) {
        LeaseClient *client = lease->client;

        if (!client)
                return;
        LIST_REMOVE(lease, by_client);
        lease->client = NULL;
        if (!LIST_EMPTY(&client->leases))
                return;
        HASH_DEL(lease->registry->clients, client);
        free(client);
}

const LeaseClient *lease_client_find(const LeaseRegistry *registry, const Subject *subject) {
        return client_find(registry, subject);
}

/* ---- beginning and end -------------------------------------------------------------------------- */

int lease_new(LeaseRegistry *registry, Member *member, const LeaseTerms *terms, Lease **ret) {
        LeaseOwner *owner = terms->process ? &terms->process->owner : terms->connection;
        Lease *lease;
        int r;

        lease = calloc(1, sizeof(*lease));
        if (!lease)
                return error_origin(-ENOMEM);
        r = lease_charge(lease, terms);
        if (r != 0) {
                lease_discharge(lease);
                free(lease);
                return r < 0 ? error_trace(r) : r;
        }
        lease->id = terms->id > 0 ? terms->id : id_next(member->endpoint->registry->ids);
        HASH_ADD(hh, registry->by_id, id, sizeof(lease->id), lease);
        if (hash_add_failed(hh, lease)) {
                lease_discharge(lease);
                free(lease);
                return error_origin(-ENOMEM);
        }
        lease->registry = registry;
        lease->subject = terms->subject;
        r = lease_enter_client(lease);
        if (r < 0) {
                HASH_DEL(registry->by_id, lease);
                lease_discharge(lease);
                free(lease);
                return error_trace(r);
        }
        lease->since_usec = terms->id > 0 ? terms->since_usec : clock_usec(CLOCK_REALTIME);
        lease->member = member;
        subject_ref(lease->subject);
        if (terms->process)
                lease->process = process_ref(terms->process);
        LIST_INSERT_HEAD(&member->leases, lease, by_member);
        lease->owner = owner;
        LIST_INSERT_HEAD(&owner->leases, lease, by_owner);
        state_mark_touch(&lease->saved, member->endpoint->registry->marks, STATE_LEASE);
        *ret = lease;
        return 0;
}

/* Tells of @event, which is about the lease. */
static void lease_emit(const Lease *lease, Event event) {
        event.endpoint = lease->member->endpoint;
        event.member = lease->member;
        event.lease = lease;
        event.subject = lease->subject;
        event.rule = rule_charge_rule(&lease->rule_charge);
        event_hub_emit(event.endpoint->registry->hub, &event);
}

/* What another left is paid for by whoever has it now; who cannot pay has it at the cost of
 * the other. */
static void lease_pay_member(const Lease *lease) {
        Member *member = lease->member;
        Charge charge;

        if (member->charge.user == lease->charge.user ||
            user_charge(lease->charge.user, RESOURCE_DESCRIPTORS, 1, &charge) != 0)
                return;
        charge_deinit(&member->charge);
        member->charge = charge;
}

void lease_commit(Lease *lease, bool adopted) {
        if (adopted)
                lease_pay_member(lease);
        member_commit(lease->member, lease->subject);
        lease_emit(lease, (Event){ .what = adopted ? "adopted" : "acquired" });
}

void lease_end(Lease *lease, MemberLeave how, const char *reason) {
        Member *member = lease->member;

        if (how != MEMBER_LEAVE_UNDONE) {
                lease_emit(lease, (Event){ .what = "released",
                                           .reason = reason,
                                           .revoked = how == MEMBER_LEAVE_REVOKED });
                member_set_holder(member, lease->subject);
        }
        state_mark_end(&lease->saved);
        HASH_DEL(lease->registry->by_id, lease);
        lease_leave_client(lease);
        LIST_REMOVE(lease, by_owner);
        LIST_REMOVE(lease, by_member);
        lease_discharge(lease);
        subject_unref(lease->subject);
        process_unref(lease->process);
        free(lease);
        if (LIST_EMPTY(&member->leases))
                member_leave(member, how, reason);
}

void lease_move(Lease *lease, LeaseOwner *connection, Process *process, Subject *subject) {
        subject_ref(subject);
        lease_leave_client(lease);
        subject_unref(lease->subject);
        lease->subject = subject;
        /* Without memory it is not found by its process. */
        (void)error_fold(lease_enter_client(lease));
        lease->process = process ? process_ref(process) : NULL;
        LIST_REMOVE(lease, by_owner);
        lease->owner = process ? &process->owner : connection;
        LIST_INSERT_HEAD(&lease->owner->leases, lease, by_owner);
        state_mark_touch(&lease->saved, lease->member->endpoint->registry->marks, STATE_LEASE);
}

void lease_owner_end(LeaseOwner *owner, MemberLeave how, const char *reason) {
        while (!LIST_EMPTY(&owner->leases))
                lease_end(LIST_FIRST(&owner->leases), how, reason);
}

bool lease_owner_end_some(LeaseOwner *owner, MemberLeave how, const char *reason, uint64_t usec) {
        uint64_t begin = clock_usec(CLOCK_MONOTONIC);

        while (!LIST_EMPTY(&owner->leases)) {
                lease_end(LIST_FIRST(&owner->leases), how, reason);
                if (clock_usec(CLOCK_MONOTONIC) - begin >= usec)
                        break;
        }
        return LIST_EMPTY(&owner->leases);
}

void lease_registry_deinit(LeaseRegistry *registry, const char *reason) {
        Lease *lease, *next;

        HASH_ITER (hh, registry->by_id, lease, next)
                lease_end(lease, MEMBER_LEAVE_REVOKED, reason);
}

size_t lease_registry_count(const LeaseRegistry *registry) {
        return HASH_COUNT(registry->by_id);
}

Lease *lease_find(const LeaseRegistry *registry, const IdSource *ids, const char *text) {
        uint64_t id = id_parse(ids, 'l', text);
        Lease *lease;

        HASH_FIND(hh, registry->by_id, &id, sizeof(id), lease);
        return lease;
}

Lifetime lease_lifetime(const Lease *lease) {
        if (!lease->process)
                return LIFETIME_CONNECTION;
        return lease->process->lifeline > 0 ? LIFETIME_DESCRIPTOR : LIFETIME_PROCESS;
}
