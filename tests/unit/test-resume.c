/* SPDX-License-Identifier: BSD-2-Clause */

/* What a client that comes back says of its leases, and what it makes of the answers. */

#include "tests/unit/reconnect-kit.h"

TestSuite(resume, .timeout = 30);

enum {
        MANY = 1280,
};

#define ACQUIRE(socket)                                                                                 \
        "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{" socket "}]}}"
#define AT_8080 "\"network\":\"tcp4\",\"address\":\"127.0.0.1:8080\""

/* ---- answers that are none ---- */

static const char *const violations[] = {
        "{\"parameters\":{}}",
        "{\"parameters\":{\"resumed\":[\"l0\"]}}",
        "{\"parameters\":{\"resumed\":\"l0\",\"lost\":[]}}",
        "{\"parameters\":{\"resumed\":[1],\"lost\":[]}}",
        "{\"parameters\":{\"resumed\":[\"l1\"],\"lost\":[]}}",
        "{\"parameters\":{\"resumed\":[],\"lost\":[\"l0\",\"l1\"]}}",
        "{\"parameters\":{\"resumed\":[\"l0\",\"l0\"],\"lost\":[]}}",
        "{\"parameters\":{\"resumed\":[\"l0\"],\"lost\":[\"l0\"]}}",
        "{\"parameters\":{\"resumed\":[\"l0\"],\"lost\":[]},\"continues\":true}",
        "[]",
};

Test(resume, violation_ends_the_connection) {
        for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
                char seen[256] = "";
                Notices notices;
                Broker broker;

                kit_start(&broker, &notices);
                cr_assert(zero(int,
                               reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
                kit_come_back(&broker);
                kit_expect_resume(&broker);
                broker_say(&broker, violations[i]);
                cr_assert(eq(int, client_settle(broker.client), -EPROTO), "%s", violations[i]);
                expect_text(seen, "-71");
                cr_assert(eq(int, reuse_client_process(broker.client), -ENOTCONN));
                expect_text(notices.text, "lost");
                kit_end(&broker, &notices);
        }
}

Test(resume, descriptor_with_the_answer) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_come_back(&broker);
        kit_expect_resume(&broker);
        broker_say_with(&broker, KIT_RESUMED("l0"), &broker.listener, 1);
        cr_assert(eq(int, client_settle(broker.client), -EPROTO));
        kit_end(&broker, &notices);
}

Test(resume, socket_anew_that_is_none) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_resume(&broker, KIT_LOST("l0"));
        broker_say(&broker, "{\"parameters\":{\"sockets\":[]}}");
        cr_assert(eq(int, client_settle(broker.client), -EPROTO));
        kit_end(&broker, &notices);
}

/* ---- what is lost ---- */

static const char *const losses[] = {
        KIT_LOST("l0"),
        "{\"parameters\":{\"resumed\":[],\"lost\":[]}}",
        "{\"error\":\"org.varlink.service.MethodNotImplemented\",\"parameters\":{\"method\":\"m\"}}",
        "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"m\"}}",
        "{\"error\":\"io.reuseportd.PolicyDenied\",\"parameters\":{\"reason\":\"no\"}}",
};

Test(resume, loss_without_a_handler_ends_the_connection) {
        for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
                char seen[256] = "";
                Broker broker;

                broker_start(&broker);
                kit_hold(&broker);
                cr_assert(zero(int,
                               reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
                kit_come_back(&broker);
                kit_expect_resume(&broker);
                broker_say(&broker, losses[i]);
                cr_assert(eq(int, client_settle(broker.client), -ECONNRESET), "%s", losses[i]);
                expect_text(seen, "-104");
                broker_end(&broker);
        }
}

static const struct {
        const char *said, *told;
} refusals[] = {
        { "{\"error\":\"io.reuseportd.PolicyDenied\",\"parameters\":{\"reason\":\"no\"}}",
          "lost gone:l0=EACCES back" },
        { "{\"error\":\"io.reuseportd.AddressInUse\",\"parameters\":{\"address\":\"127.0.0.1:8080\","
          "\"holder\":{\"uid\":0,\"gid\":0,\"pid\":1,\"sinceUsec\":1}}}",
          "lost gone:l0=EADDRINUSE back" },
        { "{\"error\":\"io.reuseportd.AddressInUse\"}", "lost gone:l0=EADDRINUSE back" },
        { "{\"error\":\"org.example.Unknown\"}", "lost gone:l0=EREMOTEIO back" },
};

Test(resume, socket_anew_is_refused) {
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
                Notices notices;
                Broker broker;

                kit_start(&broker, &notices);
                kit_resume(&broker, losses[i]);
                kit_expect(&broker, ACQUIRE(AT_8080));
                kit_answer(&broker, refusals[i].said);
                expect_text(notices.text, refusals[i].told);
                /* Nothing is held any more. */
                broker_hang_up(&broker);
                cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
                kit_end(&broker, &notices);
        }
}

