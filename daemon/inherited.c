/* SPDX-License-Identifier: BSD-2-Clause */

/* What the manager calls them is the .socket unit's FileDescriptorName=, or the name in the store. */

#include "daemon/inherited.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "proto/cleanup.h"
#include "proto/error.h"

int inherited_take(Inherited *ret) {
        char **names = NULL;
        int n;

        *ret = (Inherited){ 0 };
        n = sd_listen_fds_with_names(true, &names);
        if (n <= 0)
                return n < 0 ? error_origin(n) : 0;
        ret->items = calloc((size_t)n, sizeof(*ret->items));
        for (int i = 0; i < n; i++)
                if (ret->items)
                        ret->items[ret->n++] =
                                (InheritedItem){ .fd = SD_LISTEN_FDS_START + i, .name = names[i] };
                else {
                        fd_close(SD_LISTEN_FDS_START + i);
                        free(names[i]);
                }
        free(names);
        return ret->items ? 0 : error_origin(-ENOMEM);
}

int inherited_claim(Inherited *inherited, const char *name) {
        for (size_t i = 0; i < inherited->n; i++)
                if (inherited->items[i].fd >= 0 && strcmp(inherited->items[i].name, name) == 0)
                        return fd_take(&inherited->items[i].fd);
        return -1;
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
