/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Each call that names a namespace has the helper look where the path leads: no name is believed for
 * longer. What the broker must ask of a namespace later, on a timer or in a loop, it asks by descriptors
 * that it keeps, so that the helper is not needed for what is there already. Every descriptor is checked
 * to be of the namespace meant; between two questions the name may have become another's.
 */

#include "daemon/namespace.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/socket-factory.h"
#include "proto/cleanup.h"
#include "proto/error.h"

int namespaces_start(Namespaces *namespaces, const Confinement *confinement) {
        _cleanup_(fd_closep) int fd = -1;
        int r = namespace_helper_new(confinement, &namespaces->helper, &namespaces->no_helper);

        if (r < 0)
                return error_trace(r);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_origin(-errno);
        namespaces->own = namespace_cookie_of(fd);
        return 0;
}

static void namespace_free(Namespace *namespace) {
        LIST_REMOVE(namespace, entry);
        port_pool_free(namespace->ports);
        fd_close(namespace->diag_fd);
        fd_close(namespace->migrate_fd);
        free(namespace);
}

void namespaces_sweep(Namespaces *namespaces) {
        Namespace *namespace = LIST_FIRST(&namespaces->list), *next;

        for (; namespace; namespace = next) {
                next = LIST_NEXT(namespace, entry);
                if (namespace->n_endpoints == 0)
                        namespace_free(namespace);
        }
}

void namespaces_deinit(Namespaces *namespaces) {
        namespaces_sweep(namespaces);
        namespaces->helper = namespace_helper_free(namespaces->helper);
}

bool namespaces_can_enter(const Namespaces *namespaces) {
        return namespaces->helper && !namespace_helper_is_gone(namespaces->helper);
}

