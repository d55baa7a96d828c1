/* SPDX-License-Identifier: BSD-2-Clause */

/* Nothing is believed for its name: each descriptor is compared with what its record says of it. */

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/lifeline.h"
#include "daemon/log.h"
#include "daemon/recovery-private.h"
#include "proto/cleanup.h"

enum {
        /* Of what is lost, and of what is not known, so many are named. */
        TOLD_MAX = 10,
};

static const char another[] = "it is not what was kept under this name";

/* The kernel lets a holder bind it anew, and connect() does so unasked: of raw IP the protocol is all
 * that stays as it was. */
static bool has_protocol(int fd, const Address *address) {
        int protocol;
        socklen_t size = sizeof(protocol);

        return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
               protocol == address_protocol(address);
}

/*
 * A datagram socket at a wildcard that its holder has connected is at the address that it talks from,
 * until its holder takes the peer off. What has no peer, or another port, was bound by somebody else.
 */
static bool is_connected_from(int fd, const Address *wildcard, const Address *bound) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);

        if (!address_is_udp(wildcard) || !address_is_wildcard(wildcard) ||
            address_port(bound) != address_port(wildcard))
                return false;
        if (wildcard->ipv6_only && IN6_IS_ADDR_V4MAPPED(&bound->u.in6.sin6_addr))
                return false;
        return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

/* The socket is the one of the record: its number, which the kernel never gives again, where it was
 * made, and its address. Returns NULL, or why it is not. */
static const char *why_not_socket(int fd, uint64_t cookie, const Endpoint *endpoint) {
        char key[ENDPOINT_KEY_MAX];
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss), size = sizeof(uint64_t);
        Address bound = endpoint->address;
        uint64_t have;
        int type;

        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &have, &size) < 0 || have != cookie)
                return another;
        if (endpoint->network_namespace &&
            namespace_cookie_of(fd) != endpoint->network_namespace->cookie)
                return another;
        size = sizeof(type);
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            type != address_socket_type(&endpoint->address))
                return another;
        if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
            ss.ss_family != address_family(&endpoint->address))
                return another;
        if (address_is_raw(&endpoint->address))
                return has_protocol(fd, &endpoint->address) ? NULL : another;
        address_set_sockaddr(&bound, &ss, len);
        if (strcmp(endpoint_key_in(endpoint->network_namespace, &bound, key), endpoint->key) == 0)
                return NULL;
        if (!is_connected_from(fd, &endpoint->address, &bound))
                return another;
        /* No program can be given it, and with it there would be none for all the others. */
        return endpoint->sharing == SHARING_GROUP
                       ? "its holder has connected it, so that it is in its group no more"
                       : NULL;
}

void recovery_count_lost(Recovery *recovery, const char *what, uint64_t id, const char *why) {
        if (recovery->tally->n_lost++ >= TOLD_MAX)
                return;
        log_line(LOG_WARNING, "%s %" PRIu64 " of an earlier broker is lost: %s", what, id, why);
}

void recovery_note_foreign(Recovery *recovery, const char *name, const char *why) {
        if (recovery->tally->n_foreign++ < TOLD_MAX)
                log_line(LOG_WARNING, "the descriptor \"%s\" that was kept for the broker is closed: %s",
                         name, why);
}

void recovery_count_foreign(Recovery *recovery, int fd, const char *name, const char *why) {
        recovery_note_foreign(recovery, name, why);
        fd_store_discard(recovery->services->state.store, name);
        fd_close(fd);
}

/* Of a process, as leases depend on it. Any other would never end, or not be watched at all. */
static bool is_pidfd(int fd) {
        return syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0 || errno == ESRCH || errno == EPERM;
}

static const char *why_not(int fd, uint64_t cookie, const Endpoint *endpoint) {
        if (endpoint)
                return why_not_socket(fd, cookie, endpoint);
        return (cookie > 0 ? lifeline_fits(fd, cookie) : is_pidfd(fd)) ? NULL : another;
}

Claimed recovery_claim(Recovery *recovery, uint64_t id, uint64_t cookie, const Endpoint *endpoint) {
        Claimed claimed = { .fd = -1 };
        char name[STATE_NAME_MAX];
        int fd;

        while ((fd = inherited_claim(recovery->inherited, state_name(id, name))) >= 0) {
                const char *reason = claimed.fd < 0 ? why_not(fd, cookie, endpoint) : another;

                if (!reason) {
                        claimed.fd = fd;
                } else {
                        recovery_count_foreign(recovery, fd, name, reason);
                        claimed.anew = true;
                }
        }
        return claimed;
}

void recovery_keep(const Recovery *recovery, FdStoreEntry *entry, uint64_t id, int fd, bool anew) {
        FdStore *store = recovery->services->state.store;
        char name[STATE_NAME_MAX];

        /* Of a broker that still runs nothing is in there. */
        if (anew || recovery->services->takes_over)
                fd_store_put(store, entry, state_name(id, name), fd);
        else
                fd_store_resume(store, entry, state_name(id, name), fd);
}
