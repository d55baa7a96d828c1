/* SPDX-License-Identifier: BSD-2-Clause */

/* A destination of several addresses: who comes first, for how long, and whose error is told. */

#include "client-lib/outgoing.h"
#include "tests/unit/outgoing-kit.h"

TestSuite(outgoing_lanes, .timeout = 30);

static reuse_outgoing *begin(Broker *broker, const char *network, const char *const *remotes, size_t n,
                             const char *local, uint64_t usec, Told *told) {
        OutgoingQuestion question = {
                .network = network,
                .remotes = remotes,
                .n_remotes = n,
                .local = local,
                .timeout = usec,
                .handler = kit_told,
                .userdata = told,
        };
        reuse_outgoing *outgoing = NULL;

        cr_assert(zero(int, outgoing_new(&question, &outgoing, NULL)));
        outgoing_begin(outgoing, broker->client);
        return outgoing;
}

/* This host has ::1. */
static bool has_ipv6(void) {
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage address;
        bool has = fd >= 0 &&
                   bind(fd, (struct sockaddr *)&address, kit_loopback(AF_INET6, 0, &address)) == 0;

        fd_close(fd);
        return has;
}

Test(outgoing_lanes, s3_21_one_after_the_other) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target absent[2], target;

        broker_start(&broker);
        absent[0] = kit_absent_target();
        absent[1] = kit_absent_target();
        target = kit_target();
        outgoing = begin(&broker, "tcp", (const char *[]){ absent[0].text, absent[1].text, target.text },
                         3, NULL, KIT_LONG_USEC, &told);
        for (int i = 0; i < 3; i++)
                kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        expect_text(reuse_outgoing_get_remote_address(outgoing), target.text);
        kit_expect_dial(&broker, "tcp", absent[0].text, NULL);
        kit_expect_dial(&broker, "tcp", absent[1].text, NULL);
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_lanes, s3_21_the_first_error_is_told) {
        static const char in_use[] = "{\"error\":\"io.reuseportd.PolicyDenied\",\"parameters\":"
                                     "{\"reason\":\"no rule\"}}";
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target absent;

        broker_start(&broker);
        absent = kit_absent_target();
        outgoing = begin(&broker, "tcp", (const char *[]){ absent.text, "127.0.0.1:1" }, 2, NULL,
                         KIT_LONG_USEC, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        broker_say(&broker, in_use);
        kit_run_until_told(broker.client, &told);
        cr_assert(eq(int, told.number, -ECONNREFUSED));
        cr_assert(ne(ptr,
                     strstr(reuse_error_get_message(reuse_outgoing_get_error(outgoing)), absent.text),
                     NULL));
        reuse_outgoing_free(outgoing);
        broker_end(&broker);
}

/* The time is divided, but each has 2 s at least: of 3, the second has one. */
Test(outgoing_lanes, s3_21_each_has_its_share) {
        uint64_t start, due;
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target silent, target;

        broker_start(&broker);
        silent = kit_silent_target(AF_INET);
        target = kit_target();
        start = client_now();
        outgoing = begin(&broker, "tcp4", (const char *[]){ silent.text, target.text }, 2, NULL,
                         3 * OUTGOING_SHARE_MIN_USEC / 2, &told);
        due = reuse_client_get_timeout(broker.client);
        cr_assert(ge(u64, due, start + OUTGOING_SHARE_MIN_USEC));
        cr_assert(lt(u64, due, start + 3 * OUTGOING_SHARE_MIN_USEC / 2));
        kit_expect_dial(&broker, "tcp4", silent.text, NULL);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, kit_run(&broker)));
        kit_expect_dial(&broker, "tcp4", target.text, NULL);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        cr_assert(ge(u64, client_now(), start + OUTGOING_SHARE_MIN_USEC));
        expect_text(reuse_outgoing_get_remote_address(outgoing), target.text);
        reuse_outgoing_free(outgoing);
        kit_target_end(&silent);
        kit_target_end(&target);
        broker_end(&broker);
}

Test(outgoing_lanes, s3_21_the_other_family_waits) {
        uint64_t start, due;
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target silent, target;

        if (!has_ipv6())
                cr_skip_test("this host has no IPv6");
        broker_start(&broker);
        silent = kit_silent_target(AF_INET6);
        target = kit_target();
        start = client_now();
        outgoing = begin(&broker, "tcp", (const char *[]){ silent.text, target.text }, 2, NULL,
                         KIT_LONG_USEC, &told);
        due = reuse_client_get_timeout(broker.client);
        cr_assert(ge(u64, due, start + OUTGOING_HEAD_START_USEC));
        cr_assert(lt(u64, due, start + OUTGOING_SHARE_MIN_USEC));
        kit_expect_dial(&broker, "tcp", silent.text, NULL);
        kit_say_dialled(&broker, kit_unbound(AF_INET6, SOCK_STREAM), false);
        cr_assert(zero(int, kit_run(&broker)));
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        cr_assert(ge(u64, client_now(), start + OUTGOING_HEAD_START_USEC));
        expect_text(reuse_outgoing_get_remote_address(outgoing), target.text);
        reuse_outgoing_free(outgoing);
        kit_target_end(&silent);
        kit_target_end(&target);
        broker_end(&broker);
}

