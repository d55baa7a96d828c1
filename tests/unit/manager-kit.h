/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A service manager that keeps descriptors, as far as the broker sees it. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/inherited.h"

enum {
        MANAGER_KEEPS_MAX = 64,
        MANAGER_NAME_MAX = 512,
};

typedef struct ManagerItem {
        char name[MANAGER_NAME_MAX];
        int fd;
} ManagerItem;

typedef struct Manager {
        int fd;
        ManagerItem items[MANAGER_KEEPS_MAX];
        size_t n;
        size_t max;        /* beyond that it keeps nothing, and does not say so; 0: it keeps all */
        size_t n_messages; /* that came */
} Manager;

/* Its socket, at @path, or an abstract one if that is NULL, is told as a unit's broker is told it. */
static inline void manager_begin_at(Manager *manager, const char *path, const char *max) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t len;

        *manager = (Manager){ .fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
        cr_assert(ge(int, manager->fd, 0));
        if (path)
                strcpy(address.sun_path, path);
        else
                snprintf(address.sun_path, sizeof(address.sun_path), "@test-manager-%d", getpid());
        cr_assert(zero(int, setenv("NOTIFY_SOCKET", address.sun_path, 1)));
        cr_assert(zero(int, setenv("FDSTORE", max, 1)));
        len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path));
        if (!path)
                address.sun_path[0] = '\0';
        cr_assert(zero(int, bind(manager->fd, (struct sockaddr *)&address, len)));
}

static inline void manager_begin(Manager *manager, const char *max) {
        manager_begin_at(manager, NULL, max);
}

/* The next message, with its descriptor or -1. Returns false if there is none. */
static inline bool manager_receive(Manager *manager, char *text, size_t size, int *ret_fd) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(4 * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = text, .iov_len = size - 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        struct cmsghdr *header;
        ssize_t n = recvmsg(manager->fd, &message, MSG_CMSG_CLOEXEC);

        *ret_fd = -1;
        if (n < 0) {
                cr_assert(eq(int, errno, EAGAIN), "%s", strerror(errno));
                return false;
        }
        text[n] = '\0';
        manager->n_messages++;
        header = CMSG_FIRSTHDR(&message);
        if (header) {
                cr_assert(eq(sz, header->cmsg_len, CMSG_LEN(sizeof(int))));
                memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
        }
        return true;
}

static inline void manager_remove(Manager *manager, const char *name) {
        size_t n = 0;

        for (size_t i = 0; i < manager->n; i++)
                if (strcmp(manager->items[i].name, name) == 0)
                        close(manager->items[i].fd);
                else
                        manager->items[n++] = manager->items[i];
        manager->n = n;
}

static inline void manager_keep(Manager *manager, const char *name, int fd) {
        ManagerItem *item = &manager->items[manager->n++];

        cr_assert(le(sz, manager->n, MANAGER_KEEPS_MAX));
        cr_assert(ge(int, fd, 0));
        snprintf(item->name, sizeof(item->name), "%s", name);
        item->fd = fd;
}

/* Does what all messages ask for that are there. What is no such message is a failure. */
static inline void manager_turn(Manager *manager) {
        static const char keep[] = "FDSTORE=1\nFDPOLL=0\nFDNAME=", remove[] = "FDSTOREREMOVE=1\nFDNAME=";
        char text[512];
        int fd;

        while (manager_receive(manager, text, sizeof(text), &fd))
                if (strncmp(text, keep, sizeof(keep) - 1) == 0 && manager->max > 0 &&
                    manager->n >= manager->max) {
                        close(fd);
                } else if (strncmp(text, keep, sizeof(keep) - 1) == 0) {
                        manager_keep(manager, text + sizeof(keep) - 1, fd);
                } else if (strncmp(text, remove, sizeof(remove) - 1) == 0) {
                        cr_assert(eq(int, fd, -1));
                        manager_remove(manager, text + sizeof(remove) - 1);
                } else {
                        KIT_EXPECT_TEXT(text, "BARRIER=1");
                        close(fd);
                }
}

/* The only one of this name; borrowed. -1 if there is none. */
static inline int manager_find(const Manager *manager, const char *name) {
        int fd = -1;

        for (size_t i = 0; i < manager->n; i++)
                if (strcmp(manager->items[i].name, name) == 0) {
                        cr_assert(eq(int, fd, -1), "two are called %s", name);
                        fd = manager->items[i].fd;
                }
        return fd;
}

static inline int manager_compare(const void *a, const void *b) {
        return strcmp(((const InheritedItem *)a)->name, ((const InheritedItem *)b)->name);
}

/* What it has is passed on to a broker that starts. */
static inline void manager_pass(const Manager *manager, Inherited *ret) {
        *ret = (Inherited){ .items = calloc(manager->n + 1, sizeof(InheritedItem)), .n = manager->n };
        for (size_t i = 0; i < manager->n; i++)
                ret->items[i] = (InheritedItem){ .fd = fcntl(manager->items[i].fd, F_DUPFD_CLOEXEC, 3),
                                                 .name = strdup(manager->items[i].name) };
        qsort(ret->items, ret->n, sizeof(InheritedItem), manager_compare);
}

static inline void manager_end(Manager *manager) {
        for (size_t i = 0; i < manager->n; i++)
                close(manager->items[i].fd);
        if (manager->fd >= 0)
                close(manager->fd);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("FDSTORE");
}
