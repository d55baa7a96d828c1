/* SPDX-License-Identifier: BSD-2-Clause */

/* Finding, naming and closing: what is closed serves nobody any more, and only the broker's own file
 * goes. */

#include "daemon/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "tests/unit/daemon-kit.h"

static char folder[] = "/tmp/test-endpoint-XXXXXX";
static char path[64];

static const char *make_folder(void) {
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, sizeof(path), "%s/socket", folder);
        return path;
}

static void remove_folder(void) {
        unlink(path);
        cr_assert(zero(int, rmdir(folder)));
}

static bool exists(const char *file) {
        struct stat st;

        return lstat(file, &st) == 0;
}

TestSuite(endpoint, .timeout = 10);

/* ---- finding ------------------------------------------------------------------------------------ */

Test(endpoint, what_is_not_there_is_not_found) {
        char id[ID_TEXT_MAX], member[ID_TEXT_MAX];
        EndpointRegistry *registry;
        Member *first;
        Kit kit;

        kit_init(&kit, 1000);
        registry = &kit.services.endpoints;
        cr_assert(eq(ptr, endpoint_find(registry, "tcp4 127.0.0.1:80"), NULL));
        cr_assert(eq(ptr, endpoint_find_named(registry, "web"), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, "web"), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, ""), NULL));

        first = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        id_format(&kit.services.ids, 'e', first->endpoint->id + 1, id);
        id_format(&kit.services.ids, 'm', first->id, member);
        cr_assert(eq(ptr, endpoint_find_any(registry, ""), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, id), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, member), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, "127.0.0.1"), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, strchr(first->endpoint->key, ' ') + 1), NULL));
        /* A nameless endpoint is not found by an empty name. */
        cr_assert(eq(ptr, endpoint_find_named(registry, ""), NULL));
        endpoint_close(first->endpoint, NULL);
        kit_end(&kit);
}

Test(endpoint, a_name_given_up_is_not_found) {
        EndpointRegistry *registry;
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        registry = &kit.services.endpoints;
        endpoint = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->endpoint;
        cr_assert(zero(int, endpoint_rename(endpoint, "web")));
        cr_assert(eq(ptr, endpoint_find_named(registry, "web"), endpoint));
        cr_assert(zero(int, endpoint_rename(endpoint, "mail")));
        cr_assert(eq(ptr, endpoint_find_named(registry, "web"), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, "web"), NULL));
        cr_assert(eq(ptr, endpoint_find_any(registry, "mail"), endpoint));
        cr_assert(zero(int, endpoint_rename(endpoint, endpoint->name)));
        cr_assert(eq(ptr, endpoint_find_any(registry, "mail"), endpoint));
        endpoint_close(endpoint, NULL);
        cr_assert(eq(ptr, endpoint_find_named(registry, "mail"), NULL));
        kit_end(&kit);
}

Test(endpoint, found_by_key_name_and_id) {
        static const char *const names[] = { "a", "b", "c" };
        Endpoint *endpoints[3];
        EndpointRegistry *registry;
        char id[ID_TEXT_MAX];
        Kit kit;

        kit_init(&kit, 1000);
        registry = &kit.services.endpoints;
        for (int i = 0; i < 3; i++) {
                Address address =
                        kit_address("unix", (char[]){ '@', 'k', 'i', 't', (char)('0' + i), 0 });

                cr_assert(zero(int, kit_endpoint_new(&kit, &address, names[i], SHARING_SHARED, NULL, 0,
                                                     &endpoints[i])));
        }
        cr_assert(eq(sz, endpoint_registry_count(registry), 3));
        for (int i = 0; i < 3; i++) {
                id_format(&kit.services.ids, 'e', endpoints[i]->id, id);
                cr_assert(eq(ptr, endpoint_find(registry, endpoints[i]->key), endpoints[i]));
                cr_assert(eq(ptr, endpoint_find_named(registry, names[i]), endpoints[i]));
                cr_assert(eq(ptr, endpoint_find_any(registry, endpoints[i]->key), endpoints[i]));
                cr_assert(eq(ptr, endpoint_find_any(registry, names[i]), endpoints[i]));
                cr_assert(eq(ptr, endpoint_find_any(registry, id), endpoints[i]));
        }
        kit_end(&kit);
}

Test(endpoint, a_key_tells_addresses_apart) {
        static const char *const addresses[][3] = {
                { "tcp", "[::]:80", "tcp [::]:80" },         { "tcp6", "[::]:80", "tcp6 [::]:80" },
                { "tcp4", "0.0.0.0:80", "tcp4 0.0.0.0:80" }, { "udp4", "0.0.0.0:80", "udp4 0.0.0.0:80" },
                { "unix", "/run/x", "unix /run/x" },         { "unix", "@/run/x", "unix @/run/x" },
                { "unixgram", "/run/x", "unixgram /run/x" },
        };
        char key[ENDPOINT_KEY_MAX];

        for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
                Address address = kit_address(addresses[i][0], addresses[i][1]);

                KIT_EXPECT_TEXT(endpoint_key(&address, key), addresses[i][2]);
        }
}

