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

#include "daemon/families.h"
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

static void namespace_free(Namespace *netns) {
        LIST_REMOVE(netns, entry);
        port_pool_free(netns->ports);
        fd_close(netns->diag_fd);
        fd_close(netns->migrate_fd);
        free(netns);
}

void namespaces_sweep(Namespaces *namespaces) {
        Namespace *netns = LIST_FIRST(&namespaces->list), *next;

        for (; netns; netns = next) {
                next = LIST_NEXT(netns, entry);
                if (netns->n_endpoints == 0)
                        namespace_free(netns);
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

Namespace *namespace_ref(Namespace *netns) {
        if (netns)
                netns->n_endpoints++;
        return netns;
}

void namespace_unref(Namespace *netns) {
        if (netns)
                netns->n_endpoints--;
}

/* ---- what is asked of the helper ---------------------------------------------------------------- */

static int refuse(NamespaceFailure *failure, const char *path, const char *what) {
        *failure = (NamespaceFailure){ .step = NULL };
        snprintf(failure->reason, sizeof(failure->reason), "%s %s", path, what);
        return NAMESPACE_HELPER_E_INVALID;
}

int namespace_socket(const Namespace *netns, int family, int type, int protocol, int *ret_fd,
                     NamespaceFailure *ret_failure) {
        _cleanup_(fd_closep) int fd = -1;
        int r;

        if (!netns->all->helper) {
                *ret_failure = (NamespaceFailure){ .step = "namespace helper", .error = EPIPE };
                return NAMESPACE_HELPER_E_SYSTEM;
        }
        r = namespace_helper_socket(netns->all->helper, netns->way, family, type, protocol, &fd,
                                    ret_failure);
        if (r != 0)
                return r;
        if (namespace_cookie_of(fd) != netns->cookie)
                return refuse(ret_failure, netns->way, "is another network namespace than before");
        *ret_fd = fd_take(&fd);
        return 0;
}

/* Files do not tell of which namespace they are; between two sockets of the one meant, they are
 * of it. */
static int read_files(Namespace *netns, NamespaceFailure *failure) {
        _cleanup_(fd_closep) int range = -1, reserved = -1, migrate = -1;
        NamespaceHelper *helper = netns->all->helper;
        int r;

        r = namespace_helper_file(helper, netns->way, NAMESPACE_FILE_PORT_RANGE, &range, failure);
        if (r == 0)
                r = namespace_helper_file(helper, netns->way, NAMESPACE_FILE_RESERVED_PORTS, &reserved,
                                          failure);
        /* Before Linux 5.14 nothing migrates. */
        if (r == 0 && namespace_helper_file(helper, netns->way, NAMESPACE_FILE_MIGRATE_REQ, &migrate,
                                            failure) == 0)
                netns->migrate_fd = fd_take(&migrate);
        return r == 0 ? port_pool_new_from(range, reserved, &netns->ports) : r;
}

typedef struct Probe {
        const Namespace *netns;
        NamespaceFailure *failure;
        int outcome; /* of the socket that could not be had, after which none is asked for; or 0 */
} Probe;

static int make_in(void *userdata, int family) {
        Probe *probe = userdata;
        int fd = -1, r;

        if (probe->outcome != 0)
                return -ECANCELED;
        r = namespace_socket(probe->netns, family, SOCK_STREAM, 0, &fd, probe->failure);
        if (r == 0)
                return fd;
        if (r == NAMESPACE_HELPER_E_SYSTEM && probe->failure->error == EAFNOSUPPORT)
                return -EAFNOSUPPORT;
        probe->outcome = r;
        return -ECANCELED;
}

/* What is not known is not taken for absent: it would be so until nobody has anything there. */
static int probe_families(const Namespace *netns, AddressFamilies *ret, NamespaceFailure *failure) {
        Probe probe = { .netns = netns, .failure = failure };
        int r = families_probe(make_in, &probe, ret);

        if (r == 0 || probe.outcome != 0)
                return probe.outcome;
        *failure = (NamespaceFailure){ .step = "bind", .error = -r };
        return NAMESPACE_HELPER_E_SYSTEM;
}

/* What there is to know of it. If it fails, what is there is taken back. */
static int namespace_learn(Namespace *netns, NamespaceFailure *failure) {
        _cleanup_(fd_closep) int diag = -1;
        AddressFamilies families;
        int r;

        r = probe_families(netns, &families, failure);
        if (r == 0)
                r = read_files(netns, failure);
        if (r == 0)
                r = namespace_socket(netns, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, &diag, failure);
        if (r == 0) {
                netns->diag_fd = fd_take(&diag);
                netns->families = families;
                netns->families.elsewhere = true;
                netns->families.interfaces = netns->diag_fd;
                return 0;
        }
        netns->ports = port_pool_free(netns->ports);
        netns->migrate_fd = fd_close(netns->migrate_fd);
        return r;
}

/* ---- the list ----------------------------------------------------------------------------------- */

static Namespace *find_cookie(const Namespaces *namespaces, uint64_t cookie) {
        Namespace *netns;

        LIST_FOREACH (netns, &namespaces->list, entry)
                if (netns->cookie == cookie)
                        break;
        return netns;
}

Namespace *namespace_find(const Namespaces *namespaces, const char *path) {
        Namespace *netns;

        /* The newest comes first: an older one is what the name meant before. */
        LIST_FOREACH (netns, &namespaces->list, entry)
                if (strcmp(netns->path, path) == 0)
                        break;
        return netns;
}

static Namespace *namespace_new(Namespaces *namespaces, uint64_t cookie, const char *path) {
        Namespace *netns = calloc(1, sizeof(*netns));

        if (!netns)
                return NULL;
        netns->all = namespaces;
        netns->cookie = cookie;
        netns->diag_fd = netns->migrate_fd = -1;
        netns->families = (AddressFamilies){
                .ipv4 = true, .ipv6 = true, .mapped = true, .elsewhere = true, .interfaces = -1
        };
        strcpy(netns->path, path);
        strcpy(netns->way, path);
        LIST_INSERT_HEAD(&namespaces->list, netns, entry);
        return netns;
}

static int find_or_make(Namespaces *namespaces, uint64_t cookie, const char *path, Namespace **ret) {
        Namespace *netns = find_cookie(namespaces, cookie);

        if (!netns)
                netns = namespace_new(namespaces, cookie, path);
        if (!netns)
                return error_origin(-ENOMEM);
        *ret = netns;
        return 0;
}

int namespace_enter(Namespaces *namespaces, const char *path, Namespace **ret,
                    NamespaceFailure *ret_failure) {
        _cleanup_(fd_closep) int fd = -1;
        Namespace *netns;
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
        r = find_or_make(namespaces, cookie, path, &netns);
        if (r < 0)
                return error_trace(r);
        /* It may be known by another name, that has gone. */
        strcpy(netns->way, path);
        if (!netns->ports)
                r = namespace_learn(netns, ret_failure);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        *ret = netns;
        return 0;
}

int namespace_resume(Namespaces *namespaces, uint64_t cookie, const char *path, Namespace **ret) {
        NamespaceFailure failure;
        Namespace *netns;
        int r;

        r = find_or_make(namespaces, cookie, path, &netns);
        if (r < 0)
                return error_trace(r);
        if (!netns->ports && namespaces->helper)
                r = namespace_learn(netns, &failure);
        if (r < 0)
                return error_trace(r);
        *ret = netns;
        return 0;
}

bool namespace_migrate_req(const Namespace *netns) {
        char value = '0';

        return netns->migrate_fd >= 0 && pread(netns->migrate_fd, &value, 1, 0) == 1 && value == '1';
}
