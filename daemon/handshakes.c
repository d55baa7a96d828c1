/* SPDX-License-Identifier: BSD-2-Clause */

/* By sock_diag: a dump of the sockets in SYN_RECV with our local port. */

#include "daemon/handshakes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* What the kernel fills at most in one go. */
        DUMP_SIZE = 32768,
};

static int handshakes_add(Handshakes *handshakes, const struct inet_diag_msg *diag) {
        size_t n = handshakes->n;

        /* Doubled at each power of two. */
        if ((n & (n - 1)) == 0) {
                uint64_t *cookies = reallocarray(handshakes->cookies, n ? 2 * n : 1, sizeof(*cookies));

                if (!cookies)
                        return error_origin(-ENOMEM);
                handshakes->cookies = cookies;
        }
        memcpy(&handshakes->cookies[handshakes->n++], diag->id.idiag_cookie, sizeof(uint64_t));
        return 0;
}

static int handshakes_ask(int fd, int family, uint16_t port) {
        struct {
                struct nlmsghdr header;
                struct inet_diag_req_v2 request;
        } message = {
                .header = { .nlmsg_len = sizeof(message),
                            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
                .request = { .sdiag_family = (uint8_t)family,
                             .sdiag_protocol = IPPROTO_TCP,
                             .idiag_states = 1U << TCP_SYN_RECV,
                             .id = { .idiag_sport = htons(port) } },
        };

        return send(fd, &message, sizeof(message), 0) < 0 ? error_origin(-errno) : 0;
}

/* Takes one part of the answer. Returns 1 if more follows, 0 at the end, or a negative errno. */
static int handshakes_take(int fd, char *buffer, Handshakes *handshakes) {
        const struct nlmsghdr *header;
        ssize_t size = recv(fd, buffer, DUMP_SIZE, 0);
        unsigned left;
        int r;

        if (size < 0)
                return error_origin(-errno);
        left = (unsigned)size;
        for (header = (const void *)buffer; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
                if (header->nlmsg_type == NLMSG_DONE)
                        return 0;
                if (header->nlmsg_type == NLMSG_ERROR)
                        return error_origin(((const struct nlmsgerr *)NLMSG_DATA(header))->error);
                r = handshakes_add(handshakes, NLMSG_DATA(header));
                if (r < 0)
                        return error_trace(r);
        }
        return 1;
}

static int handshakes_dump(int fd, int family, uint16_t port, Handshakes *handshakes) {
        _cleanup_(freep) char *buffer = malloc(DUMP_SIZE);
        int r;

        if (!buffer)
                return error_origin(-ENOMEM);
        r = handshakes_ask(fd, family, port);
        while (r >= 0) {
                r = handshakes_take(fd, buffer, handshakes);
                if (r == 0)
                        return 0;
        }
        return error_trace(r);
}

static int compare_cookies(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

int handshakes_read(const Address *address, Handshakes *ret) {
        _cleanup_(fd_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        Handshakes handshakes = { 0 };
        int r;

        if (fd < 0)
                return error_origin(-errno);
        r = handshakes_dump(fd, address_family(address), address_port(address), &handshakes);
        /* A dual-stack listener is of IPv6, what comes to it over IPv4 is not. */
        if (r == 0 && address_family(address) == AF_INET6)
                r = handshakes_dump(fd, AF_INET, address_port(address), &handshakes);
        if (r < 0) {
                handshakes_deinit(&handshakes);
                return error_trace(r);
        }
        if (handshakes.n > 0)
                qsort(handshakes.cookies, handshakes.n, sizeof(uint64_t), compare_cookies);
        *ret = handshakes;
        return 0;
}

int handshakes_copy(const Handshakes *handshakes, Handshakes *ret) {
        uint64_t *cookies = NULL;

        if (handshakes->n > 0) {
                cookies = reallocarray(NULL, handshakes->n, sizeof(*cookies));
                if (!cookies)
                        return error_origin(-ENOMEM);
                memcpy(cookies, handshakes->cookies, handshakes->n * sizeof(*cookies));
        }
        *ret = (Handshakes){ .cookies = cookies, .n = handshakes->n };
        return 0;
}

void handshakes_deinit(Handshakes *handshakes) {
        free(handshakes->cookies);
        *handshakes = (Handshakes){ 0 };
}

void handshakes_keep(Handshakes *some, const Handshakes *now) {
        size_t n = 0, j = 0;

        for (size_t i = 0; i < some->n; i++) {
                while (j < now->n && now->cookies[j] < some->cookies[i])
                        j++;
                if (j < now->n && now->cookies[j] == some->cookies[i])
                        some->cookies[n++] = some->cookies[i];
        }
        some->n = n;
}
