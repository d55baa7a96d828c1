/* SPDX-License-Identifier: BSD-2-Clause */

/* Hosts, zones and ports, by the rules of Go's net package. */

#include "proto/address-ip.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#include "proto/limits.h"

#define DIGITS "0123456789"

#define FORMS "give HOST:PORT, [IPV6]:PORT or :PORT"
#define PORT_FORM "give a decimal number from 0 to 65535, or FIRST-LAST"

static_assert(PORT_RANGE_MAX == 4096, "the reason for a refusal names the number");

/* What stands before the port, before the network has its say about the family. */
typedef struct Host {
        /* AF_UNSPEC: an empty host or "localhost", which exist in both families. */
        int family;
        bool loopback;
        struct in_addr in;
        struct in6_addr in6;
        uint32_t scope;
} Host;

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

        /* No interface is called so, and the kernel would stop reading there: an alias. */
        if (strchr(name, ':'))
                return 0;
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
        if (index == 0 && families->interfaces < 0)
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
        index = address_interface(families, zone);
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
static bool is_of_link(const struct in6_addr *in6) {
        return IN6_IS_ADDR_LINKLOCAL(in6) || IN6_IS_ADDR_MC_LINKLOCAL(in6) ||
               IN6_IS_ADDR_MC_NODELOCAL(in6);
}

bool address_is_of_link(const Address *address) {
        return address_family(address) == AF_INET6 && is_of_link(&address->u.in6.sin6_addr);
}

/* As Go has it: behind the last '%', of what is written as IPv6, and empty it is none. Cuts @text. */
static const char *zone_split(char *text, char **ret) {
        char *zone = strrchr(text, '%');
        struct in6_addr in6;

        *ret = NULL;
        if (!zone || zone == text)
                return NULL;
        *zone++ = '\0';
        if (inet_pton(AF_INET6, text, &in6) != 1)
                return strchr(text, ':') ? host_explain(text)
                                         : "a zone (%) belongs to an IPv6 address; give the address "
                                           "without it";
        *ret = *zone != '\0' ? zone : NULL;
        return NULL;
}

static const char *host_parse(char *text, const AddressFamilies *families, Host *ret) {
        Host host = { .family = AF_UNSPEC };
        const char *reason;
        char *zone;

        reason = zone_split(text, &zone);
        if (reason)
                return reason;

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

        /* Elsewhere the kernel ignores the zone, whatever it says: kept, it would give one socket many
         * names. */
        if (host.family == AF_INET6 && is_of_link(&host.in6)) {
                /* The option bindToDevice would do instead: one socket would have two names. */
                if (!zone)
                        return "a link-local IPv6 address means nothing without its interface; give "
                               "ADDRESS%INTERFACE, within the brackets if there are any";
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
        /* As in Go, "::" is the wildcard of IPv4 on a network that ends in 4; 0.0.0.0 is that of IPv4
         * only. */
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

        /* As in Go, even for 0.0.0.0: without a digit in the network, a wildcard serves both, or would.
         */
        dual = wanted == AF_UNSPEC && (families->mapped || !families->ipv4) && host_is_wildcard(host);
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
                /* Go sets it to 0 for a specific address on "tcp". It cannot serve IPv4 anyway, and when
                 * it is bound the kernel sets it to 1. */
                address->ipv6_only = !dual;
        }
        return NULL;
}

const char *address_parse_ip(const char *text, int wanted, const AddressFamilies *families,
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

const char *address_parse_raw(const char *text, int wanted, const AddressFamilies *families,
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