/* That is a limit of leases, which does not pass by itself. */
Test(resume, socket_anew_is_over_a_limit) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_resume(&broker, KIT_LOST("l0"));
        kit_hear(&broker);
        kit_answer(&broker, "{\"error\":\"io.reuseportd.QuotaExceeded\",\"parameters\":{\"resource\":"
                            "\"leases\",\"limit\":4}}");
        expect_text(notices.text, "lost gone:l0=EDQUOT back");
        kit_end(&broker, &notices);
}

Test(resume, what_was_asked_for_is_not_known) {
        Notices notices;
        Broker broker;
        int fd;

        kit_start(&broker, &notices);
        open_sockets(&fd, 1);
        cr_assert(zero(
                int, reuse_client_call_async(broker.client, "Acquire", "{\"later\":1}", 0, NULL, NULL)));
        kit_hear(&broker);
        kit_say_acquired(&broker, (const char *const[]){ "l7" }, 1, fd);
        close(fd);
        cr_assert(zero(int, client_settle(broker.client)));
        kit_resume(&broker, "{\"parameters\":{\"resumed\":[\"l0\"],\"lost\":[\"l7\"]}}");
        expect_text(notices.text, "lost resumed:l0 gone:l7=ENOENT back");
        kit_end(&broker, &notices);
}

#define IN_USE                                                                                          \
        "{\"error\":\"io.reuseportd.AddressInUse\",\"parameters\":{\"address\":\"127.0.0.1:8080\"}}"

/* The program is asked once to close the old one. */
Test(resume, old_socket_stays_in_the_way) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_come_back(&broker);
        kit_expect_resume(&broker);
        broker_say(&broker, KIT_LOST("l0"));
        for (int i = 0; i < 2; i++) {
                cr_assert(zero(int, client_settle(broker.client)));
                kit_expect(&broker, ACQUIRE(AT_8080));
                broker_say(&broker, IN_USE);
        }
        cr_assert(zero(int, client_settle(broker.client)));
        broker_expect_silence(&broker);
        expect_text(notices.text, "lost close:l0 gone:l0=EADDRINUSE back");
        kit_end(&broker, &notices);
}

/* ---- what is acquired anew ---- */

Test(resume, old_socket_was_in_the_way) {
        Notices notices;
        Broker broker;
        int fd;

        kit_start(&broker, &notices);
        open_sockets(&fd, 1);
        kit_resume(&broker, KIT_LOST("l0"));
        kit_expect(&broker, ACQUIRE(AT_8080));
        kit_answer(&broker, IN_USE);
        expect_text(notices.text, "lost close:l0");
        kit_expect(&broker, ACQUIRE(AT_8080));
        kit_say_acquired(&broker, (const char *const[]){ "l5" }, 1, fd);
        close(fd);
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(notices.text, "lost close:l0 replaced:l0 back");
        kit_end(&broker, &notices);
}

Test(resume, socket_anew) {
        Notices notices;
        Broker broker;
        int fd;

        kit_start(&broker, &notices);
        open_sockets(&fd, 1);
        kit_resume(&broker, KIT_LOST("l0"));
        kit_expect(&broker, ACQUIRE(AT_8080));
        kit_say_acquired(&broker, (const char *const[]){ "l5" }, 1, fd);
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(notices.text, "lost replaced:l0 back");
        expect_text(reuse_sockets_get_lease(notices.taken, 0), "l5");
        cr_assert(eq(u64, socket_cookie(reuse_sockets_get_fd(notices.taken, 0)), socket_cookie(fd)));
        broker_expect_silence(&broker);

        /* It is held like the first. */
        notices.text[0] = '\0';
        kit_come_back(&broker);
        cr_assert(ne(ptr, strstr(kit_hear(&broker), "[{\"lease\":\"l5\",\"cookie\":"), NULL));
        kit_answer(&broker, KIT_LOST("l5"));
        kit_expect(&broker, ACQUIRE(AT_8080));
        kit_say_acquired(&broker, (const char *const[]){ "l5" }, 1, fd);
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(notices.text, "lost replaced:l5 back");
        close(fd);
        kit_end(&broker, &notices);
}

