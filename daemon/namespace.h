/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Network namespaces other than the broker's own, of which it has sockets. One is what its cookie says,
 * which the kernel never gives again, and not what a path leads to: a name that is deleted and made anew
 * is of another.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/namespace-helper.h"
#include "daemon/port-pool.h"
#include "proto/address.h"

typedef struct Namespaces Namespaces;

typedef struct Namespace {
        Namespaces *all;
        LIST_ENTRY(Namespace) entry;
        uint64_t cookie;
        size_t n_endpoints;
        AddressFamilies families;
        PortPool *ports; /* for "port 0" there; NULL: not known so far */
        /* sock_diag, and tcp_migrate_req, of there; -1: they cannot be had, for the name has gone. */
        int diag_fd;
        int migrate_fd;
        char path[NAMESPACE_PATH_MAX]; /* by which it was entered first: what it is called */
        char way[NAMESPACE_PATH_MAX];  /* and last: how to get there */
} Namespace;

struct Namespaces {
        NamespaceHelper *helper; /* NULL: there is none, */
        const char *no_helper;   /* for this reason; NULL: no rule asked for it */
        uint64_t own;            /* the cookie of the broker's */
        LIST_HEAD(, Namespace) list;
};

/* Starts the helper: see namespace_helper_new(). That there is none is no error. Returns 0 or a negative
 * errno. */
int namespaces_start(Namespaces *namespaces, const Confinement *confinement);

/* No endpoint may be left. */
void namespaces_deinit(Namespaces *namespaces);

/* Whether sockets can be made elsewhere. */
bool namespaces_can_enter(const Namespaces *namespaces);

/*
 * The namespace that @path leads to now. It stays until namespaces_sweep(), or as long as an endpoint
 * has it. Returns 0, NAMESPACE_HELPER_E_* with *@ret_failure (_UNAVAILABLE: its reason says why), or
 * -ENOMEM.
 */
int namespace_enter(Namespaces *namespaces, const char *path, Namespace **ret,
                    NamespaceFailure *ret_failure);

/* One that the broker has entered by @path, if it has; nobody is asked. */
Namespace *namespace_find(const Namespaces *namespaces, const char *path);

/*
 * One of an earlier broker, whether or not @path leads there still; if not, its sockets go on, and no
 * further ones can be made. Returns 0 or -ENOMEM.
 */
int namespace_resume(Namespaces *namespaces, uint64_t cookie, const char *path, Namespace **ret);

/* For an endpoint, which has it until namespace_unref(). Both take NULL, for the broker's own. */
Namespace *namespace_ref(Namespace *netns);
void namespace_unref(Namespace *netns);

/* Gives up those that no endpoint has: what a call asked for in vain. */
void namespaces_sweep(Namespaces *namespaces);

/* Whether further sockets can be made there, as far as is known: not if its name had gone before this
 * broker came. NULL: the broker's own. */
static inline bool namespace_is_reached(const Namespace *namespace) {
        return !namespace || namespace->diag_fd >= 0;
}

/* As people call it: by name where it has one. */
static inline const char *namespace_text(const Namespace *namespace) {
        return namespace_path_text(namespace->path);
}

/* Of the namespace that a socket was made in; 0 if the kernel does not say. */
uint64_t namespace_cookie_of(int fd);

/* As namespace_helper_socket(), and in this very namespace, wherever its path leads by now. */
int namespace_socket(const Namespace *netns, int family, int type, int protocol, int *ret_fd,
                     NamespaceFailure *ret_failure);

/* What net.ipv4.tcp_migrate_req says there. */
bool namespace_migrate_req(const Namespace *namespace);
