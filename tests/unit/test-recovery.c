/* SPDX-License-Identifier: BSD-2-Clause */

/* The next broker has what the one before it had, and nothing that does not fit. */

#include "daemon/recovery.h"

#include <sys/eventfd.h>
#include <sys/stat.h>

#include "tests/unit/recovery-kit.h"

TestSuite(recovery, .timeout = 30);

static int open_pidfd(pid_t pid) {
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        cr_assert(ge(int, fd, 0));
        return fd;
}

static Lease *acquire(Kit *kit, Testament *left, size_t i, const char *network, Sharing sharing) {
        const char *text = strcmp(network, "unix") == 0 ? "@test-recovery" : "127.0.0.1:0";
        Lease *lease;

        kit->told[0] = '\0';
        lease = kit_acquire(kit, network, text, sharing, KIT_RETAIN_USEC);
        testament_note(left, i, lease);
        return lease;
}

static void live_with_one(Kit *kit, Testament *left) {
        acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
}

static uint64_t cookie_of(int fd) {
        uint64_t cookie = 0;

        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &(socklen_t){ sizeof(cookie) })));
        return cookie;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

static void live_with_much(Kit *kit, Testament *left) {
        Tenant tenant = tenant_of("web", 0);
        Options options;
        Lease *lease;

        wire_init(&wire_options, &options);
        options.backlog = 77;
        lease = acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
        cr_assert(zero(int, endpoint_rename(lease->member->endpoint, "front")));
        lease->member->endpoint->tenant = tenant;
        cr_assert(zero(int, wire_copy(&wire_options, &options, (void **)&lease->member->endpoint->requested)));
        left->since_usec = lease->since_usec;
        /* A group: one is live, one drains, one stands by. */
        lease = acquire(kit, left, 1, "tcp4", SHARING_GROUP);
        member_set_weight(lease->member, 33);
        lease->member->endpoint->group.mode = STEERING_SOURCE;
        lease = kit_follow(kit, lease->member->endpoint);
        testament_note(left, 2, lease);
        member_drain(lease->member);
        kit->told[0] = '\0';
        testament_note(left, 3, kit_stand_by(kit, lease->member->endpoint));
        /* One is parked. */
        lease = acquire(kit, left, 4, "udp4", SHARING_EXCLUSIVE);
        kit_lose(lease);
        /* Two leases of one member. */
        lease = acquire(kit, left, 5, "unix", SHARING_SHARED);
        testament_note(left, 6, kit_lease_of(kit, 1001, lease->member));
        /* What has come and gone. */
        kit_release(acquire(kit, left, 7, "udp4", SHARING_EXCLUSIVE));
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
                acquire(kit, left, i, "tcp4", SHARING_EXCLUSIVE);
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

/* ---- time -------------------------------------------------------------------------------------------- */

static void live_with_time_that_is_over(Kit *kit, Testament *left) {
        Lease *lease = acquire(kit, left, 0, "udp4", SHARING_EXCLUSIVE);
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

        scene_begin(&scene, false, live_with_one);
        scene_recover(&scene);
        kit_turn(&scene.kit);
        cr_assert(eq(sz, lease_registry_count(&scene.kit.services.leases), 1));
        kit_elapse(&scene.kit, &scene.kit.services.grace.timer);
        kit_expect_told(&scene.kit, "released parked ");
        cr_assert(eq(int, scene_member(&scene, 0)->state, MEMBER_PARKED));
        scene_end(&scene);
}

static void live_with_one_that_lost_its_lease(Kit *kit, Testament *left) {
        Lease *lease = acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);

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
        Lease *lease = acquire(kit, left, 0, "udp4", SHARING_GROUP);
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

/* ---- descriptors --------------------------------------------------------------------------------------- */

Test(recovery, a_socket_that_was_not_kept_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_with_one);
        scene_lose_kept(&scene, scene.left->member[0]);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 0, 0, 2, 0);
        cr_assert(zero(sz, endpoint_registry_count(&scene.kit.services.endpoints)));
        cr_assert(zero(sz, scene_count_records(&scene)));
        scene_end(&scene);
}

