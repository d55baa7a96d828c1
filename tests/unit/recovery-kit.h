/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A broker that is killed, in a process of its own, and the next one, with a manager in between. */

#include <sys/mman.h>
#include <sys/syscall.h>

#include "daemon/config.h"
#include "daemon/recovery.h"
#include "daemon/state-file.h"
#include "tests/unit/group-kit.h"
#include "tests/unit/manager-kit.h"

/* What the first broker lets the test know; in memory that outlives it. */
typedef struct Testament {
        uint64_t endpoint[8];
        uint64_t member[8];
        uint64_t lease[8];
        char address[8][64]; /* keys of endpoints */
        uint64_t since_usec;
        uint64_t sentinel;
        uint64_t process;
        uint32_t epoch;
} Testament;

typedef struct Scene {
        int n_fds;
        bool steered;
        Manager manager;
        Kit kit; /* of the next broker */
        Inherited inherited;
        Testament *left;
} Scene;

/* Of the place @i, what @lease is about. */
static inline void testament_note(Testament *left, size_t i, const Lease *lease) {
        left->endpoint[i] = lease->member->endpoint->id;
        left->member[i] = lease->member->id;
        left->lease[i] = lease->id;
        snprintf(left->address[i], sizeof(left->address[i]), "%s", lease->member->endpoint->key);
}

/* A broker that is about to start, with what it inherited. */
static inline void kit_start(Kit *kit, bool steered, Inherited *inherited) {
        Services *services = &kit->services;
        char *reason = NULL;

        if (steered)
                kit_init_steered(kit, 1000);
        else
                kit_init(kit, 1000);
        cr_assert(zero(int, config_load_from(NULL, NULL, false, 1000, &services->config, &reason)));
        cr_assert(zero(int, recovery_open_state(services, inherited)));
        services->endpoints.marks = &services->state.marks;
        services->endpoints.on_shut_down = repair_member;
        cr_assert(zero(int, grace_init(&services->grace, services->event,
                                       &services->endpoints.timers_changed)));
}

static inline void scene_live(Scene *scene, void (*live)(Kit *kit, Testament *left)) {
        Kit *kit = &scene->kit;

        manager_pass(&scene->manager, &scene->inherited);
        kit_start(kit, scene->steered, &scene->inherited);
        cr_assert(zero(int, recovery_run(&kit->services, &scene->inherited)));
        kit->told[0] = '\0';
        scene->left->epoch = kit->services.ids.epoch;
        live(kit, scene->left);
        services_settle(&kit->services);
        fd_store_flush(kit->services.state.store);
        raise(SIGKILL);
}

/* A broker takes up what is there, does @live, and is killed. */
static inline void scene_pass(Scene *scene, void (*live)(Kit *kit, Testament *left)) {
        pid_t pid = fork();
        int status;

        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                scene_live(scene, live);
                _exit(1);
        }
        while (waitpid(pid, &status, WNOHANG) == 0) {
                poll(&(struct pollfd){ .fd = scene->manager.fd, .events = POLLIN }, 1, 1);
                manager_turn(&scene->manager);
        }
        cr_assert(eq(int, WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGKILL),
                  "the earlier broker failed");
        manager_turn(&scene->manager);
}

/* Does nothing but its recovery. */
static inline void scene_live_on(Kit *kit, Testament *left) {
        kit_turn(kit);
}

