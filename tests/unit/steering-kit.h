/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* For tests of steering: a group of real sockets on the loopback, and flows that come to it. */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/steering.h"
#include "tests/unit/leaks.h"

/* How many flows kit_collect() found on a member. */
#define KIT_GOT(kit, i) ((kit)->members[i].n_got)

enum {
        KIT_MEMBERS_MAX = 40,
        KIT_PATIENCE_MSEC = 5000, /* for what happens at once, on a machine that is busy */
};

/* What a group can be of. */
static const struct {
        int type;
        int family;
} kit_kinds[] = {
        { SOCK_STREAM, AF_INET },
        { SOCK_STREAM, AF_INET6 },
        { SOCK_DGRAM, AF_INET },
        { SOCK_DGRAM, AF_INET6 },
};

enum {
        KIT_KINDS = sizeof(kit_kinds) / sizeof(kit_kinds[0]),
};

typedef struct KitMember {
        int fd;
        uint64_t cookie;
        uint32_t slot;
        size_t n_got;
} KitMember;

typedef struct Kit {
        int n_fds; /* open before all this */
        int type;
        Steering *steering;
        SteeringGroup *group;
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        } address;
        socklen_t len;
        KitMember members[KIT_MEMBERS_MAX];
        size_t n_members;
        int clients[1024];
        size_t n_clients;
} Kit;

static inline void kit_steering(Kit *kit) {
        const char *reason = "?";
        int r;

        *kit = (Kit){ .n_fds = leaks_count_fds() };
        r = steering_new(&kit->steering, &reason);
        if (r == STEERING_E_UNAVAILABLE)
                cr_skip_test("no steering: %s", reason);
        cr_assert(zero(int, r));
}

static inline int kit_socket(const Kit *kit) {
        int fd = socket(kit->address.sa.sa_family, kit->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        cr_assert(ge(int, fd, 0));
        return fd;
}

/* A socket in the SO_REUSEPORT group, which has no part in steering. */
static inline int kit_group_socket(Kit *kit) {
        int fd = kit_socket(kit);

        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int))));
        cr_assert(zero(int, bind(fd, &kit->address.sa, kit->len)));
        if (kit->type == SOCK_STREAM)
                cr_assert(zero(int, listen(fd, 512)));
        kit->len = sizeof(kit->address);
        cr_assert(zero(int, getsockname(fd, &kit->address.sa, &kit->len)));
        return fd;
}

static inline uint64_t kit_cookie(int fd) {
        uint64_t cookie = 0;

        cr_assert(zero(int,
                       getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &(socklen_t){ sizeof(cookie) })));
        return cookie;
}

/* One more member, off the list. */
static inline KitMember *kit_add(Kit *kit) {
        KitMember *member = &kit->members[kit->n_members++];

        *member = (KitMember){ .fd = kit_group_socket(kit) };
        member->cookie = kit_cookie(member->fd);
        if (kit->n_members == 1)
                cr_assert(zero(int, steering_group_attach(kit->group, member->fd)));
        cr_assert(zero(int, steering_member_add(kit->group, member->fd, member->cookie, &member->slot)));
        return member;
}

/* A group of @n members at a port of the loopback that the kernel chooses, and an empty list. */
static inline void kit_begin(Kit *kit, SteeringMode mode, int type, int family, size_t n) {
        kit_steering(kit);
        kit->type = type;
        kit->address.sa.sa_family = (sa_family_t)family;
        kit->len = family == AF_INET ? sizeof(kit->address.in) : sizeof(kit->address.in6);
        if (family == AF_INET)
                kit->address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
                kit->address.in6.sin6_addr = in6addr_loopback;
        cr_assert(zero(int, steering_group_new(kit->steering, mode, kit, &kit->group)));
        for (size_t i = 0; i < n; i++)
                kit_add(kit);
}

