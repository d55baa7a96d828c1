/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Addresses that are tried one after the other, each in up to four ways: with what the broker chooses,
 * then with a port of its own, twice more if the connection went to itself or found no port, and at last
 * without a broker where there is none. An attempt ends in a state; who goes on from there is in
 * lane_run() alone, so nothing here calls itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "client-lib/outgoing.h"

enum {
        PAUSE_MIN_USEC = 1000,
        PAUSE_MAX_USEC = 100 * 1000,
};

static int lane_answered(reuse_client *client, reuse_reply *reply, void *userdata);

void lane_init(OutgoingLane *lane, reuse_outgoing *outgoing, size_t from, size_t to) {
        *lane = (OutgoingLane){ .outgoing = outgoing, .next = from, .end = to, .fd = -1 };
}

void lane_deinit(OutgoingLane *lane) {
        lane_drop(lane);
        lane->error = reuse_error_free(lane->error);
        lane->before = reuse_error_free(lane->before);
}

static const OutgoingAddress *lane_remote(const OutgoingLane *lane) {
        return &lane->outgoing->remotes[lane->next];
}

/* ---- waiting ---- */

static int lane_arm(OutgoingLane *lane) {
        struct epoll_event event = { .events = EPOLLOUT, .data.ptr = lane };
        reuse_client *client = lane->outgoing->client;
        int r;

        r = reuse_client_get_fd(client);
        if (r < 0)
                return r;
        if (epoll_ctl(r, EPOLL_CTL_ADD, lane->fd, &event) < 0)
                return -errno;
        client->n_connecting++;
        return 0;
}

static void lane_disarm(OutgoingLane *lane) {
        reuse_client *client = lane->outgoing->client;

        /* Not left to close(): whoever made the socket may still have a copy. */
        epoll_ctl(client->poll_fd, EPOLL_CTL_DEL, lane->fd, NULL);
        client->n_connecting--;
}

/* The answer has to come, or its place in the order would be lost; it is heard by nobody. */
static void lane_forget_call(OutgoingLane *lane) {
        PendingCall *call;

        TAILQ_FOREACH (call, &lane->outgoing->client->calls, entry)
                if (call->handler == lane_answered && call->userdata == lane)
                        call->handler = NULL;
}

void lane_drop(OutgoingLane *lane) {
        if (lane->state == LANE_CONNECTING)
                lane_disarm(lane);
        if (lane->state == LANE_ASKING)
                lane_forget_call(lane);
        lane->fd = fd_close(lane->fd);
        lane->state = LANE_OVER;
}

/* ---- failing ---- */

/* Whether the address is tried in another way, which is noted. */
static bool lane_varies(OutgoingLane *lane, int number, const char *answer, bool no_broker) {
        const reuse_outgoing *outgoing = lane->outgoing;

        if (outgoing->local.fixed)
                return false;
        if (no_broker || outgoing_is_unserved(outgoing->kind, answer)) {
                if (lane->alone || outgoing_needs_broker(outgoing))
                        return false;
                lane->alone = lane->plain = true;
                return true;
        }
        if (outgoing->kind->type == SOCK_STREAM && outgoing->kind->brokered && !answer &&
            (number == -ELOOP || number == -EADDRNOTAVAIL)) {
                lane->plain = true;
                return lane->redials++ < OUTGOING_REDIALS_MAX;
        }
        if (lane->plain || !outgoing_may_retry(number, answer))
                return false;
        lane->plain = true;
        return true;
}

/* Goes to the address at lane->next, if there is time for it. */
static void lane_go_to_address(OutgoingLane *lane) {
        const reuse_outgoing *outgoing = lane->outgoing;
        uint64_t now = client_now();

        lane->deadline = outgoing_share(now, outgoing->deadline, lane->end - lane->next);
        lane->plain = outgoing->local.ask;
        lane->alone = false;
        lane->redials = 0;
        lane->state = LANE_READY;
        if (now < outgoing->deadline)
                return;
        lane->state = LANE_OVER;
        if (lane->number == 0)
                lane->number = reuse_error_set(&lane->error, -ETIMEDOUT, "no connection to %s in time",
                                               lane_remote(lane)->text);
}

void lane_begin(OutgoingLane *lane) {
        lane_go_to_address(lane);
}

