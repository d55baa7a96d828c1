/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Network names and address strings to socket addresses and back. Pure: no name is looked up and no
 * state kept. One exception: the zone of an IPv6 address asks the kernel for an interface, which does
 * not block.
 * The rules are those of Go's net package; docs/protocol.md has the table.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
/* It wants the one before. */
#include <linux/vm_sockets.h>

typedef enum Transport {
        TRANSPORT_TCP,
        TRANSPORT_MPTCP,
        TRANSPORT_SCTP, /* one association for each socket, as with TCP */
        TRANSPORT_UDP,
        TRANSPORT_UDPLITE,
        TRANSPORT_RAW, /* IP itself: of one protocol, without ports */
        /* From here on those without IP. */
        TRANSPORT_VSOCK,
        TRANSPORT_UNIX,
        TRANSPORT_UNIXGRAM,
        TRANSPORT_UNIXPACKET,
        _TRANSPORT_N,
} Transport;

/* What an IP stack can do, and whose it is; decides what "tcp" and "udp" without a digit mean, and what
 * a zone. Zero but for what it can do: this host's. */
typedef struct AddressFamilies {
        bool ipv4;
        bool ipv6;
        /* An IPv6 socket can serve IPv4 as well. Implies ipv6. */
        bool mapped;
        /* It is another network namespace than the calling thread's, */
        bool elsewhere;
        int interfaces; /* and a socket of it, borrowed, knows its interfaces; -1: nobody does */
} AddressFamilies;

/* Every byte that means nothing is zero, padding too: two equal addresses compare equal
 * with memcmp(). */
typedef struct Address {
        Transport transport;
        /* AF_INET6 only: the socket serves IPv6 alone. */
        bool ipv6_only;
        /* TRANSPORT_RAW only: IPPROTO_... */
        uint8_t protocol;
        /* It has a zone that is an interface of another network namespace: it is written as its index,
         * which is a name to nobody, as names are here. */
        bool zone_elsewhere;
        /* First and last port that will do. 0, 0: the broker chooses. Zero without ports of IP. */
        uint16_t port_first;
        uint16_t port_last;
        socklen_t len;
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
                struct sockaddr_un un;
                struct sockaddr_vm vm;
        } u;
} Address;

/* Enough for any address text: a UNIX path, or an IPv6 address with zone, brackets and port range. */
enum {
        ADDRESS_TEXT_MAX = 128,
        /* The name of any network. */
        NETWORK_TEXT_MAX = 16,
};

enum {
        _ADDRESS_E_SUCCESS,
        /* No such network. */
        ADDRESS_E_NETWORK_UNKNOWN,
        /* There is such a network, of which no sockets are made: the reason says why. */
        ADDRESS_E_NETWORK_REFUSED,
        /* The address does not fit the network; the reason says why. */
        ADDRESS_E_INVALID,
};

/*
 * Parses @network ("tcp", "udp6", "unix", ...) and @address into *@ret. With one port, the sockaddr
 * holds it; with a range or port 0 the sockaddr's port is 0 until address_set_port().
 * On an answer other than 0, *@ret_reason is a static text for people.
 * Returns 0, or ADDRESS_E_*.
 */
int address_parse(const char *network, const char *address, const AddressFamilies *families,
                  Address *ret, const char **ret_reason);

/* The network name that stands for exactly this kind of socket: tcp4, tcp6, tcp (dual-stack), udp...,
 * unix... Returns @buffer. */
const char *address_network(const Address *address, char buffer[static NETWORK_TEXT_MAX]);

/*
 * Writes the address as it is given to address_parse(); the port is the sockaddr's own. With the name
 * from address_network() it parses to the same Address again. Returns @buffer.
 */
const char *address_format(const Address *address, char buffer[static ADDRESS_TEXT_MAX]);

/* AF_UNSPEC never occurs in a parsed address. */
static inline int address_family(const Address *address) {
        return address->u.sa.sa_family;
}

/* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET or SOCK_RAW. */
int address_socket_type(const Address *address);

/* Whether connections are accepted from it. */
bool address_listens(const Address *address);

/* IPPROTO_..., as for socket(2); 0 without IP. */
int address_protocol(const Address *address);

/* TCP and what shares its ports: a socket of MPTCP is one of TCP underneath. */
bool address_is_tcp(const Address *address);

/* UDP and UDP-Lite. */
bool address_is_udp(const Address *address);

/* UDP and its like, and raw IP: shut down, they go on to receive. */
bool address_has_packets(const Address *address);

/* IPv4 and IPv6. */
bool address_is_ip(const Address *address);
/* AF_UNIX with a file, not an abstract name. */
bool address_is_path(const Address *address);
/* Packets of a protocol above IP. */
bool address_is_raw(const Address *address);
/* One of 16 bits, as IP has them but for raw IP. */
bool address_has_port(const Address *address);
/* Between virtual machines and their host. Its port has 32 bits and is in the sockaddr alone:
 * VMADDR_PORT_ANY if the kernel is to choose. */
bool address_is_vsock(const Address *address);
/* 0.0.0.0 or ::, dual-stack or not. */
bool address_is_wildcard(const Address *address);
/* 224.0.0.0/4 or ff00::/8. */
bool address_is_multicast(const Address *address);

/* fe80::/10 or, of multicast, ff01:: and ff02::, of which each interface has its own. */
bool address_is_of_link(const Address *address);

/* The interface that the zone of a link-local IPv6 address names; 0 for all others. */
uint32_t address_zone(const Address *address);

/* The index of the interface called @name, where @families are; 0: there is none, or nobody knows. */
uint32_t address_interface(const AddressFamilies *families, const char *name);

/* The sockaddr's port in host order; 0 if it has none. */
uint16_t address_port(const Address *address);

/* This very port from now on: the sockaddr's, and port_first and port_last. Nothing if it has none. */
void address_set_port(Address *address, uint16_t port);

/*
 * Takes over a sockaddr read from the kernel (getsockname), keeping everything else. Its port
 * becomes port_first and port_last.
 */
void address_set_sockaddr(Address *address, const struct sockaddr_storage *ss, socklen_t len);

/* An address of IPv4 that an IPv6 socket has (::ffff:1.2.3.4) becomes that of IPv4; others stay. */
void address_unmap(Address *address);
