/* SPDX-License-Identifier: BSD-2-Clause */

/* Where an outgoing connection comes from. The numbers in the names are those of the list of what
 * go-libp2p's dialer does, which is followed here point by point. */

#include "daemon/origin.h"

#include <stdio.h>

#include "tests/unit/socket-kit.h"

enum {
        CANDIDATES_MAX = 6,
        DRAWS = 200,
        NOBODY = -1,
        UNDIALABLE = -2,
};

/* What routing is to say; NULL: nothing. */
static const char *route_says;
static size_t n_asked;

static bool fake_route(const Namespace *network_namespace, const Address *remote, Address *ret) {
        n_asked++;
        if (!route_says)
                return false;
        *ret = kit_address(address_family(remote) == AF_INET ? "udp4" : "udp6", route_says);
        return true;
}

/* One choice. Candidates are "NETWORK ADDRESS", up to a NULL. */
typedef struct Case {
        const char *candidates[CANDIDATES_MAX + 1];
        const char *network, *remote, *route;
        int chosen; /* index, or one of the above */
} Case;

static size_t read_candidates(const Case *c, Address *addresses, OriginCandidate *ret) {
        size_t n = 0;

        for (; c->candidates[n]; n++) {
                char network[16];
                size_t length = strcspn(c->candidates[n], " ");

                snprintf(network, sizeof(network), "%.*s", (int)length, c->candidates[n]);
                addresses[n] = kit_address(network, c->candidates[n] + length + 1);
                ret[n] = (OriginCandidate){ &addresses[n], 100 + n };
        }
        return n;
}

static int choose(const Case *c, uint64_t random) {
        Address addresses[CANDIDATES_MAX], remote = kit_address(c->network, c->remote);
        OriginCandidate candidates[CANDIDATES_MAX];
        size_t n = read_candidates(c, addresses, candidates), chosen = CANDIDATES_MAX;

        route_says = c->route;
        switch (origin_choose(candidates, n, &remote, NULL, fake_route, random, &chosen)) {
        case 0:
                return (int)chosen;
        case ORIGIN_E_NONE:
                return NOBODY;
        default:
                return UNDIALABLE;
        }
}

static void expect(const Case *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int chosen = choose(&cases[i], 0);

                cr_assert(chosen == cases[i].chosen, "%s to %s, row %zu: %d, expected %d",
                          cases[i].candidates[0] ?: "nobody", cases[i].remote, i, chosen,
                          cases[i].chosen);
        }
}

#define EXPECT(cases) expect((cases), sizeof(cases) / sizeof((cases)[0]))

TestSuite(origin, .timeout = 10);

/* ---- refusals ------------------------------------------------------------------------------------ */

Test(origin, s1_10_undialable) {
        static const Case cases[] = {
                { { "tcp4 10.9.9.1:1" }, "tcp4", "224.0.0.1:80", NULL, UNDIALABLE },
                { { "tcp4 10.9.9.1:1" }, "tcp4", "169.254.1.1:80", NULL, UNDIALABLE },
                { { "tcp4 10.9.9.1:1" }, "tcp4", "255.255.255.255:80", NULL, UNDIALABLE },
                { { "tcp4 10.9.9.1:1" }, "tcp4", "0.0.0.0:80", NULL, UNDIALABLE },
                { { "tcp4 127.0.0.1:1" }, "tcp4", "239.1.2.3:80", NULL, UNDIALABLE },
                { { "tcp4 127.0.0.1:1", "tcp4 0.0.0.0:2" }, "tcp4", "0.0.0.0:80", NULL, UNDIALABLE },
                { { "tcp6 [fd09::1]:1" }, "tcp6", "[ff02::1%lo]:80", NULL, UNDIALABLE },
                { { "tcp6 [::1]:1" }, "tcp6", "[fe80::1%lo]:80", NULL, UNDIALABLE },
                { { "tcp6 [::1]:1" }, "tcp6", "[::]:80", NULL, UNDIALABLE },
                { { "udp4 10.9.9.1:1" }, "udp4", "224.0.0.1:80", NULL, UNDIALABLE },
        };

        n_asked = 0;
        EXPECT(cases);
        cr_assert(zero(sz, n_asked));
}

