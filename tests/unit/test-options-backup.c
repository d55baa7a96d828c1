/* SPDX-License-Identifier: BSD-2-Clause */

/* What was set on a socket that was there before is taken back: the kernel says the same as before. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "daemon/multicast.h"
#include "daemon/socket-options.h"
#include "tests/unit/leaks.h"
#include "tests/unit/option-kit.h"

static void own_network(void) {
        kit_own_network();
}

TestSuite(options_backup, .init = own_network, .timeout = 10);

/* Everything the kernel tells of @fd, and whether its buffers grow. */
typedef struct Snapshot {
        OptionsReadBack all;
        int buffer_locks;
} Snapshot;

static void snapshot(int fd, const Address *address, Snapshot *ret) {
        socket_options_read(fd, address, NULL, OPTIONS_ALL, &ret->all);
        ret->buffer_locks = kit_int_option(fd, SOL_SOCKET, SO_BUF_LOCK);
}

static void expect_same(const Snapshot *a, const Snapshot *b, const char *what, const char *network) {
        for (size_t i = 0; i < wire_options.n_fields; i++) {
                const Field *row = &wire_options.fields[i];
                const char *x = (const char *)&a->all.options + row->offset,
                           *y = (const char *)&b->all.options + row->offset;

                if (row->type == FIELD_INT)
                        cr_assert(eq(i64, *(const int64_t *)x, *(const int64_t *)y),
                                  "%s, after %s on %s", row->name, what, network);
                else if (row->type == FIELD_BOOL)
                        cr_assert(eq(i8, *(const Tristate *)x, *(const Tristate *)y),
                                  "%s, after %s on %s", row->name, what, network);
                else if (row->type == FIELD_STRING)
                        cr_assert(eq(str, *(char *const *)x ?: (char *)"",
                                     *(char *const *)y ?: (char *)""),
                                  "%s, after %s on %s", row->name, what, network);
        }
        cr_assert(eq(int, a->buffer_locks, b->buffer_locks), "%s on %s", what, network);
}

static int set_all(int fd, const Options *options, const Address *address) {
        int r = 0;

        for (OptionStage stage = OPTION_BEFORE_BIND; stage <= OPTION_AFTER_LISTEN && r == 0; stage++)
                r = socket_options_apply(fd, options, address, stage, &refusal);
        return r;
}

/* Sets @changes on a socket that was made with @had, takes them back, and looks. */
static void expect_put_back(const Address *address, const Options *had, const Options *changes,
                            const char *what) {
        OptionsBackup backup;
        Snapshot before, after;
        int fd = open_with(address, had);

        snapshot(fd, address, &before);
        socket_options_save(fd, address, had, changes, &backup);
        cr_assert(zero(int, set_all(fd, changes, address)), "%s on %s: %s", what,
                  address_network(address, (char[NETWORK_TEXT_MAX]){ 0 }), refusal.reason);
        socket_options_restore(fd, address, &backup);
        snapshot(fd, address, &after);
        expect_same(&before, &after, what, address_network(address, (char[NETWORK_TEXT_MAX]){ 0 }));
        close(fd);
}

Test(options_backup, what_was_never_set_is_put_back_as_well) {
        int n_fds = leaks_count_fds();

        for (size_t kind = 0; kind < kinds_to_make(); kind++) {
                Address address = kind_address(kind);
                Options changes = kit_no_options();
                OptionsBackup backup;
                Snapshot before, after;
                int fd = open_with(&address, NULL);

                changes.receive_buffer = changes.send_buffer = 8192;
                if (kind < 6)
                        changes.bind_to_device = "lo";
                if (TCP & 1u << kind)
                        changes.linger_sec = 3;
                snapshot(fd, &address, &before);
                socket_options_save(fd, &address, NULL, &changes, &backup);
                socket_options_restore(fd, &address, &backup);
                snapshot(fd, &address, &after);
                expect_same(&before, &after, "nothing", kinds[kind].network);
                close(fd);
        }
        leaks_expect_fds(n_fds);
}

/* From what the kernel gives a new socket, and from either value to the other. */
Test(options_backup, numbers_put_back) {
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                for (size_t kind = 0; kind < kinds_to_make(); kind++)
                        for (int j = 0; j < 4; j++) {
                                const Number *row = &numbers[i];
                                Address address = kind_address(kind);
                                Options had = kit_no_options(), changes = kit_no_options();

                                if (!(row->on & 1u << kind) || (row->privileged && geteuid() != 0) ||
                                    strcmp(row->name, "backlog") == 0)
                                        continue;
                                if (j >= 2)
                                        number_put(&had, row, row->set[1 - j % 2]);
                                number_put(&changes, row, row->set[j % 2]);
                                expect_put_back(&address, &had, &changes, row->name);
                        }
        leaks_expect_fds(n_fds);
}

Test(options_backup, names_put_back) {
        int n_fds = leaks_count_fds();

        if (geteuid() != 0)
                cr_skip_test("needs root, to leave a device");
        for (size_t kind = 0; kind < 6; kind++)
                for (int i = 0; i < 2; i++) {
                        Address address = kind_address(kind);
                        Options had = kit_no_options(), changes = kit_no_options();

                        if (i == 0)
                                changes.bind_to_device = "lo";
                        else
                                had.bind_to_device = "lo";
                        if (TCP & 1u << kind)
                                changes.congestion = "reno";
                        else
                                changes.multicast_interface = "lo";
                        expect_put_back(&address, &had, &changes, "names");
                }
        leaks_expect_fds(n_fds);
}

