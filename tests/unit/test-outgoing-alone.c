/* SPDX-License-Identifier: BSD-2-Clause */

/* Connections without a broker, or with one that has no Dial. */

#include "tests/unit/etc-kit.h"
#include "tests/unit/outgoing-kit.h"

TestSuite(outgoing_alone, .timeout = 30);

/* ---- without a broker ---- */

/* One that is older than this. */
Test(outgoing_alone, s1_16_broker_without_dial) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;
        Target target, absent;

        broker_start(&broker);
        target = kit_target();
        absent = kit_absent_target();
        broker_say(&broker, KIT_ANSWER_NOT_BUILT);
        cr_assert(zero(int,
                       kit_dial(&broker, "tcp", target.text, NULL, "lingerSec=0", &outgoing, &error)));
        kit_hear(&broker);
        cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
        kit_expect_served(&target, outgoing);
        reuse_outgoing_free(outgoing);
        broker_say(&broker, KIT_ANSWER_NOT_BUILT);
        cr_assert(eq(int, kit_dial(&broker, "tcp", absent.text, NULL, NULL, &outgoing, &error),
                     -ECONNREFUSED));
        kit_expect_error(error, -ECONNREFUSED, "before that: this broker does not have the method");
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_alone, s1_16_one_line_without_a_broker) {
        struct linger linger = { 0 };
        socklen_t size = sizeof(linger);
        reuse_error *error = NULL;
        Target target, absent;
        int n_fds, fd;

        n_fds = leaks_count_fds();
        setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1);
        target = kit_target();
        absent = kit_absent_target();
        fd = reuse_dial("tcp", target.text, NULL,
                        "lingerSec=0,keepAliveIdleSec=30,typeOfService=16,receiveBuffer=8192",
                        KIT_LONG_USEC, &error);
        cr_assert(ge(int, fd, 0), "%s", reuse_error_get_message(error));
        cr_assert(eq(ptr, error, NULL));
        cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size)));
        cr_assert(eq(int, linger.l_onoff, 1));
        cr_assert(zero(int, linger.l_linger));
        cr_assert(eq(int, kit_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30));
        cr_assert(eq(int, kit_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15));
        cr_assert(eq(int, kit_option(fd, IPPROTO_IP, IP_TOS), 16));
        cr_assert(eq(int, kit_option(fd, SOL_SOCKET, SO_RCVBUF), 2 * 8192));
        cr_assert(eq(int, kit_option(fd, IPPROTO_TCP, TCP_NODELAY), 1));
        close(fd);

        /* From an address without a port, too. */
        fd = reuse_dial("tcp", target.text, "127.0.0.2:0", NULL, KIT_LONG_USEC, NULL);
        cr_assert(ge(int, fd, 0));
        close(fd);

        cr_assert(eq(int, reuse_dial("tcp", absent.text, NULL, NULL, KIT_LONG_USEC, &error),
                     -ECONNREFUSED));
        kit_expect_error(error, -ECONNREFUSED, "before that: no broker at /nowhere");
        /* The port can only be had from it. */
        cr_assert(eq(int, reuse_dial("tcp", target.text, "127.0.0.1:7", NULL, KIT_LONG_USEC, &error),
                     -ENOENT));
        kit_expect_error(error, -ENOENT, "no broker at /nowhere");
        cr_assert(eq(int, reuse_dial("tcp", target.text, NULL, NULL, 0, &error), -ETIMEDOUT));
        kit_expect_error(error, -ETIMEDOUT, target.text);
        kit_target_end(&target);
        leaks_expect_fds(n_fds);
}

/* Those that this kernel has, with their own protocol; a TCP listener takes MPTCP, too. */
Test(outgoing_alone, networks_of_their_own_protocol) {
        static const struct {
                const char *network;
                int type, protocol;
        } rows[] = {
                { "tcp4", SOCK_STREAM, IPPROTO_TCP },
                { "mptcp", SOCK_STREAM, IPPROTO_MPTCP },
                { "udp", SOCK_DGRAM, IPPROTO_UDP },
                { "udplite4", SOCK_DGRAM, IPPROTO_UDPLITE },
        };
        int n_fds = leaks_count_fds();
        Target target = kit_target();

        setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                int fd = socket(AF_INET, rows[i].type | SOCK_CLOEXEC, rows[i].protocol);

                if (fd < 0)
                        continue;
                close(fd);
                fd = reuse_dial(rows[i].network, target.text, NULL, NULL, KIT_LONG_USEC, NULL);
                cr_assert(ge(int, fd, 0), "%s", rows[i].network);
                cr_assert(eq(int, kit_option(fd, SOL_SOCKET, SO_PROTOCOL), rows[i].protocol));
                if (rows[i].type == SOCK_STREAM)
                        cr_assert(eq(int, kit_option(fd, IPPROTO_TCP, TCP_NODELAY), 1));
                close(fd);
        }
        kit_target_end(&target);
        leaks_expect_fds(n_fds);
}

/* ---- names ---- */

