/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Network namespaces with names, in a /run of this process's own that nobody else meets, and the way
 * into them and back.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/cleanup.h"

static inline void namespace_kit_raise_loopback(void) {
        struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_MULTICAST };
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        cr_assert(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0, "%m");
}

/* A network of its own, too, so that what is bound in the "own" one is met by nobody. */
static inline void namespace_kit_begin(void) {
        if (geteuid() != 0)
                cr_skip_test("needs root for network namespaces");
        if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/run", "tmpfs", 0, "mode=0755") < 0)
                cr_skip_test("the kernel gives no namespaces");
        namespace_kit_raise_loopback();
        cr_assert(zero(int, mkdir("/run/netns", 0755)));
}

/* Of a child, which leaves it there. */
static inline void namespace_kit_bind_new(const char *path) {
        int status;
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                if (unshare(CLONE_NEWNET) < 0)
                        _exit(1);
                namespace_kit_raise_loopback();
                _exit(mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0);
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(zero(int, status), "no namespace at %s", path);
}

/* A new namespace with lo up, at @path. */
static inline void namespace_kit_add_at(const char *path) {
        int fd = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0);

        cr_assert(ge(int, fd, 0), "%s: %m", path);
        close(fd);
        namespace_kit_bind_new(path);
}

static inline const char *namespace_kit_path(const char *name, char buffer[static 64]) {
        snprintf(buffer, 64, "/run/netns/%s", name);
        return buffer;
}

/* The loopback of where this process is has this name from now on, and also the address fe80::1. The
 * kernel looks at the address in its own time, and until then nothing can be bound there. */
static inline void namespace_kit_rename_loopback(const char *name) {
        struct {
                struct in6_addr address;
                uint32_t prefix;
                int interface;
        } link = { .address = { { { 0xfe, 0x80, [15] = 1 } } }, .prefix = 64, .interface = 1 };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                    .sin6_addr = link.address,
                                    .sin6_scope_id = 1 };
        _cleanup_(fd_closep) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq lo = { .ifr_name = "lo" };
        int r = -1;

        if (fd < 0)
                cr_skip_test("there is no IPv6");
        cr_assert(zero(int, ioctl(fd, SIOCSIFFLAGS, &lo)), "%m");
        strcpy(lo.ifr_newname, name);
        cr_assert(zero(int, ioctl(fd, SIOCSIFNAME, &lo)), "%m");
        strcpy(lo.ifr_name, name);
        lo.ifr_flags = IFF_UP | IFF_MULTICAST;
        cr_assert(zero(int, ioctl(fd, SIOCSIFFLAGS, &lo)), "%m");
        cr_assert(zero(int, ioctl(fd, SIOCSIFADDR, &link)), "%m");
        for (int i = 0; i < 1000000 && r < 0; i++) {
                r = bind(fd, (struct sockaddr *)&in6, sizeof(in6));
                if (r < 0)
                        sched_yield();
        }
        cr_assert(zero(int, r), "%m");
}

/* As "ip netns add" and "ip netns delete". */
static inline void namespace_kit_add(const char *name) {
        char path[64];

        namespace_kit_add_at(namespace_kit_path(name, path));
}

static inline void namespace_kit_delete(const char *name) {
        char path[64];

        cr_assert(zero(int, umount2(namespace_kit_path(name, path), MNT_DETACH)));
        cr_assert(zero(int, unlink(path)));
}

/* Goes into the namespace at @path; *@ret_home is the way back. */
static inline void namespace_kit_enter_at(const char *path, int *ret_home) {
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

        *ret_home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        cr_assert(fd >= 0 && *ret_home >= 0);
        cr_assert(zero(int, setns(fd, CLONE_NEWNET)));
}

static inline void namespace_kit_enter(const char *name, int *ret_home) {
        char path[64];

        namespace_kit_enter_at(namespace_kit_path(name, path), ret_home);
}

static inline void namespace_kit_go_home(int home) {
        cr_assert(zero(int, setns(home, CLONE_NEWNET)));
        close(home);
}

/* The process that @broker has for it; 0: there is none. */
static inline pid_t namespace_kit_helper(pid_t broker) {
        char path[64];
        int pid = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", broker, broker);
        file = fopen(path, "re");
        cr_assert(ne(ptr, file, NULL));
        if (fscanf(file, "%d", &pid) != 1)
                pid = 0;
        fclose(file);
        return pid;
}

static inline uint64_t namespace_kit_cookie(int fd) {
        uint64_t cookie = 0;
        socklen_t size = sizeof(cookie);

        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size)));
        return cookie;
}

/* Of the namespace that this process is in. */
static inline uint64_t namespace_kit_own_cookie(void) {
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return namespace_kit_cookie(fd);
}

static inline uint64_t namespace_kit_cookie_of(const char *name) {
        uint64_t cookie;
        int home;

        namespace_kit_enter(name, &home);
        cookie = namespace_kit_own_cookie();
        namespace_kit_go_home(home);
        return cookie;
}
