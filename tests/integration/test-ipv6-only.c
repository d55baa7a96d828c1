/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * IPV6_V6ONLY, as Go's sockets have it. Go sets it to 0 where the network has no digit, and of a socket
 * that is bound to anything but a wildcard the kernel sets it to 1. The kernel has a group of its own
 * for each value: so it is this that makes one endpoint of an address of IPv6, whichever network it is
 * asked for by.
 */

#include "tests/integration/group-kit.h"

enum {
        /* By chance none of them reaches one of three members once in a thousand million times. */
        FLOWS = 60,
};

TestSuite(ipv6_only, .init = harness_private_network, .timeout = 60);

static int only_of(const KitSocket *held) {
        int only = kit_int_option(held->fd, IPPROTO_IPV6, IPV6_V6ONLY);

        /* The reply says what it got. */
        cr_assert(eq(int, kit_true(held->reply, "options.ipv6Only"), only));
        return only;
}

static void expect_all_served(const KitSocket *members, size_t n) {
        size_t counts[GROUP_MEMBERS_MAX];

        group_count(members, n, FLOWS, counts);
        for (size_t i = 0; i < n; i++)
                cr_assert(ge(sz, counts[i], 1), "member %zu", i);
}

/* One more of the endpoint of @first, by another network. */
static KitSocket join_as(int control, const KitSocket *first, const char *network) {
        KitSocket held =
                kit_acquire(control, "{'network':'%s','address':'[::1]:%d'}", network, kit_port(first));

        KIT_EXPECT_TEXT(kit_text(held.reply, "network"), kit_text(first->reply, "network"));
        KIT_EXPECT_TEXT(kit_address(&held), kit_address(first));
        cr_assert(eq(int, only_of(&held), 1));
        return held;
}

/* The two networks that name one endpoint at an address of IPv6. */
static const char *const pairs[][2] = { { "tcp", "tcp6" }, { "udp", "udp6" } };

/* ---- what a socket has --------------------------------------------------------------------------- */

/* It could not be had. */
Test(ipv6_only, an_address_of_ipv6_cannot_be_without) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < 4; i++) {
                json_auto_t *reply =
                        kit_refused(control, "OptionInvalid",
                                    "{'network':'%s','address':'[::1]:0','options':{'ipv6Only':false}}",
                                    pairs[i / 2][i % 2]);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "ipv6Only");
        }
        close(control);
        kit_stop(&kit);
}

