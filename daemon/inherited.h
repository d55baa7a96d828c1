/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The descriptors that a service manager started the broker with ($LISTEN_FDS): its control socket, what
 * an earlier broker left in the manager's store, and listeners of other .socket units. Each is claimed
 * by whom it is for; what nobody claims is closed.
 */

#include <stddef.h>

typedef struct InheritedItem {
        int fd; /* -1: claimed */
        char *name;
} InheritedItem;

typedef struct Inherited {
        InheritedItem *items;
        size_t n;
} Inherited;

/*
 * Takes them over, close-on-exec, once: the variables are unset. Names that are missing are "unknown".
 * Returns 0, also when there are none, or a negative errno; inherited_deinit() may follow either.
 */
int inherited_take(Inherited *ret);

/* The first that is called @name and was not claimed: the caller's from now on. -1: there is none. */
int inherited_claim(Inherited *inherited, const char *name);

/* The same for the first stream socket that listens at @path, whatever it is called. */
int inherited_claim_path(Inherited *inherited, const char *path);

/* One more of them, from elsewhere; inherited_sort() is to follow the last. Consumes @fd, also on
 * failure. Returns 0 or -ENOMEM. */
int inherited_add(Inherited *inherited, const char *name, int fd);
void inherited_sort(Inherited *inherited);

/* Closes what nobody claimed. */
void inherited_deinit(Inherited *inherited);