uint64_t namespace_cookie_of(int fd) {
        uint64_t cookie = 0;
        socklen_t size = sizeof(cookie);

        return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

Namespace *namespace_ref(Namespace *namespace) {
        if (namespace)
        namespace->n_endpoints++;
        return namespace;
}

void namespace_unref(Namespace *namespace) {
        if (namespace)
        namespace->n_endpoints--;
}

/* ---- what is asked of the helper ---------------------------------------------------------------- */

static int refuse(NamespaceFailure *failure, const char *path, const char *what) {
        *failure = (NamespaceFailure){ .step = NULL };
        snprintf(failure->reason, sizeof(failure->reason), "%s %s", path, what);
        return NAMESPACE_HELPER_E_INVALID;
}

int namespace_socket(const Namespace *namespace, int family, int type, int protocol, int *ret_fd,
                     NamespaceFailure *ret_failure) {
        _cleanup_(fd_closep) int fd = -1;
        int r;

        if (!namespace->all->helper) {
                *ret_failure = (NamespaceFailure){ .step = "namespace helper", .error = EPIPE };
                return NAMESPACE_HELPER_E_SYSTEM;
        }
        r = namespace_helper_socket(namespace->all->helper, namespace->way, family, type, protocol, &fd,
                                    ret_failure);
        if (r != 0)
                return r;
        if (namespace_cookie_of(fd) != namespace->cookie)
                return refuse(ret_failure, namespace->way, "is another network namespace than before");
        *ret_fd = fd_take(&fd);
        return 0;
}

/* Files do not tell of which namespace they are; between two sockets of the one meant, they are of it.
 */
static int read_files(Namespace *namespace, NamespaceFailure *failure) {
        _cleanup_(fd_closep) int range = -1, reserved = -1, migrate = -1;
        NamespaceHelper *helper = namespace->all->helper;
        int r;

        r = namespace_helper_file(helper, namespace->way, NAMESPACE_FILE_PORT_RANGE, &range, failure);
        if (r == 0)
                r = namespace_helper_file(helper, namespace->way, NAMESPACE_FILE_RESERVED_PORTS,
                                          &reserved, failure);
        /* Before Linux 5.14 nothing migrates. */
        if (r == 0 && namespace_helper_file(helper, namespace->way, NAMESPACE_FILE_MIGRATE_REQ, &migrate,
                                            failure) == 0)
        namespace->migrate_fd = fd_take(&migrate);
        return r == 0 ? port_pool_new_from(range, reserved, &namespace->ports) : r;
}

/* What there is to know of it. If it fails, what is there is taken back. */
static int namespace_learn(Namespace *namespace, NamespaceFailure *failure) {
        _cleanup_(fd_closep) int diag = -1;
        AddressFamilies families;
        int r;

        socket_factory_probe_in(namespace, &families);
        r = read_files(namespace, failure);
        if (r == 0)
                r = namespace_socket(namespace, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, &diag, failure);
        if (r == 0) {
                namespace->diag_fd = fd_take(&diag);
                namespace->families = families;
                return 0;
        }
        namespace->ports = port_pool_free(namespace->ports);
        namespace->migrate_fd = fd_close(namespace->migrate_fd);
        return r;
}

/* ---- the list ----------------------------------------------------------------------------------- */

static Namespace *find_cookie(const Namespaces *namespaces, uint64_t cookie) {
        Namespace *namespace;

        LIST_FOREACH (namespace, &namespaces->list, entry)
                if (namespace->cookie == cookie)
                        break;
        return namespace;
}

Namespace *namespace_find(const Namespaces *namespaces, const char *path) {
        Namespace *namespace;

        /* The newest comes first: an older one is what the name meant before. */
        LIST_FOREACH (namespace, &namespaces->list, entry)
                if (strcmp(namespace->path, path) == 0)
                        break;
        return namespace;
}

static Namespace *namespace_new(Namespaces *namespaces, uint64_t cookie, const char *path) {
        Namespace *namespace = calloc(1, sizeof(*namespace));

        if (!namespace)
                return NULL;
        namespace->all = namespaces;
        namespace->cookie = cookie;
        namespace->diag_fd = namespace->migrate_fd = -1;
        namespace->families = (AddressFamilies){ .ipv4 = true, .ipv6 = true, .mapped = true };
        strcpy(namespace->path, path);
        strcpy(namespace->way, path);
        LIST_INSERT_HEAD(&namespaces->list, namespace, entry);
        return namespace;
}

static int find_or_make(Namespaces *namespaces, uint64_t cookie, const char *path, Namespace **ret) {
        Namespace *namespace = find_cookie(namespaces, cookie);

        if (!namespace)
        namespace = namespace_new(namespaces, cookie, path);
        if (!namespace)
                return error_origin(-ENOMEM);
        *ret = namespace;
        return 0;
}

int namespace_enter(Namespaces *namespaces, const char *path, Namespace **ret,
                    NamespaceFailure *ret_failure) {
        _cleanup_(fd_closep) int fd = -1;
        Namespace *namespace;
        uint64_t cookie;
        int r;

        if (!namespaces->helper) {
                *ret_failure = (NamespaceFailure){ .step = NULL };
                snprintf(ret_failure->reason, sizeof(ret_failure->reason), "%s",
                         namespaces->no_helper ?: "the broker was started when no rule gave any");
                return NAMESPACE_HELPER_E_UNAVAILABLE;
        }
        r = namespace_helper_socket(namespaces->helper, path, AF_UNIX, SOCK_DGRAM, 0, &fd, ret_failure);
        if (r != 0)
                return r;
        cookie = namespace_cookie_of(fd);
        if (cookie == namespaces->own)
                return refuse(ret_failure, path, "is the broker's own network namespace: leave it out");
        r = find_or_make(namespaces, cookie, path, &namespace);
        if (r < 0)
                return error_trace(r);
        /* It may be known by another name, that has gone. */
        strcpy(namespace->way, path);
        if (!namespace->ports)
                r = namespace_learn(namespace, ret_failure);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        *ret = namespace;
        return 0;
}

int namespace_resume(Namespaces *namespaces, uint64_t cookie, const char *path, Namespace **ret) {
        NamespaceFailure failure;
        Namespace *namespace;
        int r;

        r = find_or_make(namespaces, cookie, path, &namespace);
        if (r < 0)
                return error_trace(r);
        if (!namespace->ports && namespaces->helper)
                r = namespace_learn(namespace, &failure);
        if (r < 0)
                return error_trace(r);
        *ret = namespace;
        return 0;
}

bool namespace_migrate_req(const Namespace *namespace) {
        char value = '0';

        return namespace->migrate_fd >= 0 && pread(namespace->migrate_fd, &value, 1, 0) == 1 &&
               value == '1';
}
