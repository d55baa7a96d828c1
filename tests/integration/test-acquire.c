/* SPDX-License-Identifier: BSD-2-Clause */

/* Every kind of socket in every sharing, against a running broker: what is handed over really serves. */

#include <netinet/tcp.h>

#include "tests/integration/acquire-kit.h"

TestSuite(acquire, .timeout = 60);

static const struct Kind {
        const char *network;
        const char *address; /* NULL: a path in the folder of the test */
        const char *made;    /* the network of the reply */
        bool abstract;
} kinds[] = {
        { "tcp", "127.0.0.1:0", "tcp4", false },
        { "tcp", "[::1]:0", "tcp6", false },
        { "tcp", ":0", "tcp", false },
        { "tcp4", ":0", "tcp4", false },
        { "tcp6", ":0", "tcp6", false },
        { "udp", "127.0.0.1:0", "udp4", false },
        { "udp", "[::1]:0", "udp6", false },
        { "udp", ":0", "udp", false },
        { "udp4", ":0", "udp4", false },
        { "udp6", ":0", "udp6", false },
        { "unix", NULL, "unix", false },
        { "unix", NULL, "unix", true },
        { "unixgram", NULL, "unixgram", false },
        { "unixgram", NULL, "unixgram", true },
        { "unixpacket", NULL, "unixpacket", false },
        { "unixpacket", NULL, "unixpacket", true },
};

enum {
        N_KINDS = sizeof(kinds) / sizeof(kinds[0]),
};

static const char *kind_address(const struct Kind *kind, const Kit *kit, char buffer[static 128]) {
        if (kind->address)
                snprintf(buffer, 128, "%s", kind->address);
        else
                snprintf(buffer, 128, "%s%s/socket", kind->abstract ? "@" : "", kit->harness.folder);
        return buffer;
}

static KitSocket acquire_kind(int control, const struct Kind *kind, const char *address,
                              const char *sharing) {
        KitSocket socket = kit_acquire(control, "{'network':'%s','address':'%s','sharing':'%s'}",
                                       kind->network, address, sharing);

        KIT_EXPECT_TEXT(kit_text(socket.reply, "sharing"), sharing);
        KIT_EXPECT_TEXT(kit_text(socket.reply, "network"), kind->made);
        cr_assert(zero(int, kit_true(socket.reply, "adopted")));
        return socket;
}

/* A second client finds the socket by the address of the first reply. */
static KitSocket acquire_same(int control, const KitSocket *first) {
        KitSocket socket = kit_acquire(control, "{'network':'%s','address':'%s','sharing':'%s'}",
                                       kit_text(first->reply, "network"), kit_address(first),
                                       kit_text(first->reply, "sharing"));

        KIT_EXPECT_TEXT(kit_address(&socket), kit_address(first));
        KIT_EXPECT_TEXT(kit_text(socket.reply, "endpoint"), kit_text(first->reply, "endpoint"));
        cr_assert(ne(str, (char *)kit_lease(&socket), (char *)kit_lease(first)));
        return socket;
}

/* ---- refusals ------------------------------------------------------------------------------------ */

static void expect_holder(const json_t *reply, const KitSocket *held) {
        char command[32] = "";
        _cleanup_(fd_closep) int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);

        cr_assert(gt(int, (int)read(fd, command, sizeof(command) - 1), 0));
        command[strcspn(command, "\n")] = '\0';
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.address"), kit_address(held));
        cr_assert(eq(llong, kit_number(reply, "parameters.holder.uid"), geteuid()));
        cr_assert(eq(llong, kit_number(reply, "parameters.holder.gid"), getegid()));
        cr_assert(eq(llong, kit_number(reply, "parameters.holder.pid"), getpid()));
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.holder.command"), command);
        cr_assert(gt(llong, kit_number(reply, "parameters.holder.sinceUsec"), 0));
}

Test(acquire, exclusive_is_for_one) {
        static const char *const sharings[] = { "exclusive", "shared" };
        Kit kit;
        int control, other;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        other = harness_connect(&kit.harness);
        for (int i = 0; i < N_KINDS; i++) {
                char address[128];
                KitSocket held = acquire_kind(control, &kinds[i], kind_address(&kinds[i], &kit, address),
                                              "exclusive");

                for (int j = 0; j < 2; j++) {
                        json_auto_t *reply = kit_refused(
                                other, "AddressInUse", "{'network':'%s','address':'%s','sharing':'%s'}",
                                kinds[i].made, kit_address(&held), sharings[j]);

                        expect_holder(reply, &held);
                }
                kit_expect_served(held.fd);
                kit_release(control, &held);
        }
        close(control);
        close(other);
        kit_stop(&kit);
}

