/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The service manager's store of descriptors: what is in there is still open when the broker is not. It
 * takes each by a message and never answers; so what it has, and whether there was room, is counted
 * here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

typedef struct FdStore FdStore;

enum {
        FD_STORE_NAME_MAX = 32,
};

typedef enum FdStoreState {
        FD_STORE_OUT,
        FD_STORE_WAITING, /* to be sent, when the manager takes more */
        FD_STORE_IN,
        FD_STORE_REFUSED, /* there is no room */
} FdStoreState;

/* Beside a descriptor that is to be kept. Zeroed, it is in no store. */
typedef struct FdStoreEntry {
        FdStore *store; /* NULL: it never was in one */
        FdStoreState state;
        int fd; /* borrowed */
        char name[FD_STORE_NAME_MAX];
        TAILQ_ENTRY(FdStoreEntry) entry;
} FdStoreEntry;

/*
 * The store of the manager that started the broker: *@ret is NULL if it has none for it. How many it
 * takes is in $FDSTORE, of systemd 254 and later, or of the unit. @timers_changed as in
 * EndpointRegistry. Returns 0 or a negative errno.
 */
int fd_store_new(sd_event *event, bool *timers_changed, FdStore **ret);

/* Leaves what is in there alone; no entry may be used afterwards. Takes NULL; returns NULL. */
FdStore *fd_store_free(FdStore *store);

/* Has @fd kept under @name, which nothing else ever had. Nothing if it is, or @store is NULL. */
void fd_store_put(FdStore *store, FdStoreEntry *entry, const char *name, int fd);

/* The same for what an earlier broker has put there. */
void fd_store_resume(FdStore *store, FdStoreEntry *entry, const char *name, int fd);

/* Before @entry's descriptor is closed: the socket would go on without anybody. */
void fd_store_remove(FdStoreEntry *entry);

/* What an earlier broker has put there under @name, and nobody knows. @store may be NULL. */
void fd_store_discard(FdStore *store, const char *name);

/* How many are in there, or on their way. */
size_t fd_store_count(const FdStore *store);

/* How many are not, for want of room; and how many there is room for, 0 if that is not known. */
size_t fd_store_count_refused(const FdStore *store);
size_t fd_store_get_max(const FdStore *store);

/* Sends what waits, blocking, and waits until the manager has seen to it, but not for ever; for the end
 * of the broker. */
void fd_store_flush(FdStore *store);
