/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The socket is not the broker's: it was made by somebody else, with options that are nobody's to
 * change, and lives as long as its unit. All clients share it.
 */

#include "daemon/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "daemon/log.h"
#include "daemon/overlap.h"
#include "daemon/state.h"
#include "proto/cleanup.h"
#include "proto/error.h"

CLEANUP_DEFINE(Subject, subject_unref)

static int int_option(int fd, int name, int *ret) {
        socklen_t size = sizeof(*ret);

        return getsockopt(fd, SOL_SOCKET, name, ret, &size);
}

static bool transport_has_family(Transport transport, int family) {
        if (family == AF_INET || family == AF_INET6)
                return transport < TRANSPORT_VSOCK;
        return family == (transport == TRANSPORT_VSOCK ? AF_VSOCK : AF_UNIX);
}

static bool transport_of(int family, int type, int protocol, Transport *ret) {
        Address address = {};

        for (address.transport = 0; address.transport < _TRANSPORT_N; address.transport++)
                if (transport_has_family(address.transport, family) &&
                    address_socket_type(&address) == type && address_protocol(&address) == protocol) {
                        *ret = address.transport;
                        return true;
                }
        return false;
}

/* Vsock has a port 0, which stands for any in a request. */
static bool is_bound(const Address *address) {
        if (address_is_vsock(address))
                return address->u.vm.svm_port != VMADDR_PORT_ANY && address->u.vm.svm_port > 0;
        return address_is_ip(address) ? address_port(address) > 0 : address->len > sizeof(sa_family_t);
}

/* Returns NULL, or why it is no listener that clients could be given. */
static const char *describe(int fd, Address *ret) {
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss), size = sizeof(int);
        int family, type, protocol, listens = 0, only = 0;

        *ret = (Address){ 0 };
        if (int_option(fd, SO_DOMAIN, &family) < 0 || int_option(fd, SO_TYPE, &type) < 0 ||
            int_option(fd, SO_PROTOCOL, &protocol) < 0)
                return "it is no socket";
        if (!transport_of(family, type, protocol, &ret->transport))
                return "it is of a kind that the broker does not give";
        if (address_listens(ret) && (int_option(fd, SO_ACCEPTCONN, &listens) < 0 || !listens))
                return "it does not listen";
        if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
                return "it has no address";
        if (family == AF_INET6 && getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) < 0)
                return "it does not say which addresses it serves";
        address_set_sockaddr(ret, &ss, len);
        ret->ipv6_only = only;
        /* Clients who write it so mean the socket of IPv4, and this one serves nobody else. */
        address_unmap(ret);
        if (!is_bound(ret))
                return "it is not bound, or to a port that nobody can ask for";
        return NULL;
}

/*
 * As clients get all others. systemd clears it each time that it passes the socket, unless the unit says
 * NonBlocking=yes, and so for all who have it: a client that finds nothing to accept would hang.
 * Returns 0 or a negative errno.
 */
static int make_nonblocking(int fd) {
        return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? error_origin(-errno) : 0;
}

/* An endpoint without a client. Takes over item->fd. */
static int adopt(Services *services, InheritedItem *item, const Address *address) {
        _cleanup_(subject_unrefp) Subject *maker = calloc(1, sizeof(*maker));
        const Tenant nobody = tenant_of(NULL, (uid_t)-1);
        const char *name = endpoint_name_is_valid(item->name) ? item->name : NULL;
        Endpoint *endpoint;
        Member *member;
        int r;

        if (!maker)
                return error_origin(-ENOMEM);
        r = make_nonblocking(item->fd);
        if (r < 0)
                return error_trace(r);
        maker->n_refs = 1;
        r = endpoint_new(&services->endpoints, address, name, SHARING_SHARED, NULL, 0, &nobody, maker,
                         &endpoint);
        if (r < 0)
                return error_trace(r);
        endpoint->passed = true;
        r = endpoint_add_member(endpoint, fd_take(&item->fd), &member);
        if (r == 0)
                r = member_resume(member, MEMBER_LIVE, MEMBER_WEIGHT_DEFAULT);
        if (r < 0) {
                endpoint_close(endpoint, NULL);
                return error_trace(r);
        }
        member_idle(member);
        log_line(LOG_INFO, "%s is passed by the service manager as \"%s\"", endpoint->key, item->name);
        return 0;
}

static void left(const InheritedItem *item, const char *why) {
        log_line(LOG_WARNING, "the descriptor \"%s\" that the service manager passes is not used: %s",
                 item->name, why);
}

int passed_adopt(Services *services, Inherited *inherited) {
        char key[ENDPOINT_KEY_MAX];
        Address address;
        int r;

        for (size_t i = 0; i < inherited->n; i++) {
                InheritedItem *item = &inherited->items[i];
                const char *why;

                if (item->fd < 0)
                        continue;
                why = describe(item->fd, &address);
                if (!why && (endpoint_find(&services->endpoints, endpoint_key(&address, key)) ||
                             overlap_find(&services->endpoints, &address, NULL)))
                        why = "another endpoint is at its address";
                if (why) {
                        left(item, why);
                        continue;
                }
                r = adopt(services, item, &address);
                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

int passed_claim(Inherited *inherited, uint64_t cookie) {
        for (size_t i = 0; i < inherited->n; i++) {
                InheritedItem *item = &inherited->items[i];
                socklen_t size = sizeof(uint64_t);
                uint64_t have;

                if (item->fd >= 0 && item->name[0] != STATE_FILE_NAME[0] &&
                    getsockopt(item->fd, SOL_SOCKET, SO_COOKIE, &have, &size) == 0 && have == cookie) {
                        (void)make_nonblocking(item->fd); /* a socket always takes it */
                        return fd_take(&item->fd);
                }
        }
        return -1;
}
