/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Since Linux 6.13 a pidfd tells the number of its process's control group. The number is that of the
 * folder in the control group filesystem, which is searched for it: /proc/PID/cgroup would name the
 * folder at once, but a number of a process is not an identity, and a service that is shut off from
 * other processes (ProtectProc=) does not see them in /proc. Numbers are never used again and folders
 * never renamed, so what was found is remembered.
 *
 * Older kernels have only /proc. There the pidfd is asked afterwards whether its process still lives: if
 * it does, the number was its own all the while.
 */

#include "daemon/cgroup.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"

/* Of linux/pidfd.h, which older systems have without it. */
struct pidfd_info_v0 {
        uint64_t mask;
        uint64_t cgroupid;
        uint32_t ids[11];
        int32_t exit_code;
};
static_assert(sizeof(struct pidfd_info_v0) == _IOC_SIZE(PIDFD_GET_INFO_V0), "as the kernel has it");
#define PIDFD_INFO_HAS_CGROUPID (UINT64_C(1) << 2)

void cgroup_map_deinit(CgroupMap *map) {
        for (size_t i = 0; i < CGROUP_NAMES_MAX; i++)
                free(map->names[i].path);
        *map = (CgroupMap){};
}

static const char *map_find(const CgroupMap *map, uint64_t id) {
        for (size_t i = 0; i < CGROUP_NAMES_MAX; i++)
                if (map->names[i].path && map->names[i].id == id)
                        return map->names[i].path;
        return NULL;
}

/* Takes over @path. */
static void map_add(CgroupMap *map, uint64_t id, char *path) {
        CgroupName *name = &map->names[map->next];

        map->next = (map->next + 1) % CGROUP_NAMES_MAX;
        free(name->path);
        *name = (CgroupName){ .id = id, .path = path };
}

/* ---- the search -------------------------------------------------------------------------------- */

typedef struct Search {
        uint64_t id;
        size_t n_folders;
        char path[PATH_MAX]; /* of the folder at hand; "" is the root */
} Search;

static void dir_closep(DIR **dir) {
        if (*dir)
                closedir(*dir);
}

/* Looks below the folder @fd, which is consumed. Returns whether search->path is what was looked for. */
/* NOLINTNEXTLINE(misc-no-recursion): CGROUP_DEPTH_MAX deep */
static bool search_below(Search *search, int fd, unsigned depth) {
        size_t n = strlen(search->path);
        _cleanup_(dir_closep) DIR *dir = fdopendir(fd);
        const struct dirent *entry;

        if (!dir) {
                fd_close(fd);
                return false;
        }
        while ((entry = readdir(dir))) {
                int below;

                if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
                    n + 1 + strlen(entry->d_name) >= sizeof(search->path))
                        continue;
                if (++search->n_folders > CGROUP_FOLDERS_MAX || depth >= CGROUP_DEPTH_MAX)
                        return false;
                sprintf(search->path + n, "/%s", entry->d_name);
                if (entry->d_ino == search->id)
                        return true;
                below = openat(dirfd(dir), entry->d_name,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (below >= 0 && search_below(search, below, depth + 1))
                        return true;
                search->path[n] = '\0';
        }
        return false;
}

/* The root of the hierarchy that systemd uses, where it is mounted by itself or beside the old ones. */
static int open_root(void) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < 2; i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return open(roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return -1;
}

static int find_folder(uint64_t id, char **ret) {
        _cleanup_(freep) Search *search = NULL;
        _cleanup_(fd_closep) int root = open_root();
        struct stat st;

        if (root < 0 || fstat(root, &st) < 0)
                return CGROUP_E_UNKNOWN;
        search = malloc(sizeof(*search));
        if (!search)
                return error_origin(-ENOMEM);
        search->id = id;
        search->n_folders = 0;
        strcpy(search->path, st.st_ino == id ? "/" : "");
        if (st.st_ino != id && !search_below(search, fd_take(&root), 0))
                return CGROUP_E_UNKNOWN;
        *ret = strdup(search->path);
        return *ret ? 0 : error_origin(-ENOMEM);
}

/* ---- by /proc ---------------------------------------------------------------------------------- */

static void file_closep(FILE **file) {
        if (*file)
                fclose(*file);
}

static int read_proc(int pidfd, pid_t pid, char **ret) {
        _cleanup_(file_closep) FILE *file = NULL;
        _cleanup_(freep) char *line = NULL, *found = NULL;
        char name[32];
        size_t size = 0;

        snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
        file = pid > 0 ? fopen(name, "re") : NULL;
        if (!file)
                return CGROUP_E_UNKNOWN;
        while (!found && getline(&line, &size, file) > 0) {
                if (strncmp(line, "0::/", 4) != 0)
                        continue;
                line[strcspn(line, "\n")] = '\0';
                found = strdup(line + 3);
                if (!found)
                        return error_origin(-ENOMEM);
        }
        /* Outside of what this process sees of the hierarchy, the path begins with "/..". */
        if (!found || strncmp(found, "/..", 3) == 0 ||
            poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0) != 0)
                return CGROUP_E_UNKNOWN;
        *ret = ptr_take(found);
        return 0;
}

int cgroup_of_process(CgroupMap *map, int pidfd, pid_t pid, char **ret) {
        struct pidfd_info_v0 info = { .mask = PIDFD_INFO_HAS_CGROUPID };
        _cleanup_(freep) char *path = NULL;
        const char *known;
        int r;

        if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0)
                return errno == ESRCH ? CGROUP_E_UNKNOWN : read_proc(pidfd, pid, ret);
        if (!(info.mask & PIDFD_INFO_HAS_CGROUPID))
                return CGROUP_E_UNKNOWN;

        known = map_find(map, info.cgroupid);
        if (known) {
                *ret = strdup(known);
                return *ret ? 0 : error_origin(-ENOMEM);
        }
        r = find_folder(info.cgroupid, &path);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        *ret = strdup(path);
        if (!*ret)
                return error_origin(-ENOMEM);
        map_add(map, info.cgroupid, ptr_take(path));
        return 0;
}

bool cgroup_unit(const char *path, char ret[static CGROUP_UNIT_MAX]) {
        static const char slice[] = ".slice";

        while (*path == '/') {
                const char *part = path + 1;
                size_t n = strcspn(part, "/");

                path = part + n;
                /* A name that could be taken for a file of the filesystem's own begins with "_". */
                if (*part == '_') {
                        part++;
                        n--;
                }
                if (n > strlen(slice) && memcmp(part + n - strlen(slice), slice, strlen(slice)) == 0)
                        continue;
                if (n == 0 || n >= CGROUP_UNIT_MAX || !memchr(part, '.', n))
                        return false;
                memcpy(ret, part, n);
                ret[n] = '\0';
                return true;
        }
        return false;
}
