/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Every option on every kind of socket: refused where it does not exist or is out of range, and where it
 * does exist, set and read back from the kernel.
 */

#include "daemon/socket-options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/option-kit.h"
#include "tests/unit/socket-kit.h"

static int check(const Options *options, const Address *address) {
        refusal = (OptionRefusal){ 0 };
        return socket_options_check(options, address, &refusal);
}

static void expect_refused(const Options *options, const Address *address, const char *name,
                           const char *reason) {
        cr_assert(eq(int, check(options, address), SOCKET_OPTIONS_E_INVALID), "%s on %s", name,
                  address_network(address, (char[NETWORK_TEXT_MAX]){ 0 }));
        KIT_EXPECT_TEXT(refusal.option, name);
        if (reason)
                cr_assert(ne(ptr, strstr(refusal.reason, reason), NULL), "%s: %s, not: %s", name,
                          refusal.reason, reason);
}

/* What the kernel makes of an option that the check lets pass. */
static int open_refused(const Address *address, const Options *options) {
        const SocketSpec spec = { .address = *address, .options = options };
        SocketFailure failure = { 0 };
        int fd = -1, n_fds = leaks_count_fds(), r;
        Address bound;

        r = socket_factory_open(&spec, &fd, &bound, &failure);
        cr_assert(eq(int, fd, -1));
        cr_assert(eq(int, leaks_count_fds(), n_fds));
        refusal = failure.refusal;
        return r;
}

static void own_network(void) {
        kit_own_network();
}

TestSuite(socket_options, .init = own_network, .timeout = 10);

/* Refusals by the check */

Test(socket_options, every_option_of_the_protocol_is_tested_here) {
        static const char *const others[] = { "ipv6Only",        "bindToDevice",       "congestion",
                                              "multicastGroups", "multicastInterface", "raw" };

        cr_assert(eq(sz, ELEMENTS(numbers) + ELEMENTS(others), wire_options.n_fields));
}

Test(socket_options, numbers_refused_where_they_do_not_exist) {
        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                for (size_t kind = 0; kind < ELEMENTS(kinds); kind++) {
                        Address address = kind_address(kind);

                        if (numbers[i].on & 1u << kind || strcmp(numbers[i].name, "reuseAddress") == 0)
                                continue;
                        for (int j = 0; j < 2; j++) {
                                Options options = kit_no_options();

                                number_put(&options, &numbers[i], numbers[i].set[j]);
                                expect_refused(&options, &address, numbers[i].name, "no such option");
                        }
                }
}

static void expect_out_of_range(const Number *row, const Address *address, int64_t value) {
        Options options = kit_no_options();
        char range[64];

        snprintf(range, sizeof(range), "must be from %lld to %lld", (long long)row->below + 1,
                 (long long)row->above - 1);
        number_put(&options, row, value);
        expect_refused(&options, address, row->name, range);
}

Test(socket_options, numbers_refused_out_of_range) {
        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                for (size_t kind = 0; kind < ELEMENTS(kinds); kind++) {
                        const Number *row = &numbers[i];
                        Address address = kind_address(kind);

                        if (row->tristate || !(row->on & 1u << kind))
                                continue;
                        expect_out_of_range(row, &address, row->below);
                        expect_out_of_range(row, &address, row->above);
                        expect_out_of_range(row, &address, INT64_MIN + 1);
                        expect_out_of_range(row, &address, INT64_MAX);
                }
}

Test(socket_options, reuse_address_of_udp_is_for_multicast) {
        static const char *const unicast[] = { "127.0.0.1:0", "0.0.0.0:5353", "192.0.2.1:9" };
        static const char *const groups[] = { "239.1.1.1" };
        Options options = kit_no_options();
        Address address;

        options.reuse_address = 1;
        for (size_t i = 0; i < ELEMENTS(unicast); i++) {
                address = kit_address("udp4", unicast[i]);
                expect_refused(&options, &address, "reuseAddress",
                               "any local user could take the datagrams");
        }
        for (size_t kind = 6; kind < ELEMENTS(kinds); kind++) {
                address = kind_address(kind);
                expect_refused(&options, &address, "reuseAddress", "no such option");
        }
        address = kit_address("udp6", "[ff05::1]:5353");
        cr_assert(zero(int, check(&options, &address)));
        address = kit_address("udp4", "239.1.1.1:5353");
        cr_assert(zero(int, check(&options, &address)));
        address = kit_address("udp4", "0.0.0.0:5353");
        options.multicast_groups = (WireList){ (void *)groups, 1 };
        cr_assert(zero(int, check(&options, &address)));
        options = kit_no_options();
        options.reuse_address = 0;
        cr_assert(zero(int, check(&options, &address)));
}

