/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * For tests of groups that are steered: in a network of their own, with flows that the program counts,
 * and timers that ring when the test says so.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "daemon/clock.h"
#include "daemon/repair.h"
#include "tests/unit/daemon-kit.h"

enum {
        /* For what happens within a second or two, on a machine that is busy. */
        KIT_PATIENCE_USEC = 8000000,
};

/* Skipped where a group cannot be steered. */
static inline void kit_begin(Kit *kit) {
        if (!kit_own_network())
                cr_skip_test("no network namespace of its own: needs root");
        kit_init_steered(kit, 1000);
        kit->services.endpoints.on_shut_down = repair_member;
}

/* An address of the loopback with a port that nobody had before. One that the kernel chose would not
 * stay when the socket is shut down. */
static inline const char *kit_new_address(const char *network) {
        static int port = 20000;
        static char text[32];

        snprintf(text, sizeof(text), "%s:%d", strchr(network, '6') ? "[::1]" : "127.0.0.1", port++);
        return text;
}

/* A committed lease of a new group's first member. */
static inline Lease *kit_found(Kit *kit, const char *network, SteeringMode mode, uint64_t retain_usec) {
        Address address = kit_address(network, kit_new_address(network)), bound;
        int fd = kit_socket(&address, SHARING_GROUP, &bound);
        Endpoint *endpoint;
        Member *member;
        Lease *lease;

        cr_assert(zero(
                int, kit_endpoint_new(kit, &bound, NULL, SHARING_GROUP, NULL, retain_usec, &endpoint)));
        endpoint->group.mode = mode;
        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(zero(int, member_enter(member, false, MEMBER_WEIGHT_DEFAULT)));
        lease = kit_lease(kit, member, NULL);
        lease_commit(lease, false);
        kit_expect_told(kit, "acquired ");
        return lease;
}

/* A further one, committed. */
static inline Lease *kit_follow(Kit *kit, Endpoint *endpoint) {
        Lease *lease = kit_lease(kit, kit_join(endpoint), NULL);

        lease_commit(lease, false);
        kit_expect_told(kit, "acquired ");
        return lease;
}

/* A group of @n members. */
static inline void kit_found_group(Kit *kit, const char *network, SteeringMode mode,
                                   uint64_t retain_usec, Member **ret_members, size_t n) {
        ret_members[0] = kit_found(kit, network, mode, retain_usec)->member;
        for (size_t i = 1; i < n; i++)
                ret_members[i] = kit_follow(kit, ret_members[0]->endpoint)->member;
}

/* One that stands by. */
static inline Lease *kit_stand_by(Kit *kit, Endpoint *endpoint) {
        Address bound;
        int fd = kit_socket(&endpoint->address, SHARING_GROUP, &bound);
        Member *member;
        Lease *lease;

        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(zero(int, member_enter(member, true, MEMBER_WEIGHT_DEFAULT)));
        lease = kit_lease(kit, member, NULL);
        lease_commit(lease, false);
        kit_expect_told(kit, "acquired ");
        return lease;
}

/* The lease that ends was lost, or given back. */
static inline void kit_lose(Lease *lease) {
        lease_end(lease, MEMBER_LEAVE_LOST, "gone");
}

static inline void kit_release(Lease *lease) {
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
}

/* ---- flows --------------------------------------------------------------------------------------- */

static inline void kit_flows(const Endpoint *endpoint, size_t n) {
        group_settle(endpoint->registry);
        for (size_t i = 0; i < n; i++) {
                int fd = kit_connect(&endpoint->address);

                if (endpoint->address.transport == TRANSPORT_UDP)
                        cr_assert(eq(int, (int)send(fd, "x", 1, 0), 1));
                close(fd);
        }
}

static inline uint64_t kit_given(const Member *member) {
        return steering_selected(member->endpoint->registry->steering, member->slot);
}

/* Accepts, or receives, all that waits on a member. Returns how many there were. */
static inline size_t kit_serve(const Member *member) {
        bool udp = member->endpoint->address.transport == TRANSPORT_UDP;
        size_t n = 0;
        char byte;
        int r;

        group_settle(member->endpoint->registry);
        while ((r = udp ? (int)recv(member->fd, &byte, 1, 0) : accept(member->fd, NULL, NULL)) >= 0) {
                if (!udp)
                        close(r);
                n++;
        }
        cr_assert(eq(int, errno, EAGAIN), "%s", strerror(errno));
        return n;
}

/* Of as many flows as the digits make together, each member takes as many as its own says; roundRobin
 * only. No flow is made if all are 0. */
static inline void kit_expect_shares(Member *const members[], const char *digits) {
        const Endpoint *endpoint = members[0]->endpoint;
        size_t n = strlen(digits), sum = 0;
        uint64_t before[16];

        for (size_t i = 0; i < n; i++) {
                before[i] = kit_given(members[i]);
                sum += (size_t)(digits[i] - '0');
        }
        kit_flows(endpoint, sum);
        for (size_t i = 0; i < n; i++)
                cr_assert(eq(u64, kit_given(members[i]) - before[i], (uint64_t)(digits[i] - '0')),
                          "member %zu of %s", i, digits);
}

/* Starts to connect; the outcome is seen later. The caller's to close. */
static inline int kit_start_connect(const Address *address) {
        int fd = socket(address_family(address), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        cr_assert(ge(int, fd, 0));
        if (connect(fd, &address->u.sa, address->len) < 0)
                cr_assert(eq(int, errno, EINPROGRESS), "%s", strerror(errno));
        return fd;
}

static inline bool kit_is_ready(int fd, short events) {
        return poll(&(struct pollfd){ .fd = fd, .events = events }, 1, 0) == 1;
}

/* ---- time ---------------------------------------------------------------------------------------- */

/* The time that @timer waits for is now. */
static inline void kit_elapse(Kit *kit, Timer *timer) {
        cr_assert(timer->armed);
        cr_assert(ge(int, sd_event_source_set_time(timer->source, 1), 0));
        kit_turn(kit);
}

/* Whoever departs does so now; in several turns, if there are many. */
static inline void kit_depart(Kit *kit) {
        Departures *departures = &kit->services.endpoints.departures;
        Member *member;

        TAILQ_FOREACH (member, &departures->queue, departure.entry)
                member->departure.close_usec = 1;
        while (TAILQ_FIRST(&departures->queue))
                kit_elapse(kit, &departures->timer);
}

/* Turns the loop until the watcher was told @words, calling @meanwhile, if there is one, each time. */
static inline void kit_await_told(Kit *kit, const char *words, void (*meanwhile)(void *),
                                  void *userdata) {
        uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + KIT_PATIENCE_USEC;

        while (!kit->told[0] && clock_usec(CLOCK_MONOTONIC) < deadline) {
                if (meanwhile)
                        meanwhile(userdata);
                poll(&(struct pollfd){ .fd = kit->services.poller.epoll_fd, .events = POLLIN }, 1, 20);
                kit_turn(kit);
        }
        kit_expect_told(kit, words);
}

/* ---- what the kernel refuses ---------------------------------------------------------------------- */

/* No descriptor can be opened until kit_allow_fds(). Returns what that needs. */
static inline rlim_t kit_refuse_fds(void) {
        struct rlimit limit;
        rlim_t before;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        before = limit.rlim_cur;
        limit.rlim_cur = 1;
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        return before;
}

static inline void kit_allow_fds(rlim_t before) {
        struct rlimit limit;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        limit.rlim_cur = before;
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
}
