/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A process of its own: what it keeps is nobody else's, so that the sockets of a broker and its members
 * are closed when those close them. The messages are those of sd_notify(3); what is not about
 * descriptors or readiness is read and forgotten.
 */

#include "tests/bench/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/shared.h"
#include "tests/bench/stats.h"

enum {
        STORE_MAX = 16 * 1024,
        STORE_NAME_MAX = 32,
        STORE_TEXT_MAX = 4096,
        FIRST_FD = 3,
};

#define ORDER_KILL UINT64_C(1)
#define ORDER_STOP (UINT64_C(1) << 32)

typedef struct StoreItem {
        int fd;
        char name[STORE_NAME_MAX];
} StoreItem;

typedef struct Manager {
        const Store *store;
        int notices;
        Child broker;
        bool ready;
        bool kill_due;
        bool killed;
        StoreItem items[STORE_MAX];
        size_t n;
} Manager;

/* ---- what is kept --------------------------------------------------------------------------------- */

/* Of lines KEY=VALUE; an empty text if there is none. Returns whether there is. */
static bool text_value(const char *text, const char *key, char *ret, size_t size) {
        size_t n = strlen(key);

        *ret = '\0';
        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, n) == 0 && line[n] == '=') {
                        snprintf(ret, size, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
                        return true;
                }
        }
        return false;
}

static void manager_remove(Manager *manager, const char *name) {
        for (size_t i = 0; i < manager->n; i++)
                if (strcmp(manager->items[i].name, name) == 0) {
                        fd_close(manager->items[i].fd);
                        manager->items[i] = manager->items[--manager->n];
                        return;
                }
}

/* Consumes @fd, which may be -1. */
static int manager_store(Manager *manager, const char *text, int fd) {
        _cleanup_(fd_closep) int owned = fd;
        char name[STORE_NAME_MAX], value[8];

        if (!text_value(text, "FDNAME", name, sizeof(name)))
                return 0;
        if (text_value(text, "FDSTOREREMOVE", value, sizeof(value))) {
                manager_remove(manager, name);
                return 0;
        }
        /* With FDPOLL=1 systemd would drop a socket as soon as its holder shuts it down. */
        if (owned < 0 || manager->n == STORE_MAX || !text_value(text, "FDPOLL", value, sizeof(value)) ||
            strcmp(value, "0") != 0)
                return error_origin(-EPROTO);
        manager->items[manager->n] = (StoreItem){ .fd = fd_take(&owned) };
        strcpy(manager->items[manager->n++].name, name);
        return 0;
}

static int manager_is_ready(Manager *manager) {
        StoreBoard *board = manager->store->board;

        atomic_store(&board->ready_nsec, clock_nsec());
        manager->ready = true;
        return eventfd_write(manager->store->ready, 1) < 0 ? error_origin(-errno) : 0;
}

/* Returns 1 after one message, 0 when there is none, or a negative errno. */
static int manager_hear(Manager *manager) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        char text[STORE_TEXT_MAX], value[8];
        struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(manager->notices, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        int fd = -1, r;

        if (n < 0)
                return errno == EAGAIN ? 0 : error_origin(-errno);
        text[n] = '\0';
        if (CMSG_FIRSTHDR(&message))
                memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
        /* One who is killed has said it a moment before, at most. */
        r = manager_store(manager, text, fd);
        if (r == 0 && !manager->killed && text_value(text, "READY", value, sizeof(value)))
                r = manager_is_ready(manager);
        return r < 0 ? error_trace(r) : 1;
}

/* ---- the next broker ------------------------------------------------------------------------------ */

/*
 * All descriptors to their places. Whoever is in the way goes up, one at a time: there may not be room
 * for all of them twice.
 */
static int manager_place(Manager *manager) {
        size_t end = FIRST_FD + manager->n;
        _cleanup_(freep) StoreItem **owners = calloc(end, sizeof(*owners));

        if (!owners)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < manager->n; i++)
                if ((size_t)manager->items[i].fd < end)
                        owners[manager->items[i].fd] = &manager->items[i];
        for (size_t i = 0; i < manager->n; i++) {
                StoreItem *item = &manager->items[i];
                int place = FIRST_FD + (int)i;

                if (item->fd == place) {
                        if (fcntl(place, F_SETFD, 0) < 0)
                                return error_origin(-errno);
                        continue;
                }
                if (owners[place]) {
                        int moved = fcntl(place, F_DUPFD_CLOEXEC, (int)end);

                        if (moved < 0)
                                return error_origin(-errno);
                        owners[place]->fd = moved;
                }
                if (dup2(item->fd, place) < 0)
                        return error_origin(-errno);
                if ((size_t)item->fd < end)
                        owners[item->fd] = NULL;
                fd_close(item->fd);
        }
        return 0;
}

static int manager_set_environment(const Manager *manager) {
        _cleanup_(freep) char *names = malloc(manager->n * STORE_NAME_MAX + 1);
        char text[32], *end = names;

        if (!names)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < manager->n; i++)
                end += sprintf(end, "%s%s", i > 0 ? ":" : "", manager->items[i].name);
        snprintf(text, sizeof(text), "%d", STORE_MAX);
        if (setenv("FDSTORE", text, 1) < 0)
                return error_origin(-errno);
        if (manager->n == 0)
                return 0;
        if (setenv("LISTEN_FDNAMES", names, 1) < 0)
                return error_origin(-errno);
        snprintf(text, sizeof(text), "%zu", manager->n);
        if (setenv("LISTEN_FDS", text, 1) < 0)
                return error_origin(-errno);
        snprintf(text, sizeof(text), "%d", getpid());
        return setenv("LISTEN_PID", text, 1) < 0 ? error_origin(-errno) : 0;
}

