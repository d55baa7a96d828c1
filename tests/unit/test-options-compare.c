/* SPDX-License-Identifier: BSD-2-Clause */

/* Whether options that are asked for agree with those that a socket has. */

#include "daemon/socket-options.h"

#include "tests/unit/option-kit.h"

static void own_network(void) {
        kit_own_network();
}

TestSuite(options_compare, .init = own_network, .timeout = 10);

static void expect_conflict(const Options *want, const Options *had, int fd, const Address *address,
                            const char *name, const char *have_text, const char *want_text) {
        refusal = (OptionRefusal){ 0 };
        cr_assert(eq(int, socket_options_compare(want, had, fd, address, &refusal),
                     SOCKET_OPTIONS_E_CONFLICT),
                  "%s", name);
        KIT_EXPECT_TEXT(refusal.option, name);
        KIT_EXPECT_TEXT(refusal.have, have_text);
        KIT_EXPECT_TEXT(refusal.want, want_text);
}

static int compare(const Options *want, const Options *had, int fd, const Address *address) {
        return socket_options_compare(want, had, fd, address, &refusal);
}

Test(options_compare, conflicts_of_tcp) {
        RawOption raw_had[] = { { 6, 1, "01000000" }, { 6, 9, "03" } };
        RawOption raw_want[] = { { 6, 9, "03" }, { 6, 1, "01000000" } };
        Address address = kind_address(0);
        Options had = kit_no_options(), want = kit_no_options();
        int fd;

        had.backlog = 512;
        had.keep_alive = 1;
        had.congestion = "reno";
        fd = open_with(&address, &had);
        had.raw = (WireList){ raw_had, 2 };

        want.backlog = 128;
        expect_conflict(&want, &had, fd, &address, "backlog", "512", "128");
        expect_conflict(&want, NULL, fd, &address, "backlog", "512", "128");
        want = kit_no_options();
        want.keep_alive = 0;
        expect_conflict(&want, &had, fd, &address, "keepAlive", "true", "false");
        expect_conflict(&want, NULL, fd, &address, "keepAlive", "true", "false");
        want = kit_no_options();
        want.no_delay = 1;
        expect_conflict(&want, &had, fd, &address, "noDelay", "false", "true");
        want = kit_no_options();
        want.congestion = "cubic";
        expect_conflict(&want, &had, fd, &address, "congestion", "reno", "cubic");
        want = kit_no_options();
        want.bind_to_device = "lo";
        expect_conflict(&want, &had, fd, &address, "bindToDevice", "", "lo");
        want = kit_no_options();
        want.linger_sec = 3;
        expect_conflict(&want, &had, fd, &address, "lingerSec", "", "3");
        want = kit_no_options();
        want.raw = (WireList){ raw_want, 2 };
        expect_conflict(&want, &had, fd, &address, "raw", "6:1=01000000 6:9=03", "6:9=03 6:1=01000000");
        expect_conflict(&want, NULL, fd, &address, "raw", "", "6:9=03 6:1=01000000");
        want.raw.n = 1;
        expect_conflict(&want, &had, fd, &address, "raw", "6:1=01000000 6:9=03", "6:9=03");
        close(fd);
}

Test(options_compare, conflicts_of_udp) {
        static const char *const two[] = { "239.1.1.1%lo", "239.1.1.2%lo" };
        static const char *const swapped[] = { "239.1.1.2%lo", "239.1.1.1%lo" };
        static const char *const long_names[] = { "ff02:1111:2222:3333:4444:5555:6666:7777%interface",
                                                  "ff02:1111:2222:3333:4444:5555:6666:8888%interface" };
        Address address = kind_address(3);
        Options had = kit_no_options(), want = kit_no_options();
        int fd;

        had.multicast_groups = (WireList){ (void *)two, 2 };
        had.multicast_interface = "lo";
        fd = open_with(&address, &had);
        want.multicast_groups = (WireList){ (void *)two, 1 };
        expect_conflict(&want, &had, fd, &address, "multicastGroups", "239.1.1.1%lo 239.1.1.2%lo",
                        "239.1.1.1%lo");
        expect_conflict(&want, NULL, fd, &address, "multicastGroups", "", "239.1.1.1%lo");
        want.multicast_groups = (WireList){ (void *)swapped, 2 };
        cr_assert(zero(int, compare(&want, &had, fd, &address)));
        want.multicast_groups = (WireList){ (void *)long_names, 2 };
        cr_assert(eq(int, compare(&want, &had, fd, &address), SOCKET_OPTIONS_E_CONFLICT));
        cr_assert(eq(sz, strlen(refusal.want), sizeof(refusal.want) - 1), "cut, not lost");
        want = kit_no_options();
        want.multicast_interface = "eth0";
        expect_conflict(&want, &had, fd, &address, "multicastInterface", "lo", "eth0");
        want = kit_no_options();
        want.broadcast = 0;
        expect_conflict(&want, &had, fd, &address, "broadcast", "true", "false");
        close(fd);
}

Test(options_compare, what_was_asked_for_at_first_agrees_whatever_the_kernel_made_of_it) {
        RawOption raw[] = { { 6, 1, "0a000000" } }, upper[] = { { 6, 1, "0A000000" } };
        Address address = kind_address(0);
        Options had = kit_no_options(), want = kit_no_options();
        int fd;

        had.receive_buffer = 65536;
        had.defer_accept_sec = 2;
        had.backlog = 2147483647;
        had.linger_sec = -1;
        fd = open_with(&address, &had);
        had.raw = (WireList){ raw, 1 };
        cr_assert(zero(int, compare(&had, &had, fd, &address)));
        want = had;
        want.raw = (WireList){ upper, 1 };
        cr_assert(zero(int, compare(&want, &had, fd, &address)));
        close(fd);
}

Test(options_compare, what_the_kernel_has_agrees_when_nothing_was_asked_for) {
        for (size_t kind = 0; kind < kinds_to_make(); kind++) {
                Address address = kind_address(kind);
                Options had = kit_no_options();
                OptionsReadBack back;
                int fd = open_with(&address, NULL);

                socket_options_read(fd, &address, NULL, OPTIONS_ALL, &back);
                if (TCP & 1u << kind)
                        back.options.linger_sec = -1;
                cr_assert(zero(int, compare(&back.options, NULL, fd, &address)), "%s: %s",
                          kinds[kind].network, refusal.option);
                cr_assert(zero(int, compare(&back.options, &had, fd, &address)));
                close(fd);
        }
}
