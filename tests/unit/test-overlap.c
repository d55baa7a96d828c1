/* SPDX-License-Identifier: BSD-2-Clause */

/* Which addresses take each other's traffic, and whose endpoints are in the way. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "daemon/overlap.h"
#include "tests/unit/daemon-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

TestSuite(overlap, .timeout = 10);

typedef struct Text {
        const char *network, *address;
} Text;

typedef struct Row {
        Text a, b;
        bool overlap;
} Row;

static const Row rows[] = {
        { { "tcp4", "127.0.0.1:80" }, { "tcp4", "127.0.0.2:80" }, false },
        { { "tcp4", "127.0.0.1:80" }, { "tcp4", "127.0.0.1:81" }, false },
        { { "tcp4", "0.0.0.0:80" }, { "tcp4", "127.0.0.1:81" }, false },
        { { "tcp4", "0.0.0.0:80" }, { "udp4", "127.0.0.1:80" }, false },
        { { "tcp4", "0.0.0.0:80" }, { "udp4", "0.0.0.0:80" }, false },
        { { "tcp4", "0.0.0.0:80" }, { "tcp6", "[::]:80" }, false },
        { { "tcp4", "0.0.0.0:80" }, { "tcp6", "[::1]:80" }, false },
        { { "tcp6", "[::]:80" }, { "tcp4", "127.0.0.1:80" }, false },
        { { "unix", "@a" }, { "unix", "@b" }, false },
        { { "unix", "@a" }, { "unixgram", "@a" }, false },
        { { "unix", "/a" }, { "unix", "/b" }, false },
        { { "unix", "/a" }, { "unix", "@/a" }, false },
        { { "unix", "/a" }, { "tcp", ":80" }, false },
        { { "tcp6", "[fe80::1%1]:80" }, { "tcp6", "[fe80::1%2]:80" }, false },
        { { "tcp4", "127.0.0.1:80" }, { "tcp4", "127.0.0.1:80" }, true },
        { { "tcp4", "0.0.0.0:80" }, { "tcp4", "127.0.0.1:80" }, true },
        { { "udp4", "0.0.0.0:80" }, { "udp4", "127.0.0.1:80" }, true },
        { { "tcp", ":80" }, { "tcp4", "127.0.0.1:80" }, true },
        { { "tcp", ":80" }, { "tcp4", "0.0.0.0:80" }, true },
        { { "tcp", ":80" }, { "tcp6", "[::]:80" }, true },
        { { "tcp", ":80" }, { "tcp6", "[::1]:80" }, true },
        { { "tcp6", "[::]:80" }, { "tcp6", "[::1]:80" }, true },
        { { "tcp6", "[::]:80" }, { "tcp6", "[fe80::1%1]:80" }, true },
        { { "tcp", "[::ffff:127.0.0.1]:80" }, { "tcp4", "0.0.0.0:80" }, true },
        { { "tcp", "[::ffff:127.0.0.1]:80" }, { "tcp4", "127.0.0.1:80" }, true },
        { { "tcp6", "[fe80::1%1]:80" }, { "tcp", "[fe80::1%lo]:80" }, true },
        { { "unix", "@a" }, { "unix", "@a" }, true },
        { { "unix", "/a" }, { "unixgram", "/a" }, true },
        { { "unixpacket", "/a" }, { "unix", "/a" }, true },
};

Test(overlap, between_two_addresses_both_ways) {
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Address a = kit_address(rows[i].a.network, rows[i].a.address);
                Address b = kit_address(rows[i].b.network, rows[i].b.address);

                cr_assert(eq(int, overlap_between(&a, &b), rows[i].overlap), "%s %s and %s %s",
                          rows[i].a.network, rows[i].a.address, rows[i].b.network, rows[i].b.address);
                cr_assert(eq(int, overlap_between(&b, &a), rows[i].overlap));
        }
}

/* An endpoint without sockets is enough here. */
static Endpoint *make(Kit *kit, const Address *address, const Tenant *tenant) {
        Endpoint *endpoint;

        cr_assert(zero(int, endpoint_new(&kit->services.endpoints, address, NULL, SHARING_GROUP, NULL, 0,
                                         tenant, kit->subject, &endpoint)));
        return endpoint;
}

Test(overlap, found_among_endpoints_of_others) {
        const Tenant owner = tenant_of("web", 1001), other = tenant_of(NULL, 1001);
        EndpointRegistry *registry;
        Kit kit;

        kit_init(&kit, 1001);
        registry = &kit.services.endpoints;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Address a = kit_address(rows[i].a.network, rows[i].a.address);
                Address b = kit_address(rows[i].b.network, rows[i].b.address);
                bool expected = rows[i].overlap;
                Endpoint *endpoint;

                if (memcmp(&a, &b, sizeof(a)) == 0)
                        continue; /* one endpoint */
                endpoint = make(&kit, &a, &owner);
                cr_assert(eq(ptr, overlap_find(registry, &b, &other), expected ? endpoint : NULL),
                          "%s, %s", rows[i].a.address, rows[i].b.address);
                cr_assert(eq(ptr, overlap_find(registry, &b, NULL), expected ? endpoint : NULL));
                cr_assert(zero(ptr, overlap_find(registry, &b, &owner)));
                endpoint_close(endpoint, NULL);

                endpoint = make(&kit, &b, &owner);
                cr_assert(eq(ptr, overlap_find(registry, &a, &other), expected ? endpoint : NULL));
                endpoint_close(endpoint, NULL);
        }
        kit_end(&kit);
}

