/* SPDX-License-Identifier: BSD-2-Clause */

/* Both ends of an outgoing connection, as texts. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "client-lib/outgoing.h"

TestSuite(outgoing_address, .timeout = 10);

#define expect_text(text, expected) cr_assert(eq(str, (char *)(text), (char *)(expected)))

Test(outgoing_address, networks) {
        static const char *const known[] = {
                "tcp",      "tcp4",   "tcp6",     "udp",        "udp4",  "udp6",    "mptcp",
                "mptcp4",   "mptcp6", "sctp",     "sctp4",      "sctp6", "udplite", "udplite4",
                "udplite6", "unix",   "unixgram", "unixpacket", "vsock",
        };
        static const char *const unknown[] = {
                "", "tcp5", "TCP", "ip", "ip4", "ip4:icmp", "unix4", "vsock4", "tcp:80", "asd",
        };

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                cr_assert(ne(ptr, (void *)outgoing_kind_find(known[i]), NULL), "%s", known[i]);
        for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
                cr_assert(eq(ptr, (void *)outgoing_kind_find(unknown[i]), NULL), "%s", unknown[i]);
        cr_assert(outgoing_kind_find("tcp")->races);
        cr_assert(not(outgoing_kind_find("tcp4")->races));
        cr_assert(not(outgoing_kind_find("unix")->brokered));
        cr_assert(not(outgoing_kind_find("vsock")->brokered));
}

static const struct {
        const char *network, *text;
        const char *expected; /* NULL: refused */
        int family;
} remotes[] = {
        { "tcp", "", NULL, 0 },
        { "tcp", "127.0.0.1", NULL, 0 },
        { "tcp", "127.0.0.1:0", NULL, 0 },
        { "tcp", "127.0.0.1:", NULL, 0 },
        { "tcp", "127.0.0.1:70000", NULL, 0 },
        { "tcp", "127.0.0.1:80-90", NULL, 0 },
        { "tcp", "example.com:80", NULL, 0 },
        { "tcp4", "[::1]:80", NULL, 0 },
        { "tcp6", "127.0.0.1:80", NULL, 0 },
        { "tcp", "[fe80::1]:80", NULL, 0 },
        { "tcp", "[fe80::1%nope]:80", NULL, 0 },
        { "tcp", "127.0.0.1%lo:80", NULL, 0 },
        { "tcp", "/run/x", NULL, 0 },
        { "unix", "127.0.0.1:80", NULL, 0 },
        { "unix", "", NULL, 0 },
        { "unix", "@", NULL, 0 },
        { "vsock", "", NULL, 0 },
        { "vsock", "1", NULL, 0 },
        { "vsock", ":1", NULL, 0 },
        { "vsock", "1:", NULL, 0 },
        { "vsock", "-1:1", NULL, 0 },
        { "vsock", "1:4294967296", NULL, 0 },
        { "vsock", "1:2:3", NULL, 0 },
        { "tcp", "127.0.0.1:80", "127.0.0.1:80", AF_INET },
        { "tcp", "localhost:80", "127.0.0.1:80", AF_INET },
        { "tcp6", "localhost:80", "[::1]:80", AF_INET6 },
        { "tcp", "[::1]:80", "[::1]:80", AF_INET6 },
        { "tcp", "[::1%lo]:80", "[::1]:80", AF_INET6 },
        { "tcp", "[2001:db8::1%nope]:80", "[2001:db8::1]:80", AF_INET6 },
        { "tcp", "[fe80::1%1]:80", "[fe80::1%lo]:80", AF_INET6 },
        { "tcp", "[::ffff:10.0.0.1]:80", "10.0.0.1:80", AF_INET },
        { "udp4", "255.255.255.255:9", "255.255.255.255:9", AF_INET },
        /* No host is this one. */
        { "tcp", ":80", "127.0.0.1:80", AF_INET },
        { "tcp", "0.0.0.0:80", "127.0.0.1:80", AF_INET },
        { "tcp", "[::]:80", "127.0.0.1:80", AF_INET },
        { "tcp4", ":80", "127.0.0.1:80", AF_INET },
        { "tcp6", ":80", "[::1]:80", AF_INET6 },
        { "mptcp6", "[::]:80", "[::1]:80", AF_INET6 },
        { "sctp4", ":80", "127.0.0.1:80", AF_INET },
        { "unix", "/run/x", "/run/x", AF_UNIX },
        { "unixgram", "@x", "@x", AF_UNIX },
        { "vsock", "2:4294967295", "2:4294967295", AF_VSOCK },
};

