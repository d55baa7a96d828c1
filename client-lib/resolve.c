/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Names of hosts and services to numbers. The broker looks none up: a slow name server would hold up all
 * its clients, and one that lies would decide for them. So it is done here, in the program that asks, by
 * its own configuration and on its own time.
 *
 * Nothing but names is touched. What has none in it, or cannot be told apart, is copied for the broker
 * to judge, which says what is wrong with it.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "client-lib/internal.h"
#include "proto/ip-protocol.h"

#define DIGITS "0123456789"

/* Wide enough for an IPv6 address with the name of an interface. */
enum {
        HOST_TEXT_MAX = 128,
};

/* A network whose addresses can have names in them. */
typedef struct Kind {
        const char *name;
        int type;  /* whose services it has; 0: it has no ports */
        bool more; /* a colon and a protocol follow the name */
} Kind;

static const Kind kinds[] = {
        { "tcp", SOCK_STREAM, false }, { "mptcp", SOCK_STREAM, false },  { "sctp", SOCK_STREAM, false },
        { "udp", SOCK_DGRAM, false },  { "udplite", SOCK_DGRAM, false }, { "ip", 0, true },
};

/* What is to be looked up, and for whom. */
typedef struct Lookup {
        const char *network;
        int family; /* that the digit of the network says, or AF_UNSPEC */
        bool ipv6;  /* where a host has both kinds of addresses, IPv6 is wanted */
} Lookup;

/* The kind of @network, and the family that its digit says; NULL: one without names, or not
 * known here. */
static const Kind *kind_find(const char *network, int *ret_family) {
        size_t n = strcspn(network, ":");
        bool more = network[n] == ':';
        int family = AF_UNSPEC;

        if (n > 0 && (network[n - 1] == '4' || network[n - 1] == '6'))
                family = network[--n] == '4' ? AF_INET : AF_INET6;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strlen(kinds[i].name) == n && strncmp(kinds[i].name, network, n) == 0 &&
                    kinds[i].more == more) {
                        *ret_family = family;
                        return &kinds[i];
                }
        return NULL;
}

/* ---- hosts ---- */

static bool is_ipv4(const struct addrinfo *entry) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)entry->ai_addr;

        return entry->ai_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
}

/* The first of the wanted kind, else the first there is; NULL if the network cannot have any of them. */
static const struct addrinfo *entry_choose(const Lookup *lookup, const struct addrinfo *entries) {
        const struct addrinfo *first = NULL;

        for (const struct addrinfo *entry = entries; entry; entry = entry->ai_next) {
                if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6)
                        continue;
                if (lookup->family != AF_UNSPEC && is_ipv4(entry) != (lookup->family == AF_INET))
                        continue;
                if (is_ipv4(entry) != lookup->ipv6)
                        return entry;
                first = first ?: entry;
        }
        return first;
}

/* One of IPv4 in the clothes of IPv6 is written as what it is. Returns 0 or EAI_*. */
static int entry_format(const struct addrinfo *entry, char text[static HOST_TEXT_MAX]) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)entry->ai_addr;

        if (entry->ai_family == AF_INET || !is_ipv4(entry))
                return getnameinfo(entry->ai_addr, entry->ai_addrlen, text, HOST_TEXT_MAX, NULL, 0,
                                   NI_NUMERICHOST);
        return inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, HOST_TEXT_MAX) ? 0 : EAI_SYSTEM;
}

static int lookup_failed(int code, const char *host, reuse_error **ret_error) {
        switch (code) {
        case EAI_NONAME:
        case EAI_NODATA:
        case EAI_ADDRFAMILY:
                return reuse_error_set(ret_error, -ENXIO, "lookup %s: no such host", host);
        case EAI_AGAIN:
                return reuse_error_set(ret_error, -EAGAIN,
                                       "lookup %s: no name server answers now; try again later", host);
        case EAI_MEMORY:
                return -ENOMEM;
        case EAI_SYSTEM:
                code = errno > 0 ? -errno : -EIO;
                return reuse_error_set(ret_error, code, "lookup %s: %s", host, strerrordesc_np(-code));
        default:
                return reuse_error_set(ret_error, -EIO, "lookup %s: %s", host, gai_strerror(code));
        }
}

