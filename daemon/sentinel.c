/* SPDX-License-Identifier: BSD-2-Clause */

/* What came to a sentinel before it was noticed is handed on: by the migration of the kernel, as if it
 * were a member that closes. Datagrams have no such way, and are lost. */

#include "daemon/sentinel.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/log.h"
#include "daemon/socket-factory.h"
#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* Datagrams thrown away at one time; the rest the next time. */
        DISCARD_MAX = 256,
        /* A handshake takes no longer, or its client has gone. */
        LATE_USEC = 3 * 60 * 1000000,
};

static void sentinel_discard(int fd) {
        char byte;

        for (int i = 0; i < DISCARD_MAX; i++)
                if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) < 0)
                        return;
}

/* @room: for its options. */
static SocketSpec sentinel_spec(Endpoint *endpoint, Options *room) {
        /* The options of the members are not for it, least of all their multicast groups. But what is
         * bound to another device is another group. */
        wire_init(&wire_options, room);
        /* By whatever option of theirs, they may be bound to an address that no interface has. */
        room->free_bind = true;
        if (endpoint->requested)
                room->bind_to_device = endpoint->requested->bind_to_device;
        return (SocketSpec){ .network_namespace = endpoint->network_namespace,
                             .address = endpoint->address,
                             .sharing = SHARING_GROUP,
                             .options = room,
                             .announce = group_announce,
                             .userdata = endpoint };
}

/* A shutdown, by which the kernel moves what waits, takes it out of its slot. Returns whether it is of
 * use afterwards. */
static bool sentinel_move(const Sentinel *sentinel) {
        Endpoint *endpoint = sentinel->endpoint;
        Options options;
        SocketSpec spec = sentinel_spec(endpoint, &options);
        SocketFailure failure;
        bool listens;

        group_note_flows(endpoint);
        listens = socket_factory_listen_again(sentinel->alarm.fd, &spec, &failure) == 0;
        group_nudge(endpoint);
        if (!listens) {
                log_line(LOG_WARNING, "%s: a sentinel cannot listen again, and is closed: %s",
                         endpoint->key, strerrordesc_np(failure.refusal.error));
                return false;
        }
        if (steering_member_restore(endpoint->group.steering, sentinel->slot, sentinel->alarm.fd) == 0)
                return true;
        log_fault(LOG_WARNING, "a sentinel cannot be steered to, and is closed");
        return false;
}

/* Hands on what came to it, as far as that can be done. One that is of no use any more is closed: the
 * next member that comes brings another. */
static void sentinel_hand_on(Sentinel *sentinel) {
        if (sentinel->endpoint->address.transport == TRANSPORT_UDP)
                sentinel_discard(sentinel->alarm.fd);
        else if (!sentinel_move(sentinel))
                sentinel_close(sentinel);
}

/* Broadcasts and multicasts come to every socket, with and without a program. */
static bool sentinel_may_get_copies(const Address *address) {
        return address->transport == TRANSPORT_UDP &&
               (address_is_wildcard(address) || address_is_multicast(address));
}

/* Something arrived though it is not on the list. */
static void sentinel_restore_program(Sentinel *sentinel) {
        Endpoint *endpoint = sentinel->endpoint;

        if (steering_group_attach(endpoint->group.steering, sentinel->alarm.fd) < 0) {
                log_fault(LOG_ERR, "the steering program was detached and cannot be attached again");
                return;
        }
        sentinel_hand_on(sentinel);
        /* A handshake that began while it was listed is no sign of anything. */
        if (sentinel->unlisted_usec > 0 &&
            clock_usec(CLOCK_MONOTONIC) - sentinel->unlisted_usec < LATE_USEC)
                return;
        if (sentinel_may_get_copies(&endpoint->address))
                return;
        event_hub_emit(endpoint->registry->hub,
                       &(Event){ .what = "detached",
                                 .endpoint = endpoint,
                                 .reason = "somebody took the steering program off the group; it is "
                                           "attached again" });
}

