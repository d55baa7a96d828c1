/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the manager calls them is the .socket unit's FileDescriptorName=, or the name in the store. There
 * may be thousands, in no order, and each is looked for once: they are sorted.
 */

#include "daemon/inherited.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/listen-fds.h"

static int compare(const void *a, const void *b) {
        const InheritedItem *x = a, *y = b;

        return strcmp(x->name, y->name);
}

int inherited_take(Inherited *ret) {
        _cleanup_(listen_fds_deinit) ListenFds passed = { 0 };
        int r;

        *ret = (Inherited){ 0 };
        r = listen_fds_take(true, &passed);
        if (r < 0)
                return error_trace(r);
        if (r > 0)
                return error_origin(r == LISTEN_FDS_E_NOT_OPEN ? -EBADF : -EINVAL);
        if (passed.n == 0)
                return 0;
        ret->items = calloc(passed.n, sizeof(*ret->items));
        if (!ret->items)
                return error_origin(-ENOMEM);
        for (; ret->n < passed.n; ret->n++)
                ret->items[ret->n] = (InheritedItem){ .fd = LISTEN_FDS_FIRST + (int)ret->n,
                                                      .name = ptr_take(passed.names[ret->n]) };
        inherited_sort(ret);
        return 0;
}

void inherited_sort(Inherited *inherited) {
        if (inherited->n > 0)
                qsort(inherited->items, inherited->n, sizeof(*inherited->items), compare);
}

int inherited_add(Inherited *inherited, const char *name, int fd) {
        InheritedItem *items = reallocarray(inherited->items, inherited->n + 1, sizeof(*items));
        char *copy = strdup(name);

        if (items)
                inherited->items = items;
        if (!items || !copy) {
                free(copy);
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        items[inherited->n++] = (InheritedItem){ .fd = fd, .name = copy };
        return 0;
}

static InheritedItem *find(const Inherited *inherited, const char *name) {
        InheritedItem key = { .name = (char *)name };
        InheritedItem *found, *end;

        if (inherited->n == 0)
                return NULL;
        end = inherited->items + inherited->n;
        found = bsearch(&key, inherited->items, inherited->n, sizeof(key), compare);
        while (found && found > inherited->items && compare(found - 1, &key) == 0)
                found--;
        for (; found && found < end && compare(found, &key) == 0; found++)
                if (found->fd >= 0)
                        return found;
        return NULL;
}

int inherited_claim(Inherited *inherited, const char *name) {
        InheritedItem *found = find(inherited, name);

        return found ? fd_take(&found->fd) : -1;
}

int inherited_claim_path(Inherited *inherited, const char *path) {
        for (size_t i = 0; i < inherited->n; i++)
                if (inherited->items[i].fd >= 0 &&
                    sd_is_socket_unix(inherited->items[i].fd, SOCK_STREAM, 1, path, 0) > 0)
                        return fd_take(&inherited->items[i].fd);
        return -1;
}

void inherited_deinit(Inherited *inherited) {
        for (size_t i = 0; i < inherited->n; i++) {
                fd_close(inherited->items[i].fd);
                free(inherited->items[i].name);
        }
        free(inherited->items);
        *inherited = (Inherited){ 0 };
}