/* Only where there is an address of which to say it. */
Test(origin, s1_10_not_asked_of_wildcards_and_strangers) {
        static const Case cases[] = {
                { { NULL }, "tcp4", "224.0.0.1:80", NULL, NOBODY },
                { { "tcp4 0.0.0.0:1" }, "tcp4", "224.0.0.1:80", NULL, 0 },
                { { "tcp4 0.0.0.0:1" }, "tcp4", "255.255.255.255:80", NULL, 0 },
                { { "tcp4 0.0.0.0:1" }, "tcp4", "0.0.0.0:80", NULL, 0 },
                { { "tcp6 [::]:1" }, "tcp6", "[fe80::1%lo]:80", NULL, 0 },
                { { "tcp6 [::1]:1" }, "tcp4", "224.0.0.1:80", NULL, NOBODY },
                { { "udp4 10.9.9.1:1" }, "tcp4", "224.0.0.1:80", NULL, NOBODY },
        };

        EXPECT(cases);
}

Test(origin, s1_10_private_networks_are_dialable) {
        static const Case cases[] = {
                { { "tcp4 10.9.9.1:1" }, "tcp4", "10.1.1.1:80", "10.9.9.1:9", 0 },
                { { "tcp4 10.9.9.1:1" }, "tcp4", "192.168.1.1:80", "10.9.9.1:9", 0 },
                { { "tcp6 [fd09::1]:1" }, "tcp6", "[fc00::1]:80", "[fd09::1]:9", 0 },
                { { "tcp4 10.9.9.1:1" }, "tcp4", "127.0.0.1:80", "127.0.0.1:9", NOBODY },
        };

        EXPECT(cases);
}

/* Never from an address that is another one than what is used there. */
Test(origin, s1_14_otherwise_none) {
        static const Case cases[] = {
                { { NULL }, "tcp4", "10.9.9.2:80", "10.9.9.1:9", NOBODY },
                { { "tcp4 10.9.9.1:1" }, "tcp4", "8.8.8.8:80", "10.9.9.7:9", NOBODY },
                { { "tcp4 127.0.0.1:1" }, "tcp4", "8.8.8.8:80", "10.9.9.7:9", NOBODY },
                { { "tcp4 127.0.0.1:1", "tcp4 10.9.9.1:2" }, "tcp4", "8.8.8.8:80", NULL, NOBODY },
        };

        EXPECT(cases);
}

Test(origin, s1_3_families_are_apart) {
        static const Case cases[] = {
                { { "tcp4 127.0.0.1:1" }, "tcp6", "[::1]:80", "[::1]:9", NOBODY },
                { { "tcp6 [::1]:1" }, "tcp4", "127.0.0.1:80", "127.0.0.1:9", NOBODY },
                { { "tcp4 0.0.0.0:1" }, "tcp6", "[::1]:80", NULL, NOBODY },
                { { "tcp6 [::]:1" }, "tcp4", "127.0.0.1:80", NULL, NOBODY },
                { { "tcp4 0.0.0.0:1", "tcp6 [::]:1" }, "tcp6", "[::1]:80", NULL, 1 },
                /* But for what listens for both. */
                { { "tcp :1" }, "tcp4", "127.0.0.1:80", NULL, 0 },
                { { "tcp :1" }, "tcp6", "[::1]:80", NULL, 0 },
        };

        EXPECT(cases);
}

Test(origin, kinds_are_apart) {
        static const Case cases[] = {
                { { "udp4 127.0.0.1:1", "udp4 0.0.0.0:1" }, "tcp4", "127.0.0.1:80", NULL, NOBODY },
                { { "tcp4 127.0.0.1:1", "tcp4 0.0.0.0:1" }, "udp4", "127.0.0.1:80", NULL, NOBODY },
                { { "unix /run/s", "unixgram @s" }, "tcp4", "127.0.0.1:80", NULL, NOBODY },
                { { "tcp4 127.0.0.1:1", "udp4 127.0.0.1:1" }, "udp4", "127.0.0.1:80", NULL, 1 },
        };

        EXPECT(cases);
}

/* ---- the choice ---------------------------------------------------------------------------------- */

