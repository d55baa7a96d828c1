/* SPDX-License-Identifier: BSD-2-Clause */

/* Groups that were steered by an earlier broker's program are steered by this one's. */

#include "tests/unit/recovery-kit.h"

TestSuite(recovery_steering, .timeout = 30);

static bool begin_steered(void) {
        const char *reason = NULL;
        Steering *steering = NULL;

        if (!kit_own_network() || steering_new(&steering, &reason) != 0)
                return false;
        steering_free(steering);
        return true;
}

static void live_steered(Kit *kit, Testament *left) {
        Lease *lease = kit_found(kit, "tcp4", STEERING_ROUND_ROBIN, KIT_RETAIN_USEC);

        testament_note(left, 0, lease);
        testament_note(left, 1, kit_follow(kit, lease->member->endpoint));
        testament_note(left, 2, kit_stand_by(kit, lease->member->endpoint));
        services_settle(&kit->services);
        left->sentinel = lease->member->endpoint->group.sentinel.id;
}

static void expect_steered(Scene *scene) {
        Member *members[] = { scene_member(scene, 0), scene_member(scene, 1), scene_member(scene, 2) };

        kit_expect_shares(members, "440");
        cr_assert(eq(sz, kit_serve(members[0]) + kit_serve(members[1]), 8));
}

/* What was kept under a name that begins so, after @item. */
static ManagerItem *next_kept(Scene *scene, const char *prefix, ManagerItem *item) {
        for (item = item ? item + 1 : scene->manager.items;
             item < scene->manager.items + scene->manager.n; item++)
                if (strncmp(item->name, prefix, strlen(prefix)) == 0)
                        return item;
        return NULL;
}

static size_t count_kept(Scene *scene, const char *prefix) {
        size_t n = 0;

        for (ManagerItem *item = NULL; (item = next_kept(scene, prefix, item));)
                n++;
        return n;
}

static void expect_maps(Scene *scene, size_t n) {
        cr_assert(eq(sz, count_kept(scene, STATE_MAP_NAME), n));
        cr_assert(eq(sz, count_kept(scene, STATE_COUNTS_NAME), n));
}

/* As a broker leaves it that is killed before its records say where the sockets are: there is what it
 * has of its own, what it had found, and the state as it was. */
static void die_amid_recovery(Scene *scene) {
        ManagerItem maps[8];
        const char *reason;
        StateFile *file;
        uint64_t last;
        size_t n = 0;
        int copy;

        for (ManagerItem *item = NULL; (item = next_kept(scene, "..", item));)
                if (strcmp(item->name, STATE_FILE_NAME) != 0) {
                        maps[n] = *item;
                        maps[n++].fd = fcntl(item->fd, F_DUPFD_CLOEXEC, 3);
                }
        cr_assert(zero(int, state_file_copy(manager_find(&scene->manager, STATE_FILE_NAME), &copy)));
        scene_pass(scene, scene_live_on);
        expect_maps(scene, 1);
        while (n-- > 0)
                manager_keep(&scene->manager, maps[n].name, maps[n].fd);
        file = scene_open_state(scene);
        last = state_file_get_last_id(file);
        state_file_free(file);
        manager_remove(&scene->manager, STATE_FILE_NAME);
        manager_keep(&scene->manager, STATE_FILE_NAME, fcntl(copy, F_DUPFD_CLOEXEC, 3));
        /* What has an id is said at once. */
        cr_assert(zero(int, state_file_open(copy, &file, &reason)));
        state_file_set_ids(file, state_file_get_epoch(file), last);
        state_file_free(file);
}

Test(recovery_steering, flows_are_steered_as_before) {
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_steered);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 3, 3, 0, 0);
        cr_assert(eq(u64, scene_endpoint(&scene, 0)->group.sentinel.id, scene.left->sentinel));
        expect_maps(&scene, 1);
        expect_steered(&scene);
        member_ready(scene_member(&scene, 2), scene_lease(&scene, 2));
        scene.kit.told[0] = '\0';
        kit_lose(scene_lease(&scene, 0));
        kit_depart(&scene.kit);
        scene_end(&scene);
}

