/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Not sd_notify(), which waits while the manager is busy: here what it does not take at once is sent
 * later, and meanwhile clients are served. FDPOLL=0, or the manager would let go of a socket as soon as
 * a holder has shut it down.
 */

#include "daemon/fd-store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/timer.h"
#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* The manager takes names of up to 255. */
        MESSAGE_MAX = 320,
        /* For the manager, at the end. */
        FLUSH_SEC = 5,
        /* What the kernel is short of is asked for again after this long. */
        REST_USEC = 100 * 1000,
};

/* A name that is to be taken out. */
typedef struct Removal {
        STAILQ_ENTRY(Removal) entry;
        char name[];
} Removal;

struct FdStore {
        int fd;
        size_t max; /* 0: not known */
        size_t n;   /* in there, or waiting */
        size_t n_refused;
        TAILQ_HEAD(EntryList, FdStoreEntry) waiting;
        struct EntryList refused;
        STAILQ_HEAD(, Removal) removals; /* before what waits: that is where the room comes from */
        sd_event_source *writable;
        Timer rest;
        bool *timers_changed;
        bool failing; /* the manager was not reached when last tried, which has been said */
};

/* ---- messages ----------------------------------------------------------------------------------- */

/* @fd: to go with it, or -1. Returns 0 or a negative errno. */
static int store_send(const FdStore *store, const char *text, int fd) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                                   .cmsg_type = SCM_RIGHTS,
                                                   .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        }
        return sendmsg(store->fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int store_send_entry(const FdStore *store, const FdStoreEntry *entry) {
        char text[MESSAGE_MAX];

        snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", entry->name);
        return store_send(store, text, entry->fd);
}

static int store_send_removal(const FdStore *store, const char *name) {
        char text[MESSAGE_MAX];

        snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        return store_send(store, text, -1);
}

/* Whether to come again: its queue is full, or the kernel is short of something. */
static bool is_passing(int r) {
        return r == -EAGAIN || r == -EINTR || r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS;
}

/* What came of a message that is not to be sent again. */
static void store_note(FdStore *store, int r) {
        if (r < 0 && !store->failing) {
                (void)error_origin(r);
                log_fault(LOG_ERR, "cannot reach the service manager's store of descriptors");
        }
        store->failing = r < 0;
}

static void store_refuse(FdStore *store, FdStoreEntry *entry) {
        if (store->n_refused++ == 0)
                log_line(
                        LOG_WARNING,
                        "the service manager's store has no room for more than %zu descriptors: what is "
                        "beyond that is lost when the broker is; raise FileDescriptorStoreMax=",
                        store->max);
        entry->state = FD_STORE_REFUSED;
        TAILQ_INSERT_TAIL(&store->refused, entry, entry);
}

/* A socket whose queue is not full is writable even if nothing can be sent. */
static void store_await(FdStore *store, int r) {
        if (r == -EAGAIN)
                sd_event_source_set_enabled(store->writable, SD_EVENT_ONESHOT);
        else if (timer_set(&store->rest, clock_usec(CLOCK_MONOTONIC) + REST_USEC) == 0)
                *store->timers_changed = true;
}

/* Of what waits, as much as is taken. */
static void store_work(FdStore *store) {
        FdStoreEntry *entry;
        Removal *removal;
        int r;

        while ((removal = STAILQ_FIRST(&store->removals))) {
                r = store_send_removal(store, removal->name);
                if (is_passing(r))
                        return store_await(store, r);
                store_note(store, r);
                STAILQ_REMOVE_HEAD(&store->removals, entry);
                free(removal);
        }
        while ((entry = TAILQ_FIRST(&store->waiting))) {
                r = store_send_entry(store, entry);
                if (is_passing(r))
                        return store_await(store, r);
                store_note(store, r);
                TAILQ_REMOVE(&store->waiting, entry, entry);
                entry->state = FD_STORE_IN;
        }
}

static void store_on_rested(Timer *timer) {
        store_work((FdStore *)(void *)((char *)timer - offsetof(FdStore, rest)));
}

static int store_on_writable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        store_work(userdata);
        return 0;
}

/* ---- the store ---------------------------------------------------------------------------------- */

