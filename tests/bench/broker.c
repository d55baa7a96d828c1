/* SPDX-License-Identifier: BSD-2-Clause */

/* The broker says itself when it is ready: no guess, and no connection that would be measured with it.
 */

#include "tests/bench/broker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"

static const char broker_config[] = "[Broker]\n"
                                    "MaxLeasesPerUser=1000000\n"
                                    "[Rule bench]\n"
                                    "User=*\n"
                                    "Network=*\n"
                                    "Sharing=*\n";

/* The socket of the readiness notice. */
static int notices_open(const char *path, int *ret_fd) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(fd_closep) int fd = -1;

        if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
            sizeof(address.sun_path))
                return error_origin(-ENAMETOOLONG);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
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

int broker_start(const char *daemon, const char *folder, const char *name, Broker *ret) {
        char file[32], config[SCRATCH_PATH_MAX + 32], notify[SCRATCH_PATH_MAX + 32];
        _cleanup_(fd_closep) int notices = -1;
        Broker broker = BROKER_NONE;
        const char *argv[] = { daemon, "--config", config, "--socket", broker.path, NULL };
        int r;

        snprintf(file, sizeof(file), "%s.conf", name);
        snprintf(config, sizeof(config), "%s/%s", folder, file);
        snprintf(notify, sizeof(notify), "%s/%s.ready", folder, name);
        snprintf(broker.path, sizeof(broker.path), "%s/%s", folder, name);
        r = scratch_write(folder, file, broker_config);
        if (r == 0)
                r = notices_open(notify, &notices);
        if (r == 0)
                r = child_exec(argv, "NOTIFY_SOCKET", notify, -1, &broker.child);
        if (r == 0)
                r = notices_await_ready(notices, &broker.child);
        unlink(notify);
        if (r < 0) {
                broker_stop(&broker);
                return error_trace(r);
        }
        *ret = broker;
        return 0;
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
