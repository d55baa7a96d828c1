/* SPDX-License-Identifier: BSD-2-Clause */

/* Processes that die, stop or share a connection at the worst moment; and one that reloads
 * the broker. */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/bench/hostile-attack.h"

enum {
        PROCESS_STOPPED = 16,
        PROCESS_CALLS = 200,
};

static const char acquire_for_process[] =
        FOE_CALL("Acquire", "{\"sockets\":[" FOE_SOCKET "],\"lifetime\":\"process\"}");

/* Between request and reply. */
void attack_killed(const Foe *foe) {
        for (;;) {
                pid_t pid = foe_fork();

                if (pid == 0) {
                        int fd = foe_connect_patient(foe);

                        for (int i = 0; i < 8 && fd >= 0; i++)
                                foe_say(fd, i % 2 ? FOE_ACQUIRE : acquire_for_process);
                        raise(SIGKILL);
                }
                if (pid > 0)
                        waitpid(pid, NULL, 0);
                foe_strike(foe);
        }
}

/* With answers unread, for a while; then they are killed, and others stop in their place. */
void attack_stopped(const Foe *foe) {
        pid_t pids[PROCESS_STOPPED];

        for (;;) {
                for (size_t i = 0; i < PROCESS_STOPPED; i++) {
                        pids[i] = foe_fork();
                        if (pids[i] == 0) {
                                int fd = foe_connect(foe);

                                for (int k = 0; k < PROCESS_CALLS && fd >= 0; k++)
                                        foe_say(fd, k % 2 ? FOE_ACQUIRE : acquire_for_process);
                                raise(SIGSTOP);
                        }
                        foe_strike(foe);
                }
                foe_rest(200);
                for (size_t i = 0; i < PROCESS_STOPPED; i++)
                        if (pids[i] > 0 && kill(pids[i], SIGKILL) == 0)
                                waitpid(pids[i], NULL, 0);
        }
}

/* Two processes speak at once on one connection, and take each other's answers; one of them dies. */
void attack_shared(const Foe *foe) {
        for (;;) {
                int fd = foe_connect_patient(foe);
                pid_t pid = foe_fork();

                if (pid == 0) {
                        for (int i = 0; i < PROCESS_CALLS && fd >= 0; i++)
                                foe_say(fd, acquire_for_process);
                        raise(SIGKILL);
                }
                for (int i = 0; i < PROCESS_CALLS && fd >= 0; i++) {
                        foe_say(fd, FOE_ACQUIRE);
                        foe_drain(fd);
                }
                if (pid > 0)
                        waitpid(pid, NULL, 0);
                fd_close(fd);
                foe_strike(foe);
        }
}

/* ---- by the
 * administrator --------------------------------------------------------------------------- */

/* In one step: the broker never finds half a file. */
static void config_put(const Foe *foe, const char *text, const char *more) {
        char path[PATH_MAX];
        FILE *file;

        snprintf(path, sizeof(path), "%s.new", foe->config);
        file = fopen(path, "we");
        if (!file)
                return;
        fprintf(file, "%s%s", text, more);
        if (fclose(file) == 0)
                rename(path, foe->config);
}

void attack_reload(const Foe *foe) {
        static char text[16 * 1024];
        FILE *file = fopen(foe->config, "re");

        if (!file || fread(text, 1, sizeof(text) - 1, file) == 0)
                exit(EXIT_FAILURE);
        fclose(file);
        for (unsigned i = 0;; i++) {
                config_put(foe, text, i % 2 ? "" : "[Rule broken]\nUser=nobody-of-that-name\n");
                kill(foe->broker, SIGHUP);
                foe_strike(foe);
                foe_rest(1);
        }
}
