/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Every address form in tables: what is refused and with which reason, what is accepted and how it is
 * printed. All that is accepted must print as text that parses to the same bytes.
 */

#include "proto/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
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

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

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

static const AddressFamilies all = { .ipv4 = true, .ipv6 = true, .mapped = true };
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
          "link-local IPv6 address only",
          { "127.0.0.1%lo:80", "localhost%lo:80", "%lo:80", "[%lo]:80", "[::%lo]:80", "[::1%lo]:80",
            "[::ffff:1.2.3.4%lo]:80", "[2001:db8::1%lo]:80" } },
        { "udp", "link-local IPv6 address only", { "[ff05::1%lo]:80", "[ff0e::1%lo]:80" } },
        { "tcp",
          "means nothing without its interface",
          { "[fe80::1]:80", "[FEBF::1]:0", "[fe80::1]:1-9" } },
        { "udp6",
          "means nothing without its interface",
          { "[ff01::1]:80", "[ff02::fb]:5353", "[ff12::fb]:5353" } },
        { "tcp",
          "no such zone",
          { "[fe80::1%]:80", "[fe80::1%0]:80", "[fe80::1%-1]:80", "[fe80::1%1 ]:80", "[fe80::1%%lo]:80",
            "[fe80::1%2147483648]:80", "[fe80::1%4294967297]:80", "[fe80::1%99999999999999999999999]:80",
            "[fe80::1%no/such]:80", "[fe80::1%a-name-longer-than-any-interface]:80" } },
        { "tcp", "too long", { HUNDRED HUNDRED ":80", "127.0.0.1:" HUNDRED HUNDRED } },
        { "tcp4", "IPv6 address on a network of IPv4", { "[::1]:80", "[2001:db8::1]:80" } },
        { "udp4", "IPv6 address on a network of IPv4", { "[fe80::1%lo]:80" } },
        { "tcp6",
          "IPv4 address on a network of IPv6",
          { "127.0.0.1:80", "0.0.0.0:80", "[::ffff:1.2.3.4]:80" } },
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
        { "ip6:58", "link-local IPv6 address only", { "::1%lo", "%lo" } },
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

static int count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        int n = 0;

        cr_assert(dir != NULL);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

/* What is accepted prints as text that means the same, to the byte, and consists of sane values. */
static void expect_consistent(const Address *address, const AddressFamilies *families) {
        char text[ADDRESS_TEXT_MAX], again_text[ADDRESS_TEXT_MAX];
        Address chosen = *address, again;
        const char *reason = "";
        int r;

        cr_assert(address->port_first <= address->port_last);
        cr_assert(address->port_last - address->port_first < PORT_RANGE_MAX);
        if (address->port_first != address->port_last) {
                cr_assert(eq(int, address_port(address), 0));
                address_set_port(&chosen, address->port_last);
        }

        address_format(&chosen, text);
        memset(&again, 0xff, sizeof(again));
        r = address_parse(address_network(&chosen, (char[NETWORK_TEXT_MAX]){ 0 }), text, families,
                          &again, &reason);
        cr_assert(eq(int, r, 0), "%s %s: %s", address_network(&chosen, (char[NETWORK_TEXT_MAX]){ 0 }),
                  text, reason);
        cr_assert(memcmp(&chosen, &again, sizeof(again)) == 0, "%s %s",
                  address_network(&chosen, (char[NETWORK_TEXT_MAX]){ 0 }), text);
        cr_assert(strcmp(text, address_format(&again, again_text)) == 0);
}

/* Parses a copy that ends exactly at its NUL, so that a sanitizer sees each byte read behind it. */
static int parse_exactly(const char *network, const char *address, size_t n,
                         const AddressFamilies *families, Address *ret, const char **ret_reason) {
        _cleanup_(freep) char *copy = strndup(address, n);

        cr_assert(copy != NULL);
        return address_parse(network, copy, families, ret, ret_reason);
}

static void expect_any_outcome(const char *network, const char *address, size_t n) {
        const char *reason = NULL;
        Address parsed;
        int r;

        r = parse_exactly(network, address, n, &all, &parsed, &reason);
        if (r == 0)
                expect_consistent(&parsed, &all);
        else
                cr_assert(r <= ADDRESS_E_INVALID && reason != NULL);
}

