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
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#include "proto/ip-protocol.h"
#include "proto/limits.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))
#define DIGITS "0123456789"

#define FORMS "give HOST:PORT, [IPV6]:PORT or :PORT"
#define PORT_FORM "give a decimal number from 0 to 65535, or FIRST-LAST"

#define NETWORKS                                                                                        \
        "tcp[46], udp[46], unix, unixgram, unixpacket, mptcp[46], sctp[46], "                           \
        "udplite[46], ip[46]:PROTOCOL or vsock"

static_assert(PORT_RANGE_MAX == 4096, "the reason for a refusal names the number");

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

/* What stands before the port, before the network has its say about the family. */
typedef struct Host {
        /* AF_UNSPEC: an empty host or "localhost", which exist in both families. */
        int family;
        bool loopback;
        struct in_addr in;
        struct in6_addr in6;
        uint32_t scope;
} Host;

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

/* Cuts @text at the brackets and the last colon, and refuses what Go's SplitHostPort() refuses. */
static const char *split_host_port(char *text, char **ret_host, char **ret_port) {
        char *colon = strrchr(text, ':'), *host = text, *end = colon;

        if (!colon)
                return "missing port in address; " FORMS;

        if (*text == '[') {
                host = text + 1;
                end = strchr(host, ']');
                if (!end)
                        return "missing ']' in address; give [IPV6]:PORT";
                if (end[1] != ':')
                        return "missing port in address; give [IPV6]:PORT";
                if (end + 1 != colon)
                        return "too many colons in address; give [IPV6]:PORT";
        } else if (memchr(host, ':', (size_t)(colon - host)))
                return "too many colons in address; give [IPV6]:PORT, with the brackets, or HOST:PORT";

        if (strchr(host, '['))
                return "unexpected '[' in address; " FORMS;
        if (strchr(*text == '[' ? end + 1 : text, ']'))
                return "unexpected ']' in address; " FORMS;

        *end = '\0';
        *ret_host = host;
        *ret_port = colon + 1;
        return NULL;
}

/* As Go has it, with a '+' and as many zeros in front as one likes. */
static const char *port_parse(const char *text, uint16_t *ret) {
        const char *digits = *text == '+' ? text + 1 : text;
        unsigned long port;

        if (*digits == '\0' || digits[strspn(digits, DIGITS)] != '\0')
                return "port is not a number; " PORT_FORM " (service names are not looked up)";

        port = strtoul(digits, NULL, 10);
        if (port > UINT16_MAX)
                return "port is above 65535; " PORT_FORM;

        *ret = (uint16_t)port;
        return NULL;
}

static const char *ports_parse(char *text, uint16_t *ret_first, uint16_t *ret_last) {
        char *dash = strchr(text, '-');
        uint16_t first = 0, last;
        const char *reason;

        if (dash)
                *dash = '\0';
        if (dash || *text != '\0') {
                reason = port_parse(text, &first);
                if (reason)
                        return reason;
        }

        last = first;
        if (dash) {
                reason = port_parse(dash + 1, &last);
                if (reason)
                        return reason;
                if (first == 0)
                        return "port range starts at 0; give FIRST-LAST with FIRST at least 1, or port "
                               "0 alone";
                if (first > last)
                        return "port range is backwards; give FIRST-LAST with FIRST not above LAST";
                if (last - first >= PORT_RANGE_MAX)
                        return "port range is too large; give FIRST-LAST with at most 4096 ports";
        }

        *ret_first = first;
        *ret_last = last;
        return NULL;
}

uint32_t address_interface(const AddressFamilies *families, const char *name) {
        struct ifreq request = { .ifr_ifindex = 0 };

        if (!families->elsewhere)
                return if_nametoindex(name);
        if (families->interfaces < 0 || strlen(name) >= sizeof(request.ifr_name))
                return 0;
        strcpy(request.ifr_name, name);
        return ioctl(families->interfaces, SIOCGIFINDEX, &request) == 0 ? (uint32_t)request.ifr_ifindex
                                                                        : 0;
}