Test(acquire, exclusive_does_not_join_others) {
        static const char *const sharings[] = { "shared", "group" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 2; i++) {
                KitSocket held =
                        kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'%s'}",
                                    sharings[i]);
                json_auto_t *reply = kit_refused(
                        control, "AddressInUse",
                        "{'network':'tcp4','address':'%s','sharing':'exclusive'}", kit_address(&held));

                expect_holder(reply, &held);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

Test(acquire, sharings_do_not_mix) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'group'}");
        {
                json_auto_t *reply = kit_refused(control, "OptionConflict",
                                                 "{'network':'tcp4','address':'%s','sharing':'shared'}",
                                                 kit_address(&held));

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "sharing");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.have"), "group");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.want"), "shared");
        }
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

static void expect_nothing_is_held(int control) {
        json_auto_t *status = kit_call(control, "GetStatus", "{}");

        cr_assert(zero(llong, kit_number(status, "parameters.endpoints")));
        cr_assert(zero(llong, kit_number(status, "parameters.leases")));
}

/* The broker does not know who holds the port, and says nobody. */
Test(acquire, s1_4_foreign_program_holds_the_address) {
        static const char *const sharings[] = { "exclusive", "shared", "group", false };
        static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 2; i++) {
                struct sockaddr_storage bound;
                struct sockaddr_in in = { .sin_family = AF_INET,
                                          .sin_addr = { htonl(INADDR_LOOPBACK) } };
                int foreign = socket(AF_INET, types[i] | SOCK_CLOEXEC, 0), port;

                cr_assert(zero(int, bind(foreign, (struct sockaddr *)&in, sizeof(in))));
                if (types[i] == SOCK_STREAM)
                        cr_assert(zero(int, listen(foreign, 1)));
                kit_bound_address(foreign, &bound);
                port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
                for (int j = 0; j < 3; j++) {
                        json_auto_t *reply = kit_refused(
                                control, "AddressInUse",
                                "{'network':'%s','address':'127.0.0.1:%d','sharing':'%s'}",
                                types[i] == SOCK_STREAM ? "tcp4" : "udp4", port, sharings[j]);

                        cr_assert(zero(ptr, json_object_get(kit_at(reply, "parameters"), "holder")));
                }
                /* No second attempt in another way, and nothing that a dial would come from. */
                expect_nothing_is_held(control);
                close(foreign);
        }
        close(control);
        kit_stop(&kit);
}

/* A file in the way may be a live socket or anything else: it is not the broker's to remove. */
Test(acquire, foreign_file_is_left_alone) {
        Kit kit;
        char path[128];
        int control, fd;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        snprintf(path, sizeof(path), "%s/file", kit.harness.folder);
        fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        cr_assert(ge(int, fd, 0));
        close(fd);
        json_decref(kit_refused(control, "AddressInUse", "{'network':'unix','address':'%s'}", path));
        cr_assert(zero(int, access(path, F_OK)));
        close(control);
        kit_stop(&kit);
}

Test(acquire, d4_unix_has_no_groups) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < N_KINDS; i++) {
                char address[128];

                if (!kinds[i].address) {
                        json_auto_t *reply =
                                kit_refused(control, "NotSupported",
                                            "{'network':'%s','address':'%s','sharing':'group'}",
                                            kinds[i].network, kind_address(&kinds[i], &kit, address));

                        KIT_EXPECT_TEXT(kit_text(reply, "parameters.feature"), "sharing group");
                }
        }
        close(control);
        kit_stop(&kit);
}

Test(acquire, address_of_another_host) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        /* 192.0.2.0/24 is for documentation: no interface has it. */
        json_decref(kit_refused(control, "AddressUnavailable",
                                "{'network':'tcp4','address':'192.0.2.1:0'}"));
        json_decref(kit_refused(control, "AddressUnavailable",
                                "{'network':'udp4','address':'192.0.2.1:4000'}"));
        close(control);
        kit_stop(&kit);
}

/* ---- what serves ---------------------------------------------------------------------------------- */

