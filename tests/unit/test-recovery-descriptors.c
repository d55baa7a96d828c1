/* SPDX-License-Identifier: BSD-2-Clause */

/* Which of the descriptors that the manager kept the next broker takes up. */

#include "daemon/recovery.h"

#include <sys/eventfd.h>

#include "tests/unit/recovery-kit.h"

TestSuite(recovery_descriptors, .timeout = 30);

static uint64_t cookie_of(int fd) {
        uint64_t cookie = 0;

        cr_assert(zero(int,
                       getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &(socklen_t){ sizeof(cookie) })));
        return cookie;
}

Test(recovery_descriptors, a_socket_that_was_not_kept_is_lost) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        scene_lose_kept(&scene, scene.left->member[0]);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 0, 0, 2, 0);
        cr_assert(zero(sz, endpoint_registry_count(&scene.kit.services.endpoints)));
        cr_assert(zero(sz, scene_count_records(&scene)));
        scene_end(&scene);
}

Test(recovery_descriptors, another_descriptor_in_its_place_is_closed) {
        enum { PIPE, REGULAR, LISTENER, KINDS };

        for (int kind = 0; kind < KINDS; kind++) {
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
                scene_lose_kept(&scene, scene.left->member[0]);
                scene_keep_more(&scene, scene.left->member[0],
                                kind == PIPE      ? eventfd(0, EFD_CLOEXEC)
                                : kind == REGULAR ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
                                                  : kit_other_listener());
                scene_recover(&scene);
                scene_expect_tally(&scene, 1, 0, 0, 2, 1);
                cr_assert(eq(int, scene_kept(&scene, scene.left->member[0]), -1));
                scene_end(&scene);
        }
}

Test(recovery_descriptors, what_no_record_knows_is_closed) {
        Scene scene;

        scene_begin(&scene, false, scene_live_with_one);
        manager_keep(&scene.manager, ".stranger", eventfd(0, EFD_CLOEXEC));
        manager_keep(&scene.manager, ".", eventfd(0, EFD_CLOEXEC));
        scene_keep_more(&scene, 4711, kit_other_listener());
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 1, 0, 3);
        cr_assert(eq(sz, scene.manager.n, 2));
        scene_end(&scene);
}

/* The manager gives up all of a name; the good one must not be lost to the next broker by that. */
Test(recovery_descriptors, of_two_under_one_name_the_good_one_is_kept) {
        for (int first = 0; first < 2; first++) {
                int good, other;
                Scene scene;

                scene_begin(&scene, false, scene_live_with_one);
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
Test(recovery_descriptors, a_listener_that_was_shut_down_listens_again) {
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