Test(socket_options, ipv6_only_has_to_agree) {
        for (size_t kind = 0; kind < ELEMENTS(kinds); kind++)
                for (Tristate value = 0; value < 2; value++) {
                        Address address = kind_address(kind);
                        Options options = kit_no_options();

                        options.ipv6_only = value;
                        if (!((TCP6 | TCP46 | UDP6 | UDP46) & 1u << kind))
                                expect_refused(&options, &address, "ipv6Only", "no such option");
                        else if (value != address.ipv6_only)
                                expect_refused(&options, &address, "ipv6Only", "say otherwise");
                        else
                                cr_assert(zero(int, check(&options, &address)));
                }
}

Test(socket_options, names_refused) {
        static const char *const bad[] = { "",   "0123456789abcdef", "a b", "a/b", "eth0:1",
                                           "\n", "caf\xc3\xa9" };
        Address tcp = kind_address(0), udp = kind_address(3), gram = kind_address(7);
        Options options = kit_no_options();

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                options = kit_no_options();
                options.bind_to_device = bad[i];
                expect_refused(&options, &tcp, "bindToDevice", NULL);
                options = kit_no_options();
                options.congestion = bad[i];
                expect_refused(&options, &tcp, "congestion", NULL);
                options = kit_no_options();
                options.multicast_interface = bad[i];
                expect_refused(&options, &udp, "multicastInterface", NULL);
        }
        options = kit_no_options();
        options.congestion = "reno";
        expect_refused(&options, &udp, "congestion", "no such option");
        expect_refused(&options, &gram, "congestion", "no such option");
        options = kit_no_options();
        options.bind_to_device = "lo";
        expect_refused(&options, &gram, "bindToDevice", "no such option");
        options = kit_no_options();
        options.multicast_interface = "lo";
        expect_refused(&options, &tcp, "multicastInterface", "no such option");
        expect_refused(&options, &gram, "multicastInterface", "no such option");
}

Test(socket_options, nothing_asked_is_nothing_refused) {
        Address address = kind_address(0);
        Options options = kit_no_options();

        cr_assert(zero(int, check(NULL, &address)));
        cr_assert(zero(int, check(&options, &address)));
        cr_assert(zero(int, socket_options_apply(-1, NULL, &address, OPTION_BEFORE_BIND, &refusal)));
        cr_assert(zero(int, socket_options_apply(-1, &options, &address, OPTION_BEFORE_BIND, &refusal)));
        cr_assert(zero(int, socket_options_compare(NULL, NULL, -1, &address, &refusal)));
        cr_assert(zero(int, socket_options_compare(&options, NULL, -1, &address, &refusal)));
}

Test(socket_options, lists_refused) {
        const char *groups[] = { "239.1.1.1", "10.0.0.1" };
        RawOption raw[] = { { SOL_SOCKET, SO_REUSEPORT, "01000000" } };

        for (size_t kind = 0; kind < ELEMENTS(kinds); kind++) {
                Address address = kind_address(kind);
                Options options = kit_no_options();

                options.multicast_groups = (WireList){ groups, 2 };
                expect_refused(&options, &address, "multicastGroups",
                               PACKETS & 1u << kind ? NULL : "no such option");
                options = kit_no_options();
                options.raw = (WireList){ raw, 1 };
                expect_refused(&options, &address, "raw", "who shares a port");
        }
}

/* Refusals by the kernel */