Test(acquire, every_kind_serves_one_holder) {
        static const char *const sharings[] = { "exclusive", "shared", "group", false };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < N_KINDS; i++)
                for (int j = 0; j < (kinds[i].address ? 3 : 2); j++) {
                        char address[128];
                        KitSocket held = acquire_kind(
                                control, &kinds[i], kind_address(&kinds[i], &kit, address), sharings[j]);

                        /* Like every socket that the broker makes; who wants to block says so. */
                        cr_assert(ne(int, fcntl(held.fd, F_GETFL) & O_NONBLOCK, 0));
                        if (kinds[i].address)
                                cr_assert(gt(int, kit_port(&held), 0));
                        else
                                KIT_EXPECT_TEXT(kit_address(&held), address);
                        kit_expect_served(held.fd);
                        kit_release(control, &held);
                }
        close(control);
        kit_stop(&kit);
}

/* The same open socket, so one queue: what comes can be taken through either descriptor. */
Test(acquire, shared_is_one_open_socket) {
        Kit kit;
        int control, other;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        other = harness_connect(&kit.harness);
        for (int i = 0; i < N_KINDS; i++) {
                char address[128];
                KitSocket first = acquire_kind(control, &kinds[i],
                                               kind_address(&kinds[i], &kit, address), "shared");
                KitSocket second = acquire_same(other, &first);

                cr_assert(eq(ullong, kit_cookie(first.fd), kit_cookie(second.fd)));
                kit_expect_served(first.fd);
                kit_expect_served(second.fd);
                kit_release(control, &first);
                kit_expect_served(second.fd);
                kit_release(other, &second);
        }
        close(control);
        close(other);
        kit_stop(&kit);
}

Test(acquire, group_members_all_serve) {
        Kit kit;
        int control, other;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        other = harness_connect(&kit.harness);
        for (int i = 0; i < N_KINDS; i++) {
                KitSocket first, second;

                if (!kinds[i].address)
                        continue;
                first = acquire_kind(control, &kinds[i], kinds[i].address, "group");
                second = acquire_same(other, &first);
                cr_assert(ne(ullong, kit_cookie(first.fd), kit_cookie(second.fd)));
                kit_expect_both_served(first.fd, second.fd);
                kit_release(control, &first);
                kit_expect_served(second.fd);
                kit_release(other, &second);
        }
        close(control);
        close(other);
        kit_stop(&kit);
}

static void expect_untouched(int fd, int backlog) {
        struct tcp_info info = { 0 };
        socklen_t size = sizeof(info);

        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEPORT), 1));
        cr_assert(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
        cr_assert(zero(int, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size)));
        cr_assert(eq(int, (int)info.tcpi_sacked, backlog));
}

/* Each way to ruin a listener for all who hold it: of a group each has one of its own, unless they say
 * otherwise. */
Test(acquire, d5_a_ruined_socket_is_that_of_who_shares_it) {
        struct tcp_info info = { 0 };
        socklen_t size = sizeof(info);
        Kit kit;
        KitSocket first, second;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control,
                            "{'network':'tcp4','address':'127.0.0.1:0','options':{'backlog':16}}");
        second = acquire_same(control, &first);
        cr_assert(zero(int, listen(first.fd, 1)));
        cr_assert(zero(int, setsockopt(first.fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 0 }, sizeof(int))));
        cr_assert(zero(int, fcntl(first.fd, F_SETFL, 0)));
        expect_untouched(second.fd, 16);
        cr_assert(zero(int, shutdown(first.fd, SHUT_RDWR)));
        expect_untouched(second.fd, 16);
        /* The broker may have had it listen again meanwhile. */
        kit_release(control, &first);
        for (int i = 0; i < 10; i++)
                kit_expect_served(second.fd);
        kit_release(control, &second);

        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'}");
        second = kit_acquire(control, "{'network':'tcp4','address':'%s','sharing':'shared'}",
                             kit_address(&first));
        cr_assert(zero(int, listen(first.fd, 1)));
        cr_assert(zero(int, fcntl(first.fd, F_SETFL, 0)));
        cr_assert(zero(int, getsockopt(second.fd, IPPROTO_TCP, TCP_INFO, &info, &size)));
        cr_assert(eq(int, (int)info.tcpi_sacked, 1));
        cr_assert(zero(int, fcntl(second.fd, F_GETFL) & O_NONBLOCK));
        kit_release(control, &first);
        kit_release(control, &second);
        close(control);
        kit_stop(&kit);
}

