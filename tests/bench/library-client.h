/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A client as programs are: it uses the public library, and asks for the same socket over and over. */

#include "client-lib/reuse-client.h"

typedef struct LibraryClient {
        const char *path; /* of the broker's socket; borrowed */
        reuse_client *client;
        reuse_request *request;
        reuse_sockets *sockets; /* what was given and not yet released */
} LibraryClient;

/* Will ask for a TCP socket at @address. Borrows @path. Not connected yet. Returns 0 or a negative
 * errno. */
int library_client_init(LibraryClient *client, const char *path, const char *sharing,
                        const char *address);
void library_client_deinit(LibraryClient *client);

/* Returns 0 or a negative errno. */
int library_client_connect(LibraryClient *client);

/* Steps of a contest, over a LibraryClient. A visit begins with the connection, and ends with it. */
int library_client_step_acquire(void *userdata);
int library_client_step_release(void *userdata);
int library_client_step_visit(void *userdata);
int library_client_step_leave(void *userdata);