/*
 * getaddrinfo() takes "127.1" and "0x7f000001" for addresses. Nobody else does who reads these texts, so
 * that a check of one and its use would differ.
 */
static bool is_number_of_old(const char *host) {
        struct in_addr in;

        return inet_aton(host, &in) != 0;
}

static int host_look_up(const Lookup *lookup, const char *host, char text[static HOST_TEXT_MAX],
                        reuse_error **ret_error) {
        /* Of one type, or each address would come several times. All families, to tell a host that has
         * none of the wanted one from a host that is not there. */
        const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
        const struct addrinfo *chosen;
        struct addrinfo *entries;
        int code;

        if (is_number_of_old(host))
                return lookup_failed(EAI_NONAME, host, ret_error);
        code = getaddrinfo(host, NULL, &hints, &entries);
        if (code != 0)
                return lookup_failed(code, host, ret_error);
        chosen = entry_choose(lookup, entries);
        if (chosen)
                code = entry_format(chosen, text);
        freeaddrinfo(entries);
        if (!chosen)
                return reuse_error_set(ret_error, -EINVAL,
                                       "lookup %s: no suitable address found: %s has none of %s", host,
                                       host, lookup->family == AF_INET ? "IPv4" : "IPv6");
        return code != 0 ? lookup_failed(code, host, ret_error) : 0;
}

/* Anything that is not, in form, an address. */
static bool host_is_name(const char *host) {
        return *host && !strpbrk(host, ":%[]") && host[strspn(host, DIGITS ".")];
}

/* "localhost" is nobody's to redefine, and needs no name server; the broker knows it, too. */
static int localhost_text(const Lookup *lookup, char text[static HOST_TEXT_MAX]) {
        int family = lookup->ipv6 ? AF_INET6 : lookup->family;
        int fd;

        if (family == AF_UNSPEC) {
                fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                family = fd < 0 && errno == EAFNOSUPPORT ? AF_INET6 : AF_INET;
                fd_close(fd);
        }
        strcpy(text, family == AF_INET6 ? "::1" : "127.0.0.1");
        return 0;
}

static int host_resolve(const Lookup *lookup, const char *host, char text[static HOST_TEXT_MAX],
                        reuse_error **ret_error) {
        if (strcasecmp(host, "localhost") == 0)
                return localhost_text(lookup, text);
        return host_look_up(lookup, host, text, ret_error);
}

/* ---- services ---- */

static int service_look_up(const Lookup *lookup, int type, const char *service, unsigned *ret_port,
                           reuse_error **ret_error) {
        const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = type };
        struct addrinfo *entries;
        int code;

        /* Behind blanks it would take a number, too. */
        code = *service == ' ' || (*service >= '\t' && *service <= '\r')
                       ? EAI_SERVICE
                       : getaddrinfo(NULL, service, &hints, &entries);
        if (code == EAI_MEMORY)
                return -ENOMEM;
        if (code != 0)
                return reuse_error_set(ret_error, -EINVAL, "lookup %s/%s: unknown port", lookup->network,
                                       service);
        /* The port is in the same place for both families. */
        *ret_port = ntohs(((const struct sockaddr_in *)entries->ai_addr)->sin_port);
        freeaddrinfo(entries);
        return 0;
}

/* Anything that is not, in form, a number or a range; nothing at all is port 0. With a bracket it is
 * what follows a colon within an IPv6 address. */
static bool port_is_name(const char *port) {
        return port[strspn(port, DIGITS "+-")] && !strpbrk(port, "[]");
}

/* ---- protocols ---- */

/*
 * The network of raw IP with a number for a protocol that the system knows and the broker does not. All
 * others are copied. *@ret is the caller's. Returns 0 or -ENOMEM.
 */
