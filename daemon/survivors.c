/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the kernel takes for one group is the same here: the same address, interface and user. Of these
 * sockets, all are survivors that are nobody's whom the endpoint or the program knows.
 */

#include "daemon/survivors.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/socket-dump.h"
#include "proto/error.h"

typedef struct Look {
        const Endpoint *endpoint;
        const void *address; /* as in inet_diag_sockid */
        size_t n_address;
        uint32_t interface;
} Look;

int survivors_disarm(int fd) {
        if (setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &(int){ 0 }, sizeof(int)) == 0)
                return 1;
        /* No program, or, bound without SO_REUSEPORT, no group. */
        return errno == ENOENT || errno == EINVAL ? 0 : error_origin(-errno);
}

int survivors_mark(int fd) {
        /* There is no such member, so the kernel chooses in its own way. */
        static struct sock_filter nobody = { .code = BPF_RET | BPF_K, .k = UINT32_MAX };
        static const struct sock_fprog mark = { .len = 1, .filter = &nobody };

        if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &mark, sizeof(mark)) == 0)
                return 0;
        /* Bound without SO_REUSEPORT it is in no group; locked it was in one of this broker's before. */
        return errno == EINVAL || errno == EPERM ? 0 : error_origin(-errno);
}

static bool list_has(const struct MemberList *list, uint64_t cookie) {
        const Member *member;

        TAILQ_FOREACH (member, list, entry)
                if (member->cookie == cookie)
                        return true;
        return false;
}

static bool is_known(const Endpoint *endpoint, uint64_t cookie) {
        const Steering *steering = endpoint->registry->steering;

        return list_has(&endpoint->members, cookie) || list_has(&endpoint->departing, cookie) ||
               (steering && steering_knows(steering, cookie));
}

static int on_found(const struct inet_diag_msg *found, void *userdata) {
        const Look *look = userdata;

        return memcmp(found->id.idiag_src, look->address, look->n_address) == 0 &&
               found->id.idiag_if == look->interface && found->idiag_uid == geteuid() &&
               !is_known(look->endpoint, socket_dump_cookie(found));
}

int survivors_look(const Endpoint *endpoint) {
        const Address *address = &endpoint->address;
        bool tcp = address->transport == TRANSPORT_TCP, ipv6 = address_family(address) == AF_INET6;
        const SocketFilter filter = { .family = address_family(address),
                                      .protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP,
                                      .states = 1U << (tcp ? TCP_LISTEN : TCP_CLOSE),
                                      .port = address_port(address),
                                      .network_namespace = endpoint->network_namespace };
        Look look = { .endpoint = endpoint,
                      .address =
                              ipv6 ? (const void *)&address->u.in6.sin6_addr : &address->u.in.sin_addr,
                      .n_address = ipv6 ? sizeof(struct in6_addr) : sizeof(struct in_addr) };
        socklen_t size = sizeof(look.interface);
        int r;

        if (getsockopt(TAILQ_FIRST(&endpoint->members)->fd, SOL_SOCKET, SO_BINDTOIFINDEX,
                       &look.interface, &size) < 0)
                return error_origin(-errno);
        r = socket_dump(&filter, on_found, &look);
        return r < 0 ? error_trace(r) : r;
}
