/* SPDX-License-Identifier: BSD-2-Clause */

/* Four system calls and no more: this is what every contestant is measured with. */

#include "tests/bench/group-socket.h"

#include <errno.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "proto/error.h"

int group_socket_listen(struct sockaddr_in *address, int *ret_fd) {
        _cleanup_(fd_closep) int fd = -1;
        socklen_t len = sizeof(*address);

        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int)) < 0 ||
            bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, SOMAXCONN) < 0)
                return error_origin(-errno);
        if (address->sin_port == 0 && getsockname(fd, (struct sockaddr *)address, &len) < 0)
                return error_origin(-errno);
        *ret_fd = fd_take(&fd);
        return 0;
}
