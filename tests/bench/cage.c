/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The first process of a PID namespace takes all others with it: that covers the workers of servers that
 * are measured here, which are nobody's children once their own master is gone.
 */

#include "tests/bench/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/child.h"

enum {
        /* Beyond what the function may return. */
        CAGE_STATUS_REFUSED = 253,
        CAGE_STATUS_FAILED = 254,
        CAGE_STATUS_KILLED = 255,
};

static int loopback_up(void) {
        struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return error_origin(-errno);
        return 0;
}

int cage_own_network(void) {
        return unshare(CLONE_NEWNET) < 0 ? CAGE_E_NOT_ALLOWED : loopback_up();
}

/* @parent: a pipe that hangs up with the parent, whose number means nothing in here. */
static int cage_settle(int parent) {
        struct pollfd hangup = { .fd = parent };

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return error_origin(-errno);
        if (poll(&hangup, 1, 0) != 0)
                return error_origin(-ESRCH);
        /* Nothing mounted here may show outside. */
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return CAGE_E_NOT_ALLOWED;
        return loopback_up();
}

/* Does not return. */
static void cage_inside(int (*function)(void *userdata), void *userdata, int parent) {
        int r = cage_settle(parent);

        _exit(r == 0 ? function(userdata) : r < 0 ? CAGE_STATUS_FAILED : CAGE_STATUS_REFUSED);
}

static int cage_await(Child *inmate, int *ret_status) {
        struct pollfd ended = { .fd = inmate->pidfd, .events = POLLIN };
        siginfo_t info = { 0 };

        /* Only a look: child_stop() reaps it, and ends it first if this wait was broken off. */
        if (poll(&ended, 1, -1) < 0 || waitid(P_PID, (id_t)inmate->pid, &info, WEXITED | WNOWAIT) < 0) {
                int r = error_origin(-errno);

                child_stop(inmate);
                return r;
        }
        child_stop(inmate);
        *ret_status = info.si_code == CLD_EXITED ? info.si_status : CAGE_STATUS_KILLED;
        return 0;
}

int cage_run(int (*function)(void *userdata), void *userdata, int *ret_status, const char **ret_reason) {
        _cleanup_(fd_closep) int hangup = -1, alive = -1, outside = -1;
        Child inmate = CHILD_NONE;
        int pair[2], status = 0, r;

        outside = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
        if (outside < 0)
                return error_origin(-errno);
        if (unshare(CLONE_NEWPID) < 0) {
                if (errno != EPERM && errno != ENOSPC)
                        return error_origin(-errno);
                *ret_reason = "new namespaces need root, with CAP_SYS_ADMIN";
                return CAGE_E_NOT_ALLOWED;
        }
        if (pipe2(pair, O_CLOEXEC) < 0)
                return error_origin(-errno);
        hangup = pair[0];
        alive = pair[1];
        inmate.pid = fork();
        if (inmate.pid < 0)
                return error_origin(-errno);
        if (inmate.pid == 0) {
                fd_close(alive);
                cage_inside(function, userdata, hangup);
        }
        inmate.pidfd = pidfd_open(inmate.pid, 0);
        /* One child was to be born there; where its first process has died, no other can be. */
        if (inmate.pidfd < 0 || setns(outside, CLONE_NEWPID) < 0) {
                r = error_origin(-errno);
                child_stop(&inmate);
                return r;
        }
        r = cage_await(&inmate, &status);
        if (r < 0)
                return error_trace(r);
        if (status == CAGE_STATUS_FAILED)
                return error_origin(-ECHILD);
        if (status == CAGE_STATUS_REFUSED) {
                *ret_reason = "not allowed to make a network, or to mount another /proc";
                return CAGE_E_NOT_ALLOWED;
        }
        *ret_status = status;
        return 0;
}
