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
#include <time.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/child.h"
#include "tests/bench/stats.h"

enum {
        /* Between two attempts to reach a broker. */
        LEASE_RETRY_MSEC = 5,
};

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

/* Until then the next broker must be there. */
static uint64_t patience_end(void) {
        return clock_nsec() + CHILD_PATIENCE_MSEC * UINT64_C(1000000);
}

/* Whether @r only says that a broker has died, and there is time for the next. Waits a little then, and
 * consumes @error. */
static bool lease_may_retry(const Lease *lease, int r, uint64_t end, reuse_error **error) {
        static const struct timespec pause = { .tv_nsec = LEASE_RETRY_MSEC * 1000000L };
        bool dead = r == -ECONNREFUSED || r == -ECONNRESET || r == -ENOENT;

        if (!lease->mortal || !dead || clock_nsec() > end)
                return false;
        *error = reuse_error_free(*error);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        return true;
}

static int lease_noticed(reuse_client *client, reuse_notice *notice, void *userdata) {
        Lease *lease = userdata;

        (void)client;
        switch (reuse_notice_get_what(notice)) {
        case REUSE_NOTICE_REPLACED:
                lease->n_replaced++;
                /* Who has given its socket back needs no other; one that was not moved to yet is lost,
                 * too. */
                if (lease->fd < 0)
                        break;
                reuse_sockets_free(lease->next);
                lease->next = reuse_notice_take_sockets(notice);
                break;
        case REUSE_NOTICE_GONE:
                /* Of one that drains, the new broker will never tell. */
                if (!lease->draining)
                        return -ENOENT;
                lease->drained = true;
                break;
        default:
                break;
        }
        return 0;
}

static int lease_connect(Lease *lease, const reuse_request *request, reuse_error **ret_error) {
        int r = reuse_client_connect(lease->path, &lease->client, ret_error);

        if (r < 0)
                return r;
        reuse_client_set_notice_handler(lease->client, lease_noticed, lease);
        r = reuse_client_acquire(lease->client, request, &lease->sockets, ret_error);
        if (r < 0)
                lease->client = reuse_client_free(lease->client);
        return r;
}

int lease_take(const LeaseOrder *order, Lease *lease) {
        _cleanup_(reuse_request_freep) reuse_request *request = NULL;
        uint64_t end = patience_end();
        reuse_error *error = NULL;
        int r;

        *lease = LEASE_NONE;
        lease->path = order->path;
        lease->mortal = order->mortal;
        r = reuse_request_new(&request);
        if (r == 0)
                r = request_fill(request, order, &error);
        if (r < 0)
                return library_fault(r, error);
        do {
                r = lease_connect(lease, request, &error);
        } while (r < 0 && lease_may_retry(lease, r, end, &error));
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
        if (what && strcmp(what, "overflow") == 0)
                lease->missed = true;
        return 0;
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
        if (r < 0)
                lease->watch = reuse_client_free(lease->watch);
        return r;
}

/* Said again, it is told of again. A lease that the broker does not know is about to be moved,
 * or gone. */
static int lease_say_drain(Lease *lease) {
        const char *name = reuse_sockets_get_lease(lease->sockets, 0);
        reuse_error *error = NULL;
        int r = reuse_client_drain(lease->client, &name, 1, &error);

        if (r == -ENOENT && lease->mortal) {
                reuse_error_free(error);
                return 0;
        }
        return r < 0 ? library_fault(r, error) : 0;
}

int lease_drain(Lease *lease) {
        uint64_t end = patience_end();
        reuse_error *error = NULL;
        int r;

        lease->draining = true;
        do {
                r = lease_watch(lease, &error);
        } while (r < 0 && lease_may_retry(lease, r, end, &error));
        if (r < 0)
                return library_fault(r, error);
        r = lease_listen(lease);
        if (r == 0)
                r = lease_say_drain(lease);
        return r < 0 ? error_trace(r) : 0;
}

int lease_client_fd(const Lease *lease) {
        return lease->client ? reuse_client_get_fd(lease->client) : -1;
}

int lease_watch_fd(const Lease *lease) {
        return lease->watch ? reuse_client_get_fd(lease->watch) : -1;
}

int lease_rest_msec(const Lease *lease) {
        uint64_t client = reuse_client_get_timeout(lease->client);
        uint64_t watch = reuse_client_get_timeout(lease->watch);
        uint64_t due = client < watch ? client : watch, now = clock_nsec() / 1000;

        if (due == UINT64_MAX)
                return -1;
        return due <= now ? 0 : (int)((due - now) / 1000 + 1);
}

static int process_all(reuse_client *client) {
        int r = 0;

        if (client)
                do {
                        r = reuse_client_process(client);
                } while (r > 0);
        return r < 0 ? error_origin(r) : 0;
}

int lease_listen(Lease *lease) {
        int r;

        r = process_all(lease->client);
        if (r == 0)
                r = process_all(lease->watch);
        if (r == 0 && lease->missed) {
                lease->missed = false;
                r = lease_say_drain(lease);
        }
        return r < 0 ? error_trace(r) : 0;
}

int lease_move(Lease *lease) {
        fd_close(lease->fd);
        reuse_sockets_free(lease->sockets);
        lease->sockets = ptr_take(lease->next);
        lease->fd = reuse_sockets_take_fd(lease->sockets, 0);
        lease->drained = false;
        return lease->draining ? lease_say_drain(lease) : 0;
}

int lease_release(Lease *lease) {
        const char *name = reuse_sockets_get_lease(lease->sockets, 0);
        reuse_error *error = NULL;
        int r;

        lease->fd = fd_close(lease->fd);
        r = reuse_client_release(lease->client, &name, 1, &error);
        /* It had been released when the broker died, or was lost with it. */
        if (r == -ENOENT && lease->mortal) {
                error = reuse_error_free(error);
                r = 0;
        }
        lease_deinit(lease);
        return r < 0 ? library_fault(r, error) : 0;
}

void lease_deinit(Lease *lease) {
        lease->fd = fd_close(lease->fd);
        lease->watch = reuse_client_free(lease->watch);
        lease->next = reuse_sockets_free(lease->next);
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
