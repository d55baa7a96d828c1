/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Drain, and the wait for its end. That end is an event, so somebody must listen before there can be
 * one: over a connection of its own, since one that watches serves no other calls.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/internal.h"

/* The leases that are waited for. */
typedef struct Drain {
        const char *const *leases;
        bool *done; /* of each */
        size_t n;
        size_t n_left;
        bool overflow;      /* events were lost, and any of those left may have been told of */
        reuse_error *error; /* of what was heard last */
} Drain;

static void drain_mark(Drain *drain, const char *lease) {
        for (size_t i = 0; i < drain->n; i++)
                if (!drain->done[i] && strcmp(drain->leases[i], lease) == 0) {
                        drain->done[i] = true;
                        drain->n_left--;
                }
}

/* Who has gone has nothing left to do either. */
static void drain_hear(Drain *drain, const EventInfo *event) {
        if (strcmp(event->what, "overflow") == 0)
                drain->overflow = true;
        else if (event->lease &&
                 (strcmp(event->what, "drained") == 0 || strcmp(event->what, "released") == 0))
                drain_mark(drain, event->lease);
}

static int drain_on_event(reuse_client *watch, reuse_reply *reply, void *userdata) {
        Drain *drain = userdata;
        WatchOut out;
        int r;

        (void)watch;
        if (reply->number < 0) {
                drain->error = ptr_take(reply->error);
                return reply->number;
        }
        r = message_decode(reply->message, wire_methods[WIRE_METHOD_WATCH].out, false, &out);
        if (r < 0)
                return r;
        if (r > 0 || !reply->continues)
                return reuse_error_set(&drain->error, -EPROTO, "the broker's answer is not an event");
        drain_hear(drain, out.event);
        return 0;
}

/*
 * Listens over a connection of its own, *@ret_watch. Nothing answers a Watch before there is an event,
 * but the broker serves connections in turn: one that it has answered before, and that sends a Watch,
 * has its turn before the second of two calls that another connection makes from then on. Here the first
 * of the two is made.
 */
static int drain_listen(reuse_client *client, Drain *drain, reuse_client **ret_watch,
                        reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *watch = NULL;
        int r;

        r = reuse_client_connect(client->address.sun_path, &watch, ret_error);
        if (r < 0)
                return r;
        reuse_client_set_timeout(watch, client->timeout);
        /* What it would hear of is asked about over the other connection. */
        reuse_client_set_reconnect(watch, client_comes_back(client) ? client->reconnect : 0);
        r = client_tell(watch, WIRE_METHOD_GET_INFO, NULL, ret_error);
        if (r < 0)
                return r;
        r = reuse_client_call_async(watch, "Watch", NULL, REUSE_CALL_MORE, drain_on_event, drain);
        if (r < 0)
                return call_refused(r, ret_error);
        r = client_tell(client, WIRE_METHOD_GET_INFO, NULL, ret_error);
        if (r < 0)
                return r;
        *ret_watch = ptr_take(watch);
        return 0;
}

/* Has the broker tell once more of those that are left, one by one: those that have ended meanwhile
 * would make a call for all fail. */
static int drain_again(reuse_client *client, Drain *drain) {
        drain->overflow = false;
        for (size_t i = 0; i < drain->n; i++) {
                _cleanup_(reuse_error_freep) reuse_error *error = NULL;
                int r;

                if (drain->done[i])
                        continue;
                r = reuse_client_drain(client, &drain->leases[i], 1, &error);
                if (r == -ENOENT) {
                        drain_mark(drain, drain->leases[i]);
                } else if (r < 0) {
                        drain->error = ptr_take(error);
                        return r;
                }
        }
        return 0;
}

/* Hears events until no lease is left. Returns 0, -ETIMEDOUT, or another negative errno. */
static int drain_wait(reuse_client *client, Drain *drain, reuse_client *watch, uint64_t deadline) {
        while (drain->n_left > 0) {
                uint64_t now = client_now();
                int r = reuse_client_process(watch);

                if (r > 0 && drain->overflow)
                        r = drain_again(client, drain);
                else if (r == 0 && now < deadline)
                        r = reuse_client_wait(watch, deadline - now);
                else if (r == 0)
                        return reuse_error_set(&drain->error, -ETIMEDOUT,
                                               "at %zu of %zu sockets something still waits for the "
                                               "holder to take it",
                                               drain->n_left, drain->n);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

static void drain_deinit(Drain *drain) {
        free(drain->done);
        reuse_error_free(drain->error);
}

_public_ int reuse_client_drain_wait(reuse_client *client, const char *const *leases, size_t n,
                                     uint64_t usec, reuse_error **ret_error) {
        uint64_t deadline = client_deadline(client_now(), usec);
        _cleanup_(drain_deinit) Drain drain = { .leases = leases, .n = n, .n_left = n };
        _cleanup_(reuse_client_freep) reuse_client *watch = NULL;
        int r;

        r = leases_check(client, leases, n, ret_error);
        if (r < 0)
                return r;
        drain.done = calloc(n > 0 ? n : 1, sizeof(*drain.done));
        if (!drain.done)
                return -ENOMEM;
        r = drain_listen(client, &drain, &watch, ret_error);
        if (r < 0)
                return r;
        r = reuse_client_drain(client, leases, n, ret_error);
        if (r < 0)
                return r;
        r = drain_wait(client, &drain, watch, deadline);
        if (r < 0 && ret_error)
                *ret_error = ptr_take(drain.error);
        return r;
}
