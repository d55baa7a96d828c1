/* SPDX-License-Identifier: BSD-2-Clause */

/* Read from /proc, so that a broker that answers nobody shows as well. */

#include "tests/bench/hostile-reading.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/link.h"

static int count_fds(pid_t pid, size_t *ret) {
        char path[64];
        size_t n = 0;
        DIR *folder;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        folder = opendir(path);
        if (!folder)
                return error_origin(-errno);
        for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
                n += entry->d_name[0] != '.';
        closedir(folder);
        *ret = n;
        return 0;
}

static int read_memory(pid_t pid, size_t *ret) {
        char path[64], line[256];
        int r = error_origin(-ENODATA);
        size_t kib;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        if (!file)
                return error_origin(-errno);
        while (r < 0 && fgets(line, sizeof(line), file))
                if (sscanf(line, "VmRSS: %zu", &kib) == 1) {
                        *ret = kib * 1024;
                        r = 0;
                }
        fclose(file);
        return r;
}

/* What it has had of the CPUs, and how long it waited for one. */
static int read_scheduler(pid_t pid, uint64_t *ret_cpu_nsec, uint64_t *ret_waited_nsec) {
        char path[64];
        FILE *file;
        int n;

        snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
        file = fopen(path, "re");
        if (!file)
                return error_origin(-errno);
        n = fscanf(file, "%" SCNu64 " %" SCNu64, ret_cpu_nsec, ret_waited_nsec);
        fclose(file);
        return n == 2 ? 0 : error_origin(-ENODATA);
}

int reading_take(const Broker *broker, Reading *ret) {
        Reading reading = { 0 };
        int r;

        r = count_fds(broker->child.pid, &reading.fds);
        if (r == 0)
                r = read_memory(broker->child.pid, &reading.memory);
        if (r == 0)
                r = read_scheduler(broker->child.pid, &reading.cpu_nsec, &reading.waited_nsec);
        if (r < 0)
                return error_trace(r);
        *ret = reading;
        return 0;
}

int reading_ask(const Broker *broker, int control, Reading *ret) {
        static const char call[] = "{\"method\":\"io.reuseportd.GetStatus\"}";
        _cleanup_(fd_closep) int passed = -1;
        json_int_t connections, endpoints, leases;
        char buffer[LINK_FRAME_MAX];
        json_auto_t *reply = NULL;
        size_t n;
        int r;

        r = link_send(control, call, sizeof(call), -1);
        if (r == 0)
                r = link_receive(control, buffer, &n, &passed);
        if (r == 0)
                r = reading_take(broker, ret);
        if (r < 0)
                return error_trace(r);
        reply = json_loadb(buffer, n - 1, 0, NULL);
        if (json_unpack(reply, "{s:{s:I, s:I, s:I}}", "parameters", "connections", &connections,
                        "endpoints", &endpoints, "leases", &leases) < 0)
                return error_origin(-EPROTO);
        ret->connections = (size_t)connections;
        ret->endpoints = (size_t)endpoints;
        ret->leases = (size_t)leases;
        return 0;
}

bool reading_is_back(const Reading *before, const Reading *now) {
        return now->fds <= before->fds && now->connections <= before->connections &&
               now->endpoints <= before->endpoints && now->leases <= before->leases;
}
