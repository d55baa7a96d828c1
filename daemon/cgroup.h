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
        /* Control groups that are remembered by their number. */
        CGROUP_NAMES_MAX = 256,
        /* Where the search for one ends: so many folders, so deep. */
        CGROUP_FOLDERS_MAX = 16 * 1024,
        CGROUP_DEPTH_MAX = 32,
};

typedef struct CgroupName {
        uint64_t id;
        char *path;
} CgroupName;

/* Control groups that were looked for before. Zeroed is empty. */
typedef struct CgroupMap {
        CgroupName names[CGROUP_NAMES_MAX];
        size_t next; /* the one to be forgotten next */
} CgroupMap;

void cgroup_map_deinit(CgroupMap *map);

enum {
        _CGROUP_E_SUCCESS,
        /* The process has gone, the kernel does not tell, or it is nowhere below this host's root. */
        CGROUP_E_UNKNOWN,
};

/*
 * The control group (version 2) that the process @pidfd is in, as "/system.slice/a.service". @pid is its
 * number, of use to kernels before 6.13 alone. *@ret is malloc'ed, the caller's.
 * Returns 0, CGROUP_E_UNKNOWN, or -ENOMEM.
 */
int cgroup_of_process(CgroupMap *map, int pidfd, pid_t pid, char **ret);

/*
 * The system's unit that @path is in, as systemd reads it: the first part that is not a slice. Returns
 * false if there is none.
 */
bool cgroup_unit(const char *path, char ret[static CGROUP_UNIT_MAX]);