/* A refusal gives a reason, says what to give instead, and writes nothing. */
static void expect_refusal(const char *network, const char *address, const AddressFamilies *families,
                           int answer, const char *fragment) {
        const char *reason = NULL;
        Address parsed, before;
        int r;

        memset(&parsed, 0x5a, sizeof(parsed));
        memset(&before, 0x5a, sizeof(before));
        r = parse_exactly(network, address, strlen(address), families, &parsed, &reason);

        cr_expect(eq(int, r, answer), "%s %s", network, address);
        cr_assert(reason != NULL, "%s %s", network, address);
        cr_expect(strstr(reason, fragment) && strstr(reason, "; give "), "%s %s: %s", network, address,
                  reason);
        cr_expect(memcmp(&parsed, &before, sizeof(parsed)) == 0, "%s %s: written to", network, address);
}

static void expect_refusals(const Refusal *table, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (const char *const *address = table[i].addresses; *address; address++)
                        expect_refusal(table[i].network, *address, &all, ADDRESS_E_INVALID,
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

static Address parse(const char *network, const char *text) {
        const char *reason = "";
        Address parsed;
        int r;

        r = address_parse(network, text, &all, &parsed, &reason);
        cr_assert(eq(int, r, 0), "%s %s: %s", network, text, reason);
        return parsed;
}

Test(address, refuses_networks) {
        for (size_t i = 0; i < ELEMENTS(networks_refused); i++)
                for (const char *const *network = networks_refused[i].networks; *network; network++)
                        expect_refusal(*network, "127.0.0.1:80", &all, networks_refused[i].answer,
                                       "network");
}

Test(address, refuses_ip_addresses) {
        int n_fds = count_fds();

        expect_refusals(ip_refused, ELEMENTS(ip_refused));
        cr_assert(eq(int, count_fds(), n_fds));
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

                cr_expect(eq(int, address_parse("unix", path, &all, &parsed, &reason) != 0, control),
                          "%d", c);
                cr_expect(eq(int, address_parse("unix", name, &all, &parsed, &reason) != 0, control),
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

Test(address, host_without_ipv4) {
        static const HostCase cases[] = {
                { "tcp", "127.0.0.1:80", NULL, "no IPv4" },
                { "udp", "0.0.0.0:80", NULL, "no IPv4" },
                { "tcp", "[::ffff:1.2.3.4]:80", NULL, "no IPv4" },
                { "tcp", "[::ffff:0.0.0.0]:80", NULL, "no IPv4" },
                { "tcp4", ":80", NULL, "no IPv4" },
                { "tcp4", "localhost:80", NULL, "no IPv4" },
                { "tcp6", "127.0.0.1:80", NULL, "IPv4 address on a network of IPv6" },
                { "tcp", ":80", "tcp6", "[::]:80" },
                { "tcp", "[::]:80", "tcp6", "[::]:80" },
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
        int n_fds = count_fds();

        for (size_t i = 0; i < ELEMENTS(accepted); i++) {
                const Acceptance *row = &accepted[i];
                char text[ADDRESS_TEXT_MAX];
                const char *reason = "";
                Address parsed;
                int r;

                memset(&parsed, 0xff, sizeof(parsed));
                r = parse_exactly(row->network, row->address, strlen(row->address), &all, &parsed,
                                  &reason);
                cr_assert(eq(int, r, 0), "%s %s: %s", row->network, row->address, reason);
                cr_expect(strcmp(address_network(&parsed, (char[NETWORK_TEXT_MAX]){ 0 }),
                                 row->canonical_network) == 0,
                          "%s %s: %s", row->network, row->address,
                          address_network(&parsed, (char[NETWORK_TEXT_MAX]){ 0 }));
                cr_expect(strcmp(address_format(&parsed, text), row->canonical_address) == 0,
                          "%s %s: %s", row->network, row->address, text);
                cr_expect(eq(int, parsed.port_first, row->first), "%s %s", row->network, row->address);
                cr_expect(eq(int, parsed.port_last, row->last), "%s %s", row->network, row->address);
                expect_consistent(&parsed, &all);
        }
        cr_assert(eq(int, count_fds(), n_fds));
}

Test(address, s3_9_equal_sockets_have_equal_bytes) {
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
                cr_assert(eq(int, address_parse(same[i][0], same[i][1], &all, &a, &reason), 0));
                cr_assert(eq(int, address_parse(same[i][2], same[i][3], &all, &b, &reason), 0));
                cr_expect(memcmp(&a, &b, sizeof(a)) == 0, "%s and %s", same[i][1], same[i][3]);
        }
}

Test(address, different_sockets_have_different_bytes) {
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
                Address a = parse(different[i][0], different[i][1]);
                Address b = parse(different[i][2], different[i][3]);

                cr_expect(memcmp(&a, &b, sizeof(a)) != 0, "%s and %s", different[i][1], different[i][3]);
        }
}

Test(address, s3_6_fills_in_sockaddr) {
        Address a = parse("tcp", "1.2.3.4:80");

        cr_assert(eq(int, address_family(&a), AF_INET));
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_in)));
        cr_assert(eq(int, a.u.in.sin_port, htons(80)));
        cr_assert(eq(int, (int)a.u.in.sin_addr.s_addr, (int)htonl(0x01020304)));
        cr_assert(not(a.ipv6_only));

        a = parse("udp", "[fe80::1%lo]:80");
        cr_assert(eq(int, address_family(&a), AF_INET6));
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_in6)));
        cr_assert(eq(int, a.u.in6.sin6_port, htons(80)));
        cr_assert(eq(int, (int)a.u.in6.sin6_scope_id, (int)if_nametoindex("lo")));
        cr_assert(a.ipv6_only);

        a = parse("tcp", ":80");
        cr_assert(eq(int, address_family(&a), AF_INET6));
        cr_assert(not(a.ipv6_only));
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

