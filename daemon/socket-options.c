/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The options of the protocol, one row each. A row says on which sockets the option exists, what it may
 * be and what the kernel calls it; its kind (option-kind.h) does the work.
 */

#include "daemon/socket-options.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/option-kind.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

/* The kinds of sockets that a row can exist on. */
enum {
        ON_TCP4 = 1 << 0,
        ON_TCP6 = 1 << 1,
        ON_UDP4 = 1 << 2,
        ON_UDP6 = 1 << 3,
        ON_UNIX = 1 << 4,
        ON_UNIXGRAM = 1 << 5,
        ON_UNIXPACKET = 1 << 6,
        ON_SCTP4 = 1 << 7,
        ON_SCTP6 = 1 << 8,
        ON_VSOCK = 1 << 9,
        ON_RAW = 1 << 10,
        /* MPTCP and UDP-Lite have the options of TCP and UDP; the kernel says which it does not. */
        ON_TCP = ON_TCP4 | ON_TCP6,
        ON_UDP = ON_UDP4 | ON_UDP6,
        ON_SCTP = ON_SCTP4 | ON_SCTP6,
        ON_IP6 = ON_TCP6 | ON_UDP6 | ON_SCTP6,
        ON_PORTS = ON_TCP | ON_UDP | ON_SCTP,
        ON_PACKETS = ON_UDP | ON_RAW,
        ON_IP = ON_PORTS | ON_RAW,
        ON_ANY_UNIX = ON_UNIX | ON_UNIXGRAM | ON_UNIXPACKET,
        ON_LISTENERS = ON_TCP | ON_SCTP | ON_VSOCK | ON_UNIX | ON_UNIXPACKET,
        ON_BUFFERED = ON_IP | ON_ANY_UNIX, /* vsock has other options for that */
};

enum {
        /* Where /proc does not say: what Go has then, and what Linux before 5.4 had. */
        SOMAXCONN_UNKNOWN = 128,
};

#define FIELD(wire, member) .name = (wire), .offset = offsetof(Options, member)
#define INT(wire, member) FIELD(wire, member), .kind = &option_kind_int
#define BOOL(wire, member) FIELD(wire, member), .kind = &option_kind_bool, .max = 1
#define BUFFER(wire, member) FIELD(wire, member), .kind = &option_kind_buffer
#define NAME(wire, member)                                                                              \
        FIELD(wire, member), .kind = &option_kind_string, .buffer = offsetof(OptionsReadBack, member)
#define KERNEL(l, n) .level = (l), .optname = (n)
#define KERNEL6(n) .level6 = SOL_IPV6, .optname6 = (n)
#define RANGE(first, last) .min = (first), .max = (last), .range = "must be from " #first " to " #last

