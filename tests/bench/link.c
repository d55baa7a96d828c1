/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * As few system calls as a frame can be had for: one sendmsg(), one recvmsg(). Both ends take turns, so
 * that what was read ends with the NUL or is not whole yet.
 */

#include "tests/bench/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "proto/cleanup.h"
#include "proto/error.h"

typedef union ControlBuffer {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
} ControlBuffer;

static int link_address(const char *path, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        if ((size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path) >= sizeof(ret->sun_path))
                return error_origin(-ENAMETOOLONG);
        return 0;
}

int link_listen(const char *path, int *ret_fd) {
        _cleanup_(fd_closep) int fd = -1;
        struct sockaddr_un address;
        int r;

        r = link_address(path, &address);
        if (r < 0)
                return error_trace(r);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_origin(-errno);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
                return error_origin(-errno);
        *ret_fd = fd_take(&fd);
        return 0;
}

int link_connect(const char *path, int *ret_fd) {
        struct timeval timeout = { .tv_sec = LINK_TIMEOUT_SEC };
        _cleanup_(fd_closep) int fd = -1;
        struct sockaddr_un address;
        int r;

        r = link_address(path, &address);
        if (r < 0)
                return error_trace(r);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_origin(-errno);
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return error_origin(-errno);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return error_origin(-errno);
        *ret_fd = fd_take(&fd);
        return 0;
}

int link_send(int fd, const char *frame, size_t n, int passed) {
        struct iovec iov = { .iov_base = (char *)frame, .iov_len = n };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        ControlBuffer control = { 0 };
        ssize_t sent;

        if (passed >= 0) {
                header.msg_control = &control;
                header.msg_controllen = sizeof(control);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
        }
        sent = sendmsg(fd, &header, MSG_NOSIGNAL);
        if (sent < 0)
                return error_origin(-errno);
        return (size_t)sent == n ? 0 : error_origin(-EMSGSIZE);
}

/* One recvmsg(). *@passed is replaced when a descriptor came. */
static int link_receive_part(int fd, char *buffer, size_t size, size_t *ret_n, int *passed) {
        struct iovec iov = { .iov_base = buffer, .iov_len = size };
        ControlBuffer control;
        struct msghdr header = { .msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control) };
        struct cmsghdr *c;
        ssize_t n;

        n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return error_origin(-errno);
        c = CMSG_FIRSTHDR(&header);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                fd_close(*passed);
                memcpy(passed, CMSG_DATA(c), sizeof(int));
        }
        if (header.msg_flags & MSG_CTRUNC)
                return error_origin(-EMFILE);
        if (n == 0)
                return error_origin(-ECONNRESET);
        *ret_n = (size_t)n;
        return 0;
}

int link_receive(int fd, char *buffer, size_t *ret_n, int *ret_passed) {
        _cleanup_(fd_closep) int passed = -1;
        size_t n = 0, part = 0;
        int r;

        do {
                if (n == LINK_FRAME_MAX)
                        return error_origin(-EMSGSIZE);
                r = link_receive_part(fd, buffer + n, LINK_FRAME_MAX - n, &part, &passed);
                if (r < 0)
                        return error_trace(r);
                n += part;
        } while (buffer[n - 1] != 0);
        *ret_n = n;
        *ret_passed = fd_take(&passed);
        return 0;
}
