/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ready, Drain and SetWeight: which members of a group take new flows, and that nobody can say so who
 * does not hold them. That something does not happen is seen by a clock of the broker's own: a member of
 * another group that drains, beside the one in question, in the same round.
 */

#include <signal.h>
#include <sys/wait.h>

#include "tests/integration/group-kit.h"

TestSuite(generations, .timeout = 60);

static Stage stage;

static const struct {
        const char *name, *more;
} verbs[] = {
        { "Ready", "" },
        { "Drain", "" },
        { "SetWeight", ",'weight':7" },
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* ---- refused ------------------------------------------------------------------------------------- */

/* A live member and one that stands by: whatever a verb does is seen by one of them. */
typedef struct Pair {
        KitSocket members[2];
} Pair;

static void pair_begin(Pair *pair) {
        stage_begin(&stage, KIT_CONFIG);
        pair->members[0] = stage_found(&stage, "tcp4", "");
        pair->members[1] = stage_join(&stage, &pair->members[0], ",'standby':true");
}

static void pair_expect_as_before(const Pair *pair) {
        stage_expect_state(&stage, &pair->members[0], "live");
        stage_expect_state(&stage, &pair->members[1], "standby");
        for (size_t i = 0; i < 2; i++)
                cr_assert(eq(llong, stage_number(&stage, &pair->members[i], "weight"), 10));
        stage_expect_no_event(&stage);
        group_expect_only(pair->members, 2, 0);
}

static void pair_end(Pair *pair) {
        stage_release(&stage, &pair->members[1]);
        stage_finish(&stage, &pair->members[0]);
        stage_end(&stage);
}

/* All verbs of both members of @pair and of @lease, by @control. */
static void expect_no_lease(const Pair *pair, int control, const char *lease, const char *blamed) {
        for (size_t i = 0; i < N_VERBS; i++) {
                json_auto_t *reply = kit_expect_error(
                        kit_call(control, verbs[i].name, "{'leases':['%s','%s','%s']%s}",
                                 kit_lease(&pair->members[0]), kit_lease(&pair->members[1]), lease,
                                 verbs[i].more),
                        "NoSuchLease");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.lease"), blamed);
        }
        pair_expect_as_before(pair);
}

Test(generations, of_a_lease_that_is_none) {
        static const char *const leases[] = { "", "l", "l1", "l1-00000000", "web", "l-1", "e1" };
        Pair pair;

        pair_begin(&pair);
        for (size_t i = 0; i < sizeof(leases) / sizeof(leases[0]); i++)
                expect_no_lease(&pair, stage.control, leases[i], leases[i]);
        pair_end(&pair);
}

Test(generations, of_a_lease_that_has_ended) {
        char lease[64];
        KitSocket gone;
        Pair pair;

        pair_begin(&pair);
        gone = stage_join(&stage, &pair.members[0], "");
        snprintf(lease, sizeof(lease), "%s", kit_lease(&gone));
        stage_release(&stage, &gone);
        expect_no_lease(&pair, stage.control, lease, lease);
        pair_end(&pair);
}

Test(generations, twice_of_the_same_lease) {
        Pair pair;

        pair_begin(&pair);
        for (size_t i = 0; i < 2; i++)
                expect_no_lease(&pair, stage.control, kit_lease(&pair.members[i]),
                                kit_lease(&pair.members[i]));
        pair_end(&pair);
}

/* Not even root's, nor with a lease of one's own beside it. */
Test(generations, of_the_lease_of_another_user) {
        KitSocket foreign;
        int control;
        Pair pair;

        kit_require_root();
        pair_begin(&pair);
        control = kit_connect_as(&stage.kit, KIT_UID, 0);
        expect_no_lease(&pair, control, "l1", kit_lease(&pair.members[0]));
        foreign = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        json_decref(kit_event(stage.watch, "acquired"));
        expect_no_lease(&pair, stage.control, kit_lease(&foreign), kit_lease(&foreign));
        kit_release(control, &foreign);
        json_decref(kit_event(stage.watch, "released"));
        json_decref(kit_event(stage.watch, "closed"));
        close(control);
        pair_end(&pair);
}

Test(generations, more_leases_than_a_call_may_name) {
        static char leases[16384];
        Pair pair;
        int n = 0;

        pair_begin(&pair);
        for (int i = 0; i <= 1024; i++)
                n += snprintf(leases + n, sizeof(leases) - (size_t)n, "%s'l%d'", i > 0 ? "," : "", i);
        for (size_t i = 0; i < N_VERBS; i++) {
                json_auto_t *reply =
                        kit_expect_error(kit_call(stage.control, verbs[i].name, "{'leases':['%s',%s]%s}",
                                                  kit_lease(&pair.members[1]), leases, verbs[i].more),
                                         "QuotaExceeded");

                cr_assert(eq(llong, kit_number(reply, "parameters.limit"), 1024));
        }
        pair_expect_as_before(&pair);
        pair_end(&pair);
}

Test(generations, parameters_that_are_none) {
        static const struct {
                const char *method, *parameters, *blamed;
        } table[] = {
                { "Ready", "{}", "leases" },
                { "Drain", "{'leases':null}", "leases" },
                { "SetWeight", "{'weight':1}", "leases" },
                { "Ready", "{'leases':'%s'}", "leases" },
                { "Drain", "{'leases':[1]}", "leases[0]" },
                { "Drain", "{'leases':['%s',null]}", "leases[1]" },
                { "Ready", "{'leases':['%s'],'weight':1}", "weight" },
                { "SetWeight", "{'leases':['%s']}", "weight" },
                { "SetWeight", "{'leases':['%s'],'weight':null}", "weight" },
                { "SetWeight", "{'leases':['%s'],'weight':'5'}", "weight" },
                { "SetWeight", "{'leases':['%s'],'weight':0.5}", "weight" },
                { "SetWeight", "{'leases':['%s'],'weight':-1}", "weight" },
                { "SetWeight", "{'leases':['%s'],'weight':101}", "weight" },
                { "SetWeight", "{'leases':['%s'],'weight':4294967296}", "weight" },
                { "SetWeight", "{'leases':['none'],'weight':-9223372036854775808}", "weight" },
        };
        Pair pair;

        pair_begin(&pair);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                const char *mark = strstr(table[i].parameters, "%s");
                int n = mark ? (int)(mark - table[i].parameters) : (int)strlen(table[i].parameters);
                json_auto_t *reply = kit_expect_error(
                        kit_call(stage.control, table[i].method, "%.*s%s%s", n, table[i].parameters,
                                 mark ? kit_lease(&pair.members[1]) : "", mark ? mark + 2 : ""),
                        "org.varlink.service.InvalidParameter");

                cr_assert(
                        ne(ptr, strstr(kit_text(reply, "parameters.parameter"), table[i].blamed), NULL),
                        "%s %s: %s", table[i].method, table[i].parameters,
                        kit_text(reply, "parameters.parameter"));
        }
        pair_expect_as_before(&pair);
        pair_end(&pair);
}

