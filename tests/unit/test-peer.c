/* SPDX-License-Identifier: BSD-2-Clause */

/* One client over a socket pair: what it may send, what it is sent, and what is left when it
 * has gone. */

#include "daemon/peer.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "daemon/peer-private.h"
#include "tests/unit/peer-kit.h"

TestSuite(peer, .timeout = 20);

/* ---- what is not served ------------------------------------------------------------------------- */

Test(peer, what_is_no_connection_is_closed) {
        int fds[2];

        peers_start();
        cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
        cr_assert(eq(int, peer_new(&kit.services, &peers, fds[0]), -ENOTSOCK));
        cr_assert(lt(int, fcntl(fds[0], F_GETFD), 0));
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        close(fds[1]);
        peers_end();
}

Test(peer, over_the_limit_of_connections) {
        int first, second, answer;

        peers_start();
        kit.services.accounts.limit_per_user[RESOURCE_CONNECTIONS] = 1;
        first = dial();
        second = connect_peer(&answer);
        cr_assert(eq(int, answer, PEER_E_LIMIT));
        kit_turn(&kit);
        cr_assert(contains(receive(second, NULL), "io.reuseportd.QuotaExceeded"));
        cr_assert(contains(text, "\"resource\":\"connections\""));
        cr_assert(contains(text, "\"limit\":1"));
        cr_assert(has_hung_up(second));
        close(second);

        kit.services.accounts.limit_per_user[RESOURCE_CONNECTIONS] = 0;
        kit.services.accounts.limit[RESOURCE_CONNECTIONS] = 3;
        second = connect_peer(&answer);
        cr_assert(eq(int, answer, PEER_E_LIMIT));
        close(second);

        send_frame(first, GET_INFO);
        cr_assert(contains(receive(first, NULL), "\"vendor\""));
        close(first);
        kit_turn(&kit);
        first = dial();
        close(first);
        peers_end();
}

/* Each holds a descriptor until it is told. */
Test(peer, of_many_who_are_too_many_some_are_told) {
        enum { N = 6, N_TOLD = 2 };
        int first, others[N], answer, n_told = 0;

        peers_start();
        kit.services.accounts.limit_per_user[RESOURCE_CONNECTIONS] = 1;
        kit.services.accounts.limit_per_user[RESOURCE_REFUSALS] = N_TOLD;
        first = dial();
        for (int i = 0; i < N; i++) {
                others[i] = connect_peer(&answer);
                cr_assert(eq(int, answer, PEER_E_LIMIT));
                cr_assert(eq(int, has_hung_up(others[i]), i >= N_TOLD));
        }
        kit_turn(&kit);
        for (int i = 0; i < N; i++) {
                n_told += contains(receive(others[i], NULL), "io.reuseportd.QuotaExceeded");
                cr_assert(has_hung_up(others[i]));
                close(others[i]);
        }
        cr_assert(eq(int, n_told, N_TOLD));
        cr_assert(zero(sz, kit.services.accounts.used[RESOURCE_REFUSALS]));
        /* And those who wait when the broker stops. */
        others[0] = connect_peer(&answer);
        cr_assert(eq(int, answer, PEER_E_LIMIT));
        close(others[0]);
        close(first);
        peers_end();
}

Test(peer, after_what_is_malformed_nothing_is_served) {
        int fd;

        peers_start();
        fd = dial();
        send_bytes(fd, "nonsense\0" GET_INFO, sizeof("nonsense\0" GET_INFO));
        kit_turn(&kit);
        cr_assert(eq(int, count_lines(receive(fd, NULL)), 1));
        cr_assert(contains(text, "org.varlink.service.InvalidParameter"));
        cr_assert(has_hung_up(fd));
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        close(fd);
        peers_end();
}

Test(peer, an_oversized_call_ends_the_connection) {
        char *block = calloc(1, CALL_SIZE_MAX + 1);
        int fd;

        peers_start();
        memset(block, ' ', CALL_SIZE_MAX + 1);
        fd = dial();
        send_bytes(fd, block, CALL_SIZE_MAX + 1);
        kit_turn(&kit);
        cr_assert(has_hung_up(fd));
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        free(block);
        close(fd);
        peers_end();
}

Test(peer, descriptors_end_the_connection) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
        struct iovec iov = { (char[]){ GET_INFO }, sizeof(GET_INFO) };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        int fd;

        peers_start();
        fd = dial();
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        cr_assert(gt(long, sendmsg(fd, &message, MSG_NOSIGNAL), 0));
        kit_turn(&kit);
        KIT_EXPECT_TEXT(receive(fd, NULL), "");
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        close(fd);
        peers_end();
}