Test(outgoing_alone, s3_21_all_addresses_of_a_host) {
        char text[64], services[64];
        reuse_error *error = NULL;
        Target target;
        int fd;

        target = kit_target();
        snprintf(services, sizeof(services), "ours %u/tcp\n", target.port);
        etc_kit_setup("127.0.0.3 several\n127.0.0.2 several\n127.0.0.1 several\n::1 several\n"
                      "127.0.0.1 here\n::1 six\n",
                      services);
        setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1);
        fd = reuse_dial("tcp", "several:ours", "here:0", NULL, KIT_LONG_USEC, &error);
        cr_assert(ge(int, fd, 0), "%s", reuse_error_get_message(error));
        close(fd);
        fd = reuse_dial("tcp4", "several:ours", NULL, NULL, KIT_LONG_USEC, NULL);
        cr_assert(ge(int, fd, 0));
        close(fd);
        fd = reuse_dial("tcp", "localhost:ours", NULL, NULL, KIT_LONG_USEC, NULL);
        cr_assert(ge(int, fd, 0));
        close(fd);

        cr_assert(eq(int, reuse_dial("tcp", "nobody:ours", NULL, NULL, KIT_LONG_USEC, &error), -ENXIO));
        kit_expect_error(error, -ENXIO, "no such host");
        cr_assert(eq(int, reuse_dial("tcp", "here:theirs", NULL, NULL, KIT_LONG_USEC, &error), -EINVAL));
        kit_expect_error(error, -EINVAL, "unknown port");
        cr_assert(eq(int, reuse_dial("tcp4", "six:1", NULL, NULL, KIT_LONG_USEC, &error), -EINVAL));
        kit_expect_error(error, -EINVAL, "no suitable address");
        cr_assert(eq(int, reuse_dial("tcp", "here:1", "nobody:0", NULL, KIT_LONG_USEC, &error), -ENXIO));
        kit_expect_error(error, -ENXIO, "no such host");
        /* The numbers, and not the names, are what could not be reached. */
        snprintf(text, sizeof(text), "here:%u", target.port);
        kit_target_end(&target);
        cr_assert(eq(int, reuse_dial("tcp", text, NULL, NULL, KIT_LONG_USEC, &error), -ECONNREFUSED));
        kit_expect_error(error, -ECONNREFUSED, "cannot connect to 127.0.0.1:");
}

/* What goes on in a loop must not wait for a name server. */
Test(outgoing_alone, no_names_in_a_loop) {
        reuse_outgoing *outgoing = NULL;
        Broker broker;

        broker_start(&broker);
        cr_assert(eq(int, kit_dial(&broker, "tcp", "host.example:80", NULL, NULL, &outgoing, NULL),
                     -EINVAL));
        cr_assert(eq(int, kit_dial(&broker, "tcp", "127.0.0.1:http", NULL, NULL, &outgoing, NULL),
                     -EINVAL));
        broker_expect_silence(&broker);
        broker_end(&broker);
}

Test(outgoing_alone, options_that_need_a_broker) {
        static const struct {
                const char *options;
                int number;
                const char *words;
        } rows[] = {
                { "backlog=5", -EOPNOTSUPP, "option backlog" },
                { "multicastGroups=224.0.0.1", -EOPNOTSUPP, "option multicastGroups" },
                { "raw=1:2:00", -EOPNOTSUPP, "option raw" },
                { "ipv6Only=yes", -EOPNOTSUPP, "option ipv6Only" },
                { "lingerSec=70000", -EINVAL, "option lingerSec" },
                { "priority=5000000000", -EINVAL, "option priority" },
                { "congestion=nonsense", -ENOENT, "option congestion" },
                { "bindToDevice=nowhere0", -ENODEV, "option bindToDevice" },
        };
        int n_fds = leaks_count_fds();
        Target target = kit_target();

        setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                reuse_error *error = NULL;

                cr_assert(
                        eq(int,
                           reuse_dial("tcp", target.text, NULL, rows[i].options, KIT_LONG_USEC, &error),
                           rows[i].number),
                        "row %zu: %s", i, reuse_error_get_message(error));
                kit_expect_error(error, rows[i].number, rows[i].words);
        }
        kit_target_end(&target);
        leaks_expect_fds(n_fds);
}

/* A socket of this program's own would be in another namespace than the one asked for. */
Test(outgoing_alone, no_other_network_namespace) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Target target = kit_target();
        Broker broker;

        setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1);
        cr_assert(
                lt(int,
                   reuse_dial("tcp", target.text, NULL, "networkNamespace=blue", KIT_LONG_USEC, &error),
                   0));
        kit_expect_error(error, -ENOENT, "/nowhere/at/all");
        error = NULL;
        broker_start(&broker);
        broker_say(&broker, KIT_ANSWER_NOT_BUILT);
        cr_assert(lt(
                int,
                kit_dial(&broker, "tcp", target.text, NULL, "networkNamespace=blue", &outgoing, &error),
                0));
        kit_expect_error(error, -ENOSYS, "this broker does not have the method");
        broker_end(&broker);
        kit_target_end(&target);
}

