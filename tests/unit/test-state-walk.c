/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Random lives of endpoints, members and leases, against a model that says what should be there. The
 * walk takes the same turns as Acquire does, several sockets a call, and undoes some of the calls. Which
 * members are on the list in the kernel is seen by flows that come to them.
 *
 * STATE_WALK_SEED and STATE_WALK_STEPS in the environment repeat a walk, or make it longer.
 */

#include <sys/eventfd.h>

#include "tests/unit/state-model.h"

enum {
        WALK_SEED = 20240607,
        WALK_STEPS = 100000,
        PORT = 21000,
        BATCH_MAX = 3,
        LEASES_PER_USER = 18,
};

static Slot *slot_of(const Endpoint *endpoint) {
        for (int i = 0; i < SLOTS; i++)
                if (walk.slots[i].endpoint == endpoint)
                        return &walk.slots[i];
        return NULL;
}

/* "drained" comes when it comes, but of nobody else than who drains, and once. */
static void on_event(Watcher *watcher, const Event *event) {
        Model *model;

        if (strcmp(event->what, "drained") != 0) {
                walk.events++;
                return;
        }
        model = find_model(slot_of(event->endpoint), event->member->id);
        cr_assert(ne(ptr, model, NULL));
        cr_assert(eq(int, model->state, MEMBER_DRAINING));
        cr_assert(model->drains);
        model->drains = false;
        walk.n_drained++;
}