/* Digits alone are an index, also beside an interface that is called so: what is written is one, and has
 * to mean the same when it is read. */
static const char *zone_parse_elsewhere(const char *zone, const AddressFamilies *families,
                                        uint32_t *ret) {
        unsigned long index;

        if (zone[strspn(zone, DIGITS)] == '\0')
                index = strtoul(zone, NULL, 10);
        else
                index = address_interface(families, zone);
        if (index == 0 && *zone != '\0' && families->interfaces < 0)
                return NULL;
        if (index == 0 || index > INT_MAX)
                return "no such zone; give the name or the index of an interface of that network "
                       "namespace after '%'";

        *ret = (uint32_t)index;
        return NULL;
}

/* An interface name or, as Go takes it too, an index. The index need not exist: bind() will tell. */
static const char *zone_parse(const char *zone, const AddressFamilies *families, uint32_t *ret) {
        unsigned long index;

        if (families->elsewhere)
                return zone_parse_elsewhere(zone, families, ret);
        index = if_nametoindex(zone);
        if (index == 0 && zone[strspn(zone, DIGITS)] == '\0')
                index = strtoul(zone, NULL, 10);
        if (index == 0 || index > INT_MAX)
                return "no such zone; give the name or the index of a network interface of this host "
                       "after '%'";

        *ret = (uint32_t)index;
        return NULL;
}

static const char *host_explain(const char *text) {
        if (strchr(text, ':'))
                return "not an IPv6 address; give eight groups of hexadecimal digits, '::' for zeros";
        if (text[strspn(text, DIGITS ".")] == '\0')
                return "not an IPv4 address; give four decimal numbers from 0 to 255, without leading "
                       "zeros";
        return "host names are not looked up by the broker; give a numeric address, or localhost";
}

/* What a link gives a meaning to: the kernel binds these to one interface. */
static bool host_is_of_link(const Host *host) {
        return host->family == AF_INET6 &&
               (IN6_IS_ADDR_LINKLOCAL(&host->in6) || IN6_IS_ADDR_MC_LINKLOCAL(&host->in6) ||
                IN6_IS_ADDR_MC_NODELOCAL(&host->in6));
}

static const char *host_parse(char *text, const AddressFamilies *families, Host *ret) {
        Host host = { .family = AF_UNSPEC };
        char *zone = strchr(text, '%');

        if (zone)
                *zone++ = '\0';

        if (inet_pton(AF_INET, text, &host.in) == 1)
                host.family = AF_INET;
        else if (inet_pton(AF_INET6, text, &host.in6) == 1)
                host.family = AF_INET6;
        else if (strcasecmp(text, "localhost") == 0)
                host.loopback = true;
        else if (*text != '\0')
                return host_explain(text);

        if (host.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&host.in6)) {
                host.family = AF_INET;
                memcpy(&host.in, &host.in6.s6_addr[12], sizeof(host.in));
        }

        /* The option bindToDevice would do instead of the zone: one socket would have two names. */
        if (!zone && host_is_of_link(&host))
                return "a link-local IPv6 address means nothing without its interface; give "
                       "ADDRESS%INTERFACE, within the brackets if there are any";
        if (zone) {
                const char *reason;

                /* The kernel ignores the zone of other addresses: one socket would have many names. */
                if (!host_is_of_link(&host))
                        return "a zone (%) belongs to a link-local IPv6 address only; give the address "
                               "without it";
                reason = zone_parse(zone, families, &host.scope);
                if (reason)
                        return reason;
        }

        *ret = host;
        return NULL;
}

/* An empty host and "localhost" are IPv4 where that is possible, as in Go. */
static void host_settle(Host *host, int wanted, const AddressFamilies *families) {
        if (host->family != AF_UNSPEC)
                return;

        host->family = wanted;
        if (wanted == AF_UNSPEC)
                host->family = families->ipv4 ? AF_INET : AF_INET6;
        host->in.s_addr = htonl(host->loopback ? INADDR_LOOPBACK : INADDR_ANY);
        host->in6 = host->loopback ? in6addr_loopback : in6addr_any;
}