Test(recovery, another_descriptor_in_its_place_is_closed) {
        enum { PIPE, REGULAR, LISTENER, KINDS };

        for (int kind = 0; kind < KINDS; kind++) {
                Scene scene;

                scene_begin(&scene, false, live_with_one);
                scene_lose_kept(&scene, scene.left->member[0]);
                scene_keep_more(&scene, scene.left->member[0],
                          kind == PIPE    ? eventfd(0, EFD_CLOEXEC)
                          : kind == REGULAR ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
                                          : kit_other_listener());
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 0, 0, 2, 1);
                cr_assert(eq(int, scene_kept(&scene, scene.left->member[0]), -1));
                scene_end(&scene);
        }
}

Test(recovery, what_no_record_knows_is_closed) {
        Scene scene;

        scene_begin(&scene, false, live_with_one);
        manager_keep(&scene.manager, ".stranger", eventfd(0, EFD_CLOEXEC));
        manager_keep(&scene.manager, ".", eventfd(0, EFD_CLOEXEC));
        scene_keep_more(&scene, 4711, kit_other_listener());
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 1, 0, 3);
        cr_assert(eq(sz, scene.manager.n, 2));
        scene_end(&scene);
}

/* The manager gives up all of a name; the good one must not be lost to the next broker by that. */
Test(recovery, of_two_under_one_name_the_good_one_is_kept) {
        for (int first = 0; first < 2; first++) {
                int good, other;
                Scene scene;

                scene_begin(&scene, false, live_with_one);
                good = fcntl(scene_kept(&scene, scene.left->member[0]), F_DUPFD_CLOEXEC, 3);
                other = kit_other_listener();
                scene_lose_kept(&scene, scene.left->member[0]);
                scene_keep_more(&scene, scene.left->member[0], first ? good : other);
                scene_keep_more(&scene, scene.left->member[0], first ? other : good);
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 1, 1, 0, 1);
                cr_assert(eq(u64, cookie_of(scene_kept(&scene, scene.left->member[0])),
                             scene_member(&scene, 0)->cookie));
                scene_end(&scene);
        }
}

static void live_with_one_shut_down(Kit *kit, Testament *left) {
        Address address = kit_address("tcp4", kit_new_address("tcp4")), bound;
        int fd = kit_socket(&address, SHARING_EXCLUSIVE, &bound);
        Endpoint *endpoint;
        Member *member;

        cr_assert(zero(int, kit_endpoint_new(kit, &bound, NULL, SHARING_EXCLUSIVE, NULL, 0, &endpoint)));
        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(zero(int, member_enter(member, false, MEMBER_WEIGHT_DEFAULT)));
        testament_note(left, 0, kit_lease(kit, member, NULL));
        shutdown(fd, SHUT_RDWR);
}

/* By its holder, when there was no broker. */
Test(recovery, a_listener_that_was_shut_down_listens_again) {
        Scene scene;

        if (!kit_own_network())
                cr_skip_test("no network namespace of its own: needs root");
        scene_begin(&scene, false, live_with_one_shut_down);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 1, 0, 0);
        kit_turn(&scene.kit);
        close(kit_connect(&scene_endpoint(&scene, 0)->address));
        scene_end(&scene);
}

