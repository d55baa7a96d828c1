/* SPDX-License-Identifier: BSD-2-Clause */

/* Sockets of a broker that says what a test wants it to say, and what is done when they fail. */

#include "tests/unit/outgoing-kit.h"

TestSuite(outgoing_client, .timeout = 30);

/* ---- what is refused before anybody is asked ---- */

static const struct {
        const char *network, *remote, *local, *options;
        int number;
        const char *words;
} refused[] = {
        { NULL, "127.0.0.1:1", NULL, NULL, -EINVAL, "needed" },
        { "tcp", NULL, NULL, NULL, -EINVAL, "needed" },
        { "asd", "127.0.0.1:1", NULL, NULL, -EPROTONOSUPPORT, "\"asd\"" },
        { "ip4:icmp", "127.0.0.1", NULL, NULL, -EPROTONOSUPPORT, "ask for tcp" },
        { "", "127.0.0.1:1", NULL, NULL, -EPROTONOSUPPORT, "ask for tcp" },
        { "tcp", "", NULL, NULL, -EINVAL, "not valid" },
        { "tcp", "127.0.0.1", NULL, NULL, -EINVAL, "missing port" },
        { "tcp", "127.0.0.1:0", NULL, NULL, -EINVAL, "one port" },
        { "tcp", "127.0.0.1:1-2", NULL, NULL, -EINVAL, "one port" },
        { "tcp", "127.0.0.256:1", NULL, NULL, -EINVAL, "not valid" },
        { "tcp", "127.0.0.1:1", "127.0.0.1", NULL, -EINVAL, "local address" },
        { "tcp", "127.0.0.1:1", ":1-2", NULL, -EINVAL, "one port" },
        { "tcp", "127.0.0.1:1", "[::1]:5", NULL, -EINVAL, "two families" },
        { "tcp", "[::1]:1", "127.0.0.1:0", NULL, -EINVAL, "two families" },
        { "tcp4", "127.0.0.1:1", "[::1]:5", NULL, -EINVAL, "local address" },
        { "unix", "", NULL, NULL, -EINVAL, "absolute path" },
        { "vsock", "1", NULL, NULL, -EINVAL, "CID:PORT" },
        { "tcp", "127.0.0.1:1", NULL, "noDelay", -EINVAL, "key=value" },
        { "tcp", "127.0.0.1:1", NULL, "nodelay=yes", -EINVAL, "did you mean noDelay" },
        { "tcp", "127.0.0.1:1", NULL, "noDelay=2", -EINVAL, "neither" },
        /* Of sockets that are listened on, not options. */
        { "tcp", "127.0.0.1:1", NULL, "name=x", -EINVAL, "no option \"name\"" },
        { "tcp", "127.0.0.1:1", NULL, "sharing=group", -EINVAL, "no option \"sharing\"" },
        { "tcp", "127.0.0.1:1", NULL, "networkNamespac=a", -EINVAL, "did you mean networkNamespace" },
        /* The broker alone gets there, and knows the names there. */
        { "unix", "@x", NULL, "networkNamespace=a", -EOPNOTSUPP, "without the broker" },
        { "vsock", "1:2", NULL, "networkNamespace=a", -EOPNOTSUPP, "without the broker" },
        { "tcp", "[fe80::1%lo]:1", NULL, "networkNamespace=a", -EINVAL, "give its index" },
        { "tcp", "[fe80::1]:1", NULL, "networkNamespace=a", -EINVAL, "means nothing" },
};

Test(outgoing_client, wrong_arguments) {
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                reuse_outgoing *outgoing = NULL;
                reuse_error *error = NULL;

                cr_assert(eq(int,
                             kit_dial(&broker, refused[i].network, refused[i].remote, refused[i].local,
                                      refused[i].options, &outgoing, &error),
                             refused[i].number),
                          "row %zu", i);
                cr_assert(eq(ptr, outgoing, NULL));
                kit_expect_error(error, refused[i].number, refused[i].words);
                cr_assert(eq(int,
                             reuse_dial(refused[i].network, refused[i].remote, refused[i].local,
                                        refused[i].options, KIT_LONG_USEC, NULL),
                             refused[i].number));
        }
        cr_assert(eq(int, kit_dial(&broker, "tcp", ":1", NULL, NULL, NULL, NULL), -EINVAL));
        cr_assert(eq(int,
                     reuse_client_dial_async(broker.client, "tcp", ":1", NULL, NULL, 0, NULL, NULL, NULL,
                                             NULL),
                     -EINVAL));
        cr_assert(eq(int,
                     reuse_client_dial_async(NULL, "tcp", ":1", NULL, NULL, 0, NULL, NULL,
                                             &(reuse_outgoing *){ NULL }, NULL),
                     -EINVAL));
        cr_assert(eq(int, reuse_outgoing_cancel(NULL), -EINVAL));
        cr_assert(eq(int, reuse_outgoing_get_fd(NULL), -EINVAL));
        cr_assert(eq(int, reuse_outgoing_take_fd(NULL), -EINVAL));
        cr_assert(eq(int, reuse_outgoing_get_reused(NULL), -EINVAL));
        cr_assert(eq(ptr, (void *)reuse_outgoing_get_local_address(NULL), NULL));
        cr_assert(eq(ptr, (void *)reuse_outgoing_get_remote_address(NULL), NULL));
        cr_assert(eq(ptr, (void *)reuse_outgoing_get_error(NULL), NULL));
        cr_assert(eq(ptr, reuse_outgoing_free(NULL), NULL));
        broker_expect_silence(&broker);
        broker_end(&broker);
}

