/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Network names and address strings to socket addresses and back.
 *
 * An endpoint is found by comparing addresses, so each socket must have one form: whatever a client
 * writes for the same socket ("tcp" with ::ffff:1.2.3.4, "tcp4" with 1.2.3.4) comes out as the same
 * bytes. The internal steps return NULL, or the reason of a refusal as a static text.
 */

#include "proto/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/address-ip.h"
#include "proto/ip-protocol.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

#define NETWORKS                                                                                        \
        "tcp[46], udp[46], unix, unixgram, unixpacket, mptcp[46], sctp[46], "                           \
        "udplite[46], ip[46]:PROTOCOL or vsock"

/* The bytes of sun_path that name a socket: one is left for the NUL after a path or before a name. */
enum {
        UNIX_NAME_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1,
};

typedef struct Network {
        const char *name;
        Transport transport;
        /* AF_UNSPEC: the host of the address decides. */
        int family;
} Network;

/* Behind the names of raw IP there is a colon and a protocol. */
static const Network networks[] = {
        { "tcp", TRANSPORT_TCP, AF_UNSPEC },         { "tcp4", TRANSPORT_TCP, AF_INET },
        { "tcp6", TRANSPORT_TCP, AF_INET6 },         { "mptcp", TRANSPORT_MPTCP, AF_UNSPEC },
        { "mptcp4", TRANSPORT_MPTCP, AF_INET },      { "mptcp6", TRANSPORT_MPTCP, AF_INET6 },
        { "sctp", TRANSPORT_SCTP, AF_UNSPEC },       { "sctp4", TRANSPORT_SCTP, AF_INET },
        { "sctp6", TRANSPORT_SCTP, AF_INET6 },       { "udp", TRANSPORT_UDP, AF_UNSPEC },
        { "udp4", TRANSPORT_UDP, AF_INET },          { "udp6", TRANSPORT_UDP, AF_INET6 },
        { "udplite", TRANSPORT_UDPLITE, AF_UNSPEC }, { "udplite4", TRANSPORT_UDPLITE, AF_INET },
        { "udplite6", TRANSPORT_UDPLITE, AF_INET6 }, { "ip", TRANSPORT_RAW, AF_UNSPEC },
        { "ip4", TRANSPORT_RAW, AF_INET },           { "ip6", TRANSPORT_RAW, AF_INET6 },
        { "vsock", TRANSPORT_VSOCK, AF_VSOCK },      { "unix", TRANSPORT_UNIX, AF_UNIX },
        { "unixgram", TRANSPORT_UNIXGRAM, AF_UNIX }, { "unixpacket", TRANSPORT_UNIXPACKET, AF_UNIX },
};

static const struct {
        int type, protocol;
} sockets[_TRANSPORT_N] = {
        [TRANSPORT_TCP] = { SOCK_STREAM, IPPROTO_TCP },
        [TRANSPORT_MPTCP] = { SOCK_STREAM, IPPROTO_MPTCP },
        [TRANSPORT_SCTP] = { SOCK_STREAM, IPPROTO_SCTP },
        [TRANSPORT_UDP] = { SOCK_DGRAM, IPPROTO_UDP },
        [TRANSPORT_UDPLITE] = { SOCK_DGRAM, IPPROTO_UDPLITE },
        [TRANSPORT_RAW] = { SOCK_RAW, 0 },
        [TRANSPORT_VSOCK] = { SOCK_STREAM, 0 },
        [TRANSPORT_UNIX] = { SOCK_STREAM, 0 },
        [TRANSPORT_UNIXGRAM] = { SOCK_DGRAM, 0 },
        [TRANSPORT_UNIXPACKET] = { SOCK_SEQPACKET, 0 },
};

static const Network *network_of(Transport transport, int family) {
        for (size_t i = 0; i < ELEMENTS(networks); i++)
                if (networks[i].transport == transport && networks[i].family == family)
                        return &networks[i];
        return NULL;
}

