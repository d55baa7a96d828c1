/* SPDX-License-Identifier: BSD-2-Clause */

/* The figures that count are of these steps: what a program that links the library waits for. */

#include "tests/bench/library-client.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/error.h"

/* Consumes @error. Returns @r. */
static int library_fault(int r, reuse_error *error) {
        fprintf(stderr, "handoff: %s\n", error ? reuse_error_get_message(error) : "the library failed");
        reuse_error_free(error);
        return error_origin(r);
}

int library_client_init(LibraryClient *client, const char *path, const char *sharing,
                        const char *address) {
        reuse_error *error = NULL;
        int r;

        *client = (LibraryClient){ .path = path };
        r = reuse_request_new(&client->request);
        if (r == 0)
                r = reuse_request_add(client->request, "tcp4", address);
        if (r >= 0)
                r = reuse_request_set(client->request, "sharing", sharing, &error);
        if (r < 0) {
                library_client_deinit(client);
                return library_fault(r, error);
        }
        return 0;
}

void library_client_deinit(LibraryClient *client) {
        client->sockets = reuse_sockets_free(client->sockets);
        client->client = reuse_client_free(client->client);
        client->request = reuse_request_free(client->request);
}

int library_client_connect(LibraryClient *client) {
        reuse_error *error = NULL;
        int r = reuse_client_connect(client->path, &client->client, &error);

        return r < 0 ? library_fault(r, error) : 0;
}

int library_client_step_acquire(void *userdata) {
        LibraryClient *client = userdata;
        reuse_error *error = NULL;
        int r = reuse_client_acquire(client->client, client->request, &client->sockets, &error);

        return r < 0 ? library_fault(r, error) : 0;
}

int library_client_step_release(void *userdata) {
        LibraryClient *client = userdata;
        const char *lease = reuse_sockets_get_lease(client->sockets, 0);
        reuse_error *error = NULL;
        int r;

        close(reuse_sockets_take_fd(client->sockets, 0));
        r = reuse_client_release(client->client, &lease, 1, &error);
        client->sockets = reuse_sockets_free(client->sockets);
        return r < 0 ? library_fault(r, error) : 0;
}

int library_client_step_visit(void *userdata) {
        int r = library_client_connect(userdata);

        return r < 0 ? error_trace(r) : library_client_step_acquire(userdata);
}

int library_client_step_leave(void *userdata) {
        LibraryClient *client = userdata;

        client->sockets = reuse_sockets_free(client->sockets);
        client->client = reuse_client_free(client->client);
        return 0;
}
