/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* For the random walk: what should be there after each step, by rules that fit on a page or two. */

#include "tests/unit/group-kit.h"

enum {
        COUNT_FDS_EVERY = 16, /* steps: it takes longer than all else */
        SLOTS = 8,            /* addresses */
        CONNECTIONS = 4,
        PROCESSES = 3,
        USERS = 2,
        FIRST_UID = 1000,
        LEASES_MAX = 48,
        MEMBERS_MAX = 256,
};

/* A lease that should be there. In order of age. */
typedef struct Held {
        uint64_t id;
        uint64_t member;
        int slot;
        int connection; /* -1: it ends with a process */
        int process;
        int user;
} Held;

/* A member that should be there; about to be closed, it may be gone at any time. */
typedef struct Model {
        uint64_t id;
        MemberState state;
        bool departs;
        bool orphan;
        bool drains; /* it is not yet told that it is drained */
        uint32_t weight;
        uid_t holder; /* the last; 0: nobody yet */
} Model;

typedef struct Slot {
        const char *network;
        Sharing sharing;
        uint64_t retain_usec;
        Endpoint *endpoint; /* NULL: nobody has the address */
        Model models[MEMBERS_MAX];
        size_t n;
} Slot;

typedef struct Walk {
        Kit kit;
        bool steered;
        bool no_fds; /* the kernel refuses every new descriptor */
        Subject *subjects[USERS];
        User *users[USERS];
        LeaseOwner connections[CONNECTIONS];
        Process *processes[PROCESSES];
        int exits[PROCESSES]; /* what stands for a pidfd */
        Slot slots[SLOTS];
        Held held[LEASES_MAX];
        size_t n_held;
        int n_fds;
        /* What the watcher should have heard, and has; without "drained". */
        size_t expected_events, events;
        /* How often which way was taken: the walk is to go everywhere. */
        size_t n_undone, n_refused, n_parked, n_adopted, n_readopted, n_relieved, n_drained,
                n_retain_over, n_flows;
} Walk;

static Walk walk;

static Model *find_model(Slot *slot, uint64_t id) {
        for (size_t i = 0; i < slot->n; i++)
                if (slot->models[i].id == id)
                        return &slot->models[i];
        return NULL;
}

static bool is_steered(const Slot *slot) {
        return walk.steered && slot->sharing == SHARING_GROUP;
}

static bool is_tcp(const Slot *slot) {
        return strcmp(slot->network, "tcp4") == 0;
}

static size_t count_held(int slot, uint64_t member, int user) {
        size_t n = 0;

        for (size_t i = 0; i < walk.n_held; i++)
                n += (slot < 0 || walk.held[i].slot == slot) &&
                     (member == 0 || walk.held[i].member == member) &&
                     (user < 0 || walk.held[i].user == user);
        return n;
}

static size_t count_members(const Slot *slot) {
        size_t n = 0;

        for (size_t i = 0; i < slot->n; i++)
                n += !slot->models[i].departs;
        return n;
}

static bool has_live(const Slot *slot, const Model *but) {
        for (size_t i = 0; i < slot->n; i++)
                if (&slot->models[i] != but && !slot->models[i].departs &&
                    slot->models[i].state == MEMBER_LIVE)
                        return true;
        return false;
}

static Model *model_new(Slot *slot, const Member *member, bool standby) {
        Model *model = &slot->models[slot->n++];

        cr_assert(le(sz, slot->n, MEMBERS_MAX));
        *model = (Model){ .id = member->id,
                          .state = standby ? MEMBER_STANDBY : MEMBER_LIVE,
                          .weight = MEMBER_WEIGHT_DEFAULT };
        return model;
}

static void model_close_endpoint(Slot *slot) {
        slot->n = 0;
        slot->endpoint = NULL;
}

/* Off the list and about to be closed; at once where nothing is steered. */
static void model_depart(Slot *slot, Model *model) {
        model->departs = true;
        model->state = MEMBER_DRAINING;
        model->drains = false;
        if (!is_steered(slot))
                *model = slot->models[--slot->n];
}

/* What is parked goes to who is live, where the kernel moves it. */
static void model_relieve(Slot *slot) {
        if (!is_steered(slot) || !is_tcp(slot))
                return;
        for (size_t i = 0; i < slot->n; i++)
                if (slot->models[i].state == MEMBER_PARKED) {
                        model_depart(slot, &slot->models[i]);
                        walk.n_relieved++;
                }
}

/* The last lease of a member is lost or released. */
static void model_leave(Slot *slot, Model *model, MemberLeave how) {
        bool keep = how == MEMBER_LEAVE_LOST && slot->retain_usec > 0;

        if (keep && model->state != MEMBER_STANDBY &&
            (!has_live(slot, model) || (is_steered(slot) && !is_tcp(slot)))) {
                model->state = MEMBER_PARKED;
                model->orphan = true;
                model->drains = false;
                walk.expected_events++;
                walk.n_parked++;
        } else if (count_members(slot) == 1) {
                walk.expected_events++; /* closed */
                model_close_endpoint(slot);
        } else {
                model->orphan = keep;
                model_depart(slot, model);
        }
}