/* And namespaces, by what the kernel calls them. */
Test(endpoint, a_key_tells_namespaces_apart) {
        const Namespace blue = { .cookie = 18446744073709551615U };
        Address address = kit_address("unixgram", "@x");
        char key[ENDPOINT_KEY_MAX];

        KIT_EXPECT_TEXT(endpoint_key_in(&blue, &address, key), "netns:18446744073709551615/unixgram @x");
        KIT_EXPECT_TEXT(endpoint_key_in(NULL, &address, key), "unixgram @x");
}

Test(endpoint, a_namespace_is_kept_as_long_as_an_endpoint_has_it) {
        Address address = kit_address("tcp4", "127.0.0.1:80");
        const Tenant tenant = tenant_of(NULL, 1000);
        Namespaces namespaces = { .own = 1 };
        Namespace *blue, *again;
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, namespace_resume(&namespaces, 2, "/run/netns/blue", &blue)));
        cr_assert(zero(int, endpoint_new_in(&kit.services.endpoints, blue, &address, NULL, SHARING_GROUP,
                                            NULL, 0, &tenant, kit.subject, &endpoint)));
        KIT_EXPECT_TEXT(endpoint_address_text(endpoint), "127.0.0.1:80");
        namespaces_sweep(&namespaces);
        cr_assert(eq(ptr, namespace_find(&namespaces, "/run/netns/blue"), blue));
        /* It is the cookie that counts. */
        cr_assert(zero(int, namespace_resume(&namespaces, 2, "/run/netns/other", &again)));
        cr_assert(eq(ptr, again, blue));
        cr_assert(zero(int, namespace_resume(&namespaces, 3, "/run/netns/blue", &again)));
        cr_assert(ne(ptr, again, blue));
        endpoint_close(endpoint, NULL);
        namespaces_sweep(&namespaces);
        cr_assert(zero(ptr, namespace_find(&namespaces, "/run/netns/blue")));
        kit_end(&kit);
}

Test(endpoint, what_was_asked_for_is_copied) {
        Address address = kit_address("unix", "@kit");
        char congestion[] = "reno", name[] = "web";
        Options options;
        Endpoint *endpoint;
        Kit kit;

        kit_init(&kit, 1000);
        wire_init(&wire_options, &options);
        options.congestion = congestion;
        options.backlog = 7;
        cr_assert(zero(int,
                       kit_endpoint_new(&kit, &address, name, SHARING_SHARED, &options, 5, &endpoint)));
        memset(congestion, 'x', sizeof(congestion) - 1);
        memset(name, 'x', sizeof(name) - 1);
        KIT_EXPECT_TEXT(endpoint->requested->congestion, "reno");
        cr_assert(eq(i64, endpoint->requested->backlog, 7));
        KIT_EXPECT_TEXT(endpoint->name, "web");
        cr_assert(eq(u32, endpoint->tenant.uid, kit.subject->uid));
        cr_assert(eq(ptr, endpoint->maker, kit.subject));
        cr_assert(eq(u64, endpoint->retain_usec, 5));
        cr_assert(zero(sz, endpoint->n_members));
        cr_assert(eq(ptr, endpoint_parked_member(endpoint), NULL));
        cr_assert(eq(ptr, (void *)endpoint_first_lease(endpoint), NULL));
        kit_end(&kit);
}

/* ---- members ------------------------------------------------------------------------------------ */

Test(endpoint, what_is_no_socket_is_no_member_and_closed) {
        Address address = kit_address("unix", "@kit");
        Member *member = NULL;
        Endpoint *endpoint;
        int fds[2];
        Kit kit;

        kit_init(&kit, 1000);
        cr_assert(zero(int, kit_endpoint_new(&kit, &address, NULL, SHARING_SHARED, NULL, 0, &endpoint)));
        cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
        cr_assert(eq(int, endpoint_add_member(endpoint, fds[0], &member), -ENOTSOCK));
        cr_assert(lt(int, fcntl(fds[0], F_GETFD), 0));
        cr_assert(eq(int, endpoint_add_member(endpoint, -1, &member), -EBADF));
        cr_assert(eq(ptr, member, NULL));
        cr_assert(zero(sz, endpoint->n_members));
        close(fds[1]);
        endpoint_close(endpoint, NULL);
        kit_end(&kit);
}

