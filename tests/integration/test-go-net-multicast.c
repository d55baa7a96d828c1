/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the tests of Go's net assert about listening at multicast groups, by their names in snake case:
 * one listener, and two at the same group and port, of which the kernel knows.
 */

#include "tests/integration/go-kit.h"

TestSuite(go_net_multicast, .timeout = 60);

/* How many sockets have joined @group, as /proc/net/igmp and igmp6 have it: their number follows it. */
static int count_members(const char *path, const char *group) {
        FILE *file = fopen(path, "re");
        char line[256];
        int n = 0;

        cr_assert(file != NULL, "%s: %m", path);
        while (fgets(line, sizeof(line), file)) {
                const char *found = strstr(line, group);

                if (found)
                        n += atoi(found + strlen(group));
        }
        fclose(file);
        return n;
}

static int members_ipv4(const char *host) {
        char group[16];
        struct in_addr address;

        cr_assert(eq(int, inet_pton(AF_INET, host, &address), 1));
        snprintf(group, sizeof(group), "%08X ", address.s_addr);
        return count_members("/proc/net/igmp", group);
}

static int members_ipv6(const char *host) {
        struct in6_addr address;
        char group[40] = "";

        cr_assert(eq(int, inet_pton(AF_INET6, host, &address), 1));
        for (size_t i = 0; i < sizeof(address); i++)
                snprintf(group + 2 * i, sizeof(group) - 2 * i, "%02x ", address.s6_addr[i]);
        return count_members("/proc/net/igmp6", group);
}

/* The broker closes what was given back in its own time. */
static void wait_for_members(Go *go, const char *host, int (*members)(const char *host), int n) {
        for (int i = 0; i < 100000 && members(host) != n; i++)
                library_number(go->client, "GetStatus", "endpoints");
        cr_assert(eq(int, members(host), n), "%s", host);
}

/* Two at @spec, which the kernel knows as soon as they are given. */
static void expect_two_members(Go *go, const char *spec, const char *host,
                               int (*members)(const char *host)) {
        reuse_sockets *listeners[2];

        for (int i = 0; i < 2; i++) {
                listeners[i] = library_acquire(go->client, spec);
                cr_assert(eq(int, members(host), i + 1), "%s", spec);
                KIT_EXPECT_TEXT(go_port(go_address(listeners[i])), ":12345");
        }
        for (int i = 0; i < 2; i++) {
                go_close(go, listeners[i]);
                wait_for_members(go, host, members, 1 - i);
        }
}

Test(go_net_multicast, test_ipv4_multicast_listener) {
        static const char *const specs[] = {
                "udp:224.0.0.254:12345,multicastGroups=224.0.0.254%lo",
                "udp4:224.0.0.254:12345,multicastGroups=224.0.0.254%lo",
                "udp:0.0.0.0:12345,multicastGroups=224.0.0.254%lo",
                "udp4:0.0.0.0:12345,multicastGroups=224.0.0.254%lo",
        };
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(specs); i++)
                expect_two_members(&go, specs[i], "224.0.0.254", members_ipv4);
        go_end(&go);
}

/* Of this host, this link, and wider ones up to the world: the first two mean nothing without a zone. */
Test(go_net_multicast, test_ipv6_multicast_listener) {
        static const struct {
                const char *host, *zone;
        } groups[] = {
                { "ff01::114", "%lo" }, { "ff02::114", "%lo" }, { "ff04::114", "" },
                { "ff05::114", "" },    { "ff08::114", "" },    { "ff0e::114", "" },
        };
        static const char *const networks[] = { "udp", "udp6" };
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(networks) * ELEMENTS(groups); i++) {
                const char *network = networks[i / ELEMENTS(groups)];
                const char *host = groups[i % ELEMENTS(groups)].host;
                char spec[2 * GO_TEXT_MAX];

                snprintf(spec, sizeof(spec), "%s:[%s%s]:12345,multicastGroups=%s%%lo", network, host,
                         groups[i % ELEMENTS(groups)].zone, host);
                expect_two_members(&go, spec, host, members_ipv6);
                snprintf(spec, sizeof(spec), "%s:[::]:12345,multicastGroups=%s%%lo", network, host);
                expect_two_members(&go, spec, host, members_ipv6);
        }
        go_end(&go);
}
