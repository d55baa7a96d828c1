/* SPDX-License-Identifier: BSD-2-Clause */

/* Which of the records that are left the next broker believes. */

#include "daemon/recovery.h"

#include "tests/unit/recovery-kit.h"

TestSuite(recovery_records, .timeout = 30);

static void change_cookie(void *saved, Scene *scene) {
        ((SavedMember *)saved)->cookie++;
}

static void change_endpoint_of(void *saved, Scene *scene) {
        ((SavedMember *)saved)->endpoint = 4711;
}

static void change_state(void *saved, Scene *scene) {
        ((SavedMember *)saved)->state = _MEMBER_STATE_N;
}

static void change_weight(void *saved, Scene *scene) {
        ((SavedMember *)saved)->weight = UINT64_MAX;
}

static void change_orphan(void *saved, Scene *scene) {
        ((SavedMember *)saved)->orphan = 3;
}

/* The lease goes with its member. */
Test(recovery_records, a_member_that_does_not_fit_is_lost) {
        static const struct {
                void (*change)(void *saved, Scene *scene);
        } cases[] = { { change_cookie },
                      { change_endpoint_of },
                      { change_state },
                      { change_weight },
                      { change_orphan } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
                scene_edit(&scene, STATE_MEMBER, scene.left->member[0], cases[i].change);
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 0, 0, 2, 1);
                cr_assert(zero(sz, scene_count_records(&scene)));
                scene_end(&scene);
        }
}

static void change_address(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->address = "127.0.0.1:1";
}

Test(recovery_records, a_socket_of_another_address_is_lost) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        scene_edit(&scene, STATE_ENDPOINT, scene.left->endpoint[0], change_address);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 0, 0, 2, 1);
        scene_end(&scene);
}

static void change_to_no_address(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->address = "nowhere";
}

static void change_to_no_network(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->network = NULL;
}

static void change_sharing(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->sharing = _SHARING_N;
}

static void change_steering(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->steering = 1000;
}

static void change_to_another_network(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->network = "udp4";
}

/* With all that hangs on it. */
Test(recovery_records, an_endpoint_that_cannot_be_is_lost) {
        static const struct {
                void (*change)(void *saved, Scene *scene);
                size_t n_endpoints;
        } cases[] = { { change_to_no_address, 0 },
                      { change_to_no_network, 0 },
                      { change_sharing, 0 },
                      { change_steering, 0 },
                      { change_to_another_network, 1 } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
                scene_edit(&scene, STATE_ENDPOINT, scene.left->endpoint[0], cases[i].change);
                scene_recover(&scene);
                scene_expect_tally(&scene, cases[i].n_endpoints, 0, 0, 2, 1);
                cr_assert(zero(sz, scene_count_records(&scene)));
                scene_end(&scene);
        }
}

static void change_options(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->options = "{\"parameters\":{\"backlog\":\"many\"}}";
}

static void change_to_no_options(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->options = "}{";
}

/* They are no reason to give it up. */
Test(recovery_records, options_that_cannot_be_read_are_none) {
        for (int i = 0; i < 2; i++) {
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
                scene_edit(&scene, STATE_ENDPOINT, scene.left->endpoint[0],
                           i ? change_options : change_to_no_options);
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 1, 1, 0, 0);
                cr_assert(eq(ptr, scene_endpoint(&scene, 0)->requested, NULL));
                scene_end(&scene);
        }
}

static void change_member_of(void *saved, Scene *scene) {
        ((SavedLease *)saved)->member = 4711;
}

Test(recovery_records, a_lease_of_no_member_is_lost) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        scene_edit(&scene, STATE_LEASE, scene.left->lease[0], change_member_of);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 0, 1, 0);
        cr_assert(eq(int, scene_member(&scene, 0)->state, MEMBER_PARKED));
        scene_end(&scene);
}

Test(recovery_records, records_that_cannot_be_read_are_given_up) {
        static const uint32_t bad[2] = { 1, 1000 };
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        for (uint32_t kind = STATE_ENDPOINT; kind < _STATE_KIND_N; kind++) {
                scene_add(&scene, kind, 1, bad, sizeof(bad));
                scene_add(&scene, kind, 1, NULL, 0);
        }
        scene_recover(&scene);
        cr_assert(eq(sz, scene_count_records(&scene), 3));
        cr_assert(eq(sz, scene.kit.services.recovered.n_leases, 1));
        scene_end(&scene);
}

/* An id that was never given, or none at all. */
Test(recovery_records, ids_that_were_never_given_are_given_up) {
        static const uint64_t ids[] = { 0, 4711, UINT64_MAX };

        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
                StateBuffer buffer = { 0 };
                SavedLease saved = { 0 };
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
                saved.member = scene.left->member[0];
                cr_assert(zero(int, state_record_encode(STATE_LEASE, &saved, &buffer)));
                scene_add(&scene, STATE_LEASE, ids[i], buffer.data, buffer.n);
                state_buffer_deinit(&buffer);
                scene_recover(&scene);
                cr_assert(eq(sz, lease_registry_count(&scene.kit.services.leases), 1));
                cr_assert(eq(sz, scene_count_records(&scene), 3));
                scene_end(&scene);
        }
}