/* ---- what is no answer ---- */

static const struct {
        const char *what;
        const char *text; /* with the cookie of the socket in it */
        size_t n_fds;
        int expected;
} violations[] = {
        { "no descriptor", KIT_DIALLED("tcp4", "true"), 0, -EPROTO },
        { "two descriptors", KIT_DIALLED("tcp4", "true"), 2, -EPROTO },
        { "no fields", "{\"parameters\":{}}%.0" PRIu64, 1, -EPROTO },
        { "another number",
          "{\"parameters\":{\"socketFileDescriptor\":1,\"cookie\":\"%" PRIu64
          "\",\"network\":\"tcp4\",\"reused\":false}}",
          1, -EPROTO },
        { "a number below zero",
          "{\"parameters\":{\"socketFileDescriptor\":-1,\"cookie\":\"%" PRIu64
          "\",\"network\":\"tcp4\",\"reused\":false}}",
          1, -EPROTO },
        { "another cookie",
          "{\"parameters\":{\"socketFileDescriptor\":0,\"cookie\":\"1%" PRIu64
          "\",\"network\":\"tcp4\",\"reused\":false}}",
          1, -EBADMSG },
        { "no cookie",
          "{\"parameters\":{\"socketFileDescriptor\":0,\"cookie\":\"x%" PRIu64
          "\",\"network\":\"tcp4\",\"reused\":false}}",
          1, -EBADMSG },
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
Test(outgoing_client, violation_closes_everything) {
        for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
                reuse_outgoing *outgoing = NULL;
                reuse_error *error = NULL;
                Broker broker;
                char text[512];
                int fds[2];

                broker_start(&broker);
                open_sockets(fds, 2);
                snprintf(text, sizeof(text), violations[i].text, socket_cookie(fds[0]));
                broker_say_with(&broker, text, fds, violations[i].n_fds);
                close_sockets(fds, 2);
                cr_assert(eq(int, kit_dial(&broker, "tcp", "127.0.0.1:1", NULL, NULL, &outgoing, &error),
                             violations[i].expected),
                          "%s", violations[i].what);
                cr_assert(eq(ptr, outgoing, NULL));
                kit_expect_error(error, violations[i].expected, "");
                cr_assert(eq(int, kit_dial(&broker, "tcp", "127.0.0.1:1", NULL, NULL, &outgoing, NULL),
                             -ENOTCONN));
                broker_end(&broker);
        }
}
#pragma GCC diagnostic pop

/* A program that calls Dial itself gets no descriptor, and the connection stays as good as it was. */
Test(outgoing_client, descriptor_of_a_plain_call_is_closed) {
        char *parameters = NULL;
        Broker broker;

        broker_start(&broker);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, reuse_client_call(broker.client, "Dial", "{}", &parameters, NULL)));
        cr_assert(ne(ptr, strstr(parameters, "cookie"), NULL));
        free(parameters);
        broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL)));
        broker_end(&broker);
}

/* ---- connecting ---- */

Test(outgoing_client, s3_19_from_the_port_that_the_broker_chose) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        char expected[64];
        Broker broker;
        Target target;
        uint16_t port;
        int bound;

        broker_start(&broker);
        target = kit_target();
        bound = kit_bound(AF_INET, SOCK_STREAM, 0);
        port = kit_port(bound);
        kit_say_dialled(&broker, bound, true);
        cr_assert(zero(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, &error)), "%s",
                  reuse_error_get_message(error));
        cr_assert(eq(ptr, error, NULL));
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        cr_assert(eq(int, reuse_outgoing_get_reused(outgoing), 1));
        cr_assert(eq(ptr, (void *)reuse_outgoing_get_error(outgoing), NULL));
        snprintf(expected, sizeof(expected), "127.0.0.1:%u", port);
        expect_text(reuse_outgoing_get_local_address(outgoing), expected);
        expect_text(reuse_outgoing_get_remote_address(outgoing), target.text);
        cr_assert(eq(int, kit_port(reuse_outgoing_get_fd(outgoing)), port));
        kit_expect_served(&target, outgoing);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* The kernel may have connected it already: that is no failure. A socket that blocks is made not to. */
