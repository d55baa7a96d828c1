/* SPDX-License-Identifier: BSD-2-Clause */

/* What nobody takes is closed with the list that owns it. */

#include "proto/fdlist.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "proto/error.h"

int socket_close(int fd) {
        int listens = 0;
        socklen_t size = sizeof(listens);

        if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
                           sizeof(struct linger));
        return fd_close(fd);
}

void fdlist_deinit(FDList *list) {
        for (size_t i = 0; i < list->n && !list->borrows; i++)
                socket_close(list->fds[i]);
        free(list->fds);
        *list = FDLIST_INIT;
}

void fdlist_sent(FDList *list) {
        for (size_t i = 0; i < list->n && list->gives; i++)
                list->fds[i] = fd_close(list->fds[i]);
        fdlist_deinit(list);
}

static int fdlist_reserve(FDList *list, size_t n) {
        size_t size = list->size ?: 4;
        int *fds;

        while (size < list->n + n)
                size *= 2;
        if (size == list->size)
                return 0;
        fds = realloc(list->fds, size * sizeof(*fds));
        if (!fds)
                return error_origin(-ENOMEM);
        list->fds = fds;
        list->size = size;
        return 0;
}

int fdlist_add(FDList *list, int fd) {
        int r = fdlist_reserve(list, 1);

        if (r < 0) {
                if (!list->borrows)
                        fd_close(fd);
                return error_trace(r);
        }
        list->fds[list->n++] = fd;
        return 0;
}

int fdlist_own(FDList *list) {
        FDList copies = FDLIST_INIT;

        for (size_t i = 0; i < list->n && list->borrows; i++) {
                int fd = fcntl(list->fds[i], F_DUPFD_CLOEXEC, 3);
                int r = fd < 0 ? error_origin(-errno) : fdlist_add(&copies, fd);

                if (r < 0) {
                        fdlist_deinit(&copies);
                        return error_trace(r);
                }
        }
        if (list->borrows) {
                fdlist_deinit(list);
                *list = copies;
        }
        return 0;
}

int fdlist_take(FDList *list, size_t index) {
        return index < list->n ? fd_take(&list->fds[index]) : -1;
}

int fdlist_shift(FDList *from, size_t n, FDList *to) {
        int r;

        assert(n <= from->n);
        if (n == 0)
                return 0;
        r = fdlist_reserve(to, n);
        if (r < 0)
                return error_trace(r);
        memcpy(to->fds + to->n, from->fds, n * sizeof(int));
        to->n += n;
        from->n -= n;
        memmove(from->fds, from->fds + n, from->n * sizeof(int));
        return 0;
}
