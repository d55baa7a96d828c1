/* SPDX-License-Identifier: BSD-2-Clause */

#include "daemon/socket-dump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/namespace.h"
#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* What the kernel fills at most in one go. */
        PART_SIZE = 32768,
};

/* What dump_take() says. */
enum {
        PART_LAST,
        PART_MORE,
};

typedef struct Dump {
        int fd;
        uint32_t serial; /* what is left of an earlier dump has another */
        char *buffer;    /* PART_SIZE */
        int (*on_found)(const struct inet_diag_msg *found, void *userdata);
        void *userdata;
        int answer; /* of on_found */
} Dump;

uint64_t socket_dump_cookie(const struct inet_diag_msg *found) {
        uint64_t cookie;

        memcpy(&cookie, found->id.idiag_cookie, sizeof(cookie));
        return cookie;
}

static int dump_ask(const Dump *dump, const SocketFilter *filter) {
        struct {
                struct nlmsghdr header;
                struct inet_diag_req_v2 request;
        } message = {
                .header = { .nlmsg_len = sizeof(message),
                            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                            .nlmsg_seq = dump->serial },
                .request = { .sdiag_family = (uint8_t)filter->family,
                             .sdiag_protocol = (uint8_t)filter->protocol,
                             .idiag_states = filter->states,
                             .id = { .idiag_sport = htons(filter->port) } },
        };

        return send(dump->fd, &message, sizeof(message), 0) < 0 ? error_origin(-errno) : 0;
}

/* One part of the answer. Returns PART_MORE if another follows, PART_LAST, or a negative errno. */
static int dump_take(Dump *dump) {
        const struct nlmsghdr *header;
        ssize_t size = recv(dump->fd, dump->buffer, PART_SIZE, 0);
        unsigned left;

        if (size < 0)
                return error_origin(-errno);
        left = (unsigned)size;
        for (header = (const void *)dump->buffer; NLMSG_OK(header, left);
             header = NLMSG_NEXT(header, left)) {
                if (header->nlmsg_seq != dump->serial)
                        continue;
                if (header->nlmsg_type == NLMSG_DONE)
                        return PART_LAST;
                if (header->nlmsg_type == NLMSG_ERROR)
                        return error_origin(((const struct nlmsgerr *)NLMSG_DATA(header))->error);
                if (dump->answer == 0)
                        dump->answer = dump->on_found(NLMSG_DATA(header), dump->userdata);
        }
        return PART_MORE;
}

/* The descriptor of another namespace is kept, and used again: what it has to say is heard to
 * the end. */
static int dump_run(Dump *dump, const SocketFilter *filter) {
        static uint32_t last_serial;
        int r;

        dump->serial = ++last_serial;
        r = dump_ask(dump, filter);
        if (r < 0)
                return error_trace(r);
        while ((r = dump_take(dump)) == PART_MORE)
                ;
        return error_trace(r);
}

int socket_dump(const SocketFilter *filter,
                int (*on_found)(const struct inet_diag_msg *found, void *userdata), void *userdata) {
        const Namespace *elsewhere = filter->network_namespace;
        _cleanup_(fd_closep) int own =
                elsewhere ? -1 : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        _cleanup_(freep) char *buffer = malloc(PART_SIZE);
        Dump dump = { .fd = elsewhere ? elsewhere->diag_fd : own,
                      .buffer = buffer,
                      .on_found = on_found,
                      .userdata = userdata };
        int r;

        if (dump.fd < 0)
                return error_origin(elsewhere ? -ENOENT : -errno);
        if (!buffer)
                return error_origin(-ENOMEM);
        r = dump_run(&dump, filter);
        if (r < 0)
                return error_trace(r);
        return dump.answer < 0 ? error_trace(dump.answer) : dump.answer;
}

static int none_wanted(const struct inet_diag_msg *found, void *userdata) {
        return 0;
}

bool socket_dump_is_possible(void) {
        const SocketFilter filter = { .family = AF_INET,
                                      .protocol = IPPROTO_TCP,
                                      .states = 1U << TCP_SYN_RECV };
        int r = socket_dump(&filter, none_wanted, NULL);

        /* Without NETLINK_SOCK_DIAG, without netlink, and without the module. */
        return r != -EPROTONOSUPPORT && r != -EAFNOSUPPORT && r != -ENOENT;
}