Test(recovery_steering, flows_are_steered_as_before_one_that_died_amid_its_recovery) {
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_steered);
        die_amid_recovery(&scene);
        die_amid_recovery(&scene);
        expect_maps(&scene, 3);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 3, 3, 0, 0);
        expect_maps(&scene, 1);
        cr_assert(eq(u64, scene_endpoint(&scene, 0)->group.sentinel.id, scene.left->sentinel));
        expect_steered(&scene);
        scene_end(&scene);
}

/* With room for no more than what there is, the old map makes room for the new one. */
Test(recovery_steering, the_map_is_kept_where_there_is_no_room_to_spare) {
        Scene scene;
        char max[8];

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_steered);
        snprintf(max, sizeof(max), "%zu", scene.manager.n);
        setenv("FDSTORE", max, 1);
        scene.manager.max = scene.manager.n;
        scene_pass(&scene, scene_live_on);
        expect_maps(&scene, 1);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 3, 3, 0, 0);
        expect_maps(&scene, 1);
        expect_steered(&scene);
        scene_end(&scene);
}

Test(recovery_steering, a_sentinel_that_was_not_kept_is_made_anew) {
        for (int foreign = 0; foreign < 2; foreign++) {
                Scene scene;

                if (!begin_steered())
                        cr_skip_test("no steering");
                scene_begin(&scene, true, live_steered);
                scene_lose_kept(&scene, scene.left->sentinel);
                if (foreign)
                        scene_keep_more(&scene, scene.left->sentinel, kit_other_listener());
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 3, 3, 0, (size_t)foreign);
                cr_assert(eq(int, scene_kept(&scene, scene.left->sentinel), -1));
                expect_steered(&scene);
                scene_end(&scene);
        }
}

/* This one has no right to steer. */
Test(recovery_steering, a_group_that_was_steered_may_be_no_longer) {
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_steered);
        scene.steered = false;
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 3, 3, 0, 0);
        cr_assert(eq(int, scene_kept(&scene, scene.left->sentinel), -1));
        expect_maps(&scene, 0);
        kit_flows(scene_endpoint(&scene, 0), 16);
        cr_assert(eq(sz,
                     kit_serve(scene_member(&scene, 0)) + kit_serve(scene_member(&scene, 1)) +
                             kit_serve(scene_member(&scene, 2)),
                     16));
        scene_end(&scene);
}

static void change_place(void *saved, Scene *scene) {
        ((SavedMember *)saved)->place = UINT64_MAX;
}

Test(recovery_steering, a_place_that_cannot_be_is_no_harm) {
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_steered);
        scene_edit(&scene, STATE_MEMBER, scene.left->member[2], change_place);
        scene_recover(&scene);
        scene_end(&scene);
}

/* ---- flows that were counted
 * ---------------------------------------------------------------------------------- */

static void live_with_flows(Kit *kit, Testament *left) {
        live_steered(kit, left);
        kit_flows(endpoint_find(&kit->services.endpoints, left->address[0]), 10);
}

static void live_on_with_flows(Kit *kit, Testament *left) {
        kit_flows(endpoint_find(&kit->services.endpoints, left->address[0]), 4);
}

static void expect_flows(Scene *scene, uint64_t first, uint64_t second) {
        cr_assert(eq(u64, group_count_flows(scene_member(scene, 0)), first));
        cr_assert(eq(u64, group_count_flows(scene_member(scene, 1)), second));
        cr_assert(zero(u64, group_count_flows(scene_member(scene, 2))));
        kit_serve(scene_member(scene, 0));
        kit_serve(scene_member(scene, 1));
}

static ManagerItem *lose_counts(Scene *scene, int fd) {
        ManagerItem *item = next_kept(scene, STATE_COUNTS_NAME, NULL);

        close(item->fd);
        item->fd = fd;
        return item;
}

static int short_file(void) {
        char name[] = "/tmp/test-recovery-XXXXXX";
        int fd = mkostemp(name, O_CLOEXEC);

        cr_assert(ge(int, fd, 0));
        unlink(name);
        return fd;
}