/* The list by weights, one letter for each member: '-' is off the list, a digit is on it. */
static inline void kit_list(Kit *kit, const char *weights) {
        SteeringShare shares[KIT_MEMBERS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < strlen(weights); i++)
                if (weights[i] != '-')
                        shares[n++] = (SteeringShare){ .slot = kit->members[i].slot,
                                                       .weight = (uint32_t)(weights[i] - '0') };
        cr_assert(zero(int, steering_group_set(kit->group, shares, n)));
}

/* One flow, from @source or, if 0, from wherever. Returns its socket, which stays open to the end. */
static inline int kit_flow_from(Kit *kit, uint32_t source) {
        const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(source) };
        int fd = kit_socket(kit);

        kit->clients[kit->n_clients++] = fd;
        if (source != 0)
                cr_assert(zero(int, bind(fd, (const struct sockaddr *)&from, sizeof(from))));
        if (connect(fd, &kit->address.sa, kit->len) < 0) {
                cr_assert(eq(int, errno, EINPROGRESS), "%s", strerror(errno));
                cr_assert(eq(int, poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, KIT_PATIENCE_MSEC), 1));
        }
        if (kit->type == SOCK_DGRAM)
                cr_assert(eq(int, (int)send(fd, "x", 1, 0), 1));
        return fd;
}

static inline void kit_flows(Kit *kit, size_t n) {
        for (size_t i = 0; i < n; i++)
                kit_flow_from(kit, 0);
}

/* Takes one flow from a member; false if there is none. A connection that is accepted is closed. */
static inline bool kit_take(const Kit *kit, KitMember *member, struct sockaddr_storage *from) {
        char byte;
        int fd;

        if (kit->type == SOCK_DGRAM) {
                if (recvfrom(member->fd, &byte, 1, 0, (struct sockaddr *)from,
                             &(socklen_t){ sizeof(*from) }) < 0)
                        return false;
        } else {
                fd = accept(member->fd, (struct sockaddr *)from, &(socklen_t){ sizeof(*from) });
                if (fd < 0)
                        return false;
                close(fd);
        }
        member->n_got++;
        return true;
}

/*
 * Waits until the members have @n flows together, then looks whether there are more. Calls @each, if it
 * is not NULL, with each flow.
 */
static inline void kit_collect_each(Kit *kit, size_t n,
                                    void (*each)(size_t member, const struct sockaddr_storage *from)) {
        struct pollfd polled[KIT_MEMBERS_MAX];
        struct sockaddr_storage from;
        size_t got = 0;

        for (size_t i = 0; i < kit->n_members; i++) {
                polled[i] = (struct pollfd){ .fd = kit->members[i].fd, .events = POLLIN };
                kit->members[i].n_got = 0;
        }
        for (;;) {
                int ready = poll(polled, kit->n_members, got < n ? KIT_PATIENCE_MSEC : 0);

                if (ready == 0)
                        break;
                for (size_t i = 0; i < kit->n_members; i++)
                        if (polled[i].revents == POLLIN)
                                while (kit_take(kit, &kit->members[i], &from)) {
                                        got++;
                                        if (each)
                                                each(i, &from);
                                }
                        else if (polled[i].revents != 0)
                                polled[i].fd = -1; /* shut down */
        }
        cr_assert(eq(sz, got, n));
}

static inline void kit_collect(Kit *kit, size_t n) {
        kit_collect_each(kit, n, NULL);
}

/* Closes a socket, whatever the broker's side knows of it. */
static inline void kit_close(KitMember *member) {
        close(member->fd);
        member->fd = -1;
}

static inline void kit_end(Kit *kit) {
        cr_assert(zero(int, steering_group_set(kit->group, NULL, 0)));
        for (size_t i = 0; i < kit->n_clients; i++)
                close(kit->clients[i]);
        for (size_t i = 0; i < kit->n_members; i++) {
                steering_member_remove(kit->group, kit->members[i].slot, kit->members[i].cookie);
                if (kit->members[i].fd >= 0)
                        kit_close(&kit->members[i]);
        }
        steering_group_free(kit->group);
        steering_free(kit->steering);
        leaks_expect_fds(kit->n_fds);
}
