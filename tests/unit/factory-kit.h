/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Sockets from the factory in one call: one that has to be had, or only what came of it. */

#include <stdio.h>

#include "daemon/socket-factory.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))
#define SKIP_UNLESS_ROOT()                                                                              \
        do {                                                                                            \
                if (geteuid() != 0)                                                                     \
                        cr_skip_test("needs root, to become another user");                             \
        } while (0)

#define EXCLUSIVE SHARING_EXCLUSIVE
#define SHARED SHARING_SHARED
#define GROUP SHARING_GROUP

/* Of the last attempt. */
static SocketFailure failure;

static inline int try_open(const Address *address, Sharing sharing, const Options *options, bool unused,
                           int *ret_fd, Address *ret_bound) {
        const SocketSpec spec = {
                .address = *address, .sharing = sharing, .options = options, .unused_port = unused
        };

        failure = (SocketFailure){ 0 };
        return socket_factory_open(&spec, ret_fd, ret_bound, &failure);
}

/* Opens and expects it to work. */
static inline int must_open(const Address *address, Sharing sharing, Address *ret_bound) {
        Address bound;
        int fd = -1;

        cr_assert(zero(int, try_open(address, sharing, NULL, address_port(address) == 0, &fd, &bound)),
                  "step %s: %s", failure.step, strerror(failure.refusal.error));
        if (ret_bound)
                *ret_bound = bound;
        return fd;
}

/* The answer of an attempt; nothing is kept. */
static inline int outcome(const Address *address, Sharing sharing, bool unused) {
        Address bound;
        int fd = -1, n_fds = leaks_count_fds(), r;

        r = try_open(address, sharing, NULL, unused, &fd, &bound);
        cr_assert(eq(int, fd >= 0, r == 0));
        fd_close(fd);
        cr_assert(eq(int, leaks_count_fds(), n_fds), "a descriptor was left open");
        return r;
}

/* An address with a port that nobody has, held for no longer than this call. */
static inline Address free_address(const char *network, const char *text) {
        Address address = kit_address(network, text), bound;

        fd_close(must_open(&address, SHARING_EXCLUSIVE, &bound));
        return bound;
}

/* What comes of another user binding @address: 0 or an errno. */
static inline int foreign_bind(const Address *address, bool reuse_address, bool reuse_port) {
        _cleanup_(fd_closep) int fd = -1;
        int on = 1, r;

        cr_assert(zero(int, seteuid(KIT_OTHER_UID)));
        fd = socket(address_family(address), address_socket_type(address) | SOCK_CLOEXEC, 0);
        cr_assert(ge(int, fd, 0));
        if (reuse_address)
                cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))));
        if (reuse_port)
                cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))));
        r = bind(fd, &address->u.sa, address->len) < 0 ? errno : 0;
        if (r == 0 && address->transport == TRANSPORT_TCP)
                r = listen(fd, 1) < 0 ? errno : 0;
        cr_assert(zero(int, seteuid(0)));
        return r;
}

static inline void own_network(void) {
        kit_own_network();
}