Test(address, raw_ip_has_no_port) {
        const struct sockaddr_in said_by_the_kernel = { .sin_family = AF_INET, .sin_port = htons(89) };
        const struct sockaddr_in6 of_ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(89) };
        struct sockaddr_storage ss = { 0 };
        Address a = parse("ip4:89", ""), b;

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

        a = parse("ip6:89", "");
        memcpy(&b, &a, sizeof(b));
        memcpy(&ss, &of_ipv6, sizeof(of_ipv6));
        address_set_sockaddr(&b, &ss, sizeof(of_ipv6));
        cr_assert(zero(int, memcmp(&a, &b, sizeof(a))));
        a = parse("tcp4", ":80");
        cr_assert(not(address_is_raw(&a)));
        cr_assert(address_has_port(&a));
        a = parse("vsock", ":80");
        cr_assert(not(address_has_port(&a)));
}

Test(address, who_listens_and_who_has_packets) {
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
                Address a = parse(cases[i].network, cases[i].address);

                cr_expect(eq(int, address_listens(&a), cases[i].listens), "%s", cases[i].network);
                cr_expect(eq(int, address_has_packets(&a), cases[i].packets), "%s", cases[i].network);
        }
}

Test(address, fills_in_vsock_sockaddr) {
        Address a = parse("vsock", "3:70000");

        cr_assert(eq(int, address_family(&a), AF_VSOCK));
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_vm)));
        cr_assert(eq(u32, a.u.vm.svm_cid, 3));
        cr_assert(eq(u32, a.u.vm.svm_port, 70000));
        cr_assert(address_is_vsock(&a));
        /* It has no port as those of IP, to be read or to be set. */
        address_set_port(&a, 80);
        cr_assert(zero(int, address_port(&a)));
        cr_assert(eq(u32, a.u.vm.svm_port, 70000));

        a = parse("vsock", ":");
        cr_assert(eq(u32, a.u.vm.svm_cid, VMADDR_CID_ANY));
        cr_assert(eq(u32, a.u.vm.svm_port, VMADDR_PORT_ANY));
        a = parse("unix", "@x");
        cr_assert(not(address_is_vsock(&a)));
}

Test(address, fills_in_unix_sockaddr) {
        Address a = parse("unix", "/run/x");

        cr_assert(eq(int, address_family(&a), AF_UNIX));
        cr_assert(eq(int, (int)a.len, offsetof(struct sockaddr_un, sun_path) + sizeof("/run/x")));
        cr_assert(memcmp(a.u.un.sun_path, "/run/x", sizeof("/run/x")) == 0);

        a = parse("unix", "@name");
        cr_assert(eq(int, (int)a.len, offsetof(struct sockaddr_un, sun_path) + 1 + strlen("name")));
        cr_assert(memcmp(a.u.un.sun_path, "\0name", 1 + strlen("name")) == 0);

        a = parse("unix", "/123456" HUNDRED);
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_un)));
        a = parse("unix", "@1234567" HUNDRED);
        cr_assert(eq(int, (int)a.len, sizeof(struct sockaddr_un)));
}

Test(address, socket_types) {
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
                Address a = parse(cases[i].network, cases[i].address);

                cr_expect(eq(int, address_socket_type(&a), cases[i].type), "%s", cases[i].network);
                cr_expect(eq(int, address_is_ip(&a), cases[i].ip), "%s", cases[i].network);
                cr_expect(eq(int, address_is_path(&a), cases[i].path), "%s", cases[i].network);
                cr_expect(zero(u32, address_zone(&a)));
        }
}

