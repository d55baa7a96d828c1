/* SPDX-License-Identifier: BSD-2-Clause */

/* Handlers, and the loop of a program, when its broker hangs up and comes back. */

#include <sys/epoll.h>

#include "tests/unit/reconnect-kit.h"

TestSuite(reconnect_loop, .timeout = 20);

/* ---- handlers ---- */

Test(reconnect_loop, result_of_a_handler_is_passed_on) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        notices.result = -ECANCELED;
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECANCELED));
        notices.result = 0;
        cr_assert(zero(int, client_settle(broker.client)));
        broker_accept(&broker);
        kit_expect_resume(&broker);
        kit_end(&broker, &notices);
}

static int free_other(reuse_client *client, reuse_notice *notice, void *userdata) {
        reuse_client **other = userdata;

        (void)client;
        (void)notice;
        *other = reuse_client_free(*other);
        return 0;
}

Test(reconnect_loop, handler_frees_another_client) {
        reuse_client *other = NULL;
        Broker broker;

        broker_start(&broker);
        kit_hold(&broker);
        cr_assert(zero(int, reuse_client_connect(broker.path, &other, NULL)));
        close(accept(broker.listener, NULL, NULL));
        reuse_client_set_notice_handler(broker.client, free_other, &other);
        broker_hang_up(&broker);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(ptr, other, NULL));
        broker_end(&broker);
}

static int drop_handler(reuse_client *client, reuse_notice *notice, void *userdata) {
        (void)notice;
        (*(int *)userdata)++;
        reuse_client_set_notice_handler(client, NULL, NULL);
        return 0;
}

Test(reconnect_loop, handler_takes_itself_away) {
        Broker broker;
        int n = 0;

        broker_start(&broker);
        kit_hold(&broker);
        reuse_client_set_notice_handler(broker.client, drop_handler, &n);
        kit_resume(&broker, KIT_RESUMED("l0"));
        cr_assert(eq(int, n, 1));
        broker_end(&broker);
}

/* ---- the loop of a program ---- */

static int poll_once(int fd) {
        struct epoll_event event;

        return epoll_wait(fd, &event, 1, 0);
}

Test(reconnect_loop, descriptor_is_registered_once) {
        struct epoll_event event = { .events = EPOLLIN };
        Notices notices;
        Broker broker;
        int fd, loop;

        kit_start(&broker, &notices);
        loop = epoll_create1(EPOLL_CLOEXEC);
        fd = reuse_client_get_fd(broker.client);
        cr_assert(zero(int, epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event)));
        for (int i = 0; i < 3; i++) {
                cr_assert(zero(int, poll_once(loop)));
                broker_hang_up(&broker);
                cr_assert(eq(int, poll_once(loop), 1));
                cr_assert(zero(int, client_settle(broker.client)));
                cr_assert(zero(int, poll_once(loop)));
                broker_accept(&broker);
                kit_expect_resume(&broker);
                broker_say(&broker, KIT_RESUMED("l0"));
                cr_assert(eq(int, poll_once(loop), 1));
                cr_assert(zero(int, client_settle(broker.client)));
                cr_assert(eq(int, reuse_client_get_fd(broker.client), fd));
                cr_assert(eq(int, reuse_client_get_events(broker.client), POLLIN));
        }
        /* While nobody is there it is the time that counts. */
        kit_stop_listening(&broker);
        broker_hang_up(&broker);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(zero(int, poll_once(loop)));
        cr_assert(zero(int, reuse_client_get_events(broker.client)));
        cr_assert(eq(int, reuse_client_get_fd(broker.client), fd));
        cr_assert(eq(int, reuse_client_get_connection(broker.client), -ENOTCONN));
        cr_assert(lt(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));
        close(loop);
        kit_end(&broker, &notices);
}

Test(reconnect_loop, descriptor_tells_of_room_to_send) {
        static char text[60 * 1024];
        struct epoll_event event = { .events = EPOLLIN };
        char seen[256] = "";
        Broker broker;
        int loop;

        broker_start(&broker);
        loop = epoll_create1(EPOLL_CLOEXEC);
        strcpy(text, "{\"a\":\"");
        memset(text + 6, 'a', 50 * 1024);
        strcat(text, "\"}");
        cr_assert(zero(int, epoll_ctl(loop, EPOLL_CTL_ADD, reuse_client_get_fd(broker.client), &event)));
        while (reuse_client_get_events(broker.client) == POLLIN)
                cr_assert(zero(int,
                               reuse_client_call_async(broker.client, "List", text, 0, kit_see, seen)));
        cr_assert(zero(int, poll_once(loop)));
        while (reuse_client_get_events(broker.client) != POLLIN) {
                while (recv(broker.peer, text, sizeof(text), 0) > 0)
                        ;
                cr_assert(eq(int, poll_once(loop), 1));
                cr_assert(zero(int, client_settle(broker.client)));
        }
        cr_assert(zero(int, poll_once(loop)));
        close(loop);
        broker_end(&broker);
}

/* A child that was forked meanwhile has the old connection, too. */
Test(reconnect_loop, copy_of_the_old_connection_is_not_polled) {
        Notices notices;
        struct pollfd pollfd = { .events = POLLIN };
        Broker broker;
        int copy;

        kit_start(&broker, &notices);
        pollfd.fd = reuse_client_get_fd(broker.client);
        cr_assert(ne(int, reuse_client_get_connection(broker.client), pollfd.fd));
        copy = dup(reuse_client_get_connection(broker.client));
        kit_come_back(&broker);
        kit_expect_resume(&broker);
        cr_assert(zero(int, poll(&pollfd, 1, 0)));
        close(copy);
        kit_end(&broker, &notices);
}
