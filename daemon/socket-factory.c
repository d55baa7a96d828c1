/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes sockets. What each kind gets besides the options asked for, and when, is in here.
 *
 * SO_REUSEPORT makes a group member and nothing else does; other sockets do without (it costs 2 kB).
 *
 * SO_REUSEADDR on UDP would let any local user take the datagrams, and on a TCP socket that is bound
 * but not yet listening, the port. Only what is bound to a multicast group has it, as what is sent there
 * is for all who want it. But a TCP listener that never had it leaves a port that cannot be opened again
 * for as long as a connection accepted from it lives or is in TIME_WAIT: the kernel takes such a
 * connection for another user of the port, unless both it and the newcomer have SO_REUSEADDR, or both
 * SO_REUSEPORT and one owner. The owner of a connection is who accepted it, so not even the next member
 * of the same group is sure to get in. Hence:
 *  - a TCP listener gets SO_REUSEADDR after listen(), and its connections inherit it;
 *  - TCP binds without; only when the port seems to be in use it tries again with, and listens at once.
 *    A listener, of anybody, still refuses that. Should somebody take the port between bind and listen,
 *    then it is our listen() that fails.
 * A socket that connects from a port that is listened on is as if it had been accepted there: it has
 * SO_REUSEADDR and SO_REUSEPORT, as the listener and its connections may have either, and belongs to who
 * gets it. So it is in nobody's way, and its holder cannot have it listen in the midst of the group.
 * Datagrams know no such distinction: one more socket of another owner would keep all further members
 * out. It is the broker's, connected before anybody has it, and takes nothing until then.
 * The kernel takes a connected one out of the group that it joined, but whoever binds to the same
 * address afterwards joins the first that is found there, which may be that one, and so another group.
 * At a wildcard it has another address once it is connected. Of IPv6 the first is the one that was bound
 * first, and has to be one that stays: see outgoing.c. Of IPv4 it is the one that was bound last: hence
 * it is bound as a socket of IPv6, to ::ffff:a.b.c.d. The kernel looks at sockets of IPv4 first, so it
 * takes nothing before it is connected, and finds those of IPv6 that share a port last of all, so it
 * stays behind every member also when IPV6_ADDRFORM has made it what was asked for. Where that cannot
 * be, see outgoing.c.
 *
 * Whoever shuts a listener down but keeps it must clear SO_REUSEADDR first: it is bound and not
 * listening then, and any local user could take the port.
 */

#include "daemon/socket-factory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/namespace.h"
#include "proto/cleanup.h"
#include "proto/error.h"

static int fail(SocketFailure *failure, const char *step, const char *option) {
        int error = errno;

        *failure = (SocketFailure){ .step = step, .refusal = { .option = option, .error = error } };
        switch (error) {
        case EADDRINUSE:
                return SOCKET_FACTORY_E_IN_USE;
        case EADDRNOTAVAIL:
                return SOCKET_FACTORY_E_NOT_LOCAL;
        default:
                return SOCKET_FACTORY_E_SYSTEM;
        }
}

/* What not every kernel has, or has switched on. */
static int fail_to_make(SocketFailure *failure) {
        int r = fail(failure, "socket", NULL);

        switch (failure->refusal.error) {
        case EPROTONOSUPPORT:
        case ESOCKTNOSUPPORT:
                failure->refusal.reason =
                        "this kernel has no such protocol, or its module is not loaded";
                return SOCKET_FACTORY_E_NOT_SUPPORTED;
        case EAFNOSUPPORT:
                failure->refusal.reason =
                        "this kernel has no such sockets, or its module is not loaded, or "
                        "the broker's unit does not let it: RestrictAddressFamilies=";
                return SOCKET_FACTORY_E_NOT_SUPPORTED;
        case ENOPROTOOPT:
                failure->refusal.reason =
                        "this kernel has the protocol, and it is switched off: see sysctl(8)";
                return SOCKET_FACTORY_E_NOT_SUPPORTED;
        default:
                return r;
        }
}