Test(outgoing_client, s3_19_connected_already) {
        struct sockaddr_storage address;
        reuse_outgoing *outgoing = NULL;
        Broker broker;
        Target target;
        int fd;

        broker_start(&broker);
        target = kit_target();
        fd = kit_unbound(AF_INET, SOCK_STREAM);
        cr_assert(zero(int, fcntl(fd, F_SETFL, 0)));
        cr_assert(zero(int, connect(fd, (struct sockaddr *)&address,
                                    kit_loopback(AF_INET, target.port, &address))));
        kit_say_dialled(&broker, fd, false);
        cr_assert(zero(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, NULL)));
        cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
        kit_expect_served(&target, outgoing);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* Datagram sockets come connected; one that does not is connected here. */
Test(outgoing_client, s3_19_datagrams) {
        for (int connected = 0; connected < 2; connected++) {
                struct sockaddr_storage address;
                reuse_outgoing *outgoing = NULL;
                char remote[64], byte;
                Broker broker;
                int fd, peer;

                broker_start(&broker);
                peer = kit_bound(AF_INET, SOCK_DGRAM, 0);
                snprintf(remote, sizeof(remote), "127.0.0.1:%u", kit_port(peer));
                fd = kit_bound(AF_INET, SOCK_DGRAM, 0);
                if (connected)
                        cr_assert(zero(int, connect(fd, (struct sockaddr *)&address,
                                                    kit_loopback(AF_INET, kit_port(peer), &address))));
                kit_say_dialled(&broker, fd, true);
                cr_assert(zero(int, kit_dial(&broker, "udp4", remote, NULL, NULL, &outgoing, NULL)));
                kit_expect_dial(&broker, "udp4", remote, NULL);
                cr_assert(eq(long, send(reuse_outgoing_get_fd(outgoing), "x", 1, 0), 1));
                cr_assert(eq(long, recv(peer, &byte, 1, 0), 1));
                close(peer);
                reuse_outgoing_free(outgoing);
                broker_end(&broker);
        }
}

Test(outgoing_client, s3_22_no_delay_and_keep_alive_unless_told_otherwise) {
        static const struct {
                const char *options;
                int no_delay, keep_alive, idle, interval;
        } rows[] = {
                { NULL, 1, 1, 15, 15 },
                { "", 1, 1, 15, 15 },
                { "receiveBuffer=4096", 1, 1, 15, 15 },
                { "noDelay=no", 0, 1, 15, 15 },
                { "keepAlive=no", 1, 0, 7200, 75 },
                { "keepAlive=yes", 1, 0, 15, 15 }, /* this broker sets nothing */
                { "keepAliveIdleSec=30", 1, 1, 7200, 15 },
                { "keepAliveIntervalSec=30", 1, 1, 15, 75 },
        };
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                reuse_outgoing *outgoing = NULL;
                int fd;

                kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
                cr_assert(zero(int, kit_dial(&broker, "tcp4", target.text, NULL, rows[i].options,
                                             &outgoing, NULL)));
                kit_hear(&broker);
                fd = reuse_outgoing_get_fd(outgoing);
                cr_assert(eq(int, kit_option(fd, IPPROTO_TCP, TCP_NODELAY), rows[i].no_delay), "row %zu",
                          i);
                cr_assert(eq(int, kit_option(fd, SOL_SOCKET, SO_KEEPALIVE), rows[i].keep_alive),
                          "row %zu", i);
                cr_assert(eq(int, kit_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), rows[i].idle), "row %zu",
                          i);
                cr_assert(eq(int, kit_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), rows[i].interval),
                          "row %zu", i);
                reuse_outgoing_free(outgoing);
        }
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_client, s1_20_no_linger_by_itself) {
        struct linger linger = { .l_onoff = 7 };
        socklen_t size = sizeof(linger);
        reuse_outgoing *outgoing = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, NULL)));
        cr_assert(zero(int, getsockopt(reuse_outgoing_get_fd(outgoing), SOL_SOCKET, SO_LINGER, &linger,
                                       &size)));
        cr_assert(zero(int, linger.l_onoff));
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* What go-libp2p asks for. */
Test(outgoing_client, s1_21_options_are_asked_for) {
        reuse_outgoing *outgoing = NULL;
        char expected[512];
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, reuse_client_dial(broker.client, "tcp", target.text, NULL,
                                              "lingerSec=0,keepAlive=yes,keepAliveIdleSec=30",
                                              REUSE_TIMEOUT_DEFAULT, &outgoing, NULL)));
        snprintf(expected, sizeof(expected),
                 "{\"method\":\"io.reuseportd.Dial\",\"parameters\":{\"network\":\"tcp\","
                 "\"remoteAddress\":\"%s\",\"options\":{\"keepAlive\":true,\"keepAliveIdleSec\":30,"
                 "\"lingerSec\":0}}}",
                 target.text);
        kit_expect(&broker, expected);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* Names of interfaces are the broker's to look up where the socket is all that must know them. */