/* IP_TOS sets the priority, and what was asked for before is that of the kernel or of the client. */
Test(options_backup, the_priority_is_put_back_with_the_type_of_service) {
        static const size_t v4[] = { 0, 2, 3, 5 };
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i < ELEMENTS(v4); i++) {
                Address address = kind_address(v4[i]);
                Options had = kit_no_options(), changes = kit_no_options();

                changes.type_of_service = 16;
                expect_put_back(&address, NULL, &changes, "typeOfService");
                had.priority = 3;
                expect_put_back(&address, &had, &changes, "typeOfService");
        }
        leaks_expect_fds(n_fds);
}

Test(options_backup, raw_options_that_nobody_can_read) {
        int n_fds = leaks_count_fds();
        RawOption raw[] = { { SOL_TCP, TCP_NODELAY, "01000000" }, { SOL_TCP, TCP_MD5SIG, "00" } };
        Address address = kind_address(0);
        Options changes = kit_no_options();
        OptionsBackup backup;
        int fd = open_with(&address, NULL);

        changes.raw = (WireList){ raw, 2 };
        socket_options_save(fd, &address, NULL, &changes, &backup);
        cr_assert(backup.before.raw_told[0]);
        cr_assert(not(backup.before.raw_told[1]));
        socket_options_restore(fd, &address, &backup);
        cr_assert(zero(int, kit_int_option(fd, SOL_TCP, TCP_NODELAY)));
        close(fd);
        leaks_expect_fds(n_fds);
}

Test(options_backup, raw_options_put_back) {
        int n_fds = leaks_count_fds();
        RawOption raw[] = { { SOL_TCP, TCP_NODELAY, "01000000" },
                            { SOL_SOCKET, SO_LINGER, "0100000005000000" } };
        Address address = kind_address(0);
        Options changes = kit_no_options();

        changes.raw = (WireList){ raw, 2 };
        expect_put_back(&address, NULL, &changes, "raw");
        leaks_expect_fds(n_fds);
}

/* Whether @group can be joined on lo, as it can where it was not. Leaves it as it was. */
static bool is_member(int fd, const char *group) {
        int error = multicast_join(fd, group, "lo");

        cr_assert(error == 0 || error == EADDRINUSE, "%s: %s", group, strerror(error));
        if (error == 0)
                cr_assert(zero(int, multicast_leave(fd, group, "lo")));
        return error != 0;
}

Test(options_backup, groups_are_joined_all_or_none) {
        int n_fds = leaks_count_fds();
        const char *had_groups[] = { "239.1.1.1%lo" };
        const char *groups[] = { "239.1.1.2%lo", "239.1.1.3%lo", "239.1.1.1%lo" };
        Address address = kind_address(3);
        Options had = kit_no_options(), changes = kit_no_options();
        int fd;

        had.multicast_groups = (WireList){ had_groups, 1 };
        fd = open_with(&address, &had);
        changes.multicast_groups = (WireList){ groups, 3 };
        cr_assert(eq(int, set_all(fd, &changes, &address), SOCKET_OPTIONS_E_INVALID));
        cr_assert(is_member(fd, "239.1.1.1"));
        cr_assert(not(is_member(fd, "239.1.1.2")));
        cr_assert(not(is_member(fd, "239.1.1.3")));
        close(fd);
        leaks_expect_fds(n_fds);
}

/* Those that were joined before stay, of both families. */
Test(options_backup, groups_put_back) {
        int n_fds = leaks_count_fds();
        const char *had_groups[] = { "239.1.1.1%lo", "ff02::1:1%lo" };
        const char *groups[] = { "239.1.1.2", "ff02::1:2", "239.1.1.3%lo" };
        Address address = kind_address(5);
        Options had = kit_no_options(), changes = kit_no_options();
        OptionsBackup backup;
        int fd;

        had.multicast_groups = (WireList){ had_groups, 2 };
        changes.multicast_groups = (WireList){ groups, 3 };
        changes.multicast_interface = "lo";
        fd = open_with(&address, &had);
        socket_options_save(fd, &address, &had, &changes, &backup);
        cr_assert(zero(int, set_all(fd, &changes, &address)));
        cr_assert(is_member(fd, "ff02::1:2"));
        socket_options_restore(fd, &address, &backup);
        cr_assert(is_member(fd, "239.1.1.1"));
        cr_assert(is_member(fd, "ff02::1:1"));
        cr_assert(not(is_member(fd, "239.1.1.2")));
        cr_assert(not(is_member(fd, "239.1.1.3")));
        cr_assert(not(is_member(fd, "ff02::1:2")));
        close(fd);
        leaks_expect_fds(n_fds);
}

/* Without a route, a datagram to a group leaves by the interface that was set, or not at all. */
static bool can_send_to_group(int fd) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };

        cr_assert(eq(int, inet_pton(AF_INET, "239.1.1.1", &in.sin_addr), 1));
        return sendto(fd, "", 0, 0, (struct sockaddr *)&in, sizeof(in)) == 0;
}

Test(options_backup, the_interface_of_ipv4_is_put_back) {
        int n_fds = leaks_count_fds();
        Address address = kit_address("udp4", "0.0.0.0:0");

        if (geteuid() != 0)
                cr_skip_test("needs root, for a network without routes");
        for (int i = 0; i < 2; i++) {
                Options had = kit_no_options(), changes = kit_no_options();
                OptionsBackup backup;
                int fd;

                if (i == 1)
                        had.multicast_interface = "lo";
                changes.multicast_interface = "lo";
                fd = open_with(&address, &had);
                cr_assert(eq(int, can_send_to_group(fd), i));
                socket_options_save(fd, &address, &had, &changes, &backup);
                cr_assert(zero(int, set_all(fd, &changes, &address)));
                cr_assert(can_send_to_group(fd));
                socket_options_restore(fd, &address, &backup);
                cr_assert(eq(int, can_send_to_group(fd), i));
                close(fd);
        }
        leaks_expect_fds(n_fds);
}
