/* SPDX-License-Identifier: BSD-2-Clause */

/* Multicast groups and interfaces by name. Interfaces are looked up late: they come and go. */

#include "daemon/multicast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/limits.h"

typedef struct Group {
        int family; /* AF_UNSPEC: not a multicast address */
        struct in_addr in;
        struct in6_addr in6;
        const char *interface; /* NULL: none named */
} Group;

static Group group_parse(const char *text) {
        Group group = { .family = AF_UNSPEC };
        char host[INET6_ADDRSTRLEN];
        size_t n = strcspn(text, "%");

        if (n >= sizeof(host))
                return group;
        memcpy(host, text, n);
        host[n] = '\0';
        if (text[n] == '%')
                group.interface = text + n + 1;
        if (inet_pton(AF_INET, host, &group.in) == 1 && IN_MULTICAST(ntohl(group.in.s_addr)))
                group.family = AF_INET;
        else if (inet_pton(AF_INET6, host, &group.in6) == 1 && IN6_IS_ADDR_MULTICAST(&group.in6))
                group.family = AF_INET6;
        return group;
}

static const char *group_check(const char *text, const Address *address) {
        Group group = group_parse(text);

        if (group.family == AF_UNSPEC)
                return "not a multicast address, ADDRESS or ADDRESS%INTERFACE";
        if (group.interface && (!*group.interface || strlen(group.interface) >= IFNAMSIZ))
                return "an interface has a name of 1 to 15 bytes";
        if (group.family == AF_INET6 && address_family(address) == AF_INET)
                return "an IPv6 group on an IPv4 socket";
        if (group.family == AF_INET && address_family(address) == AF_INET6 && address->ipv6_only)
                return "an IPv4 group on an IPv6 socket";
        return NULL;
}

const char *multicast_groups_check(const WireList *groups, const Address *address) {
        const char *const *texts = groups->items;

        if (groups->n > MULTICAST_GROUPS_MAX)
                return "too many groups";
        for (size_t i = 0; i < groups->n; i++) {
                const char *reason = group_check(texts[i], address);

                if (reason)
                        return reason;
        }
        return NULL;
}

static int set_membership(int fd, const char *group, const char *interface, int optname4, int optname6) {
        Group parsed = group_parse(group);
        unsigned index = 0;
        int r;

        if (parsed.interface)
                interface = parsed.interface;
        if (interface && (index = if_nametoindex(interface)) == 0)
                return errno;
        if (parsed.family == AF_INET) {
                struct ip_mreqn request = { .imr_multiaddr = parsed.in, .imr_ifindex = (int)index };

                r = setsockopt(fd, IPPROTO_IP, optname4, &request, sizeof(request));
        } else {
                struct ipv6_mreq request = { .ipv6mr_multiaddr = parsed.in6, .ipv6mr_interface = index };

                r = setsockopt(fd, IPPROTO_IPV6, optname6, &request, sizeof(request));
        }
        return r < 0 ? errno : 0;
}

int multicast_join(int fd, const char *group, const char *interface) {
        return set_membership(fd, group, interface, IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP);
}

int multicast_leave(int fd, const char *group, const char *interface) {
        return set_membership(fd, group, interface, IP_DROP_MEMBERSHIP, IPV6_LEAVE_GROUP);
}

int multicast_set_interface(int fd, const char *interface, const Address *address) {
        unsigned index = interface ? if_nametoindex(interface) : 0;
        struct ip_mreqn by_index = { .imr_ifindex = (int)index };

        if (interface && index == 0)
                return errno;
        if (address_family(address) == AF_INET6 &&
            setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) < 0)
                return errno;
        if (!address->ipv6_only &&
            setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by_index, sizeof(by_index)) < 0)
                return errno;
        return 0;
}

bool multicast_get_interface(int fd, char ret_interface[static IFNAMSIZ]) {
        unsigned index = 0;
        socklen_t n = sizeof(index);

        return getsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, &n) == 0 && index != 0 &&
               if_indextoname(index, ret_interface);
}

static bool groups_contain(const WireList *groups, const char *group) {
        const char *const *texts = groups->items;

        for (size_t i = 0; i < groups->n; i++)
                if (strcmp(texts[i], group) == 0)
                        return true;
        return false;
}

static bool groups_include(const WireList *groups, const WireList *others) {
        const char *const *texts = others->items;

        for (size_t i = 0; i < others->n; i++)
                if (!groups_contain(groups, texts[i]))
                        return false;
        return true;
}

bool multicast_groups_equal(const WireList *a, const WireList *b) {
        return groups_include(a, b) && groups_include(b, a);
}

void multicast_groups_format(const WireList *groups, char *buffer, size_t size) {
        const char *const *texts = groups->items;
        size_t used = 0;

        buffer[0] = '\0';
        for (size_t i = 0; i < groups->n && used < size; i++)
                used += (size_t)snprintf(buffer + used, size - used, "%s%s", i == 0 ? "" : " ",
                                         texts[i]);
}