Test(recovery_records, records_of_an_unknown_kind_are_kept) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        scene_add(&scene, 1000, 1, "unknown", 7);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 1, 0, 0);
        cr_assert(eq(sz, scene_count_records(&scene), 4));
        scene_end_with(&scene, 1);
}

static size_t count_unknown_fields(const Scene *scene, const char *text) {
        StateSlot slot = { 0 };
        size_t n = 0;

        while (state_file_next(scene->kit.services.state.marks.file, &slot))
                n += memmem(slot.data, slot.n, text, strlen(text)) != NULL;
        return n;
}

/* A field that no broker of today knows. */
static void append_newer(StateBuffer *buffer, const char *text) {
        uint32_t head[2] = { 4711, (uint32_t)strlen(text) };

        cr_assert(zero(int, state_buffer_append(buffer, head, sizeof(head))));
        cr_assert(zero(int, state_buffer_append(buffer, text, strlen(text))));
}

/* As a newer broker writes them: with one more field in each object, and in each subject. */
static void renew_records(const Scene *scene) {
        static const uint32_t subjects[] = {
                [STATE_ENDPOINT] = 9, [STATE_MEMBER] = 9, [STATE_LEASE] = 3
        };
        StateFile *file = scene_open_state(scene);

        for (uint32_t kind = STATE_ENDPOINT; kind < _STATE_KIND_N; kind++) {
                StateBuffer buffer = { 0 };
                StateSlot slot = { 0 };
                uint32_t head[2];

                while (state_file_next(file, &slot) && slot.kind != kind)
                        ;
                for (size_t at = 0; at < slot.n; at += sizeof(head) + head[1]) {
                        size_t begin = buffer.n;

                        memcpy(head, slot.data + at, sizeof(head));
                        cr_assert(zero(int, state_buffer_append(&buffer, slot.data + at,
                                                                sizeof(head) + head[1])));
                        if (head[0] != subjects[kind])
                                continue;
                        append_newer(&buffer, "newer subject");
                        memcpy(buffer.data + begin + sizeof(uint32_t),
                               &(uint32_t){ (uint32_t)(buffer.n - begin - sizeof(head)) },
                               sizeof(uint32_t));
                }
                append_newer(&buffer, "newer object");
                cr_assert(
                        zero(int, state_file_put(file, kind, slot.id, buffer.data, buffer.n, &slot.at)));
                state_buffer_deinit(&buffer);
        }
        state_file_free(file);
}

static void live_with_a_holder(Kit *kit, Testament *left) {
        lease_commit(testament_acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE), false);
}

/* However often the object changes, and whoever reads it in between. */
Test(recovery_records, fields_that_are_unknown_are_kept) {
        Scene scene;

        scene_begin(&scene, false, live_with_a_holder);
        renew_records(&scene);
        scene_pass(&scene, scene_live_on);
        scene_recover(&scene);
        member_set_weight(scene_member(&scene, 0), 5);
        endpoint_touch(scene_endpoint(&scene, 0));
        services_settle(&scene.kit.services);
        cr_assert(eq(sz, count_unknown_fields(&scene, "newer object"), 3));
        cr_assert(eq(sz, count_unknown_fields(&scene, "newer subject"), 3));
        scene_end(&scene);
}

/* What was known of one client is not true of another. */
Test(recovery_records, fields_that_are_unknown_go_with_their_subject) {
        Subject *other;
        Scene scene;

        scene_begin(&scene, false, live_with_a_holder);
        renew_records(&scene);
        scene_recover(&scene);
        other = kit_subject(1001);
        member_set_holder(scene_member(&scene, 0), other);
        lease_move(scene_lease(&scene, 0), &scene.kit.services.grace.owner, NULL, other);
        subject_unref(other);
        services_settle(&scene.kit.services);
        cr_assert(eq(sz, count_unknown_fields(&scene, "newer object"), 3));
        cr_assert(eq(sz, count_unknown_fields(&scene, "newer subject"), 1));
        scene_end(&scene);
}

Test(recovery_records, one_name_may_be_of_two) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_two);
        scene_recover(&scene);
        KIT_EXPECT_TEXT(scene_endpoint(&scene, 0)->name, "a");
        KIT_EXPECT_TEXT(scene_endpoint(&scene, 1)->name, "a");
        scene_end(&scene);
}

static void change_to_the_address_of_the_first(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->network = "tcp4";
        ((SavedEndpoint *)saved)->address = strchr(scene->left->address[0], ' ') + 1;
}

Test(recovery_records, of_two_endpoints_with_one_address_one_is_lost) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_two);
        scene_edit(&scene, STATE_ENDPOINT, scene.left->endpoint[1], change_to_the_address_of_the_first);
        scene_recover(&scene);
        cr_assert(eq(sz, endpoint_registry_count(&scene.kit.services.endpoints), 1));
        scene_end(&scene);
}
