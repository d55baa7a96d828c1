/* SPDX-License-Identifier: BSD-2-Clause */

/* In a network of our own any port will do, and an abstract name leaves no file behind. */

#include "tests/bench/churn-kind.h"

#include "proto/error.h"

typedef struct KindRow {
        const char *network;
        const char *text;
        const char *sharing;
} KindRow;

static const KindRow kinds[_KIND_N] = {
        [KIND_TCP4] = { "tcp4", "127.0.0.1:8080", "group" },
        [KIND_TCP6] = { "tcp6", "[::1]:8080", "group" },
        [KIND_UDP4] = { "udp4", "127.0.0.1:8080", "group" },
        [KIND_UNIX] = { "unix", "@reuseportd-churn", "shared" },
};

const char *kind_network(Kind kind) {
        return kinds[kind].network;
}

const char *kind_text(Kind kind) {
        return kinds[kind].text;
}

const char *kind_sharing(Kind kind) {
        return kinds[kind].sharing;
}

int kind_address(Kind kind, Address *ret) {
        static const AddressFamilies families = { .ipv4 = true, .ipv6 = true };
        const char *reason;

        return error_fold(address_parse(kinds[kind].network, kinds[kind].text, &families, ret, &reason));
}
