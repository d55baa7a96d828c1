/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Every address form in tables: what is refused and with which reason, what is accepted and how it is
 * printed. All that is accepted must print as text that parses to the same bytes.
 */

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
#include "proto/limits.h"
#include "tests/unit/address-kit.h"
#include "tests/unit/leaks.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

typedef struct NetworkRefusal {
        int answer;
        const char *networks[20];
} NetworkRefusal;

/* Addresses of one network that are refused for one reason, of which a fragment is given. */
typedef struct Refusal {
        const char *network;
        const char *fragment;
        const char *addresses[20];
} Refusal;

typedef struct Acceptance {
        const char *network;
        const char *address;
        const char *canonical_network;
        const char *canonical_address;
        uint16_t first;
        uint16_t last;
} Acceptance;

/* An outcome that depends on the host: the canonical form, or, without a network, the reason. */
typedef struct HostCase {
        const char *network;
        const char *address;
        const char *canonical_network;
        const char *text;
} HostCase;

static const AddressFamilies not_mapped = { .ipv4 = true, .ipv6 = true };
static const AddressFamilies no_ipv6 = { .ipv4 = true };
static const AddressFamilies no_ipv4 = { .ipv6 = true };
static const AddressFamilies no_ipv4_mapped = { .ipv6 = true, .mapped = true };
static const AddressFamilies nothing;

static const NetworkRefusal networks_refused[] = {
        { ADDRESS_E_NETWORK_UNKNOWN,
          { "", "ip", "ip4", "ip:", "ip4:", "ip5:1", "TCP", "tcp ", " tcp", "tcp:80", "tcp5", "tcp46",
            "tc", "unix4", "vsock4", "mptcp:", HUNDRED HUNDRED HUNDRED } },
        { ADDRESS_E_NETWORK_UNKNOWN,
          { "ip6", "ip6:", "ip46:1", "ipx:1", "IP:1", "ip4 :1", "ip:256", "ip4:-1", "ip4:+1", "ip4: 1",
            "ip4:1 ", "ip4:0x1", "ip4:icm", "ip4:icmpx", "ip6:1:2" } },
        { ADDRESS_E_NETWORK_UNKNOWN,
          { "ip4:99999999999999999999", "ip4:ipv6icmp", "tcp:icmp", "vsock:1" } },
        { ADDRESS_E_NETWORK_REFUSED, { "ip:255", "ip4:255", "ip6:0255" } },
};