static int switch_on(int fd, int optname, const char *option, SocketFailure *failure) {
        if (setsockopt(fd, SOL_SOCKET, optname, &(int){ 1 }, sizeof(int)) < 0)
                return fail(failure, "setsockopt", option);
        return 0;
}

static int apply(int fd, const SocketSpec *spec, OptionStage stage, SocketFailure *failure) {
        OptionRefusal refusal;

        switch (socket_options_apply(fd, spec->options, &spec->address, stage, &refusal)) {
        case 0:
                return 0;
        case SOCKET_OPTIONS_E_INVALID:
                *failure = (SocketFailure){ .step = "setsockopt", .refusal = refusal };
                return SOCKET_FACTORY_E_OPTION_INVALID;
        default:
                *failure = (SocketFailure){ .step = "setsockopt", .refusal = refusal };
                return SOCKET_FACTORY_E_SYSTEM;
        }
}

static bool is_group(const SocketSpec *spec) {
        return spec->sharing == SHARING_GROUP && address_has_port(&spec->address);
}

static bool is_tcp(const SocketSpec *spec) {
        return address_is_tcp(&spec->address);
}

/* Nothing that is sent to one host can be taken by who shares the address of a group: it is for all. */
static bool shares_multicast(const SocketSpec *spec) {
        return address_is_udp(&spec->address) && address_is_multicast(&spec->address) &&
               spec->sharing != SHARING_EXCLUSIVE &&
               !(spec->options && spec->options->reuse_address == 0);
}

static int prepare(int fd, const SocketSpec *spec, bool reuse_address, SocketFailure *failure) {
        const Address *address = &spec->address;
        int r = 0;

        /* Not left to net.ipv6.bindv6only. */
        if (address_family(address) == AF_INET6 && !address_is_raw(address) &&
            setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &(int){ address->ipv6_only }, sizeof(int)) < 0)
                return fail(failure, "setsockopt", "ipv6Only");
        if (address_has_packets(address))
                r = switch_on(fd, SO_BROADCAST, "broadcast", failure);
        if (r == 0 && (reuse_address || shares_multicast(spec)))
                r = switch_on(fd, SO_REUSEADDR, "reuseAddress", failure);
        if (r == 0 && is_group(spec) && !spec->unused_port)
                r = switch_on(fd, SO_REUSEPORT, NULL, failure);
        return r ?: apply(fd, spec, OPTION_BEFORE_BIND, failure);
}

static int bind_path(int fd, const Address *address, SocketFile *file, SocketFailure *failure) {
        SocketFileRefusal refusal;

        switch (socket_file_bind(file, fd, &address->u.un, address->len, &refusal)) {
        case 0:
                return 0;
        case SOCKET_FILE_E_PATH:
                *failure = (SocketFailure){ .step = "bind" };
                strcpy(failure->reason, refusal.reason);
                return SOCKET_FACTORY_E_PATH;
        default:
                errno = refusal.error;
                return fail(failure, refusal.step, NULL);
        }
}

static int bind_address(int fd, const Address *address, SocketFile *file, SocketFailure *failure) {
        if (address_is_path(address))
                return bind_path(fd, address, file, failure);
        return bind(fd, &address->u.sa, address->len) < 0 ? fail(failure, "bind", NULL) : 0;
}

static int start_listening(int fd, const SocketSpec *spec, SocketFailure *failure) {
        if (!address_listens(&spec->address))
                return 0;
        if (listen(fd, socket_options_backlog(spec->options)) < 0)
                return fail(failure, "listen", NULL);
        if (is_tcp(spec)) {
                int r = switch_on(fd, SO_REUSEADDR, "reuseAddress", failure);

                if (r != 0)
                        return r;
        }
        return apply(fd, spec, OPTION_AFTER_LISTEN, failure);
}

static bool is_left_to_kernel(const Address *address) {
        if (address_is_vsock(address))
                return address->u.vm.svm_port == VMADDR_PORT_ANY;
        return address_has_port(address) && address_port(address) == 0;
}

