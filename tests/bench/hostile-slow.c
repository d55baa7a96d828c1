/* SPDX-License-Identifier: BSD-2-Clause */

/* Who keeps the broker waiting, on as many connections as there are to be had. */

#include <string.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "tests/bench/hostile-attack.h"

enum {
        SLOW_REST_MSEC = 10,
        SLOW_BYTES = 100,
        /* Enough to be many bytes in each list. */
        SLOW_SOCKETS = 60,
};

void attack_silence(const Foe *foe) {
        foe_besiege(foe, &(Siege){ .rest_msec = SLOW_REST_MSEC });
}

static void half_begin(const Foe *foe, int fd) {
        static char half[FOE_CALL_MAX - 1024];

        memset(half, ' ', sizeof(half));
        memcpy(half, FOE_STATUS, sizeof(FOE_STATUS) - 2);
        foe_send(fd, half, sizeof(half));
}

void attack_half_calls(const Foe *foe) {
        foe_besiege(foe, &(Siege){ .begin = half_begin, .rest_msec = SLOW_REST_MSEC });
}

static bool bytes_go_on(const Foe *foe, int fd) {
        foe_strike(foe);
        return foe_send(fd, " ", 1);
}

void attack_single_bytes(const Foe *foe) {
        foe_besiege(foe, &(Siege){ .go_on = bytes_go_on, .times = SLOW_BYTES });
}

static void lists_begin(const Foe *foe, int fd) {
        static char call[FOE_CALL_MAX];

        /* As many as the limit of leases lets through. */
        foe_acquire(call, SLOW_SOCKETS, FOE_SOCKET);
        foe_say(fd, call);
        for (int i = 0; i < 100; i++)
                foe_say(fd, FOE_LIST);
}

void attack_unread_lists(const Foe *foe) {
        foe_besiege(foe, &(Siege){ .begin = lists_begin, .rest_msec = SLOW_REST_MSEC });
}

static void watch_begin(const Foe *foe, int fd) {
        foe_say(fd, FOE_WATCH);
}

/* The first process watches and does not read, the others make it rain. */
void attack_unread_events(const Foe *foe) {
        if (foe->index == 0)
                foe_besiege(foe, &(Siege){ .begin = watch_begin, .rest_msec = SLOW_REST_MSEC });
        attack_acquire_many(foe);
}

static bool read_go_on(const Foe *foe, int fd) {
        return foe_drain(fd);
}

/* The same with watchers that read: each event is as many messages as there are watchers. */
void attack_read_events(const Foe *foe) {
        if (foe->index == 0)
                foe_besiege(foe, &(Siege){ .begin = watch_begin,
                                           .go_on = read_go_on,
                                           .times = 1,
                                           .rest_msec = 1 });
        attack_acquire_many(foe);
}

static void shut_begin(const Foe *foe, int fd) {
        foe_send(fd, FOE_STATUS, sizeof(FOE_STATUS) - (foe->index % 2));
        shutdown(fd, SHUT_WR);
}

static void shut_watch_begin(const Foe *foe, int fd) {
        foe_say(fd, foe->index % 2 ? FOE_WATCH : FOE_ACQUIRE);
        shutdown(fd, SHUT_RD);
}

/* Half of a connection is closed, the other kept open. */
void attack_half_close(const Foe *foe) {
        foe_besiege(foe, &(Siege){ .begin = foe->index < 2 ? shut_begin : shut_watch_begin,
                                   .rest_msec = SLOW_REST_MSEC });
}