Test(outgoing_address, destinations) {
        for (size_t i = 0; i < sizeof(remotes) / sizeof(remotes[0]); i++) {
                const OutgoingKind *kind = outgoing_kind_find(remotes[i].network);
                const char *reason = NULL;
                OutgoingAddress address;
                int r = outgoing_remote_parse(kind, remotes[i].text, NULL, &address, &reason);

                cr_assert(eq(int, r, remotes[i].expected ? 0 : OUTGOING_E_INVALID), "row %zu", i);
                cr_assert(eq(int, reason != NULL, r != 0), "row %zu", i);
                if (r != 0)
                        continue;
                expect_text(address.text, remotes[i].expected);
                cr_assert(eq(int, address.u.sa.sa_family, remotes[i].family), "row %zu", i);
        }
}

/* A name is nobody's there that is known here. */
Test(outgoing_address, zones_elsewhere) {
        static const struct {
                const char *text, *expected; /* NULL: it is refused */
        } rows[] = {
                { "[fe80::1]:80", NULL },
                { "[fe80::1%lo]:80", NULL },
                { "[fe80::1%1]:80", "[fe80::1%1]:80" },
                { "[::1%lo]:80", "[::1]:80" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *reason = NULL;
                OutgoingAddress address;
                int r = outgoing_remote_parse(outgoing_kind_find("tcp"), rows[i].text, "blue", &address,
                                              &reason);

                cr_assert(eq(int, r, rows[i].expected ? 0 : OUTGOING_E_INVALID), "row %zu", i);
                cr_assert(eq(int, reason != NULL, r != 0), "row %zu", i);
                if (r == 0)
                        expect_text(address.text, rows[i].expected);
        }
}

static const struct {
        const char *network, *text;
        bool refused, fixed;
        int family;
        const char *ask;
} locals[] = {
        { "tcp", "127.0.0.1", true, false, 0, NULL },
        { "tcp", "127.0.0.1:5000-5001", true, false, 0, NULL },
        { "tcp4", "[::1]:5000", true, false, 0, NULL },
        { "tcp", "host.example:5000", true, false, 0, NULL },
        { "vsock", "1:1", true, false, 0, NULL },
        { "unixgram", "x", true, false, 0, NULL },
        { "tcp", NULL, false, false, AF_UNSPEC, NULL },
        { "tcp", "", false, false, AF_UNSPEC, NULL },
        { "vsock", "", false, false, AF_UNSPEC, NULL },
        { "tcp", ":0", false, false, AF_UNSPEC, ":0" },
        { "tcp", "[::]:0", false, false, AF_UNSPEC, ":0" },
        { "tcp4", ":0", false, false, AF_INET, ":0" },
        { "tcp6", ":0", false, false, AF_INET6, ":0" },
        { "tcp", "127.0.0.1:0", false, false, AF_INET, "127.0.0.1:0" },
        { "tcp", "[::1]:0", false, false, AF_INET6, "[::1]:0" },
        { "tcp", "127.0.0.1:5000", false, true, AF_INET, "127.0.0.1:5000" },
        { "tcp", ":5000", false, true, AF_UNSPEC, ":5000" },
        { "tcp4", ":5000", false, true, AF_INET, ":5000" },
        { "unixgram", "/run/me", false, true, AF_UNIX, "/run/me" },
};

Test(outgoing_address, this_end) {
        for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
                const OutgoingKind *kind = outgoing_kind_find(locals[i].network);
                const char *reason = NULL;
                OutgoingLocal local;
                int r = outgoing_local_parse(kind, locals[i].text, NULL, &local, &reason);

                cr_assert(eq(int, r, locals[i].refused ? OUTGOING_E_INVALID : 0), "row %zu", i);
                cr_assert(eq(int, reason != NULL, r != 0), "row %zu", i);
                if (r != 0)
                        continue;
                cr_assert(eq(int, local.fixed, locals[i].fixed), "row %zu", i);
                cr_assert(eq(int, local.family, locals[i].family), "row %zu", i);
                cr_assert(eq(int, local.ask == NULL, locals[i].ask == NULL), "row %zu", i);
                if (local.ask)
                        expect_text(local.ask, locals[i].ask);
        }
}
