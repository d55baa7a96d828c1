/* SPDX-License-Identifier: BSD-2-Clause */

/* The broker says itself when it is ready: no guess, and no connection that would be measured
 * with it. */

#include "tests/bench/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/user.h"

static const char broker_config[] = "[Broker]\n"
                                    "MaxConnectionsPerUser=4096\n"
                                    "MaxLeasesPerUser=1000000\n"
                                    "[Rule bench]\n"
                                    "User=*\n"
                                    "Network=*\n"
                                    "Sharing=*\n";

int broker_prepare(const char *daemon, const char *folder, const char *name,
                   const BrokerSettings *settings, BrokerProgram *ret) {
        char file[32];
        int r;

        *ret = (BrokerProgram){ .daemon = daemon, .settings = settings };
        snprintf(file, sizeof(file), "%s.conf", name);
        snprintf(ret->config, sizeof(ret->config), "%s/%s", folder, file);
        snprintf(ret->notify, sizeof(ret->notify), "%s/%s.ready", folder, name);
        snprintf(ret->path, sizeof(ret->path), "%s/%s", folder, name);
        r = scratch_write(folder, file, settings->config ?: broker_config);
        return r < 0 ? error_trace(r) : 0;
}

int broker_open_notices(const BrokerProgram *program, int *ret_fd) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(fd_closep) int fd = -1;

        if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", program->notify) >=
            sizeof(address.sun_path))
                return error_origin(-ENAMETOOLONG);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return error_origin(-errno);
        /* The broker may be another user. */
        if (chmod(program->notify, 0666) < 0)
                return error_origin(-errno);
        *ret_fd = fd_take(&fd);
        return 0;
}

static int notices_await_ready(int notices, const Child *child) {
        char text[4096];
        ssize_t n;
        int r;

        do {
                r = child_await(child, notices);
                if (r < 0)
                        return error_trace(r);
                n = recv(notices, text, sizeof(text) - 1, 0);
                if (n < 0)
                        return error_origin(-errno);
                text[n] = 0;
        } while (!strstr(text, "READY=1"));
        return 0;
}

/* Opened before the change of user are the files that may be closed to others. */
int broker_become(const BrokerProgram *program) {
        const BrokerSettings *settings = program->settings;
        const char *const argv[] = { program->daemon, "--config",    program->config,
                                     "--socket",      program->path, NULL };
        struct rlimit limit = { .rlim_cur = settings->max_fds, .rlim_max = settings->max_fds };
        int file = open(program->daemon, O_PATH | O_CLOEXEC);

        if (file < 0 || setenv("NOTIFY_SOCKET", program->notify, 1) < 0)
                return -errno;
        if (settings->log) {
                int log = open(settings->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

                if (log < 0 || dup2(log, STDERR_FILENO) < 0)
                        return -errno;
        }
        if (settings->max_fds > 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        if (settings->nice != 0)
                (void)setpriority(PRIO_PROCESS, 0, settings->nice);
        if (settings->uid != geteuid() && user_become_broker(settings->uid) < 0)
                return -EPERM;
        fexecve(file, (char *const *)argv, environ);
        return -errno;
}

static int broker_run(void *userdata) {
        return broker_become(userdata);
}

int broker_start_with(const char *daemon, const char *folder, const char *name,
                      const BrokerSettings *settings, Broker *ret) {
        _cleanup_(fd_closep) int notices = -1;
        Broker broker = BROKER_NONE;
        BrokerProgram program;
        int r;

        r = broker_prepare(daemon, folder, name, settings, &program);
        if (r < 0)
                return error_trace(r);
        strcpy(broker.path, program.path);
        r = broker_open_notices(&program, &notices);
        if (r == 0)
                r = child_run(broker_run, &program, &broker.child);
        if (r == 0)
                r = notices_await_ready(notices, &broker.child);
        unlink(program.notify);
        if (r < 0) {
                broker_stop(&broker);
                return error_trace(r);
        }
        *ret = broker;
        return 0;
}

int broker_start(const char *daemon, const char *folder, const char *name, Broker *ret) {
        int r = broker_start_with(daemon, folder, name, &(BrokerSettings){ .uid = geteuid() }, ret);

        return r < 0 ? error_trace(r) : 0;
}

void broker_stop(Broker *broker) {
        child_stop(&broker->child);
        unlink(broker->path);
}

int broker_memory(const Broker *broker, size_t *ret) {
        char path[64], line[256];
        unsigned long kib;
        FILE *file;
        int r = error_origin(-ENODATA);

        snprintf(path, sizeof(path), "/proc/%d/status", (int)broker->child.pid);
        file = fopen(path, "re");
        if (!file)
                return error_origin(-errno);
        while (r < 0 && fgets(line, sizeof(line), file))
                if (sscanf(line, "RssAnon: %lu kB", &kib) == 1) {
                        *ret = kib * 1024;
                        r = 0;
                }
        fclose(file);
        return r;
}
