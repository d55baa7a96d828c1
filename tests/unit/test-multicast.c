/* SPDX-License-Identifier: BSD-2-Clause */

/* Which groups a socket may join, and that it then gets what is sent to them and nothing else. */

#include "daemon/multicast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "proto/limits.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

typedef struct Case {
        const char *network;
        const char *group;
        const char *reason; /* a fragment; NULL: good */
} Case;

static const Case cases[] = {
        { "udp4", "", "not a multicast address" },
        { "udp4", "10.0.0.1", "not a multicast address" },
        { "udp4", "240.0.0.1", "not a multicast address" },
        { "udp4", "239.1.1", "not a multicast address" },
        { "udp4", "239.1.1.1:53", "not a multicast address" },
        { "udp4", "all-hosts", "not a multicast address" },
        { "udp4", "%lo", "not a multicast address" },
        { "udp4", "0000000000000000000000000000000000000000000000239.1.1.1", "not a multicast address" },
        { "udp6", "fe80::1", "not a multicast address" },
        { "udp6", "[ff02::1]", "not a multicast address" },
        { "udp4", "239.1.1.1%", "an interface has a name" },
        { "udp6", "ff02::1%0123456789abcdef", "an interface has a name" },
        { "udp4", "239.1.1.1%@10.0.0.1", "an interface has a name" },
        { "udp4", "239.1.1.1%lo:1", "an interface has a name" },
        { "udp6", "ff02::1%lo:@::1", "an interface has a name" },
        { "udp4", "@10.0.0.1", "not a multicast address" },
        { "udp4", "239.1.1.1@", "a source is an address of one host" },
        { "udp4", "239.1.1.1@host", "a source is an address of one host" },
        { "udp4", "239.1.1.1@0.0.0.0", "a source is an address of one host" },
        { "udp4", "239.1.1.1@239.1.1.2", "a source is an address of one host" },
        { "udp4", "239.1.1.1@10.0.0.1%lo", "a source is an address of one host" },
        { "udp4", "239.1.1.1@10.0.0.1@10.0.0.2", "a source is an address of one host" },
        { "udp6", "ff02::1@::", "a source is an address of one host" },
        { "udp6", "ff02::1@ff02::2", "a source is an address of one host" },
        { "udp4", "239.1.1.1@fd00::1", "a source of another family" },
        { "udp6", "ff02::1%lo@10.0.0.1", "a source of another family" },
        { "udp4", "ff02::1@fd00::1", "an IPv6 group on an IPv4 socket" },
        { "udp4", "ff02::1", "an IPv6 group on an IPv4 socket" },
        { "udp6", "239.1.1.1", "an IPv4 group on an IPv6 socket" },
        { "udp4", "239.1.1.1", NULL },
        { "udp4", "224.0.0.251%lo", NULL },
        { "udp6", "ff02::fb%lo", NULL },
        { "udp4", "232.1.1.1@10.0.0.1", NULL },
        { "udp4", "232.1.1.1%lo@10.0.0.1", NULL },
        { "udp6", "ff35::4242%lo@fd00::1", NULL },
        { "udp", "232.1.1.1%lo@10.0.0.1", NULL },
        { "udp", "ff02::fb", NULL },
        { "udp", "239.1.1.1", NULL },
};

static Address wildcard(const char *network) {
        return kit_address(network, strcmp(network, "udp4") == 0 ? "0.0.0.0:0" : "[::]:0");
}

/* A bound socket, and in *@address its port. */
static int open_socket(Address *address) {
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss);
        int fd = socket(address_family(address), SOCK_DGRAM | SOCK_CLOEXEC, 0);

        cr_assert(ge(int, fd, 0));
        if (address_family(address) == AF_INET6)
                cr_assert(zero(int, setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &(int){ address->ipv6_only },
                                               sizeof(int))));
        cr_assert(zero(int, bind(fd, &address->u.sa, address->len)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&ss, &len)));
        address_set_sockaddr(address, &ss, len);
        return fd;
}

/* Sends a byte from 127.0.0.1 to the IPv4 @group on lo, and says whether @fd got it. */
static bool reaches(int fd, const char *group, uint16_t port) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
        const struct sockaddr_in from = { .sin_family = AF_INET,
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct ip_mreqn by_lo = { .imr_ifindex = (int)if_nametoindex("lo") };
        _cleanup_(fd_closep) int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char byte = 0;

        cr_assert(eq(int, inet_pton(AF_INET, group, &to.sin_addr), 1));
        cr_assert(zero(int, bind(sender, (const struct sockaddr *)&from, sizeof(from))));
        cr_assert(zero(int, setsockopt(sender, SOL_IP, IP_MULTICAST_IF, &by_lo, sizeof(by_lo))));
        cr_assert(eq(int, (int)sendto(sender, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1));
        return recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
}

TestSuite(multicast, .timeout = 10);

Test(multicast, groups_checked) {
        const char *many[MULTICAST_GROUPS_MAX + 1];
        Address udp4 = wildcard("udp4");

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                const char *groups[] = { "239.9.9.9", cases[i].group };
                bool ipv6_alone = strcmp(cases[i].network, "udp6") == 0;
                const WireList list = { groups + ipv6_alone, 2 - ipv6_alone };
                Address address = wildcard(cases[i].network);
                const char *reason = multicast_groups_check(&list, &address);

                if (cases[i].reason)
                        cr_assert(ne(ptr, strstr(reason ?: "", cases[i].reason), NULL), "%s: %s",
                                  cases[i].group, reason);
                else
                        cr_assert(eq(ptr, (void *)reason, NULL), "%s: %s", cases[i].group, reason);
        }
        for (size_t i = 0; i < ELEMENTS(many); i++)
                many[i] = "239.1.1.1";
        KIT_EXPECT_TEXT(multicast_groups_check(&(WireList){ many, ELEMENTS(many) }, &udp4),
                        "too many groups");
        cr_assert(eq(ptr, (void *)multicast_groups_check(&(WireList){ many, ELEMENTS(many) - 1 }, &udp4),
                     NULL));
}