Test(endpoint, a_stray_copy_of_a_closed_member_serves_nobody) {
        static const char *const places[][2] = {
                { "tcp4", "127.0.0.1:0" },
                { "tcp6", "[::1]:0" },
                { "unix", "@test-endpoint-stray" },
                { "unixpacket", "@test-endpoint-stray" },
        };
        Kit kit;

        kit_init(&kit, 1000);
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                Member *member = kit_open(&kit, places[i][0], places[i][1], SHARING_SHARED, 0);
                Address address = member->endpoint->address;
                int stray = fcntl(member->fd, F_DUPFD_CLOEXEC, 3), client;

                client = kit_connect(&address);
                close(accept(stray, NULL, NULL));
                close(client);
                endpoint_close(member->endpoint, NULL);
                cr_assert(lt(int, accept(stray, NULL, NULL), 0), "%s", places[i][0]);
                client = socket(address_family(&address), address_socket_type(&address) | SOCK_CLOEXEC,
                                0);
                cr_assert(lt(int, connect(client, &address.u.sa, address.len), 0), "%s", places[i][0]);
                close(client);
                close(stray);
        }
        kit_end(&kit);
}

Test(endpoint, members_differ_in_id_and_cookie) {
        Member *first, *second;
        Kit kit;

        kit_init(&kit, 1000);
        first = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        second = kit_join(first->endpoint);
        cr_assert(ne(u64, first->id, second->id));
        cr_assert(ne(u64, first->cookie, second->cookie));
        cr_assert(eq(sz, first->endpoint->n_members, 2));
        cr_assert(eq(ptr, endpoint_parked_member(first->endpoint), NULL));
        endpoint_close(first->endpoint, "why");
        kit_expect_told(&kit, "closed ");
        kit_end(&kit);
}

/* ---- files -------------------------------------------------------------------------------------- */

Test(endpoint, a_file_put_in_place_of_ours_stays) {
        Member *member;
        Kit kit;
        int fd;

        kit_init(&kit, 1000);
        member = kit_open(&kit, "unix", make_folder(), SHARING_SHARED, 0);
        cr_assert(zero(int, unlink(path)));
        fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        cr_assert(ge(int, fd, 0));
        close(fd);
        endpoint_close(member->endpoint, NULL);
        cr_assert(exists(path));
        remove_folder();
        kit_end(&kit);
}

Test(endpoint, a_socket_put_in_place_of_ours_stays) {
        Address address, bound;
        Member *member;
        int fd, other;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_open(&kit, "unix", make_folder(), SHARING_SHARED, 0);
        address = member->endpoint->address;
        /* Held open, or the file system could use its inode's number again. */
        fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        cr_assert(zero(int, unlink(path)));
        other = kit_socket(&address, SHARING_SHARED, &bound);
        endpoint_close(member->endpoint, NULL);
        cr_assert(exists(path));
        close(kit_connect(&address));
        close(other);
        close(fd);
        remove_folder();
        kit_end(&kit);
}

Test(endpoint, a_file_that_is_gone_already) {
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_open(&kit, "unix", make_folder(), SHARING_SHARED, 0);
        cr_assert(zero(int, unlink(path)));
        endpoint_close(member->endpoint, NULL);
        remove_folder();
        kit_end(&kit);
}

Test(endpoint, our_file_goes_with_the_endpoint) {
        static const char *const networks[] = { "unix", "unixgram", "unixpacket" };
        Kit kit;

        kit_init(&kit, 1000);
        make_folder();
        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                Member *member = kit_open(&kit, networks[i], path, SHARING_SHARED, 0);

                cr_assert(exists(path));
                endpoint_close(member->endpoint, NULL);
                cr_assert(not(exists(path)));
        }
        kit_open(&kit, "unix", path, SHARING_SHARED, 0);
        endpoint_registry_deinit(&kit.services.endpoints);
        cr_assert(not(exists(path)));
        kit_expect_told(&kit, "closed ");
        remove_folder();
        kit_end(&kit);
}

/* ---- what is told ------------------------------------------------------------------------------- */

Test(endpoint, a_queue_where_there_is_one) {
        int64_t length, limit, drops;
        int clients[3];
        Member *member;
        Kit kit;

        kit_init(&kit, 1000);
        member = kit_open(&kit, "unix", "@test-endpoint-queue", SHARING_SHARED, 0);
        member_read_queue(member, &length, &limit, &drops);
        cr_assert(eq(i64, length, WIRE_ABSENT));
        cr_assert(eq(i64, limit, WIRE_ABSENT));
        cr_assert(eq(i64, drops, WIRE_ABSENT));

        member = kit_open(&kit, "udp4", "127.0.0.1:0", SHARING_GROUP, 0);
        member_read_queue(member, &length, &limit, &drops);
        cr_assert(eq(i64, length, WIRE_ABSENT));
        cr_assert(eq(i64, limit, WIRE_ABSENT));
        cr_assert(zero(i64, drops));

        member = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        for (int i = 0; i < 3; i++) {
                member_read_queue(member, &length, &limit, &drops);
                cr_assert(eq(i64, length, i));
                clients[i] = kit_connect(&member->endpoint->address);
        }
        cr_assert(gt(i64, limit, 0));
        cr_assert(eq(i64, drops, WIRE_ABSENT));
        for (int i = 0; i < 3; i++)
                close(clients[i]);
        kit_end(&kit);
}
