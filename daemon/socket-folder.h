/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The folder of a UNIX path: opened once, and known to be what the path names for as long as
 * it counts. */

#include <stdbool.h>

#include "proto/cleanup.h"

enum {
        /* Two paths, and the words around them. */
        SOCKET_FOLDER_REASON_MAX = 448,
};

typedef struct SocketFolder {
        int fd; /* O_PATH */
        /* Of the file in it; points into the path. */
        const char *name;
        /* Others than root and the broker may put something else in place of a file of the broker's. */
        bool open_to_others;
} SocketFolder;

enum {
        _SOCKET_FOLDER_E_SUCCESS,
        SOCKET_FOLDER_E_UNSAFE,  /* the reason says what of the path, and what to give */
        SOCKET_FOLDER_E_MISSING, /* errno says why: ENOENT, ENOTDIR, EACCES, ... */
};

/*
 * The folder that @path names by itself, as address_parse() lets it through, without a symbolic link
 * anywhere: and nobody but root and the broker's own user can make the path name another one. The last
 * folder itself may be anybody's. Borrows @path. Returns 0, or SOCKET_FOLDER_E_* with @ret as it was.
 */
int socket_folder_walk(const char *path, SocketFolder *ret,
                       char reason[static SOCKET_FOLDER_REASON_MAX]);

/* The folder that @path, which is absolute, leads to, whoever made the links in it: for paths that the
 * administrator gives. As above; 0 or SOCKET_FOLDER_E_MISSING. */
int socket_folder_open(const char *path, SocketFolder *ret);

static inline void socket_folder_deinit(SocketFolder *folder) {
        folder->fd = fd_close(folder->fd);
}
