/* SPDX-License-Identifier: BSD-2-Clause */

/* The exit of a process ends what depends on it, once, in the next turn of the loop. */

#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/unit/daemon-kit.h"

static pid_t start_child(void) {
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        return pid;
}

static Process *watch(Kit *kit, pid_t pid) {
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        Process *process;

        cr_assert(ge(int, pidfd, 0));
        cr_assert(zero(int, process_new(kit->services.event, pidfd, &process)));
        return process;
}

/* Ends the child; the loop hears of it even before it is reaped. */
static void end_child(pid_t pid) {
        siginfo_t info;

        kill(pid, SIGKILL);
        cr_assert(zero(int, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT)));
}

static void reap(pid_t pid) {
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

TestSuite(process, .timeout = 10);

Test(process, what_cannot_be_watched_is_closed) {
        Process *process = NULL;
        Kit kit;
        int fd;

        kit_init(&kit, 1000);
        fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* a file is always ready: epoll refuses it */
        cr_assert(eq(int, process_new(kit.services.event, fd, &process), -EPERM));
        cr_assert(eq(ptr, process, NULL));
        cr_assert(lt(int, fcntl(fd, F_GETFD), 0));
        cr_assert(lt(int, process_new(kit.services.event, -1, &process), 0));
        cr_assert(eq(ptr, process_unref(NULL), NULL));
        kit_end(&kit);
}

Test(process, nothing_ends_while_it_lives) {
        pid_t pid = start_child();
        Process *process;
        Lease *lease;
        Kit kit;

        kit_init(&kit, 1000);
        process = watch(&kit, pid);
        lease = kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), process);
        kit_turn(&kit);
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        /* The connection is gone, and the lease does not depend on it. */
        lease_owner_end(&kit.connection, MEMBER_LEAVE_LOST, "hang-up");
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
        process_unref(process);
        end_child(pid);
        kit_turn(&kit);
        kit_expect_told(&kit, "released closed ");
        kit_end(&kit);
        reap(pid);
}

Test(process, its_exit_ends_its_leases_in_one_turn) {
        pid_t pid = start_child();
        Process *process;
        Kit kit;

        kit_init(&kit, 1000);
        process = watch(&kit, pid);
        kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), process);
        kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC), process);
        kit_lease(&kit, kit_open(&kit, "udp4", "127.0.0.1:0", SHARING_EXCLUSIVE, 0), NULL);
        end_child(pid);
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 3));
        cr_assert(eq(int, sd_event_run(kit.services.event, 0), 1));
        /* What depends on the connection stays. */
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        cr_assert(eq(sz, endpoint_registry_count(&kit.services.endpoints), 2));
        kit_expect_told(&kit, "released parked released closed ");
        kit_turn(&kit);
        kit_expect_told(&kit, "");
        process_unref(process);
        kit_end(&kit);
        reap(pid);
}

Test(process, the_leases_alone_keep_it) {
        pid_t pid = start_child();
        Process *process;
        Kit kit;

        kit_init(&kit, 1000);
        process = watch(&kit, pid);
        for (int i = 0; i < 3; i++)
                kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), process);
        process_unref(process);
        end_child(pid);
        kit_turn(&kit);
        cr_assert(zero(sz, lease_registry_count(&kit.services.leases)));
        kit_end(&kit);
        reap(pid);
}

Test(process, one_that_had_exited_before_it_was_watched) {
        pid_t pid = start_child();
        Process *process;
        Kit kit;

        kit_init(&kit, 1000);
        end_child(pid);
        process = watch(&kit, pid);
        kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), process);
        process_unref(process);
        kit_turn(&kit);
        kit_expect_told(&kit, "released closed ");
        kit_end(&kit);
        reap(pid);
}

Test(process, an_exec_is_no_exit) {
        int go[2];
        Process *process;
        pid_t pid;
        Kit kit;

        cr_assert(zero(int, pipe2(go, O_CLOEXEC)));
        pid = fork();
        if (pid == 0) {
                dup2(go[0], STDIN_FILENO);
                execl("/bin/cat", "cat", NULL); /* until go is closed */
                _exit(1);
        }
        close(go[0]);
        kit_init(&kit, 1000);
        process = watch(&kit, pid);
        kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), process);
        kit_turn(&kit);
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        kit.n_fds--;
        close(go[1]);
        reap(pid);
        kit_turn(&kit);
        cr_assert(zero(sz, lease_registry_count(&kit.services.leases)));
        process_unref(process);
        kit_end(&kit);
}