static const Refusal ip_refused[] = {
        { "tcp",
          "missing port in address",
          { "127.0.0.1", "80", "localhost", "/run/x", "[", "[::1]", "[::1]80", "[::1]x:80",
            "[fe80::1]%lo:80" } },
        { "tcp", "missing ']' in address", { "[::1", "[::1:80", "[:" } },
        { "tcp",
          "too many colons in address",
          { "::", "::1", "::1:80", "fe80::1%lo:80", "127.0.0.1:80:81", "127.0.0.1::80", "[::1]:80:81",
            "[::1]::80" } },
        { "tcp", "unexpected '[' in address", { "[[::1]:80", "[::1]:[80", "a[b:80", "127.0.0.1:[80]" } },
        { "tcp", "unexpected ']' in address", { "127.0.0.1]:80", "[::1]:80]", ":80]" } },
        { "tcp", "service names are not looked up", { ":http" } },
        { "tcp",
          "port is not a number",
          { "127.0.0.1:80a", ":+", ":++80", ":+-80", ":-1", ": 80", ":80 ", ":80\n", ":0x50", ":8e3",
            ":\xd9\xa8", ":-", ":80-", ":-80", ":80--90", ":80-90-100", ":80 - 90", ":80-http" } },
        { "tcp",
          "above 65535",
          { ":65536", ":99999", ":65000-65536", ":4294967376", ":18446744073709551696" } },
        { "tcp", "port range starts at 0", { ":0-0", ":0-80" } },
        { "tcp", "port range is backwards", { ":81-80", ":80-0" } },
        { "tcp", "port range is too large", { ":1-65535", ":1000-5096" } },
        { "tcp",
          "host names are not looked up",
          { "example.org:80", "localhost.:80", "localhos:80", "localhost6:80", "*:80", "-:80",
            " 127.0.0.1:80", "127.0.0.1 :80", "0x7f000001:80", "127.0.0.1/8:80" } },
        { "tcp",
          "not an IPv4 address",
          { "127.1:80", "2130706433:80", "127.0.0.01:80", "127.0.0.256:80", "127.0.0.1.:80",
            "127.0.0.1.1:80", ".:80" } },
        { "tcp",
          "not an IPv6 address",
          { "[:]:80", "[:::]:80", "[1::2::3]:80", "[1:2:3:4:5:6:7]:80", "[1:2:3:4:5:6:7:8:9]:80",
            "[::12345]:80", "[::g]:80", "[::ffff:1.2.3]:80", "[ ::1]:80", "[::1/64]:80" } },
        { "tcp",
          "belongs to an IPv6 address",
          { "127.0.0.1%lo:80", "[127.0.0.1%lo]:80", "0.0.0.0%lo:80", "localhost%lo:80", "%%lo:80",
            "127.0.0.1%:80", "[localhost%]:80" } },
        { "tcp", "host names are not looked up", { "%lo:80", "[%lo]:80", "%:80", "[%]:80" } },
        { "tcp",
          "not an IPv6 address",
          { "[::1%lo%lo]:80", "[::1%%]:80", "[::1%%lo]:80", "[fe80::1%lo%x]:80", "[::g%lo]:80" } },
        { "tcp", "too many colons in address", { "::1%lo:80" } },
        { "tcp",
          "means nothing without its interface",
          { "[fe80::1]:80", "[FEBF::1]:0", "[fe80::1]:1-9", "[fe80::1%]:80" } },
        { "udp6",
          "means nothing without its interface",
          { "[ff01::1]:80", "[ff02::fb]:5353", "[ff12::fb]:5353" } },
        { "tcp",
          "no such zone",
          { "[fe80::1%lo:]:80", "[fe80::1%lo:1]:80", "[fe80::1%0]:80", "[fe80::1%-1]:80",
            "[fe80::1%1 ]:80", "[fe80::1%1x]:80", "[fe80::1%2147483648]:80", "[fe80::1%4294967297]:80",
            "[fe80::1%99999999999999999999999]:80", "[fe80::1%no/such]:80",
            "[fe80::1%a-name-longer-than-any-interface]:80" } },
        { "tcp", "too long", { HUNDRED HUNDRED ":80", "127.0.0.1:" HUNDRED HUNDRED } },
        { "tcp4",
          "IPv6 address on a network of IPv4",
          { "[::1]:80", "[::1%lo]:80", "[2001:db8::1]:80" } },
        { "udp4", "IPv6 address on a network of IPv4", { "[fe80::1%lo]:80" } },
        { "tcp6",
          "IPv4 address on a network of IPv6",
          { "127.0.0.1:80", "0.0.0.0:80", "[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4%lo]:80" } },
        { "udp6", "IPv4 address on a network of IPv6", { "[::ffff:0.0.0.0]:80" } },
        { "udp", "missing port in address", { "127.0.0.1" } },
        { "udp6", "port is not a number", { "[::1]:x" } },
};

static const Refusal unix_refused[] = {
        { "unix", "not a UNIX address", { "", "run/x", "./x", " /run/x", "127.0.0.1:80" } },
        { "unix", "abstract name is empty", { "@" } },
        { "unix", "empty component", { "/", "//", "//run/x", "/run//x", "/run/x/" } },
        { "unix", "'.' or '..'", { "/.", "/..", "/run/./x", "/run/../x" } },
        { "unixgram", "'.' or '..'", { "/run/x/.." } },
        { "unix", "control character", { "/run/x\n", "/run/\x01x", "/run/\x7f", "@a\tb" } },
        { "unixpacket", "control character", { "@\x1b[2J" } },
        { "unix", "too long", { "/1234567" HUNDRED, "@12345678" HUNDRED } },
        { "unixpacket", "too long", { "/" HUNDRED HUNDRED HUNDRED } },
};

