/* SPDX-License-Identifier: BSD-2-Clause */

/* They close their descriptors: what the broker has is all that counts here. */

#include "tests/bench/comeback-holder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client-lib/reuse-client.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/shared.h"

enum {
        HOLDER_SOCKETS_PER_CALL = 64,
        HOLDER_PORT_FIRST = 10000,
        HOLDER_PORTS = 1000,
};

CLEANUP_DEFINE(reuse_request, reuse_request_free)
CLEANUP_DEFINE(reuse_sockets, reuse_sockets_free)

typedef struct HolderOrder {
        const char *path;
        const char *sharing;
        uid_t uid;
        size_t first, end;
        int done;           /* eventfd */
        atomic_size_t *got; /* the end of what it has */
} HolderOrder;

/* Sockets from @first on. Returns how many are asked for, or a negative errno. */
static int holder_request(const HolderOrder *order, size_t first, reuse_request *request) {
        int r = reuse_request_set_lifetime(request, "process"), n = 0;

        while (r >= 0 && n < HOLDER_SOCKETS_PER_CALL && first + (size_t)n < order->end) {
                size_t i = first + (size_t)n++;
                char address[32];

                snprintf(address, sizeof(address), "127.0.0.%zu:%zu", 1 + i / HOLDER_PORTS,
                         HOLDER_PORT_FIRST + i % HOLDER_PORTS);
                r = reuse_request_add(request, "tcp4", address);
                if (r >= 0)
                        r = reuse_request_set(request, "sharing", order->sharing, NULL);
        }
        return r < 0 ? error_origin(r) : n;
}

static int holder_acquire(const HolderOrder *order, reuse_client *client) {
        while (*order->got < order->end) {
                _cleanup_(reuse_request_freep) reuse_request *request = NULL;
                _cleanup_(reuse_sockets_freep) reuse_sockets *sockets = NULL;
                int n, r;

                r = reuse_request_new(&request);
                if (r < 0)
                        return error_origin(r);
                n = holder_request(order, *order->got, request);
                if (n < 0)
                        return error_trace(n);
                r = reuse_client_acquire(client, request, &sockets, NULL);
                if (r < 0)
                        return error_origin(r);
                *order->got += (size_t)n;
        }
        return 0;
}

static int holder_run(void *userdata) {
        const HolderOrder *order = userdata;
        reuse_client *client = NULL;
        int r;

        r = user_become(order->uid);
        if (r == 0)
                r = reuse_client_connect(order->path, &client, NULL);
        if (r == 0)
                r = holder_acquire(order, client);
        if (r < 0 && r != -EDQUOT)
                return r;
        if (eventfd_write(order->done, 1) < 0)
                return -errno;
        for (;;)
                pause();
}

int holders_start(const char *path, const char *sharing, size_t n, Holders *holders) {
        _cleanup_(fd_closep) int done = eventfd(0, EFD_CLOEXEC);
        HolderOrder order = { .path = path, .sharing = sharing, .end = n, .done = done };
        eventfd_t ignored;
        int r;

        *holders = (Holders){ .n = 0 };
        if (done < 0)
                return error_origin(-errno);
        r = shared_map(sizeof(*order.got), (void **)&order.got);
        while (r == 0 && *order.got < n && holders->n < HOLDERS_MAX) {
                order.uid = USER_HOSTILE + (uid_t)holders->n;
                r = child_run(holder_run, &order, &holders->children[holders->n]);
                if (r == 0)
                        r = child_await(&holders->children[holders->n++], done);
                if (r == 0 && eventfd_read(done, &ignored) < 0)
                        r = error_origin(-errno);
        }
        if (r == 0 && *order.got < n)
                r = error_origin(-EDQUOT);
        shared_unmap(order.got, sizeof(*order.got));
        return r < 0 ? error_trace(r) : 0;
}

void holders_stop(Holders *holders) {
        while (holders->n > 0)
                child_stop(&holders->children[--holders->n]);
}