static int read_name(int fd, const SocketSpec *spec, Address *ret_bound, SocketFailure *failure) {
        struct sockaddr_storage ss = { 0 };
        socklen_t len = sizeof(ss);

        *ret_bound = spec->address;
        if (!is_left_to_kernel(&spec->address))
                return 0;
        if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
                return fail(failure, "getsockname", NULL);
        address_set_sockaddr(ret_bound, &ss, len);
        return 0;
}

static int announce(int fd, const SocketSpec *spec, SocketFailure *failure) {
        socklen_t size = sizeof(uint64_t);
        uint64_t cookie;

        if (!spec->announce)
                return 0;
        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
                return fail(failure, "getsockopt", NULL);
        spec->announce(spec->userdata, cookie);
        return 0;
}

/* The one step that must be taken inside. */
static int make(const SocketSpec *spec, int *ret_fd, SocketFailure *failure) {
        const int family = address_family(&spec->address), type = address_socket_type(&spec->address);
        const int protocol = address_protocol(&spec->address);
        NamespaceFailure refusal;
        int r;

        if (!spec->network_namespace) {
                *ret_fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
                return *ret_fd < 0 ? fail_to_make(failure) : 0;
        }
        r = namespace_socket(spec->network_namespace, family, type, protocol, ret_fd, &refusal);
        switch (r) {
        case 0:
                return 0;
        case NAMESPACE_HELPER_E_INVALID:
                *failure = (SocketFailure){ .step = "socket", .refusal = { .error = ENOENT } };
                strcpy(failure->reason, refusal.reason);
                return SOCKET_FACTORY_E_NAMESPACE;
        default:
                errno = refusal.error;
                r = fail_to_make(failure);
                failure->step = refusal.step;
                return r;
        }
}

static int attempt(const SocketSpec *spec, bool reuse_address, int *ret_fd, Address *ret_bound,
                   SocketFailure *failure) {
        const Address *address = &spec->address;
        _cleanup_(fd_closep) int fd = -1;
        SocketFile by_default = SOCKET_FILE_DEFAULT, *file = spec->file ?: &by_default;
        int r;

        r = make(spec, &fd, failure);
        if (r != 0)
                return r;
        r = prepare(fd, spec, reuse_address, failure);
        if (r == 0)
                r = announce(fd, spec, failure);
        if (r == 0)
                r = bind_address(fd, address, file, failure);
        /*
         * Set before bind, it would let this socket into a group that has the port, and on UDP the
         * kernel's own choice of a port would not be a free one. Later members join all the same.
         */
        if (r == 0 && is_group(spec) && spec->unused_port)
                r = switch_on(fd, SO_REUSEPORT, NULL, failure);
        if (r == 0)
                r = apply(fd, spec, OPTION_AFTER_BIND, failure);
        if (r == 0)
                r = start_listening(fd, spec, failure);
        if (r == 0)
                r = read_name(fd, spec, ret_bound, failure);
        if (r == 0)
                *ret_fd = fd_take(&fd);
        else
                socket_file_remove(file, address->u.un.sun_path);
        return r;
}

int socket_factory_open(const SocketSpec *spec, int *ret_fd, Address *ret_bound,
                        SocketFailure *ret_failure) {
        bool may_reuse = is_tcp(spec) && !(spec->options && spec->options->reuse_address == 0);
        OptionRefusal refusal;
        int r;

        if (socket_options_check(spec->options, &spec->address, &refusal) != 0) {
                *ret_failure = (SocketFailure){ .step = "setsockopt", .refusal = refusal };
                return SOCKET_FACTORY_E_OPTION_INVALID;
        }
        r = attempt(spec, false, ret_fd, ret_bound, ret_failure);
        if (r == SOCKET_FACTORY_E_IN_USE && may_reuse)
                r = attempt(spec, true, ret_fd, ret_bound, ret_failure);
        return r;
}

/* ---- to connect ---------------------------------------------------------------------------------- */

