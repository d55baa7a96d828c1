/* SPDX-License-Identifier: BSD-2-Clause */

/* Leases of processes, and of those that have gone meanwhile. */

#include "daemon/recovery.h"

#include <sys/eventfd.h>

#include "tests/unit/recovery-kit.h"

TestSuite(recovery_processes, .timeout = 30);

static int open_pidfd(pid_t pid) {
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        cr_assert(ge(int, fd, 0));
        return fd;
}

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

        testament_note(left, 1,
                       kit_lease(kit, kit_open(kit, "tcp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0),
                                 lease->process));
}

Test(recovery_processes, a_process_is_known_by_its_descriptor) {
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

Test(recovery_processes, a_process_that_ended_meanwhile_ends_its_leases) {
        Scene scene;

        scene_begin(&scene, false, live_for_one_who_dies);
        while (poll(&(struct pollfd){ .fd = scene_kept(&scene, scene.left->process), .events = POLLIN },
                    1, 1000) == 0)
                ;
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 1, 0, 0);
        kit_turn(&scene.kit);
        kit_expect_told(&scene.kit, "released closed ");
        scene_end(&scene);
}

Test(recovery_processes, without_its_process_a_lease_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_for_the_test);
        scene_lose_kept(&scene, scene.left->process);
        scene_recover(&scene);
        scene_expect_tally(&scene, 2, 2, 0, 2, 0);
        scene_end(&scene);
}

/* It would never end, or, if it cannot be watched, keep the broker from its start. */
Test(recovery_processes, what_is_no_process_is_closed) {
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

Test(recovery_processes, of_two_processes_under_one_name_the_first_is_kept) {
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
        testament_acquire(kit, left, 0, "tcp4", SHARING_EXCLUSIVE);
}

/* Nobody is there to come back. */
Test(recovery_processes, a_connection_of_a_process_that_is_no_more_is_lost) {
        Scene scene;

        scene_begin(&scene, false, live_for_one_who_has_gone);
        scene_recover(&scene);
        scene_expect_tally(&scene, 1, 1, 0, 1, 0);
        cr_assert(eq(int, scene_member(&scene, 0)->state, MEMBER_PARKED));
        scene_end(&scene);
}
