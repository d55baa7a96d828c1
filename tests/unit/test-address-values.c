/* SPDX-License-Identifier: BSD-2-Clause */

/* What an address is once it has been read: its bytes, its kind, and what the kernel makes of it. */

#include "proto/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/unit/address-kit.h"
#include "tests/unit/leaks.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

Test(address_values, s3_9_equal_sockets_have_equal_bytes) {
        static const char *const same[][4] = {
                { "tcp", "127.0.0.1:80", "tcp4", "[::ffff:127.0.0.1]:00080-80" },
                { "tcp", "0.0.0.0:80", "tcp", "[::]:80" },
                { "tcp", "[::1]:80", "tcp6", "localhost:80" },
                { "udp", "[fe80::1%lo]:80", "udp6", "[FE80:0::1%1]:80" },
                { "tcp", "127.0.0.1:80-90", "tcp4", "localhost:080-090" },
        };

        for (size_t i = 0; i < ELEMENTS(same); i++) {
                Address a, b;
                const char *reason;

                memset(&a, 0x00, sizeof(a));
                memset(&b, 0xff, sizeof(b));
                cr_assert(eq(int, address_parse(same[i][0], same[i][1], &address_kit_all, &a, &reason),
                             0));
                cr_assert(eq(int, address_parse(same[i][2], same[i][3], &address_kit_all, &b, &reason),
                             0));
                cr_expect(memcmp(&a, &b, sizeof(a)) == 0, "%s and %s", same[i][1], same[i][3]);
        }
}

Test(address_values, different_sockets_have_different_bytes) {
        static const char *const different[][4] = {
                { "tcp", ":80", "tcp6", ":80" },
                { "tcp", ":80", "tcp4", ":80" },
                { "tcp", ":80", "udp", ":80" },
                { "tcp", ":80", "tcp", ":80-81" },
                { "udp", "[fe80::1%2]:80", "udp", "[fe80::1%lo]:80" },
                { "unix", "@x", "unixgram", "@x" },
                { "unix", "/x", "unix", "@x" },
                { "unix", "@x", "unix", "@xx" },
        };

        for (size_t i = 0; i < ELEMENTS(different); i++) {
                Address a = address_kit_parse(different[i][0], different[i][1]);
                Address b = address_kit_parse(different[i][2], different[i][3]);

                cr_expect(memcmp(&a, &b, sizeof(a)) != 0, "%s and %s", different[i][1], different[i][3]);
        }
}

/* What getsockname() and accept() say of an IPv6 socket that serves IPv4. */
Test(address_values, s3_9_mapped_address_becomes_that_of_ipv4) {
        static const char *const others[] = { "::", "::1", "fe80::1", "::127.0.0.1",
                                              "fd00::ffff:1.2.3.4" };
        struct sockaddr_storage ss = { 0 };
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
        Address mapped = address_kit_parse("tcp", "[::]:0"), plain, before;

        *in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(80) };
        for (size_t i = 0; i < ELEMENTS(others); i++) {
                cr_assert(eq(int, inet_pton(AF_INET6, others[i], &in6->sin6_addr), 1));
                address_set_sockaddr(&mapped, &ss, sizeof(*in6));
                before = mapped;
                address_unmap(&mapped);
                cr_assert(zero(int, memcmp(&mapped, &before, sizeof(mapped))), "%s", others[i]);
        }
        cr_assert(eq(int, inet_pton(AF_INET6, "::ffff:127.0.0.1", &in6->sin6_addr), 1));
        address_set_sockaddr(&mapped, &ss, sizeof(*in6));
        address_unmap(&mapped);
        plain = address_kit_parse("tcp4", "127.0.0.1:80");
        cr_assert(zero(int, memcmp(&mapped, &plain, sizeof(mapped))));
        address_unmap(&mapped);
        cr_assert(zero(int, memcmp(&mapped, &plain, sizeof(mapped))));
        mapped = plain = address_kit_parse("unix", "@x");
        address_unmap(&mapped);
        cr_assert(zero(int, memcmp(&mapped, &plain, sizeof(mapped))));
}