Test(resume, socket_anew_that_nobody_takes) {
        Notices notices;
        Broker broker;
        int fd;

        kit_start(&broker, &notices);
        notices.leaves = true;
        open_sockets(&fd, 1);
        kit_resume(&broker, KIT_LOST("l0"));
        kit_expect(&broker, ACQUIRE(AT_8080));
        kit_say_acquired(&broker, (const char *const[]){ "l5" }, 1, fd);
        close(fd);
        cr_assert(zero(int, client_settle(broker.client)));
        kit_expect(&broker,
                   "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"l5\"]}}");
        kit_answer(&broker, "{}");
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        kit_end(&broker, &notices);
}

Test(resume, hang_up_before_the_socket_anew) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_resume(&broker, KIT_LOST("l0"));
        kit_expect(&broker, ACQUIRE(AT_8080));
        broker_hang_up(&broker);
        kit_await(&broker);
        kit_answer_resume(&broker, KIT_RESUMED("l0"));
        expect_text(notices.text, "lost resumed:l0 back");
        kit_end(&broker, &notices);
}

/* What was said of a socket after it was acquired is part of what is asked for. */
Test(resume, socket_anew_is_as_the_old_one_was) {
        static const char *const ready[] = { "l1" }, *const draining[] = { "l2" };
        reuse_request *request;
        Notices notices;
        Broker broker;
        int fd;

        kit_start(&broker, &notices);
        cr_assert(zero(int, reuse_request_new(&request)));
        for (int i = 0; i < 3; i++)
                cr_assert(eq(int,
                             reuse_request_add_spec(
                                     request, "tcp:127.0.0.1:0,standby=yes,weight=10,backlog=7", NULL),
                             i));
        cr_assert(zero(int, reuse_request_set_lifetime(request, "process")));
        kit_hold_request(&broker, request, (const char *const[]){ "l1", "l2", "l3" }, 3);
        for (int i = 0; i < 3; i++)
                broker_say(&broker, "{}");
        cr_assert(zero(int, reuse_client_ready(broker.client, ready, 1, NULL)));
        cr_assert(zero(int, reuse_client_set_weight(broker.client, ready, 1, 3, NULL)));
        cr_assert(zero(int, reuse_client_drain(broker.client, draining, 1, NULL)));

        open_sockets(&fd, 1);
        kit_resume(&broker, KIT_RESUMED("l0"));
        cr_assert(ne(ptr, strstr(kit_hear(&broker), "\"lifetime\":\"process\""), NULL));
        kit_answer(&broker, "{\"parameters\":{\"resumed\":[],\"lost\":[\"l1\",\"l2\",\"l3\"]}}");
        kit_expect(&broker,
                   "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{" AT_8080
                   ",\"weight\":3,\"options\":{\"backlog\":7}}],\"lifetime\":\"process\"}}");
        kit_say_acquired(&broker, (const char *const[]){ "l5" }, 1, fd);
        cr_assert(zero(int, client_settle(broker.client)));
        kit_expect(&broker,
                   "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{" AT_8080
                   ",\"weight\":10,\"standby\":true,\"options\":{\"backlog\":7}}],"
                   "\"lifetime\":\"process\"}}");
        kit_say_acquired(&broker, (const char *const[]){ "l6" }, 1, fd);
        close(fd);
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(notices.text, "lost resumed:l0 replaced:l1 gone:l2=ENOENT replaced:l3 back");
        kit_end(&broker, &notices);
}

/* ---- what is held ---- */