/* In the child. */
static int manager_become_broker(void *userdata) {
        Manager *manager = userdata;
        int r;

        r = manager_place(manager);
        if (r == 0)
                r = manager_set_environment(manager);
        if (r < 0)
                return error_trace(r);
        atomic_store(&manager->store->board->exec_nsec, clock_nsec());
        return broker_become(&manager->store->program);
}

static int manager_start_broker(Manager *manager) {
        int r;

        atomic_store(&manager->store->board->n_kept, manager->n);
        manager->ready = manager->killed = false;
        r = child_run(manager_become_broker, manager, &manager->broker);
        return r < 0 ? error_trace(r) : 0;
}

/* What it sent before it died is kept, as ever. */
static int manager_replace_broker(Manager *manager) {
        int r;

        if (!manager->killed)
                return error_origin(-ECHILD);
        child_stop(&manager->broker);
        do {
                r = manager_hear(manager);
        } while (r > 0);
        if (r == 0)
                r = manager_start_broker(manager);
        return r < 0 ? error_trace(r) : 0;
}

static int manager_kill(Manager *manager) {
        if (!manager->kill_due || !manager->ready)
                return 0;
        manager->kill_due = manager->ready = false;
        manager->killed = true;
        atomic_fetch_add(&manager->store->board->kills, 1);
        return kill(manager->broker.pid, SIGKILL) < 0 ? error_origin(-errno) : 0;
}

/* ---- the process ---------------------------------------------------------------------------------- */

static int manager_loop(Manager *manager) {
        eventfd_t orders = 0;
        int r = 0;

        while (r >= 0 && orders < ORDER_STOP) {
                struct pollfd fds[] = {
                        { .fd = manager->notices, .events = POLLIN },
                        { .fd = manager->broker.pidfd, .events = POLLIN },
                        { .fd = manager->store->orders, .events = POLLIN },
                };

                if (poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0)
                        return error_origin(-errno);
                if (fds[2].revents && eventfd_read(manager->store->orders, &orders) < 0)
                        return error_origin(-errno);
                manager->kill_due = manager->kill_due || (fds[2].revents && orders < ORDER_STOP);
                if (fds[0].revents)
                        r = manager_hear(manager);
                else if (fds[1].revents)
                        r = manager_replace_broker(manager);
                if (r >= 0)
                        r = manager_kill(manager);
        }
        return r < 0 ? error_trace(r) : 0;
}

static int manager_run(void *userdata) {
        Store *store = userdata;
        Manager *manager = calloc(1, sizeof(*manager));
        struct rlimit limit;
        char text[512];
        int r;

        if (!manager)
                return error_origin(-ENOMEM);
        manager->store = store;
        manager->broker = CHILD_NONE;
        manager->notices = -1;
        /* The broker inherits this. */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
        r = broker_open_notices(&store->program, &manager->notices);
        if (r == 0)
                r = manager_start_broker(manager);
        if (r == 0)
                r = manager_loop(manager);
        child_stop(&manager->broker);
        if (r < 0)
                fprintf(stderr, "the store: %s\n", error_describe(text, sizeof(text)));
        return r;
}

int store_start(const char *daemon, const char *folder, const char *name, const BrokerSettings *settings,
                Store *store) {
        int r;

        *store = STORE_NONE;
        r = broker_prepare(daemon, folder, name, settings, &store->program);
        if (r == 0)
                r = shared_map(sizeof(*store->board), (void **)&store->board);
        if (r < 0)
                return error_trace(r);
        store->orders = eventfd(0, EFD_CLOEXEC);
        store->ready = eventfd(0, EFD_CLOEXEC);
        if (store->orders < 0 || store->ready < 0)
                return error_origin(-errno);
        r = child_run(manager_run, store, &store->child);
        if (r == 0)
                r = store_await(store);
        return r < 0 ? error_trace(r) : 0;
}

int store_kill(const Store *store) {
        return eventfd_write(store->orders, ORDER_KILL) < 0 ? error_origin(-errno) : 0;
}

int store_await(const Store *store) {
        eventfd_t n;
        int r = child_await(&store->child, store->ready);

        if (r == 0 && eventfd_read(store->ready, &n) < 0)
                r = error_origin(-errno);
        return r < 0 ? error_trace(r) : 0;
}

/* The manager ends its broker, unless it cannot. */
void store_stop(Store *store) {
        struct pollfd ended = { .fd = store->child.pidfd, .events = POLLIN };

        if (store->child.pid >= 0 && eventfd_write(store->orders, ORDER_STOP) == 0)
                poll(&ended, 1, CHILD_PATIENCE_MSEC);
        child_stop(&store->child);
        unlink(store->program.notify);
        unlink(store->program.path);
        fd_close(store->orders);
        fd_close(store->ready);
        shared_unmap(store->board, sizeof(*store->board));
        *store = STORE_NONE;
}
