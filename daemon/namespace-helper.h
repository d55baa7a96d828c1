/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A process that makes sockets in other network namespaces. It alone keeps CAP_SYS_ADMIN, which that
 * takes, and can do nothing else with it; the broker, which has all the clients, never enters a
 * namespace.
 */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/namespace-path.h"

typedef struct Confinement Confinement;
typedef struct NamespaceHelper NamespaceHelper;

/* Files below /proc/sys/net, of which each namespace has its own. */
typedef enum NamespaceFile {
        NAMESPACE_FILE_PORT_RANGE,
        NAMESPACE_FILE_RESERVED_PORTS,
        NAMESPACE_FILE_MIGRATE_REQ,
        _NAMESPACE_FILE_N,
} NamespaceFile;

enum {
        _NAMESPACE_HELPER_E_SUCCESS,
        NAMESPACE_HELPER_E_UNAVAILABLE, /* there is none; the reason, a static text, says why */
        NAMESPACE_HELPER_E_INVALID,     /* the path is no namespace, or not root's alone: reason */
        NAMESPACE_HELPER_E_SYSTEM,      /* step failed with error */
};

/* What was not done. */
typedef struct NamespaceFailure {
        char reason[NAMESPACE_REASON_MAX];
        const char *step; /* static */
        int error;        /* a positive errno */
} NamespaceFailure;

/*
 * Starts the helper, as the user whom @confinement says and without what this process has open: before
 * there is a client, for it has a copy of all memory. Returns 0, NAMESPACE_HELPER_E_UNAVAILABLE with
 * *@ret_reason, or a negative errno.
 */
int namespace_helper_new(const Confinement *confinement, NamespaceHelper **ret, const char **ret_reason);

/* Ends it. Takes NULL; returns NULL. */
NamespaceHelper *namespace_helper_free(NamespaceHelper *helper);

/* Hangs up when the helper has ended; borrowed. */
int namespace_helper_fd(const NamespaceHelper *helper);

/* It has ended, and no other can be started: the right to was given up. */
bool namespace_helper_is_gone(const NamespaceHelper *helper);

/* Whoever watches it has seen that. */
void namespace_helper_set_gone(NamespaceHelper *helper);

/*
 * Has a socket made in the namespace at @path (see namespace_path_parse()), close-on-exec and
 * non-blocking. It waits for the helper, but not for long: one that is late fails this and what is asked
 * before it is back. Returns 0 with *@ret_fd the caller's, or NAMESPACE_HELPER_E_INVALID or _SYSTEM with
 * *@ret_failure.
 */
int namespace_helper_socket(NamespaceHelper *helper, const char *path, int family, int type,
                            int protocol, int *ret_fd, NamespaceFailure *ret_failure);

/* The same for a file, open for reading. */
int namespace_helper_file(NamespaceHelper *helper, const char *path, NamespaceFile file, int *ret_fd,
                          NamespaceFailure *ret_failure);