Test(address_values, s3_6_fills_in_sockaddr) {
        Address a = address_kit_parse("tcp", "1.2.3.4:80");

        cr_assert(eq(int, address_family(&a), AF_INET));
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_in)));
        cr_assert(eq(int, a.u.in.sin_port, htons(80)));
        cr_assert(eq(int, (int)a.u.in.sin_addr.s_addr, (int)htonl(0x01020304)));
        cr_assert(not(a.ipv6_only));

        a = address_kit_parse("udp", "[fe80::1%lo]:80");
        cr_assert(eq(int, address_family(&a), AF_INET6));
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_in6)));
        cr_assert(eq(int, a.u.in6.sin6_port, htons(80)));
        cr_assert(eq(int, (int)a.u.in6.sin6_scope_id, (int)if_nametoindex("lo")));
        cr_assert(a.ipv6_only);

        a = address_kit_parse("tcp", ":80");
        cr_assert(eq(int, address_family(&a), AF_INET6));
        cr_assert(not(a.ipv6_only));
}

Test(address_values, raw_ip_has_no_port) {
        const struct sockaddr_in said_by_the_kernel = { .sin_family = AF_INET, .sin_port = htons(89) };
        const struct sockaddr_in6 of_ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(89) };
        struct sockaddr_storage ss = { 0 };
        Address a = address_kit_parse("ip4:89", ""), b;

        cr_assert(address_is_raw(&a));
        cr_assert(address_is_ip(&a));
        cr_assert(not(address_has_port(&a)));
        cr_assert(eq(int, address_socket_type(&a), SOCK_RAW));
        cr_assert(eq(int, address_protocol(&a), 89));
        address_set_port(&a, 80);
        cr_assert(zero(int, address_port(&a)));
        memcpy(&b, &a, sizeof(b));
        memcpy(&ss, &said_by_the_kernel, sizeof(said_by_the_kernel));
        address_set_sockaddr(&b, &ss, sizeof(said_by_the_kernel));
        cr_assert(zero(int, memcmp(&a, &b, sizeof(a))));

        a = address_kit_parse("ip6:89", "");
        memcpy(&b, &a, sizeof(b));
        memcpy(&ss, &of_ipv6, sizeof(of_ipv6));
        address_set_sockaddr(&b, &ss, sizeof(of_ipv6));
        cr_assert(zero(int, memcmp(&a, &b, sizeof(a))));
        a = address_kit_parse("tcp4", ":80");
        cr_assert(not(address_is_raw(&a)));
        cr_assert(address_has_port(&a));
        a = address_kit_parse("vsock", ":80");
        cr_assert(not(address_has_port(&a)));
}

Test(address_values, who_listens_and_who_has_packets) {
        static const struct {
                const char *network, *address;
                bool listens, packets;
        } cases[] = {
                { "tcp", ":80", true, false },       { "sctp", ":80", true, false },
                { "udp", ":80", false, true },       { "udplite", ":80", false, true },
                { "ip4:1", "", false, true },        { "vsock", ":80", true, false },
                { "unix", "@x", true, false },       { "unixgram", "@x", false, false },
                { "unixpacket", "@x", true, false },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Address a = address_kit_parse(cases[i].network, cases[i].address);

                cr_expect(eq(int, address_listens(&a), cases[i].listens), "%s", cases[i].network);
                cr_expect(eq(int, address_has_packets(&a), cases[i].packets), "%s", cases[i].network);
        }
}

Test(address_values, fills_in_vsock_sockaddr) {
        Address a = address_kit_parse("vsock", "3:70000");

        cr_assert(eq(int, address_family(&a), AF_VSOCK));
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_vm)));
        cr_assert(eq(u32, a.u.vm.svm_cid, 3));
        cr_assert(eq(u32, a.u.vm.svm_port, 70000));
        cr_assert(address_is_vsock(&a));
        /* It has no port as those of IP, to be read or to be set. */
        address_set_port(&a, 80);
        cr_assert(zero(int, address_port(&a)));
        cr_assert(eq(u32, a.u.vm.svm_port, 70000));

        a = address_kit_parse("vsock", ":");
        cr_assert(eq(u32, a.u.vm.svm_cid, VMADDR_CID_ANY));
        cr_assert(eq(u32, a.u.vm.svm_port, VMADDR_PORT_ANY));
        a = address_kit_parse("unix", "@x");
        cr_assert(not(address_is_vsock(&a)));
}