Test(recovery_steering, flows_are_not_read_from_what_is_something_else) {
        for (int kind = 0; kind < 3; kind++) {
                Scene scene;

                if (!begin_steered())
                        cr_skip_test("no steering");
                scene_begin(&scene, true, live_with_flows);
                lose_counts(&scene, kind == 0   ? short_file()
                                    : kind == 1 ? kit_other_listener()
                                                : fcntl(next_kept(&scene, STATE_MAP_NAME, NULL)->fd,
                                                        F_DUPFD_CLOEXEC, 3));
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 3, 3, 0, 1);
                expect_flows(&scene, 0, 0);
                expect_maps(&scene, 1);
                expect_steered(&scene);
                scene_end(&scene);
        }
}

Test(recovery_steering, flows_beside_something_else_are_counted_on) {
        for (int first = 0; first < 2; first++) {
                ManagerItem *item, good;
                Scene scene;

                if (!begin_steered())
                        cr_skip_test("no steering");
                scene_begin(&scene, true, live_with_flows);
                item = next_kept(&scene, STATE_COUNTS_NAME, NULL);
                good = *item;
                if (first)
                        item->fd = short_file();
                manager_keep(&scene.manager, good.name, first ? good.fd : short_file());
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 3, 3, 0, 1);
                expect_flows(&scene, 5, 5);
                expect_maps(&scene, 1);
                scene_end(&scene);
        }
}

Test(recovery_steering, flows_that_were_not_kept_begin_anew) {
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_with_flows);
        manager_remove(&scene.manager, next_kept(&scene, STATE_COUNTS_NAME, NULL)->name);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 3, 3, 0, 0);
        expect_flows(&scene, 0, 0);
        expect_steered(&scene);
        scene_end(&scene);
}

static void change_count_to_none(void *saved, Scene *scene) {
        ((SavedMember *)saved)->counted_by = 4711;
}

static void change_count_at_to_odd(void *saved, Scene *scene) {
        ((SavedMember *)saved)->count_at += 1;
}

static void change_count_at_to_far(void *saved, Scene *scene) {
        ((SavedMember *)saved)->count_at = UINT64_MAX - 7;
}

Test(recovery_steering, flows_that_cannot_be_there_are_none) {
        static void (*const changes[])(void *saved, Scene *scene) = { change_count_to_none,
                                                                      change_count_at_to_odd,
                                                                      change_count_at_to_far };

        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                Scene scene;

                if (!begin_steered())
                        cr_skip_test("no steering");
                scene_begin(&scene, true, live_with_flows);
                scene_edit(&scene, STATE_MEMBER, scene.left->member[0], changes[i]);
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 3, 3, 0, 0);
                expect_flows(&scene, 0, 5);
                expect_steered(&scene);
                scene_end(&scene);
        }
}

/* Also those that came while there was no broker. */
Test(recovery_steering, flows_are_counted_on) {
        Address address;
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_with_flows);
        for (int i = 0; i < 2; i++) {
                scene_pass(&scene, live_on_with_flows);
                address = kit_address("tcp4", strchr(scene.left->address[0], ' ') + 1);
                for (int k = 0; k < 2; k++)
                        close(kit_connect(&address));
        }
        scene_recover(&scene);
        expect_flows(&scene, 11, 11);
        kit_flows(scene_endpoint(&scene, 0), 2);
        expect_flows(&scene, 12, 12);
        scene_end(&scene);
}

/* What this one has counted in its moment is not much. */
Test(recovery_steering, flows_are_counted_on_after_one_that_died_amid_its_recovery) {
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_with_flows);
        die_amid_recovery(&scene);
        scene_recover(&scene);
        expect_flows(&scene, 5, 5);
        scene_end(&scene);
}

static void live_without_steering(Scene *scene) {
        scene->steered = false;
        scene_pass(scene, scene_live_on);
        scene->steered = true;
}

Test(recovery_steering, flows_are_counted_on_after_one_that_did_not_steer) {
        Scene scene;

        if (!begin_steered())
                cr_skip_test("no steering");
        scene_begin(&scene, true, live_with_flows);
        live_without_steering(&scene);
        expect_maps(&scene, 0);
        scene_recover(&scene);
        expect_flows(&scene, 5, 5);
        expect_steered(&scene);
        scene_end(&scene);
}