/* *@ret_protocol: 0 without raw IP. */
static const Network *network_find(const char *name, uint8_t *ret_protocol) {
        const char *protocol;
        int family;

        *ret_protocol = 0;
        if (ip_network_split(name, &family, &protocol))
                return ip_protocol_parse(protocol, ret_protocol) ? network_of(TRANSPORT_RAW, family)
                                                                 : NULL;
        for (size_t i = 0; i < ELEMENTS(networks); i++)
                if (networks[i].transport != TRANSPORT_RAW && strcmp(name, networks[i].name) == 0)
                        return &networks[i];
        return NULL;
}

/* One file must have one name, or two endpoints could stand for it. Symbolic links are not seen here. */
static const char *path_check(const char *path) {
        while (*path != '\0') {
                const char *component = path + 1;
                size_t n = strcspn(component, "/");

                if (n == 0)
                        return "path has an empty component; give it without '//' and without '/' at "
                               "the end";
                if (strncmp(component, "..", n) == 0) /* "." too */
                        return "path has a component '.' or '..'; give it without";
                path = component + n;
        }
        return NULL;
}

static const char *unix_parse(const char *text, Address *address) {
        bool abstract = *text == '@';
        const char *name = abstract ? text + 1 : text, *reason;
        size_t n = strlen(name);

        if (!abstract && *text != '/')
                return "not a UNIX address; give an absolute path (/PATH) or an abstract name (@NAME)";
        if (n == 0)
                return "abstract name is empty and the kernel would choose one; give @NAME";
        if (n > UNIX_NAME_MAX)
                return "path or abstract name is too long; give at most 107 bytes";
        for (const char *p = name; *p != '\0'; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return "control character in a path or abstract name; give printable characters";

        if (!abstract) {
                reason = path_check(name);
                if (reason)
                        return reason;
        }

        /* A path takes its NUL along; an abstract name starts with one and is as long as @len says. */
        address->u.un.sun_family = AF_UNIX;
        address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
        memcpy(address->u.un.sun_path + abstract, name, n);
        return NULL;
}

/* Of 32 bits; nothing is the highest, as which the kernel takes any. */
static bool vsock_number_parse(const char *text, uint32_t *ret) {
        size_t n = strlen(text);
        unsigned long long number = UINT32_MAX;

        if (n > 0) {
                if (n > 10 || strspn(text, "0123456789") != n)
                        return false;
                number = strtoull(text, NULL, 10);
                if (number > UINT32_MAX)
                        return false;
        }
        *ret = (uint32_t)number;
        return true;
}

static const char *vsock_parse(const char *text, Address *address) {
        static_assert(VMADDR_CID_ANY == UINT32_MAX && VMADDR_PORT_ANY == UINT32_MAX,
                      "any is the highest");
        const char *colon = strchr(text, ':');
        char cid_text[16] = "";
        uint32_t cid, port;

        if (!colon)
                return "missing port in address; give CID:PORT or :PORT";
        if ((size_t)(colon - text) < sizeof(cid_text))
                memcpy(cid_text, text, (size_t)(colon - text));
        if ((colon != text && *cid_text == '\0') ||
            !vsock_number_parse(strcmp(cid_text, "*") == 0 ? "" : cid_text, &cid))
                return "not a context identifier of vsock; give a decimal number of 32 bits, or * for "
                       "any, before the colon";
        if (!vsock_number_parse(colon + 1, &port))
                return "not a port of vsock; give one decimal number of 32 bits; 0: the kernel chooses";

        address->u.vm.svm_family = AF_VSOCK;
        address->u.vm.svm_cid = cid;
        address->u.vm.svm_port = port > 0 ? port : VMADDR_PORT_ANY;
        address->len = sizeof(address->u.vm);
        return NULL;
}

static const char *text_parse(const Network *network, const char *text, const AddressFamilies *families,
                              Address *address) {
        switch (network->family) {
        case AF_UNIX:
                return unix_parse(text, address);
        case AF_VSOCK:
                return vsock_parse(text, address);
        default:
                return network->transport == TRANSPORT_RAW
                               ? address_parse_raw(text, network->family, families, address)
                               : address_parse_ip(text, network->family, families, address);
        }
}

int address_parse(const char *network, const char *address, const AddressFamilies *families,
                  Address *ret, const char **ret_reason) {
        uint8_t protocol;
        const Network *found = network_find(network, &protocol);
        const char *reason;
        Address parsed;

        if (!found) {
                *ret_reason = "unknown network; give " NETWORKS;
                return ADDRESS_E_NETWORK_UNKNOWN;
        }
        if (protocol == IPPROTO_RAW) {
                *ret_reason =
                        "nothing arrives on a network of protocol 255, which is there to forge headers; "
                        "give the one that is spoken";
                return ADDRESS_E_NETWORK_REFUSED;
        }

        memset(&parsed, 0, sizeof(parsed));
        parsed.transport = found->transport;
        parsed.protocol = protocol;
        reason = text_parse(found, address, families, &parsed);
        if (reason) {
                *ret_reason = reason;
                return ADDRESS_E_INVALID;
        }

        /* An assignment need not copy the padding. */
        memcpy(ret, &parsed, sizeof(parsed));
        return 0;
}

const char *address_network(const Address *address, char buffer[static NETWORK_TEXT_MAX]) {
        int family = address_family(address);
        const Network *network;

        if (family == AF_INET6 && !address->ipv6_only)
                family = AF_UNSPEC;
        network = network_of(address->transport, family);
        assert(network);
        if (address_is_raw(address))
                snprintf(buffer, NETWORK_TEXT_MAX, "%s:%u", network->name, address->protocol);
        else
                strcpy(buffer, network->name);
        return buffer;
}

/* A name that would not parse again, or not print, is given as its index; so is one that is gone. */
static void zone_format(const Address *address, char buffer[static IF_NAMESIZE]) {
        uint32_t scope = address->u.in6.sin6_scope_id;
        const char *name = address->zone_elsewhere ? NULL : if_indextoname(scope, buffer);

        for (const char *p = name; p && *p != '\0'; p++)
                if (*p <= 0x20 || *p >= 0x7f || *p == '[' || *p == ']')
                        name = NULL;
        if (!name)
                snprintf(buffer, IF_NAMESIZE, "%u", scope);
}

static void unix_format(const Address *address, char buffer[static ADDRESS_TEXT_MAX]) {
        const char *path = address->u.un.sun_path;
        size_t n = address->len - offsetof(struct sockaddr_un, sun_path);

        /* A socket that was never bound has no name at all. */
        if (n == 0)
                *buffer = '\0';
        else if (*path == '\0')
                snprintf(buffer, ADDRESS_TEXT_MAX, "@%.*s", (int)n - 1, path + 1);
        else
                snprintf(buffer, ADDRESS_TEXT_MAX, "%.*s", (int)n, path);
}

static void vsock_format(const Address *address, char buffer[static ADDRESS_TEXT_MAX]) {
        const struct sockaddr_vm *vm = &address->u.vm;
        char cid[16] = "*";

        if (vm->svm_cid != VMADDR_CID_ANY)
                snprintf(cid, sizeof(cid), "%u", vm->svm_cid);
        snprintf(buffer, ADDRESS_TEXT_MAX, "%s:%u", cid,
                 vm->svm_port != VMADDR_PORT_ANY ? vm->svm_port : 0);
}

const char *address_format(const Address *address, char buffer[static ADDRESS_TEXT_MAX]) {
        char host[INET6_ADDRSTRLEN], zone[IF_NAMESIZE] = "";
        bool raw = address_is_raw(address);

        switch (address_family(address)) {
        case AF_INET:
                inet_ntop(AF_INET, &address->u.in.sin_addr, host, sizeof(host));
                snprintf(buffer, ADDRESS_TEXT_MAX, raw ? "%s" : "%s:%u", host, address_port(address));
                break;
        case AF_INET6:
                inet_ntop(AF_INET6, &address->u.in6.sin6_addr, host, sizeof(host));
                if (address->u.in6.sin6_scope_id != 0)
                        zone_format(address, zone);
                snprintf(buffer, ADDRESS_TEXT_MAX, raw ? "%s%s%s" : "[%s%s%s]:%u", host,
                         *zone ? "%" : "", zone, address_port(address));
                break;
        case AF_VSOCK:
                vsock_format(address, buffer);
                break;
        default:
                unix_format(address, buffer);
        }
        return buffer;
}

int address_socket_type(const Address *address) {
        return sockets[address->transport].type;
}

bool address_listens(const Address *address) {
        return address_socket_type(address) == SOCK_STREAM ||
               address_socket_type(address) == SOCK_SEQPACKET;
}

int address_protocol(const Address *address) {
        return address_is_raw(address) ? address->protocol : sockets[address->transport].protocol;
}

bool address_is_tcp(const Address *address) {
        return address->transport == TRANSPORT_TCP || address->transport == TRANSPORT_MPTCP;
}

bool address_is_udp(const Address *address) {
        return address->transport == TRANSPORT_UDP || address->transport == TRANSPORT_UDPLITE;
}

bool address_has_packets(const Address *address) {
        return address_is_udp(address) || address_is_raw(address);
}

bool address_is_ip(const Address *address) {
        return address_family(address) == AF_INET || address_family(address) == AF_INET6;
}

bool address_is_path(const Address *address) {
        return address_family(address) == AF_UNIX && address->u.un.sun_path[0] != '\0';
}

bool address_is_raw(const Address *address) {
        return address->transport == TRANSPORT_RAW;
}

bool address_has_port(const Address *address) {
        return address_is_ip(address) && !address_is_raw(address);
}

bool address_is_vsock(const Address *address) {
        return address_family(address) == AF_VSOCK;
}

bool address_is_wildcard(const Address *address) {
        if (address_family(address) == AF_INET)
                return address->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
        return address_is_ip(address) && IN6_IS_ADDR_UNSPECIFIED(&address->u.in6.sin6_addr);
}

bool address_is_multicast(const Address *address) {
        if (address_family(address) == AF_INET)
                return IN_MULTICAST(ntohl(address->u.in.sin_addr.s_addr));
        return address_is_ip(address) && IN6_IS_ADDR_MULTICAST(&address->u.in6.sin6_addr);
}

uint32_t address_zone(const Address *address) {
        return address_family(address) == AF_INET6 ? address->u.in6.sin6_scope_id : 0;
}

uint16_t address_port(const Address *address) {
        if (address_family(address) == AF_INET)
                return ntohs(address->u.in.sin_port);
        return address_is_ip(address) ? ntohs(address->u.in6.sin6_port) : 0;
}

void address_set_port(Address *address, uint16_t port) {
        if (!address_has_port(address))
                return;
        if (address_family(address) == AF_INET)
                address->u.in.sin_port = htons(port);
        else
                address->u.in6.sin6_port = htons(port);
        address->port_first = address->port_last = port;
}

void address_set_sockaddr(Address *address, const struct sockaddr_storage *ss, socklen_t len) {
        /* getsockname() counts a NUL behind a path that fills sun_path, though it is not in there. */
        if (len > sizeof(address->u.un))
                len = sizeof(address->u.un);

        memset(&address->u, 0, sizeof(address->u));
        memcpy(&address->u, ss, len);
        address->len = len;
        /* There the kernel says the protocol once more. */
        if (address_is_raw(address) && address_family(address) == AF_INET)
                address->u.in.sin_port = 0;
        else if (address_is_raw(address))
                address->u.in6.sin6_port = 0;
        address->port_first = address->port_last = address_port(address);
}

void address_unmap(Address *address) {
        struct sockaddr_in in = { .sin_family = AF_INET };

        if (address_family(address) != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->u.in6.sin6_addr))
                return;
        in.sin_port = address->u.in6.sin6_port;
        memcpy(&in.sin_addr, &address->u.in6.sin6_addr.s6_addr[12], sizeof(in.sin_addr));
        memset(&address->u, 0, sizeof(address->u));
        address->u.in = in;
        address->len = sizeof(in);
}