Test(address_values, fills_in_unix_sockaddr) {
        Address a = address_kit_parse("unix", "/run/x");

        cr_assert(eq(int, address_family(&a), AF_UNIX));
        cr_assert(eq(int, (int)a.len, offsetof(struct sockaddr_un, sun_path) + sizeof("/run/x")));
        cr_assert(memcmp(a.u.un.sun_path, "/run/x", sizeof("/run/x")) == 0);

        a = address_kit_parse("unix", "@name");
        cr_assert(eq(int, (int)a.len, offsetof(struct sockaddr_un, sun_path) + 1 + strlen("name")));
        cr_assert(memcmp(a.u.un.sun_path, "\0name", 1 + strlen("name")) == 0);

        a = address_kit_parse("unix", "/123456" HUNDRED);
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_un)));
        a = address_kit_parse("unix", "@1234567" HUNDRED);
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_un)));
}

Test(address_values, socket_types) {
        static const struct {
                const char *network;
                const char *address;
                int type;
                bool ip;
                bool path;
        } cases[] = {
                { "tcp", ":80", SOCK_STREAM, true, false },
                { "tcp4", ":80", SOCK_STREAM, true, false },
                { "udp", ":80", SOCK_DGRAM, true, false },
                { "udp6", ":80", SOCK_DGRAM, true, false },
                { "vsock", ":80", SOCK_STREAM, false, false },
                { "unix", "@x", SOCK_STREAM, false, false },
                { "unixgram", "@/x", SOCK_DGRAM, false, false },
                { "unixpacket", "@x", SOCK_SEQPACKET, false, false },
                { "unix", "/x", SOCK_STREAM, false, true },
                { "unixgram", "/x", SOCK_DGRAM, false, true },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Address a = address_kit_parse(cases[i].network, cases[i].address);

                cr_expect(eq(int, address_socket_type(&a), cases[i].type), "%s", cases[i].network);
                cr_expect(eq(int, address_is_ip(&a), cases[i].ip), "%s", cases[i].network);
                cr_expect(eq(int, address_is_path(&a), cases[i].path), "%s", cases[i].network);
                cr_expect(zero(u32, address_zone(&a)));
        }
}

Test(address_values, zone_by_name_and_by_number) {
        Address a = address_kit_parse("udp6", "[fe80::1%lo]:80"),
                b = address_kit_parse("udp6", "[fe80::1%77]:80");

        cr_assert(eq(u32, address_zone(&a), if_nametoindex("lo")));
        cr_assert(eq(u32, address_zone(&b), 77));
}

/* ---- another network namespace ------------------------------------------------------------------- */

static const char *zone_refusal(const char *text, const AddressFamilies *families) {
        const char *reason = "";
        Address address;

        cr_assert(eq(int, address_parse("udp6", text, families, &address, &reason), ADDRESS_E_INVALID),
                  "%s", text);
        return reason;
}

static void expect_zone(const char *text, const AddressFamilies *families, uint32_t zone,
                        const char *formatted) {
        const char *reason = "";
        char buffer[ADDRESS_TEXT_MAX];
        Address address;

        cr_assert(zero(int, address_parse("udp6", text, families, &address, &reason)), "%s: %s", text,
                  reason);
        cr_assert(eq(u32, address_zone(&address), zone), "%s", text);
        cr_assert(eq(str, (char *)address_format(&address, buffer), (char *)formatted));
}

