/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Waits for many clients and for the event loop together. sd-event looks at every ready descriptor again
 * for each one it dispatches; with many clients at once that is most of the work. Here a batch that was
 * found ready is served before anything is asked again, and sd-event is one descriptor among the others.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/fair-queue.h"

typedef struct PollItem PollItem;

typedef struct Poller {
        int epoll_fd;
        FairQueue turns;
} Poller;

/*
 * Embedded in what it belongs to. One with a share takes turns: on_turn() is called when it is its
 * share's, with all that was ready meanwhile; 0 if a turn was asked for and nothing was. Any other is
 * called at once, by on_ready(). Either callback may remove its own item, and no other.
 */
struct PollItem {
        Poller *poller;
        int fd;
        uint32_t events; /* EPOLLIN, ... as registered */
        FairShare *share;
        FairItem turn;
        uint32_t revents; /* since its last turn */
        bool unpolled;    /* it waits for a turn, and for nothing else */
        void (*on_ready)(PollItem *item, uint32_t revents);
        void (*on_turn)(PollItem *item, uint32_t revents);
};

/* @loop_fd: what sd_event_get_fd() gives. Returns 0 or a negative errno; poller_deinit() may follow
 * either. */
int poller_init(Poller *poller, int loop_fd);

/* No item may be left. */
void poller_deinit(Poller *poller);

/*
 * Sees what is ready, and gives turns for a while; with @wait, waits if nobody has one to come. Returns
 * 1 if the event loop has something to do, 0 if not, or a negative errno.
 */
int poller_run(Poller *poller, bool wait);

/* Starts to wait for @events of item->fd; fd and callbacks are set. Returns 0 or a negative errno. */
int poll_item_add(PollItem *item, Poller *poller, uint32_t events);

/* Waits for one turn of an item with a share, and not for its descriptor. */
void poll_item_add_turn(PollItem *item, Poller *poller);

/* An item that was never added is left alone. */
void poll_item_remove(PollItem *item);

/* Returns 0 or a negative errno. */
int poll_item_set_events(PollItem *item, uint32_t events);

/* Of an item with a share: on_turn() is called once, when its turn comes. */
void poll_item_request_turn(PollItem *item);

/* The same, before all others of its share: what it is at comes before what they want. */
void poll_item_go_on(PollItem *item);
