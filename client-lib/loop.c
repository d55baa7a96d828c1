/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A connection seen from the loop of a program: what to poll, until when, and one turn. What is polled
 * is an epoll descriptor of our own, which stays the same while connections come and go beneath it. Who
 * never asks for it pays nothing for it.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "client-lib/internal.h"

#define USEC_PER_SEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

/* Whether there is somebody at the other end. */
static bool client_connected(const reuse_client *client) {
        return client->state == CLIENT_OPEN || client->state == CLIENT_RESUMING;
}

/* ---- the descriptor ---- */

static uint32_t client_interest(const reuse_client *client) {
        return channel_pending(&client->channel) > 0 && !client->unsendable ? EPOLLIN | EPOLLOUT
                                                                            : EPOLLIN;
}

void client_arm(reuse_client *client) {
        struct epoll_event event = { 0 };

        if (client->poll_fd < 0 || !client_connected(client))
                return;
        event.events = client_interest(client);
        if (event.events == client->armed)
                return;
        if (epoll_ctl(client->poll_fd, client->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, client->channel.fd,
                      &event) < 0)
                client->fault = -errno;
        else
                client->armed = event.events;
}

void client_disarm(reuse_client *client) {
        /* Not left to close(): a child of ours may have the connection, too. */
        if (client->armed)
                epoll_ctl(client->poll_fd, EPOLL_CTL_DEL, client->channel.fd, NULL);
        client->armed = 0;
}

_public_ int reuse_client_get_fd(reuse_client *client) {
        if (!client)
                return -EINVAL;
        if (client->state == CLIENT_ENDED)
                return -ENOTCONN;
        if (client->poll_fd < 0) {
                client->poll_fd = epoll_create1(EPOLL_CLOEXEC);
                if (client->poll_fd < 0)
                        return -errno;
                client_arm(client);
        }
        return client->poll_fd;
}

_public_ int reuse_client_get_connection(const reuse_client *client) {
        if (!client)
                return -EINVAL;
        return client_connected(client) ? client->channel.fd : -ENOTCONN;
}

_public_ int reuse_client_get_events(const reuse_client *client) {
        if (!client)
                return -EINVAL;
        return (client_connected(client) ? (int)client_interest(client) : 0) |
               (client->n_connecting > 0 ? POLLIN : 0);
}

/* ---- the time ---- */

/* The first deadline of a call; a connection not yet made has its own. */
static uint64_t client_expires(const reuse_client *client) {
        uint64_t first = UINT64_MAX;
        PendingCall *call;

        if (client->state == CLIENT_CONNECTING)
                first = client_deadline(client->since, client->timeout);
        else if (client->state != CLIENT_OPEN)
                first = client->until;
        TAILQ_FOREACH (call, &client->calls, entry)
                if (call->deadline < first)
                        first = call->deadline;
        return first;
}

/* Whether a turn has something to do that no descriptor tells of. */
static bool client_busy(const reuse_client *client) {
        const PendingCall *first = TAILQ_FIRST(&client->calls);

        if (client->unread || client->fault < 0 || client->failing)
                return true;
        if (!STAILQ_EMPTY(&client->notices) && !client->telling)
                return true;
        return client->state == CLIENT_OPEN       ? client->missing
               : client->state == CLIENT_RESUMING ? !first || !first->internal
                                                  : false;
}

static bool client_dials(const reuse_client *client) {
        return client->state == CLIENT_CONNECTING || client->state == CLIENT_RECONNECTING;
}

/* Until when there is nothing to be done but to connect, and what descriptors tell of. */
static uint64_t client_due(const reuse_client *client) {
        uint64_t first = client_expires(client), due = outgoings_due(client);

        return due < first ? due : first;
}

_public_ uint64_t reuse_client_get_timeout(const reuse_client *client) {
        uint64_t due;

        if (!client || client->state == CLIENT_ENDED)
                return UINT64_MAX;
        if (client_busy(client))
                return 0;
        due = client_due(client);
        return client_dials(client) && client->retry_at < due ? client->retry_at : due;
}

/* ---- a turn ---- */

