/* SPDX-License-Identifier: BSD-2-Clause */

/* The messages are those of sd_notify(3); what is not about descriptors is read and forgotten. */

#include "tests/keeper.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/cleanup.h"

enum {
        TEXT_MAX = 4096,
        FIRST_FD = 3,
        /* Above those that are put in their places. */
        HIGH_FD = FIRST_FD + KEEPER_ITEMS_MAX,
};

void keeper_begin(Keeper *keeper, size_t max) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        keeper->max = max;
        keeper->n = keeper->n_refused = 0;
        /* Without a file: the broker may be of another user. */
        snprintf(keeper->path, sizeof(keeper->path), "@reuseportd-keeper-%d", getpid());
        strcpy(address.sun_path, keeper->path);
        address.sun_path[0] = '\0';
        keeper->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        cr_assert(keeper->notify >= 0 && bind(keeper->notify, (struct sockaddr *)&address,
                                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                                          strlen(keeper->path))) == 0,
                  "%m");
}

static void keeper_add(Keeper *keeper, const char *name, int fd, bool passed) {
        KeeperItem *item = &keeper->items[keeper->n++];

        cr_assert(keeper->n <= KEEPER_ITEMS_MAX);
        *item = (KeeperItem){ .fd = fd, .passed = passed };
        snprintf(item->name, sizeof(item->name), "%s", name);
}

void keeper_pass(Keeper *keeper, const char *name, int fd) {
        keeper_add(keeper, name, fd, true);
}

KeeperItem *keeper_find(Keeper *keeper, const char *name) {
        for (size_t i = 0; i < keeper->n; i++)
                if (strcmp(keeper->items[i].name, name) == 0)
                        return &keeper->items[i];
        return NULL;
}

void keeper_lose(Keeper *keeper, KeeperItem *item) {
        fd_close(item->fd);
        *item = keeper->items[--keeper->n];
}

size_t keeper_count(Keeper *keeper) {
        size_t n = 0;

        keeper_work(keeper);
        for (size_t i = 0; i < keeper->n; i++)
                n += !keeper->items[i].passed;
        return n;
}

/* The value of @key in lines of KEY=VALUE, or NULL. Writes to @text. */
static char *value_of(const char *text, const char *key, char value[static TEXT_MAX]) {
        size_t n = strlen(key);

        for (const char *line = text; line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, key, n) == 0 && line[n] == '=') {
                        snprintf(value, TEXT_MAX, "%.*s", (int)strcspn(line + n + 1, "\n"),
                                 line + n + 1);
                        return value;
                }
        return NULL;
}

/* Consumes @fd, which may be -1. */
static void keeper_store(Keeper *keeper, const char *text, int fd) {
        char value[TEXT_MAX], name[TEXT_MAX];

        if (!value_of(text, "FDNAME", name))
                strcpy(name, "stored");
        if (value_of(text, "FDSTOREREMOVE", value)) {
                KeeperItem *item = keeper_find(keeper, name);

                if (item && !item->passed)
                        keeper_lose(keeper, item);
        } else if (value_of(text, "FDSTORE", value)) {
                /* Or it would be dropped as soon as a holder shuts it down. */
                cr_assert(value_of(text, "FDPOLL", value) && strcmp(value, "0") == 0, "%s", text);
                cr_assert(fd >= 0);
                if (keeper->n < keeper->max)
                        keeper_add(keeper, name, fd_take(&fd), false);
                else
                        keeper->n_refused++;
        }
        fd_close(fd);
}

bool keeper_work(Keeper *keeper) {
        bool ready = false;

        for (;;) {
                union {
                        struct cmsghdr header;
                        char bytes[CMSG_SPACE(sizeof(int))];
                } control = { 0 };
                char text[TEXT_MAX] = "", value[TEXT_MAX];
                struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
                struct msghdr message = { .msg_iov = &iov,
                                          .msg_iovlen = 1,
                                          .msg_control = &control,
                                          .msg_controllen = sizeof(control) };
                int fd = -1;

                if (recvmsg(keeper->notify, &message, MSG_CMSG_CLOEXEC) < 0)
                        return ready;
                if (CMSG_FIRSTHDR(&message))
                        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
                ready = ready || value_of(text, "READY", value);
                keeper_store(keeper, text, fd);
        }
}

void keeper_hand_over(const Keeper *keeper) {
        char names[KEEPER_ITEMS_MAX * KEEPER_NAME_MAX] = "", number[32], *end = names;

        snprintf(number, sizeof(number), "%zu", keeper->max);
        setenv("FDSTORE", number, 1);
        setenv("NOTIFY_SOCKET", keeper->path, 1);
        /* Two steps: a descriptor may be where another is to go. */
        for (size_t i = 0; i < keeper->n; i++)
                if (fcntl(keeper->items[i].fd, F_DUPFD, HIGH_FD) != HIGH_FD + (int)i)
                        _exit(92);
        for (size_t i = 0; i < keeper->n; i++) {
                dup2(HIGH_FD + (int)i, FIRST_FD + (int)i);
                close(HIGH_FD + (int)i);
                end += sprintf(end, "%s%s", i > 0 ? ":" : "", keeper->items[i].name);
        }
        /* What else there is, is none of the broker's: it would have the more of it the less is kept. */
        close_range(FIRST_FD + (unsigned)keeper->n, ~0U, CLOSE_RANGE_CLOEXEC);
        if (keeper->n == 0)
                return;
        setenv("LISTEN_FDNAMES", names, 1);
        snprintf(number, sizeof(number), "%zu", keeper->n);
        setenv("LISTEN_FDS", number, 1);
        snprintf(number, sizeof(number), "%d", getpid());
        setenv("LISTEN_PID", number, 1);
}

void keeper_end(Keeper *keeper) {
        while (keeper->n > 0)
                keeper_lose(keeper, &keeper->items[0]);
        keeper->notify = fd_close(keeper->notify);
}