static bool host_is_wildcard(const Host *host) {
        if (host->family == AF_INET)
                return host->in.s_addr == htonl(INADDR_ANY);
        return IN6_IS_ADDR_UNSPECIFIED(&host->in6);
}

static const char *host_apply(Host *host, int wanted, const AddressFamilies *families,
                              Address *address) {
        bool dual;

        host_settle(host, wanted, families);
        /* As in Go, "::" is the wildcard of IPv4 on a network that ends in 4; 0.0.0.0 is that of IPv4 only. */
        if (wanted == AF_INET && host_is_wildcard(host)) {
                host->family = AF_INET;
                host->in.s_addr = htonl(INADDR_ANY);
        }
        if (wanted == AF_INET && host->family == AF_INET6)
                return "an IPv6 address on a network of IPv4; give an IPv4 address, or a network of "
                       "IPv6";
        if (wanted == AF_INET6 && host->family == AF_INET)
                return "an IPv4 address on a network of IPv6; give an IPv6 address, or a network "
                       "of IPv4";

        /* As in Go, even for 0.0.0.0: without a digit in the network, a wildcard serves both. */
        dual = wanted == AF_UNSPEC && families->mapped && host_is_wildcard(host);
        if (dual) {
                host->family = AF_INET6;
                host->in6 = in6addr_any;
        }

        if (host->family == AF_INET) {
                if (!families->ipv4)
                        return "this host has no IPv4; give an IPv6 address";
                address->len = sizeof(address->u.in);
                address->u.in.sin_family = AF_INET;
                address->u.in.sin_addr = host->in;
        } else {
                if (!families->ipv6)
                        return "this host has no IPv6; give an IPv4 address";
                address->len = sizeof(address->u.in6);
                address->u.in6.sin6_family = AF_INET6;
                address->u.in6.sin6_addr = host->in6;
                address->u.in6.sin6_scope_id = host->scope;
                address->zone_elsewhere = families->elsewhere && host->scope != 0;
                /* A specific address cannot serve IPv4 anyway. */
                address->ipv6_only = !dual;
        }
        return NULL;
}

static const char *ip_parse(const char *text, int wanted, const AddressFamilies *families,
                            Address *address) {
        char buffer[ADDRESS_TEXT_MAX], *host_text, *port_text;
        uint16_t first, last;
        const char *reason;
        Host host;

        if (strlen(text) >= sizeof(buffer))
                return "address is too long for an IP address; " FORMS;
        /* To Go an address that is empty is a wildcard without a port. */
        strcpy(buffer, *text != '\0' ? text : ":");

        reason = split_host_port(buffer, &host_text, &port_text);
        if (!reason)
                reason = host_parse(host_text, families, &host);
        if (!reason)
                reason = ports_parse(port_text, &first, &last);
        if (!reason)
                reason = host_apply(&host, wanted, families, address);
        if (reason)
                return reason;

        address_set_port(address, first == last ? first : 0);
        address->port_first = first;
        address->port_last = last;
        return NULL;
}

/* As Go has it: the host is all of it, IPv6 without brackets. */
static const char *raw_parse(const char *text, int wanted, const AddressFamilies *families,
                             Address *address) {
        char buffer[ADDRESS_TEXT_MAX];
        const char *reason;
        Host host;

        if (strlen(text) >= sizeof(buffer))
                return "address is too long for an IP address; give HOST, without a port";
        strcpy(buffer, text);
        reason = host_parse(buffer, families, &host);
        if (!reason)
                reason = host_apply(&host, wanted, families, address);
        /* No packet of the other family ever comes, even to the wildcard. */
        address->ipv6_only = address_family(address) == AF_INET6;
        return reason;
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
                if (n > 10 || strspn(text, DIGITS) != n)
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
                               ? raw_parse(text, network->family, families, address)
                               : ip_parse(text, network->family, families, address);
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
