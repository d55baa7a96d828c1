/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The file is born with its mode, by the mask of the process, which has one thread. If it is to be given
 * to somebody it is born 0600, and each step after gives no more than the last one will: group, mode,
 * owner, in the one order that takes nothing but CAP_CHOWN.
 *
 * Those steps need the file that was made, and a name does not say which that is where others may move
 * files: they could have the broker give away another socket of its own. The kernel opens a socket's own
 * file (SIOCUNIXFILE), to whom may administer the network; without that right a name is believed only
 * where it is the broker's alone to change, and elsewhere no file is given away.
 *
 * Whether somebody still has an old file's socket is asked with a datagram socket. It is refused by any
 * socket of another kind, listening or not, and connecting to one of its own kind leaves no trace: so
 * nobody has a connection to wonder about.
 */

#include "daemon/socket-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/cleanup.h"

/* In linux/un.h, which does not go with sys/un.h. */
#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

static int fail(SocketFileRefusal *refusal, const char *step) {
        refusal->step = step;
        refusal->error = errno;
        return errno == EADDRINUSE ? SOCKET_FILE_E_IN_USE : SOCKET_FILE_E_SYSTEM;
}

static int open_folder(const SocketFile *file, const char *path, SocketFolder *ret,
                       SocketFileRefusal *refusal) {
        int r = file->follow_links ? socket_folder_open(path, ret)
                                   : socket_folder_walk(path, ret, refusal->reason);

        if (r == SOCKET_FOLDER_E_UNSAFE)
                return SOCKET_FILE_E_PATH;
        return r == 0 ? 0 : fail(refusal, "bind");
}

static bool is_given_away(const SocketFile *file) {
        return file->uid != (uid_t)-1 || file->gid != (gid_t)-1;
}

/* The path under which an open file can be named in calls that take no descriptor. */
static const char *path_of(int fd, char buffer[static 32]) {
        snprintf(buffer, 32, "/proc/self/fd/%d", fd);
        return buffer;
}

static bool is_bound_by_nobody(int file) {
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        path_of(file, address.sun_path);
        return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
               errno == ECONNREFUSED;
}

/* Removes the file in the way, if it is one that a broker made for the same and that is of no use any
 * more. Returns whether it did. */
static bool remove_stale(const SocketFile *file, const SocketFolder *folder) {
        _cleanup_(fd_closep) int old = openat(folder->fd, folder->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st, now;

        if (old < 0 || fstat(old, &st) < 0 || !S_ISSOCK(st.st_mode) ||
            (st.st_uid != geteuid() && st.st_uid != file->uid) || !is_bound_by_nobody(old))
                return false;
        if (fstatat(folder->fd, folder->name, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
            now.st_dev != st.st_dev || now.st_ino != st.st_ino)
                return false;
        return unlinkat(folder->fd, folder->name, 0) == 0;
}

static int bind_with_mode(int fd, const struct sockaddr_un *address, socklen_t len, mode_t mode) {
        mode_t mask = umask(~mode & 0777);
        int r = bind(fd, (const struct sockaddr *)address, len);

        umask(mask);
        return r;
}

/* The file that @fd is bound to; -1 with errno. */
static int open_bound(int fd, const SocketFolder *folder) {
        int file = ioctl(fd, SIOCUNIXFILE, 0);

        if (file >= 0 || folder->open_to_others)
                return file;
        return openat(folder->fd, folder->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static int give_away(const SocketFile *file, const SocketFolder *folder, int fd,
                     SocketFileRefusal *refusal) {
        _cleanup_(fd_closep) int made = open_bound(fd, folder);
        char path[32];

        if (made < 0 ||
            (file->gid != (gid_t)-1 && fchownat(made, "", (uid_t)-1, file->gid, AT_EMPTY_PATH) < 0))
                return fail(refusal, "chown");
        if (fchmodat(AT_FDCWD, path_of(made, path), file->mode, 0) < 0)
                return fail(refusal, "chmod");
        if (file->uid != (uid_t)-1 && fchownat(made, "", file->uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
                return fail(refusal, "chown");
        return 0;
}

/* Where others may move files it may be one of theirs: then theirs is what is removed from there. */
static void note(SocketFile *file, const SocketFolder *folder) {
        struct stat st;

        if (fstatat(folder->fd, folder->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode))
                return;
        file->device = st.st_dev;
        file->inode = st.st_ino;
}

static int bind_or_replace(const SocketFile *file, const SocketFolder *folder, int fd,
                           const struct sockaddr_un *address, socklen_t len,
                           SocketFileRefusal *refusal) {
        mode_t mode = is_given_away(file) ? 0600 : file->mode;

        if (bind_with_mode(fd, address, len, mode) == 0)
                return 0;
        if (errno != EADDRINUSE)
                return fail(refusal, "bind");
        if (remove_stale(file, folder) && bind_with_mode(fd, address, len, mode) == 0)
                return 0;
        errno = EADDRINUSE;
        return fail(refusal, "bind");
}

int socket_file_bind(SocketFile *file, int fd, const struct sockaddr_un *address, socklen_t len,
                     SocketFileRefusal *ret_refusal) {
        _cleanup_(socket_folder_deinit) SocketFolder folder = { .fd = -1 };
        int r;

        file->inode = 0;
        r = open_folder(file, address->sun_path, &folder, ret_refusal);
        if (r == 0)
                r = bind_or_replace(file, &folder, fd, address, len, ret_refusal);
        if (r != 0)
                return r;
        note(file, &folder);
        r = is_given_away(file) ? give_away(file, &folder, fd, ret_refusal) : 0;
        if (r != 0)
                socket_file_remove(file, address->sun_path);
        return r;
}

void socket_file_remove(SocketFile *file, const char *path) {
        struct stat st;

        /* By its path, which takes no descriptor: it may be that none is left. */
        if (file->inode > 0 && lstat(path, &st) == 0 && st.st_dev == file->device &&
            st.st_ino == file->inode)
                unlink(path);
        file->inode = 0;
}