static bool dials_datagrams(const DialSpec *spec) {
        return spec->local.transport == TRANSPORT_UDP;
}

/* What the kernel is told to bind it to. */
static Address dial_place(const DialSpec *spec) {
        Address place = { .transport = spec->local.transport, .len = sizeof(place.u.in6) };

        if (!spec->aside)
                return spec->local;
        place.u.in6 =
                (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = spec->local.u.in.sin_port };
        place.u.in6.sin6_addr.s6_addr32[2] = htonl(0xffff);
        place.u.in6.sin6_addr.s6_addr32[3] = spec->local.u.in.sin_addr.s_addr;
        return place;
}

static int dial_prepare(int fd, const DialSpec *spec, SocketFailure *failure) {
        const Address *local = &spec->local;
        /* Also of one that is made aside: it will be of that family. */
        const SocketSpec common = { .address = *local, .options = spec->options };
        int r = 0;

        if ((spec->aside || address_family(local) == AF_INET6) &&
            setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &(int){ !spec->aside && local->ipv6_only },
                       sizeof(int)) < 0)
                return fail(failure, "setsockopt", "ipv6Only");
        if (dials_datagrams(spec))
                r = switch_on(fd, SO_BROADCAST, "broadcast", failure);
        if (r == 0 && spec->reuse)
                r = switch_on(fd, SO_REUSEPORT, NULL, failure);
        if (r == 0 && spec->reuse && !dials_datagrams(spec))
                r = switch_on(fd, SO_REUSEADDR, "reuseAddress", failure);
        /* The port is chosen with the destination: one that others have, for another, will do. */
        if (r == 0 && !spec->unbound && address_port(local) == 0 &&
            setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int)) < 0)
                return fail(failure, "setsockopt", NULL);
        return r ?: apply(fd, &common, OPTION_BEFORE_BIND, failure);
}

/* Bound and not connected yet, a datagram socket would be given what is not for it. */
static int dial_close_ears(int fd, SocketFailure *failure) {
        static struct sock_filter nothing = { .code = BPF_RET | BPF_K, .k = 0 };
        static const struct sock_fprog filter = { .len = 1, .filter = &nothing };

        if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
                return fail(failure, "setsockopt", NULL);
        return 0;
}

static int dial_open_ears(int fd, SocketFailure *failure) {
        if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){ 0 }, sizeof(int)) < 0)
                return fail(failure, "setsockopt", NULL);
        return 0;
}

/* EADDRNOTAVAIL says nothing of the address here. */
static int dial_connect(int fd, const DialSpec *spec, SocketFailure *failure) {
        if (connect(fd, &spec->remote->u.sa, spec->remote->len) == 0)
                return 0;
        (void)fail(failure, "connect", NULL);
        return SOCKET_FACTORY_E_SYSTEM;
}

/* From now on it is a socket of IPv4 like any other. */
static int dial_come_back(int fd, SocketFailure *failure) {
        if (setsockopt(fd, SOL_IPV6, IPV6_ADDRFORM, &(int){ AF_INET }, sizeof(int)) < 0)
                return fail(failure, "setsockopt", NULL);
        return 0;
}

static int dial_bind(int fd, const DialSpec *spec, const Address *place, SocketFailure *failure) {
        bool deaf = dials_datagrams(spec) && !spec->unbound;
        const SocketSpec common = { .announce = spec->announce, .userdata = spec->userdata };
        int r = deaf ? announce(fd, &common, failure) : 0;

        if (r == 0 && deaf)
                r = dial_close_ears(fd, failure);
        if (r == 0 && !spec->unbound && bind(fd, &place->u.sa, place->len) < 0)
                return fail(failure, "bind", NULL);
        if (r == 0 && dials_datagrams(spec))
                r = dial_connect(fd, spec, failure);
        if (r == 0 && spec->aside)
                r = dial_come_back(fd, failure);
        if (r == 0 && deaf)
                r = dial_open_ears(fd, failure);
        return r;
}