Test(outgoing_client, a_network_namespace_is_asked_for) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, KIT_ANSWER_DENIED);
        cr_assert(eq(int,
                     reuse_client_dial(broker.client, "tcp", "[fe80::1%7]:80", "[fe80::2%eth0]:81",
                                       "networkNamespace=blue,lingerSec=0", REUSE_TIMEOUT_DEFAULT,
                                       &outgoing, &error),
                     -EACCES));
        kit_expect(&broker,
                   "{\"method\":\"io.reuseportd.Dial\",\"parameters\":{\"network\":\"tcp\","
                   "\"remoteAddress\":\"[fe80::1%7]:80\",\"localAddress\":\"[fe80::2%eth0]:81\","
                   "\"networkNamespace\":\"blue\",\"options\":{\"lingerSec\":0}}}");
        reuse_error_free(error);
        broker_end(&broker);
}

/* ---- another attempt ---- */

Test(outgoing_client, s1_16_after_an_answer_a_port_of_its_own) {
        reuse_outgoing *outgoing = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        broker_say(&broker, KIT_ANSWER_IN_USE);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, NULL)));
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        kit_expect_dial(&broker, "tcp", target.text, ":0");
        cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
        kit_expect_served(&target, outgoing);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* The same two ends have a connection already. */
Test(outgoing_client, s1_18_after_a_failure_of_connect) {
        struct sockaddr_storage address;
        reuse_outgoing *outgoing = NULL;
        Broker broker;
        Target target;
        int first;

        broker_start(&broker);
        target = kit_target();
        first = kit_bound(AF_INET, SOCK_STREAM, 0);
        (void)connect(first, (struct sockaddr *)&address, kit_loopback(AF_INET, target.port, &address));
        kit_say_dialled(&broker, kit_bound(AF_INET, SOCK_STREAM, kit_port(first)), true);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, NULL)));
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        kit_expect_dial(&broker, "tcp", target.text, ":0");
        cr_assert(zero(int, reuse_outgoing_get_reused(outgoing)));
        reuse_outgoing_free(outgoing);
        close(first);
        kit_target_end(&target);
        broker_end(&broker);
}

/* Nobody listens: nothing is gained by another port. */
Test(outgoing_client, s1_16_refused_is_final) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;
        Target target;
        char from[64];
        int fd;

        broker_start(&broker);
        target = kit_absent_target();
        fd = kit_bound(AF_INET, SOCK_STREAM, 0);
        snprintf(from, sizeof(from), "from 127.0.0.1:%u", kit_port(fd));
        kit_say_dialled(&broker, fd, true);
        cr_assert(eq(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, &error),
                     -ECONNREFUSED));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), target.text), NULL));
        kit_expect_error(error, -ECONNREFUSED, from);
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        broker_expect_silence(&broker);
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_client, s1_16_denied_is_final) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, KIT_ANSWER_DENIED);
        cr_assert(eq(int, kit_dial(&broker, "tcp", "127.0.0.1:1", NULL, NULL, &outgoing, &error),
                     -EACCES));
        expect_text(reuse_error_get_name(error), "io.reuseportd.PolicyDenied");
        cr_assert(ne(ptr, (void *)reuse_error_get_parameters(error), NULL));
        kit_expect_error(error, -EACCES, "no rule");
        kit_expect_dial(&broker, "tcp", "127.0.0.1:1", NULL);
        broker_expect_silence(&broker);
        broker_end(&broker);
}

