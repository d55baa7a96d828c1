/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The sockets of one Acquire. A number in the reply says which descriptor is meant, and the cookie of
 * the kernel's socket proves it: a descriptor that went astray is found out here, not by its traffic.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "client-lib/internal.h"

struct reuse_sockets {
        AcquireOut *out; /* one block */
        int lifetime_fd; /* -1: there is none, or it was taken */
        int fds[];       /* in the order of out->sockets; -1 once taken */
};

static const SocketReply *reply_socket(const AcquireOut *out, size_t index) {
        return (const SocketReply *)out->sockets.items + index;
}

static bool cookie_matches(int fd, const char *expected) {
        socklen_t size = sizeof(uint64_t);
        uint64_t cookie;
        char *end;

        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
                return false;
        return strtoull(expected, &end, 10) == cookie && *end == '\0';
}

static bool is_pipe(int fd) {
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* How many descriptors go with them. */
static size_t sockets_expect(const AcquireOut *out) {
        return out->sockets.n + (out->lifetime_file_descriptor != WIRE_ABSENT);
}

static int sockets_claim_lifetime(reuse_sockets *sockets, FDList *fds) {
        int64_t number = sockets->out->lifetime_file_descriptor;

        if (number == WIRE_ABSENT)
                return 0;
        if (number < 0)
                return SOCKETS_E_DESCRIPTORS;
        sockets->lifetime_fd = fdlist_take(fds, (size_t)number);
        if (sockets->lifetime_fd < 0)
                return SOCKETS_E_DESCRIPTORS;
        return is_pipe(sockets->lifetime_fd) ? 0 : SOCKETS_E_COOKIE;
}

/* Each number is there once, so @fds is empty at the end. */
static int sockets_claim(reuse_sockets *sockets, FDList *fds) {
        for (size_t i = 0; i < sockets->out->sockets.n; i++) {
                const SocketReply *socket = reply_socket(sockets->out, i);

                if (socket->socket_file_descriptor < 0)
                        return SOCKETS_E_DESCRIPTORS;
                sockets->fds[i] = fdlist_take(fds, (size_t)socket->socket_file_descriptor);
                if (sockets->fds[i] < 0)
                        return SOCKETS_E_DESCRIPTORS;
                if (!cookie_matches(sockets->fds[i], socket->cookie))
                        return SOCKETS_E_COOKIE;
        }
        return sockets_claim_lifetime(sockets, fds);
}

int sockets_new(Message *message, size_t expected, FDList *fds, reuse_sockets **ret) {
        const Record *record = wire_methods[WIRE_METHOD_ACQUIRE].out;
        _cleanup_(reuse_sockets_freep) reuse_sockets *sockets = NULL;
        _cleanup_(fdlist_deinit) FDList mine = FDLIST_INIT;
        AcquireOut out;
        void *copy;
        int r;

        r = message_decode(message, record, false, &out);
        if (r != 0)
                return r < 0 ? r : SOCKETS_E_MALFORMED;
        if (out.sockets.n == 0 || out.sockets.n > SOCKETS_MAX ||
            (expected > 0 && out.sockets.n != expected))
                return SOCKETS_E_MALFORMED;
        if (fds->n < sockets_expect(&out))
                return SOCKETS_E_DESCRIPTORS;
        r = fdlist_shift(fds, sockets_expect(&out), &mine);
        if (r < 0)
                return r;

        r = wire_copy(record, &out, &copy);
        if (r < 0)
                return r;
        sockets = malloc(sizeof(*sockets) + out.sockets.n * sizeof(int));
        if (!sockets) {
                free(copy);
                return -ENOMEM;
        }
        sockets->out = copy;
        sockets->lifetime_fd = -1;
        memset(sockets->fds, -1, out.sockets.n * sizeof(int));

        r = sockets_claim(sockets, &mine);
        if (r == 0)
                *ret = ptr_take(sockets);
        return r;
}

int sockets_claim_dialled(Message *message, FDList *fds, FDList *ret) {
        _cleanup_(fdlist_deinit) FDList mine = FDLIST_INIT;
        DialOut out;
        int r;

        r = message_decode(message, wire_methods[WIRE_METHOD_DIAL].out, false, &out);
        if (r != 0)
                return r < 0 ? r : SOCKETS_E_MALFORMED;
        if (fds->n < 1 || out.socket_file_descriptor != 0)
                return SOCKETS_E_DESCRIPTORS;
        r = fdlist_shift(fds, 1, &mine);
        if (r < 0)
                return r;
        if (!cookie_matches(mine.fds[0], out.cookie))
                return SOCKETS_E_COOKIE;
        *ret = mine;
        mine = FDLIST_INIT;
        return 0;
}

const AcquireOut *sockets_describe(const reuse_sockets *sockets) {
        return sockets->out;
}

_public_ reuse_sockets *reuse_sockets_free(reuse_sockets *sockets) {
        if (!sockets)
                return NULL;
        for (size_t i = 0; i < sockets->out->sockets.n; i++)
                fd_close(sockets->fds[i]);
        fd_close(sockets->lifetime_fd);
        free(sockets->out);
        free(sockets);
        return NULL;
}

_public_ size_t reuse_sockets_count(const reuse_sockets *sockets) {
        return sockets ? sockets->out->sockets.n : 0;
}

static const SocketReply *sockets_at(const reuse_sockets *sockets, size_t index) {
        return index < reuse_sockets_count(sockets) ? reply_socket(sockets->out, index) : NULL;
}

_public_ int reuse_sockets_get_fd(const reuse_sockets *sockets, size_t index) {
        if (!sockets_at(sockets, index))
                return -EINVAL;
        return sockets->fds[index] < 0 ? -EBADF : sockets->fds[index];
}

_public_ int reuse_sockets_take_fd(reuse_sockets *sockets, size_t index) {
        if (!sockets_at(sockets, index))
                return -EINVAL;
        return sockets->fds[index] < 0 ? -EBADF : fd_take(&sockets->fds[index]);
}

_public_ int reuse_sockets_get_lifetime_fd(const reuse_sockets *sockets) {
        if (!sockets)
                return -EINVAL;
        return sockets->lifetime_fd < 0 ? -EBADF : sockets->lifetime_fd;
}

_public_ int reuse_sockets_take_lifetime_fd(reuse_sockets *sockets) {
        if (!sockets)
                return -EINVAL;
        return sockets->lifetime_fd < 0 ? -EBADF : fd_take(&sockets->lifetime_fd);
}

_public_ const char *reuse_sockets_get_lease(const reuse_sockets *sockets, size_t index) {
        const SocketReply *socket = sockets_at(sockets, index);

        return socket ? socket->lease : NULL;
}

_public_ const char *reuse_sockets_get_endpoint(const reuse_sockets *sockets, size_t index) {
        const SocketReply *socket = sockets_at(sockets, index);

        return socket ? socket->endpoint : NULL;
}

_public_ const char *reuse_sockets_get_name(const reuse_sockets *sockets, size_t index) {
        const SocketReply *socket = sockets_at(sockets, index);

        return socket ? socket->name : NULL;
}

_public_ const char *reuse_sockets_get_network(const reuse_sockets *sockets, size_t index) {
        const SocketReply *socket = sockets_at(sockets, index);

        return socket ? socket->network : NULL;
}

_public_ const char *reuse_sockets_get_address(const reuse_sockets *sockets, size_t index) {
        const SocketReply *socket = sockets_at(sockets, index);

        return socket ? socket->address : NULL;
}

_public_ const char *reuse_sockets_get_sharing(const reuse_sockets *sockets, size_t index) {
        const SocketReply *socket = sockets_at(sockets, index);

        /* A later broker may have a way of sharing that has no name here. */
        return socket && socket->sharing >= 0 ? wire_sharing[socket->sharing] : NULL;
}

_public_ int reuse_sockets_get_adopted(const reuse_sockets *sockets, size_t index) {
        const SocketReply *socket = sockets_at(sockets, index);

        return socket ? socket->adopted : -EINVAL;
}
