/* SPDX-License-Identifier: BSD-2-Clause */

/* The next broker has what the one before it had, and nothing that does not fit. */

#include "daemon/recovery.h"

#include <sys/eventfd.h>

#include "tests/unit/recovery-kit.h"

TestSuite(recovery, .timeout = 30);

static uint64_t cookie_of(int fd) {
        uint64_t cookie = 0;

        cr_assert(zero(int,
                       getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &(socklen_t){ sizeof(cookie) })));
        return cookie;
}

/* ---- all of
 * it -------------------------------------------------------------------------------------- */

static void live_with_much(Kit *kit, Testament *left) {
        Tenant tenant = tenant_of("web", 0);
        Options options;
        Lease *lease;

        wire_init(&wire_options, &options);
        options.backlog = 77;
        lease = testament_acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
        cr_assert(zero(int, endpoint_rename(lease->member->endpoint, "front")));
        lease->member->endpoint->tenant = tenant;
        cr_assert(zero(
                int, wire_copy(&wire_options, &options, (void **)&lease->member->endpoint->requested)));
        left->since_usec = lease->since_usec;
        /* A group: one is live, one drains, one stands by. */
        lease = testament_acquire(kit, left, 1, "tcp4", SHARING_GROUP);
        member_set_weight(lease->member, 33);
        lease->member->endpoint->group.mode = STEERING_SOURCE;
        lease = kit_follow(kit, lease->member->endpoint);
        testament_note(left, 2, lease);
        member_drain(lease->member);
        kit->told[0] = '\0';
        testament_note(left, 3, kit_stand_by(kit, lease->member->endpoint));
        /* One is parked. */
        lease = testament_acquire(kit, left, 4, "udp4", SHARING_EXCLUSIVE);
        kit_lose(lease);
        /* Two leases of one member. */
        lease = testament_acquire(kit, left, 5, "unix", SHARING_SHARED);
        testament_note(left, 6, kit_lease_of(kit, 1001, lease->member));
        /* What has come and gone. */
        kit_release(testament_acquire(kit, left, 7, "udp4", SHARING_EXCLUSIVE));
}

static void expect_much(Scene *scene) {
        Endpoint *endpoint = scene_endpoint(scene, 0);
        Lease *lease = scene_lease(scene, 0);

        cr_assert(eq(u64, endpoint->id, scene->left->endpoint[0]));
        KIT_EXPECT_TEXT(endpoint->name, "front");
        /* No rule says that it is that of "web", by now. */
        KIT_EXPECT_TEXT(endpoint->tenant.name, "");
        cr_assert(eq(u32, endpoint->tenant.uid, 1000));
        cr_assert(eq(int, endpoint->sharing, SHARING_EXCLUSIVE));
        cr_assert(eq(u64, endpoint->retain_usec, KIT_RETAIN_USEC));
        cr_assert(eq(int, (int)endpoint->requested->backlog, 77));
        cr_assert(eq(u32, endpoint->maker->uid, 1000));
        cr_assert(eq(u64, lease->since_usec, scene->left->since_usec));
        cr_assert(eq(u32, lease->subject->uid, 1000));
        cr_assert(eq(ptr, lease->owner, &scene->kit.services.grace.owner));
        cr_assert(eq(ptr, lease->member, scene_member(scene, 0)));
        cr_assert(eq(u64, lease->member->cookie, cookie_of(lease->member->fd)));
        cr_assert(eq(int, scene_member(scene, 1)->state, MEMBER_LIVE));
        cr_assert(eq(u32, scene_member(scene, 1)->weight, 33));
        cr_assert(eq(int, scene_endpoint(scene, 1)->group.mode, STEERING_SOURCE));
        cr_assert(eq(sz, scene_endpoint(scene, 1)->n_members, 3));
        cr_assert(eq(int, scene_member(scene, 2)->state, MEMBER_DRAINING));
        cr_assert(eq(int, scene_member(scene, 3)->state, MEMBER_STANDBY));
        cr_assert(eq(int, scene_member(scene, 4)->state, MEMBER_PARKED));
        cr_assert(eq(u32, scene_member(scene, 4)->last_holder->uid, 1000));
        cr_assert(eq(ptr, endpoint_orphan(scene_endpoint(scene, 4)), scene_member(scene, 4)));
        cr_assert(eq(ptr, scene_lease(scene, 6)->member, scene_lease(scene, 5)->member));
        cr_assert(eq(u32, scene_lease(scene, 6)->subject->uid, 1001));
        cr_assert(eq(ptr, scene_endpoint(scene, 7), NULL));
}