/* ---- records ------------------------------------------------------------------------------------------- */

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
Test(recovery, a_member_that_does_not_fit_is_lost) {
        static const struct {
                void (*change)(void *saved, Scene *scene);
        } cases[] = { { change_cookie }, { change_endpoint_of }, { change_state }, { change_weight },
                      { change_orphan } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Scene scene;

                scene_begin(&scene, false, live_with_one);
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

Test(recovery, a_socket_of_another_address_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_with_one);
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
Test(recovery, an_endpoint_that_cannot_be_is_lost) {
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

                scene_begin(&scene, false, live_with_one);
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
Test(recovery, options_that_cannot_be_read_are_none) {
        for (int i = 0; i < 2; i++) {
                Scene scene;

                scene_begin(&scene, false, live_with_one);
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

Test(recovery, a_lease_of_no_member_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_with_one);
        scene_edit(&scene, STATE_LEASE, scene.left->lease[0], change_member_of);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 0, 1, 0);
        cr_assert(eq(int, scene_member(&scene, 0)->state, MEMBER_PARKED));
        scene_end(&scene);
}

Test(recovery, records_that_cannot_be_read_are_given_up) {
        static const uint32_t bad[2] = { 1, 1000 };
        Scene scene;

        scene_begin(&scene, false, live_with_one);
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
Test(recovery, ids_that_were_never_given_are_given_up) {
        static const uint64_t ids[] = { 0, 4711, UINT64_MAX };

        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
                StateBuffer buffer = { 0 };
                SavedLease saved = { 0 };
                Scene scene;

                scene_begin(&scene, false, live_with_one);
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

Test(recovery, records_of_an_unknown_kind_are_kept) {
        Scene scene;

        scene_begin(&scene, false, live_with_one);
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
        static const uint32_t subjects[] = { [STATE_ENDPOINT] = 9, [STATE_MEMBER] = 9, [STATE_LEASE] = 3 };
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
                        cr_assert(zero(int, state_buffer_append(&buffer, slot.data + at, sizeof(head) + head[1])));
                        if (head[0] != subjects[kind])
                                continue;
                        append_newer(&buffer, "newer subject");
                        memcpy(buffer.data + begin + sizeof(uint32_t),
                               &(uint32_t){ (uint32_t)(buffer.n - begin - sizeof(head)) }, sizeof(uint32_t));
                }
                append_newer(&buffer, "newer object");
                cr_assert(zero(int, state_file_put(file, kind, slot.id, buffer.data, buffer.n, &slot.at)));
                state_buffer_deinit(&buffer);
        }
        state_file_free(file);
}

static void live_with_a_holder(Kit *kit, Testament *left) {
        lease_commit(acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE), false);
}

/* However often the object changes, and whoever reads it in between. */
Test(recovery, fields_that_are_unknown_are_kept) {
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
Test(recovery, fields_that_are_unknown_go_with_their_subject) {
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

static void live_with_two(Kit *kit, Testament *left) {
        acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
        acquire(kit, left, 1, "udp4", SHARING_EXCLUSIVE);
        cr_assert(zero(int, endpoint_rename(endpoint_find(&kit->services.endpoints, left->address[0]), "a")));
        endpoint_find(&kit->services.endpoints, left->address[1])->tenant = tenant_of("other", 0);
        cr_assert(zero(int, endpoint_rename(endpoint_find(&kit->services.endpoints, left->address[1]), "a")));
}

/* Of two tenants, which the rules have made one since. */
Test(recovery, one_name_may_be_of_two) {
        Scene scene;

        scene_begin(&scene, false, live_with_two);
        scene_recover(&scene);
        KIT_EXPECT_TEXT(scene_endpoint(&scene, 0)->name, "a");
        KIT_EXPECT_TEXT(scene_endpoint(&scene, 1)->name, "a");
        scene_end(&scene);
}

static void change_to_the_address_of_the_first(void *saved, Scene *scene) {
        ((SavedEndpoint *)saved)->network = "tcp4";
        ((SavedEndpoint *)saved)->address = strchr(scene->left->address[0], ' ') + 1;
}

Test(recovery, of_two_endpoints_with_one_address_one_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_with_two);
        scene_edit(&scene, STATE_ENDPOINT, scene.left->endpoint[1], change_to_the_address_of_the_first);
        scene_recover(&scene);
        cr_assert(eq(sz, endpoint_registry_count(&scene.kit.services.endpoints), 1));
        scene_end(&scene);
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* What was kept is of no use, and given up. */
Test(recovery, a_state_that_cannot_be_read_is_made_anew) {
        int fd, seals[] = { 0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_WRITE };

        for (size_t i = 0; i < 3; i++) {
                Scene scene;

                scene_begin(&scene, false, live_with_one);
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

                scene_begin(&scene, false, live_with_one);
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

        scene_begin(&scene, false, live_with_one);
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

        scene_begin(&scene, false, live_with_two);
        file = scene_open_state(&scene);
        while (state_file_next(file, &slot) && slot.id != scene.left->endpoint[1])
                ;
        cr_assert(eq(int, (int)pwrite(state_file_get_fd(file), &order, sizeof(order), (off_t)slot.at * 64),
                     (int)sizeof(order)));
        state_file_free(file);
        scene_recover(&scene);
        cr_assert(state_file_is_damaged(scene.kit.services.state.marks.file));
        cr_assert(eq(ptr, scene_endpoint(&scene, 1), NULL));
        scene_end(&scene);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static Lease *acquire_for(Kit *kit, Testament *left, pid_t pid) {
        Member *member = kit_open(kit, "tcp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0);
        Process *process;
        Lease *lease;

        cr_assert(zero(int, process_new(kit->services.event, open_pidfd(pid), &process)));
        lease = kit_lease(kit, member, process);
        testament_note(left, 0, lease);
        services_settle(&kit->services);
        left->process = process->id;
        return lease;
}

static void live_for_the_test(Kit *kit, Testament *left) {
        Lease *lease = acquire_for(kit, left, getppid());

        testament_note(left, 1, kit_lease(kit, kit_open(kit, "tcp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0), lease->process));
}

Test(recovery, a_process_is_known_by_its_descriptor) {
        Lease *lease;
        Scene scene;

        scene_begin(&scene, false, live_for_the_test);
        scene_recover(&scene);
        scene_expect_tally(&scene, 2, 2, 2, 0, 0);
        lease = scene_lease(&scene, 0);
        cr_assert(eq(u64, lease->process->id, scene.left->process));
        cr_assert(eq(ptr, lease->owner, &lease->process->owner));
        cr_assert(eq(ptr, scene_lease(&scene, 1)->process, lease->process));
        cr_assert(eq(sz, lease->process->n_refs, 2));
        /* Nobody waits for a connection. */
        cr_assert(not(scene.kit.services.grace.timer.armed));
        kit_turn(&scene.kit);
        cr_assert(eq(sz, lease_registry_count(&scene.kit.services.leases), 2));
        scene_end(&scene);
}

static void live_for_one_who_dies(Kit *kit, Testament *left) {
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        pause();
        acquire_for(kit, left, pid);
        kill(pid, SIGKILL);
}

Test(recovery, a_process_that_ended_meanwhile_ends_its_leases) {
        Scene scene;

        scene_begin(&scene, false, live_for_one_who_dies);
        while (poll(&(struct pollfd){ .fd = scene_kept(&scene, scene.left->process), .events = POLLIN }, 1, 1000) == 0)
                ;
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 1, 0, 0);
        kit_turn(&scene.kit);
        kit_expect_told(&scene.kit, "released closed ");
        scene_end(&scene);
}

Test(recovery, without_its_process_a_lease_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_for_the_test);
        scene_lose_kept(&scene, scene.left->process);
        scene_recover(&scene);
        scene_expect_tally(&scene, 2, 2, 0, 2, 0);
        scene_end(&scene);
}

/* It would never end, or, if it cannot be watched, keep the broker from its start. */
Test(recovery, what_is_no_process_is_closed) {
        for (int kind = 0; kind < 3; kind++) {
                Scene scene;

                scene_begin(&scene, false, live_for_the_test);
                scene_lose_kept(&scene, scene.left->process);
                scene_keep_more(&scene, scene.left->process,
                          kind == 0   ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
                          : kind == 1 ? kit_other_listener()
                                      : eventfd(0, EFD_CLOEXEC));
                scene_recover(&scene);
                scene_expect_tally(&scene, 2, 2, 0, 2, 1);
                cr_assert(eq(int, scene_kept(&scene, scene.left->process), -1));
                scene_end(&scene);
        }
}

Test(recovery, of_two_processes_under_one_name_the_first_is_kept) {
        Scene scene;

        scene_begin(&scene, false, live_for_the_test);
        scene_keep_more(&scene, scene.left->process, eventfd(0, EFD_CLOEXEC));
        scene_recover(&scene);
        scene_expect_tally(&scene, 2, 2, 2, 0, 1);
        cr_assert(ge(int, scene_kept(&scene, scene.left->process), 0));
        scene_end(&scene);
}

static void live_for_one_who_has_gone(Kit *kit, Testament *left) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
        kit->subject->pid = pid;
        acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
}

/* Nobody is there to come back. */
Test(recovery, a_connection_of_a_process_that_is_no_more_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_for_one_who_has_gone);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 0, 1, 0);
        cr_assert(eq(int, scene_member(&scene, 0)->state, MEMBER_PARKED));
        scene_end(&scene);
}
