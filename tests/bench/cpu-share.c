/* SPDX-License-Identifier: BSD-2-Clause */

#include "tests/bench/cpu-share.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* cpu.shares of version 1 that is as much as one of CPUWeight=. */
        SHARES_PER_WEIGHT_MUL = 1024,
        SHARES_PER_WEIGHT_DIV = 100,
};

static int __attribute__((format(printf, 2, 3))) file_write(const char *path, const char *format, ...) {
        _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
        va_list list;
        int r;

        if (fd < 0)
                return -errno;
        va_start(list, format);
        r = vdprintf(fd, format, list);
        va_end(list);
        return r < 0 ? -errno : 0;
}

static bool folder_make(CpuShares *shares, const char *root, int version) {
        shares->version = version;
        snprintf(shares->folder, sizeof(shares->folder), "%s/reuseportd-bench-%d", root, getpid());
        return mkdir(shares->folder, 0755) == 0;
}

int cpu_shares_init(CpuShares *shares) {
        static const char *const v1[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct" };
        char path[CPU_SHARE_PATH_MAX + 32];

        for (size_t i = 0; i < 2; i++)
                if (access(v1[i], W_OK) == 0 && folder_make(shares, v1[i], 1))
                        return 0;
        if (file_write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu") == 0 &&
            folder_make(shares, "/sys/fs/cgroup", 2)) {
                snprintf(path, sizeof(path), "%s/cgroup.subtree_control", shares->folder);
                if (file_write(path, "+cpu") == 0)
                        return 0;
                cpu_shares_deinit(shares);
        }
        *shares->folder = '\0';
        return CPU_SHARES_E_NOT_ALLOWED;
}

void cpu_shares_deinit(CpuShares *shares) {
        char path[CPU_SHARE_PATH_MAX + NAME_MAX + 2];
        struct dirent *entry;
        DIR *folder = *shares->folder ? opendir(shares->folder) : NULL;

        while (folder && (entry = readdir(folder)))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                        snprintf(path, sizeof(path), "%s/%s", shares->folder, entry->d_name);
                        rmdir(path);
                }
        if (folder)
                closedir(folder);
        if (*shares->folder)
                rmdir(shares->folder);
        *shares->folder = '\0';
}

int cpu_shares_put(const CpuShares *shares, const char *name, unsigned weight, pid_t pid) {
        char group[CPU_SHARE_PATH_MAX + 32], path[CPU_SHARE_PATH_MAX + 64];
        bool v1 = shares->version == 1;
        int r;

        if (!*shares->folder)
                return 0;
        snprintf(group, sizeof(group), "%s/%s", shares->folder, name);
        if (mkdir(group, 0755) < 0 && errno != EEXIST)
                return error_origin(-errno);
        snprintf(path, sizeof(path), "%s/%s", group, v1 ? "cpu.shares" : "cpu.weight");
        r = file_write(path, "%u", v1 ? weight * SHARES_PER_WEIGHT_MUL / SHARES_PER_WEIGHT_DIV : weight);
        if (r < 0)
                return error_origin(r);
        snprintf(path, sizeof(path), "%s/cgroup.procs", group);
        r = file_write(path, "%d", pid);
        return r < 0 ? error_origin(r) : 0;
}