static int unix_listener(const char *network, int type, char *text, int backlog) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int n = snprintf(text, 64, "@reuse-test-%s-%d", network, (int)getpid());

        memcpy(&address.sun_path[1], text + 1, (size_t)n - 1);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address,
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n))));
        if (type != SOCK_DGRAM)
                cr_assert(zero(int, listen(fd, backlog)));
        return fd;
}

/* Whatever the broker is like, it is not asked. */
Test(outgoing_alone, unix_without_a_broker) {
        static const struct {
                const char *network;
                int type;
        } rows[] = { { "unix", SOCK_STREAM },
                     { "unixgram", SOCK_DGRAM },
                     { "unixpacket", SOCK_SEQPACKET } };
        Broker broker;

        broker_start(&broker);
        setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1);
        for (size_t i = 0; i < 3; i++) {
                reuse_outgoing *outgoing = NULL;
                reuse_error *error = NULL;
                char text[64];
                int fd, listener = unix_listener(rows[i].network, rows[i].type, text, 5);

                fd = reuse_dial(rows[i].network, text, NULL, "sendBuffer=8192", KIT_LONG_USEC, &error);
                cr_assert(ge(int, fd, 0), "%s: %s", text, reuse_error_get_message(error));
                cr_assert(eq(int, kit_option(fd, SOL_SOCKET, SO_SNDBUF), 2 * 8192));
                cr_assert(eq(int, kit_option(fd, SOL_SOCKET, SO_TYPE), rows[i].type));
                close(fd);
                cr_assert(zero(int,
                               kit_dial(&broker, rows[i].network, text, NULL, NULL, &outgoing, NULL)));
                expect_text(reuse_outgoing_get_remote_address(outgoing), text);
                cr_assert(eq(ptr, (void *)reuse_outgoing_get_local_address(outgoing), NULL));
                cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
                reuse_outgoing_free(outgoing);
                close(listener);
                cr_assert(eq(int, reuse_dial(rows[i].network, text, NULL, NULL, KIT_LONG_USEC, &error),
                             -ECONNREFUSED));
                kit_expect_error(error, -ECONNREFUSED, text);
        }
        broker_expect_silence(&broker);
        broker_end(&broker);
}

/* To the kernel a queue that is full is nothing to wait for; to us it is. */
Test(outgoing_alone, s1_19_unix_listener_without_room) {
        reuse_outgoing *outgoing[3] = { NULL };
        Told told[3] = { 0 };
        char text[64];
        Broker broker;
        int listener, first;

        broker_start(&broker);
        listener = unix_listener("unix", SOCK_STREAM, text, 0);
        for (size_t i = 0; i < 3; i++)
                cr_assert(zero(int, reuse_client_dial_async(broker.client, "unix", text, NULL, NULL,
                                                            i == 1 ? 4 * KIT_SHORT_USEC : KIT_LONG_USEC,
                                                            kit_told, &told[i], &outgoing[i], NULL)));
        cr_assert(zero(int, told[0].n));
        kit_run_until_told(broker.client, &told[0]);
        cr_assert(zero(int, told[0].number));
        kit_run_until_told(broker.client, &told[1]);
        cr_assert(eq(int, told[1].number, -ETIMEDOUT));
        cr_assert(zero(int, told[2].n));
        first = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        kit_run_until_told(broker.client, &told[2]);
        cr_assert(zero(int, told[2].number));
        close(first);
        close(listener);
        for (size_t i = 0; i < 3; i++)
                reuse_outgoing_free(outgoing[i]);
        broker_end(&broker);
}

/* A file for the answers of who is asked by datagram. */
Test(outgoing_alone, unix_from_a_name) {
        char text[64], expected[96], local[80];
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;
        int peer;

        broker_start(&broker);
        peer = unix_listener("unixgram", SOCK_DGRAM, text, 0);
        snprintf(local, sizeof(local), "%s/me", broker.folder);
        cr_assert(zero(int, kit_dial(&broker, "unixgram", text, local, NULL, &outgoing, NULL)));
        expect_text(reuse_outgoing_get_local_address(outgoing), local);
        snprintf(expected, sizeof(expected), "from %s", local);
        cr_assert(
                eq(int, reuse_dial("unixgram", text, local, NULL, KIT_LONG_USEC, &error), -EADDRINUSE));
        kit_expect_error(error, -EADDRINUSE, expected);
        unlink(local);
        reuse_outgoing_free(outgoing);
        close(peer);
        broker_end(&broker);
}

Test(outgoing_alone, vsock_without_a_broker) {
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        reuse_error *error = NULL;
        int r;

        if (fd < 0)
                cr_skip_test("this kernel has no vsock");
        close(fd);
        r = reuse_dial("vsock", "1:4294967290", NULL, NULL, KIT_LONG_USEC, &error);
        cr_assert(lt(int, r, 0));
        kit_expect_error(error, r, "cannot connect to 1:4294967290");
}