Test(peer, a_call_cut_short_is_no_call) {
        int fd;

        peers_start();
        fd = dial();
        send_bytes(fd, GET_INFO, sizeof(GET_INFO) - 1);
        kit_turn(&kit);
        cr_assert(zero(int, shutdown(fd, SHUT_WR)));
        kit_turn(&kit);
        KIT_EXPECT_TEXT(receive(fd, NULL), "");
        cr_assert(has_hung_up(fd));
        close(fd);
        peers_end();
}

/* ---- calls -------------------------------------------------------------------------------------- */

Test(peer, a_call_byte_by_byte) {
        int fd;

        peers_start();
        fd = dial();
        for (size_t i = 0; i < sizeof(GET_INFO); i++) {
                KIT_EXPECT_TEXT(receive(fd, NULL), "");
                send_bytes(fd, &GET_INFO[i], 1);
                kit_turn(&kit);
        }
        cr_assert(eq(int, count_lines(receive(fd, NULL)), 1));
        close(fd);
        peers_end();
}

Test(peer, many_calls_at_once_are_answered_in_order) {
        enum { CALLS = 3 * CALLS_PER_TURN + 1 };
        const char *line;
        char frame[128];
        int fd, n;

        peers_start();
        fd = dial();
        for (int i = 0; i < CALLS; i++) {
                n = snprintf(
                        frame, sizeof(frame),
                        "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"%d\"]}}",
                        i);
                send_bytes(fd, frame, (size_t)n + 1);
        }
        kit_turn(&kit);
        line = receive(fd, NULL);
        cr_assert(eq(int, count_lines(line), CALLS));
        for (int i = 0; i < CALLS; i++) {
                snprintf(frame, sizeof(frame), "\"lease\":\"%d\"", i);
                line = strstr(line, frame);
                cr_assert(ne(ptr, (void *)line, NULL), "%s", frame);
        }
        close(fd);
        peers_end();
}

/* Turns until one ends with the last call that has come, as its calls or its time are over then. */
static void fill_turn(Peer *peer, int fd) {
        for (int calls = CALLS_PER_TURN; !peer->unserved;
             calls = calls > 2 ? calls - 1 : CALLS_PER_TURN) {
                int n = 0;

                fair_queue_remove(&peer->item.turn);
                for (int i = 0; i < calls; i++)
                        send_bytes(fd, GET_STATUS, sizeof(GET_STATUS));
                for (uint32_t revents = EPOLLIN; n < calls; revents = 0) {
                        peer->item.on_turn(&peer->item, revents);
                        n += count_lines(receive(fd, NULL));
                }
        }
}

/* The next call of a client is not put off behind what another said later. */
Test(peer, calls_are_served_in_the_order_in_which_they_came) {
        int watching, acting, n_received;
        Peer *peer;

        peers_start();
        watching = dial();
        peer = LIST_FIRST(&peers.peers);
        acting = dial();
        send_frame(acting, GET_STATUS);
        receive(acting, NULL);
        fill_turn(peer, watching);
        send_bytes(watching, WATCH, sizeof(WATCH));
        send_frame(acting, ACQUIRE(""));
        cr_assert(contains(receive(watching, NULL), "\"acquired\""));
        receive(acting, &n_received);
        cr_assert(eq(int, n_received, 1));
        close(watching);
        close(acting);
        peers_end();
}

/* What was asked before the last byte is answered after it. */
Test(peer, the_end_of_what_a_client_says_is_no_hang_up) {
        int fd;

        peers_start();
        fd = dial();
        send_bytes(fd, GET_INFO "\0" GET_STATUS, sizeof(GET_INFO "\0" GET_STATUS));
        cr_assert(zero(int, shutdown(fd, SHUT_WR)));
        kit_turn(&kit);
        cr_assert(eq(int, count_lines(receive(fd, NULL)), 2));
        cr_assert(has_hung_up(fd));
        close(fd);
        peers_end();
}

/* One answer is held for who does not read, and no call of theirs is read meanwhile. */
Test(peer, who_does_not_read_is_not_served_further) {
        static const char call[] = "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                                   "\"parameters\":{\"interface\":\"io.reuseportd\"}}";
        int fd, sent = 0, answered = 0;

        peers_start();
        fd = dial();
        for (;;) {
                if (send(fd, call, sizeof(call), MSG_NOSIGNAL) != sizeof(call))
                        break;
                sent++;
                kit_turn(&kit);
        }
        cr_assert(eq(int, errno, EAGAIN));
        while (answered < sent) {
                int n = count_lines(receive(fd, NULL));

                cr_assert(gt(int, n, 0), "%d of %d calls were answered", answered, sent);
                answered += n;
                kit_turn(&kit);
        }
        cr_assert(eq(int, answered, sent));
        close(fd);
        peers_end();
}