Test(resume, process_and_connection_apart) {
        reuse_request *request = request_of(1);
        Notices notices;
        const char *heard;
        Broker broker;

        kit_start(&broker, &notices);
        cr_assert(zero(int, reuse_request_set_lifetime(request, "process")));
        kit_hold_request(&broker, request, (const char *const[]){ "l1" }, 1);
        kit_hold_request(&broker, request_of(1), (const char *const[]){ "l2" }, 1);
        kit_come_back(&broker);
        heard = kit_hear(&broker);
        cr_assert(ne(ptr, strstr(heard, "\"l0\""), NULL));
        cr_assert(ne(ptr, strstr(heard, "\"l2\""), NULL));
        cr_assert(eq(ptr, strstr(heard, "lifetime"), NULL));
        broker_expect_silence(&broker);
        kit_answer(&broker, "{\"parameters\":{\"resumed\":[\"l2\",\"l0\"],\"lost\":[]}}");
        heard = kit_hear(&broker);
        cr_assert(ne(ptr, strstr(heard, "[{\"lease\":\"l1\","), NULL), "%s", heard);
        cr_assert(ne(ptr, strstr(heard, "}],\"lifetime\":\"process\""), NULL), "%s", heard);
        kit_answer(&broker, KIT_RESUMED("l1"));
        expect_text(notices.text, "lost resumed:l2 resumed:l0 resumed:l1 back");
        kit_end(&broker, &notices);
}

Test(resume, released_is_forgotten) {
        Notices notices;
        Broker broker;
        const char *heard;

        kit_start(&broker, &notices);
        kit_hold_request(&broker, request_of(4), (const char *const[]){ "l1", "l2", "l3", "l4" }, 4);
        broker_say(&broker, "{}");
        cr_assert(
                zero(int, reuse_client_release(broker.client,
                                               (const char *const[]){ "l1", "l0", "other" }, 3, NULL)));
        broker_say(&broker, "{}");
        cr_assert(zero(
                int, reuse_client_call(broker.client, "Release", "{\"leases\":[\"l2\"]}", NULL, NULL)));
        /* All or none: this was none. */
        broker_say(&broker,
                   "{\"error\":\"io.reuseportd.NoSuchLease\",\"parameters\":{\"lease\":\"x\"}}");
        cr_assert(eq(int,
                     reuse_client_release(broker.client, (const char *const[]){ "l3", "x" }, 2, NULL),
                     -ENOENT));
        kit_come_back(&broker);
        heard = kit_hear(&broker);
        for (int i = 0; i < 5; i++) {
                char lease[8];

                snprintf(lease, sizeof(lease), "\"l%d\"", i);
                cr_assert(eq(int, strstr(heard, lease) != NULL, i >= 3), "%s", heard);
        }
        kit_end(&broker, &notices);
}

/* Whether it was done, nobody knows: what is lost is what was to be released. */
Test(resume, release_under_way) {
        char seen[256] = "";
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        kit_hold_request(&broker, request_of(2), (const char *const[]){ "l1", "l2" }, 2);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Release",
                                                    "{\"leases\":[\"l0\",\"l1\",\"other\"]}", 0, kit_see,
                                                    seen)));
        kit_hear(&broker);
        kit_resume(&broker, "{\"parameters\":{\"resumed\":[\"l1\",\"l2\"],\"lost\":[\"l0\"]}}");
        kit_expect(&broker, "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"l1\","
                            "\"other\"]}}");
        kit_answer(&broker, "{}");
        expect_text(seen, "0");
        expect_text(notices.text, "lost resumed:l1 resumed:l2 back");
        kit_end(&broker, &notices);
}

Test(resume, release_under_way_was_done) {
        char seen[256] = "";
        Broker broker;

        broker_start(&broker);
        kit_hold(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Release", "{\"leases\":[\"l0\"]}", 0,
                                                    kit_see, seen)));
        kit_hear(&broker);
        kit_resume(&broker, KIT_LOST("l0"));
        kit_expect(&broker, "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[]}}");
        kit_answer(&broker, "{}");
        expect_text(seen, "0");
        broker_end(&broker);
}

/* ---- many ---- */

/* Holds @n leases, each called @prefix and a number. */
static void hold_many(Broker *broker, const char *prefix, size_t n) {
        static char names[64][300];
        const char *leases[64];

        for (size_t i = 0; i < n; i += 64) {
                for (size_t j = 0; j < 64; j++) {
                        snprintf(names[j], sizeof(names[j]), "%s%zu", prefix, i + j);
                        leases[j] = names[j];
                }
                kit_hold_request(broker, request_of(64), leases, 64);
        }
}

