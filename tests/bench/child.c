/* SPDX-License-Identifier: BSD-2-Clause */

/* A parent-death signal covers every way this process may end; a pidfd, every wait for a child. */

#include "tests/bench/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"

typedef struct Program {
        const char *const *argv;
        const char *name;
        const char *value;
        int output;
} Program;

/* What this process ignores or only notes must end a child as ever. */
static void child_signals_reset(void) {
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

        for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
                signal(signals[i], SIG_DFL);
}

int child_run(int (*function)(void *userdata), void *userdata, Child *ret) {
        pid_t parent = getpid();
        pid_t pid;
        int pidfd;

        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0) {
                /* The parent may have gone before it was asked about: nobody would be told then. */
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                        _exit(EXIT_FAILURE);
                child_signals_reset();
                _exit(function(userdata) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0) {
                int r = error_origin(-errno);

                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return r;
        }
        *ret = (Child){ .pid = pid, .pidfd = pidfd };
        return 0;
}

static int program_exec(void *userdata) {
        const Program *program = userdata;

        if (program->name && setenv(program->name, program->value, 1) < 0)
                return -errno;
        if (program->output >= 0 && dup2(program->output, STDOUT_FILENO) < 0)
                return -errno;
        execvp(program->argv[0], (char *const *)program->argv);
        return -errno;
}

int child_exec(const char *const *argv, const char *name, const char *value, int output, Child *ret) {
        Program program = { .argv = argv, .name = name, .value = value, .output = output };

        return child_run(program_exec, &program, ret);
}

int child_await(const Child *child, int fd) {
        struct pollfd fds[] = {
                { .fd = fd, .events = POLLIN },
                { .fd = child->pidfd, .events = POLLIN },
        };
        int n = poll(fds, 2, CHILD_PATIENCE_MSEC);

        if (n < 0)
                return error_origin(-errno);
        if (n == 0)
                return error_origin(-ETIMEDOUT);
        return fds[0].revents & POLLIN ? 0 : error_origin(-ECHILD);
}

void child_stop(Child *child) {
        struct pollfd ended = { .fd = child->pidfd, .events = POLLIN };

        if (child->pid < 0)
                return;
        kill(child->pid, SIGTERM);
        if (poll(&ended, 1, CHILD_PATIENCE_MSEC) != 1)
                kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        fd_close(child->pidfd);
        *child = CHILD_NONE;
}
