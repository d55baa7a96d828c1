/* SPDX-License-Identifier: BSD-2-Clause */

/* What a client that watches is told, and when. */

#include "daemon/peer.h"

#include "tests/unit/peer-kit.h"

TestSuite(peer_events, .timeout = 20);

/* An answer and the events of the same call do not get into each other's way. */
Test(peer_events, a_watcher_hears_what_another_does) {
        int watcher, client, n_received;

        peers_start();
        watcher = dial();
        client = dial();
        send_frame(watcher, WATCH);
        KIT_EXPECT_TEXT(receive(watcher, NULL), "");
        send_frame(client, ACQUIRE(""));
        cr_assert(eq(int, count_lines(receive(client, &n_received)), 1));
        cr_assert(contains(text, "\"socketFileDescriptor\":0"), "%s", text);
        cr_assert(not(contains(text, "continues")));
        cr_assert(eq(int, n_received, 1));
        cr_assert(eq(int, count_lines(receive(watcher, NULL)), 1));
        cr_assert(contains(text, "\"continues\":true"));
        cr_assert(contains(text, "\"what\":\"acquired\""));
        close(client);
        kit_turn(&kit);
        cr_assert(eq(int, count_lines(receive(watcher, NULL)), 2));
        cr_assert(contains(text, "\"what\":\"released\""));
        cr_assert(contains(text, "\"what\":\"closed\""));
        close(watcher);
        kit_turn(&kit);
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        peers_end();
}

/* Whoever causes events does not send them. */
Test(peer_events, events_wait_for_the_turn_of_who_watches) {
        int fd;

        peers_start();
        fd = dial();
        send_frame(fd, WATCH);
        for (int i = 0; i < 10; i++)
                event_hub_emit(&kit.services.hub,
                               &(Event){ .what = "denied", .subject = kit.subject, .reason = "x" });
        kit.told[0] = '\0';
        KIT_EXPECT_TEXT(receive(fd, NULL), "");
        kit_turn(&kit);
        cr_assert(eq(int, count_lines(receive(fd, NULL)), 10));
        close(fd);
        peers_end();
}

Test(peer_events, a_watcher_that_does_not_read_is_told_that_it_missed_something) {
        const char *told;
        int fd;

        peers_start();
        fd = dial();
        send_frame(fd, WATCH);
        for (int i = 0; i < 20000; i++)
                event_hub_emit(&kit.services.hub,
                               &(Event){ .what = "denied", .subject = kit.subject, .reason = "x" });
        kit.told[0] = '\0';
        do {
                kit_turn(&kit);
                told = receive(fd, NULL);
                cr_assert(ne(chr, told[0], '\0'), "no overflow was told");
        } while (!contains(told, "\"what\":\"overflow\""));
        /* And hears on. */
        kit_turn(&kit);
        receive(fd, NULL);
        event_hub_emit(&kit.services.hub,
                       &(Event){ .what = "denied", .subject = kit.subject, .reason = "y" });
        kit_turn(&kit);
        cr_assert(contains(receive(fd, NULL), "\"reason\":\"y\""));
        cr_assert(eq(int, count_lines(text), 1));
        close(fd);
        peers_end();
}

Test(peer_events, a_watcher_that_has_gone_is_told_nothing) {
        int fds[3];

        peers_start();
        for (int i = 0; i < 3; i++) {
                fds[i] = dial();
                send_frame(fds[i], WATCH);
        }
        close(fds[1]);
        event_hub_emit(&kit.services.hub,
                       &(Event){ .what = "denied", .subject = kit.subject, .reason = "x" });
        kit_turn(&kit);
        cr_assert(eq(int, count_lines(receive(fds[0], NULL)), 1));
        cr_assert(eq(int, count_lines(receive(fds[2], NULL)), 1));
        close(fds[0]);
        close(fds[2]);
        kit_turn(&kit);
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        peers_end();
}
