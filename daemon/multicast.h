/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Multicast groups, "ADDRESS[%INTERFACE][@SOURCE]", and the interface that multicast leaves by. A
 * dual-stack socket has both families of groups.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/address.h"
#include "proto/wire.h"

/* NULL, or a static text: why a socket of @address cannot join @groups (strings). */
const char *multicast_groups_check(const WireList *groups, const Address *address);

/*
 * Joins one checked @group: on the interface it names, else on @interface, else (NULL) where the kernel
 * likes. Returns 0, or an errno of the lookup or of setsockopt().
 */
int multicast_join(int fd, const char *group, const char *interface);

/* Takes a multicast_join() of the same arguments back. Returns as that does. */
int multicast_leave(int fd, const char *group, const char *interface);

/*
 * Whether a socket at a wildcard takes what is sent to its port at any group that somebody on this host
 * has joined, as it does by default, or only what it has joined itself. Returns 0 or an errno.
 */
int multicast_take_all(int fd, bool all, const Address *address);

/* Sends multicast by @interface, or (NULL) where the kernel likes. Returns 0, or an errno of the lookup
 * or of setsockopt(). */
int multicast_set_interface(int fd, const char *interface, const Address *address);

/* The interface set on an IPv6 socket, whether there is one; of IPv4 the kernel does not tell. */
bool multicast_get_interface(int fd, char ret_interface[static IFNAMSIZ]);

/* The same groups in any order. */
bool multicast_groups_equal(const WireList *a, const WireList *b);

/* "239.1.1.1 239.1.1.2%eth0 232.1.1.1@10.0.0.1", cut at @size. */
void multicast_groups_format(const WireList *groups, char *buffer, size_t size);