/* With the first broker. */
static inline void scene_begin(Scene *scene, bool steered, void (*live)(Kit *kit, Testament *left)) {
        *scene = (Scene){ .n_fds = leaks_count_fds(), .steered = steered };
        scene->left =
                mmap(NULL, sizeof(Testament), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        cr_assert(ne(ptr, scene->left, MAP_FAILED));
        manager_begin(&scene->manager, "60");
        scene_pass(scene, live);
}

/* The next one takes up what is there. */
static inline void scene_recover(Scene *scene) {
        manager_pass(&scene->manager, &scene->inherited);
        kit_start(&scene->kit, scene->steered, &scene->inherited);
        cr_assert(zero(int, recovery_run(&scene->kit.services, &scene->inherited)));
        inherited_deinit(&scene->inherited);
        manager_turn(&scene->manager);
        scene->kit.told[0] = '\0';
}

static inline size_t scene_count_records(const Scene *scene) {
        StateSlot slot = { 0 };
        size_t n = 0;

        while (state_file_next(scene->kit.services.state.marks.file, &slot))
                n++;
        return n;
}

/* Everything ends as clients end it; @n records that are nobody's remain. */
static inline void scene_end_with(Scene *scene, size_t n) {
        Services *services = &scene->kit.services;
        Endpoint *endpoint, *next;

        lease_registry_deinit(&services->leases, "the test ends");
        HASH_ITER (hh, services->endpoints.by_key, endpoint, next)
                endpoint_close(endpoint, "the test ends");
        services_settle(services);
        cr_assert(eq(sz, scene_count_records(scene), n));
        for (size_t i = 0; i < _RESOURCE_N; i++)
                cr_assert(zero(sz, services->accounts.used[i]), "%s", resource_name((Resource)i));
        manager_turn(&scene->manager);
        cr_assert(eq(sz, scene->manager.n, services->steering ? 1 + STATE_STEERING_N : 1));
        cr_assert(ge(int, manager_find(&scene->manager, STATE_FILE_NAME), 0));
        cr_assert(eq(sz, fd_store_count(services->state.store), scene->manager.n));
        grace_deinit(&services->grace);
        state_deinit(&services->state);
        config_free(services->config);
        manager_end(&scene->manager);
        munmap(scene->left, sizeof(Testament));
        scene->kit.n_fds = scene->n_fds;
        kit_end(&scene->kit);
}

static inline void scene_end(Scene *scene) {
        scene_end_with(scene, 0);
}

/* ---- what is
 * there ---------------------------------------------------------------------------------- */

static inline Endpoint *scene_endpoint(Scene *scene, size_t i) {
        return endpoint_find(&scene->kit.services.endpoints, scene->left->address[i]);
}

static inline Member *scene_member(Scene *scene, size_t i) {
        Endpoint *endpoint, *next;
        Member *member;

        HASH_ITER (hh, scene->kit.services.endpoints.by_key, endpoint, next)
                TAILQ_FOREACH (member, &endpoint->members, entry)
                        if (member->id == scene->left->member[i])
                                return member;
        return NULL;
}

static inline Lease *scene_lease(Scene *scene, size_t i) {
        Lease *lease;

        HASH_FIND(hh, scene->kit.services.leases.by_id, &scene->left->lease[i], sizeof(uint64_t), lease);
        return lease;
}

/* What GetStatus would tell. */
static inline void scene_expect_tally(const Scene *scene, size_t endpoints, size_t members,
                                      size_t leases, size_t lost, size_t foreign) {
        const RecoveryTally *tally = &scene->kit.services.recovered;

        cr_assert(eq(sz, tally->n_endpoints, endpoints));
        cr_assert(eq(sz, tally->n_members, members));
        cr_assert(eq(sz, tally->n_leases, leases));
        cr_assert(eq(sz, tally->n_lost, lost));
        cr_assert(eq(sz, tally->n_foreign, foreign));
}

/* ---- what a test does to it
 * --------------------------------------------------------------------------- */

/* The state as it lies with the manager; to be freed. */
static inline StateFile *scene_open_state(const Scene *scene) {
        int fd = fcntl(manager_find(&scene->manager, STATE_FILE_NAME), F_DUPFD_CLOEXEC, 3);
        const char *reason;
        StateFile *file;

        cr_assert(zero(int, state_file_open(fd, &file, &reason)));
        return file;
}

/* Changes the record of one object. */
static inline void scene_edit(const Scene *scene, StateKind kind, uint64_t id,
                              void (*change)(void *saved, Scene *scene)) {
        union {
                SavedEndpoint endpoint;
                SavedMember member;
                SavedLease lease;
        } saved;
        StateFile *file = scene_open_state(scene);
        StateBuffer buffer = { 0 };
        StateSlot slot = { 0 };

        while (state_file_next(file, &slot) && (slot.kind != (uint32_t)kind || slot.id != id))
                ;
        cr_assert(gt(u32, slot.at, 0));
        cr_assert(zero(int, state_record_decode(kind, slot.data, slot.n, &saved, NULL)));
        change(&saved, (Scene *)scene);
        cr_assert(zero(int, state_record_encode(kind, &saved, &buffer)));
        cr_assert(zero(int, state_file_put(file, (uint32_t)kind, id, buffer.data, buffer.n, &slot.at)));
        state_buffer_deinit(&buffer);
        state_file_free(file);
}

/* One more record. */
static inline void scene_add(const Scene *scene, uint32_t kind, uint64_t id, const void *data,
                             size_t n) {
        StateFile *file = scene_open_state(scene);

        cr_assert(zero(int, state_file_put(file, kind, id, data, n, &(uint32_t){ 0 })));
        state_file_free(file);
}

/* ---- what lies with the manager
 * ----------------------------------------------------------------------------- */

/* The descriptor of what has this id, as it lies with the manager. */
static inline int scene_kept(const Scene *scene, uint64_t id) {
        char name[STATE_NAME_MAX];

        return manager_find(&scene->manager, state_name(id, name));
}

static inline void scene_lose_kept(Scene *scene, uint64_t id) {
        char name[STATE_NAME_MAX];

        manager_remove(&scene->manager, state_name(id, name));
}

static inline void scene_keep_more(Scene *scene, uint64_t id, int fd) {
        char name[STATE_NAME_MAX];

        manager_keep(&scene->manager, state_name(id, name), fd);
}

static inline int kit_other_listener(void) {
        Address address = kit_address("tcp4", "127.0.0.1:0"), bound;

        return kit_socket(&address, SHARING_EXCLUSIVE, &bound);
}

/* What the first broker gives in the place @i. */
static inline Lease *testament_acquire(Kit *kit, Testament *left, size_t i, const char *network,
                                       Sharing sharing) {
        const char *text = strcmp(network, "unix") == 0 ? "@test-recovery" : "127.0.0.1:0";
        Lease *lease;

        kit->told[0] = '\0';
        lease = kit_acquire(kit, network, text, sharing, KIT_RETAIN_USEC);
        testament_note(left, i, lease);
        return lease;
}

/* What is in the first broker. */
static inline void scene_live_with_one(Kit *kit, Testament *left) {
        testament_acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
}

static inline void scene_live_with_two(Kit *kit, Testament *left) {
        testament_acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
        testament_acquire(kit, left, 1, "udp4", SHARING_EXCLUSIVE);
        cr_assert(zero(int,
                       endpoint_rename(endpoint_find(&kit->services.endpoints, left->address[0]), "a")));
        endpoint_find(&kit->services.endpoints, left->address[1])->tenant = tenant_of("other", 0);
        cr_assert(zero(int,
                       endpoint_rename(endpoint_find(&kit->services.endpoints, left->address[1]), "a")));
}