Test(acquire, sharing_when_nothing_is_said) {
        Kit kit;
        KitSocket ip, path;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        ip = kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:0'}");
        path = kit_acquire(control, "{'network':'unix','address':'%s/socket'}", kit.harness.folder);
        KIT_EXPECT_TEXT(kit_text(ip.reply, "sharing"), "group");
        KIT_EXPECT_TEXT(kit_text(path.reply, "sharing"), "shared");
        kit_drop(&ip);
        kit_drop(&path);
        close(control);
        kit_stop(&kit);
}

/* Two requests for port 0 never meet, not even in a group, which would let them. */
Test(acquire, s1_8_port_zero_is_a_port_of_its_own) {
        static const char *const networks[] = { "tcp4", "udp4" };
        enum { N = 50 };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int k = 0; k < 2; k++) {
                KitSocket held[N];

                for (int i = 0; i < N; i++) {
                        held[i] = kit_acquire(control, "{'network':'%s','address':'127.0.0.1:0'}",
                                              networks[k]);
                        for (int j = 0; j < i; j++)
                                cr_assert(ne(int, kit_port(&held[i]), kit_port(&held[j])));
                }
                for (int i = 0; i < N; i++)
                        kit_release(control, &held[i]);
        }
        close(control);
        kit_stop(&kit);
}

/* Descriptors and entries belong together by index, whatever the order. */
Test(acquire, several_sockets_in_one_call) {
        Kit kit;
        KitSocket held[3];
        char parameters[512];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        snprintf(parameters, sizeof(parameters),
                 "{'sockets':[{'network':'udp4','address':'127.0.0.1:0'},"
                 "{'network':'unix','address':'%s/socket'},{'network':'tcp4','address':'127.0.0.1:0'}]}",
                 kit.harness.folder);
        kit_acquire_call(control, parameters, 3, held);
        KIT_EXPECT_TEXT(kit_text(held[0].reply, "network"), "udp4");
        KIT_EXPECT_TEXT(kit_text(held[1].reply, "network"), "unix");
        KIT_EXPECT_TEXT(kit_text(held[2].reply, "network"), "tcp4");
        for (int i = 0; i < 3; i++)
                kit_expect_served(held[i].fd);
        for (int i = 0; i < 3; i++)
                kit_drop(&held[i]);
        close(control);
        kit_stop(&kit);
}

/* As many as one likes at one address, and each knows its port; with port 0 each has another. */
Test(acquire, s1_7_one_address_many_times) {
        KitSocket held[3], other;
        int control;
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < 3; i++) {
                struct sockaddr_storage bound;

                held[i] = kit_acquire(control, "{'network':'tcp4','address':'%s'}",
                                      i == 0 ? "127.0.0.1:0" : kit_address(&held[0]));
                kit_bound_address(held[i].fd, &bound);
                cr_assert(eq(int, kit_port(&held[i]), ntohs(((struct sockaddr_in *)&bound)->sin_port)));
                cr_assert(eq(int, kit_port(&held[i]), kit_port(&held[0])));
        }
        other = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        cr_assert(ne(int, kit_port(&other), kit_port(&held[0])));
        kit_release(control, &other);
        for (size_t i = 0; i < 3; i++)
                kit_release(control, &held[i]);
        close(control);
        kit_stop(&kit);
}

/* What a client sets once its connections have. */
Test(acquire, s1_23_accepted_connections_have_the_options_of_their_listener) {
        struct linger linger = { 0 };
        socklen_t size = sizeof(linger);
        int control, client, accepted;
        KitSocket held;
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','options':{'lingerSec':0,"
                                    "'keepAlive':true,'keepAliveIdleSec':30,'noDelay':true}}");
        client = kit_connect(held.fd);
        kit_wait_readable(held.fd);
        accepted = accept(held.fd, NULL, NULL);
        cr_assert(ge(int, accepted, 0));
        cr_assert(zero(int, getsockopt(accepted, SOL_SOCKET, SO_LINGER, &linger, &size)));
        cr_assert(eq(int, linger.l_onoff, 1));
        cr_assert(zero(int, linger.l_linger));
        cr_assert(eq(int, kit_int_option(accepted, SOL_SOCKET, SO_KEEPALIVE), 1));
        cr_assert(eq(int, kit_int_option(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 30));
        cr_assert(eq(int, kit_int_option(accepted, IPPROTO_TCP, TCP_NODELAY), 1));
        cr_assert(eq(int, kit_int_option(accepted, SOL_SOCKET, SO_REUSEPORT), 1));
        close(accepted);
        close(client);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}
