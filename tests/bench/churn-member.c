/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The work is a sleep, as of a server that waits for another: the CPUs stay free for the load. SIGTERM
 * is taken as a readable descriptor, and so between two connections.
 *
 * All members that share a queue wake up for each connection. To wake only one of them would be cheaper,
 * and wrong: one that is about to leave would keep the others asleep.
 */

#include "tests/bench/churn-member.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/churn-load.h"
#include "tests/bench/churn-plain.h"
#include "tests/bench/stats.h"

enum {
        /* For the event "drained", however many connections come meanwhile. */
        MEMBER_DRAIN_MSEC = 5 * 1000,
};

typedef struct Member {
        const MemberOrder *order;
        Lease lease;
        int leave;              /* a signalfd */
        uint64_t deadline_nsec; /* since it is leaving */
} Member;

static void hand_hold(Member *member, uint64_t what) {
        atomic_store(&member->order->hand->holds, what);
}

static void member_work(const Member *member) {
        struct timespec rest = { .tv_nsec = (long)member->order->work_nsec };

        clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
}

/* Whoever hung up meanwhile, or left the queue of a shared socket to another member, is no fault. */
static bool was_nobody(int error) {
        return error == EAGAIN || error == ECONNABORTED || error == ECONNRESET || error == EPIPE;
}

static int member_serve_stream(Member *member) {
        struct sockaddr_storage client;
        _cleanup_(fd_closep) int fd = -1;
        socklen_t len = sizeof(client);
        char byte;
        ssize_t n;

        hand_hold(member, HAND_REACHING);
        fd = accept4(member->lease.fd, (struct sockaddr *)&client, &len, SOCK_CLOEXEC);
        if (fd < 0)
                return was_nobody(errno) ? 0 : error_origin(-errno);
        hand_hold(member, hand_of(load_peer(&client, len)));
        n = recv(fd, &byte, 1, 0);
        if (n == 1) {
                member_work(member);
                n = send(fd, &byte, 1, MSG_NOSIGNAL);
        }
        return n < 0 && !was_nobody(errno) ? error_origin(-errno) : 0;
}

static int member_serve_datagram(Member *member) {
        struct sockaddr_storage client;
        socklen_t len = sizeof(client);
        char byte;

        hand_hold(member, HAND_REACHING);
        if (recvfrom(member->lease.fd, &byte, 1, 0, (struct sockaddr *)&client, &len) < 0)
                return was_nobody(errno) || errno == ECONNREFUSED ? 0 : error_origin(-errno);
        hand_hold(member, hand_of(load_peer(&client, len)));
        member_work(member);
        if (sendto(member->lease.fd, &byte, 1, 0, (struct sockaddr *)&client, len) < 0 &&
            !was_nobody(errno) && errno != ECONNREFUSED)
                return error_origin(-errno);
        return 0;
}

static int member_serve(Member *member) {
        int r = member->order->lease.kind == KIND_UDP4 ? member_serve_datagram(member)
                                                       : member_serve_stream(member);

        hand_hold(member, HAND_EMPTY);
        return r < 0 ? error_trace(r) : 0;
}

/* The signal is read, so that it wakes nobody again. */
static int member_leave(Member *member) {
        struct signalfd_siginfo info;
        int r;

        if (read(member->leave, &info, sizeof(info)) < 0)
                return error_origin(-errno);
        if (!member->order->drain) {
                member->lease.drained = true;
                return 0;
        }
        member->deadline_nsec = clock_nsec() + MEMBER_DRAIN_MSEC * UINT64_C(1000000);
        r = lease_drain(&member->lease);
        return r < 0 ? error_trace(r) : 0;
}

/* To another socket, when nothing waits in this one any more. */
static int member_move(Member *member) {
        struct pollfd waiting = { .fd = member->lease.fd, .events = POLLIN };
        int r = 0;

        while (r == 0 && poll(&waiting, 1, 0) > 0)
                r = member_serve(member);
        if (r == 0)
                r = lease_move(&member->lease);
        return r < 0 ? error_trace(r) : 0;
}

static int member_loop(Member *member) {
        int n, rest, r = 0;

        while (r == 0 && !member->lease.drained) {
                struct pollfd fds[] = {
                        { .fd = member->lease.fd, .events = POLLIN },
                        { .fd = member->leave, .events = POLLIN },
                        { .fd = lease_watch_fd(&member->lease), .events = POLLIN },
                        { .fd = lease_client_fd(&member->lease), .events = POLLIN },
                };

                rest = lease_rest_msec(&member->lease);
                if (member->deadline_nsec && (rest < 0 || rest > MEMBER_DRAIN_MSEC))
                        rest = MEMBER_DRAIN_MSEC;
                n = poll(fds, sizeof(fds) / sizeof(*fds), rest);
                if (n < 0)
                        return error_origin(-errno);
                if (member->deadline_nsec && clock_nsec() > member->deadline_nsec)
                        return error_origin(-ETIMEDOUT);
                if (fds[1].revents)
                        r = member_leave(member);
                else if (fds[2].revents || fds[3].revents || n == 0 || rest == 0)
                        r = lease_listen(&member->lease);
                else
                        r = member_serve(member);
                if (r == 0 && member->lease.next)
                        r = member_move(member);
        }
        return r < 0 ? error_trace(r) : 0;
}

static int member_settle(Member *member) {
        sigset_t term;
        int r;

        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &term, NULL) < 0)
                return error_origin(-errno);
        member->leave = signalfd(-1, &term, SFD_CLOEXEC);
        /* Otherwise a short sleep is 50 usec longer. */
        if (member->leave < 0 || prctl(PR_SET_TIMERSLACK, 1) < 0)
                return error_origin(-errno);
        if (member->order->lease.path)
                r = lease_take(&member->order->lease, &member->lease);
        else
                r = plain_open(member->order->lease.kind, &member->lease.fd);
        if (r == 0) {
                atomic_store(&member->order->hand->serves, 1);
                r = eventfd_write(member->order->ready, 1) < 0 ? error_origin(-errno) : 0;
        }
        return r < 0 ? error_trace(r) : 0;
}

static int member_run(void *userdata) {
        Member member = { .order = userdata, .lease = LEASE_NONE, .leave = -1 };
        char text[512];
        int r;

        r = member_settle(&member);
        if (r == 0)
                r = member_loop(&member);
        if (r == 0 && member.lease.client)
                r = lease_release(&member.lease);
        lease_deinit(&member.lease);
        atomic_fetch_add(&member.order->hand->replaced, member.lease.n_replaced);
        if (r < 0) {
                atomic_store(&member.order->hand->failed, 1);
                fprintf(stderr, "churn: a member: %s\n", error_describe(text, sizeof(text)));
        }
        return r;
}

int member_start(const MemberOrder *order, Child *ret) {
        MemberOrder copy = *order;
        int r = child_run(member_run, &copy, ret);

        return r < 0 ? error_trace(r) : 0;
}