/* Unless the first has failed. */
Test(outgoing_lanes, s3_21_the_other_family_does_not_wait_for_nobody) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target target;
        char absent[64];

        if (!has_ipv6())
                cr_skip_test("this host has no IPv6");
        broker_start(&broker);
        target = kit_target_of(AF_INET6, 1);
        strcpy(absent, target.text);
        kit_target_end(&target);
        target = kit_target();
        outgoing = begin(&broker, "tcp", (const char *[]){ absent, target.text }, 2, NULL, KIT_LONG_USEC,
                         &told);
        kit_expect_dial(&broker, "tcp", absent, NULL);
        kit_say_dialled(&broker, kit_unbound(AF_INET6, SOCK_STREAM), false);
        /* Nothing is waited for. */
        cr_assert(zero(int, client_settle(broker.client)));
        kit_expect_dial(&broker, "tcp", target.text, NULL);
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        expect_text(reuse_outgoing_get_remote_address(outgoing), target.text);
        reuse_outgoing_free(outgoing);
        kit_target_end(&target);
        broker_end(&broker);
}

/* The family that comes first wins after all, and the other is given up with its call. */
Test(outgoing_lanes, s3_21_one_wins_the_other_is_dropped) {
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;
        Target silent;
        int first;

        if (!has_ipv6())
                cr_skip_test("this host has no IPv6");
        broker_start(&broker);
        silent = kit_silent_target(AF_INET6);
        outgoing = begin(&broker, "tcp", (const char *[]){ silent.text, "127.0.0.1:1" }, 2, NULL,
                         KIT_LONG_USEC, &told);
        kit_say_dialled(&broker, kit_unbound(AF_INET6, SOCK_STREAM), false);
        kit_expect_dial(&broker, "tcp", silent.text, NULL);
        while (poll(&(struct pollfd){ .fd = broker.peer, .events = POLLIN }, 1, 0) == 0)
                if (reuse_client_process(broker.client) == 0)
                        (void)reuse_client_wait(broker.client, REUSE_TIMEOUT_INFINITE);
        kit_expect_dial(&broker, "tcp", "127.0.0.1:1", NULL);
        first = kit_target_accept(&silent);
        kit_run_until_told(broker.client, &told);
        cr_assert(zero(int, told.number));
        expect_text(reuse_outgoing_get_remote_address(outgoing), silent.text);
        /* Its answer is nobody's. */
        kit_say_dialled(&broker, kit_unbound(AF_INET, SOCK_STREAM), false);
        cr_assert(zero(int, client_settle(broker.client)));
        close(first);
        reuse_outgoing_free(outgoing);
        kit_target_end(&silent);
        broker_end(&broker);
}

/* Where the network has one family, or the program says where to connect from. */
Test(outgoing_lanes, s3_21_this_end_chooses_the_family) {
        static const char *const remotes[] = { "[::1]:1", "127.0.0.1:1", "[::1]:2" };
        reuse_outgoing *outgoing;
        Told told = { 0 };
        Broker broker;

        broker_start(&broker);
        outgoing = begin(&broker, "tcp", remotes, 3, "127.0.0.1:0", KIT_LONG_USEC, &told);
        kit_expect_dial(&broker, "tcp", "127.0.0.1:1", "127.0.0.1:0");
        cr_assert(eq(sz, outgoing->n_lanes, 1));
        cr_assert(eq(sz, outgoing->n_remotes, 1));
        reuse_outgoing_free(outgoing);
        outgoing = begin(&broker, "tcp", remotes, 3, "[::1]:0", KIT_LONG_USEC, &told);
        kit_expect_dial(&broker, "tcp", "[::1]:1", "[::1]:0");
        cr_assert(eq(sz, outgoing->n_lanes, 1));
        cr_assert(eq(sz, outgoing->n_remotes, 2));
        reuse_outgoing_free(outgoing);
        outgoing = begin(&broker, "tcp", remotes, 3, ":0", KIT_LONG_USEC, &told);
        cr_assert(eq(sz, outgoing->n_lanes, 2));
        cr_assert(eq(sz, outgoing->n_remotes, 3));
        reuse_outgoing_free(outgoing);
        /* Datagrams are not raced: none would tell who wins. */
        outgoing = begin(&broker, "udp", remotes, 3, NULL, KIT_LONG_USEC, &told);
        cr_assert(eq(sz, outgoing->n_lanes, 1));
        reuse_outgoing_free(outgoing);
        broker_end(&broker);
}

Test(outgoing_lanes, too_many_addresses) {
        const char *remotes[OUTGOING_REMOTES_MAX + 1];
        OutgoingQuestion question = { .network = "tcp", .remotes = remotes };
        reuse_outgoing *outgoing = NULL;
        int n_fds = leaks_count_fds();

        for (size_t i = 0; i <= OUTGOING_REMOTES_MAX; i++)
                remotes[i] = "127.0.0.1:1";
        cr_assert(eq(int, outgoing_new(&question, &outgoing, NULL), -EINVAL));
        question.n_remotes = OUTGOING_REMOTES_MAX + 1;
        cr_assert(eq(int, outgoing_new(&question, &outgoing, NULL), -EINVAL));
        question.n_remotes = OUTGOING_REMOTES_MAX;
        remotes[OUTGOING_REMOTES_MAX - 1] = "127.0.0.1";
        cr_assert(eq(int, outgoing_new(&question, &outgoing, NULL), -EINVAL));
        remotes[OUTGOING_REMOTES_MAX - 1] = "127.0.0.1:2";
        cr_assert(zero(int, outgoing_new(&question, &outgoing, NULL)));
        reuse_outgoing_free(outgoing);
        leaks_expect_fds(n_fds);
}
