/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The file of a UNIX socket: made with the owner and mode that it shall have, and removed with it. */

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "daemon/socket-folder.h"

typedef struct SocketFile {
        /* How it is to be. -1: as it comes, the broker's own. */
        uid_t uid;
        gid_t gid;
        mode_t mode;
        /* The path is the administrator's, who may have links in it. */
        bool follow_links;
        /* Which one it is, once it is made. 0: none. */
        dev_t device;
        ino_t inode;
} SocketFile;

/* Who may connect is for policy to say: systemd's default, too. */
#define SOCKET_FILE_DEFAULT ((SocketFile){ .uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0666 })

enum {
        _SOCKET_FILE_E_SUCCESS,
        SOCKET_FILE_E_PATH,   /* refusal.reason */
        SOCKET_FILE_E_IN_USE, /* a socket that somebody has, or anything that is no socket of ours */
        SOCKET_FILE_E_SYSTEM, /* the kernel refused: refusal.step, refusal.error */
};

typedef struct SocketFileRefusal {
        const char *step; /* "bind", "chown", "chmod"; static */
        int error;
        char reason[SOCKET_FOLDER_REASON_MAX];
} SocketFileRefusal;

/*
 * Binds @fd, a socket without an address, to @address, an absolute path of @len, and notes in @file
 * which file that made. A file that the broker left behind when it was killed, and that nobody has bound
 * any more, is replaced. Returns 0, or SOCKET_FILE_E_* with nothing left behind.
 */
int socket_file_bind(SocketFile *file, int fd, const struct sockaddr_un *address, socklen_t len,
                     SocketFileRefusal *ret_refusal);

/* Removes the file at @path, if it is the one that was made. Call it while its socket is still open, so
 * that its number is no other's. Nothing if none was made. */
void socket_file_remove(SocketFile *file, const char *path);
