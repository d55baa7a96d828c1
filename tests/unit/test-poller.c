/* SPDX-License-Identifier: BSD-2-Clause */

/* Batches, turns, and items that go away in the middle of either. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "daemon/poller.h"
#include "proto/cleanup.h"
#include "tests/unit/leaks.h"

enum {
        N_ITEMS = 600, /* more than one batch */
};

typedef struct Counter {
        PollItem item;
        size_t n_ready;
        size_t n_turns;
        uint32_t revents; /* with its turns */
        bool again;       /* asks for another turn each time */
        bool leaves;      /* removes itself when called */
} Counter;

static Poller poller;
static int loop_fd;

TestSuite(poller, .timeout = 10);

static Counter *counter_of(PollItem *item) {
        return (Counter *)((char *)item - offsetof(Counter, item));
}

static void on_ready(PollItem *item, uint32_t revents) {
        Counter *counter = counter_of(item);
        eventfd_t value;

        cr_assert(ne(u32, revents & EPOLLIN, 0));
        cr_assert(zero(int, eventfd_read(item->fd, &value)));
        counter->n_ready++;
        if (counter->leaves)
                poll_item_remove(item);
}

static void on_turn(PollItem *item, uint32_t revents) {
        Counter *counter = counter_of(item);
        eventfd_t value;

        counter->revents |= revents;
        if (revents & EPOLLIN)
                cr_assert(zero(int, eventfd_read(item->fd, &value)));

        counter->n_turns++;
        if (counter->leaves)
                poll_item_remove(item);
        else if (counter->again)
                poll_item_request_turn(item);
}

static void setup(void) {
        loop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cr_assert(zero(int, poller_init(&poller, loop_fd)));
}

static void teardown(void) {
        poller_deinit(&poller);
        loop_fd = fd_close(loop_fd);
}

static void counter_begin(Counter *counter) {
        counter->item.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        counter->item.on_ready = on_ready;
        counter->item.on_turn = on_turn;
        cr_assert(zero(int, poll_item_add(&counter->item, &poller, EPOLLIN)));
}

static void counter_end(Counter *counter) {
        poll_item_remove(&counter->item);
        fd_close(counter->item.fd);
}

Test(poller, descriptor_that_cannot_be_polled_is_refused) {
        PollItem item = { .fd = -1 };

        setup();
        cr_assert(eq(int, poll_item_add(&item, &poller, EPOLLIN), -EBADF));
        poll_item_remove(&item); /* was never added */
        teardown();
        cr_assert(eq(int, poller_init(&poller, -1), -EBADF));
        poller_deinit(&poller);
}

Test(poller, every_ready_item_is_served_once_and_the_loop_is_told) {
        static Counter counters[N_ITEMS];
        int n_fds = leaks_count_fds(), woken = 0;

        setup();
        for (size_t i = 0; i < N_ITEMS; i++) {
                counter_begin(&counters[i]);
                cr_assert(zero(int, eventfd_write(counters[i].item.fd, 1)));
        }
        cr_assert(zero(int, eventfd_write(loop_fd, 1)));
        /* Two batches hold them all; the loop's descriptor is in one of them at least. */
        for (int i = 0; i < 2; i++)
                woken += poller_run(&poller, true);
        cr_assert(ge(int, woken, 1));
        for (size_t i = 0; i < N_ITEMS; i++) {
                cr_assert(eq(sz, counters[i].n_ready, 1));
                cr_assert(zero(sz, counters[i].n_turns));
                counter_end(&counters[i]);
        }
        teardown();
        leaks_expect_fds(n_fds);
}

Test(poller, item_may_leave_in_its_own_callback) {
        Counter leaver = { .leaves = true }, stayer = { 0 };

        setup();
        counter_begin(&leaver);
        counter_begin(&stayer);
        cr_assert(zero(int, eventfd_write(leaver.item.fd, 1)));
        cr_assert(zero(int, eventfd_write(stayer.item.fd, 1)));
        cr_assert(zero(int, poller_run(&poller, true)));
        cr_assert(eq(sz, leaver.n_ready, 1));
        cr_assert(eq(sz, stayer.n_ready, 1));
        counter_end(&leaver);
        counter_end(&stayer);
        teardown();
}

Test(poller, nothing_is_waited_for_unless_asked) {
        setup();
        cr_assert(zero(int, poller_run(&poller, false)));
        cr_assert(zero(int, eventfd_write(loop_fd, 1)));
        cr_assert(eq(int, poller_run(&poller, false), 1));
        teardown();
}

Test(poller, turns_that_are_asked_for) {
        Counter eager = { .again = true }, modest = { 0 }, leaver = { .leaves = true };
        FairShare shares[2] = { 0 };

        setup();
        counter_begin(&eager);
        counter_begin(&modest);
        counter_begin(&leaver);
        eager.item.share = &shares[0];
        modest.item.share = leaver.item.share = &shares[1];
        poll_item_request_turn(&eager.item);
        poll_item_request_turn(&eager.item); /* asked twice, had once */
        poll_item_request_turn(&modest.item);
        poll_item_request_turn(&leaver.item);
        cr_assert(eq(sz, poller.turns.n_items, 3));
        /* Who always asks again is not waited for: others are seen in between. */
        for (size_t round = 1; round <= 3; round++)
                cr_assert(zero(int, poller_run(&poller, true)));
        cr_assert(ge(sz, eager.n_turns, 3));
        cr_assert(eq(sz, modest.n_turns, 1));
        cr_assert(eq(sz, leaver.n_turns, 1));
        cr_assert(eq(sz, poller.turns.n_items, 1));
        counter_end(&eager);
        counter_end(&modest);
        counter_end(&leaver);
        teardown();
}

/* Of one with a share, what it is ready for is told with its turn, and it is not called otherwise. */
Test(poller, ready_items_with_a_share_take_turns) {
        Counter counter = { 0 };
        FairShare share = { 0 };

        setup();
        counter_begin(&counter);
        counter.item.share = &share;
        cr_assert(zero(int, eventfd_write(counter.item.fd, 1)));
        cr_assert(zero(int, poller_run(&poller, true)));
        cr_assert(zero(sz, counter.n_ready));
        cr_assert(eq(sz, counter.n_turns, 1));
        cr_assert(eq(u32, counter.revents, EPOLLIN));
        poll_item_request_turn(&counter.item);
        counter.revents = 0;
        cr_assert(zero(int, poller_run(&poller, true)));
        cr_assert(zero(u32, counter.revents));
        counter_end(&counter);
        teardown();
}

Test(poller, item_that_waits_for_nothing_is_left_alone) {
        Counter counter = { 0 };

        setup();
        counter_begin(&counter);
        cr_assert(zero(int, poll_item_set_events(&counter.item, 0)));
        cr_assert(zero(int, eventfd_write(counter.item.fd, 1)));
        cr_assert(zero(int, eventfd_write(loop_fd, 1)));
        cr_assert(eq(int, poller_run(&poller, true), 1));
        cr_assert(zero(sz, counter.n_ready));
        cr_assert(zero(int, poll_item_set_events(&counter.item, EPOLLIN)));
        cr_assert(eq(int, poller_run(&poller, true), 1));
        cr_assert(eq(sz, counter.n_ready, 1));
        counter_end(&counter);
        teardown();
}