Test(multicast, interfaces_that_are_not_there) {
        Address udp4 = wildcard("udp4"), udp6 = wildcard("udp6");
        int n_fds = leaks_count_fds(), fd4 = open_socket(&udp4), fd6 = open_socket(&udp6);
        char name[IFNAMSIZ];

        cr_assert(eq(int, multicast_join(fd4, "239.1.1.1%nosuchdevice", "lo"), ENODEV));
        cr_assert(eq(int, multicast_join(fd4, "239.1.1.1", "nosuchdevice"), ENODEV));
        cr_assert(eq(int, multicast_join(fd6, "ff02::1%nosuchdevice", NULL), ENODEV));
        cr_assert(eq(int, multicast_set_interface(fd4, "nosuchdevice", &udp4), ENODEV));
        cr_assert(eq(int, multicast_set_interface(fd6, "nosuchdevice", &udp6), ENODEV));
        cr_assert(not(multicast_get_interface(fd6, name)));
        close(fd4);
        close(fd6);
        leaks_expect_fds(n_fds);
}

/* Interface lo has no route for IPv6 multicast, so that the kernel refuses a second time has to do. */
Test(multicast, a_group_is_joined_once_an_interface) {
        Address address = wildcard("udp");
        int fd = open_socket(&address);

        cr_assert(zero(int, multicast_join(fd, "239.1.1.1%lo", NULL)));
        cr_assert(eq(int, multicast_join(fd, "239.1.1.1", "lo"), EADDRINUSE));
        cr_assert(zero(int, multicast_join(fd, "ff02::4242%lo", NULL)));
        cr_assert(eq(int, multicast_join(fd, "ff02::4242", "lo"), EADDRINUSE));
        cr_assert(zero(int, multicast_join(fd, "ff02::4243", "lo")));
        close(fd);
}

Test(multicast, only_what_is_joined_arrives) {
        static const char *const networks[] = { "udp4", "udp" };

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                Address address = wildcard(networks[i]);
                int fd = open_socket(&address);
                uint16_t port = address_port(&address);

                cr_assert(not(reaches(fd, "239.1.1.1", port)));
                cr_assert(zero(int, multicast_join(fd, "239.1.1.1", "lo")));
                cr_assert(reaches(fd, "239.1.1.1", port));
                cr_assert(not(reaches(fd, "239.1.1.2", port)));
                close(fd);
        }
}

Test(multicast, only_from_one_source) {
        Address address = wildcard("udp");
        int fd;

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        fd = open_socket(&address);
        cr_assert(zero(int, multicast_join(fd, "239.1.1.1%lo@127.0.0.9", NULL)));
        cr_assert(zero(int, multicast_take_all(fd, false, &address)));
        cr_assert(not(reaches(fd, "239.1.1.1", address_port(&address))));
        cr_assert(eq(int, multicast_join(fd, "239.1.1.1%lo@127.0.0.9", NULL), EADDRNOTAVAIL));
        cr_assert(zero(int, multicast_leave(fd, "239.1.1.1%lo@127.0.0.9", NULL)));
        cr_assert(zero(int, multicast_join(fd, "239.1.1.1@127.0.0.1", "lo")));
        cr_assert(reaches(fd, "239.1.1.1", address_port(&address)));
        close(fd);
}

Test(multicast, of_others_is_taken_by_default) {
        Address address = wildcard("udp4");
        int fd, other;

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        fd = open_socket(&address);
        other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, multicast_join(other, "239.1.1.1%lo", NULL)));
        cr_assert(reaches(fd, "239.1.1.1", address_port(&address)));
        cr_assert(zero(int, multicast_take_all(fd, false, &address)));
        cr_assert(not(reaches(fd, "239.1.1.1", address_port(&address))));
        cr_assert(zero(int, multicast_take_all(fd, true, &address)));
        cr_assert(reaches(fd, "239.1.1.1", address_port(&address)));
        close(other);
        close(fd);
}

Test(multicast, the_interface_is_set_for_both_families) {
        Address address = wildcard("udp");
        char name[IFNAMSIZ] = "";
        int fd = open_socket(&address);

        cr_assert(not(multicast_get_interface(fd, name)));
        cr_assert(zero(int, multicast_set_interface(fd, "lo", &address)));
        cr_assert(multicast_get_interface(fd, name));
        KIT_EXPECT_TEXT(name, "lo");
        close(fd);
}

Test(multicast, groups_are_a_set) {
        const char *ab[] = { "239.1.1.1", "239.1.1.2%lo" }, *ba[] = { "239.1.1.2%lo", "239.1.1.1" };
        const WireList two = { ab, 2 }, swapped = { ba, 2 }, one = { ab, 1 }, none = { 0 };
        char text[32];

        cr_assert(not(multicast_groups_equal(&two, &one)));
        cr_assert(not(multicast_groups_equal(&one, &two)));
        cr_assert(not(multicast_groups_equal(&one, &none)));
        cr_assert(multicast_groups_equal(&none, &none));
        cr_assert(multicast_groups_equal(&two, &swapped));
        multicast_groups_format(&none, text, sizeof(text));
        KIT_EXPECT_TEXT(text, "");
        multicast_groups_format(&two, text, sizeof(text));
        KIT_EXPECT_TEXT(text, "239.1.1.1 239.1.1.2%lo");
        multicast_groups_format(&two, text, 12);
        KIT_EXPECT_TEXT(text, "239.1.1.1 2");
}