/* @leases, and those of @pair before it, cannot be told apart from others. */
static void expect_not_supported(int control, const char *leases, const char *reason) {
        for (size_t i = 0; i < N_VERBS; i++) {
                json_auto_t *reply = kit_expect_error(
                        kit_call(control, verbs[i].name, "{'leases':[%s]%s}", leases, verbs[i].more),
                        "NotSupported");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.feature"), verbs[i].name);
                cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), reason), NULL), "%s",
                          kit_text(reply, "parameters.reason"));
        }
}

Test(generations, of_what_is_no_group) {
        static const char *const requests[] = {
                "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}",
                "{'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'}",
                "{'network':'udp4','address':'127.0.0.1:0','sharing':'shared'}",
                "{'network':'unix','address':'@reuseportd-test-generations'}",
        };
        Pair pair;

        pair_begin(&pair);
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                KitSocket held = kit_acquire(stage.control, "%s", requests[i]);
                char leases[256];

                json_decref(kit_event(stage.watch, "acquired"));
                snprintf(leases, sizeof(leases), "'%s','%s','%s'", kit_lease(&pair.members[0]),
                         kit_lease(&pair.members[1]), kit_lease(&held));
                expect_not_supported(stage.control, leases, "a group");
                pair_expect_as_before(&pair);
                stage_finish(&stage, &held);
        }
        pair_end(&pair);
}

Test(generations, by_a_broker_without_the_capability) {
        static const char *const networks[] = { "tcp4", "udp4" };

        stage_begin_as_set(&stage, KIT_CONFIG, &(Harness){ .uid = geteuid(), .no_bpf = true });
        for (size_t i = 0; i < 2; i++) {
                KitSocket held = stage_found(&stage, networks[i], "");
                char leases[64];

                snprintf(leases, sizeof(leases), "'%s'", kit_lease(&held));
                expect_not_supported(stage.control, leases, "BPF");
                stage_expect_state(&stage, &held, "live");
                group_expect_only(&held, 1, 0);
                stage_finish(&stage, &held);
        }
        stage_end(&stage);
}