static int store_connect(FdStore *store, const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t n = strlen(path);

        if (n == 0 || n >= sizeof(address.sun_path))
                return error_origin(-ENAMETOOLONG);
        memcpy(address.sun_path, path, n);
        if (path[0] == '@')
                address.sun_path[0] = '\0';
        store->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (store->fd < 0 || connect(store->fd, (struct sockaddr *)&address,
                                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
                return error_origin(-errno);
        return 0;
}

static int store_watch(FdStore *store, sd_event *event) {
        int r;

        r = sd_event_add_io(event, &store->writable, store->fd, EPOLLOUT, store_on_writable, store);
        if (r >= 0)
                r = sd_event_source_set_enabled(store->writable, SD_EVENT_OFF);
        if (r < 0)
                return error_origin(r);
        return error_trace(timer_init(&store->rest, event, store_on_rested));
}

int fd_store_new(sd_event *event, bool *timers_changed, FdStore **ret) {
        const char *path = getenv("NOTIFY_SOCKET"), *max = getenv("FDSTORE");
        FdStore *store;
        int r;

        *ret = NULL;
        if (!path || !max || (path[0] != '/' && path[0] != '@'))
                return 0;
        store = calloc(1, sizeof(*store));
        if (!store)
                return error_origin(-ENOMEM);
        *store = (FdStore){ .fd = -1, .max = strtoul(max, NULL, 10), .timers_changed = timers_changed };
        TAILQ_INIT(&store->waiting);
        TAILQ_INIT(&store->refused);
        STAILQ_INIT(&store->removals);
        r = store_connect(store, path);
        if (r == 0)
                r = store_watch(store, event);
        if (r < 0) {
                fd_store_free(store);
                return error_trace(r);
        }
        *ret = store;
        return 0;
}

FdStore *fd_store_free(FdStore *store) {
        Removal *removal;

        if (!store)
                return NULL;
        while ((removal = STAILQ_FIRST(&store->removals))) {
                STAILQ_REMOVE_HEAD(&store->removals, entry);
                free(removal);
        }
        sd_event_source_disable_unref(store->writable);
        timer_deinit(&store->rest);
        fd_close(store->fd);
        free(store);
        return NULL;
}

void fd_store_put(FdStore *store, FdStoreEntry *entry, const char *name, int fd) {
        if (!store || entry->state != FD_STORE_OUT)
                return;
        entry->store = store;
        entry->fd = fd;
        snprintf(entry->name, sizeof(entry->name), "%s", name);
        if (store->max > 0 && store->n >= store->max) {
                store_refuse(store, entry);
                return;
        }
        store->n++;
        entry->state = FD_STORE_WAITING;
        TAILQ_INSERT_TAIL(&store->waiting, entry, entry);
        store_work(store);
}

void fd_store_resume(FdStore *store, FdStoreEntry *entry, const char *name, int fd) {
        if (!store)
                return;
        *entry = (FdStoreEntry){ .store = store, .state = FD_STORE_IN, .fd = fd };
        snprintf(entry->name, sizeof(entry->name), "%s", name);
        store->n++;
}

/* One less is in there: one that found no room may come, unless it has more than it takes by now. */
static void store_make_room(FdStore *store) {
        FdStoreEntry *next = TAILQ_FIRST(&store->refused);

        store->n--;
        if (!next || store->n >= store->max)
                return;
        TAILQ_REMOVE(&store->refused, next, entry);
        store->n_refused--;
        store->n++;
        next->state = FD_STORE_WAITING;
        TAILQ_INSERT_TAIL(&store->waiting, next, entry);
}

void fd_store_discard(FdStore *store, const char *name) {
        size_t n = strlen(name);
        Removal *removal;

        if (!store)
                return;
        /* Without memory it stays, and the next broker discards it. */
        removal = malloc(sizeof(*removal) + n + 1);
        if (!removal)
                return;
        memcpy(removal->name, name, n + 1);
        STAILQ_INSERT_TAIL(&store->removals, removal, entry);
        store_work(store);
}

void fd_store_remove(FdStoreEntry *entry) {
        FdStore *store = entry->store;

        switch (entry->state) {
        case FD_STORE_OUT:
                return;
        case FD_STORE_WAITING:
                TAILQ_REMOVE(&store->waiting, entry, entry);
                store_make_room(store);
                break;
        case FD_STORE_REFUSED:
                TAILQ_REMOVE(&store->refused, entry, entry);
                store->n_refused--;
                break;
        case FD_STORE_IN:
                store_make_room(store);
                fd_store_discard(store, entry->name);
                break;
        }
        *entry = (FdStoreEntry){ 0 };
}

size_t fd_store_count(const FdStore *store) {
        return store->n;
}

size_t fd_store_count_refused(const FdStore *store) {
        return store->n_refused;
}

size_t fd_store_get_max(const FdStore *store) {
        return store->max;
}

void fd_store_flush(FdStore *store) {
        const struct timeval patience = { .tv_sec = FLUSH_SEC };
        int flags;

        if (!store)
                return;
        flags = fcntl(store->fd, F_GETFL);
        if (setsockopt(store->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
            flags >= 0 && fcntl(store->fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
                store_work(store);
        /* A manager that does not read would keep this waiting for ever. */
        if (TAILQ_EMPTY(&store->waiting) && STAILQ_EMPTY(&store->removals))
                (void)sd_notify_barrier(0, FLUSH_SEC * UINT64_C(1000000));
}
