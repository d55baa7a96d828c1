/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A client without the library: each message is built from jansson values and parsed into them. It
 * speaks to the broker and to the floor alike, so that only the server differs.
 */

#include "tests/bench/link.h"

enum {
        RAW_TEXT_MAX = 128,
};

typedef struct RawClient {
        const char *path;    /* of the server; borrowed */
        const char *sharing; /* borrowed */
        char address[RAW_TEXT_MAX];
        int fd;
        int held; /* the socket given, -1 for none */
        char lease[RAW_TEXT_MAX];
        char buffer[LINK_FRAME_MAX]; /* the last message, sent or received */
} RawClient;

/* Will ask the server at @path for a TCP socket at @address. Borrows @path and @sharing. Not connected
 * yet. */
void raw_client_init(RawClient *client, const char *path, const char *sharing, const char *address);
void raw_client_deinit(RawClient *client);

/* Returns 0 or a negative errno. */
int raw_client_connect(RawClient *client);

/* Asks for the socket and holds it. The address becomes the one given: with its port. 0 or a negative
 * errno. */
int raw_client_acquire(RawClient *client);

/* Closes the socket given last; its lease goes on. */
void raw_client_drop(RawClient *client);

/* Closes the socket given last and ends its lease. Returns 0 or a negative errno. */
int raw_client_release(RawClient *client);

/* Steps of a contest, over a RawClient as @userdata. A visit begins with the connection, and ends with
 * it. */
int raw_client_step_acquire(void *userdata);
int raw_client_step_release(void *userdata);
int raw_client_step_visit(void *userdata);
int raw_client_step_leave(void *userdata);