/* This attempt has failed. Consumes @error. */
static void lane_fail(OutgoingLane *lane, int number, bool no_broker, reuse_error *error) {
        lane_drop(lane);
        if (lane_varies(lane, number, reuse_error_get_name(error), no_broker)) {
                /* The first says what the others were for. */
                if (!lane->before)
                        lane->before = ptr_take(error);
                reuse_error_free(error);
                lane->state = LANE_READY;
                return;
        }
        if (lane->before)
                reuse_error_append(error, "; before that: %s", reuse_error_get_message(lane->before));
        lane->before = reuse_error_free(lane->before);
        if (lane->number == 0) {
                lane->number = number;
                lane->error = ptr_take(error);
        }
        reuse_error_free(error);
        if (++lane->next < lane->end)
                lane_go_to_address(lane);
}

static void lane_fail_connect(OutgoingLane *lane, int number) {
        const char *remote = lane_remote(lane)->text;
        char local[ADDRESS_TEXT_MAX] = "";
        reuse_error *error;

        if (lane->reused || lane->outgoing->local.fixed)
                (void)outgoing_read_local(lane->fd, outgoing_namespace(lane->outgoing), local);
        error = reuse_error_new(number, "cannot connect to %s%s%s: %s", remote, *local ? " from " : "",
                                local, strerrordesc_np(-number) ?: "unknown error");
        lane_fail(lane, number, false, error);
}

/* ---- connecting ---- */

static void lane_connected(OutgoingLane *lane) {
        const reuse_outgoing *outgoing = lane->outgoing;

        if (lane->state == LANE_CONNECTING)
                lane_disarm(lane);
        lane->state = LANE_READY;
        /* Datagrams too: such a socket would hear nobody but itself. */
        if (outgoing->kind->brokered && outgoing_is_self(lane->fd)) {
                lane_fail(lane, -ELOOP, false,
                          reuse_error_new(-ELOOP,
                                          "the connection to %s came from there, and is to itself: its "
                                          "port is the destination's",
                                          lane_remote(lane)->text));
                return;
        }
        outgoing_socket_settle(lane->fd, outgoing_options(outgoing));
        lane->state = LANE_CONNECTED;
}

static void lane_pause(OutgoingLane *lane) {
        lane->pause_usec = lane->pause_usec == 0 ? PAUSE_MIN_USEC : lane->pause_usec * 2;
        if (lane->pause_usec > PAUSE_MAX_USEC)
                lane->pause_usec = PAUSE_MAX_USEC;
        lane->pause_end = client_deadline(client_now(), lane->pause_usec);
        lane->state = LANE_PAUSING;
}

static bool lane_is_connected(const OutgoingLane *lane) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);

        return getpeername(lane->fd, (struct sockaddr *)&peer, &len) == 0;
}

static void lane_connect(OutgoingLane *lane) {
        const OutgoingAddress *remote = lane_remote(lane);
        int r;

        /* The broker connects datagram sockets itself. */
        if (lane->outgoing->kind->type == SOCK_DGRAM && lane_is_connected(lane)) {
                lane_connected(lane);
                return;
        }
        r = connect(lane->fd, &remote->u.sa, remote->len) < 0 ? -errno : 0;
        switch (r) {
        case 0:
        case -EISCONN:
                lane_connected(lane);
                return;
        case -EINPROGRESS:
        case -EALREADY:
        case -EINTR:
                r = lane_arm(lane);
                if (r == 0)
                        lane->state = LANE_CONNECTING;
                break;
        case -EAGAIN:
                /* Of a UNIX socket there is nothing to poll for. */
                if (remote->u.sa.sa_family == AF_UNIX) {
                        lane_pause(lane);
                        r = 0;
                }
                break;
        default:
                break;
        }
        if (r < 0)
                lane_fail_connect(lane, r);
}