/* The socket is of this namespace, for want of another; it is asked all the same. */
Test(address_values, zones_of_another_network_namespace) {
        _cleanup_(fd_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
        const AddressFamilies there = { .ipv6 = true, .elsewhere = true, .interfaces = fd };
        static const char *const none[] = {
                "[fe80::1%nope]:80",       "[fe80::1%lo:1]:80",        "[fe80::1%0]:80",
                "[fe80::1%2147483648]:80", "[fe80::1%" HUNDRED "]:80", "[fe80::1%abcdefghijklmnop]:80"
        };

        for (size_t i = 0; i < ELEMENTS(none); i++)
                cr_expect(strstr(zone_refusal(none[i], &there), "of that network namespace") != NULL,
                          "%s", none[i]);
        cr_expect(strstr(zone_refusal("[fe80::1]:80", &there), "means nothing") != NULL);
        cr_expect(strstr(zone_refusal("[fe80::1%]:80", &there), "means nothing") != NULL);
        expect_zone("[::1%nope]:80", &there, 0, "[::1]:80");
        expect_zone("[fe80::1%lo]:80", &there, 1, "[fe80::1%1]:80");
        expect_zone("[fe80::1%1]:80", &there, 1, "[fe80::1%1]:80");
        expect_zone("[fe80::1%77]:80", &there, 77, "[fe80::1%77]:80");
        cr_assert(eq(u32, address_interface(&there, "lo"), if_nametoindex("lo")));
        cr_assert(zero(u32, address_interface(&there, "nope")));
        cr_assert(eq(u32, address_interface(&address_kit_all, "lo"), if_nametoindex("lo")));
}

/* As of one that is not entered. A number is what it is. */
Test(address_values, zones_that_nobody_knows) {
        static const AddressFamilies there = { .ipv6 = true, .elsewhere = true, .interfaces = -1 };

        cr_expect(strstr(zone_refusal("[fe80::1%]:80", &there), "means nothing") != NULL);
        cr_expect(strstr(zone_refusal("[fe80::1]:80", &there), "means nothing") != NULL);
        expect_zone("[::1%lo]:80", &there, 0, "[::1]:80");
        expect_zone("[fe80::1%lo]:80", &there, 0, "[fe80::1]:80");
        expect_zone("[fe80::1%77]:80", &there, 77, "[fe80::1%77]:80");
        cr_assert(zero(u32, address_interface(&there, "lo")));
}

Test(address_values, wildcard_and_multicast) {
        static const struct {
                const char *network;
                const char *address;
                bool wildcard;
                bool multicast;
        } cases[] = {
                { "tcp", "0.0.0.1:80", false, false },
                { "tcp", "[::1]:80", false, false },
                { "udp", "223.255.255.255:80", false, false },
                { "udp", "240.0.0.0:80", false, false },
                { "udp", "[feff::1]:80", false, false },
                { "unix", "@x", false, false },
                { "unix", "/x", false, false },
                { "tcp", ":80", true, false },
                { "tcp4", ":80", true, false },
                { "tcp6", ":80", true, false },
                { "udp", "224.0.0.0:80", false, true },
                { "udp", "239.255.255.255:80", false, true },
                { "udp", "[ff00::]:80", false, true },
                { "udp", "[ffff::1]:80", false, true },
                { "udp", "[::ffff:224.0.0.1]:80", false, true },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Address a = address_kit_parse(cases[i].network, cases[i].address);

                cr_expect(eq(int, address_is_wildcard(&a), cases[i].wildcard), "%s", cases[i].address);
                cr_expect(eq(int, address_is_multicast(&a), cases[i].multicast), "%s", cases[i].address);
        }
}

Test(address_values, set_port) {
        static const char *const cases[][3] = {
                { "tcp", "1.2.3.4:80-90", "1.2.3.4:85" },
                { "tcp", "[::1]:0", "[::1]:85" },
                { "udp", ":80", "[::]:85" },
        };
        Address a, b;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                a = address_kit_parse(cases[i][0], cases[i][1]);
                b = address_kit_parse(cases[i][0], cases[i][2]);
                address_set_port(&a, 85);
                cr_expect(eq(int, address_port(&a), 85), "%s", cases[i][1]);
                cr_expect(memcmp(&a, &b, sizeof(a)) == 0, "%s", cases[i][1]);
        }

        a = b = address_kit_parse("unix", "@x");
        address_set_port(&a, 85);
        cr_assert(eq(int, address_port(&a), 0));
        cr_assert(memcmp(&a, &b, sizeof(a)) == 0);
}