/* One group is steered in one way. */
Test(generations, another_steering_than_the_group_has) {
        static const char *const names[] = { "hash", "roundRobin", "leastLoad", "cpu", "source" };

        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < 5; i++) {
                char more[64];
                KitSocket held, second;

                snprintf(more, sizeof(more), ",'steering':'%s'", names[i]);
                held = stage_found(&stage, "tcp4", more);
                for (size_t k = 0; k < 5; k++) {
                        json_auto_t *reply = NULL;

                        if (k == i)
                                continue;
                        reply = kit_refused(stage.control, "OptionConflict",
                                            "{'network':'tcp4','address':'%s','steering':'%s'}",
                                            kit_address(&held), names[k]);
                        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "steering");
                        KIT_EXPECT_TEXT(kit_text(reply, "parameters.have"), names[i]);
                        KIT_EXPECT_TEXT(kit_text(reply, "parameters.want"), names[k]);
                }
                kit_expect_members(stage.control, &held, 1);
                /* Who says nothing takes it as it is. */
                second = stage_join(&stage, &held, i % 2 ? more : "");
                {
                        json_auto_t *endpoint = kit_describe(stage.control, &held);

                        KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), names[i]);
                }
                stage_release(&stage, &second);
                stage_finish(&stage, &held);
        }
        stage_end(&stage);
}

/* ---- standby ------------------------------------------------------------------------------------- */

static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };

enum { N_NETWORKS = sizeof(networks) / sizeof(networks[0]) };

Test(generations, d8_standby_takes_nothing_until_ready) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[2];

                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                stage_expect_state(&stage, &members[1], "standby");
                group_expect_only(members, 2, 0);
                cr_assert(zero(llong, stage_number(&stage, &members[1], "flows")));
                stage_ready(&stage, &members[1]);
                stage_expect_state(&stage, &members[1], "live");
                kit_expect_both_served(members[0].fd, members[1].fd);
                /* It is ready already. */
                stage_say(&stage, "Ready", &members[1]);
                stage_expect_no_event(&stage);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        stage_end(&stage);
}

/* With what was there before it: nothing is parked, nobody is told to adopt, no flow goes astray. */
Test(generations, standby_that_dies_changes_nothing) {
        stage_begin(&stage, GROUP_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[2];
                int lost, waiting[3];

                members[0] = stage_found(&stage, networks[i], "");
                lost = harness_connect(&stage.kit.harness);
                members[1] = stage_join_by(&stage, lost, &members[0], ",'standby':true");
                for (size_t k = 0; k < 3; k++)
                        waiting[k] = group_come(&members[0]);
                close(lost);
                stage_expect(&stage, "released", &members[1]);
                kit_expect_members(stage.control, &members[0], 1);
                stage_expect_no_event(&stage);
                for (size_t k = 0; k < 3; k++) {
                        group_take(&members[0]);
                        close(waiting[k]);
                }
                /* Whoever still has its socket gets nothing either. */
                group_expect_only(members, 1, 0);
                cr_assert(eq(int, (int)recv(members[1].fd, (char[1]){ 0 }, 1, 0), -1));
                kit_drop(&members[1]);
                stage_finish(&stage, &members[0]);
        }
        stage_end(&stage);
}

/* Returns 0, or why nobody else can be bound to where @member is, who lets others share it. */
static int bind_beside(const KitSocket *member) {
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(member->fd, &address);
        int fd = socket(address.ss_family,
                        kit_int_option(member->fd, SOL_SOCKET, SO_TYPE) | SOCK_CLOEXEC, 0);
        int r = bind(fd, (struct sockaddr *)&address, size) < 0 ? errno : 0;

        close(fd);
        return r;
}

/* Also while nobody is ready, and when who was has gone. */
Test(generations, d8_standby_holds_the_port) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[2];

                members[0] = stage_found(&stage, networks[i], "");
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                stage_release(&stage, &members[0]);
                cr_assert(eq(int, bind_beside(&members[1]), EADDRINUSE), "%s", networks[i]);
                stage_expect_state(&stage, &members[1], "standby");
                cr_assert(not(kit_is_readable(members[1].fd)));
                stage_finish(&stage, &members[1]);
        }
        stage_end(&stage);
}

/*
 * What waited at a listener that is closed is not reset, and of what comes no share is kept back for who
 * has gone, though its socket is still open somewhere.
 */