Test(recovery, has_all_of_it_again) {
        Services *services;
        Scene scene;

        scene_begin(&scene, false, live_with_much);
        scene_recover(&scene);
        services = &scene.kit.services;
        scene_expect_tally(&scene, 4, 6, 6, 0, 0);
        expect_much(&scene);
        cr_assert(eq(sz, services->accounts.used[RESOURCE_LEASES], 6));
        cr_assert(eq(sz, services->accounts.used[RESOURCE_DESCRIPTORS], 6));
        cr_assert(eq(u32, services->ids.epoch, scene.left->epoch));
        cr_assert(gt(u64, id_next(&services->ids), scene.left->lease[7]));
        cr_assert(eq(sz, scene_count_records(&scene), 4 + 6 + 6));
        cr_assert(services->grace.timer.armed);
        kit_turn(&scene.kit);
        expect_much(&scene);
        scene_end(&scene);
}

/* And the one after it, and so on: nothing wears off. */
Test(recovery, of_a_recovery_has_all_of_it_again) {
        Scene scene;

        scene_begin(&scene, false, live_with_much);
        scene_pass(&scene, scene_live_on);
        scene_pass(&scene, scene_live_on);
        scene_recover(&scene);
        scene_expect_tally(&scene, 4, 6, 6, 0, 0);
        expect_much(&scene);
        cr_assert(eq(sz, scene.manager.n, 7));
        scene_end(&scene);
}

/* A name has 64 digits to choose from, and some numbers spell words. */
static void live_for_so_long(Kit *kit, Testament *left) {
        static const struct {
                uint64_t id;
                const char *name;
        } words[] = { { 211248, ".map" }, { 685657590, ".state" } };
        char name[STATE_NAME_MAX];

        for (size_t i = 0; i < 2; i++) {
                KIT_EXPECT_TEXT((char *)state_name(words[i].id, name), (char *)words[i].name);
                /* The endpoint comes before its member. */
                kit->services.ids.last = words[i].id - 2;
                testament_acquire(kit, left, i, "tcp4", SHARING_EXCLUSIVE);
                cr_assert(eq(u64, left->member[i], words[i].id));
        }
}

Test(recovery, no_object_is_called_like_the_state) {
        Scene scene;

        scene_begin(&scene, false, live_for_so_long);
        scene_recover(&scene);
        scene_expect_tally(&scene, 2, 2, 2, 0, 0);
        scene_end(&scene);
}

/* ----
 * time -------------------------------------------------------------------------------------------- */

static void live_with_time_that_is_over(Kit *kit, Testament *left) {
        Lease *lease = testament_acquire(kit, left, 0, "udp4", SHARING_EXCLUSIVE);
        Member *member = lease->member;

        kit_lose(lease);
        member->retain_until_usec = 1;
        member_touch(member);
}

Test(recovery, what_was_parked_is_kept_until_its_time) {
        Scene scene;

        scene_begin(&scene, false, live_with_time_that_is_over);
        scene_recover(&scene);
        cr_assert(ne(ptr, scene_endpoint(&scene, 0), NULL));
        kit_turn(&scene.kit);
        cr_assert(eq(ptr, scene_endpoint(&scene, 0), NULL));
        kit_expect_told(&scene.kit, "closed ");
        scene_end(&scene);
}

Test(recovery, leases_that_nobody_takes_up_are_lost) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        scene_recover(&scene);
        kit_turn(&scene.kit);
        cr_assert(eq(sz, lease_registry_count(&scene.kit.services.leases), 1));
        kit_elapse(&scene.kit, &scene.kit.services.grace.timer);
        kit_expect_told(&scene.kit, "released parked ");
        cr_assert(eq(int, scene_member(&scene, 0)->state, MEMBER_PARKED));
        scene_end(&scene);
}

static void live_with_one_that_lost_its_lease(Kit *kit, Testament *left) {
        Lease *lease = testament_acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);

        services_settle(&kit->services);
        /* It was killed when the lease had ended, and the member did not know yet. */
        state_mark_end(&lease->saved);
}