/* Of one tenant, too: the kernel has no groups of them. */
Test(overlap, vsock_at_any_context_is_at_each_and_raw_ip_nowhere) {
        static const Row pairs[] = {
                { { "vsock", "2:80" }, { "vsock", "3:80" }, false },
                { { "vsock", "2:80" }, { "vsock", ":81" }, false },
                { { "vsock", ":80" }, { "tcp", ":80" }, false },
                { { "vsock", ":80" }, { "unix", "@80" }, false },
                { { "vsock", ":" }, { "vsock", "2:" }, false },
                { { "vsock", "2:80" }, { "vsock", ":80" }, true },
                /* Of raw IP each has its own copy. */
                { { "ip4:1", "127.0.0.1" }, { "ip4:1", "" }, false },
                { { "ip4:1", "" }, { "ip4:2", "" }, false },
                { { "ip4:6", "" }, { "tcp4", ":0" }, false },
        };
        const Tenant owner = tenant_of("web", 1001);
        Kit kit;

        kit_init(&kit, 1001);
        for (size_t i = 0; i < ELEMENTS(pairs); i++) {
                Address a = kit_address(pairs[i].a.network, pairs[i].a.address);
                Address b = kit_address(pairs[i].b.network, pairs[i].b.address);
                Endpoint *endpoint = make(&kit, &a, &owner);

                cr_assert(eq(int, overlap_between(&a, &b), pairs[i].overlap), "%zu", i);
                cr_assert(eq(int, overlap_between(&b, &a), pairs[i].overlap), "%zu", i);
                cr_assert(eq(ptr, overlap_find(&kit.services.endpoints, &b, &owner),
                             pairs[i].overlap ? endpoint : NULL),
                          "%zu", i);
                endpoint_close(endpoint, NULL);
        }
        kit_end(&kit);
}

/* What is in another network namespace is in nobody's way. */
Test(overlap, namespaces_are_apart) {
        const Tenant owner = tenant_of("web", 1001), other = tenant_of(NULL, 1001);
        Namespaces namespaces = { .own = 1 };
        Namespace *blue, *green;
        EndpointRegistry *registry;
        Kit kit;

        kit_init(&kit, 1001);
        registry = &kit.services.endpoints;
        cr_assert(zero(int, namespace_resume(&namespaces, 2, "/run/netns/blue", &blue)));
        cr_assert(zero(int, namespace_resume(&namespaces, 3, "/run/netns/green", &green)));
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Address a = kit_address(rows[i].a.network, rows[i].a.address);
                Address b = kit_address(rows[i].b.network, rows[i].b.address);
                Endpoint *endpoint;

                if (memcmp(&a, &b, sizeof(a)) == 0 || !address_is_ip(&a))
                        continue;
                cr_assert(zero(int, endpoint_new_in(registry, blue, &a, NULL, SHARING_GROUP, NULL, 0,
                                                    &owner, kit.subject, &endpoint)));
                cr_assert(eq(ptr, overlap_find_in(registry, blue, &b, &other),
                             rows[i].overlap ? endpoint : NULL),
                          "%s, %s", rows[i].a.address, rows[i].b.address);
                cr_assert(zero(ptr, overlap_find_in(registry, green, &b, &other)));
                cr_assert(zero(ptr, overlap_find(registry, &b, &other)));
                endpoint_close(endpoint, NULL);
        }
        namespaces_sweep(&namespaces);
        kit_end(&kit);
}

/* The kernel knows the interface by its number, a key by its name. */
Test(overlap, found_when_the_interface_was_renamed) {
        const Tenant owner = tenant_of(NULL, 1001), other = tenant_of(NULL, 1002);
        struct ifreq rename = { .ifr_name = "lo", .ifr_newname = "renamed" };
        EndpointRegistry *registry;
        Endpoint *endpoint;
        Address address;
        Kit kit;
        int fd;

        if (unshare(CLONE_NEWNET) < 0)
                cr_skip_test("needs root, to have a network of its own");
        kit_init(&kit, 1001);
        registry = &kit.services.endpoints;
        address = kit_address("tcp6", "[fe80::1%lo]:80");
        endpoint = make(&kit, &address, &owner);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, ioctl(fd, SIOCSIFNAME, &rename)));
        close(fd);
        address = kit_address("tcp6", "[fe80::1%renamed]:80");
        cr_assert(eq(ptr, overlap_find(registry, &address, &other), endpoint));
        endpoint_close(endpoint, NULL);
        kit_end(&kit);
}
