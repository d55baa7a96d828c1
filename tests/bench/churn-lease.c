/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The events come over a connection of their own, that is made when they are needed: a Watch that goes
 * on would keep back all later answers of its connection.
 */

#include "tests/bench/churn-lease.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/error.h"

CLEANUP_DEFINE(reuse_request, reuse_request_free)

/* Consumes @error. Returns @r. */
static int library_fault(int r, reuse_error *error) {
        fprintf(stderr, "churn: %s\n", error ? reuse_error_get_message(error) : "the library failed");
        reuse_error_free(error);
        return error_origin(r);
}

static int request_fill(reuse_request *request, const LeaseOrder *order, reuse_error **ret_error) {
        int r;

        r = reuse_request_add(request, kind_network(order->kind), kind_text(order->kind));
        if (r >= 0)
                r = reuse_request_set(request, "sharing", kind_sharing(order->kind), ret_error);
        if (r >= 0 && order->steering)
                r = reuse_request_set(request, "steering", order->steering, ret_error);
        if (r >= 0)
                r = reuse_request_set_lifetime(request, order->lifetime);
        return r;
}

int lease_take(const LeaseOrder *order, Lease *lease) {
        _cleanup_(reuse_request_freep) reuse_request *request = NULL;
        reuse_error *error = NULL;
        int r;

        *lease = LEASE_NONE;
        lease->path = order->path;
        r = reuse_request_new(&request);
        if (r == 0)
                r = request_fill(request, order, &error);
        if (r == 0)
                r = reuse_client_connect(order->path, &lease->client, &error);
        if (r == 0)
                r = reuse_client_acquire(lease->client, request, &lease->sockets, &error);
        if (r < 0)
                return library_fault(r, error);
        lease->fd = reuse_sockets_take_fd(lease->sockets, 0);
        return 0;
}

static int lease_event(reuse_client *client, reuse_reply *reply, void *userdata) {
        Lease *lease = userdata;
        const char *text = reuse_reply_get_parameters(reply), *what, *whose;
        _cleanup_(json_decrefp) json_t *event = text ? json_loads(text, 0, NULL) : NULL;

        if (!event)
                return -EPROTO;
        what = json_string_value(json_object_get(json_object_get(event, "event"), "what"));
        whose = json_string_value(json_object_get(json_object_get(event, "event"), "lease"));
        if (what && whose && strcmp(what, "drained") == 0 &&
            strcmp(whose, reuse_sockets_get_lease(lease->sockets, 0)) == 0)
                lease->drained = true;
        /* The one event that matters may have been among those that were dropped. */
        return what && strcmp(what, "overflow") == 0 ? -EOVERFLOW : 0;
}

/*
 * The first call is answered once the broker has accepted the connection: what is written to it from
 * then on is read before what is written to the other connection later.
 */
static int lease_watch(Lease *lease, reuse_error **ret_error) {
        int r;

        r = reuse_client_connect(lease->path, &lease->watch, ret_error);
        if (r == 0)
                r = reuse_client_call(lease->watch, "GetStatus", NULL, NULL, ret_error);
        if (r == 0)
                r = reuse_client_call_async(lease->watch, "Watch", NULL, REUSE_CALL_MORE, lease_event,
                                            lease);
        return r < 0 ? r : lease_listen(lease);
}

int lease_drain(Lease *lease) {
        const char *name = reuse_sockets_get_lease(lease->sockets, 0);
        reuse_error *error = NULL;
        int r;

        r = lease_watch(lease, &error);
        if (r == 0)
                r = reuse_client_drain(lease->client, &name, 1, &error);
        return r < 0 ? library_fault(r, error) : 0;
}

int lease_watch_fd(const Lease *lease) {
        return lease->watch ? reuse_client_get_fd(lease->watch) : -1;
}

int lease_listen(Lease *lease) {
        int r;

        do {
                r = reuse_client_process(lease->watch);
        } while (r > 0);
        return r < 0 ? error_origin(r) : 0;
}

int lease_release(Lease *lease) {
        const char *name = reuse_sockets_get_lease(lease->sockets, 0);
        reuse_error *error = NULL;
        int r;

        lease->fd = fd_close(lease->fd);
        r = reuse_client_release(lease->client, &name, 1, &error);
        lease_deinit(lease);
        return r < 0 ? library_fault(r, error) : 0;
}

void lease_deinit(Lease *lease) {
        lease->fd = fd_close(lease->fd);
        lease->watch = reuse_client_free(lease->watch);
        lease->sockets = reuse_sockets_free(lease->sockets);
        lease->client = reuse_client_free(lease->client);
}

int lease_broker_can(const char *path, const char *capability, bool *ret) {
        _cleanup_(json_decrefp) json_t *status = NULL;
        _cleanup_(freep) char *text = NULL;
        reuse_client *client = NULL;
        reuse_error *error = NULL;
        const json_t *each;
        size_t i;
        int r;

        r = reuse_client_connect(path, &client, &error);
        if (r == 0)
                r = reuse_client_call(client, "GetStatus", NULL, &text, &error);
        reuse_client_free(client);
        if (r < 0)
                return library_fault(r, error);
        status = json_loads(text, 0, NULL);
        *ret = false;
        json_array_foreach(json_object_get(status, "capabilities"), i, each) *ret =
                *ret || strcmp(json_string_value(each) ?: "", capability) == 0;
        return 0;
}