/* Applied and read in this order: IP_TOS also sets a priority, which one that was asked for replaces. */
static const OptionRow rows[] = {
        { FIELD("backlog", backlog), .kind = &option_kind_backlog, .on = ON_LISTENERS,
          RANGE(1, 2147483647), .decided = true, .listens = true },
        { FIELD("ipv6Only", ipv6_only), .kind = &option_kind_ipv6_only, .on = ON_IP6,
          KERNEL(SOL_IPV6, IPV6_V6ONLY), .decided = true, .listens = true },
        { FIELD("reuseAddress", reuse_address), .kind = &option_kind_reuse, .on = ON_PORTS,
          KERNEL(SOL_SOCKET, SO_REUSEADDR), .stage = OPTION_AFTER_LISTEN, .listens = true },
        { BOOL("broadcast", broadcast), .on = ON_PACKETS, KERNEL(SOL_SOCKET, SO_BROADCAST) },
        { NAME("bindToDevice", bind_to_device), .on = ON_IP, KERNEL(SOL_SOCKET, SO_BINDTODEVICE) },
        { BOOL("freeBind", free_bind), .on = ON_IP, KERNEL(SOL_IP, IP_FREEBIND),
          KERNEL6(IPV6_FREEBIND) },
        { BOOL("transparent", transparent), .on = ON_IP, KERNEL(SOL_IP, IP_TRANSPARENT),
          KERNEL6(IPV6_TRANSPARENT) },
        { INT("mark", mark), .on = ON_IP, KERNEL(SOL_SOCKET, SO_MARK), RANGE(0, 4294967295) },
        { INT("typeOfService", type_of_service), .on = ON_IP, KERNEL(SOL_IP, IP_TOS),
          KERNEL6(IPV6_TCLASS), .dual = true, RANGE(0, 255), .sets_next = true },
        { INT("priority", priority), .on = ON_IP, KERNEL(SOL_SOCKET, SO_PRIORITY),
          RANGE(0, 2147483647) },
        { INT("timeToLive", time_to_live), .on = ON_IP, KERNEL(SOL_IP, IP_TTL),
          KERNEL6(IPV6_UNICAST_HOPS), .dual = true, RANGE(1, 255) },
        { BOOL("keepAlive", keep_alive), .on = ON_TCP | ON_SCTP, KERNEL(SOL_SOCKET, SO_KEEPALIVE) },
        { INT("keepAliveIdleSec", keep_alive_idle_sec), .on = ON_TCP, KERNEL(SOL_TCP, TCP_KEEPIDLE),
          RANGE(1, 32767) },
        { INT("keepAliveIntervalSec", keep_alive_interval_sec), .on = ON_TCP,
          KERNEL(SOL_TCP, TCP_KEEPINTVL), RANGE(1, 32767) },
        { INT("keepAliveProbes", keep_alive_probes), .on = ON_TCP, KERNEL(SOL_TCP, TCP_KEEPCNT),
          RANGE(1, 127) },
        { BOOL("noDelay", no_delay), .on = ON_TCP, KERNEL(SOL_TCP, TCP_NODELAY) },
        { INT("deferAcceptSec", defer_accept_sec), .on = ON_TCP, KERNEL(SOL_TCP, TCP_DEFER_ACCEPT),
          RANGE(0, 2147483647), .listens = true },
        { INT("fastOpenQueue", fast_open_queue), .on = ON_TCP, KERNEL(SOL_TCP, TCP_FASTOPEN),
          RANGE(0, 2147483647), .listens = true },
        { INT("userTimeoutMsec", user_timeout_msec), .on = ON_TCP, KERNEL(SOL_TCP, TCP_USER_TIMEOUT),
          RANGE(0, 2147483647) },
        { FIELD("lingerSec", linger_sec), .kind = &option_kind_linger, .on = ON_TCP | ON_SCTP,
          RANGE(-1, 65535) },
        { BUFFER("receiveBuffer", receive_buffer), .on = ON_BUFFERED, KERNEL(SOL_SOCKET, SO_RCVBUF),
          RANGE(1, 1073741823) },
        { BUFFER("sendBuffer", send_buffer), .on = ON_BUFFERED, KERNEL(SOL_SOCKET, SO_SNDBUF),
          RANGE(1, 1073741823) },
        { NAME("congestion", congestion), .on = ON_TCP, KERNEL(SOL_TCP, TCP_CONGESTION) },
        { BOOL("packetInfo", packet_info), .on = ON_PACKETS, KERNEL(SOL_IP, IP_PKTINFO),
          KERNEL6(IPV6_RECVPKTINFO) },
        { BOOL("timestamp", timestamp), .on = ON_PACKETS | ON_UNIXGRAM,
          KERNEL(SOL_SOCKET, SO_TIMESTAMP) },
        { BOOL("passCredentials", pass_credentials), .on = ON_ANY_UNIX,
          KERNEL(SOL_SOCKET, SO_PASSCRED) },
        { FIELD("multicastInterface", multicast_interface), .kind = &option_kind_interface,
          .on = ON_PACKETS },
        { BOOL("multicastLoop", multicast_loop), .on = ON_PACKETS, KERNEL(SOL_IP, IP_MULTICAST_LOOP),
          KERNEL6(IPV6_MULTICAST_LOOP), .dual = true },
        { FIELD("multicastGroups", multicast_groups), .kind = &option_kind_groups, .on = ON_PACKETS,
          .stage = OPTION_AFTER_BIND, .listens = true },
        { FIELD("raw", raw), .kind = &option_kind_raw, .on = ON_BUFFERED | ON_VSOCK },
};

