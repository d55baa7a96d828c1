/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sockets that no broker made: of kinds that have no ports, and where no broker is to be had. They take
 * the options that a program can set by itself, under the same names; any other is refused, as what was
 * asked for is never left out in silence.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>

#include "client-lib/outgoing.h"

enum {
        KEEP_ALIVE_SEC = 15,
};

/* Those whose value is an int to the kernel. */
static const struct {
        const char *name;
        int level, optname;
        int level6, optname6; /* 0: the same */
} numbers[] = {
        { "reuseAddress", SOL_SOCKET, SO_REUSEADDR, 0, 0 },
        { "broadcast", SOL_SOCKET, SO_BROADCAST, 0, 0 },
        { "freeBind", IPPROTO_IP, IP_FREEBIND, IPPROTO_IPV6, IPV6_FREEBIND },
        { "transparent", IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6, IPV6_TRANSPARENT },
        { "mark", SOL_SOCKET, SO_MARK, 0, 0 },
        { "priority", SOL_SOCKET, SO_PRIORITY, 0, 0 },
        { "typeOfService", IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS },
        { "timeToLive", IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS },
        { "keepAlive", SOL_SOCKET, SO_KEEPALIVE, 0, 0 },
        { "keepAliveIdleSec", IPPROTO_TCP, TCP_KEEPIDLE, 0, 0 },
        { "keepAliveIntervalSec", IPPROTO_TCP, TCP_KEEPINTVL, 0, 0 },
        { "keepAliveProbes", IPPROTO_TCP, TCP_KEEPCNT, 0, 0 },
        { "noDelay", IPPROTO_TCP, TCP_NODELAY, 0, 0 },
        { "userTimeoutMsec", IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0 },
        { "receiveBuffer", SOL_SOCKET, SO_RCVBUF, 0, 0 },
        { "sendBuffer", SOL_SOCKET, SO_SNDBUF, 0, 0 },
        { "packetInfo", IPPROTO_IP, IP_PKTINFO, IPPROTO_IPV6, IPV6_RECVPKTINFO },
        { "timestamp", SOL_SOCKET, SO_TIMESTAMPNS, 0, 0 },
        { "passCredentials", SOL_SOCKET, SO_PASSCRED, 0, 0 },
};

/* And those that are texts to it. */
static const struct {
        const char *name;
        int level, optname;
} texts[] = {
        { "bindToDevice", SOL_SOCKET, SO_BINDTODEVICE },
        { "congestion", IPPROTO_TCP, TCP_CONGESTION },
};

static int set(int fd, int level, int optname, const void *value, size_t size) {
        return setsockopt(fd, level, optname, value, (socklen_t)size) < 0 ? -errno : 0;
}

static int set_number(int fd, int family, const char *name, int64_t number) {
        /* The kernel has marks of 32 bits without a sign. */
        int value = (int)(uint32_t)number;

        if (number < INT32_MIN || number > UINT32_MAX)
                return -EINVAL;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                bool v6 = family == AF_INET6 && numbers[i].optname6;

                if (strcmp(numbers[i].name, name) == 0)
                        return set(fd, v6 ? numbers[i].level6 : numbers[i].level,
                                   v6 ? numbers[i].optname6 : numbers[i].optname, &value, sizeof(value));
        }
        return -EOPNOTSUPP;
}

static int set_text(int fd, const char *name, const char *value) {
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (strcmp(texts[i].name, name) == 0)
                        return set(fd, texts[i].level, texts[i].optname, value, strlen(value));
        return -EOPNOTSUPP;
}

/* -1 is off. */
static int set_linger(int fd, int64_t seconds) {
        struct linger value = { .l_onoff = seconds >= 0 };

        if (seconds < -1 || seconds > UINT16_MAX)
                return -EINVAL;
        value.l_linger = value.l_onoff ? (int)seconds : 0;
        return set(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value));
}

/* One that is absent is set. */
static int set_field(int fd, int family, const Field *field, const void *at) {
        switch (field->type) {
        case FIELD_INT:
                if (*(const int64_t *)at == WIRE_ABSENT)
                        return 0;
                return strcmp(field->name, "lingerSec") == 0
                               ? set_linger(fd, *(const int64_t *)at)
                               : set_number(fd, family, field->name, *(const int64_t *)at);
        case FIELD_BOOL:
                if (*(const Tristate *)at == TRISTATE_ABSENT)
                        return 0;
                return set_number(fd, family, field->name, *(const Tristate *)at);
        case FIELD_STRING:
                if (!*(const char *const *)at)
                        return 0;
                return set_text(fd, field->name, *(const char *const *)at);
        default:
                return ((const WireList *)at)->items ? -EOPNOTSUPP : 0;
        }
}

static int set_options(int fd, int family, const Options *options, reuse_error **ret_error) {
        for (size_t i = 0; options && i < wire_options.n_fields; i++) {
                const Field *field = &wire_options.fields[i];
                int r = set_field(fd, family, field, (const char *)options + field->offset);

                if (r == -EOPNOTSUPP || r == -ENOPROTOOPT)
                        return reuse_error_set(ret_error, r,
                                               "option %s: a connection without the broker cannot have "
                                               "it: leave it out",
                                               field->name);
                if (r < 0)
                        return reuse_error_set(ret_error, r, "option %s: %s", field->name,
                                               strerrordesc_np(-r));
        }
        return 0;
}

static int socket_bind(int fd, const OutgoingLocal *local, reuse_error **ret_error) {
        const OutgoingAddress *address = &local->address;

        if (address->len == 0)
                return 0;
        /* The port is chosen by connect() then, which knows what it must differ from. */
        if (!local->fixed)
                (void)set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
        if (bind(fd, &address->u.sa, address->len) < 0)
                return reuse_error_set(ret_error, -errno, "cannot connect from %s: %s", address->text,
                                       strerrordesc_np(errno));
        return 0;
}

int outgoing_socket_open(const OutgoingKind *kind, const OutgoingLocal *local, int family,
                         const Options *options, int *ret_fd, reuse_error **ret_error) {
        _cleanup_(fd_closep) int fd = -1;
        int r;

        fd = socket(family, kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, kind->protocol);
        if (fd < 0)
                return reuse_error_set(ret_error, -errno, "cannot make a socket of %s: %s",
                                       kind->network, strerrordesc_np(errno));
        r = set_options(fd, family, options, ret_error);
        if (r == 0)
                r = socket_bind(fd, local, ret_error);
        if (r == 0)
                *ret_fd = fd_take(&fd);
        return r;
}

static bool socket_is_tcp(int fd) {
        int protocol = 0, domain = 0;
        socklen_t size = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
            (domain != AF_INET && domain != AF_INET6))
                return false;
        return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
               (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

void outgoing_socket_settle(int fd, const Options *options) {
        static const int on = 1, seconds = KEEP_ALIVE_SEC;

        if (!socket_is_tcp(fd))
                return;
        /* As in Go, the connection is there whether or not these are taken. */
        if (!options || options->no_delay == TRISTATE_ABSENT)
                (void)set(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (options && options->keep_alive == 0)
                return;
        if (!options || options->keep_alive == TRISTATE_ABSENT)
                (void)set(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        if (!options || options->keep_alive_idle_sec == WIRE_ABSENT)
                (void)set(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
        if (!options || options->keep_alive_interval_sec == WIRE_ABSENT)
                (void)set(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
}