/* Its holder is to steer no group with it, and to have it serve in none. */
static int dial_hand_over(int fd, const DialSpec *spec, SocketFailure *failure) {
        if (!spec->reuse)
                return 0;
        if (setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &(int){ 1 }, sizeof(int)) < 0)
                return fail(failure, "setsockopt", NULL);
        /* Where the broker may not, it is no worse than a member. */
        if (!dials_datagrams(spec) && spec->uid != geteuid())
                (void)!fchown(fd, spec->uid, spec->gid);
        return 0;
}

int socket_factory_dial(const DialSpec *spec, int *ret_fd, Address *ret_bound,
                        SocketFailure *ret_failure) {
        const SocketSpec common = { .network_namespace = spec->network_namespace,
                                    .address = spec->local };
        const SocketSpec made = { .network_namespace = spec->network_namespace,
                                  .address = dial_place(spec) };
        _cleanup_(fd_closep) int fd = -1;
        int r = make(&made, &fd, ret_failure);

        if (r == 0)
                r = dial_prepare(fd, spec, ret_failure);
        if (r == 0)
                r = dial_bind(fd, spec, &made.address, ret_failure);
        if (r == 0)
                r = dial_hand_over(fd, spec, ret_failure);
        if (r == 0)
                r = read_name(fd, &common, ret_bound, ret_failure);
        if (r == 0)
                *ret_fd = fd_take(&fd);
        return r;
}

int socket_factory_lend(int fd) {
        return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int)) < 0
                       ? error_origin(-errno)
                       : 0;
}

/* ---- later ---------------------------------------------------------------------------------------- */

int socket_factory_reshape(int fd, const SocketSpec *spec, SocketFailure *ret_failure) {
        OptionRefusal refusal;
        int r = 0;

        if (socket_options_check(spec->options, &spec->address, &refusal) != 0) {
                *ret_failure = (SocketFailure){ .step = "setsockopt", .refusal = refusal };
                return SOCKET_FACTORY_E_OPTION_INVALID;
        }
        for (OptionStage stage = OPTION_BEFORE_BIND; stage <= OPTION_AFTER_LISTEN && r == 0; stage++)
                r = apply(fd, spec, stage, ret_failure);
        if (r == 0 && address_listens(&spec->address) && spec->options &&
            spec->options->backlog != WIRE_ABSENT &&
            listen(fd, socket_options_backlog(spec->options)) < 0)
                return fail(ret_failure, "listen", NULL);
        /* Joining and leaving a group late is not documented, and works: later members join this one. */
        if (r == 0 && address_has_port(&spec->address) &&
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ is_group(spec) }, sizeof(int)) < 0)
                return fail(ret_failure, "setsockopt", NULL);
        return r;
}

int socket_factory_lock(int fd) {
        if (setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &(int){ 1 }, sizeof(int)) == 0)
                return 0;
        /* MPTCP takes no programs, so that there is nothing to lock. */
        return errno == EOPNOTSUPP ? 0 : error_origin(-errno);
}

int socket_factory_listen_again(int fd, const SocketSpec *spec, SocketFailure *ret_failure) {
        int r;

        if (is_tcp(spec) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 0 }, sizeof(int)) < 0)
                return fail(ret_failure, "setsockopt", "reuseAddress");
        /* What waits goes to the others of a group, where the kernel moves it. */
        if (shutdown(fd, SHUT_RD) < 0 && errno != ENOTCONN)
                return fail(ret_failure, "shutdown", NULL);
        /* A holder may have taken it off, to be alone with the port. */
        if (is_group(spec)) {
                r = switch_on(fd, SO_REUSEPORT, NULL, ret_failure);
                if (r != 0)
                        return r;
        }
        r = start_listening(fd, spec, ret_failure);
        if (r != SOCKET_FACTORY_E_IN_USE)
                return r;
        /* A connection that another user accepted from it is in the way: as when it was made. */
        r = switch_on(fd, SO_REUSEADDR, "reuseAddress", ret_failure);
        return r ?: start_listening(fd, spec, ret_failure);
}
