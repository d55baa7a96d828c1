/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Policy allows the text of a path, and setns() takes what is there. Who could make the path lead
 * elsewhere could have the broker make sockets wherever the kernel has a namespace. As in
 * socket-folder.c every part is entered by itself, and a link is refused; but here not even the broker's
 * own user is trusted: it has no business in these folders, and would only gain by it.
 *
 * /proc/PID/ns/net is a link to the kernel, and refused with all others: a process is nobody for long.
 */

#include "daemon/namespace-path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"

/* Whether every part between slashes is a name, and none of them has what would spoil a line. */
static bool is_plain(const char *path) {
        const char *part = path;

        while (part && *part == '/') {
                size_t n = strcspn(++part, "/");

                if (n == 0 || n > NAME_MAX || strncmp(part, "..", n) == 0)
                        return false;
                for (size_t i = 0; i < n; i++)
                        if ((unsigned char)part[i] <= ' ' || part[i] == 0x7f)
                                return false;
                part += n;
        }
        return part && *part == '\0';
}

const char *namespace_path_parse(const char *text, char path[static NAMESPACE_PATH_MAX]) {
        bool absolute = text[0] == '/';

        if (strlen(text) > NAMESPACE_SIZE_MAX)
                return "it is longer than 255 bytes";
        if (!absolute && strchr(text, '/'))
                return "give a name, or a path from the root on";
        snprintf(path, NAMESPACE_PATH_MAX, "%s%s", absolute ? "" : NAMESPACE_FOLDER, text);
        return is_plain(path)
                       ? NULL
                       : "give a name, or a path from the root on, without empty parts, \".\", \"..\", "
                         "blanks and control characters";
}

const char *namespace_path_text(const char *path) {
        const size_t n = strlen(NAMESPACE_FOLDER);

        return strncmp(path, NAMESPACE_FOLDER, n) == 0 && !strchr(path + n, '/') ? path + n : path;
}

/* ---- the walk ----------------------------------------------------------------------------------- */

/* @n: of the path, as far as the reason is about it. */
static int refuse(char *reason, const char *path, size_t n, const char *what) {
        snprintf(reason, NAMESPACE_REASON_MAX, "%.*s %s", (int)n, path, what);
        return NAMESPACE_PATH_E_INVALID;
}

/* Whether anybody but root may rename or remove what is in it; access lists show in the bits of the
 * group. */
static bool is_root_s_alone(const struct stat *folder) {
        return folder->st_uid == 0 && !(folder->st_mode & (S_IWGRP | S_IWOTH));
}

/* What is not there, and what the broker may not look at, is the path's fault; anything else is not. */
static int refuse_missing(char *reason, const char *path, size_t n) {
        switch (errno) {
        case ENOENT:
                return refuse(reason, path, n, "is not there");
        case ENOTDIR:
                return refuse(reason, path, n, "is not below a folder");
        case EACCES:
        case EPERM:
                return refuse(reason, path, n, "cannot be looked at by the broker");
        default:
                return -errno;
        }
}

/* Opens the part of @path that ends at @n, which the reason may be about, in the folder at @at. */
static int open_part(int at, const char *path, const char *part, size_t n, int *ret, struct stat *st,
                     char *reason) {
        _cleanup_(fd_closep) int fd = -1;
        char name[NAMESPACE_PATH_MAX];

        snprintf(name, sizeof(name), "%.*s", (int)(path + n - part), part);
        fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, st) < 0)
                return refuse_missing(reason, path, n);
        if (S_ISLNK(st->st_mode))
                return refuse(reason, path, n, "is a symbolic link; give the path that it leads to");
        *ret = fd_take(&fd);
        return 0;
}

/* The folder that the path ends in; *@ret_name: what is to be there. */
static int walk(const char *path, int *ret, const char **ret_name, char *reason) {
        _cleanup_(fd_closep) int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        const char *part = path + 1, *slash;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_origin(-errno);
        for (;; part = slash + 1) {
                const size_t n = part - path > 1 ? (size_t)(part - path) - 1 : 1;
                int next = -1, r;

                if (!S_ISDIR(st.st_mode))
                        return refuse(reason, path, n, "is no folder");
                if (!is_root_s_alone(&st))
                        return refuse(reason, path, n,
                                      "is a folder that others than root may change: who can put a "
                                      "namespace there is not known");
                slash = strchr(part, '/');
                if (!slash)
                        break;
                r = open_part(fd, path, part, (size_t)(slash - path), &next, &st, reason);
                if (r != 0)
                        return r;
                fd_close(fd);
                fd = next;
        }
        *ret = fd_take(&fd);
        *ret_name = part;
        return 0;
}

static bool is_of_namespaces(int fd) {
        struct statfs fs;

        return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

int namespace_path_open(const char *path, int *ret, char reason[static NAMESPACE_REASON_MAX]) {
        static const char no_namespace[] = "is no network namespace";
        const size_t n = strlen(path);
        _cleanup_(fd_closep) int folder = -1, looked = -1, fd = -1;
        const char *name = NULL;
        struct stat st;
        int r;

        r = walk(path, &folder, &name, reason);
        if (r == 0)
                r = open_part(folder, path, name, n, &looked, &st, reason);
        if (r != 0)
                return r;
        /* Before it is opened: to open a device or a pipe may do something. */
        if (!is_of_namespaces(looked))
                return refuse(reason, path, n, no_namespace);
        fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return refuse_missing(reason, path, n);
        if (!is_of_namespaces(fd) || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
                return refuse(reason, path, n, no_namespace);
        *ret = fd_take(&fd);
        return 0;
}
