/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Since Linux 6.13 a pidfd tells the number of its process's control group. That is the number of a
 * folder in the control group filesystem, whose name /proc/PID/cgroup tells: a number of a process is
 * not an identity, but the folder of that name has the number that was asked for, or it is not the one.
 * Numbers are never used again and folders never renamed, so what was found is remembered.
 *
 * A service that is shut off from other processes (ProtectProc=) does not see them in /proc, and has to
 * look through all folders. To whom some were delegated can make as many as it likes, and as deep. So it
 * is looked for a little at a time, in the client's own turns; and first in the folders of root and of
 * the client's user, so that those of others are none of its business.
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

#include "daemon/clock.h"
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

/* The one to be forgotten for another of @uid: the oldest, of its own if it has many. */
static CgroupName *map_choose(CgroupMap *map, uid_t uid) {
        CgroupName *oldest = &map->names[0], *own = NULL;
        size_t n_own = 0;

        for (size_t i = 0; i < CGROUP_NAMES_MAX; i++) {
                CgroupName *name = &map->names[i];

                if (name->since < oldest->since)
                        oldest = name;
                if (!name->path || name->uid != uid)
                        continue;
                n_own++;
                if (!own || name->since < own->since)
                        own = name;
        }
        return n_own >= CGROUP_NAMES_PER_USER_MAX ? own : oldest;
}

/* Without memory it is not remembered. */
static void map_add(CgroupMap *map, uint64_t id, uid_t uid, const char *path) {
        CgroupName *name = map_choose(map, uid);
        char *copy = strdup(path);

        if (!copy)
                return;
        free(name->path);
        *name = (CgroupName){ .id = id, .uid = uid, .since = ++map->count, .path = copy };
}

/* ---- the search -------------------------------------------------------------------------------- */

struct CgroupSearch {
        uint64_t id;
        uid_t uid;
        bool everywhere; /* also in folders that are others' */
        bool skipped;    /* there are such */
        size_t n_folders;
        size_t depth;
        /* Of the folders on the way: how long their paths are, where to go on reading them, and which
         * folder in them was the last. */
        struct {
                size_t n_path;
                off_t at;
                ino64_t last;
        } way[CGROUP_DEPTH_MAX];
        char path[PATH_MAX]; /* of the folder at hand; "" is the root */
};

CgroupSearch *cgroup_search_free(CgroupSearch *search) {
        free(search);
        return NULL;
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

/* The folder at hand, at where its reading was left. -1 if it has gone. */
static int search_open(const CgroupSearch *search, int root) {
        int fd = openat(root, search->path[0] ? search->path + 1 : ".",
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0 && lseek(fd, search->way[search->depth].at, SEEK_SET) < 0)
                fd = fd_close(fd);
        return fd;
}

/* Whether to look below the folder @name of @folder: not if it has none, which its links tell. */
static bool search_may_enter(CgroupSearch *search, int folder, const char *name) {
        struct stat st;

        if (search->depth + 1 >= CGROUP_DEPTH_MAX ||
            fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_nlink <= 2)
                return false;
        if (search->everywhere || st.st_uid == 0 || st.st_uid == search->uid)
                return true;
        search->skipped = true;
        return false;
}

static void search_enter(CgroupSearch *search) {
        search->depth++;
        search->way[search->depth].n_path = strlen(search->path);
        search->way[search->depth].at = 0;
        search->way[search->depth].last = 0;
}

/* The folder at hand has been read. Returns false if that was the last one. */
static bool search_leave(CgroupSearch *search) {
        if (search->depth > 0) {
                search->depth--;
                search->path[search->way[search->depth].n_path] = '\0';
                return true;
        }
        if (search->everywhere || !search->skipped)
                return false;
        search->everywhere = true;
        search->n_folders = 0;
        search->way[0].at = 0;
        search->way[0].last = 0;
        return true;
}

enum {
        _SEARCH_E_SUCCESS,
        SEARCH_E_READ,  /* to its end */
        SEARCH_E_BELOW, /* the folder at hand is another one now */
        SEARCH_E_TOO_MANY,
        SEARCH_E_TIME,
        SEARCH_E_NEXT,
        /* Bytes of entries that are read at once. */
        READ_SIZE = 2048,
};

/* Looks at one entry of the folder at hand, open as @folder. As search_read(), SEARCH_E_NEXT: it is
 * none. */
static int search_look_at(CgroupSearch *search, int folder, const struct dirent64 *entry) {
        size_t n = search->way[search->depth].n_path;

        search->way[search->depth].at = entry->d_off;
        /* Where two have the same place in the order, what is next can be the last once more. */
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
            entry->d_ino == search->way[search->depth].last ||
            n + 1 + strlen(entry->d_name) >= sizeof(search->path))
                return SEARCH_E_NEXT;
        search->way[search->depth].last = entry->d_ino;
        if (++search->n_folders > CGROUP_FOLDERS_MAX)
                return SEARCH_E_TOO_MANY;
        sprintf(search->path + n, "/%s", entry->d_name);
        if (entry->d_ino == search->id)
                return 0;
        if (search_may_enter(search, folder, entry->d_name)) {
                search_enter(search);
                return SEARCH_E_BELOW;
        }
        search->path[n] = '\0';
        return SEARCH_E_NEXT;
}

