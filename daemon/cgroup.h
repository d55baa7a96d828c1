/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The control group of a process, and the unit of the service manager that it stands for. Asked of a
 * pidfd, never of a number.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

/* What is asked of a pidfd (Linux 6.13). */
#define PIDFD_GET_INFO_V0 _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, 64)

enum {
        /* A name of a unit, with its NUL. */
        CGROUP_UNIT_MAX = 256,
        /* Control groups that are remembered by their number, and of those that the clients of one user
         * came from. */
        CGROUP_NAMES_MAX = 256,
        CGROUP_NAMES_PER_USER_MAX = 16,
        /* Where the search for one ends: so many folders, so deep. */
        CGROUP_FOLDERS_MAX = 16 * 1024,
        CGROUP_DEPTH_MAX = 32,
};

typedef struct CgroupName {
        uint64_t id;
        uid_t uid;      /* whose client was in there */
        uint64_t since; /* by the count of the map */
        char *path;     /* NULL: none */
} CgroupName;

/* Control groups that were looked for before. Zeroed is empty. */
typedef struct CgroupMap {
        CgroupName names[CGROUP_NAMES_MAX];
        uint64_t count;
} CgroupMap;

void cgroup_map_deinit(CgroupMap *map);

/* One that is being looked for. */
typedef struct CgroupSearch CgroupSearch;

/* Takes NULL; returns NULL. */
CgroupSearch *cgroup_search_free(CgroupSearch *search);

enum {
        _CGROUP_E_SUCCESS,
        /* The process has gone, the kernel does not tell, or it is nowhere below this host's root. */
        CGROUP_E_UNKNOWN,
        /* It has to be looked for, and that takes longer. */
        CGROUP_E_AGAIN,
};

/*
 * The control group (version 2) that the process @pidfd of the user @uid is in, as
 * "/system.slice/a.service". @pid is its number: what is read by it is checked. *@ret is malloc'ed, the
 * caller's.
 * Returns 0, CGROUP_E_UNKNOWN, CGROUP_E_AGAIN with *@ret_search, the caller's, or -ENOMEM.
 */
int cgroup_of_process(CgroupMap *map, int pidfd, pid_t pid, uid_t uid, CgroupSearch **ret_search,
                      char **ret);

/* Looks on for @usec or a little longer, and holds no descriptor afterwards. As cgroup_of_process(). */
int cgroup_search_go_on(CgroupMap *map, CgroupSearch *search, uint64_t usec, char **ret);

/*
 * The system's unit that @path is in, as systemd reads it: the first part that is not a slice. Returns
 * false if there is none.
 */
bool cgroup_unit(const char *path, char ret[static CGROUP_UNIT_MAX]);
