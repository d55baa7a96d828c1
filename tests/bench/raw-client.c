/* SPDX-License-Identifier: BSD-2-Clause */

/* The least that a client can do, with the same JSON library as the broker. */

#include "tests/bench/raw-client.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/error.h"

void raw_client_init(RawClient *client, const char *path, const char *sharing, const char *address) {
        *client = (RawClient){ .path = path, .sharing = sharing, .fd = -1, .held = -1 };
        snprintf(client->address, sizeof(client->address), "%s", address);
}

void raw_client_deinit(RawClient *client) {
        raw_client_drop(client);
        client->fd = fd_close(client->fd);
}

int raw_client_connect(RawClient *client) {
        int r = link_connect(client->path, &client->fd);

        return r < 0 ? error_trace(r) : 0;
}

/* Consumes @call. *@ret_reply and *@ret_passed are the caller's. */
static int raw_client_call(RawClient *client, json_t *call, json_t **ret_reply, int *ret_passed) {
        _cleanup_(fd_closep) int passed = -1;
        json_auto_t *reply = NULL;
        size_t n;
        int r;

        n = call ? json_dumpb(call, client->buffer, sizeof(client->buffer) - 1, JSON_COMPACT) : 0;
        json_decref(call);
        if (n == 0 || n >= sizeof(client->buffer))
                return error_origin(-ENOMEM);
        client->buffer[n] = 0;
        r = link_send(client->fd, client->buffer, n + 1, -1);
        if (r == 0)
                r = link_receive(client->fd, client->buffer, &n, &passed);
        if (r < 0)
                return error_trace(r);
        reply = json_loadb(client->buffer, n - 1, JSON_REJECT_DUPLICATES, NULL);
        if (!reply || json_object_get(reply, "error")) {
                fprintf(stderr, "handoff: %s answers %s\n", client->path, client->buffer);
                return error_origin(-EREMOTEIO);
        }
        *ret_reply = ptr_take(reply);
        *ret_passed = fd_take(&passed);
        return 0;
}

int raw_client_acquire(RawClient *client) {
        _cleanup_(fd_closep) int passed = -1;
        json_auto_t *reply = NULL;
        const char *lease, *address;
        int r;

        r = raw_client_call(client,
                            json_pack("{s:s, s:{s:[{s:s, s:s, s:s}]}}", "method",
                                      "io.reuseportd.Acquire", "parameters", "sockets", "network",
                                      "tcp4", "address", client->address, "sharing", client->sharing),
                            &reply, &passed);
        if (r < 0)
                return error_trace(r);
        if (passed < 0 || json_unpack(reply, "{s:{s:[{s:s, s:s}]}}", "parameters", "sockets", "lease",
                                      &lease, "address", &address) < 0)
                return error_origin(-EPROTO);
        snprintf(client->lease, sizeof(client->lease), "%s", lease);
        snprintf(client->address, sizeof(client->address), "%s", address);
        raw_client_drop(client);
        client->held = fd_take(&passed);
        return 0;
}

void raw_client_drop(RawClient *client) {
        client->held = fd_close(client->held);
}

int raw_client_release(RawClient *client) {
        _cleanup_(fd_closep) int passed = -1;
        json_auto_t *reply = NULL;
        int r;

        raw_client_drop(client);
        r = raw_client_call(client,
                            json_pack("{s:s, s:{s:[s]}}", "method", "io.reuseportd.Release",
                                      "parameters", "leases", client->lease),
                            &reply, &passed);
        return r < 0 ? error_trace(r) : 0;
}

int raw_client_step_acquire(void *userdata) {
        return raw_client_acquire(userdata);
}

int raw_client_step_release(void *userdata) {
        return raw_client_release(userdata);
}

int raw_client_step_visit(void *userdata) {
        int r = raw_client_connect(userdata);

        return r < 0 ? error_trace(r) : raw_client_acquire(userdata);
}

int raw_client_step_leave(void *userdata) {
        raw_client_deinit(userdata);
        return 0;
}