Test(origin, s1_9_classes) {
        static const struct {
                const char *network, *address;
                OriginClass class;
        } cases[] = {
                { "tcp4", "127.0.0.1:1", ORIGIN_LOOPBACK },
                { "tcp4", "127.255.3.4:1", ORIGIN_LOOPBACK },
                { "tcp6", "[::1]:1", ORIGIN_LOOPBACK },
                { "tcp4", "0.0.0.0:1", ORIGIN_WILDCARD },
                { "tcp6", "[::]:1", ORIGIN_WILDCARD },
                { "tcp", ":1", ORIGIN_WILDCARD },
                { "tcp4", "128.0.0.1:1", ORIGIN_SPECIFIC },
                { "tcp4", "126.255.255.255:1", ORIGIN_SPECIFIC },
                { "tcp4", "10.9.9.1:1", ORIGIN_SPECIFIC },
                { "tcp6", "[::2]:1", ORIGIN_SPECIFIC },
                { "tcp6", "[fd09::1]:1", ORIGIN_SPECIFIC },
                { "udp4", "224.0.0.1:1", ORIGIN_SPECIFIC },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Address address = kit_address(cases[i].network, cases[i].address);

                cr_assert(origin_class(&address) == cases[i].class, "%s", cases[i].address);
        }
}

Test(origin, s1_11_specific_by_route) {
        static const Case cases[] = {
                { { "tcp4 10.9.9.1:1" }, "tcp4", "8.8.8.8:80", "10.9.9.1:9", 0 },
                { { "tcp4 10.9.8.1:1", "tcp4 10.9.9.1:2" }, "tcp4", "8.8.8.8:80", "10.9.9.1:9", 1 },
                { { "tcp6 [fd09::1]:1" }, "tcp6", "[fd09::2]:80", "[fd09::1]:9", 0 },
                { { "udp6 [fd09::1]:1" }, "udp6", "[fd09::2]:80", "[fd09::1]:9", 0 },
                /* A question without an answer is passed over. */
                { { "tcp4 10.9.9.1:1", "tcp4 0.0.0.0:2" }, "tcp4", "8.8.8.8:80", NULL, 1 },
        };

        EXPECT(cases);
}

/* The same one, whatever is drawn: it is the one that was there first. */
Test(origin, s1_11_first_and_always_the_same) {
        Address addresses[3];
        OriginCandidate candidates[3];
        Address remote = kit_address("tcp4", "8.8.8.8:80");

        for (int i = 0; i < 3; i++) {
                char text[32];

                snprintf(text, sizeof(text), "10.9.9.1:%d", i + 1);
                addresses[i] = kit_address("tcp4", text);
                candidates[i] = (OriginCandidate){ &addresses[i], (uint64_t)((i + 1) % 3) };
        }
        route_says = "10.9.9.1:9";
        for (uint64_t draw = 0; draw < DRAWS; draw++) {
                size_t chosen = 0;

                cr_assert(zero(int,
                               origin_choose(candidates, 3, &remote, NULL, fake_route, draw, &chosen)));
                cr_assert(eq(sz, chosen, 2));
        }
}

Test(origin, s1_11_routing_is_not_asked_in_vain) {
        static const Case cases[] = {
                { { "tcp4 127.0.0.1:1" }, "tcp4", "127.0.0.1:80", "127.0.0.1:9", 0 },
                { { "tcp4 0.0.0.0:1" }, "tcp4", "8.8.8.8:80", "10.9.9.1:9", 0 },
                { { "tcp6 [fd09::1]:1" }, "tcp4", "8.8.8.8:80", "10.9.9.1:9", NOBODY },
        };

        n_asked = 0;
        EXPECT(cases);
        cr_assert(zero(sz, n_asked));
}

/* @c chooses among the first @n of its candidates, each as often as the others. */
static void expect_spread(const Case *c, int n) {
        int times[CANDIDATES_MAX] = { 0 };

        for (uint64_t draw = 0; draw < DRAWS; draw++) {
                int chosen = choose(c, draw);

                cr_assert(chosen >= 0 && chosen < n, "%d", chosen);
                times[chosen]++;
        }
        for (int i = 0; i < n; i++)
                cr_assert(times[i] >= DRAWS / n && times[i] <= DRAWS / n + 1, "%d: %d", i, times[i]);
}

Test(origin, s1_12_loopback_for_loopback) {
        static const Case cases[] = {
                { { "tcp4 0.0.0.0:1", "tcp4 127.0.0.1:2" }, "tcp4", "127.0.0.1:80", NULL, 1 },
                { { "tcp4 127.0.0.1:2" }, "tcp4", "127.3.2.1:80", NULL, 0 },
                { { "tcp6 [::1]:2" }, "tcp6", "[::1]:80", NULL, 0 },
                { { "tcp4 127.0.0.1:2", "tcp4 0.0.0.0:1" }, "tcp4", "8.8.8.8:80", NULL, 1 },
        };
        static const Case any = { { "tcp4 127.0.0.1:1", "tcp4 127.0.0.1:2", "tcp4 127.0.0.2:3",
                                    "tcp4 0.0.0.0:4", "tcp6 [::1]:5" },
                                  "tcp4",
                                  "127.0.0.1:80",
                                  NULL,
                                  0 };

        EXPECT(cases);
        expect_spread(&any, 3);
}

