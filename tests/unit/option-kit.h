/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Every kind of socket and every option that is a number, for the tests that go through all of them. */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>

#include "daemon/socket-factory.h"
#include "daemon/socket-options.h"
#include "tests/unit/socket-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

enum {
        TCP4 = 1 << 0,
        TCP6 = 1 << 1,
        TCP46 = 1 << 2,
        UDP4 = 1 << 3,
        UDP6 = 1 << 4,
        UDP46 = 1 << 5,
        STREAM = 1 << 6,
        GRAM = 1 << 7,
        PACKET = 1 << 8,
        RAW4 = 1 << 9,
        RAW6 = 1 << 10,
        TCP = TCP4 | TCP6 | TCP46,
        UDP = UDP4 | UDP6 | UDP46,
        PACKETS = UDP | RAW4 | RAW6,
        IP = TCP | PACKETS,
        UNIX = STREAM | GRAM | PACKET,
        LISTENERS = TCP | STREAM | PACKET,
};

typedef struct Kind {
        const char *network, *address;
} Kind;

/* In the order of the bits. */
static const Kind kinds[] = {
        { "tcp4", "127.0.0.1:0" },  { "tcp6", "[::1]:0" },      { "tcp", "[::]:0" },
        { "udp4", "127.0.0.1:0" },  { "udp6", "[::1]:0" },      { "udp", "[::]:0" },
        { "unix", "@options" },     { "unixgram", "@options" }, { "unixpacket", "@options" },
        { "ip4:253", "127.0.0.1" }, { "ip6:253", "::1" },
};

/* Numbers and booleans: two values that can be set, what the kernel then says, and the two nearest that
 * cannot. */
typedef struct Number {
        const char *name;
        unsigned on;
        bool tristate;
        bool privileged;
        int64_t set[2], read[2];
        int64_t below, above;
} Number;

#define FLAG(wire, kinds)                                                                               \
        .name = (wire), .on = (kinds), .tristate = true, .set = { 1, 0 }, .read = { 1, 0 }
#define READ_AS(wire, kinds, set0, set1, read0, read1, first, last)                                     \
        .name = (wire), .on = (kinds), .set = { set0, set1 }, .read = { read0, read1 },                 \
        .below = (int64_t)(first)-1, .above = (int64_t)(last) + 1
#define NUMBER(wire, kinds, set0, set1, first, last)                                                    \
        READ_AS(wire, kinds, set0, set1, set0, set1, first, last)

static const Number numbers[] = {
        { NUMBER("backlog", LISTENERS, 1, 100, 1, INT32_MAX) },
        { FLAG("reuseAddress", TCP) },
        { FLAG("broadcast", PACKETS) },
        { FLAG("freeBind", IP) },
        { FLAG("transparent", IP), .privileged = true },
        { NUMBER("mark", IP, 1, UINT32_MAX, 0, UINT32_MAX), .privileged = true },
        { NUMBER("priority", IP, 7, 8, 0, INT32_MAX), .privileged = true },
        { NUMBER("typeOfService", IP, 8, 252, 0, 255) },
        { NUMBER("timeToLive", IP, 1, 255, 1, 255) },
        { FLAG("keepAlive", TCP) },
        { NUMBER("keepAliveIdleSec", TCP, 1, 32767, 1, 32767) },
        { NUMBER("keepAliveIntervalSec", TCP, 1, 32767, 1, 32767) },
        { NUMBER("keepAliveProbes", TCP, 1, 127, 1, 127) },
        { FLAG("noDelay", TCP) },
        /* In whole retransmissions, so rounded up. */
        { READ_AS("deferAcceptSec", TCP, 1, 2, 1, 3, 0, INT32_MAX) },
        { NUMBER("fastOpenQueue", TCP, 5, 16, 0, INT32_MAX) },
        { NUMBER("userTimeoutMsec", TCP, 1500, 0, 0, INT32_MAX) },
        { READ_AS("lingerSec", TCP, 0, -1, 0, WIRE_ABSENT, -1, 65535) },
        /* The kernel doubles what is asked for. */
        { READ_AS("receiveBuffer", IP | UNIX, 8192, 65536, 16384, 131072, 1, INT32_MAX / 2) },
        { READ_AS("sendBuffer", IP | UNIX, 8192, 65536, 16384, 131072, 1, INT32_MAX / 2) },
        { FLAG("packetInfo", PACKETS) },
        { FLAG("timestamp", PACKETS | GRAM) },
        { FLAG("passCredentials", UNIX) },
        { FLAG("multicastLoop", PACKETS) },
};

static OptionRefusal refusal;

static inline void *field(Options *options, const char *name) {
        for (size_t i = 0; i < wire_options.n_fields; i++)
                if (strcmp(wire_options.fields[i].name, name) == 0)
                        return (char *)options + wire_options.fields[i].offset;
        cr_fatal("no option %s", name);
}

static inline void number_put(Options *options, const Number *row, int64_t value) {
        if (row->tristate)
                *(Tristate *)field(options, row->name) = (Tristate)value;
        else
                *(int64_t *)field(options, row->name) = value;
}

static inline int64_t number_get(Options *options, const Number *row) {
        if (row->tristate)
                return *(Tristate *)field(options, row->name);
        return *(int64_t *)field(options, row->name);
}

/* Those of raw IP are the last two, and not for everybody to make. */
static inline size_t kinds_to_make(void) {
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 253);

        fd_close(fd);
        return ELEMENTS(kinds) - (fd < 0 ? 2 : 0);
}

static inline Address kind_address(size_t kind) {
        return kit_address(kinds[kind].network, kinds[kind].address);
}

/* A socket with @options, by way of the factory. */
static inline int open_with(const Address *address, const Options *options) {
        const SocketSpec spec = { .address = *address, .options = options };
        SocketFailure failure = { 0 };
        Address bound;
        int fd = -1;

        cr_assert(zero(int, socket_factory_open(&spec, &fd, &bound, &failure)), "%s %s: %s, %s: %s",
                  address_network(address, (char[NETWORK_TEXT_MAX]){ 0 }), failure.step,
                  failure.refusal.option, failure.refusal.reason, strerror(failure.refusal.error));
        return fd;
}