Test(recovery, a_member_without_a_lease_is_parked) {
        Scene scene;

        scene_begin(&scene, false, live_with_one_that_lost_its_lease);
        scene_recover(&scene);
        cr_assert(eq(int, scene_member(&scene, 0)->state, MEMBER_PARKED));
        scene_expect_tally(&scene, 1, 1, 0, 0, 0);
        scene_end(&scene);
}

/* As a steered group of UDP has them. */
static void live_with_a_parked_member(Kit *kit, Testament *left) {
        Lease *lease = testament_acquire(kit, left, 0, "udp4", SHARING_GROUP);
        Member *member = lease->member;
        Lease *other = kit_follow(kit, member->endpoint);

        testament_note(left, 1, other);
        services_settle(&kit->services);
        member->state = MEMBER_PARKED;
        member->orphan = MEMBER_ORPHAN_PARKED;
        member->retain_until_usec = clock_usec(CLOCK_MONOTONIC) + KIT_RETAIN_USEC;
        member_touch(member);
        state_mark_end(&lease->saved);
}

/* The kernel would give it flows that are for others, and nobody would take them. */
Test(recovery, without_steering_nothing_is_parked_beside_a_live_member) {
        Scene scene;

        scene_begin(&scene, false, live_with_a_parked_member);
        scene_recover(&scene);
        cr_assert(eq(ptr, scene_member(&scene, 0), NULL));
        cr_assert(eq(int, scene_member(&scene, 1)->state, MEMBER_LIVE));
        cr_assert(eq(sz, scene_endpoint(&scene, 1)->n_members, 1));
        scene_end(&scene);
}

/* ---- the file
 * ------------------------------------------------------------------------------------------ */

/* What was kept is of no use, and given up. */
Test(recovery, a_state_that_cannot_be_read_is_made_anew) {
        int fd, seals[] = { 0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_WRITE };

        for (size_t i = 0; i < 3; i++) {
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
                manager_remove(&scene.manager, STATE_FILE_NAME);
                fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                cr_assert(zero(int, ftruncate(fd, 4096)));
                cr_assert(zero(int, fcntl(fd, F_ADD_SEALS, seals[i])));
                manager_keep(&scene.manager, STATE_FILE_NAME, fd);
                scene_recover(&scene);
                scene_expect_tally(&scene, 0, 0, 0, 0, 2);
                cr_assert(not(scene.kit.services.recovered.found));
                cr_assert(eq(sz, scene.manager.n, 1));
                scene_end(&scene);
        }
}

/* Whichever comes first; and the next broker finds it, though the manager gives up all of the name. */
Test(recovery, a_state_beside_something_else_is_kept) {
        for (int first = 0; first < 2; first++) {
                int good;
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
                good = fcntl(manager_find(&scene.manager, STATE_FILE_NAME), F_DUPFD_CLOEXEC, 3);
                manager_remove(&scene.manager, STATE_FILE_NAME);
                manager_keep(&scene.manager, STATE_FILE_NAME, first ? good : eventfd(0, EFD_CLOEXEC));
                manager_keep(&scene.manager, STATE_FILE_NAME, first ? eventfd(0, EFD_CLOEXEC) : good);
                scene_pass(&scene, scene_live_on);
                cr_assert(eq(sz, scene.manager.n, 2));
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 1, 1, 0, 0);
                scene_end(&scene);
        }
}

Test(recovery, a_state_that_is_not_there_is_made_anew) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        manager_remove(&scene.manager, STATE_FILE_NAME);
        scene_recover(&scene);
        scene_expect_tally(&scene, 0, 0, 0, 0, 1);
        scene_end(&scene);
}

Test(recovery, a_state_that_is_damaged_is_read_up_to_there) {
        uint32_t order = 1000;
        StateSlot slot = { 0 };
        StateFile *file;
        Scene scene;

        scene_begin(&scene, false, scene_live_with_two);
        file = scene_open_state(&scene);
        while (state_file_next(file, &slot) && slot.id != scene.left->endpoint[1])
                ;
        cr_assert(eq(int,
                     (int)pwrite(state_file_get_fd(file), &order, sizeof(order), (off_t)slot.at * 64),
                     (int)sizeof(order)));
        state_file_free(file);
        scene_recover(&scene);
        cr_assert(state_file_is_damaged(scene.kit.services.state.marks.file));
        cr_assert(eq(ptr, scene_endpoint(&scene, 1), NULL));
        scene_end(&scene);
}