static int client_process_dial(reuse_client *client) {
        reuse_error *error;
        int r;

        r = client_dial(client);
        if (r == 0 && client_now() >= client_expires(client))
                r = -ETIMEDOUT;
        if (r > 0) {
                client->state = CLIENT_OPEN;
                client_send_held(client);
        }
        if (r >= 0)
                return r;
        (void)client_dial_error(client, r, &error);
        (void)client_end(client, r, "%s", reuse_error_get_message(error));
        reuse_error_free(error);
        return r;
}

/* Writes, reads, and serves one answer. */
static int client_process_channel(reuse_client *client) {
        int r, received;

        if (!client->unsendable && client->fault == 0) {
                r = channel_flush(&client->channel);
                client->unsendable = r == CHANNEL_E_EOF;
                client->fault = r < 0 ? r : 0;
        }
        if (client->fault < 0)
                return client_end(client, client->fault, "cannot write to the broker: %s",
                                  strerrordesc_np(-client->fault));

        r = client_dispatch_next(client);
        if (r != 0)
                return r;
        received = client_receive(client, false);
        if (received < 0 || client->state == CLIENT_RECONNECTING)
                return received;
        r = client_dispatch_next(client);
        if (r != 0)
                return r;
        if (client->state == CLIENT_RESUMING && client_now() >= client->until)
                return client_give_up(client);
        if (client->state == CLIENT_OPEN && client_now() >= client_expires(client))
                return client_end(client, -ETIMEDOUT, "the broker did not answer in time");
        return received;
}

/* What a program is told before anything else goes on. */
static int client_process_told(reuse_client *client) {
        int r = 0;

        /* What is told meanwhile waits until the handler is done: it may wait for calls itself. */
        if (!client->telling) {
                client->telling = true;
                r = notice_tell(client);
                client->telling = false;
        }
        if (client->state == CLIENT_RECONNECTING || client->state == CLIENT_RESUMING)
                client_expire_calls(client);
        if (r == 0)
                r = client_answer_failed(client);
        if (r == 0 && client->state == CLIENT_OPEN)
                r = client_tell_missed(client);
        return r;
}

static int client_turn(reuse_client *client) {
        int r;

        r = client_process_told(client);
        if (r == 0)
                r = outgoings_process(client);
        if (r != 0)
                return r;
        switch (client->state) {
        case CLIENT_ALONE:
                return 0;
        case CLIENT_CONNECTING:
                return client_process_dial(client);
        case CLIENT_RECONNECTING:
                return client_redial(client);
        case CLIENT_RESUMING:
                r = client_resume(client);
                return r != 0 ? r : client_process_channel(client);
        default:
                return client_process_channel(client);
        }
}

_public_ int reuse_client_process(reuse_client *client) {
        int r;

        if (!client)
                return -EINVAL;
        if (client->state == CLIENT_ENDED)
                return -ENOTCONN;
        r = client_turn(client);
        client_arm(client);
        return r;
}

/* Microseconds until @due, but not more than @usec. */
static uint64_t time_left(uint64_t due, uint64_t usec) {
        uint64_t now = client_now(), left = due == UINT64_MAX ? UINT64_MAX : due > now ? due - now : 0;

        return usec < left ? usec : left;
}

_public_ int reuse_client_wait(reuse_client *client, uint64_t usec) {
        struct pollfd pollfd;
        struct timespec timeout;
        uint64_t due, left;
        int r;

        if (!client)
                return -EINVAL;
        if (client->state == CLIENT_ENDED)
                return -ENOTCONN;
        due = reuse_client_get_timeout(client);
        if (due == 0)
                return 1;
        if (client_dials(client) && client->queue_full && client->n_connecting == 0)
                return client_queue(client, time_left(client_due(client), usec)) ?: 1;
        left = time_left(due, usec);
        timeout.tv_sec = (time_t)(left / USEC_PER_SEC);
        timeout.tv_nsec = (long)(left % USEC_PER_SEC * NSEC_PER_USEC);
        /* To poll(), a socket that is not connected has hung up; a negative number it leaves alone. */
        pollfd.fd = client_connected(client) ? client->channel.fd : -1;
        pollfd.events = (short)reuse_client_get_events(client);
        if (client->n_connecting > 0) {
                pollfd.fd = client->poll_fd;
                pollfd.events = POLLIN;
        }
        r = ppoll(&pollfd, 1, left == UINT64_MAX ? NULL : &timeout, NULL);
        if (r < 0)
                return -errno;
        return r > 0 || client_now() >= due;
}