/* Answers one Resume: everything in it goes on. Returns how many leases that were. */
static size_t resume_all(Broker *broker) {
        static char reply[KIT_TEXT_MAX];
        const char *p = kit_hear(broker);
        size_t n = 0, at;

        cr_assert(le(sz, strlen(p) + 1, 64 * 1024));
        at = (size_t)snprintf(reply, sizeof(reply), "{\"parameters\":{\"lost\":[],\"resumed\":[");
        for (; (p = strstr(p, "{\"lease\":\"")); n++) {
                p += strlen("{\"lease\":");
                at += (size_t)snprintf(reply + at, sizeof(reply) - at, "%s%.*s", n > 0 ? "," : "",
                                       (int)(strchr(p, ',') - p), p);
        }
        snprintf(reply + at, sizeof(reply) - at, "]}}");
        broker_say(broker, reply);
        return n;
}

static void expect_all_resumed(const char *prefix, size_t n, size_t at_once_min, size_t at_once_max) {
        char seen[256] = "";
        Notices notices;
        Broker broker;
        size_t done = 0;

        kit_start(&broker, &notices);
        hold_many(&broker, prefix, n);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, kit_see, seen)));
        kit_come_back(&broker);
        while (done < n + 1) {
                size_t now = resume_all(&broker);

                cr_assert(le(sz, now, at_once_max));
                done += now;
                cr_assert(done == n + 1 || now >= at_once_min, "%zu at once", now);
                cr_assert(zero(int, client_settle(broker.client)));
        }
        cr_assert(eq(sz, done, n + 1));
        cr_assert(eq(sz, notices.n, 1 + n + 1 + 1));
        kit_expect(&broker, "{\"method\":\"io.reuseportd.List\"}");
        kit_end(&broker, &notices);
}

Test(resume, more_leases_than_a_call_takes) {
        expect_all_resumed("l-", MANY, 512, 1024);
}

Test(resume, leases_of_long_names) {
        char prefix[260];

        memset(prefix, 'l', sizeof(prefix) - 1);
        prefix[sizeof(prefix) - 1] = '\0';
        expect_all_resumed(prefix, 640, 100, 250);
}

Test(resume, hang_up_between_two_of_many_calls) {
        Notices notices;
        Broker broker;

        kit_start(&broker, &notices);
        hold_many(&broker, "l-", MANY);
        kit_come_back(&broker);
        cr_assert(ge(sz, resume_all(&broker), 512));
        cr_assert(zero(int, client_settle(broker.client)));
        kit_hear(&broker);
        broker_hang_up(&broker);
        kit_await(&broker);
        /* This broker knows nothing of what the other was told; the program does. */
        for (size_t done = 0; done < MANY + 1;) {
                done += resume_all(&broker);
                cr_assert(zero(int, client_settle(broker.client)));
        }
        cr_assert(eq(sz, notices.n, 1 + MANY + 1 + 1));
        kit_end(&broker, &notices);
}

/* A call by its text gives leases, too. */
Test(resume, acquired_by_text) {
        Notices notices;
        Broker broker;
        int fd;

        kit_start(&broker, &notices);
        open_sockets(&fd, 1);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Acquire",
                                                    "{\"sockets\":[{\"network\":\"tcp\",\"address\":"
                                                    "\":80\",\"name\":\"web\"}]}",
                                                    0, NULL, NULL)));
        kit_hear(&broker);
        kit_say_acquired(&broker, (const char *const[]){ "l7" }, 1, fd);
        cr_assert(zero(int, client_settle(broker.client)));
        kit_resume(&broker, "{\"parameters\":{\"resumed\":[\"l0\"],\"lost\":[\"l7\"]}}");
        kit_expect(&broker, ACQUIRE(AT_8080 ",\"name\":\"web\""));
        kit_say_acquired(&broker, (const char *const[]){ "l8" }, 1, fd);
        cr_assert(zero(int, client_settle(broker.client)));
        expect_text(notices.text, "lost resumed:l0 replaced:l7 back");
        close(fd);
        kit_end(&broker, &notices);
}