Test(generations, d6_nothing_is_left_with_who_has_gone) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                int lost, clients[GROUP_CLIENTS];
                KitSocket members[2];

                members[0] = stage_found(&stage, networks[i], ",'steering':'roundRobin'");
                lost = harness_connect(&stage.kit.harness);
                members[1] = stage_join_by(&stage, lost, &members[0], "");
                for (size_t k = 0; k < GROUP_CLIENTS; k++)
                        clients[k] = group_come(&members[0]);
                cr_assert(kit_is_readable(members[1].fd));
                if (group_is_dgram(&members[0])) {
                        /* Of datagrams the next client gets them, or whoever still has the socket. */
                        for (size_t k = 0; k < GROUP_CLIENTS; k++) {
                                group_take(&members[k % 2]);
                                close(clients[k]);
                        }
                        close(lost);
                } else {
                        close(members[1].fd);
                        members[1].fd = -1;
                        close(lost);
                        group_serve_all(&members[0], clients, GROUP_CLIENTS);
                }
                stage_expect(&stage, "released", &members[1]);
                group_expect_only(members, 1, 0);
                if (members[1].fd >= 0)
                        cr_assert(not(kit_is_readable(members[1].fd)));
                fd_close(members[1].fd);
                json_decref(members[1].reply);
                stage_finish(&stage, &members[0]);
        }
        stage_end(&stage);
}

/* Clients that come before anybody is ready wait for it. */
Test(generations, first_member_stands_by) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < 2; i++) {
                KitSocket held = stage_found(&stage, networks[i], ",'standby':true");
                int waiting[3];

                for (size_t k = 0; k < 3; k++)
                        waiting[k] = group_come(&held);
                stage_expect_state(&stage, &held, "standby");
                cr_assert(zero(llong, stage_number(&stage, &held, "queueLength")));
                stage_ready(&stage, &held);
                group_serve_all(&held, waiting, 3);
                group_expect_only(&held, 1, 0);
                stage_finish(&stage, &held);
        }
        stage_end(&stage);
}

/* Nothing can wait on it, so nothing is kept. */
Test(generations, standby_that_dies_alone_leaves_nothing_behind) {
        KitSocket held, next;
        int lost;

        stage_begin(&stage, GROUP_CONFIG);
        lost = harness_connect(&stage.kit.harness);
        held = kit_acquire(lost, "{'network':'tcp4','address':'127.0.0.1:0','standby':true}");
        json_decref(kit_event(stage.watch, "acquired"));
        close(lost);
        stage_expect(&stage, "released", &held);
        kit_expect_event(stage.watch, "closed", kit_text(held.reply, "endpoint"));
        next = stage_join(&stage, &held, "");
        cr_assert(not(kit_true(next.reply, "adopted")));
        kit_drop(&held);
        stage_finish(&stage, &next);
        stage_end(&stage);
}

/* What waits on a parked member is for who takes traffic: at Ready it is the new one's. */
Test(generations, standby_adopts_nothing_and_ready_inherits) {
        KitSocket held, next;
        int lost, waiting[3];

        stage_begin(&stage, GROUP_CONFIG);
        lost = harness_connect(&stage.kit.harness);
        held = kit_acquire(lost, "{'network':'tcp4','address':'127.0.0.1:0'}");
        json_decref(kit_event(stage.watch, "acquired"));
        close(lost);
        stage_expect(&stage, "released", &held);
        json_decref(kit_event(stage.watch, "parked"));
        next = stage_join(&stage, &held, ",'standby':true");
        cr_assert(not(kit_true(next.reply, "adopted")));
        for (size_t k = 0; k < 3; k++)
                waiting[k] = group_come(&held);
        cr_assert(not(kit_is_readable(next.fd)));
        kit_drop(&held);
        stage_ready(&stage, &next);
        for (size_t k = 0; k < 3; k++) {
                group_take(&next);
                close(waiting[k]);
        }
        kit_expect_members(stage.control, &next, 1);
        group_expect_only(&next, 1, 0);
        stage_finish(&stage, &next);
        stage_end(&stage);
}

/* ---- replaced ------------------------------------------------------------------------------------ */

/* Who comes as its predecessor goes is given its very socket, though others live, and what
 * waits there. */