Test(outgoing_client, s1_16_the_last_error_names_the_first) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_absent_target();
        broker_say(&broker, KIT_ANSWER_IN_USE);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(eq(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, &error),
                     -ECONNREFUSED));
        kit_expect_error(error, -ECONNREFUSED, "; before that: 127.0.0.1:1 is in use");
        broker_say(&broker, KIT_ANSWER_IN_USE);
        broker_say(&broker, KIT_ANSWER_DENIED);
        cr_assert(
                eq(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, &error), -EACCES));
        expect_text(reuse_error_get_name(error), "io.reuseportd.PolicyDenied");
        kit_expect_error(error, -EACCES, "; before that: 127.0.0.1:1 is in use");
        kit_target_end(&target);
        broker_end(&broker);
}

/* What the caller wants is not changed behind its back. */
Test(outgoing_client, s1_16_not_where_the_port_is_forced) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;

        broker_start(&broker);
        broker_say(&broker, KIT_ANSWER_IN_USE);
        cr_assert(eq(int,
                     kit_dial(&broker, "tcp", "127.0.0.1:1", "127.0.0.1:7", NULL, &outgoing, &error),
                     -EADDRINUSE));
        kit_expect_error(error, -EADDRINUSE, "127.0.0.1:1 is in use");
        kit_expect_dial(&broker, "tcp", "127.0.0.1:1", "127.0.0.1:7");
        broker_say(&broker, KIT_ANSWER_NOT_BUILT);
        cr_assert(eq(int,
                     kit_dial(&broker, "tcp", "127.0.0.1:1", "127.0.0.1:7", NULL, &outgoing, &error),
                     -ENOSYS));
        kit_expect_error(error, -ENOSYS, "does not have the method");
        kit_expect_dial(&broker, "tcp", "127.0.0.1:1", "127.0.0.1:7");
        broker_expect_silence(&broker);
        broker_end(&broker);
}

Test(outgoing_client, s1_17_any_port_is_asked_for_once) {
        static const char *const locals[] = { ":0", "127.0.0.1:0" };
        Broker broker;

        broker_start(&broker);
        for (size_t i = 0; i < 2; i++) {
                reuse_outgoing *outgoing = NULL;

                broker_say(&broker, KIT_ANSWER_IN_USE);
                cr_assert(eq(int,
                             kit_dial(&broker, "tcp", "127.0.0.1:1", locals[i], NULL, &outgoing, NULL),
                             -EADDRINUSE));
                kit_expect_dial(&broker, "tcp", "127.0.0.1:1", locals[i]);
                broker_expect_silence(&broker);
        }
        broker_end(&broker);
}

/* ---- to oneself ---- */

/* Bound to the port of @target: connected to that, it is connected to itself. */
static void say_self(Broker *broker, const Target *target) {
        kit_say_dialled(broker, kit_bound(AF_INET, SOCK_STREAM, target->port), true);
}

Test(outgoing_client, s1_24_connection_to_itself_is_closed) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        say_self(&broker, &target);
        cr_assert(eq(int, kit_dial(&broker, "tcp", target.text, target.text, NULL, &outgoing, &error),
                     -ELOOP));
        kit_expect_error(error, -ELOOP, "is to itself");
        kit_expect_dial(&broker, "tcp", target.text, target.text);
        broker_expect_silence(&broker);
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_client, s3_20_then_a_port_of_its_own) {
        reuse_outgoing *outgoing = NULL;
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        say_self(&broker, &target);
        say_self(&broker, &target);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, kit_dial(&broker, "tcp", target.text, NULL, NULL, &outgoing, NULL)));
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        kit_expect_dial(&broker, "tcp", target.text, ":0");
        kit_expect_dial(&broker, "tcp", target.text, ":0");
        kit_expect_served(&target, outgoing);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_client, s3_20_no_more_than_twice) {
        static const char *const locals[] = { NULL, ":0", "127.0.0.1:0" };
        Broker broker;
        Target target;

        broker_start(&broker);
        target = kit_target();
        for (size_t i = 0; i < 3; i++) {
                reuse_outgoing *outgoing = NULL;
                reuse_error *error = NULL;

                for (int n = 0; n < 3; n++)
                        say_self(&broker, &target);
                cr_assert(eq(int,
                             kit_dial(&broker, "tcp", target.text, locals[i], NULL, &outgoing, &error),
                             -ELOOP));
                kit_expect_error(error, -ELOOP, "before that");
                kit_expect_dial(&broker, "tcp", target.text, locals[i]);
                for (int n = 0; n < 2; n++)
                        kit_expect_dial(&broker, "tcp", target.text, locals[i] ?: ":0");
                broker_expect_silence(&broker);
        }
        kit_target_end(&target);
        broker_end(&broker);
}