Test(address, zone_by_name_and_by_number) {
        Address a = parse("udp6", "[fe80::1%lo]:80"), b = parse("udp6", "[fe80::1%77]:80");

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
Test(address, zones_of_another_network_namespace) {
        _cleanup_(fd_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
        const AddressFamilies there = { .ipv6 = true, .elsewhere = true, .interfaces = fd };
        static const char *const none[] = {
                "[fe80::1%]:80",           "[fe80::1%nope]:80",        "[fe80::1%0]:80",
                "[fe80::1%2147483648]:80", "[fe80::1%" HUNDRED "]:80", "[fe80::1%abcdefghijklmnop]:80"
        };

        for (size_t i = 0; i < ELEMENTS(none); i++)
                cr_expect(strstr(zone_refusal(none[i], &there), "of that network namespace") != NULL,
                          "%s", none[i]);
        cr_expect(strstr(zone_refusal("[fe80::1]:80", &there), "means nothing") != NULL);
        cr_expect(strstr(zone_refusal("[::1%lo]:80", &there), "link-local IPv6 address only") != NULL);
        expect_zone("[fe80::1%lo]:80", &there, 1, "[fe80::1%1]:80");
        expect_zone("[fe80::1%1]:80", &there, 1, "[fe80::1%1]:80");
        expect_zone("[fe80::1%77]:80", &there, 77, "[fe80::1%77]:80");
        cr_assert(eq(u32, address_interface(&there, "lo"), if_nametoindex("lo")));
        cr_assert(zero(u32, address_interface(&there, "nope")));
        cr_assert(eq(u32, address_interface(&all, "lo"), if_nametoindex("lo")));
}

/* As of one that is not entered. A number is what it is. */
Test(address, zones_that_nobody_knows) {
        static const AddressFamilies there = { .ipv6 = true, .elsewhere = true, .interfaces = -1 };

        cr_expect(strstr(zone_refusal("[fe80::1%]:80", &there), "of that network namespace") != NULL);
        cr_expect(strstr(zone_refusal("[fe80::1]:80", &there), "means nothing") != NULL);
        expect_zone("[fe80::1%lo]:80", &there, 0, "[fe80::1]:80");
        expect_zone("[fe80::1%77]:80", &there, 77, "[fe80::1%77]:80");
        cr_assert(zero(u32, address_interface(&there, "lo")));
}

Test(address, wildcard_and_multicast) {
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
                Address a = parse(cases[i].network, cases[i].address);

                cr_expect(eq(int, address_is_wildcard(&a), cases[i].wildcard), "%s", cases[i].address);
                cr_expect(eq(int, address_is_multicast(&a), cases[i].multicast), "%s", cases[i].address);
        }
}

Test(address, set_port) {
        static const char *const cases[][3] = {
                { "tcp", "1.2.3.4:80-90", "1.2.3.4:85" },
                { "tcp", "[::1]:0", "[::1]:85" },
                { "udp", ":80", "[::]:85" },
        };
        Address a, b;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                a = parse(cases[i][0], cases[i][1]);
                b = parse(cases[i][0], cases[i][2]);
                address_set_port(&a, 85);
                cr_expect(eq(int, address_port(&a), 85), "%s", cases[i][1]);
                cr_expect(memcmp(&a, &b, sizeof(a)) == 0, "%s", cases[i][1]);
        }

        a = b = parse("unix", "@x");
        address_set_port(&a, 85);
        cr_assert(eq(int, address_port(&a), 0));
        cr_assert(memcmp(&a, &b, sizeof(a)) == 0);
}

/* What the kernel says of a socket bound to a parsed address is that address, byte for byte. */
Test(address, set_sockaddr_from_the_kernel) {
        char name[64];
        const char *const cases[][2] = {
                { "udp4", "127.0.0.1:" },
                { "tcp4", "127.0.0.1:" },
                { "unix", name },
                { "udp6", "[::1]:" },
        };
        int n_fds = count_fds();

        snprintf(name, sizeof(name), "@reuseportd-test-address-%d", getpid());
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Address a = parse(cases[i][0], cases[i][1]), before = a;
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
                expect_consistent(&a, &all);
        }
        cr_assert(eq(int, count_fds(), n_fds));
}

Test(address, set_sockaddr_path) {
        Address a = parse("unixgram", "@a-name-longer-than-the-path"), b = parse("unixgram", "/x");
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
Test(address, zone_with_a_strange_name) {
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

                a = parse("tcp6", "[fe80::1%1]:80");
                cr_expect(strcmp(address_format(&a, text), "[fe80::1%1]:80") == 0, "%s", text);
                expect_consistent(&a, &all);
                expect_refusal("tcp6", "[fe80::1%lo]:80", &all, ADDRESS_E_INVALID, "no such zone");
        }
}
