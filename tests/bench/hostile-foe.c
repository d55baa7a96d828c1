/* SPDX-License-Identifier: BSD-2-Clause */

/* Errors are what an attack is there for: they are never looked at, beyond opening a connection anew. */

#include "tests/bench/hostile-foe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/cleanup.h"

void foe_strike(const Foe *foe) {
        atomic_fetch_add_explicit(foe->blows, 1, memory_order_relaxed);
}

void foe_rest(unsigned msec) {
        struct timespec rest = { .tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000L };

        clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
}

static int foe_connect_as(const Foe *foe, int flags) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", foe->path);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        foe_rest(1);
        return fd_close(fd);
}

int foe_connect(const Foe *foe) {
        return foe_connect_as(foe, SOCK_NONBLOCK);
}

int foe_connect_patient(const Foe *foe) {
        struct timeval second = { .tv_sec = 1 };
        int fd = foe_connect_as(foe, 0);

        if (fd >= 0) {
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
                setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
        }
        return fd;
}

bool foe_send(int fd, const void *data, size_t n) {
        while (n > 0) {
                ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);

                if (sent < 0)
                        return false;
                data = (const char *)data + sent;
                n -= (size_t)sent;
        }
        return true;
}

bool foe_say(int fd, const char *call) {
        return foe_send(fd, call, strlen(call) + 1);
}

/* Without a control buffer the kernel closes what descriptors come. */
bool foe_hear(int fd, size_t n) {
        static char buffer[256 * 1024];

        while (n > 0) {
                ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

                if (got <= 0)
                        return false;
                for (const char *p = buffer; n > 0 && (p = memchr(p, 0, (size_t)(buffer + got - p)));
                     p++)
                        n--;
        }
        return true;
}

bool foe_drain(int fd) {
        static char buffer[256 * 1024];
        ssize_t n;

        do
                n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        while (n > 0);
        return n < 0 && errno == EAGAIN;
}

const char *foe_acquire(char *buffer, size_t n, const char *socket) {
        size_t used = (size_t)sprintf(
                buffer, "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[%s", socket);

        for (size_t i = 1; i < n && used + strlen(socket) + 5 < FOE_CALL_MAX; i++)
                used += (size_t)sprintf(buffer + used, ",%s", socket);
        sprintf(buffer + used, "]}}");
        return buffer;
}

pid_t foe_fork(void) {
        pid_t parent = getpid(), pid = fork();

        if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
                _exit(EXIT_FAILURE);
        return pid;
}

void foe_repeat(const Foe *foe, const char *call, size_t batch) {
        size_t size = strlen(call) + 1;
        char *calls = malloc(batch * size);
        int fd = -1;

        if (!calls)
                _exit(EXIT_FAILURE);
        for (size_t i = 0; i < batch; i++)
                memcpy(calls + i * size, call, size);
        for (;;) {
                if (fd < 0)
                        fd = foe_connect_patient(foe);
                if (fd < 0)
                        continue;
                if (!foe_send(fd, calls, batch * size) || !foe_hear(fd, batch))
                        fd = fd_close(fd);
                foe_strike(foe);
        }
}

/* Opens what is not open, and leaves what the broker has hung up on for the next round. */
static void siege_open(const Siege *siege, const Foe *foe, int fds[static FOE_CONNECTIONS]) {
        for (size_t i = 0; i < FOE_CONNECTIONS; i++) {
                struct pollfd hangup = { .fd = fds[i] };

                if (fds[i] >= 0 && poll(&hangup, 1, 0) > 0) {
                        fds[i] = fd_close(fds[i]);
                } else if (fds[i] < 0) {
                        fds[i] = foe_connect(foe);
                        if (fds[i] >= 0 && siege->begin)
                                siege->begin(foe, fds[i]);
                        foe_strike(foe);
                }
        }
}

void foe_besiege(const Foe *foe, const Siege *siege) {
        int fds[FOE_CONNECTIONS];

        memset(fds, -1, sizeof(fds));
        for (;;) {
                siege_open(siege, foe, fds);
                for (unsigned k = 0; k < siege->times; k++)
                        for (size_t i = 0; i < FOE_CONNECTIONS; i++)
                                if (fds[i] >= 0 && !siege->go_on(foe, fds[i]))
                                        fds[i] = fd_close(fds[i]);
                if (siege->rest_msec > 0)
                        foe_rest(siege->rest_msec);
        }
}
