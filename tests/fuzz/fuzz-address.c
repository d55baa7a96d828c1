/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Any text as the address of every network, on hosts of every kind, and as a network. Whatever is taken
 * must have one form: written out and read again it is the same address, to the last byte.
 */

#include "proto/address.h"

#include "proto/limits.h"
#include "tests/fuzz/fuzz.h"

static const char *const networks[] = { "tcp",   "tcp4",  "tcp6",     "udp",        "udp4",
                                        "udp6",  "unix",  "unixgram", "unixpacket", "sctp",
                                        "vsock", "ip:89", "ip4:1",    "ip6:58" };

static const AddressFamilies hosts[] = {
        { .ipv4 = true, .ipv6 = true, .mapped = true },
        { .ipv4 = true, .ipv6 = true },
        { .ipv4 = true },
        { .ipv6 = true, .mapped = true },
        { .ipv6 = true },
        /* No socket: it knows of no interface, so of zones there are numbers alone. */
        { .ipv6 = true, .elsewhere = true, .interfaces = 0 },
};

static void expect_sound(const Address *address, const AddressFamilies *host) {
        int family = address_family(address);
        uint16_t port = address_port(address);

        fuzz_expect(family == AF_INET || family == AF_INET6 || family == AF_UNIX || family == AF_VSOCK);
        fuzz_expect(address->len <= sizeof(address->u));
        fuzz_expect(family != AF_INET || host->ipv4);
        fuzz_expect(family != AF_INET6 || host->ipv6);
        fuzz_expect(address->port_first <= address->port_last);
        fuzz_expect(address->port_last - address->port_first < PORT_RANGE_MAX);
        if (address->port_first == address->port_last)
                fuzz_expect(port == address->port_first);
        else
                fuzz_expect(port == 0);
        if (family == AF_INET6)
                fuzz_expect(!IN6_IS_ADDR_V4MAPPED(&address->u.in6.sin6_addr));
        fuzz_expect(!address_is_wildcard(address) || !address_is_multicast(address));
        fuzz_expect(address_socket_type(address) > 0);
}

static void try_parse(const char *network, const char *text, const AddressFamilies *host) {
        char first[ADDRESS_TEXT_MAX], second[ADDRESS_TEXT_MAX];
        const char *reason = NULL;
        Address address, again;
        int r = address_parse(network, text, host, &address, &reason);

        if (r != 0) {
                fuzz_expect(r > 0 && reason && *reason);
                return;
        }
        expect_sound(&address, host);
        /* Of a range, the text has the port that was chosen. */
        if (address.port_first < address.port_last)
                address_set_port(&address, address.port_first);
        address_format(&address, first);
        fuzz_expect(strlen(first) < ADDRESS_TEXT_MAX);
        fuzz_expect(address_parse(address_network(&address, (char[NETWORK_TEXT_MAX]){ 0 }), first, host,
                                  &again, &reason) == 0);
        fuzz_expect(memcmp(&address, &again, sizeof(address)) == 0);
        fuzz_expect(strcmp(address_format(&again, second), first) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = fuzz_copy((const char *)data, size);

        for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
                for (size_t j = 0; j < sizeof(networks) / sizeof(networks[0]); j++)
                        try_parse(networks[j], text, &hosts[i]);
                try_parse(text, "127.0.0.1:80", &hosts[i]);
        }
        free(text);
        return 0;
}
