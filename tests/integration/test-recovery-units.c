/* SPDX-License-Identifier: BSD-2-Clause */

/* Listeners of .socket units, over the death of a broker. */

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/integration/recovery-kit.h"

TestSuite(recovery, .timeout = 60);

/* As a unit's: made by somebody else. *@ret: its port. */
static int listen_as_a_unit(int *ret) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 8)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        *ret = ntohs(address.sin_port);
        return fd;
}

Test(recovery, listener_of_a_unit_is_had_by_name) {
        KitSocket first, second;
        char state[16];
        int control, port, peer;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        keeper_pass(&keeper, "web", listen_as_a_unit(&port));
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp','address':':0','name':'web'}");
        cr_assert(eq(int, kit_port(&first), port));
        KIT_EXPECT_TEXT(kit_text(first.reply, "sharing"), "shared");
        second = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:%d'}", port);
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        json_decref(kit_refused(control, "OptionConflict",
                                "{'network':'tcp4','address':'127.0.0.1:%d','sharing':'group'}", port));
        /* It outlives its clients, and the broker. */
        kit_release(control, &first);
        kit_release(control, &second);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp','address':':0','name':'web'}");
        peer = kit_connect_to(&first);
        kit_wait_readable(first.fd);
        cr_assert(eq(sz, kit_accept_all(first.fd), 1));
        close(peer);
        KIT_EXPECT_TEXT(state_of(control, &first, state), "live");
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(kit_resume(control, &first));
        kit_release(control, &first);
        close(control);
        end(&kit);
}

/* As systemd makes it of ListenStream=[::ffff:127.0.0.1]:PORT. *@ret: its port. */
static int listen_as_a_unit_mapped(int *ret) {
        struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                cr_skip_test("there is no IPv6");
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
        cr_assert(zero(int, setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int))));
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 8)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        *ret = ntohs(address.sin6_port);
        return fd;
}

/* It is at an address of IPv4, however that is written, and by what kind of socket nobody need know. */
static KitSocket acquire_mapped(int control, const char *format, int port) {
        char address[64], expected[64];
        struct sockaddr_in6 bound;
        socklen_t size = sizeof(bound);
        KitSocket held;

        snprintf(address, sizeof(address), "%s:%d", format, port);
        snprintf(expected, sizeof(expected), "127.0.0.1:%d", port);
        held = kit_acquire(control, "{'network':'tcp','address':'%s','sharing':'shared'}", address);
        KIT_EXPECT_TEXT(kit_text(held.reply, "network"), "tcp4");
        KIT_EXPECT_TEXT(kit_address(&held), expected);
        cr_assert(zero(int, getsockname(held.fd, (struct sockaddr *)&bound, &size)));
        cr_assert(eq(int, bound.sin6_family, AF_INET6));
        cr_assert(ne(int, IN6_IS_ADDR_V4MAPPED(&bound.sin6_addr), 0));
        return held;
}

static void expect_served_mapped(const KitSocket *held, int port) {
        struct sockaddr_storage address = { 0 };
        struct sockaddr_in *in = (struct sockaddr_in *)&address;
        struct sockaddr_in6 peer = { 0 };
        socklen_t size = sizeof(peer);
        int client, accepted;

        *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        client = kit_connect_address(&address, sizeof(*in), SOCK_STREAM);
        cr_assert(ge(int, client, 0));
        kit_wait_readable(held->fd);
        accepted = accept4(held->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
        cr_assert(ge(int, accepted, 0));
        cr_assert(ne(int, IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr), 0));
        kit_expect_byte(accepted, client);
        close(accepted);
        close(client);
}

Test(recovery, s3_9_listener_of_a_unit_that_serves_ipv4_by_ipv6) {
        KitSocket first, second;
        int control, port, listener;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        listener = listen_as_a_unit_mapped(&port);
        keeper_begin(&keeper, 64);
        keeper_pass(&keeper, "web", listener);
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "AddressInvalid",
                                "{'network':'tcp6','address':'[::ffff:127.0.0.1]:%d'}", port));
        first = acquire_mapped(control, "127.0.0.1", port);
        second = acquire_mapped(control, "[::ffff:127.0.0.1]", port);
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        kit_release(control, &second);
        second = kit_acquire(control, "{'network':'tcp','address':':0','name':'web'}");
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        kit_release(control, &second);
        expect_served_mapped(&first, port);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(kit_resume(control, &first));
        second = acquire_mapped(control, "127.0.0.1", port);
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        expect_served_mapped(&second, port);
        kit_release(control, &second);
        kit_release(control, &first);
        close(control);
        end(&kit);
}

Test(recovery, listener_of_a_unit_is_for_whom_policy_gives_it) {
        int control, port;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        keeper_pass(&keeper, "web", listen_as_a_unit(&port));
        keeper_pass(&keeper, "nothing", dup(0));
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness,
                             "[Broker]\nSocketMode=0666\n[Rule one]\nUser=*\nAddress=127.0.0.9\n");
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'tcp','address':'127.0.0.1:%d'}",
                                port));
        json_decref(
                kit_refused(control, "PolicyDenied", "{'network':'tcp','address':':0','name':'web'}"));
        expect_status(control, "endpoints", 1);
        close(control);
        end(&kit);
}
