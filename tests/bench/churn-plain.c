/* SPDX-License-Identifier: BSD-2-Clause */

/* The same socket that the broker makes, so that only the way of members differs. */

#include "tests/bench/churn-plain.h"

#include <errno.h>

#include "proto/cleanup.h"
#include "proto/error.h"

int plain_open(Kind kind, int *ret_fd) {
        _cleanup_(fd_closep) int fd = -1;
        Address address;
        int r;

        r = kind_address(kind, &address);
        if (r < 0)
                return error_trace(r);
        fd = socket(address_family(&address),
                    address_socket_type(&address) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int)) < 0 ||
            bind(fd, &address.u.sa, address.len) < 0)
                return error_origin(-errno);
        if (address.transport == TRANSPORT_TCP && listen(fd, SOMAXCONN) < 0)
                return error_origin(-errno);
        *ret_fd = fd_take(&fd);
        return 0;
}