static const Refusal raw_refused[] = {
        { "ip4:1", "not an IPv4 address", { "127.1", "127.0.0.1.", "1", "127.0.0.256" } },
        { "ip:1",
          "not an IPv6 address",
          { "127.0.0.1:80", ":", ":80", "[::1]", "[::1]:80", "::1:", ":::" } },
        { "ip4:icmp",
          "host names are not looked up",
          { "example.org", "*", "127.0.0.1/8", "@x", "/x" } },
        { "ip4:icmp", "IPv6 address on a network of IPv4", { "::1", "2001:db8::1" } },
        { "ip6:58", "IPv4 address on a network of IPv6", { "127.0.0.1", "0.0.0.0", "::ffff:1.2.3.4" } },
        { "ip6:58", "means nothing without its interface", { "fe80::1", "ff02::1" } },
        { "ip6:58", "belongs to an IPv6 address", { "127.0.0.1%lo", "localhost%lo" } },
        { "ip6:58", "host names are not looked up", { "%lo" } },
        { "ip:1", "too long", { HUNDRED HUNDRED } },
};

static const Refusal vsock_refused[] = {
        { "vsock", "missing port in address", { "", "*", "2", "2.80" } },
        { "vsock",
          "not a context identifier",
          { "host:80", "**:80", "-1:80", "+1:80", " 1:80", "0x2:80", "4294967296:80", "127.0.0.1:80",
            "[::1]:80", "99999999999:80", HUNDRED ":80", "\x01:80" } },
        { "vsock",
          "not a port of vsock",
          { "2:http", "2:80-81", ":-1", ":+80", ": 80", ":80 ", ":80:", "2::", "2:3:80", ":4294967296",
            ":99999999999", ":" HUNDRED HUNDRED } },
};