/* Crosses a lease out, and what depends on it. */
static void model_end(size_t index, MemberLeave how) {
        Held ended = walk.held[index];
        Slot *slot = &walk.slots[ended.slot];
        Model *model = find_model(slot, ended.member);

        memmove(&walk.held[index], &walk.held[index + 1], (walk.n_held - index - 1) * sizeof(Held));
        walk.n_held--;
        walk.expected_events++; /* released */
        model->holder = (uid_t)(FIRST_UID + ended.user);
        if (count_held(ended.slot, ended.member, -1) == 0)
                model_leave(slot, model, how);
}

/* Everything of an owner, the newest first, as lease_owner_end() does. */
static void model_owner_end(int connection, int process) {
        for (size_t i = walk.n_held; i > 0; i--)
                if (walk.held[i - 1].connection == connection && walk.held[i - 1].process == process)
                        model_end(i - 1, MEMBER_LEAVE_LOST);
}

/* Who was about to be closed may be so by now. */
static void model_catch_up(Slot *slot) {
        for (size_t i = slot->n; i > 0; i--) {
                const Member *member = NULL;

                if (!slot->models[i - 1].departs)
                        continue;
                TAILQ_FOREACH (member, &slot->endpoint->departing, entry)
                        if (member->id == slot->models[i - 1].id)
                                break;
                if (!member)
                        slot->models[i - 1] = slot->models[--slot->n];
        }
}

/* ---- what is there ------------------------------------------------------------------------------ */

static void check_member(const Member *member, const Model *model, int i) {
        const Lease *lease;
        size_t n = 0;

        cr_assert(ne(ptr, (void *)model, NULL));
        LIST_FOREACH (lease, &member->leases, by_member)
                n++;
        cr_assert(eq(sz, n, count_held(i, member->id, -1)));
        cr_assert(eq(int, member->state, model->state));
        cr_assert(eq(int, member->departure.waiting, model->departs));
        cr_assert(eq(int, member->drain.waiting, model->drains));
        cr_assert(eq(int, member->orphan != MEMBER_ORPHAN_NOT, model->orphan));
        cr_assert(eq(int, member->retain_timer != NULL, model->state == MEMBER_PARKED));
        cr_assert(eq(int, n == 0, model->departs || model->state == MEMBER_PARKED));
        if (n > 0)
                cr_assert(eq(u32, member->weight, model->weight));
        else if (model->orphan)
                cr_assert(eq(u32, member->last_holder->uid, model->holder));
}

/* Orphans come first, and all that should be there are. Returns how many there are. */
static size_t check_list(const struct MemberList *list, Slot *slot, bool departing) {
        const Member *member;
        bool orphans = true;
        size_t n = 0;

        TAILQ_FOREACH (member, list, entry) {
                const Model *model = find_model(slot, member->id);

                check_member(member, model, (int)(slot - walk.slots));
                cr_assert(eq(int, model->departs, departing));
                cr_assert(orphans || !model->orphan);
                orphans = model->orphan;
                n++;
        }
        return n;
}

/* Returns how many descriptors it has. */
static size_t check_slot(Slot *slot) {
        const Endpoint *endpoint = slot->endpoint;
        size_t n, n_departing;

        model_catch_up(slot);
        n = check_list(&endpoint->members, slot, false);
        n_departing = check_list(&endpoint->departing, slot, true);
        cr_assert(eq(sz, n, endpoint->n_members));
        cr_assert(eq(sz, n, count_members(slot)));
        cr_assert(eq(sz, n + n_departing, slot->n));
        cr_assert(ge(sz, n, 1));
        if (slot->sharing != SHARING_GROUP)
                cr_assert(eq(sz, slot->n, 1));
        if (slot->sharing == SHARING_EXCLUSIVE)
                cr_assert(le(sz, count_held((int)(slot - walk.slots), 0, -1), 1));
        return slot->n + sentinel_is_open(&endpoint->group.sentinel);
}

static void check(int step) {
        size_t n_endpoints = 0, n_fds = 0;

        for (int i = 0; i < SLOTS; i++)
                if (walk.slots[i].endpoint) {
                        n_endpoints++;
                        n_fds += check_slot(&walk.slots[i]);
                }
        cr_assert(eq(sz, endpoint_registry_count(&walk.kit.services.endpoints), n_endpoints));
        cr_assert(eq(sz, lease_registry_count(&walk.kit.services.leases), walk.n_held));
        cr_assert(eq(sz, walk.kit.services.accounts.used[RESOURCE_LEASES], walk.n_held));
        for (int i = 0; i < USERS; i++)
                cr_assert(eq(sz, walk.users[i]->used[RESOURCE_LEASES], count_held(-1, 0, i)));
        cr_assert(eq(sz, walk.events, walk.expected_events));
        if (step % COUNT_FDS_EVERY == 0)
                cr_assert(eq(int, leaks_count_fds(), walk.n_fds + (int)n_fds));
}