Test(generations, successor_comes_in_the_same_moment) {
        stage_begin(&stage, GROUP_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                int lost = harness_connect(&stage.kit.harness), waiting[3];
                KitSocket held, members[2];
                char request[256];

                held = kit_acquire(lost, "{'network':'%s','address':'%s:0'}", networks[i],
                                   i % 2 ? "[::1]" : "127.0.0.1");
                json_decref(kit_event(stage.watch, "acquired"));
                for (size_t k = 0; k < 3; k++)
                        waiting[k] = group_come(&held);
                members[0] = stage_join(&stage, &held, "");
                snprintf(request, sizeof(request),
                         "{'sockets':[{'network':'%s','address':'%s','weight':7}]}", networks[i],
                         kit_address(&held));
                /* The broker sees both at once, and what it saw last, somebody else, before them. */
                harness_broker_fds(&stage.kit.harness);
                cr_assert(zero(int, kill(stage.kit.harness.pid, SIGSTOP)));
                cr_assert(
                        eq(int, waitpid(stage.kit.harness.pid, NULL, WUNTRACED), stage.kit.harness.pid));
                close(lost);
                kit_send(stage.control, "Acquire", "", request);
                cr_assert(zero(int, kill(stage.kit.harness.pid, SIGCONT)));
                kit_acquire_receive(stage.control, 1, &members[1]);
                cr_assert(kit_true(members[1].reply, "adopted"));
                KIT_EXPECT_TEXT(kit_text(members[1].reply, "cookie"), kit_text(held.reply, "cookie"));
                for (size_t k = 0; k < 3; k++) {
                        group_take(&members[1]);
                        close(waiting[k]);
                }
                stage_expect_state(&stage, &members[1], "live");
                cr_assert(eq(llong, stage_number(&stage, &members[1], "weight"), 7));
                kit_expect_both_served(members[0].fd, members[1].fd);
                stage_expect(&stage, "released", &held);
                if (i >= 2)
                        json_decref(kit_event(stage.watch, "parked"));
                stage_expect(&stage, "adopted", &members[1]);
                kit_drop(&held);
                stage_release(&stage, &members[1]);
                stage_finish(&stage, &members[0]);
        }
        stage_end(&stage);
}

/* ---- several generations ------------------------------------------------------------------------- */

/* One call for a whole generation of two. */
static void say_of_both(const char *method, const KitSocket *generation) {
        json_auto_t *reply = kit_call(stage.control, method, "{'leases':['%s','%s']}",
                                      kit_lease(&generation[0]), kit_lease(&generation[1]));

        kit_expect_success(reply);
}

/* Both of @generation of the @n members are served, and nobody else. */
static void expect_generation(const KitSocket *members, size_t n, size_t generation) {
        size_t counts[GROUP_MEMBERS_MAX];

        group_count(members, n, 2 * GROUP_CLIENTS, counts);
        cr_assert(eq(sz, counts[2 * generation] + counts[2 * generation + 1], 2 * GROUP_CLIENTS));
        cr_assert(gt(sz, counts[2 * generation], 0));
        cr_assert(gt(sz, counts[2 * generation + 1], 0));
}

Test(generations, one_after_the_other) {
        enum { N = 3 };
        KitSocket members[2 * N];

        stage_begin(&stage, KIT_CONFIG);
        members[0] = stage_found(&stage, "tcp4", "");
        for (size_t i = 1; i < 2 * N; i++)
                members[i] = stage_join(&stage, &members[0], i < 2 ? "" : ",'standby':true");
        expect_generation(members, 2 * N, 0);
        for (size_t i = 1; i < N; i++) {
                say_of_both("Ready", &members[2 * i]);
                stage_expect(&stage, "readied", &members[2 * i]);
                stage_expect(&stage, "readied", &members[2 * i + 1]);
                say_of_both("Drain", &members[2 * i - 2]);
                expect_generation(members, 2 * N, i);
                stage_expect(&stage, "drained", &members[2 * i - 2]);
                stage_expect(&stage, "drained", &members[2 * i - 1]);
        }
        /* And back. */
        say_of_both("Ready", &members[0]);
        stage_expect(&stage, "readied", &members[0]);
        stage_expect(&stage, "readied", &members[1]);
        say_of_both("Drain", &members[2 * N - 2]);
        expect_generation(members, 2 * N, 0);
        stage_expect(&stage, "drained", &members[2 * N - 2]);
        stage_expect(&stage, "drained", &members[2 * N - 1]);
        for (size_t i = 1; i < 2 * N; i++)
                stage_release(&stage, &members[i]);
        stage_finish(&stage, &members[0]);
        stage_end(&stage);
}