static void start_process(int i) {
        walk.exits[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cr_assert(ge(int, walk.exits[i], 0));
        cr_assert(zero(int, process_new(walk.kit.services.event, walk.exits[i], &walk.processes[i])));
}

static void walk_start(bool steered) {
        static const Slot slots[SLOTS] = {
                { .network = "tcp4", .sharing = SHARING_GROUP, .retain_usec = KIT_RETAIN_USEC },
                { .network = "udp4", .sharing = SHARING_GROUP, .retain_usec = KIT_RETAIN_USEC },
                { .network = "tcp4", .sharing = SHARING_GROUP, .retain_usec = KIT_RETAIN_USEC },
                { .network = "tcp4", .sharing = SHARING_GROUP },
                { .network = "udp4", .sharing = SHARING_GROUP },
                { .network = "tcp4", .sharing = SHARING_SHARED, .retain_usec = KIT_RETAIN_USEC },
                { .network = "udp4", .sharing = SHARING_SHARED },
                { .network = "tcp4", .sharing = SHARING_EXCLUSIVE, .retain_usec = KIT_RETAIN_USEC },
        };
        sd_event_source *timer;

        if (steered) {
                kit_begin(&walk.kit);
        } else {
                if (!kit_own_network())
                        cr_skip_test("no network namespace of its own: needs root");
                kit_init(&walk.kit, 500);
        }
        walk.steered = steered;
        walk.kit.watcher.notify = on_event;
        walk.kit.services.accounts.limit_per_user[RESOURCE_LEASES] = LEASES_PER_USER;
        memcpy(walk.slots, slots, sizeof(slots));
        for (int i = 0; i < USERS; i++) {
                walk.subjects[i] = kit_subject((uid_t)(FIRST_UID + i));
                cr_assert(zero(int, accounts_user(&walk.kit.services.accounts, (uid_t)(FIRST_UID + i),
                                                  &walk.users[i])));
        }
        for (int i = 0; i < CONNECTIONS; i++)
                LIST_INIT(&walk.connections[i].leases);
        for (int i = 0; i < PROCESSES; i++)
                start_process(i);
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

/* ---- acquire ------------------------------------------------------------------------------------- */

typedef struct Step {
        Lease *lease;
        Held held;
        bool standby;
        bool adopted;
        bool new_endpoint;
        bool new_member;
        Model before; /* if adopted */
        uint64_t retain_until_usec;
} Step;

/* NULL: the kernel refused. */
static Member *make_member(Slot *slot, int i, bool standby) {
        SocketSpec spec = { .sharing = slot->sharing };
        Endpoint *endpoint = slot->endpoint;
        SocketFailure failure;
        char text[32];
        Member *member;
        Address bound;
        int fd;

        snprintf(text, sizeof(text), "127.0.0.1:%d", PORT + i);
        spec.address = kit_address(slot->network, text);
        if (socket_factory_open(&spec, &fd, &bound, &failure) != 0) {
                cr_assert(walk.no_fds);
                return NULL;
        }
        if (!endpoint)
                cr_assert(zero(int, kit_endpoint_new(&walk.kit, &bound, NULL, slot->sharing, NULL,
                                                     slot->retain_usec, &endpoint)));
        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(zero(int, member_enter(member, standby, MEMBER_WEIGHT_DEFAULT)));
        slot->endpoint = endpoint;
        model_new(slot, member, standby);
        return member;
}

static Member *adopt_member(Slot *slot, Member *orphan, Step *step) {
        Model *model = find_model(slot, orphan->id);

        cr_assert(ne(ptr, model, NULL));
        cr_assert(model->orphan);
        step->adopted = true;
        step->before = *model;
        step->retain_until_usec = orphan->retain_until_usec;
        member_adopt(orphan, MEMBER_WEIGHT_DEFAULT);
        model->state = MEMBER_LIVE;
        model->departs = false;
        model->weight = MEMBER_WEIGHT_DEFAULT;
        return orphan;
}

/* The member that a client is given, or NULL if it is refused. */
static Member *choose_member(Slot *slot, Step *step) {
        Member *orphan;

        if (slot->endpoint)
                model_catch_up(slot);
        orphan = slot->endpoint && !step->standby ? endpoint_orphan(slot->endpoint) : NULL;
        for (size_t i = 0; i < slot->n && !orphan && !step->standby; i++)
                cr_assert(not(slot->models[i].orphan &&
                              count_held(step->held.slot, slot->models[i].id, -1) == 0 &&
                              (slot->models[i].departs || slot->models[i].state == MEMBER_PARKED)));
        if (orphan)
                return adopt_member(slot, orphan, step);
        if (slot->endpoint && slot->sharing == SHARING_EXCLUSIVE)
                return NULL;
        if (slot->endpoint && slot->sharing == SHARING_SHARED)
                return TAILQ_FIRST(&slot->endpoint->members);
        step->new_endpoint = !slot->endpoint;
        step->new_member = true;
        return make_member(slot, step->held.slot, step->standby);
}

static void model_undo(const Step *step, uint64_t id) {
        Slot *slot = &walk.slots[step->held.slot];
        Model *model = find_model(slot, id);

        if (step->new_endpoint)
                model_close_endpoint(slot);
        else if (step->new_member)
                model_depart(slot, model);
        else if (step->adopted)
                *model = step->before;
}

/* One socket of a call. False: refused, and as if nothing had happened. */
static bool acquire_one(const LeaseTerms *terms, Step *step) {
        Slot *slot = &walk.slots[step->held.slot];
        Member *member = choose_member(slot, step);
        int r;

        if (!member)
                return false;
        r = lease_new(&walk.kit.services.leases, member, terms, &step->lease);
        step->held.member = member->id;
        if (r == 0) {
                step->held.id = step->lease->id;
                return true;
        }
        cr_assert(eq(int, r, ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(sz, terms->user->used[RESOURCE_LEASES], LEASES_PER_USER));
        if (LIST_EMPTY(&member->leases)) {
                member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
                model_undo(step, step->held.member);
        }
        return false;
}

static void undo(const Step *step) {
        bool parked = step->adopted && !step->before.departs;
        Member *member = step->lease->member;

        lease_end(step->lease, MEMBER_LEAVE_UNDONE, NULL);
        model_undo(step, step->held.member);
        walk.n_undone++;
        if (parked)
                cr_assert(eq(u64, member->retain_until_usec, step->retain_until_usec));
}

static void commit(const Step *step) {
        Slot *slot = &walk.slots[step->held.slot];
        Model *model = find_model(slot, step->held.member);

        lease_commit(step->lease, step->adopted);
        model->holder = (uid_t)(FIRST_UID + step->held.user);
        model->orphan = false;
        if (model->state == MEMBER_LIVE)
                model_relieve(slot);
        walk.expected_events++;
        walk.n_adopted += step->adopted;
        walk.n_readopted += step->adopted && step->before.departs;
        walk.held[walk.n_held++] = step->held;
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
                int slot = rand() % SLOTS;

                steps[done].standby = walk.slots[slot].sharing == SHARING_GROUP && rand() % 4 == 0;
                steps[done].held = (Held){ .slot = slot,
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
        for (int i = 0; i < n; i++)
                commit(&steps[i]);
}

/* The kernel gives no descriptor; what needs none goes on. */
static void step_acquire_refused(void) {
        size_t undone = walk.n_undone;
        rlim_t limit = kit_refuse_fds();

        walk.no_fds = true;
        step_acquire();
        walk.no_fds = false;
        kit_allow_fds(limit);
        walk.n_refused += walk.n_undone > undone;
}

/* ---- the other steps ----------------------------------------------------------------------------- */

/* Any lease that should be there; NULL if there is none. */
static Lease *any_lease(size_t *ret_index) {
        IdSource *ids = &walk.kit.services.ids;
        char text[ID_TEXT_MAX];
        const Held *held;
        Lease *lease;

        if (walk.n_held == 0)
                return NULL;
        *ret_index = (size_t)rand() % walk.n_held;
        held = &walk.held[*ret_index];
        lease = lease_find(&walk.kit.services.leases, ids, id_format(ids, 'l', held->id, text));
        cr_assert(ne(ptr, lease, NULL));
        cr_assert(eq(u64, lease->member->id, held->member));
        return lease;
}

static void step_release(void) {
        IdSource *ids = &walk.kit.services.ids;
        char text[ID_TEXT_MAX];
        size_t index;
        Lease *lease = any_lease(&index);

        if (!lease)
                return;
        id_format(ids, 'l', lease->id, text);
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

/* Ready, Drain and SetWeight are for groups that are steered. */
static Lease *any_steered_lease(Slot **ret_slot, Model **ret_model) {
        size_t index;
        Lease *lease = any_lease(&index);

        if (!lease)
                return NULL;
        *ret_slot = &walk.slots[walk.held[index].slot];
        *ret_model = find_model(*ret_slot, lease->member->id);
        return is_steered(*ret_slot) ? lease : NULL;
}

static void step_ready(void) {
        Slot *slot;
        Model *model;
        Lease *lease = any_steered_lease(&slot, &model);

        if (!lease)
                return;
        member_ready(lease->member, lease);
        if (model->state == MEMBER_LIVE)
                return;
        model->state = MEMBER_LIVE;
        model->drains = false;
        walk.expected_events++;
        model_relieve(slot);
}

static void step_drain(void) {
        Slot *slot;
        Model *model;
        Lease *lease = any_steered_lease(&slot, &model);

        if (!lease)
                return;
        member_drain(lease->member);
        model->state = MEMBER_DRAINING;
        model->drains = true;
}

static void step_weight(void) {
        Slot *slot;
        Model *model;
        Lease *lease = any_steered_lease(&slot, &model);

        if (!lease)
                return;
        model->weight = (uint32_t)rand() % 3;
        member_set_weight(lease->member, model->weight);
}

/* Nothing waits anywhere: all who drain are told. */
static void step_drained(void) {
        Timer *timer = &walk.kit.services.endpoints.drains.timer;

        while (timer->armed)
                kit_elapse(&walk.kit, timer);
        for (int i = 0; i < SLOTS; i++)
                for (size_t k = 0; k < walk.slots[i].n; k++)
                        cr_assert(not(walk.slots[i].models[k].drains));
}

static void step_depart(void) {
        kit_depart(&walk.kit);
        for (int i = 0; i < SLOTS; i++)
                if (walk.slots[i].endpoint) {
                        model_catch_up(&walk.slots[i]);
                        cr_assert(eq(sz, count_members(&walk.slots[i]), walk.slots[i].n));
                }
}

static void step_retain_over(void) {
        Slot *slot = &walk.slots[rand() % SLOTS];
        Member *member;
        Model *model;

        if (!slot->endpoint)
                return;
        TAILQ_FOREACH (member, &slot->endpoint->members, entry)
                if (member->state == MEMBER_PARKED)
                        break;
        if (!member)
                return;
        model = find_model(slot, member->id);
        cr_assert(ge(int, sd_event_source_set_time(member->retain_timer, 1), 0));
        kit_turn(&walk.kit);
        walk.expected_events++;
        walk.n_retain_over++;
        if (count_members(slot) == 1) {
                model_close_endpoint(slot);
        } else {
                model->orphan = false;
                model_depart(slot, model);
        }
}

/* ---- the list in the kernel ---------------------------------------------------------------------- */

/* In the order in which members make the list: see group.h. */
static int class_of(const Model *model) {
        if (model->departs || model->state == MEMBER_STANDBY || model->state == MEMBER_DRAINING)
                return 3;
        if (model->state == MEMBER_PARKED)
                return 2;
        return model->weight > 0 ? 0 : 1;
}

/* A few flows, and who is given them. */
static void step_flows(void) {
        enum { FLOWS = 3 };
        Slot *slot = &walk.slots[rand() % SLOTS];
        uint64_t before[MEMBERS_MAX], sum = 0;
        const Member *member;
        int best = 3;
        size_t n = 0;

        if (!slot->endpoint || !is_steered(slot))
                return;
        for (size_t i = 0; i < slot->n; i++)
                if (class_of(&slot->models[i]) < best)
                        best = class_of(&slot->models[i]);
        if (best == 3)
                return; /* they would wait with the sentinel, or be refused */
        TAILQ_FOREACH (member, &slot->endpoint->members, entry)
                before[n++] = kit_given(member);
        kit_flows(slot->endpoint, FLOWS);
        n = 0;
        TAILQ_FOREACH (member, &slot->endpoint->members, entry) {
                uint64_t given = kit_given(member) - before[n++];

                cr_assert(eq(sz, kit_serve(member), given));
                if (class_of(find_model(slot, member->id)) == best)
                        sum += given;
        }
        cr_assert(eq(u64, sum, FLOWS));
        walk.n_flows++;
}

static unsigned from_environment(const char *name, unsigned otherwise) {
        const char *text = getenv(name);

        return text ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

static void take_walk(bool steered) {
        static void (*const steps[])(void) = {
                step_acquire,         step_acquire,     step_acquire,     step_acquire,
                step_acquire_refused, step_release,     step_release,     step_release,
                step_ready,           step_ready,       step_drain,       step_weight,
                step_drained,         step_depart,      step_flows,       step_flows,
                step_connection_end,  step_process_end, step_retain_over,
        };
        unsigned seed = from_environment("STATE_WALK_SEED", WALK_SEED);
        int n = (int)from_environment("STATE_WALK_STEPS", WALK_STEPS);

        srand(seed);
        fprintf(stderr, "STATE_WALK_SEED=%u STATE_WALK_STEPS=%d\n", seed, n);
        walk_start(steered);
        for (int i = 0; i < n; i++) {
                steps[(size_t)rand() % (sizeof(steps) / sizeof(steps[0]))]();
                check(i);
        }
}

/* All of it happened, often. */
static void expect_often(size_t n) {
        cr_assert(ge(sz, n, from_environment("STATE_WALK_STEPS", WALK_STEPS) / 1000));
}

TestSuite(state_walk, .timeout = 120);

Test(state_walk, random_lives_agree_with_a_model) {
        take_walk(true);
        expect_often(walk.n_undone);
        expect_often(walk.n_refused);
        expect_often(walk.n_parked);
        expect_often(walk.n_adopted);
        expect_often(walk.n_readopted);
        expect_often(walk.n_relieved);
        expect_often(walk.n_drained);
        expect_often(walk.n_retain_over);
        expect_often(walk.n_flows);
        walk_end();
}

Test(state_walk, random_lives_without_steering_agree_with_a_model) {
        take_walk(false);
        expect_often(walk.n_undone);
        expect_often(walk.n_refused);
        expect_often(walk.n_parked);
        expect_often(walk.n_adopted);
        expect_often(walk.n_retain_over);
        walk_end();
}