Test(peer, descriptors_come_with_their_reply_alone) {
        int fd, n_received;

        peers_start();
        fd = dial();
        send_frame(fd, ACQUIRE(""));
        cr_assert(contains(receive(fd, &n_received), "\"socketFileDescriptor\":0"));
        cr_assert(eq(int, n_received, 1));
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        close(fd);
        kit_turn(&kit);
        cr_assert(zero(sz, lease_registry_count(&kit.services.leases)));
        cr_assert(zero(sz, endpoint_registry_count(&kit.services.endpoints)));
        kit_expect_told(&kit, "acquired released closed ");
        peers_end();
}

/* An answer that waits for the client to read keeps its descriptors, whatever becomes of
 * the endpoint. */
Test(peer, descriptors_of_an_answer_that_waits) {
        static const char filling[4096];
        int pair[2], n_received;

        peers_start();
        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)));
        cr_assert(zero(int, peer_new(&kit.services, &peers, pair[0])));
        while (send(pair[0], filling, sizeof(filling), MSG_NOSIGNAL) > 0)
                ;
        send_frame(pair[1], ACQUIRE(""));
        kit_expect_told(&kit, "acquired ");
        lease_end(kit.services.leases.by_id, MEMBER_LEAVE_RELEASED, "done");
        cr_assert(not(contains(receive(pair[1], &n_received), "socketFileDescriptor")));
        cr_assert(zero(int, n_received));
        kit_turn(&kit);
        cr_assert(contains(receive(pair[1], &n_received), "\"socketFileDescriptor\":0"));
        cr_assert(eq(int, n_received, 1));
        close(pair[1]);
        peers_end();
}

/* Nor is anything left of one that the client never read. */
Test(peer, an_answer_that_is_never_read) {
        static const char filling[4096];
        int pair[2];

        peers_start();
        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)));
        cr_assert(zero(int, peer_new(&kit.services, &peers, pair[0])));
        while (send(pair[0], filling, sizeof(filling), MSG_NOSIGNAL) > 0)
                ;
        send_frame(pair[1], ACQUIRE(""));
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        close(pair[1]);
        kit_turn(&kit);
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        cr_assert(zero(sz, endpoint_registry_count(&kit.services.endpoints)));
        peers_end();
}

/* This test is the client's process, and it is alive. */
Test(peer, a_lease_of_the_process_outlives_the_connection) {
        int fd, n_received;

        peers_start();
        fd = dial();
        send_frame(fd, ACQUIRE(",\"lifetime\":\"process\""));
        receive(fd, &n_received);
        cr_assert(eq(int, n_received, 1), "%s", text);
        close(fd);
        kit_turn(&kit);
        cr_assert(eq(ptr, LIST_FIRST(&peers.peers), NULL));
        cr_assert(eq(sz, lease_registry_count(&kit.services.leases), 1));
        lease_end(kit.services.leases.by_id, MEMBER_LEAVE_RELEASED, "done");
        peers_end();
}

/*
 * A socket pair made by a child that waits to be killed, in a table of descriptors that both have: the
 * credentials are the child's, and this process is one that came by its connection.
 */
static pid_t pair_of_child(int pair[2]) {
        int told[2];
        pid_t pid;

        cr_assert(zero(int, pipe2(told, O_CLOEXEC)));
        pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
                    write(told[1], pair, 2 * sizeof(int)) < 0)
                        _exit(1);
                for (;;)
                        pause();
        }
        cr_assert(eq(int, (int)read(told[0], pair, 2 * sizeof(int)), (int)(2 * sizeof(int))));
        close(told[0]);
        close(told[1]);
        return pid;
}

Test(peer, nothing_more_for_a_process_that_has_exited) {
        int pair[2], n_received;
        pid_t pid;

        peers_start();
        pid = pair_of_child(pair);
        cr_assert(zero(int, peer_new(&kit.services, &peers, pair[0])));
        send_frame(pair[1], ACQUIRE(",\"lifetime\":\"process\""));
        receive(pair[1], &n_received);
        cr_assert(eq(int, n_received, 1), "%s", text);
        kill(pid, SIGKILL);
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
        kit_turn(&kit);
        cr_assert(zero(sz, lease_registry_count(&kit.services.leases)));
        /* The connection lives on in this process; a lease would never end. */
        send_frame(pair[1], ACQUIRE(",\"lifetime\":\"process\""));
        cr_assert(contains(receive(pair[1], &n_received), "\"errno\":\"ESRCH\""), "%s", text);
        cr_assert(zero(int, n_received));
        cr_assert(zero(sz, lease_registry_count(&kit.services.leases)));
        send_frame(pair[1], ACQUIRE(""));
        receive(pair[1], &n_received);
        cr_assert(eq(int, n_received, 1), "%s", text);
        close(pair[1]);
        kit_turn(&kit);
        cr_assert(zero(sz, lease_registry_count(&kit.services.leases)));
        peers_end();
}
