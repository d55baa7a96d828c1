/* SPDX-License-Identifier: BSD-2-Clause */

/* Batches are bounded, and the kernel gives ready descriptors in turn: clients never starve the loop. */

#include "daemon/poller.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        BATCH_MAX = 64,
};

int poller_init(Poller *poller, int loop_fd) {
        /* The loop has no item: NULL stands for it. */
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

        *poller = (Poller){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
        TAILQ_INIT(&poller->waiting);
        if (poller->epoll_fd < 0 || epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, loop_fd, &event) < 0)
                return error_origin(-errno);
        return 0;
}

void poller_deinit(Poller *poller) {
        assert(poller->n_waiting == 0);
        poller->epoll_fd = fd_close(poller->epoll_fd);
}

static void poller_give_turns(Poller *poller) {
        /* Those who ask again meanwhile come after the others, in the next round. */
        for (size_t n = poller->n_waiting; n > 0 && poller->n_waiting > 0; n--) {
                PollItem *item = TAILQ_FIRST(&poller->waiting);

                TAILQ_REMOVE(&poller->waiting, item, entry);
                poller->n_waiting--;
                item->waiting = false;
                item->on_turn(item);
        }
}

int poller_run(Poller *poller, bool wait) {
        struct epoll_event events[BATCH_MAX];
        int n, woken = 0;

        n = epoll_wait(poller->epoll_fd, events, BATCH_MAX, wait && poller->n_waiting == 0 ? -1 : 0);
        if (n < 0)
                return errno == EINTR ? 0 : error_origin(-errno);
        /* A socket is in a batch once, and its item removed by its own callback only: none dangles here.
         */
        for (int i = 0; i < n; i++) {
                PollItem *item = events[i].data.ptr;

                if (item)
                        item->on_ready(item, events[i].events);
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

void poll_item_remove(PollItem *item) {
        if (!item->poller)
                return;
        epoll_ctl(item->poller->epoll_fd, EPOLL_CTL_DEL, item->fd, NULL);
        if (item->waiting) {
                TAILQ_REMOVE(&item->poller->waiting, item, entry);
                item->poller->n_waiting--;
        }
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
        Poller *poller = item->poller;

        if (item->waiting)
                return;
        item->waiting = true;
        TAILQ_INSERT_TAIL(&poller->waiting, item, entry);
        poller->n_waiting++;
}
