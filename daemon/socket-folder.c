/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Policy allows the text of a path, and bind() takes a text. In between somebody could make that text
 * lead elsewhere, and have the broker leave a file with its rights where policy gives none. So every
 * part is entered by itself, a link is refused, and so is a part that others could replace: what is left
 * cannot change, and bind() goes where the walk went.
 *
 * Binding to /proc/self/fd/N/NAME would be safe in any folder. But then that is what getsockname() says:
 * a program that looks for its sockets by their address does not find it, nor does anybody who asks the
 * kernel who listens where.
 *
 * What can be written by way of an access list shows in the bits of the group: they are its mask.
 */

#include "daemon/socket-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/cleanup.h"

enum {
        PATH_SIZE = sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1,
        OPEN_FLAGS = O_PATH | O_NOFOLLOW | O_CLOEXEC,
};

static bool is_trusted(uid_t uid) {
        return uid == 0 || uid == geteuid();
}

/* Whether others may rename or remove an entry of @folder that belongs to @owner. */
static bool may_be_replaced(const struct stat *folder, uid_t owner) {
        if (!is_trusted(folder->st_uid))
                return true;
        if (!(folder->st_mode & (S_IWGRP | S_IWOTH)))
                return false;
        return !(folder->st_mode & S_ISVTX) || !is_trusted(owner);
}

/* Goes from *@fd, which is *@st, into what follows the first @n_before bytes of @path, up to @n. */
static int enter(int *fd, struct stat *st, const char *path, size_t n_before, size_t n, char *reason) {
        const int before = n_before > 1 ? (int)n_before - 1 : 1; /* without its slash, but for "/" */
        _cleanup_(fd_closep) int next = -1;
        char name[PATH_SIZE];
        struct stat next_st;

        *(char *)mempcpy(name, path + n_before, n - n_before) = '\0';
        next = openat(*fd, name, OPEN_FLAGS);
        if (next < 0 || fstat(next, &next_st) < 0)
                return SOCKET_FOLDER_E_MISSING;
        if (S_ISLNK(next_st.st_mode)) {
                snprintf(reason, SOCKET_FOLDER_REASON_MAX,
                         "%.*s is a symbolic link; give the path that it leads to", (int)n, path);
                return SOCKET_FOLDER_E_UNSAFE;
        }
        if (!S_ISDIR(next_st.st_mode)) {
                errno = ENOTDIR;
                return SOCKET_FOLDER_E_MISSING;
        }
        if (may_be_replaced(st, next_st.st_uid)) {
                snprintf(reason, SOCKET_FOLDER_REASON_MAX,
                         "others than root and the broker may put something in place of %.*s, by their "
                         "rights in %.*s; give a path of which only the last folder is theirs",
                         (int)n, path, before, path);
                return SOCKET_FOLDER_E_UNSAFE;
        }
        fd_close(*fd);
        *fd = fd_take(&next);
        *st = next_st;
        return 0;
}

static SocketFolder folder_make(int fd, const struct stat *st, const char *name) {
        return (SocketFolder){ .fd = fd,
                               .name = name,
                               .open_to_others = may_be_replaced(st, geteuid()) };
}

int socket_folder_walk(const char *path, SocketFolder *ret,
                       char reason[static SOCKET_FOLDER_REASON_MAX]) {
        _cleanup_(fd_closep) int fd = open("/", OPEN_FLAGS | O_DIRECTORY);
        const char *part = path + 1, *slash;
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return SOCKET_FOLDER_E_MISSING;
        for (; (slash = strchr(part, '/')); part = slash + 1) {
                r = enter(&fd, &st, path, (size_t)(part - path), (size_t)(slash - path), reason);
                if (r != 0)
                        return r;
        }
        *ret = folder_make(fd_take(&fd), &st, part);
        return 0;
}

int socket_folder_open(const char *path, SocketFolder *ret) {
        const char *name = strrchr(path, '/') + 1;
        _cleanup_(fd_closep) int fd = -1;
        char folder[PATH_SIZE];
        struct stat st;

        snprintf(folder, sizeof(folder), "%.*s", (int)(name - path), path);
        fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return SOCKET_FOLDER_E_MISSING;
        *ret = folder_make(fd_take(&fd), &st, name);
        return 0;
}