static int network_resolve(const char *network, char **ret) {
        struct protoent entry, *found = NULL;
        const char *protocol;
        char buffer[1024];
        uint8_t known;
        int family, n;

        if (ip_network_split(network, &family, &protocol) && !ip_protocol_parse(protocol, &known))
                (void)getprotobyname_r(protocol, &entry, buffer, sizeof(buffer), &found);
        if (found)
                n = asprintf(ret, "%.*s%d", (int)(protocol - network), network, found->p_proto);
        else
                n = asprintf(ret, "%s", network);
        return n < 0 ? -ENOMEM : 0;
}

/* ---- addresses ---- */

/* @host is a text of its own, without brackets; @port NULL: there is none in this network. */
static int parts_resolve(const Lookup *lookup, int type, const char *address, const char *host,
                         const char *port, char **ret, reuse_error **ret_error) {
        bool host_is = host_is_name(host), port_is = port && port_is_name(port);
        const char *left = address, *open = "", *close = "", *right = port ?: "";
        char text[HOST_TEXT_MAX], number[8];
        int n_left = port ? (int)(port - 1 - address) : (int)strlen(address);
        unsigned value = 0;
        int r;

        if (port_is) {
                r = service_look_up(lookup, type, port, &value, ret_error);
                if (r < 0)
                        return r;
                snprintf(number, sizeof(number), "%u", value);
                right = number;
        }
        if (host_is) {
                r = host_resolve(lookup, host, text, ret_error);
                if (r < 0)
                        return r;
                left = text;
                n_left = (int)strlen(text);
                if (port && strchr(text, ':')) {
                        open = "[";
                        close = "]";
                }
        }
        r = asprintf(ret, "%s%.*s%s%s%s", open, n_left, left, close, port ? ":" : "", right);
        return r < 0 ? -ENOMEM : 0;
}

/*
 * Takes @copy of an address apart, in place: *@ret_host is without brackets, *@ret_port NULL where the
 * network has none. Returns false where there can be no names.
 */
static bool address_split(Lookup *lookup, const Kind *kind, char *copy, char **ret_host,
                          char **ret_port) {
        char *colon = strrchr(copy, ':');

        if (!kind || (kind->type != 0 && !colon))
                return false;
        *ret_host = copy;
        *ret_port = NULL;
        if (kind->type == 0)
                return true;
        *colon = '\0';
        *ret_port = colon + 1;
        /* As in Go, whoever writes the brackets of IPv6 means it. */
        if (colon - copy >= 2 && *copy == '[' && colon[-1] == ']') {
                lookup->ipv6 = lookup->family != AF_INET;
                colon[-1] = '\0';
                ++*ret_host;
        }
        return true;
}

/* @address with numbers for the names in it. *@ret is the caller's. Returns 0 or a negative errno. */
static int address_resolve(const char *network, const char *address, char **ret,
                           reuse_error **ret_error) {
        _cleanup_(freep) char *copy = strdup(address);
        Lookup lookup = { .network = network };
        const Kind *kind = kind_find(network, &lookup.family);
        char *host, *port;

        if (!copy)
                return -ENOMEM;
        if (!address_split(&lookup, kind, copy, &host, &port)) {
                *ret = ptr_take(copy);
                return 0;
        }
        return parts_resolve(&lookup, kind->type, address, host, port ? address + (port - copy) : NULL,
                             ret, ret_error);
}

/* ---- all addresses of a destination ---- */

typedef struct Hosts {
        char texts[RESOLVED_MAX][HOST_TEXT_MAX];
        size_t n;
} Hosts;

/* In the order in which the system would try them. */
static int hosts_look_up(const Lookup *lookup, const char *host, Hosts *hosts, reuse_error **ret_error) {
        const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
        struct addrinfo *entries;
        int code;

        code = is_number_of_old(host) ? EAI_NONAME : getaddrinfo(host, NULL, &hints, &entries);
        if (code != 0)
                return lookup_failed(code, host, ret_error);
        for (const struct addrinfo *entry = entries; entry && hosts->n < RESOLVED_MAX;
             entry = entry->ai_next) {
                if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6)
                        continue;
                if (lookup->family != AF_UNSPEC && is_ipv4(entry) != (lookup->family == AF_INET))
                        continue;
                if (entry_format(entry, hosts->texts[hosts->n]) == 0)
                        hosts->n++;
        }
        freeaddrinfo(entries);
        if (hosts->n == 0)
                return reuse_error_set(ret_error, -EINVAL, "lookup %s: no suitable address found for %s",
                                       host, lookup->network);
        return 0;
}