Test(origin, s1_13_wildcard_for_the_rest) {
        static const Case cases[] = {
                { { "tcp4 0.0.0.0:1" }, "tcp4", "8.8.8.8:80", NULL, 0 },
                { { "tcp4 0.0.0.0:1" }, "tcp4", "127.0.0.1:80", NULL, 0 },
                { { "tcp6 [::]:1" }, "tcp6", "[fd09::2]:80", NULL, 0 },
                { { "udp4 0.0.0.0:1" }, "udp4", "8.8.8.8:80", NULL, 0 },
        };
        static const Case any = {
                { "tcp4 0.0.0.0:1", "tcp :2", "tcp4 127.0.0.1:3" }, "tcp4", "8.8.8.8:80", NULL, 0
        };

        EXPECT(cases);
        expect_spread(&any, 2);
}

Test(origin, s1_15_precedence) {
        static const Case cases[] = {
                { { "tcp4 0.0.0.0:1", "tcp4 127.0.0.1:2", "tcp4 10.9.9.1:3" },
                  "tcp4",
                  "8.8.8.8:80",
                  "10.9.9.1:9",
                  2 },
                { { "tcp4 0.0.0.0:1", "tcp4 127.0.0.1:2", "tcp4 10.9.9.1:3" },
                  "tcp4",
                  "127.0.0.1:80",
                  "127.0.0.1:9",
                  1 },
                /* Though it be loopback. */
                { { "tcp4 0.0.0.0:1", "tcp4 127.0.0.1:2", "tcp4 10.9.9.1:3" },
                  "tcp4",
                  "127.0.0.1:80",
                  "10.9.9.1:9",
                  2 },
                { { "tcp4 0.0.0.0:1", "tcp4 127.0.0.1:2", "tcp4 10.9.9.1:3" },
                  "tcp4",
                  "8.8.8.8:80",
                  "10.9.9.7:9",
                  0 },
                { { "tcp4 127.0.0.1:2", "tcp4 10.9.9.1:3" },
                  "tcp4",
                  "8.8.8.8:80",
                  "10.9.9.7:9",
                  NOBODY },
        };

        EXPECT(cases);
}

/* ---- what is bound to ---------------------------------------------------------------------------- */

Test(origin, s1_13_wildcard_of_the_family_is_bound) {
        static const char *const cases[][5] = {
                { "tcp", ":7", "tcp4", "127.0.0.1:80", "tcp4 0.0.0.0:7" },
                { "tcp", ":7", "tcp6", "[::1]:80", "tcp6 [::]:7" },
                { "tcp6", "[::]:7", "tcp6", "[::1]:80", "tcp6 [::]:7" },
                { "tcp4", "0.0.0.0:7", "tcp4", "127.0.0.1:80", "tcp4 0.0.0.0:7" },
                { "tcp4", "10.9.9.1:7", "tcp4", "127.0.0.1:80", "tcp4 10.9.9.1:7" },
                { "udp", ":7", "udp4", "127.0.0.1:80", "udp4 0.0.0.0:7" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Address local = kit_address(cases[i][0], cases[i][1]);
                Address remote = kit_address(cases[i][2], cases[i][3]), bound;
                char text[ADDRESS_TEXT_MAX], both[ADDRESS_TEXT_MAX + 16];

                origin_bind_address(&local, &remote, &bound);
                snprintf(both, sizeof(both), "%s %s",
                         address_network(&bound, (char[NETWORK_TEXT_MAX]){ 0 }),
                         address_format(&bound, text));
                KIT_EXPECT_TEXT(both, cases[i][4]);
        }
}

/* ---- the kernel ---------------------------------------------------------------------------------- */

Test(origin, a_route_of_the_kernel_s) {
        Address remote = kit_address("tcp4", "127.0.0.1:80"), source;

        cr_assert(origin_route(NULL, &remote, &source));
        cr_assert(eq(u32, ntohl(source.u.in.sin_addr.s_addr), INADDR_LOOPBACK));
}

Test(origin, a_kernel_without_a_route) {
        Address remote = kit_address("tcp4", "8.8.8.8:80"), source;

        if (!kit_own_network())
                cr_skip_test("needs a network of its own");
        cr_assert(not(origin_route(NULL, &remote, &source)));
}