bool lane_on_ready(OutgoingLane *lane) {
        socklen_t size = sizeof(int);
        int error = 0;

        if (lane->state != LANE_CONNECTING)
                return false;
        if (getsockopt(lane->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                error = errno;
        switch (error) {
        case EINPROGRESS:
        case EALREADY:
        case EINTR:
                return false;
        case 0:
                /* Or it was woken for nothing. */
                if (!lane_is_connected(lane))
                        return false;
                lane_connected(lane);
                return true;
        case EISCONN:
                lane_connected(lane);
                return true;
        default:
                lane_fail_connect(lane, -error);
                return true;
        }
}

/* ---- where the socket comes from ---- */

static int lane_take(OutgoingLane *lane, reuse_reply *reply) {
        DialOut out;
        int flags, r;

        r = message_decode(reply->message, wire_methods[WIRE_METHOD_DIAL].out, false, &out);
        if (r != 0)
                return r < 0 ? r : -EPROTO;
        lane->reused = out.reused;
        lane->fd = fdlist_take(&reply->fds, 0);
        flags = fcntl(lane->fd, F_GETFL);
        if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(lane->fd, F_SETFL, flags | O_NONBLOCK) < 0))
                return -errno;
        return 0;
}

static int lane_answered(reuse_client *client, reuse_reply *reply, void *userdata) {
        OutgoingLane *lane = userdata;
        int r = reply->number;

        (void)client;
        lane->state = LANE_READY;
        if (r == 0) {
                r = lane_take(lane, reply);
                if (r < 0)
                        reply->error = reuse_error_new(r, "the broker's socket cannot be used: %s",
                                                       strerrordesc_np(-r));
        }
        if (r == 0)
                lane_connect(lane);
        else
                /* What is no answer says that there is nobody to give one. */
                lane_fail(lane, r, !reply->message, ptr_take(reply->error));
        outgoing_advance(lane->outgoing);
        return 0;
}

static void lane_ask(OutgoingLane *lane) {
        const WireMethod *method = &wire_methods[WIRE_METHOD_DIAL];
        reuse_outgoing *outgoing = lane->outgoing;
        const char *ask = outgoing->local.ask;
        DialIn in = {
                .network = outgoing->kind->network,
                .remote_address = lane_remote(lane)->text,
                .local_address = lane->plain && !ask ? ":0" : ask,
                .network_namespace = outgoing_namespace(outgoing),
                .options = (Options *)outgoing_options(outgoing),
        };
        Question question = {
                .call = { .method = method->name },
                .record = method->in,
                .value = &in,
                .handler = lane_answered,
                .userdata = lane,
        };
        reuse_error *error = NULL;
        int r;

        r = client_ask(outgoing->client, &question);
        if (r == 0) {
                lane->state = LANE_ASKING;
                return;
        }
        (void)call_refused(r, &error);
        lane_fail(lane, r, false, error);
}

static void lane_open(OutgoingLane *lane) {
        const reuse_outgoing *outgoing = lane->outgoing;
        reuse_error *error = NULL;
        int r;

        r = outgoing_socket_open(outgoing->kind, &outgoing->local, lane_remote(lane)->u.sa.sa_family,
                                 outgoing_options(outgoing), &lane->fd, &error);
        if (r == 0)
                lane_connect(lane);
        else
                lane_fail(lane, r, false, error);
}

/* One attempt. */
static void lane_attempt(OutgoingLane *lane) {
        const reuse_outgoing *outgoing = lane->outgoing;
        const reuse_client *client = outgoing->client;

        lane->reused = false;
        lane->pause_usec = 0;
        if (!outgoing->kind->brokered || lane->alone)
                lane_open(lane);
        else if (client->state == CLIENT_ALONE)
                lane_fail(lane, reuse_error_get_errno(client->refusal) ?: -ENOTCONN, true,
                          reuse_error_copy(client->refusal));
        else
                lane_ask(lane);
}

void lane_run(OutgoingLane *lane) {
        while (lane->state == LANE_READY)
                lane_attempt(lane);
}

/* ---- the time ---- */

uint64_t lane_due(const OutgoingLane *lane) {
        switch (lane->state) {
        case LANE_ASKING:
        case LANE_CONNECTING:
                return lane->deadline;
        case LANE_PAUSING:
                return lane->pause_end < lane->deadline ? lane->pause_end : lane->deadline;
        default:
                return UINT64_MAX;
        }
}

void lane_on_time(OutgoingLane *lane, uint64_t now) {
        if (now < lane->deadline) {
                lane->state = LANE_READY;
                lane_connect(lane);
                return;
        }
        lane_fail(lane, -ETIMEDOUT, false,
                  reuse_error_new(-ETIMEDOUT, "no connection to %s in time%s", lane_remote(lane)->text,
                                  lane->state == LANE_ASKING ? ": the broker has given no socket" : ""));
}