/* Reads on in the folder at hand. Returns 0 if search->path is what is looked for, or SEARCH_E_*. */
static int search_read(CgroupSearch *search, int root, uint64_t end_usec) {
        _cleanup_(fd_closep) int folder = search_open(search, root);
        /* A few at a time: what was read and not looked at is read once more. */
        union {
                struct dirent64 first;
                char bytes[READ_SIZE];
        } entries;
        ssize_t size;
        int r;

        while (folder >= 0 && (size = getdents64(folder, &entries, sizeof(entries))) > 0) {
                const struct dirent64 *entry;

                for (ssize_t i = 0; i < size; i += entry->d_reclen) {
                        entry = (const struct dirent64 *)(const void *)(entries.bytes + i);
                        r = search_look_at(search, folder, entry);
                        if (r != SEARCH_E_NEXT)
                                return r;
                        if (clock_usec(CLOCK_MONOTONIC) >= end_usec)
                                return SEARCH_E_TIME;
                }
        }
        return SEARCH_E_READ;
}

int cgroup_search_go_on(CgroupMap *map, CgroupSearch *search, uint64_t usec, char **ret) {
        uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + usec;
        _cleanup_(fd_closep) int root = open_root();
        int r;

        if (root < 0)
                return CGROUP_E_UNKNOWN;
        do {
                r = search_read(search, root, end_usec);
                if (r == 0) {
                        map_add(map, search->id, search->uid, search->path);
                        *ret = strdup(search->path);
                        return *ret ? 0 : error_origin(-ENOMEM);
                }
                if (r == SEARCH_E_TOO_MANY || (r == SEARCH_E_READ && !search_leave(search)))
                        return CGROUP_E_UNKNOWN;
        } while (r != SEARCH_E_TIME && clock_usec(CLOCK_MONOTONIC) < end_usec);
        return CGROUP_E_AGAIN;
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

/* Whether @path is that of the control group @id. "/" is the root. */
static bool is_folder_of(uint64_t id, const char *path) {
        _cleanup_(fd_closep) int root = open_root();
        struct stat st;

        return root >= 0 && fstatat(root, path[1] ? path + 1 : ".", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               st.st_ino == id;
}

int cgroup_of_process(CgroupMap *map, int pidfd, pid_t pid, uid_t uid, CgroupSearch **ret_search,
                      char **ret) {
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
        r = read_proc(pidfd, pid, &path);
        if (r < 0)
                return error_trace(r);
        if (r == 0 && is_folder_of(info.cgroupid, path)) {
                map_add(map, info.cgroupid, uid, path);
                *ret = ptr_take(path);
                return 0;
        }
        if (is_folder_of(info.cgroupid, "/")) {
                *ret = strdup("/");
                return *ret ? 0 : error_origin(-ENOMEM);
        }
        *ret_search = calloc(1, sizeof(**ret_search));
        if (!*ret_search)
                return error_origin(-ENOMEM);
        (*ret_search)->id = info.cgroupid;
        (*ret_search)->uid = uid;
        return CGROUP_E_AGAIN;
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
