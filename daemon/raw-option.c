/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Options without a name in the protocol. The broker is privileged and its sockets are shared, so what
 * would reach beyond the one socket, or undo what the broker promises of it, is refused whatever
 * policy says.
 */

#include "daemon/raw-option.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static const char reason_foreign[] = "its value is a descriptor or a pointer of the calling process";
static const char reason_group[] = "the broker alone decides who shares a port and how";
static const char reason_filter[] = "belongs to the packet filter of the host, not to the socket";

typedef struct Denied {
        int level;
        int first, last;
        const char *reason;
} Denied;

static const Denied denied[] = {
        { SOL_SOCKET, SO_REUSEADDR, SO_REUSEADDR, reason_group },
        { SOL_SOCKET, SO_REUSEPORT, SO_REUSEPORT, reason_group },
        { SOL_SOCKET, SO_ATTACH_FILTER, SO_ATTACH_FILTER, reason_foreign },
        { SOL_SOCKET, SO_DETACH_FILTER, SO_DETACH_FILTER, reason_group },
        { SOL_SOCKET, SO_LOCK_FILTER, SO_LOCK_FILTER, reason_group },
        { SOL_SOCKET, SO_ATTACH_BPF, SO_ATTACH_BPF, reason_foreign },
        { SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF, reason_foreign },
        { SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, SO_DETACH_REUSEPORT_BPF, reason_group },
        { SOL_TCP, TCP_REPAIR, TCP_REPAIR, "it forges the state of connections" },
        /* iptables, arptables, ebtables, IPVS and multicast routing: nothing of a socket is up here. */
        { SOL_IP, 64, INT_MAX, reason_filter },
        /* IP6T_SO_SET_REPLACE and IP6T_SO_SET_ADD_COUNTERS; the socket's own options go on
         * after them. */
        { SOL_IPV6, 64, 65, reason_filter },
        /* Multicast routing, which takes a raw socket. */
        { SOL_IPV6, 200, INT_MAX, reason_filter },
        { SOL_IPV6, IPV6_V6ONLY, IPV6_V6ONLY, "the network name says it" },
};

static const char *raw_option_check(const RawOption *option) {
        size_t n = strlen(option->value);

        if (option->level < 0 || option->level > INT_MAX || option->name < 0 || option->name > INT_MAX)
                return "level and name must be from 0 to 2147483647";
        for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
                if (option->level == denied[i].level && option->name >= denied[i].first &&
                    option->name <= denied[i].last)
                        return denied[i].reason;
        if (n > (size_t)2 * RAW_VALUE_MAX)
                return "the value is too long";
        if (n % 2 != 0 || strspn(option->value, "0123456789abcdefABCDEF") != n)
                return "the value must be an even number of hexadecimal digits";
        return NULL;
}

const char *raw_options_check(const WireList *list) {
        const RawOption *options = list->items;

        if (list->n > RAW_OPTIONS_MAX)
                return "too many raw options";
        for (size_t i = 0; i < list->n; i++) {
                const char *reason = raw_option_check(&options[i]);

                if (reason)
                        return reason;
        }
        return NULL;
}

static uint8_t digit_value(char c) {
        return (uint8_t)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

int raw_option_set(int fd, const RawOption *option) {
        uint8_t value[RAW_VALUE_MAX];
        size_t n = strlen(option->value) / 2;

        for (size_t i = 0; i < n; i++)
                value[i] = (uint8_t)(digit_value(option->value[2 * i]) << 4 |
                                     digit_value(option->value[2 * i + 1]));
        if (setsockopt(fd, (int)option->level, (int)option->name, value, (socklen_t)n) < 0)
                return errno;
        return 0;
}

bool raw_option_read(int fd, const RawOption *option, char ret_value[static RAW_HEX_SIZE]) {
        /* Zeros, because some options read their own request from here (the count of MCAST_MSFILTER). */
        uint8_t value[RAW_VALUE_MAX] = { 0 };
        size_t asked = strlen(option->value) / 2;
        socklen_t n = (socklen_t)asked;

        if (getsockopt(fd, (int)option->level, (int)option->name, value, &n) < 0 || n != asked) {
                snprintf(ret_value, RAW_HEX_SIZE, "%s", option->value);
                return false;
        }
        ret_value[0] = '\0';
        for (size_t i = 0; i < n; i++)
                snprintf(ret_value + 2 * i, 3, "%02x", value[i]);
        return true;
}

bool raw_options_equal(const WireList *a, const WireList *b) {
        const RawOption *x = a->items, *y = b->items;

        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (x[i].level != y[i].level || x[i].name != y[i].name ||
                    strcasecmp(x[i].value, y[i].value) != 0)
                        return false;
        return true;
}

void raw_options_format(const WireList *list, char *buffer, size_t size) {
        const RawOption *options = list->items;
        size_t used = 0;

        buffer[0] = '\0';
        for (size_t i = 0; i < list->n && used < size; i++)
                used += (size_t)snprintf(buffer + used, size - used, "%s%lld:%lld=%s", i == 0 ? "" : " ",
                                         (long long)options[i].level, (long long)options[i].name,
                                         options[i].value);
}