static int hosts_resolve(const Lookup *lookup, const char *host, Hosts *hosts, reuse_error **ret_error) {
        if (strcasecmp(host, "localhost") != 0)
                return hosts_look_up(lookup, host, hosts, ret_error);
        if (lookup->family != AF_INET6)
                strcpy(hosts->texts[hosts->n++], "127.0.0.1");
        if (lookup->family != AF_INET)
                strcpy(hosts->texts[hosts->n++], "::1");
        return 0;
}

static int host_join(const char *host, const char *port, char **ret) {
        bool bracketed = port && strchr(host, ':');
        int n = asprintf(ret, "%s%s%s%s%s", bracketed ? "[" : "", host, bracketed ? "]" : "",
                         port ? ":" : "", port ?: "");

        if (n >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

int addresses_resolve(const char *network, const char *address, char *texts[static RESOLVED_MAX],
                      reuse_error **ret_error) {
        _cleanup_(freep) char *copy = strdup(address);
        _cleanup_(freep) Hosts *hosts = calloc(1, sizeof(*hosts));
        Lookup lookup = { .network = network };
        const Kind *kind = kind_find(network, &lookup.family);
        char *host, *port;
        int n = 0, r;

        if (!copy || !hosts)
                return -ENOMEM;
        if (!address_split(&lookup, kind, copy, &host, &port) || !host_is_name(host)) {
                r = address_resolve(network, address, &texts[0], ret_error);
                return r < 0 ? r : 1;
        }
        r = hosts_resolve(&lookup, host, hosts, ret_error);
        for (size_t i = 0; r == 0 && i < hosts->n; i++) {
                _cleanup_(freep) char *whole = NULL;

                r = host_join(hosts->texts[i], port, &whole);
                if (r == 0)
                        r = address_resolve(network, whole, &texts[n], ret_error);
                if (r == 0)
                        n++;
        }
        if (r == 0)
                return n;
        while (n > 0)
                free(texts[--n]);
        return r;
}

_public_ int reuse_resolve(const char *network, const char *address, char *buffer, size_t size,
                           reuse_error **ret_error) {
        _cleanup_(freep) char *text = NULL;
        int r;

        reuse_error_clear(ret_error);
        if (!network || !address || !buffer)
                return reuse_error_set(ret_error, -EINVAL,
                                       "a network, an address and a place for the result are needed");
        r = address_resolve(network, address, &text, ret_error);
        if (r < 0)
                return r;
        if (strlen(text) >= size)
                return reuse_error_set(ret_error, -ENAMETOOLONG, "\"%s\" does not fit into %zu bytes",
                                       text, size);
        strcpy(buffer, text);
        return 0;
}

_public_ int reuse_request_resolve(reuse_request *request, reuse_error **ret_error) {
        const char *networks[SOCKETS_MAX], *addresses[SOCKETS_MAX];

        reuse_error_clear(ret_error);
        if (!request)
                return reuse_error_set(ret_error, -EINVAL, "a request is needed");
        for (size_t i = 0; i < request->n; i++) {
                _cleanup_(freep) char *network = NULL, *text = NULL;
                int r;

                r = network_resolve(request->sockets[i].network, &network);
                if (r < 0)
                        return r;
                r = address_resolve(request->sockets[i].network, request->sockets[i].address, &text,
                                    ret_error);
                if (r < 0)
                        return r;
                networks[i] = request_copy(request, network);
                addresses[i] = request_copy(request, text);
                if (!networks[i] || !addresses[i])
                        return -ENOMEM;
        }
        for (size_t i = 0; i < request->n; i++) {
                request->sockets[i].network = networks[i];
                request->sockets[i].address = addresses[i];
        }
        return 0;
}
