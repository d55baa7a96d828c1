/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Random lives of endpoints, members and leases, against a list that says what should be there. The walk
 * takes the same turns as Acquire does, several sockets a call, and undoes some of the calls.
 */

#include <sys/eventfd.h>

#include "tests/unit/daemon-kit.h"

enum {
        WALK_SEED = 20240607,
        WALK_STEPS = 20000,
        SLOTS = 9, /* addresses: three of each kind of sharing */
        CONNECTIONS = 4,
        PROCESSES = 3,
        USERS = 2,
        BATCH_MAX = 3,
        LEASES_MAX = 64,
        LEASES_PER_USER = 20,
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

typedef struct Slot {
        Endpoint *endpoint; /* NULL: nobody has the address */
        Sharing sharing;
        uint64_t retain_usec;
        bool parked;
} Slot;

typedef struct Walk {
        Kit kit;
        Subject *subjects[USERS];
        User *users[USERS];
        LeaseOwner connections[CONNECTIONS];
        Process *processes[PROCESSES];
        int exits[PROCESSES]; /* what stands for a pidfd */
        Slot slots[SLOTS];
        Held held[LEASES_MAX];
        size_t n_held;
        size_t n_members;
        int n_fds;
        /* What the watcher should have heard, and has. */
        size_t expected_events, events;
        size_t n_undone, n_parked, n_adopted; /* to know that the walk goes everywhere */
} Walk;

static Walk walk;

static void count_event(Watcher *watcher, const Event *event) {
        walk.events++;
}

static void start_process(int i) {
        walk.exits[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cr_assert(ge(int, walk.exits[i], 0));
        cr_assert(zero(int, process_new(walk.kit.services.event, walk.exits[i], &walk.processes[i])));
}

static void walk_start(void) {
        static const Sharing kinds[] = { SHARING_EXCLUSIVE, SHARING_SHARED, SHARING_GROUP };
        sd_event_source *timer;

        kit_init(&walk.kit, 500);
        walk.kit.watcher.notify = count_event;
        walk.kit.services.accounts.limit_per_user[RESOURCE_LEASES] = LEASES_PER_USER;
        for (int i = 0; i < USERS; i++) {
                walk.subjects[i] = kit_subject((uid_t)(1000 + i));
                cr_assert(zero(int, accounts_user(&walk.kit.services.accounts, (uid_t)(1000 + i),
                                                  &walk.users[i])));
        }
        for (int i = 0; i < CONNECTIONS; i++)
                LIST_INIT(&walk.connections[i].leases);
        for (int i = 0; i < PROCESSES; i++)
                start_process(i);
        for (int i = 0; i < SLOTS; i++)
                walk.slots[i] = (Slot){ .sharing = kinds[i % 3],
                                        .retain_usec = i < 2 * SLOTS / 3 ? KIT_RETAIN_USEC : 0 };
        /* The loop's own timer descriptor comes with the first timer, and stays. */
        cr_assert(ge(int,
                     sd_event_add_time_relative(walk.kit.services.event, &timer, CLOCK_MONOTONIC,
                                                1000000, 0, NULL, NULL),
                     0));
        sd_event_source_disable_unref(timer);
        walk.n_fds = leaks_count_fds();
}

static void walk_end(void) {
        for (int i = 0; i < CONNECTIONS; i++)
                lease_owner_end(&walk.connections[i], MEMBER_LEAVE_LOST, "end");
        for (int i = 0; i < PROCESSES; i++) {
                lease_owner_end(&walk.processes[i]->owner, MEMBER_LEAVE_LOST, "end");
                process_unref(walk.processes[i]);
        }
        for (int i = 0; i < USERS; i++) {
                user_unref(walk.users[i]);
                subject_unref(walk.subjects[i]);
        }
        kit_end(&walk.kit);
}

/* ---- what should happen ------------------------------------------------------------------------- */

static size_t count_held(int slot, uint64_t member, int user) {
        size_t n = 0;

        for (size_t i = 0; i < walk.n_held; i++)
                n += (slot < 0 || walk.held[i].slot == slot) &&
                     (member == 0 || walk.held[i].member == member) &&
                     (user < 0 || walk.held[i].user == user);
        return n;
}

/* Crosses a lease out, and what depends on it. */
static void model_end(size_t index, MemberLeave how) {
        Held ended = walk.held[index];
        Slot *slot = &walk.slots[ended.slot];

        memmove(&walk.held[index], &walk.held[index + 1], (walk.n_held - index - 1) * sizeof(Held));
        walk.n_held--;
        walk.expected_events++; /* released */
        if (count_held(ended.slot, ended.member, -1) > 0)
                return;
        if (count_held(ended.slot, 0, -1) > 0) {
                walk.n_members--;
                return;
        }
        walk.expected_events++; /* parked, or closed */
        if (how == MEMBER_LEAVE_LOST && slot->retain_usec > 0) {
                slot->parked = true;
                walk.n_parked++;
                return;
        }
        walk.n_members--;
        slot->endpoint = NULL;
}

/* Everything of an owner, the newest first, as lease_owner_end() does. */
static void model_owner_end(int connection, int process) {
        for (size_t i = walk.n_held; i > 0; i--)
                if (walk.held[i - 1].connection == connection && walk.held[i - 1].process == process)
                        model_end(i - 1, MEMBER_LEAVE_LOST);
}

/* ---- steps -------------------------------------------------------------------------------------- */

typedef struct Step {
        Lease *lease;
        Held held;
        bool adopted;
        bool new_endpoint;
        bool new_member;
} Step;

/* One socket of a call. False: refused, and as if nothing had happened. */
static bool acquire_one(const LeaseTerms *terms, Step *step) {
        Slot *slot = &walk.slots[step->held.slot];
        Member *member;
        int r;

        if (!slot->endpoint) {
                member = kit_open(&walk.kit, "tcp4", "127.0.0.1:0", slot->sharing, slot->retain_usec);
                slot->endpoint = member->endpoint;
                step->new_endpoint = step->new_member = true;
        } else if (slot->parked) {
                member = endpoint_parked_member(slot->endpoint);
                cr_assert(ne(ptr, member, NULL));
                member_adopt(member);
                slot->parked = false;
                step->adopted = true;
        } else if (slot->sharing == SHARING_EXCLUSIVE) {
                return false;
        } else if (slot->sharing == SHARING_SHARED) {
                member = TAILQ_FIRST(&slot->endpoint->members);
        } else {
                member = kit_join(slot->endpoint);
                step->new_member = true;
        }
        walk.n_members += step->new_member;
        r = lease_new(&walk.kit.services.leases, member, terms, &step->lease);
        if (r == 0) {
                step->held.id = step->lease->id;
                step->held.member = member->id;
                return true;
        }
        cr_assert(eq(int, r, ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(sz, terms->user->used[RESOURCE_LEASES], LEASES_PER_USER));
        if (LIST_EMPTY(&member->leases))
                member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        walk.n_members -= step->new_member;
        slot->parked |= step->adopted;
        if (step->new_endpoint)
                slot->endpoint = NULL;
        return false;
}

static void undo(const Step *step) {
        Slot *slot = &walk.slots[step->held.slot];
        Member *member = step->lease->member;
        uint64_t until = member->retain_until_usec;

        lease_end(step->lease, MEMBER_LEAVE_UNDONE, NULL);
        walk.n_members -= step->new_member;
        walk.n_undone++;
        if (step->new_endpoint)
                slot->endpoint = NULL;
        if (step->adopted) {
                slot->parked = true;
                cr_assert(eq(u64, member->retain_until_usec, until));
        }
}

/* All or none, as one call; one in four fails at its very end. */
static void step_acquire(void) {
        Step steps[BATCH_MAX] = { 0 };
        int n = 1 + rand() % BATCH_MAX, done = 0;
        int user = rand() % USERS, owner = rand() % (CONNECTIONS + PROCESSES);
        bool connection = owner < CONNECTIONS;
        LeaseTerms terms = {
                .subject = walk.subjects[user],
                .user = walk.users[user],
                .connection = connection ? &walk.connections[owner] : NULL,
                .process = connection ? NULL : walk.processes[owner - CONNECTIONS],
        };

        if (walk.n_held + BATCH_MAX > LEASES_MAX)
                return;
        for (; done < n; done++) {
                steps[done].held = (Held){ .slot = rand() % SLOTS,
                                           .connection = connection ? owner : -1,
                                           .process = connection ? -1 : owner - CONNECTIONS,
                                           .user = user };
                if (!acquire_one(&terms, &steps[done]))
                        break;
        }
        if (done < n || rand() % 4 == 0) {
                while (done > 0)
                        undo(&steps[--done]);
                return;
        }
        for (int i = 0; i < n; i++) {
                lease_commit(steps[i].lease, steps[i].adopted);
                walk.expected_events++;
                walk.n_adopted += steps[i].adopted;
                walk.held[walk.n_held++] = steps[i].held;
        }
}

static void step_release(void) {
        char text[ID_TEXT_MAX];
        IdSource *ids = &walk.kit.services.ids;
        size_t index;
        Lease *lease;

        if (walk.n_held == 0)
                return;
        index = (size_t)rand() % walk.n_held;
        lease = lease_find(&walk.kit.services.leases, ids,
                           id_format(ids, 'l', walk.held[index].id, text));
        cr_assert(ne(ptr, lease, NULL));
        cr_assert(eq(u64, lease->member->id, walk.held[index].member));
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
        model_end(index, MEMBER_LEAVE_RELEASED);
        cr_assert(eq(ptr, lease_find(&walk.kit.services.leases, ids, text), NULL));
}

static void step_connection_end(void) {
        int i = rand() % CONNECTIONS;

        lease_owner_end(&walk.connections[i], MEMBER_LEAVE_LOST, "hang-up");
        model_owner_end(i, -1);
}

static void step_process_end(void) {
        int i = rand() % PROCESSES;

        cr_assert(zero(int, eventfd_write(walk.exits[i], 1)));
        kit_turn(&walk.kit);
        model_owner_end(-1, i);
        process_unref(walk.processes[i]);
        start_process(i);
}

static void step_retain_over(void) {
        Slot *slot = &walk.slots[rand() % SLOTS];

        if (!slot->parked)
                return;
        cr_assert(ge(int,
                     sd_event_source_set_time(endpoint_parked_member(slot->endpoint)->retain_timer, 1),
                     0));
        kit_turn(&walk.kit);
        *slot = (Slot){ .sharing = slot->sharing, .retain_usec = slot->retain_usec };
        walk.n_members--;
        walk.expected_events++;
}

/* ---- what is there ------------------------------------------------------------------------------ */

static void check_slot(int i) {
        const Slot *slot = &walk.slots[i];
        const Member *member;
        size_t n_leases = 0, n_members = 0;

        TAILQ_FOREACH (member, &slot->endpoint->members, entry) {
                const Lease *lease;
                size_t n = 0;

                LIST_FOREACH (lease, &member->leases, by_member)
                        n++;
                cr_assert(eq(sz, n, count_held(i, member->id, -1)));
                cr_assert(eq(int, member->state, n > 0 ? MEMBER_LIVE : MEMBER_PARKED));
                cr_assert(eq(int, member->retain_timer != NULL, n == 0));
                n_leases += n;
                n_members++;
        }
        cr_assert(eq(sz, n_members, slot->endpoint->n_members));
        cr_assert(eq(sz, n_leases, count_held(i, 0, -1)));
        cr_assert(eq(int, endpoint_parked_member(slot->endpoint) != NULL, slot->parked));
        if (slot->parked || slot->sharing != SHARING_GROUP)
                cr_assert(eq(sz, n_members, 1));
        if (slot->sharing == SHARING_EXCLUSIVE)
                cr_assert(le(sz, n_leases, 1));
}

static void check(void) {
        size_t n_endpoints = 0;

        for (int i = 0; i < SLOTS; i++)
                if (walk.slots[i].endpoint) {
                        n_endpoints++;
                        check_slot(i);
                }
        cr_assert(eq(sz, endpoint_registry_count(&walk.kit.services.endpoints), n_endpoints));
        cr_assert(eq(sz, lease_registry_count(&walk.kit.services.leases), walk.n_held));
        cr_assert(eq(sz, walk.kit.services.accounts.used[RESOURCE_LEASES], walk.n_held));
        for (int i = 0; i < USERS; i++)
                cr_assert(eq(sz, walk.users[i]->used[RESOURCE_LEASES], count_held(-1, 0, i)));
        cr_assert(eq(sz, walk.events, walk.expected_events));
        cr_assert(eq(int, leaks_count_fds(), walk.n_fds + (int)walk.n_members));
}

TestSuite(state_walk, .timeout = 120);

Test(state_walk, random_lives_agree_with_a_list_of_them) {
        static void (*const steps[])(void) = {
                step_acquire, step_acquire, step_acquire,        step_acquire,     step_release,
                step_release, step_release, step_connection_end, step_process_end, step_retain_over,
        };

        srand(WALK_SEED);
        fprintf(stderr, "seed %d\n", WALK_SEED);
        walk_start();
        for (int i = 0; i < WALK_STEPS; i++) {
                steps[(size_t)rand() % (sizeof(steps) / sizeof(steps[0]))]();
                check();
        }
        /* All of it happened, often. */
        cr_assert(gt(sz, walk.n_undone, WALK_STEPS / 100));
        cr_assert(gt(sz, walk.n_parked, WALK_STEPS / 100));
        cr_assert(gt(sz, walk.n_adopted, WALK_STEPS / 100));
        walk_end();
}