/* What the kernel says of a socket bound to a parsed address is that address, byte for byte. */
Test(address_values, set_sockaddr_from_the_kernel) {
        char name[64];
        const char *const cases[][2] = {
                { "udp4", "127.0.0.1:" },
                { "tcp4", "127.0.0.1:" },
                { "unix", name },
                { "udp6", "[::1]:" },
        };
        int n_fds = leaks_count_fds();

        snprintf(name, sizeof(name), "@reuseportd-test-address-%d", getpid());
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Address a = address_kit_parse(cases[i][0], cases[i][1]), before = a;
                _cleanup_(fd_closep) int fd = -1;
                struct sockaddr_storage ss;
                socklen_t len = sizeof(ss);

                fd = socket(address_family(&a), address_socket_type(&a) | SOCK_CLOEXEC, 0);
                if (fd < 0 || bind(fd, &a.u.sa, a.len) < 0) {
                        cr_assert(address_family(&a) == AF_INET6, "%s", cases[i][0]);
                        continue;
                }
                memset(&ss, 0xff, sizeof(ss));
                cr_assert(eq(int, getsockname(fd, (struct sockaddr *)&ss, &len), 0));
                address_set_sockaddr(&a, &ss, len);

                cr_expect(eq(int, address_port(&a) != 0, address_is_ip(&a)), "%s", cases[i][0]);
                cr_expect(eq(int, a.port_first, address_port(&a)), "%s", cases[i][0]);
                cr_expect(eq(int, a.port_last, address_port(&a)), "%s", cases[i][0]);
                address_set_port(&before, address_port(&a));
                cr_expect(memcmp(&a, &before, sizeof(a)) == 0, "%s", cases[i][0]);
                expect_consistent(&a, &address_kit_all);
        }
        cr_assert(eq(int, leaks_count_fds(), n_fds));
}

Test(address_values, set_sockaddr_path) {
        Address a = address_kit_parse("unixgram", "@a-name-longer-than-the-path"),
                b = address_kit_parse("unixgram", "/x");
        const size_t path_offset = offsetof(struct sockaddr_un, sun_path);
        char text[ADDRESS_TEXT_MAX];
        struct sockaddr_storage ss;

        memset(&ss, 0xff, sizeof(ss));
        memcpy(&ss, &b.u, b.len);
        address_set_sockaddr(&a, &ss, b.len);
        cr_assert(memcmp(&a, &b, sizeof(a)) == 0);

        /* Other programs may fill sun_path to the last byte; getsockname() then counts one more. */
        memset((char *)&ss + path_offset, 'p', sizeof(ss) - path_offset);
        address_set_sockaddr(&a, &ss, sizeof(struct sockaddr_un) + 1);
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_un)));
        cr_assert(eq(int, (int)strlen(address_format(&a, text)), sizeof(a.u.un.sun_path)));

        address_set_sockaddr(&a, &ss, path_offset);
        cr_assert(eq(int, (int)strlen(address_format(&a, text)), 0));
}

/* Interface names may hold almost any byte; one that an address cannot hold is printed as its index. */
Test(address_values, zone_with_a_strange_name) {
        static const char *const names[] = { "a]b", "[", "a\x01", "\xff" };
        _cleanup_(fd_closep) int fd = -1;
        char previous[IFNAMSIZ] = "lo", text[ADDRESS_TEXT_MAX];

        if (unshare(CLONE_NEWNET) < 0)
                cr_skip_test("needs the right to make a network namespace");
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(fd >= 0);

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                struct ifreq request = { 0 };
                Address a;

                strcpy(request.ifr_name, previous);
                strcpy(request.ifr_newname, names[i]);
                strcpy(previous, names[i]);
                cr_assert(eq(int, ioctl(fd, SIOCSIFNAME, &request), 0));

                a = address_kit_parse("tcp6", "[fe80::1%1]:80");
                cr_expect(strcmp(address_format(&a, text), "[fe80::1%1]:80") == 0, "%s", text);
                expect_consistent(&a, &address_kit_all);
                expect_refusal("tcp6", "[fe80::1%lo]:80", &address_kit_all, ADDRESS_E_INVALID,
                               "no such zone");
        }
}