/* What the kernel says to a value it does not like; anything else is not the value's fault. */
static const int value_errors[] = { EINVAL, ERANGE, EDOM, ENOENT, ENODEV,
                                    /* A group that is joined twice. */
                                    EADDRINUSE, ENOPROTOOPT, EOPNOTSUPP, EADDRNOTAVAIL };

static bool row_exists(const OptionRow *row, const Address *address) {
        bool v6 = address_family(address) == AF_INET6;
        const unsigned bits[_TRANSPORT_N] = {
                [TRANSPORT_TCP] = v6 ? ON_TCP6 : ON_TCP4,
                [TRANSPORT_MPTCP] = v6 ? ON_TCP6 : ON_TCP4,
                [TRANSPORT_SCTP] = v6 ? ON_SCTP6 : ON_SCTP4,
                [TRANSPORT_UDP] = v6 ? ON_UDP6 : ON_UDP4,
                [TRANSPORT_UDPLITE] = v6 ? ON_UDP6 : ON_UDP4,
                [TRANSPORT_RAW] = ON_RAW,
                [TRANSPORT_VSOCK] = ON_VSOCK,
                [TRANSPORT_UNIX] = ON_UNIX,
                [TRANSPORT_UNIXGRAM] = ON_UNIXGRAM,
                [TRANSPORT_UNIXPACKET] = ON_UNIXPACKET,
        };

        return row->on & bits[address->transport];
}

/* A socket that never listens would never come to the last stage: there it is set before bind. */
static OptionStage row_stage(const OptionRow *row, const Address *address) {
        if (row->stage == OPTION_AFTER_LISTEN && !address_is_tcp(address))
                return OPTION_BEFORE_BIND;
        return row->stage;
}

static int refuse_value(const OptionRow *row, const char *reason, OptionRefusal *ret_refusal) {
        *ret_refusal = (OptionRefusal){ .option = row->name, .reason = reason };
        return SOCKET_OPTIONS_E_INVALID;
}

static int refuse_error(const OptionRow *row, int error, OptionRefusal *ret_refusal) {
        for (size_t i = 0; i < ELEMENTS(value_errors); i++)
                if (error == value_errors[i])
                        return refuse_value(row, strerrordesc_np(error), ret_refusal);
        *ret_refusal = (OptionRefusal){ .option = row->name, .error = error };
        return SOCKET_OPTIONS_E_SYSTEM;
}

int socket_options_check(const Options *options, const Address *address, OptionRefusal *ret_refusal) {
        if (!options)
                return 0;
        for (const OptionRow *row = rows; row < rows + ELEMENTS(rows); row++) {
                const char *reason;

                if (!row->kind->given(row, options))
                        continue;
                if (!row_exists(row, address))
                        return refuse_value(row, "there is no such option on this kind of socket",
                                            ret_refusal);
                reason = row->kind->check(row, options, address);
                if (reason)
                        return refuse_value(row, reason, ret_refusal);
        }
        return 0;
}

int socket_options_apply(int fd, const Options *options, const Address *address, OptionStage stage,
                         OptionRefusal *ret_refusal) {
        if (!options)
                return 0;
        for (const OptionRow *row = rows; row < rows + ELEMENTS(rows); row++) {
                int error;

                if (!row->kind->set || row_stage(row, address) != stage || !row_exists(row, address) ||
                    !row->kind->given(row, options))
                        continue;
                error = row->kind->set(row, fd, options, address);
                if (error)
                        return refuse_error(row, error, ret_refusal);
        }
        return 0;
}

int socket_options_check_outgoing(const Options *options, const Address *address,
                                  OptionRefusal *ret_refusal) {
        for (const OptionRow *row = rows; row < rows + ELEMENTS(rows) && options; row++)
                if (row->listens && row->kind->given(row, options))
                        return refuse_value(row,
                                            "it is of sockets that are connected to, not of one "
                                            "that connects",
                                            ret_refusal);
        return socket_options_check(options, address, ret_refusal);
}