static void sentinel_watch(Sentinel *sentinel) {
        if (sentinel_is_open(sentinel) && alarm_rearm(&sentinel->alarm, EPOLLIN | EPOLLONESHOT) < 0)
                log_fault(LOG_ERR, "a sentinel cannot be watched");
}

static void sentinel_on_alarm(Alarm *alarm, uint32_t events) {
        Sentinel *sentinel = (Sentinel *)((char *)alarm - offsetof(Sentinel, alarm));

        if (sentinel->listed)
                return; /* watched again when it is not */
        sentinel_restore_program(sentinel);
        sentinel_watch(sentinel);
}

void sentinel_set_listed(Sentinel *sentinel, bool listed) {
        if (listed == sentinel->listed)
                return;
        sentinel->listed = listed;
        if (listed)
                return;
        sentinel->unlisted_usec = clock_usec(CLOCK_MONOTONIC);
        sentinel_hand_on(sentinel);
        sentinel_watch(sentinel);
}

static int sentinel_attach(Sentinel *sentinel) {
        Endpoint *endpoint = sentinel->endpoint;
        int fd = sentinel->alarm.fd, r;

        r = steering_group_attach(endpoint->group.steering, fd);
        if (r < 0)
                return error_trace(r);
        /* If the group had no program, flows may have come to it in between. */
        if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) > 0)
                sentinel_hand_on(sentinel);
        if (!sentinel_is_open(sentinel))
                return error_origin(-EADDRINUSE);
        return error_trace(
                alarm_add(&sentinel->alarm, &endpoint->registry->alarms, EPOLLIN | EPOLLONESHOT));
}

/* Has a place for @fd, which it then owns, in the group of @endpoint. Nothing is heard of it yet. */
static int sentinel_join(Sentinel *sentinel, Endpoint *endpoint, int *fd) {
        socklen_t size = sizeof(sentinel->cookie);
        int r;

        if (getsockopt(*fd, SOL_SOCKET, SO_COOKIE, &sentinel->cookie, &size) < 0)
                return error_origin(-errno);
        r = steering_member_add(endpoint->group.steering, *fd, sentinel->cookie, &sentinel->slot);
        if (r != 0)
                return r > 0 ? r : error_trace(r);
        sentinel->endpoint = endpoint;
        sentinel->alarm = (Alarm){ .fd = fd_take(fd), .on_alarm = sentinel_on_alarm };
        return 0;
}

int sentinel_open(Sentinel *sentinel, Endpoint *endpoint) {
        Options options;
        SocketSpec spec = sentinel_spec(endpoint, &options);
        _cleanup_(fd_closep) int fd = -1;
        SocketFailure failure;
        Address bound;
        int r;

        if (socket_factory_open(&spec, &fd, &bound, &failure) != 0)
                return error_origin(-failure.refusal.error);
        r = sentinel_join(sentinel, endpoint, &fd);
        if (r != 0)
                return r > 0 ? r : error_trace(r);
        endpoint_touch(endpoint);
        r = sentinel_attach(sentinel);
        if (r < 0)
                sentinel_close(sentinel);
        return error_trace(r);
}

int sentinel_resume(Sentinel *sentinel, Endpoint *endpoint, int fd) {
        _cleanup_(fd_closep) int owned = fd;
        int r;

        r = sentinel_join(sentinel, endpoint, &owned);
        if (r != 0)
                return r > 0 ? r : error_trace(r);
        r = alarm_add(&sentinel->alarm, &endpoint->registry->alarms, EPOLLIN | EPOLLONESHOT);
        if (r < 0)
                sentinel_close(sentinel);
        return error_trace(r);
}

bool sentinel_is_open(const Sentinel *sentinel) {
        return sentinel->endpoint;
}

void sentinel_close(Sentinel *sentinel) {
        if (!sentinel_is_open(sentinel))
                return;
        alarm_remove(&sentinel->alarm);
        steering_member_remove(sentinel->endpoint->group.steering, sentinel->slot, sentinel->cookie);
        fd_store_remove(&sentinel->kept);
        fd_close(sentinel->alarm.fd);
        endpoint_touch(sentinel->endpoint);
        *sentinel = (Sentinel){ 0 };
}