Test(socket_options, values_that_the_kernel_does_not_like) {
        static const char *const twice[] = { "239.1.1.1%lo", "239.1.1.1%lo" };
        static RawOption raw[] = { { SOL_TCP, TCP_NODELAY, "01" } };
        Address tcp = kind_address(0), udp = kind_address(3);
        Options options = kit_no_options();

        options.bind_to_device = "nosuchdevice";
        cr_assert(eq(int, open_refused(&tcp, &options), SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(refusal.option, "bindToDevice");
        KIT_EXPECT_TEXT(refusal.reason, "No such device");
        options = kit_no_options();
        options.congestion = "nosuchcontrol";
        cr_assert(eq(int, open_refused(&tcp, &options), SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(refusal.option, "congestion");
        options = kit_no_options();
        options.multicast_interface = "nosuchdevice";
        cr_assert(eq(int, open_refused(&udp, &options), SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(refusal.option, "multicastInterface");
        options = kit_no_options();
        options.multicast_groups = (WireList){ (void *)twice, 2 };
        cr_assert(eq(int, open_refused(&udp, &options), SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(refusal.option, "multicastGroups");
        options = kit_no_options();
        options.raw = (WireList){ raw, 1 };
        cr_assert(eq(int, open_refused(&tcp, &options), SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(refusal.option, "raw");
        KIT_EXPECT_TEXT(refusal.reason, "Invalid argument");
}

Test(socket_options, rights_that_are_missing_are_not_the_value_s_fault) {
        Address address = kind_address(0);
        Options options;

        if (geteuid() != 0)
                cr_skip_test("needs root, to become another user");
        cr_assert(zero(int, seteuid(KIT_OTHER_UID)));
        for (size_t i = 0; i < ELEMENTS(numbers); i++) {
                if (!numbers[i].privileged)
                        continue;
                options = kit_no_options();
                number_put(&options, &numbers[i], numbers[i].set[0]);
                cr_assert(eq(int, open_refused(&address, &options), SOCKET_FACTORY_E_SYSTEM));
                KIT_EXPECT_TEXT(refusal.option, numbers[i].name);
                cr_assert(eq(int, refusal.error, EPERM));
        }
        cr_assert(zero(int, seteuid(0)));
}

/* Set and read back */

Test(socket_options, numbers_set_and_read_back) {
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                for (size_t kind = 0; kind < kinds_to_make(); kind++)
                        for (int j = 0; j < 2; j++) {
                                const Number *row = &numbers[i];
                                Address address = kind_address(kind);
                                Options options = kit_no_options();
                                OptionsReadBack back;
                                int fd;

                                if (!(row->on & 1u << kind) || (row->privileged && geteuid() != 0))
                                        continue;
                                number_put(&options, row, row->set[j]);
                                cr_assert(zero(int, check(&options, &address)));
                                fd = open_with(&address, &options);
                                socket_options_read(fd, &address, &options, OPTIONS_ALL, &back);
                                cr_assert(eq(i64, number_get(&back.options, row), row->read[j]),
                                          "%s on %s", row->name, kinds[kind].network);
                                close(fd);
                        }
        leaks_expect_fds(n_fds);
}

/* Of an option that is not on a kind of socket nothing may be read, of all others something must. */
Test(socket_options, read_back_has_the_rows_of_its_kind_and_no_others) {
        for (size_t kind = 0; kind < kinds_to_make(); kind++) {
                Address address = kind_address(kind);
                OptionsReadBack back;
                int fd = open_with(&address, NULL);

                socket_options_read(fd, &address, NULL, OPTIONS_ALL, &back);
                close(fd);
                for (size_t i = 0; i < ELEMENTS(numbers); i++) {
                        bool udp_reuse =
                                strcmp(numbers[i].name, "reuseAddress") == 0 && UDP & 1u << kind;
                        bool expected = numbers[i].on & 1u << kind || udp_reuse;
                        int64_t absent = numbers[i].tristate ? TRISTATE_ABSENT : WIRE_ABSENT;

                        if (strcmp(numbers[i].name, "lingerSec") == 0)
                                expected = false;
                        cr_assert(eq(int, number_get(&back.options, &numbers[i]) != absent, expected),
                                  "%s on %s", numbers[i].name, kinds[kind].network);
                }
                cr_assert(eq(int, back.options.ipv6_only,
                             (TCP6 | UDP6) & 1u << kind     ? 1
                             : (TCP46 | UDP46) & 1u << kind ? 0
                                                            : TRISTATE_ABSENT));
                cr_assert(eq(int, back.options.congestion != NULL, (TCP & 1u << kind) != 0));
                cr_assert(eq(ptr, (void *)back.options.bind_to_device, NULL));
                cr_assert(eq(ptr, (void *)back.options.multicast_interface, NULL));
                cr_assert(eq(ptr, back.options.multicast_groups.items, NULL));
                cr_assert(eq(ptr, back.options.raw.items, NULL));
                if (UDP & 1u << kind) {
                        cr_assert(zero(int, back.options.reuse_address));
                        cr_assert(eq(int, back.options.broadcast, 1));
                }
        }
}

Test(socket_options, a_dual_stack_socket_has_both_families_values) {
        static const size_t dual[] = { 2, 5 };

        for (size_t i = 0; i < ELEMENTS(dual); i++) {
                Address address = kind_address(dual[i]);
                Options options = kit_no_options();
                int fd;

                options.type_of_service = 32;
                options.time_to_live = 3;
                if (i == 1)
                        options.multicast_loop = 0;
                fd = open_with(&address, &options);
                cr_assert(eq(int, kit_int_option(fd, SOL_IP, IP_TOS), 32));
                cr_assert(eq(int, kit_int_option(fd, SOL_IPV6, IPV6_TCLASS), 32));
                cr_assert(eq(int, kit_int_option(fd, SOL_IP, IP_TTL), 3));
                cr_assert(eq(int, kit_int_option(fd, SOL_IPV6, IPV6_UNICAST_HOPS), 3));
                if (i == 1) {
                        cr_assert(zero(int, kit_int_option(fd, SOL_IP, IP_MULTICAST_LOOP)));
                        cr_assert(zero(int, kit_int_option(fd, SOL_IPV6, IPV6_MULTICAST_LOOP)));
                }
                close(fd);
        }
}

Test(socket_options, a_priority_asked_for_outlives_the_type_of_service) {
        Address address = kind_address(0);
        Options options = kit_no_options();
        int fd;

        options.type_of_service = 16;
        options.priority = 1;
        fd = open_with(&address, &options);
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_PRIORITY), 1));
        close(fd);
}

Test(socket_options, reuse_address_of_multicast_is_set_before_bind) {
        Address address = kit_address("udp4", "239.1.1.1:5353");
        Options options = kit_no_options();
        OptionsReadBack back;
        int first, second;

        if (!kit_own_network())
                cr_skip_test("needs root, for a port that nobody has");
        options.reuse_address = 1;
        first = open_with(&address, &options);
        second = open_with(&address, &options);
        socket_options_read(second, &address, NULL, OPTIONS_ALL, &back);
        cr_assert(eq(int, back.options.reuse_address, 1));
        close(first);
        close(second);
}

Test(socket_options, s3_12_backlog_is_what_the_kernel_has) {
        for (size_t kind = 0; kind < kinds_to_make(); kind++) {
                Address address = kind_address(kind);
                Options options = kit_no_options();
                OptionsReadBack back;
                int fd;

                if (!(LISTENERS & 1u << kind))
                        continue;
                options.backlog = 2147483647;
                fd = open_with(&address, &options);
                socket_options_read(fd, &address, &options, OPTIONS_ALL, &back);
                cr_assert(eq(i64, back.options.backlog, socket_options_backlog(NULL)));
                if (TCP & 1u << kind) {
                        cr_assert(zero(int, listen(fd, 7)));
                        socket_options_read(fd, &address, &options, OPTIONS_ALL, &back);
                        cr_assert(eq(i64, back.options.backlog, 7));
                }
                close(fd);
        }
        cr_assert(eq(int, socket_options_backlog(&(Options){ .backlog = 9 }), 9));
        cr_assert(gt(int, socket_options_backlog(NULL), 0));
}

Test(socket_options, names_set_and_read_back) {
        for (size_t kind = 0; kind < 6; kind++) {
                Address address = kind_address(kind);
                Options options = kit_no_options();
                OptionsReadBack back;
                int fd;

                options.bind_to_device = "lo";
                if (TCP & 1u << kind)
                        options.congestion = "reno";
                else
                        options.multicast_interface = "lo";
                fd = open_with(&address, &options);
                socket_options_read(fd, &address, &options, OPTIONS_ALL, &back);
                KIT_EXPECT_TEXT(back.options.bind_to_device, "lo");
                if (TCP & 1u << kind)
                        KIT_EXPECT_TEXT(back.options.congestion, "reno");
                else
                        KIT_EXPECT_TEXT(back.options.multicast_interface, "lo");
                close(fd);
        }
}

Test(socket_options, lists_set_and_read_back) {
        const char *groups[] = { "239.1.1.1", "239.1.1.2%lo" };
        /* In order: the second is what stays. */
        RawOption raw[] = { { SOL_SOCKET, SO_PRIORITY, "01000000" },
                            { SOL_SOCKET, SO_PRIORITY, "02000000" } };
        Address address = kind_address(3);
        Options options = kit_no_options();
        OptionsReadBack back;
        int fd;

        options.multicast_groups = (WireList){ groups, 2 };
        options.multicast_interface = "lo";
        options.raw = (WireList){ raw, 2 };
        fd = open_with(&address, &options);
        socket_options_read(fd, &address, &options, OPTIONS_ALL, &back);
        cr_assert(eq(ptr, back.options.multicast_groups.items, groups));
        cr_assert(eq(sz, back.options.multicast_groups.n, 2));
        cr_assert(eq(sz, back.options.raw.n, 2));
        cr_assert(eq(ptr, back.options.raw.items, back.raw));
        KIT_EXPECT_TEXT(back.raw[0].value, "02000000");
        KIT_EXPECT_TEXT(back.raw[1].value, "02000000");
        cr_assert(eq(i64, back.options.priority, 2));
        close(fd);
}

Test(socket_options, reads_what_is_asked_for_and_what_the_broker_decides) {
        for (size_t kind = 0; kind < kinds_to_make(); kind++) {
                Address address = kind_address(kind);
                Options asked = kit_no_options();
                OptionsReadBack back;
                int fd = open_with(&address, NULL);

                cr_assert(zero(u64, socket_options_given(NULL)));
                cr_assert(zero(u64, socket_options_given(&asked)));
                asked.send_buffer = 4096;
                socket_options_read(fd, &address, NULL, socket_options_given(&asked), &back);
                cr_assert(ne(i64, back.options.send_buffer, WIRE_ABSENT));
                cr_assert(eq(i64, back.options.receive_buffer, WIRE_ABSENT));
                cr_assert(eq(int, back.options.no_delay, TRISTATE_ABSENT));
                if (TCP & 1u << kind)
                        cr_assert(ge(i64, back.options.backlog, 1));
                close(fd);
        }
}

/* What is about being connected to is refused of what connects, on whatever kind it exists. */
Test(socket_options, options_of_listeners_are_not_of_who_connects) {
        static const char *const texts[] = { "backlog",        "ipv6Only",      "reuseAddress",
                                             "deferAcceptSec", "fastOpenQueue", "multicastGroups" };
        const char *groups[] = { "239.1.2.3" };
        Address tcp = kit_address("tcp6", "[::1]:0"), udp = kit_address("udp4", "127.0.0.1:0");

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                Options options;

                wire_init(&wire_options, &options);
                options.backlog = i == 0 ? 5 : WIRE_ABSENT;
                options.ipv6_only = i == 1 ? true : TRISTATE_ABSENT;
                options.reuse_address = i == 2 ? true : TRISTATE_ABSENT;
                options.defer_accept_sec = i == 3 ? 1 : WIRE_ABSENT;
                options.fast_open_queue = i == 4 ? 1 : WIRE_ABSENT;
                if (i == 5)
                        options.multicast_groups = (WireList){ groups, 1 };
                cr_assert(zero(int, socket_options_check(&options, i == 5 ? &udp : &tcp, &refusal)));
                cr_assert(eq(int,
                             socket_options_check_outgoing(&options, i == 5 ? &udp : &tcp, &refusal),
                             SOCKET_OPTIONS_E_INVALID));
                KIT_EXPECT_TEXT(refusal.option, texts[i]);
        }
        cr_assert(zero(int, socket_options_check_outgoing(NULL, &tcp, &refusal)));
}