static int somaxconn(void) {
        static int value;
        long long read = 0;
        FILE *file;

        if (value > 0)
                return value;
        file = fopen("/proc/sys/net/core/somaxconn", "re");
        /* NOLINTNEXTLINE(cert-err34-c): glibc takes the largest there is for what is larger */
        if (!file || fscanf(file, "%lld", &read) != 1 || read <= 0)
                read = SOMAXCONN_UNKNOWN;
        if (file)
                fclose(file);
        value = read < INT_MAX ? (int)read : INT_MAX;
        return value;
}

int socket_options_backlog(const Options *options) {
        if (!options || options->backlog == WIRE_ABSENT)
                return somaxconn();
        return (int)options->backlog;
}

OptionSet socket_options_given(const Options *options) {
        OptionSet set = 0;

        for (size_t i = 0; i < ELEMENTS(rows) && options; i++)
                if (rows[i].kind->given(&rows[i], options))
                        set |= UINT64_C(1) << i;
        return set;
}

void socket_options_read(int fd, const Address *address, const Options *requested, OptionSet which,
                         OptionsReadBack *ret) {
        wire_init(&wire_options, &ret->options);
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                if ((rows[i].decided || which & UINT64_C(1) << i) && row_exists(&rows[i], address))
                        rows[i].kind->read(&rows[i], fd, address, requested, ret);
}

int socket_options_compare(const Options *want, const Options *have_requested, int fd,
                           const Address *address, OptionRefusal *ret_refusal) {
        OptionsReadBack kernel;
        bool kernel_read = false;

        if (!want)
                return 0;
        for (const OptionRow *row = rows; row < rows + ELEMENTS(rows); row++) {
                const Options *have = have_requested;

                if (!row->kind->given(row, want))
                        continue;
                if (!have || !row->kind->given(row, have)) {
                        if (!kernel_read)
                                socket_options_read(fd, address, NULL, socket_options_given(want),
                                                    &kernel);
                        kernel_read = true;
                        have = &kernel.options;
                }
                if (row->kind->equal(row, want, have))
                        continue;
                *ret_refusal = (OptionRefusal){ .option = row->name };
                row->kind->format(row, have, ret_refusal->have, sizeof(ret_refusal->have));
                row->kind->format(row, want, ret_refusal->want, sizeof(ret_refusal->want));
                return SOCKET_OPTIONS_E_CONFLICT;
        }
        return 0;
}

/* Those that change when @changes are set. */
static OptionSet rows_touched(const Options *changes) {
        OptionSet set = socket_options_given(changes);

        for (size_t i = 0; i < ELEMENTS(rows); i++)
                if (rows[i].sets_next && set & UINT64_C(1) << i)
                        set |= UINT64_C(1) << (i + 1);
        return set;
}

void socket_options_save(int fd, const Address *address, const Options *requested,
                         const Options *changes, OptionsBackup *ret) {
        socklen_t size = sizeof(ret->buffer_locks);
        Options asked;

        wire_init(&wire_options, &asked);
        if (requested)
                asked = *requested;
        /* Which raw options are read follows from what is asked for. */
        asked.raw = changes->raw;
        ret->changes = *changes;
        socket_options_read(fd, address, &asked, rows_touched(changes), &ret->before);
        if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &ret->buffer_locks, &size) < 0)
                ret->buffer_locks = -1;
}

void socket_options_restore(int fd, const Address *address, const OptionsBackup *backup) {
        OptionSet set = rows_touched(&backup->changes);

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                const OptionRow *row = &rows[i];

                if (!(set & UINT64_C(1) << i) || !row_exists(row, address))
                        continue;
                if (row->kind->reset)
                        row->kind->reset(row, fd, &backup->changes, &backup->before, address);
                else if (row->kind->set && row->kind->given(row, &backup->before.options))
                        row->kind->set(row, fd, &backup->before.options, address);
        }
        /* A buffer of a size that was asked for no longer grows by itself. */
        if (backup->buffer_locks >= 0)
                setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &backup->buffer_locks,
                           sizeof(backup->buffer_locks));
}
