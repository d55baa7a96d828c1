/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* For tests on real sockets: a network of their own, addresses in one call, and who accepts them. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/address.h"
#include "proto/cleanup.h"
#include "proto/wire.h"

/* Criterion wants char *, and nearly all texts here are constant. */
#define KIT_EXPECT_TEXT(actual, expected) cr_assert(eq(str, (char *)(actual), (char *)(expected)))

enum {
        KIT_OTHER_UID = 65534,
};

/* A new network namespace with lo up, where that is allowed: each test runs in a process of its own. */
static inline bool kit_own_network(void) {
        struct ifreq lo = { .ifr_name = "lo" };
        _cleanup_(fd_closep) int fd = -1;

        if (unshare(CLONE_NEWNET) < 0)
                return false;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(ge(int, fd, 0));
        cr_assert(zero(int, ioctl(fd, SIOCGIFFLAGS, &lo)));
        lo.ifr_flags |= IFF_UP | IFF_MULTICAST;
        cr_assert(zero(int, ioctl(fd, SIOCSIFFLAGS, &lo)));
        return true;
}

static inline Address kit_address(const char *network, const char *text) {
        static const AddressFamilies all = { .ipv4 = true, .ipv6 = true, .mapped = true };
        const char *reason = NULL;
        Address address;

        cr_assert(zero(int, address_parse(network, text, &all, &address, &reason)), "%s %s: %s", network,
                  text, reason);
        return address;
}

static inline Options kit_no_options(void) {
        Options options;

        wire_init(&wire_options, &options);
        return options;
}

/* A number that the kernel has of @fd. */
static inline int kit_int_option(int fd, int level, int name) {
        int value = -1;
        socklen_t n = sizeof(value);

        cr_assert(zero(int, getsockopt(fd, level, name, &value, &n)));
        return value;
}

/* A blocking client connected to @address. The caller's to close. */
static inline int kit_connect(const Address *address) {
        int fd = socket(address_family(address), address_socket_type(address) | SOCK_CLOEXEC, 0);

        cr_assert(ge(int, fd, 0));
        cr_assert(zero(int, connect(fd, &address->u.sa, address->len)));
        return fd;
}

/* A connection accepted by a process of another uid, which keeps it open. */
typedef struct KitForeign {
        int client;
        pid_t pid;
} KitForeign;

static inline void kit_accept_and_wait(int listener, int ready) {
        if (setgroups(0, NULL) < 0 || setgid(KIT_OTHER_UID) < 0 || setuid(KIT_OTHER_UID) < 0)
                _exit(1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (accept(listener, NULL, NULL) < 0 || close(listener) < 0 || write(ready, "", 1) != 1)
                _exit(1);
        for (;;)
                pause();
}

static inline KitForeign kit_accept_as_other(int listener, const Address *address) {
        KitForeign foreign;
        int ready[2];
        char byte;

        cr_assert(zero(int, pipe(ready)));
        foreign.client = kit_connect(address);
        foreign.pid = fork();
        cr_assert(ge(int, foreign.pid, 0));
        if (foreign.pid == 0)
                kit_accept_and_wait(listener, ready[1]);
        close(ready[1]);
        cr_assert(eq(int, (int)read(ready[0], &byte, 1), 1), "the other process did not accept");
        close(ready[0]);
        return foreign;
}

static inline void kit_foreign_end(const KitForeign *foreign) {
        kill(foreign->pid, SIGKILL);
        cr_assert(eq(int, waitpid(foreign->pid, NULL, 0), foreign->pid));
        close(foreign->client);
}
