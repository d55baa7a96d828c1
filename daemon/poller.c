/* SPDX-License-Identifier: BSD-2-Clause */

/* Batches and the time for turns are bounded: clients never starve the loop, nor one user another. */

#include "daemon/poller.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "daemon/clock.h"
#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        BATCH_MAX = 512,
        /* Then the event loop and the door have theirs, and who has become ready is seen. */
        TURNS_USEC = 500,
};

int poller_init(Poller *poller, int loop_fd) {
        /* The loop has no item: NULL stands for it. */
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

        *poller = (Poller){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
        fair_queue_init(&poller->turns);
        if (poller->epoll_fd < 0 || epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, loop_fd, &event) < 0)
                return error_origin(-errno);
        return 0;
}

void poller_deinit(Poller *poller) {
        assert(poller->turns.n_items == 0);
        poller->epoll_fd = fd_close(poller->epoll_fd);
}

static PollItem *item_of(FairItem *turn) {
        return (PollItem *)((char *)turn - offsetof(PollItem, turn));
}

static void poller_give_turns(Poller *poller) {
        const uint64_t begin = clock_usec(CLOCK_MONOTONIC);
        uint64_t before = begin, now;
        FairItem *turn;

        while (before - begin < TURNS_USEC && (turn = fair_queue_take(&poller->turns))) {
                PollItem *item = item_of(turn);
                uint32_t revents = item->revents;

                item->revents = 0;
                item->on_turn(item, revents); /* it may be gone */
                now = clock_usec(CLOCK_MONOTONIC);
                /* Time is what is shared out: whatever is done is no less than the clock can tell. */
                fair_queue_charge(&poller->turns, now > before ? now - before : 1);
                before = now;
        }
}

static void poller_tell(PollItem *item, uint32_t revents) {
        if (!item->share) {
                item->on_ready(item, revents);
                return;
        }
        item->revents |= revents;
        poll_item_request_turn(item);
}

int poller_run(Poller *poller, bool wait) {
        struct epoll_event events[BATCH_MAX];
        int n, woken = 0;

        n = epoll_wait(poller->epoll_fd, events, BATCH_MAX, wait && poller->turns.n_items == 0 ? -1 : 0);
        if (n < 0)
                return errno == EINTR ? 0 : error_origin(-errno);
        /* A socket is in a batch once, and its item removed by its own callback only: none
         * dangles here. */
        for (int i = 0; i < n; i++) {
                PollItem *item = events[i].data.ptr;

                if (item)
                        poller_tell(item, events[i].events);
                else
                        woken = 1;
        }
        poller_give_turns(poller);
        return woken;
}

int poll_item_add(PollItem *item, Poller *poller, uint32_t events) {
        struct epoll_event event = { .events = events, .data.ptr = item };

        if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, item->fd, &event) < 0)
                return error_origin(-errno);
        item->poller = poller;
        item->events = events;
        return 0;
}

void poll_item_add_turn(PollItem *item, Poller *poller) {
        item->poller = poller;
        item->unpolled = true;
        poll_item_request_turn(item);
}

void poll_item_remove(PollItem *item) {
        if (!item->poller)
                return;
        if (!item->unpolled)
                epoll_ctl(item->poller->epoll_fd, EPOLL_CTL_DEL, item->fd, NULL);
        fair_queue_remove(&item->turn);
        item->poller = NULL;
}

int poll_item_set_events(PollItem *item, uint32_t events) {
        struct epoll_event event = { .events = events, .data.ptr = item };

        if (events == item->events)
                return 0;
        if (epoll_ctl(item->poller->epoll_fd, EPOLL_CTL_MOD, item->fd, &event) < 0)
                return error_origin(-errno);
        item->events = events;
        return 0;
}

void poll_item_request_turn(PollItem *item) {
        fair_queue_add(&item->poller->turns, item->share, &item->turn);
}

void poll_item_go_on(PollItem *item) {
        fair_queue_add_first(&item->poller->turns, item->share, &item->turn);
}
