/* SPDX-License-Identifier: BSD-2-Clause */

/* What the next broker cannot make anything of: it is told, and nothing else suffers from it. */

#include "tests/integration/recovery-kit.h"

TestSuite(recovery, .timeout = 60);

/* The item of the only socket. */
static KeeperItem *item_of(const KitSocket *held) {
        for (size_t i = 0; i < keeper.n; i++) {
                unsigned long long cookie;
                socklen_t size = sizeof(cookie);

                if (getsockopt(keeper.items[i].fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 &&
                    cookie == kit_cookie(held->fd))
                        return &keeper.items[i];
        }
        cr_fatal("it is not kept");
}

Test(recovery, descriptor_that_is_missing) {
        KitSocket held;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        harness_kill(&kit.harness);
        close(control);
        keeper_lose(&keeper, item_of(&held));
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        /* The socket, and the lease on it. */
        expect_status(control, "lost", 2);
        expect_status(control, "recovered", 0);
        expect_status(control, "endpoints", 0);
        cr_assert(not(kit_resume(control, &held)));
        kit_drop(&held);
        close(control);
        end(&kit);
}

Test(recovery, descriptor_that_is_another_or_nobody_s) {
        KitSocket held;
        KeeperItem *item;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        harness_kill(&kit.harness);
        close(control);
        item = item_of(&held);
        close(item->fd);
        item->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        keeper.items[keeper.n++] = (KeeperItem){ .fd = dup(0), .name = ".zzz" };
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        expect_status(control, "foreign", 2);
        expect_status(control, "lost", 2);
        expect_status(control, "recovered", 0);
        /* They are out of the store, too. */
        keeper_work(&keeper);
        cr_assert(eq(ptr, keeper_find(&keeper, ".zzz"), NULL));
        kit_drop(&held);
        close(control);
        end(&kit);
}

Test(recovery, state_of_a_much_later_version) {
        KitSocket held;
        uint32_t version = 99;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        harness_kill(&kit.harness);
        close(control);
        cr_assert(eq(sz,
                     (size_t)pwrite(keeper_find(&keeper, "..state")->fd, &version, sizeof(version), 16),
                     sizeof(version)));
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 0);
        expect_status(control, "endpoints", 0);
        kit_drop(&held);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_release(control, &held);
        close(control);
        end(&kit);
}

Test(recovery, store_without_room) {
        enum { N = 5, ROOM = 4 };
        KitSocket held[N];
        long long not_kept;
        int control;
        Kit kit;

        begin(&kit, CONFIG, ROOM);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < N; i++)
                held[i] = kit_acquire(
                        control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}");
        /* The state is in there, and what the program has, if there is one. */
        not_kept = N + (kit_is_capable(control, "steer") ? 3 : 1) - ROOM;
        expect_status(control, "notKept", not_kept);
        cr_assert(zero(sz, keeper.n_refused), "what there is no room for is not sent");
        /* Room that somebody leaves is taken. */
        kit_release(control, &held[0]);
        expect_status(control, "notKept", not_kept - 1);
        cr_assert(le(sz, keeper_count(&keeper), ROOM));
        for (size_t i = 1; i < N; i++)
                kit_release(control, &held[i]);
        expect_status(control, "notKept", 0);
        close(control);
        end(&kit);
}

/* What was not kept serves on with its holder, beside what was. */
Test(recovery, group_that_was_kept_in_part) {
        enum { N = 40 };
        KitSocket held[2];
        int control, peers[N];
        size_t served[2] = { 0 };
        Kit kit;

        /* The state, the map of the program, its counts, and one more. */
        begin(&kit, CONFIG, 4);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < 2; i++)
                held[i] = kit_acquire(control, "{'network':'tcp4','address':'%s'}",
                                      i == 0 ? "127.0.0.1:0" : kit_address(&held[0]));
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 1);
        for (size_t i = 0; i < N; i++)
                peers[i] = kit_connect_to(&held[0]);
        while (served[0] + served[1] < N)
                for (size_t i = 0; i < 2; i++)
                        served[i] += kit_accept_all(held[i].fd);
        for (size_t i = 0; i < 2; i++)
                cr_assert(ge(sz, served[i], 1), "member %zu", i);
        for (size_t i = 0; i < N; i++)
                close(peers[i]);
        for (size_t i = 0; i < 2; i++)
                kit_drop(&held[i]);
        close(control);
        end(&kit);
}