static const Acceptance accepted[] = {
        { "ip4:icmp", "127.0.0.1", "ip4:1", "127.0.0.1", 0, 0 },
        { "ip4:ICMP", "", "ip4:1", "0.0.0.0", 0, 0 },
        { "ip4:1", "::", "ip4:1", "0.0.0.0", 0, 0 },
        { "ip4:1", "::ffff:1.2.3.4", "ip4:1", "1.2.3.4", 0, 0 },
        { "ip:89", "10.0.0.1", "ip4:89", "10.0.0.1", 0, 0 },
        { "ip:089", "localhost", "ip4:89", "127.0.0.1", 0, 0 },
        { "ip:ospf", "", "ip6:89", "::", 0, 0 },
        { "ip:icmp", "0.0.0.0", "ip6:1", "::", 0, 0 },
        { "ip:ipv6-icmp", "::1", "ip6:58", "::1", 0, 0 },
        { "ip6:58", "", "ip6:58", "::", 0, 0 },
        { "ip6:58", "localhost", "ip6:58", "::1", 0, 0 },
        { "ip6:58", "fe80::1%lo", "ip6:58", "fe80::1%lo", 0, 0 },
        { "ip6:58", "::1%lo", "ip6:58", "::1", 0, 0 },
        { "ip:58", "::%lo", "ip6:58", "::", 0, 0 },
        { "ip6:58", "ff02::1%1", "ip6:58", "ff02::1%lo", 0, 0 },
        { "ip4:254", "224.0.0.5", "ip4:254", "224.0.0.5", 0, 0 },
        { "ip4:0", "127.0.0.1", "ip4:0", "127.0.0.1", 0, 0 },
        { "vsock", ":", "vsock", "*:0", 0, 0 },
        { "vsock", ":0", "vsock", "*:0", 0, 0 },
        { "vsock", "*:000", "vsock", "*:0", 0, 0 },
        { "vsock", "*:4294967295", "vsock", "*:0", 0, 0 },
        { "vsock", ":80", "vsock", "*:80", 0, 0 },
        { "vsock", "4294967295:80", "vsock", "*:80", 0, 0 },
        { "vsock", "2:", "vsock", "2:0", 0, 0 },
        { "vsock", "1:4294967294", "vsock", "1:4294967294", 0, 0 },
        { "vsock", "0:65536", "vsock", "0:65536", 0, 0 },
        { "vsock", "0000000003:0000000080", "vsock", "3:80", 0, 0 },
        { "tcp", "127.0.0.1:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp4", "127.0.0.1:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "udp", "127.0.0.1:53", "udp4", "127.0.0.1:53", 53, 53 },
        { "udp4", "255.255.255.255:53", "udp4", "255.255.255.255:53", 53, 53 },
        { "tcp", "127.0.0.1:0", "tcp4", "127.0.0.1:0", 0, 0 },
        { "tcp", "127.0.0.1:", "tcp4", "127.0.0.1:0", 0, 0 },
        { "tcp", "127.0.0.1:65535", "tcp4", "127.0.0.1:65535", 65535, 65535 },
        { "tcp", "127.0.0.1:00080", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "127.0.0.1:0000000080", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "127.0.0.1:+80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "127.0.0.1:00000", "tcp4", "127.0.0.1:0", 0, 0 },
        { "tcp", "127.0.0.1:8000-8010", "tcp4", "127.0.0.1:0", 8000, 8010 },
        { "tcp", "127.0.0.1:00001-00002", "tcp4", "127.0.0.1:0", 1, 2 },
        { "tcp", "127.0.0.1:80-80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "127.0.0.1:1-4096", "tcp4", "127.0.0.1:0", 1, 4096 },
        { "tcp", "127.0.0.1:61440-65535", "tcp4", "127.0.0.1:0", 61440, 65535 },
        { "tcp", "[127.0.0.1]:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "localhost:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "LocalHost:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp4", "localhost:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "udp6", "localhost:80", "udp6", "[::1]:80", 80, 80 },
        { "tcp", "[::ffff:127.0.0.1]:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "[::ffff:7f00:1]:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp4", "[::ffff:127.0.0.1]:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "[::ffff:127.0.0.1%lo]:80", "tcp4", "127.0.0.1:80", 80, 80 },
        { "tcp", "[::%lo]:80", "tcp", "[::]:80", 80, 80 },
        { "tcp4", "[::%nope]:80", "tcp4", "0.0.0.0:80", 80, 80 },
        { "tcp6", "[::%lo]:80", "tcp6", "[::]:80", 80, 80 },
        { "tcp", "[::ffff:0.0.0.0%lo]:80", "tcp", "[::]:80", 80, 80 },
        { "tcp", "[::1%lo]:80", "tcp6", "[::1]:80", 80, 80 },
        { "tcp", "[::1%]:80", "tcp6", "[::1]:80", 80, 80 },
        { "udp6", "[2001:db8::1%nope]:80", "udp6", "[2001:db8::1]:80", 80, 80 },
        { "udp6", "[::1%a name that is longer than any of an interface]:80", "udp6", "[::1]:80", 80,
          80 },
        { "udp", "[ff05::1%lo]:80", "udp6", "[ff05::1]:80", 80, 80 },
        { "tcp", ":80", "tcp", "[::]:80", 80, 80 },
        { "tcp", ":", "tcp", "[::]:0", 0, 0 },
        { "tcp", "", "tcp", "[::]:0", 0, 0 },
        { "udp4", "", "udp4", "0.0.0.0:0", 0, 0 },
        { "tcp", "[]:80", "tcp", "[::]:80", 80, 80 },
        { "tcp", ":8000-8001", "tcp", "[::]:0", 8000, 8001 },
        { "tcp", "0.0.0.0:80", "tcp", "[::]:80", 80, 80 },
        { "tcp", "[::]:80", "tcp", "[::]:80", 80, 80 },
        { "tcp", "[0:0:0:0:0:0:0:0]:80", "tcp", "[::]:80", 80, 80 },
        { "tcp", "[::ffff:0.0.0.0]:80", "tcp", "[::]:80", 80, 80 },
        { "udp", ":53", "udp", "[::]:53", 53, 53 },
        { "udp", "0.0.0.0:53", "udp", "[::]:53", 53, 53 },
        { "tcp4", ":80", "tcp4", "0.0.0.0:80", 80, 80 },
        { "tcp4", "0.0.0.0:80", "tcp4", "0.0.0.0:80", 80, 80 },
        { "tcp4", "[::]:80", "tcp4", "0.0.0.0:80", 80, 80 },
        { "udp4", "[::ffff:0.0.0.0]:80", "udp4", "0.0.0.0:80", 80, 80 },
        { "tcp6", ":80", "tcp6", "[::]:80", 80, 80 },
        { "tcp6", "[::]:80", "tcp6", "[::]:80", 80, 80 },
        { "udp6", ":", "udp6", "[::]:0", 0, 0 },
        { "tcp", "[::1]:80", "tcp6", "[::1]:80", 80, 80 },
        { "tcp6", "[::1]:80", "tcp6", "[::1]:80", 80, 80 },
        { "tcp", "[::1]:", "tcp6", "[::1]:0", 0, 0 },
        { "tcp", "[::1]:80-90", "tcp6", "[::1]:0", 80, 90 },
        { "tcp", "[2001:DB8:0:0::1]:443", "tcp6", "[2001:db8::1]:443", 443, 443 },
        { "tcp", "[::1.2.3.4]:80", "tcp6", "[::1.2.3.4]:80", 80, 80 },
        { "tcp", "[1111:2222:3333:4444:5555:6666:123.123.123.123]:61440-65535", "tcp6",
          "[1111:2222:3333:4444:5555:6666:7b7b:7b7b]:0", 61440, 65535 },
        { "tcp", "[fe80::1%lo]:80", "tcp6", "[fe80::1%lo]:80", 80, 80 },
        { "tcp", "[fe80::1%1]:80", "tcp6", "[fe80::1%lo]:80", 80, 80 },
        { "tcp6", "[fe80::1%0001]:80", "tcp6", "[fe80::1%lo]:80", 80, 80 },
        { "tcp", "[febf::1%lo]:80", "tcp6", "[febf::1%lo]:80", 80, 80 },
        { "udp", "[ff02::fb%lo]:5353", "udp6", "[ff02::fb%lo]:5353", 5353, 5353 },
        { "udp", "[ff01::fb%1]:5353", "udp6", "[ff01::fb%lo]:5353", 5353, 5353 },
        { "udp6", "[ff02::fb%2147483647]:5353", "udp6", "[ff02::fb%2147483647]:5353", 5353, 5353 },
        { "udp", "[ff05::2]:5353", "udp6", "[ff05::2]:5353", 5353, 5353 },
        { "udp", "239.255.255.250:1900", "udp4", "239.255.255.250:1900", 1900, 1900 },
        { "mptcp", "127.0.0.1:80", "mptcp4", "127.0.0.1:80", 80, 80 },
        { "mptcp6", ":80", "mptcp6", "[::]:80", 80, 80 },
        { "sctp", ":80", "sctp", "[::]:80", 80, 80 },
        { "sctp4", "127.0.0.1:80-81", "sctp4", "127.0.0.1:0", 80, 81 },
        { "udplite", "[::1]:80", "udplite6", "[::1]:80", 80, 80 },
        { "udplite4", ":", "udplite4", "0.0.0.0:0", 0, 0 },
        { "unix", "/run/x", "unix", "/run/x", 0, 0 },
        { "unix", "/x", "unix", "/x", 0, 0 },
        { "unix", "/run/.hidden/..x/...", "unix", "/run/.hidden/..x/...", 0, 0 },
        { "unix", "/run/a b@c:[d]%e", "unix", "/run/a b@c:[d]%e", 0, 0 },
        { "unix", "/run/\xc3\xbc", "unix", "/run/\xc3\xbc", 0, 0 },
        { "unixgram", "/run/x", "unixgram", "/run/x", 0, 0 },
        { "unixpacket", "/run/x", "unixpacket", "/run/x", 0, 0 },
        { "unix", "@x", "unix", "@x", 0, 0 },
        { "unix", "@@", "unix", "@@", 0, 0 },
        { "unixgram", "@/run//..", "unixgram", "@/run//..", 0, 0 },
        { "unixpacket", "@x y", "unixpacket", "@x y", 0, 0 },
        { "unix", "/123456" HUNDRED, "unix", "/123456" HUNDRED, 0, 0 },
        { "unix", "@1234567" HUNDRED, "unix", "@1234567" HUNDRED, 0, 0 },
};

TestSuite(address, .timeout = 10);

static void expect_any_outcome(const char *network, const char *address, size_t n) {
        const char *reason = NULL;
        Address parsed;
        int r;

        r = parse_exactly(network, address, n, &address_kit_all, &parsed, &reason);
        if (r == 0)
                expect_consistent(&parsed, &address_kit_all);
        else
                cr_assert(r <= ADDRESS_E_INVALID && reason != NULL);
}

static void expect_refusals(const Refusal *table, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (const char *const *address = table[i].addresses; *address; address++)
                        expect_refusal(table[i].network, *address, &address_kit_all, ADDRESS_E_INVALID,
                                       table[i].fragment);
}

static void expect_host_cases(const HostCase *table, size_t n, const AddressFamilies *families) {
        for (size_t i = 0; i < n; i++) {
                const HostCase *row = &table[i];
                char text[ADDRESS_TEXT_MAX];
                const char *reason = NULL;
                Address parsed;
                int r;

                if (!row->canonical_network) {
                        expect_refusal(row->network, row->address, families, ADDRESS_E_INVALID,
                                       row->text);
                        continue;
                }

                r = address_parse(row->network, row->address, families, &parsed, &reason);
                cr_assert(eq(int, r, 0), "%s %s: %s", row->network, row->address, reason);
                cr_expect(strcmp(address_network(&parsed, (char[NETWORK_TEXT_MAX]){ 0 }),
                                 row->canonical_network) == 0,
                          "%s %s: %s", row->network, row->address,
                          address_network(&parsed, (char[NETWORK_TEXT_MAX]){ 0 }));
                cr_expect(strcmp(address_format(&parsed, text), row->text) == 0, "%s %s: %s",
                          row->network, row->address, text);
                expect_consistent(&parsed, families);
        }
}

Test(address, s3_1_refuses_networks) {
        for (size_t i = 0; i < ELEMENTS(networks_refused); i++)
                for (const char *const *network = networks_refused[i].networks; *network; network++)
                        expect_refusal(*network, "127.0.0.1:80", &address_kit_all,
                                       networks_refused[i].answer, "network");
}

Test(address, refuses_ip_addresses) {
        int n_fds = leaks_count_fds();

        expect_refusals(ip_refused, ELEMENTS(ip_refused));
        cr_assert(eq(int, leaks_count_fds(), n_fds));
}

Test(address, refuses_unix_addresses) {
        expect_refusals(raw_refused, ELEMENTS(raw_refused));
        expect_refusals(vsock_refused, ELEMENTS(vsock_refused));
        expect_refusals(unix_refused, ELEMENTS(unix_refused));
}

Test(address, refuses_every_control_character_in_unix_addresses) {
        for (int c = 1; c < 256; c++) {
                char path[] = { '/', 'r', (char)c, 'x', '\0' }, name[] = { '@', (char)c, '\0' };
                bool control = c < 0x20 || c == 0x7f;
                const char *reason;
                Address parsed;

                cr_expect(eq(int, address_parse("unix", path, &address_kit_all, &parsed, &reason) != 0,
                             control),
                          "%d", c);
                cr_expect(eq(int, address_parse("unix", name, &address_kit_all, &parsed, &reason) != 0,
                             control),
                          "%d", c);
        }
}

Test(address, host_without_ipv6) {
        static const HostCase cases[] = {
                { "tcp", "[::1]:80", NULL, "no IPv6" },
                { "udp", "[::]:80", NULL, "no IPv6" },
                { "tcp6", ":80", NULL, "no IPv6" },
                { "tcp6", "[::]:80", NULL, "no IPv6" },
                { "tcp6", "localhost:80", NULL, "no IPv6" },
                { "tcp", "[fe80::1%lo]:80", NULL, "no IPv6" },
                { "tcp6", "127.0.0.1:80", NULL, "IPv4 address on a network of IPv6" },
                { "tcp4", "[::1]:80", NULL, "IPv6 address on a network of IPv4" },
                { "tcp", ":80", "tcp4", "0.0.0.0:80" },
                { "udp", "0.0.0.0:80", "udp4", "0.0.0.0:80" },
                { "tcp", "[::ffff:0.0.0.0]:80", "tcp4", "0.0.0.0:80" },
                { "tcp", "[::ffff:1.2.3.4]:80", "tcp4", "1.2.3.4:80" },
                { "tcp", "localhost:80", "tcp4", "127.0.0.1:80" },
                { "tcp4", ":80", "tcp4", "0.0.0.0:80" },
                { "unix", "@x", "unix", "@x" },
        };

        expect_host_cases(cases, ELEMENTS(cases), &no_ipv6);
}

/* A wildcard is what it would be with IPv4, and serves IPv6. */
Test(address, s3_5_host_without_ipv4) {
        static const HostCase cases[] = {
                { "tcp", "127.0.0.1:80", NULL, "no IPv4" },
                { "udp", "0.0.0.0:80", "udp", "[::]:80" },
                { "tcp", "[::ffff:1.2.3.4]:80", NULL, "no IPv4" },
                { "tcp", "[::ffff:0.0.0.0]:80", "tcp", "[::]:80" },
                { "tcp4", ":80", NULL, "no IPv4" },
                { "tcp4", "localhost:80", NULL, "no IPv4" },
                { "tcp6", "127.0.0.1:80", NULL, "IPv4 address on a network of IPv6" },
                { "tcp", ":80", "tcp", "[::]:80" },
                { "tcp", "[::]:80", "tcp", "[::]:80" },
                { "tcp", "localhost:80", "tcp6", "[::1]:80" },
                { "udp", "[::1]:80", "udp6", "[::1]:80" },
                { "unixgram", "/run/x", "unixgram", "/run/x" },
        };

        expect_host_cases(cases, ELEMENTS(cases), &no_ipv4);
}

Test(address, s3_5_host_without_ipv4_yet_dual_stack) {
        static const HostCase cases[] = {
                { "tcp", "127.0.0.1:80", NULL, "no IPv4" },
                { "tcp4", ":80", NULL, "no IPv4" },
                { "tcp", ":80", "tcp", "[::]:80" },
                { "tcp", "0.0.0.0:80", "tcp", "[::]:80" },
                { "tcp", "localhost:80", "tcp6", "[::1]:80" },
        };

        expect_host_cases(cases, ELEMENTS(cases), &no_ipv4_mapped);
}

Test(address, s3_5_host_without_dual_stack) {
        static const HostCase cases[] = {
                { "tcp6", "0.0.0.0:80", NULL, "IPv4 address on a network of IPv6" },
                { "tcp4", "[::]:80", "tcp4", "0.0.0.0:80" },
                { "tcp", ":80", "tcp4", "0.0.0.0:80" },
                { "tcp", "0.0.0.0:80", "tcp4", "0.0.0.0:80" },
                { "udp", "[::ffff:0.0.0.0]:80", "udp4", "0.0.0.0:80" },
                { "tcp", "[::]:80", "tcp6", "[::]:80" },
                { "udp6", ":80", "udp6", "[::]:80" },
                { "tcp", "[::1]:80", "tcp6", "[::1]:80" },
                { "tcp", "localhost:80", "tcp4", "127.0.0.1:80" },
        };

        expect_host_cases(cases, ELEMENTS(cases), &not_mapped);
}

Test(address, host_without_ip) {
        static const HostCase cases[] = {
                { "tcp", ":80", NULL, "no IPv6" },  { "tcp", "localhost:80", NULL, "no IPv6" },
                { "tcp4", ":80", NULL, "no IPv4" }, { "udp", "1.2.3.4:80", NULL, "no IPv4" },
                { "udp6", ":80", NULL, "no IPv6" }, { "unix", "/run/x", "unix", "/run/x" },
        };

        expect_host_cases(cases, ELEMENTS(cases), &nothing);
}

Test(address, survives_every_prefix) {
        for (size_t i = 0; i < ELEMENTS(accepted); i++) {
                const char *network = accepted[i].network, *address = accepted[i].address;

                for (size_t n = 0; n <= strlen(address); n++)
                        expect_any_outcome(network, address, n);
                for (size_t n = 0; n <= strlen(network); n++) {
                        _cleanup_(freep) char *prefix = strndup(network, n);

                        cr_assert(prefix != NULL);
                        expect_any_outcome(prefix, address, strlen(address));
                }
        }
}

static uint32_t random_next(uint32_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        return *state;
}

Test(address, survives_random_strings) {
        static const char *const pieces[] = {
                "1",    "0",    "80",        "-",         ":",     "::",    "[",    "]",   "%",
                "lo",   "fe80", ".",         "/",         "@",     "f",     "ffff", "..",  "\x7f",
                "\xff", " ",    "localhost", "127.0.0.1", "[::",   "]:",    "]:80", "%lo", "[fe80:",
                "",     "ff02", "255",       "65",        TEN TEN, HUNDRED,
        };
        static const char *const names[] = { "tcp", "tcp4", "tcp6", "udp", "udp6", "unix", "unixgram" };
        uint32_t state = 20240229;

        for (int i = 0; i < 20000; i++) {
                const char *network = names[random_next(&state) % ELEMENTS(names)];
                size_t n_pieces = random_next(&state) % 9;
                char text[9 * sizeof(HUNDRED)] = "";

                for (size_t p = 0; p < n_pieces; p++)
                        strcat(text, pieces[random_next(&state) % ELEMENTS(pieces)]);
                expect_any_outcome(network, text, strlen(text));
        }
}

Test(address, survives_random_bytes) {
        uint32_t state = 19700101;

        for (int i = 0; i < 5000; i++) {
                char text[160];
                size_t n = random_next(&state) % sizeof(text);

                for (size_t b = 0; b < n; b++)
                        text[b] = (char)(1 + random_next(&state) % 255);
                expect_any_outcome(i % 2 ? "tcp" : "unix", text, n);
                text[0] = '/';
                expect_any_outcome("unixpacket", text, n);
        }
}

Test(address, accepts) {
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(accepted); i++) {
                const Acceptance *row = &accepted[i];
                char text[ADDRESS_TEXT_MAX];
                const char *reason = "";
                Address parsed;
                int r;

                memset(&parsed, 0xff, sizeof(parsed));
                r = parse_exactly(row->network, row->address, strlen(row->address), &address_kit_all,
                                  &parsed, &reason);
                cr_assert(eq(int, r, 0), "%s %s: %s", row->network, row->address, reason);
                cr_expect(strcmp(address_network(&parsed, (char[NETWORK_TEXT_MAX]){ 0 }),
                                 row->canonical_network) == 0,
                          "%s %s: %s", row->network, row->address,
                          address_network(&parsed, (char[NETWORK_TEXT_MAX]){ 0 }));
                cr_expect(strcmp(address_format(&parsed, text), row->canonical_address) == 0,
                          "%s %s: %s", row->network, row->address, text);
                cr_expect(eq(int, parsed.port_first, row->first), "%s %s", row->network, row->address);
                cr_expect(eq(int, parsed.port_last, row->last), "%s %s", row->network, row->address);
                expect_consistent(&parsed, &address_kit_all);
        }
        cr_assert(eq(int, leaks_count_fds(), n_fds));
}

Test(address, s3_5_wildcards_of_raw_ip) {
        static const HostCase without_mapped[] = {
                { "ip:1", "", "ip4:1", "0.0.0.0" },
                { "ip:1", "0.0.0.0", "ip4:1", "0.0.0.0" },
                { "ip:1", "::", "ip6:1", "::" },
        };
        static const HostCase without_ipv6[] = {
                { "ip:1", "", "ip4:1", "0.0.0.0" },
                { "ip6:1", "", NULL, "this host has no IPv6" },
        };

        expect_host_cases(without_mapped, ELEMENTS(without_mapped), &not_mapped);
        expect_host_cases(without_ipv6, ELEMENTS(without_ipv6), &no_ipv6);
}
