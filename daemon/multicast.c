/* SPDX-License-Identifier: BSD-2-Clause */

/* Multicast groups and interfaces by name. Interfaces are looked up late: they come and go. */

#include "daemon/multicast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/limits.h"

typedef struct Group {
        int family; /* AF_UNSPEC: not a multicast address */
        struct in_addr in;
        struct in6_addr in6;
        char interface[IFNAMSIZ]; /* empty: none named */
        int source_family;        /* AF_UNSPEC: any source */
        struct in_addr source_in;
        struct in6_addr source_in6;
} Group;

static const char *group_parse_source(const char *text, Group *group) {
        if (inet_pton(AF_INET, text, &group->source_in) == 1 &&
            group->source_in.s_addr != htonl(INADDR_ANY) &&
            !IN_MULTICAST(ntohl(group->source_in.s_addr)))
                group->source_family = AF_INET;
        else if (inet_pton(AF_INET6, text, &group->source_in6) == 1 &&
                 !IN6_IS_ADDR_UNSPECIFIED(&group->source_in6) &&
                 !IN6_IS_ADDR_MULTICAST(&group->source_in6))
                group->source_family = AF_INET6;
        else
                return "a source is an address of one host";
        return group->source_family != group->family ? "a source of another family than the group"
                                                     : NULL;
}

/* ADDRESS[%INTERFACE][@SOURCE]. Returns NULL, or why it is not. */
static const char *group_parse(const char *text, Group *ret) {
        size_t n = strcspn(text, "%@"), n_interface = 0;
        Group group = { .family = AF_UNSPEC };
        char host[INET6_ADDRSTRLEN] = "";

        if (n < sizeof(host))
                memcpy(host, text, n);
        if (inet_pton(AF_INET, host, &group.in) == 1 && IN_MULTICAST(ntohl(group.in.s_addr)))
                group.family = AF_INET;
        else if (inet_pton(AF_INET6, host, &group.in6) == 1 && IN6_IS_ADDR_MULTICAST(&group.in6))
                group.family = AF_INET6;
        else
                return "not a multicast address, ADDRESS[%INTERFACE][@SOURCE]";
        text += n;
        if (*text == '%') {
                n_interface = strcspn(++text, "@");
                if (n_interface == 0 || n_interface >= IFNAMSIZ || memchr(text, ':', n_interface))
                        return "an interface has a name of 1 to 15 bytes, without ':'";
                memcpy(group.interface, text, n_interface);
                text += n_interface;
        }
        if (*text == '@') {
                const char *reason = group_parse_source(text + 1, &group);

                if (reason)
                        return reason;
        }
        *ret = group;
        return NULL;
}

static const char *group_check(const char *text, const Address *address) {
        const char *reason;
        Group group;

        reason = group_parse(text, &group);
        if (reason)
                return reason;
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

static void to_sockaddr(int family, const struct in_addr *in, const struct in6_addr *in6,
                        struct sockaddr_storage *ret) {
        memset(ret, 0, sizeof(*ret));
        if (family == AF_INET)
                *(struct sockaddr_in *)ret =
                        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = *in };
        else
                *(struct sockaddr_in6 *)ret =
                        (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = *in6 };
}

/* Of the network namespace of the socket, which need not be the broker's. Returns 0, with errno, if
 * there is none. */
static unsigned interface_index(int fd, const char *name) {
        struct ifreq request = { .ifr_ifindex = 0 };

        if (strlen(name) >= sizeof(request.ifr_name)) {
                errno = ENODEV;
                return 0;
        }
        strcpy(request.ifr_name, name);
        return ioctl(fd, SIOCGIFINDEX, &request) == 0 ? (unsigned)request.ifr_ifindex : 0;
}

/* Whatever the family and the source, in the one form that the kernel has for all. */
static int set_membership(int fd, const char *text, const char *interface, int any_source,
                          int one_source) {
        struct group_source_req request = { 0 };
        struct group_req any = { 0 };
        int level, r;
        Group group;

        if (group_parse(text, &group))
                return EINVAL;
        if (group.interface[0])
                interface = group.interface;
        if (interface && (request.gsr_interface = interface_index(fd, interface)) == 0)
                return errno;
        level = group.family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
        to_sockaddr(group.family, &group.in, &group.in6, &request.gsr_group);
        if (group.source_family != AF_UNSPEC) {
                to_sockaddr(group.source_family, &group.source_in, &group.source_in6,
                            &request.gsr_source);
                r = setsockopt(fd, level, one_source, &request, sizeof(request));
        } else {
                any = (struct group_req){ .gr_interface = request.gsr_interface,
                                          .gr_group = request.gsr_group };
                r = setsockopt(fd, level, any_source, &any, sizeof(any));
        }
        return r < 0 ? errno : 0;
}

int multicast_join(int fd, const char *group, const char *interface) {
        return set_membership(fd, group, interface, MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP);
}

int multicast_leave(int fd, const char *group, const char *interface) {
        return set_membership(fd, group, interface, MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP);
}

int multicast_take_all(int fd, bool all, const Address *address) {
        int value = all;

        if (address_family(address) == AF_INET6 &&
            setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &value, sizeof(value)) < 0)
                return errno;
        if (!address->ipv6_only &&
            setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &value, sizeof(value)) < 0)
                return errno;
        return 0;
}

int multicast_set_interface(int fd, const char *interface, const Address *address) {
        unsigned index = interface ? interface_index(fd, interface) : 0;
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
        struct ifreq request = { .ifr_ifindex = 0 };
        socklen_t n = sizeof(request.ifr_ifindex);

        if (getsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &request.ifr_ifindex, &n) < 0 ||
            request.ifr_ifindex == 0 || ioctl(fd, SIOCGIFNAME, &request) < 0)
                return false;
        memcpy(ret_interface, request.ifr_name, IFNAMSIZ);
        return true;
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
