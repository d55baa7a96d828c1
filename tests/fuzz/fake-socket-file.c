/* SPDX-License-Identifier: BSD-2-Clause */

/* No files: every path leads where it says, and each step may fail. */

#include "daemon/socket-file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/fuzz/fake-kernel.h"
#include "tests/fuzz/fuzz.h"

int socket_file_bind(SocketFile *file, int fd, const struct sockaddr_un *address, socklen_t len,
                     SocketFileRefusal *ret_refusal) {
        fuzz_expect(address->sun_path[0] == '/');
        if (fake_kernel_fails()) {
                snprintf(ret_refusal->reason, sizeof(ret_refusal->reason), "%s is a link",
                         address->sun_path);
                return SOCKET_FILE_E_PATH;
        }
        if (bind(fd, (const struct sockaddr *)address, len) < 0) {
                ret_refusal->step = "bind";
                ret_refusal->error = errno;
                return errno == EADDRINUSE ? SOCKET_FILE_E_IN_USE : SOCKET_FILE_E_SYSTEM;
        }
        file->inode = 1;
        return 0;
}

void socket_file_remove(SocketFile *file, const char *path) {
        fuzz_expect(file->inode <= 1);
        file->inode = 0;
}