Test(ipv6_only, s3_6_what_a_socket_has) {
        static const struct {
                const char *network, *address, *more, *reported;
                int only;
        } rows[] = {
                { "tcp", "[::1]:0", "", "tcp6", 1 },
                { "tcp6", "[::1]:0", "", "tcp6", 1 },
                { "udp", "[::1]:0", "", "udp6", 1 },
                { "udp6", "[::1]:0", "", "udp6", 1 },
                { "tcp", "[::1]:0", ",'sharing':'exclusive'", "tcp6", 1 },
                { "udp", "[::1]:0", ",'sharing':'shared'", "udp6", 1 },
                { "tcp6", "localhost:0", "", "tcp6", 1 },
                { "tcp", "[::1]:7001-7010", "", "tcp6", 1 },
                { "udp", "[ff02::fb%lo]:7001", "", "udp6", 1 },
                { "tcp", "[::1]:0", ",'options':{'ipv6Only':true}", "tcp6", 1 },
                { "tcp", ":0", "", "tcp", 0 },
                { "udp", "0.0.0.0:0", "", "udp", 0 },
                { "tcp6", ":0", "", "tcp6", 1 },
                { "udp6", "[::]:0", "", "udp6", 1 },
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                KitSocket held = kit_acquire(control, "{'network':'%s','address':'%s'%s}",
                                             rows[i].network, rows[i].address, rows[i].more);

                cr_assert(eq(int, only_of(&held), rows[i].only), "row %zu", i);
                KIT_EXPECT_TEXT(kit_text(held.reply, "network"), rows[i].reported);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

/* ---- one endpoint -------------------------------------------------------------------------------- */

static void expect_one_group(const Harness *how) {
        for (size_t i = 0; i < 4; i++) {
                const char *network = pairs[i / 2][i % 2], *other = pairs[i / 2][!(i % 2)];
                KitSocket members[3];
                Stage stage;

                stage_begin_as_set(&stage, GROUP_CONFIG, how);
                members[0] = kit_acquire(stage.control, "{'network':'%s','address':'[::1]:0'}", network);
                members[1] = join_as(stage.control, &members[0], other);
                members[2] = join_as(stage.control, &members[0], network);
                kit_expect_members(stage.control, &members[0], 3);
                expect_all_served(members, 3);
                /* Who made it goes. */
                kit_release(stage.control, &members[0]);
                members[0] = join_as(stage.control, &members[1], other);
                expect_all_served(members, 3);
                for (size_t j = 0; j < 3; j++)
                        kit_release(stage.control, &members[j]);
                stage_end(&stage);
        }
}

Test(ipv6_only, s3_8_both_networks_join_one_group) {
        expect_one_group(&(Harness){ .uid = geteuid() });
}

/* The kernel alone chooses. */
Test(ipv6_only, s3_8_both_networks_join_one_group_unsteered) {
        expect_one_group(&(Harness){ .uid = geteuid(), .program = REUSEPORTD_BARE_PATH });
}

/* Nothing was kept of the broker before, and clients serve on. */
static void meet_survivors(const Harness *how) {
        for (size_t i = 0; i < 4; i++) {
                const char *network = pairs[i / 2][i % 2], *other = pairs[i / 2][!(i % 2)];
                KitSocket members[3];
                Stage stage;

                stage_begin_as_set(&stage, GROUP_CONFIG, how);
                members[0] = kit_acquire(stage.control, "{'network':'%s','address':'[::1]:0'}", network);
                members[1] = join_as(stage.control, &members[0], network);
                close(stage.control);
                close(stage.watch);
                harness_kill(&stage.kit.harness);
                harness_restart(&stage.kit.harness);
                stage.control = harness_connect(&stage.kit.harness);
                stage.watch = kit_watch(&stage.kit, stage.control);
                members[2] = join_as(stage.control, &members[0], other);
                expect_all_served(members, 3);
                kit_drop(&members[0]);
                kit_drop(&members[1]);
                kit_release(stage.control, &members[2]);
                stage_end(&stage);
        }
}

Test(ipv6_only, s3_8_survivors_of_a_broker_are_joined) {
        meet_survivors(&(Harness){ .uid = geteuid() });
}

Test(ipv6_only, s3_8_survivors_of_a_broker_are_joined_unsteered) {
        meet_survivors(&(Harness){ .uid = geteuid(), .program = REUSEPORTD_BARE_PATH });
}

/* ---- of a service manager ------------------------------------------------------------------------ */

static Keeper keeper;

Test(ipv6_only, s3_8_what_was_kept_is_joined) {
        for (size_t i = 0; i < 4; i++) {
                const char *network = pairs[i / 2][i % 2], *other = pairs[i / 2][!(i % 2)];
                int n_fds = leaks_count_fds(), control;
                KitSocket members[3];
                Kit kit = { 0 };

                keeper_begin(&keeper, 64);
                kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
                harness_start_as_set(&kit.harness, KIT_CONFIG);
                control = harness_connect(&kit.harness);
                members[0] = kit_acquire(control, "{'network':'%s','address':'[::1]:0'}", network);
                members[1] = join_as(control, &members[0], other);
                harness_kill(&kit.harness);
                harness_restart(&kit.harness);
                close(control);
                control = harness_connect(&kit.harness);
                members[2] = join_as(control, &members[0], other);
                kit_expect_members(control, &members[0], 3);
                expect_all_served(members, 3);
                kit_release(control, &members[2]);
                kit_drop(&members[0]);
                kit_drop(&members[1]);
                close(control);
                harness_stop(&kit.harness);
                keeper_end(&keeper);
                leaks_expect_fds(n_fds);
        }
}

/* systemd makes its sockets as BindIPv6Only= says. */
Test(ipv6_only, s3_8_a_socket_of_a_unit_is_found_by_both_networks) {
        for (int only = 0; only < 2; only++) {
                struct sockaddr_in6 address = { .sin6_family = AF_INET6,
                                                .sin6_port = htons(7000),
                                                .sin6_addr = in6addr_loopback };
                int n_fds = leaks_count_fds(), fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
                int control;
                Kit kit = { 0 };

                cr_assert(zero(int, setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only))));
                /* What was accepted from the one before is in its TIME_WAIT. */
                cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int))));
                cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))), "%m");
                cr_assert(zero(int, listen(fd, 16)));
                keeper_begin(&keeper, 64);
                keeper_pass(&keeper, "unit", fd);
                kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
                harness_start_as_set(&kit.harness, KIT_CONFIG);
                control = harness_connect(&kit.harness);
                for (size_t i = 0; i < 2; i++) {
                        KitSocket held = kit_acquire(control, "{'network':'%s','address':'[::1]:7000'}",
                                                     pairs[0][i]);

                        KIT_EXPECT_TEXT(kit_text(held.reply, "network"), "tcp6");
                        cr_assert(eq(int, only_of(&held), 1));
                        kit_expect_served(held.fd);
                        kit_release(control, &held);
                }
                close(control);
                harness_stop(&kit.harness);
                keeper_end(&keeper);
                leaks_expect_fds(n_fds);
        }
}
