/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The broker is killed, or stopped, and the next one finds everything: with a service manager that keeps
 * its descriptors, as keeper.h plays it.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/integration/resume-kit.h"

TestSuite(recovery, .timeout = 60);

#define CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

static Keeper keeper;

/* With @room for so many descriptors. */
static void begin(Kit *kit, const char *config, size_t room) {
        kit->n_fds = leaks_count_fds();
        keeper_begin(&keeper, room);
        kit->harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit->harness, config);
}

static void end(Kit *kit) {
        harness_stop(&kit->harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit->n_fds);
}

static void kill_and_restart(Kit *kit) {
        harness_kill(&kit->harness);
        harness_restart(&kit->harness);
}

static void expect_status(int control, const char *what, long long n) {
        json_auto_t *reply = kit_call(control, "GetStatus", "{}");
        char path[64];

        snprintf(path, sizeof(path), "parameters.%s", what);
        cr_assert(eq(llong, kit_number(reply, path), n), "%s", what);
}

static const char *state_of(int control, const KitSocket *held, char state[static 16]) {
        json_auto_t *endpoint = kit_describe(control, held);

        snprintf(state, 16, "%s", kit_text(endpoint, "members.0.state"));
        return state;
}

/* ---- what is back --------------------------------------------------------------------------------- */

Test(recovery, leases_of_connections_are_resumed) {
        static const char *const requests[] = {
                "{'network':'tcp4','address':'127.0.0.1:0','name':'web','steering':'roundRobin'}",
                "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive','options':{'backlog':7}"
                "}",
                "{'network':'udp4','address':'127.0.0.1:0'}",
                "{'network':'unix','address':'@reuseportd-test-recovery'}",
        };
        enum { N = sizeof(requests) / sizeof(requests[0]) };
        KitSocket held[N];
        Kit kit;
        int control;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < N; i++)
                held[i] = kit_acquire(control, "%s", requests[i]);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", N);
        expect_status(control, "lost", 0);
        expect_status(control, "foreign", 0);
        expect_status(control, "leases", N);
        for (size_t i = 0; i < N; i++) {
                json_auto_t *endpoint = kit_describe(control, &held[i]);

                KIT_EXPECT_TEXT(kit_text(endpoint, "endpoint"), kit_text(held[i].reply, "endpoint"));
                KIT_EXPECT_TEXT(kit_text(endpoint, "address"), kit_address(&held[i]));
                KIT_EXPECT_TEXT(kit_text(endpoint, "sharing"), kit_text(held[i].reply, "sharing"));
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.state"), "live");
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.leases.0.lease"), kit_lease(&held[i]));
                if (i == 0)
                        KIT_EXPECT_TEXT(kit_text(endpoint, "name"), "web");
                cr_assert(kit_resume(control, &held[i]));
                kit_release(control, &held[i]);
        }
        expect_status(control, "leases", 0);
        expect_status(control, "endpoints", 0);
        close(control);
        end(&kit);
}

static void connect_to(int fd, int family) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };

        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in6.sin6_addr = in6addr_loopback;
        if (family == AF_INET)
                cr_assert(zero(int, connect(fd, (const struct sockaddr *)&in, sizeof(in))));
        else
                cr_assert(zero(int, connect(fd, (const struct sockaddr *)&in6, sizeof(in6))));
}

static int listen_here(struct sockaddr_in *ret) {
        socklen_t size = sizeof(*ret);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *ret = (struct sockaddr_in){ .sin_family = AF_INET };
        ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)ret, size)));
        cr_assert(zero(int, listen(fd, 4)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)ret, &size)));
        return fd;
}

/* One of TCP has to be shut down for that: it listens no more, and what it is now is its holder's. */
Test(recovery, listener_that_its_holder_has_connected) {
        struct sockaddr_in address;
        KitSocket held;
        Kit kit;
        int control, peer;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':':0'}");
        peer = listen_here(&address);
        cr_assert(zero(int, shutdown(held.fd, SHUT_RD)));
        cr_assert(connect(held.fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
                          errno == EINPROGRESS,
                  "%m");
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 0);
        expect_status(control, "foreign", 1);
        kit_drop(&held);
        close(peer);
        close(control);
        end(&kit);
}

/* It is in no group of the kernel's any more, and the others are steered on without it. */
Test(recovery, member_that_its_holder_has_connected) {
        json_t *endpoint = NULL;
        KitSocket held[3];
        int control;
        Kit kit;

        harness_private_network();
        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer")) {
                close(control);
                end(&kit);
                cr_skip_test("the broker cannot steer here");
        }
        held[0] = kit_acquire(control, "{'network':'udp4','address':':0','steering':'roundRobin'}");
        for (int i = 1; i < 3; i++)
                held[i] = kit_acquire(control, "{'network':'udp4','address':':%d'}", kit_port(&held[0]));
        connect_to(held[2].fd, AF_INET);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 2);
        expect_status(control, "foreign", 1);
        for (int i = 0; i < 2; i++)
                cr_assert(kit_resume(control, &held[i]));
        cr_assert(not(kit_resume(control, &held[2])));
        /* It looks around for such holders in its own time. */
        do {
                json_decref(endpoint);
                endpoint = kit_describe(control, &held[0]);
        } while (!json_object_get(endpoint, "steering"));
        KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), "roundRobin");
        json_decref(endpoint);
        kit_drop(&held[2]);
        for (int i = 0; i < 2; i++)
                kit_release(control, &held[i]);
        close(control);
        end(&kit);
}

/* The kernel puts it where it talks from: it is theirs, with or without a peer. */
Test(recovery, datagram_sockets_that_their_holders_have_connected) {
        static const struct {
                const char *request;
                int family;
        } rows[] = {
                { "{'network':'udp4','address':':0','sharing':'exclusive'}", AF_INET },
                { "{'network':'udp','address':':0','sharing':'shared'}", AF_INET },
                { "{'network':'udp','address':':0','sharing':'exclusive'}", AF_INET6 },
                { "{'network':'udp6','address':':0','sharing':'shared'}", AF_INET6 },
                { "{'network':'udplite4','address':':0','sharing':'exclusive'}", AF_INET },
        };
        enum { N = sizeof(rows) / sizeof(rows[0]) };
        KitSocket held[N];
        Kit kit;
        int control;

        harness_private_network();
        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < N; i++) {
                held[i] = kit_acquire(control, "%s", rows[i].request);
                connect_to(held[i].fd, rows[i].family);
        }
        for (int again = 0; again < 2; again++) {
                kill_and_restart(&kit);
                close(control);
                control = harness_connect(&kit.harness);
                expect_status(control, "recovered", N);
                expect_status(control, "lost", 0);
                expect_status(control, "foreign", 0);
                for (size_t i = 0; i < N; i++) {
                        json_auto_t *endpoint = kit_describe(control, &held[i]);

                        KIT_EXPECT_TEXT(kit_text(endpoint, "address"), kit_address(&held[i]));
                        cr_assert(kit_resume(control, &held[i]));
                }
        }
        for (size_t i = 0; i < N; i++) {
                cr_assert(zero(int, connect(held[i].fd, &(struct sockaddr){ .sa_family = AF_UNSPEC },
                                            sizeof(struct sockaddr))));
                kit_release(control, &held[i]);
        }
        expect_status(control, "endpoints", 0);
        close(control);
        end(&kit);
}

Test(recovery, nothing_is_lost_between_the_brokers) {
        enum { N = 16 };
        KitSocket held[2];
        int control, peers[N];
        size_t served = 0;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        held[1] = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&held[0]));
        harness_kill(&kit.harness);
        close(control);
        for (size_t i = 0; i < N / 2; i++)
                peers[i] = kit_connect_to(&held[0]);
        harness_restart(&kit.harness);
        for (size_t i = N / 2; i < N; i++)
                peers[i] = kit_connect_to(&held[0]);
        control = harness_connect(&kit.harness);
        cr_assert(kit_resume(control, &held[0]));
        cr_assert(kit_resume(control, &held[1]));
        /* What one leaves goes to the other, as before. */
        kit_release(control, &held[0]);
        while (served < N) {
                kit_wait_readable(held[1].fd);
                served += kit_accept_all(held[1].fd);
        }
        for (size_t i = 0; i < N; i++)
                close(peers[i]);
        kit_release(control, &held[1]);
        close(control);
        end(&kit);
}

Test(recovery, parked_socket_with_its_queue) {
        KitSocket held, next;
        int control, peer;
        char state[16];
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        close(held.fd);
        close(control);
        peer = kit_connect_to(&held);
        control = harness_connect(&kit.harness);
        while (strcmp(state_of(control, &held, state), "parked") != 0)
                ;
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "parked");
        next = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        kit_wait_readable(next.fd);
        cr_assert(eq(sz, kit_accept_all(next.fd), 1));
        close(peer);
        kit_release(control, &next);
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, standby_stays_so_and_weights_are_kept) {
        KitSocket live, standby;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer"))
                cr_skip_test("groups are not steered here");
        live = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','weight':3}");
        standby = kit_acquire(control, "{'network':'tcp4','address':'%s','standby':true}",
                              kit_address(&live));
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *endpoint = kit_describe(control, &live);

                KIT_EXPECT_TEXT(kit_text(endpoint, "continuity"), "migrate");
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.state"), "live");
                cr_assert(eq(llong, kit_number(endpoint, "members.0.weight"), 3));
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.1.state"), "standby");
        }
        cr_assert(kit_resume(control, &live));
        cr_assert(kit_resume(control, &standby));
        /* Everything comes to the one that is live. */
        for (size_t i = 0; i < 8; i++) {
                int peer = kit_connect_to(&live);

                kit_wait_readable(live.fd);
                cr_assert(eq(sz, kit_accept_all(live.fd), 1));
                close(peer);
        }
        kit_release(control, &standby);
        kit_release(control, &live);
        close(control);
        end(&kit);
}

/* What List shows of the only member. */
static long long flows_of(int control, const KitSocket *held) {
        json_auto_t *endpoint = kit_describe(control, held);

        return kit_number(endpoint, "members.0.flows");
}

static void come_and_go(const KitSocket *held, size_t n) {
        while (n-- > 0)
                close(kit_connect_to(held));
}

Test(recovery, flows_are_counted_on) {
        KitSocket held;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer"))
                cr_skip_test("groups are not steered here");
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        come_and_go(&held, 3);
        harness_kill(&kit.harness);
        come_and_go(&held, 4);
        harness_restart(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(eq(llong, flows_of(control, &held), 7));
        come_and_go(&held, 5);
        harness_terminate(&kit.harness);
        come_and_go(&held, 6);
        harness_restart(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(eq(llong, flows_of(control, &held), 18));
        cr_assert(kit_resume(control, &held));
        kit_release(control, &held);
        close(control);
        end(&kit);
}

/* The kernel lets sockets of one user only into a group. */
Test(recovery, broker_that_becomes_another_user) {
        KitSocket held, second;
        int control;
        Kit kit;

        if (geteuid() != 0)
                cr_skip_test("only root's broker becomes another user");
        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        kit.harness = (Harness){ .uid = 0, .keeper = &keeper, .user = "nobody" };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 1);
        cr_assert(kit_resume(control, &held));
        second = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        if (kit_is_capable(control, "steer")) {
                json_auto_t *endpoint = kit_describe(control, &held);

                KIT_EXPECT_TEXT(kit_text(endpoint, "continuity"), "migrate");
        }
        kit_release(control, &held);
        kit_release(control, &second);
        close(control);
        end(&kit);
}

/* ---- lifetimes ------------------------------------------------------------------------------------ */

/* A child that holds a lease, which it tells, and waits to be killed. */
static pid_t start_holder(const Harness *h, const char *lifetime, KitSocket *ret) {
        int pair[2];
        pid_t pid;

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)));
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                int control = harness_connect(h);
                KitSocket held;
                char parameters[128], *text;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                snprintf(parameters, sizeof(parameters),
                         "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'}],'lifetime':'%s'}",
                         lifetime);
                kit_acquire_call(control, parameters, 1, &held);
                text = json_dumps(held.reply, 0);
                send(pair[1], text, strlen(text), 0);
                for (;;)
                        pause();
        }
        {
                char text[4096] = "";

                close(pair[1]);
                cr_assert(gt(sz, (size_t)recv(pair[0], text, sizeof(text) - 1, 0), 0));
                *ret = (KitSocket){ .fd = -1, .reply = json_loads(text, 0, NULL) };
                close(pair[0]);
        }
        return pid;
}

static void end_holder(pid_t pid) {
        cr_assert(zero(int, kill(pid, SIGKILL)));
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

Test(recovery, lease_of_a_process_goes_on_without_its_help) {
        KitSocket held;
        char state[16];
        int control;
        pid_t pid;
        Kit kit;

        begin(&kit, CONFIG, 64);
        pid = start_holder(&kit.harness, "process", &held);
        kill_and_restart(&kit);
        control = harness_connect(&kit.harness);
        expect_status(control, "leases", 1);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        /* To say so all the same does no harm, */
        cr_assert(kit_resume(control, &held));
        close(control);
        control = harness_connect(&kit.harness);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        /* and it still ends with the process. */
        end_holder(pid);
        while (strcmp(state_of(control, &held, state), "parked") != 0)
                ;
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, process_that_ended_meanwhile) {
        KitSocket held;
        char state[16];
        int control;
        pid_t pid;
        Kit kit;

        begin(&kit, CONFIG, 64);
        pid = start_holder(&kit.harness, "process", &held);
        harness_kill(&kit.harness);
        end_holder(pid);
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        while (strcmp(state_of(control, &held, state), "parked") != 0)
                ;
        cr_assert(not(kit_resume(control, &held)));
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, lease_of_a_descriptor_goes_on_without_its_help) {
        KitSocket held;
        char state[16];
        int control, fd;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fd);
        close(control);
        for (int i = 0; i < 3; i++) {
                json_t *endpoint;

                kill_and_restart(&kit);
                control = harness_connect(&kit.harness);
                expect_status(control, "leases", 1);
                expect_status(control, "lost", 0);
                expect_status(control, "foreign", 0);
                KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
                /* It is what it was, and waits for nobody. */
                endpoint = kit_describe(control, &held);
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.leases.0.lifetime"), "descriptor");
                json_decref(endpoint);
                /* To say so all the same does no harm, */
                cr_assert(kit_resume(control, &held));
                close(control);
        }
        control = harness_connect(&kit.harness);
        kit_expect_served(held.fd);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        /* and it still ends with the descriptor. */
        close(fd);
        while (strcmp(state_of(control, &held, state), "parked") != 0)
                ;
        kit_drop(&held);
        close(control);
        end(&kit);
}

Test(recovery, descriptor_that_was_closed_meanwhile) {
        KitSocket held;
        char state[16];
        int control, fd;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fd);
        close(control);
        harness_kill(&kit.harness);
        close(fd);
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        while (strcmp(state_of(control, &held, state), "parked") != 0)
                ;
        cr_assert(not(kit_resume(control, &held)));
        kit_drop(&held);
        close(control);
        end(&kit);
}

/* It is one end of a pipe that the manager keeps: a stop in good order leaves it there, too. */
Test(recovery, descriptor_after_a_stop_in_good_order) {
        KitSocket held;
        char state[16];
        int control, fd;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fd);
        harness_terminate(&kit.harness);
        close(control);
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        cr_assert(zero(int, kit_is_readable(fd)));
        kit_release(control, &held);
        close(fd);
        close(control);
        end(&kit);
}

/* No connection tells that it ended. */
Test(recovery, client_that_ended_before_it_came_back) {
        KitSocket held;
        char state[16];
        int control;
        pid_t pid;
        Kit kit;

        begin(&kit, CONFIG, 64);
        pid = start_holder(&kit.harness, "connection", &held);
        kill_and_restart(&kit);
        control = harness_connect(&kit.harness);
        expect_status(control, "leases", 1);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        end_holder(pid);
        while (strcmp(state_of(control, &held, state), "parked") != 0)
                ;
        cr_assert(not(kit_resume(control, &held)));
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, only_its_holder_resumes_a_lease) {
        KitSocket held;
        int control, other;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        /* While its connection is there, it is nobody else's. */
        other = harness_connect(&kit.harness);
        cr_assert(not(kit_resume(other, &held)));
        close(other);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_call(
                        control, "Resume",
                        "{'leases':[{'lease':'%s','cookie':'1'},{'lease':'l1-0','cookie':'1'}]}",
                        kit_lease(&held));

                cr_assert(eq(sz, json_array_size(kit_at(reply, "parameters.lost")), 2));
        }
        cr_assert(kit_resume(control, &held));
        cr_assert(kit_resume(control, &held), "twice is as good as once");
        other = harness_connect(&kit.harness);
        cr_assert(not(kit_resume(other, &held)));
        close(other);
        kit_release(control, &held);
        close(control);
        end(&kit);
}

/* ---- stop and start ------------------------------------------------------------------------------- */

Test(recovery, stop_in_good_order_keeps_everything) {
        KitSocket held;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        for (int i = 0; i < 3; i++) {
                int peer;

                harness_terminate(&kit.harness);
                close(control);
                peer = kit_connect_to(&held);
                harness_restart(&kit.harness);
                control = harness_connect(&kit.harness);
                cr_assert(kit_resume(control, &held));
                cr_assert(eq(sz, kit_accept_all(held.fd), 1));
                close(peer);
        }
        kit_release(control, &held);
        close(control);
        end(&kit);
}

/* ---- what does not fit ---------------------------------------------------------------------------- */

/* The item of the only socket. */
static KeeperItem *item_of(const KitSocket *held) {
        for (size_t i = 0; i < keeper.n; i++) {
                unsigned long long cookie;
                socklen_t size = sizeof(cookie);

                if (getsockopt(keeper.items[i].fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 &&
                    cookie == kit_cookie(held->fd))
                        return &keeper.items[i];
        }
        cr_fatal("it is not kept");
}

Test(recovery, descriptor_that_is_missing) {
        KitSocket held;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        harness_kill(&kit.harness);
        close(control);
        keeper_lose(&keeper, item_of(&held));
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        /* The socket, and the lease on it. */
        expect_status(control, "lost", 2);
        expect_status(control, "recovered", 0);
        expect_status(control, "endpoints", 0);
        cr_assert(not(kit_resume(control, &held)));
        kit_drop(&held);
        close(control);
        end(&kit);
}

Test(recovery, descriptor_that_is_another_or_nobody_s) {
        KitSocket held;
        KeeperItem *item;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        harness_kill(&kit.harness);
        close(control);
        item = item_of(&held);
        close(item->fd);
        item->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        keeper.items[keeper.n++] = (KeeperItem){ .fd = dup(0), .name = ".zzz" };
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        expect_status(control, "foreign", 2);
        expect_status(control, "lost", 2);
        expect_status(control, "recovered", 0);
        /* They are out of the store, too. */
        keeper_work(&keeper);
        cr_assert(eq(ptr, keeper_find(&keeper, ".zzz"), NULL));
        kit_drop(&held);
        close(control);
        end(&kit);
}

Test(recovery, state_of_a_much_later_version) {
        KitSocket held;
        uint32_t version = 99;
        int control;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        harness_kill(&kit.harness);
        close(control);
        cr_assert(eq(sz,
                     (size_t)pwrite(keeper_find(&keeper, "..state")->fd, &version, sizeof(version), 16),
                     sizeof(version)));
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 0);
        expect_status(control, "endpoints", 0);
        kit_drop(&held);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_release(control, &held);
        close(control);
        end(&kit);
}

Test(recovery, store_without_room) {
        enum { N = 5, ROOM = 4 };
        KitSocket held[N];
        long long not_kept;
        int control;
        Kit kit;

        begin(&kit, CONFIG, ROOM);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < N; i++)
                held[i] = kit_acquire(
                        control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}");
        /* The state is in there, and what the program has, if there is one. */
        not_kept = N + (kit_is_capable(control, "steer") ? 3 : 1) - ROOM;
        expect_status(control, "notKept", not_kept);
        cr_assert(zero(sz, keeper.n_refused), "what there is no room for is not sent");
        /* Room that somebody leaves is taken. */
        kit_release(control, &held[0]);
        expect_status(control, "notKept", not_kept - 1);
        cr_assert(le(sz, keeper_count(&keeper), ROOM));
        for (size_t i = 1; i < N; i++)
                kit_release(control, &held[i]);
        expect_status(control, "notKept", 0);
        close(control);
        end(&kit);
}

/* What was not kept serves on with its holder, beside what was. */
Test(recovery, group_that_was_kept_in_part) {
        enum { N = 40 };
        KitSocket held[2];
        int control, peers[N];
        size_t served[2] = { 0 };
        Kit kit;

        /* The state, the map of the program, its counts, and one more. */
        begin(&kit, CONFIG, 4);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < 2; i++)
                held[i] = kit_acquire(control, "{'network':'tcp4','address':'%s'}",
                                      i == 0 ? "127.0.0.1:0" : kit_address(&held[0]));
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        expect_status(control, "recovered", 1);
        for (size_t i = 0; i < N; i++)
                peers[i] = kit_connect_to(&held[0]);
        while (served[0] + served[1] < N)
                for (size_t i = 0; i < 2; i++)
                        served[i] += kit_accept_all(held[i].fd);
        for (size_t i = 0; i < 2; i++)
                cr_assert(ge(sz, served[i], 1), "member %zu", i);
        for (size_t i = 0; i < N; i++)
                close(peers[i]);
        for (size_t i = 0; i < 2; i++)
                kit_drop(&held[i]);
        close(control);
        end(&kit);
}

/* ---- .socket units -------------------------------------------------------------------------------- */

/* As a unit's: made by somebody else. *@ret: its port. */
static int listen_as_a_unit(int *ret) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 8)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        *ret = ntohs(address.sin_port);
        return fd;
}

Test(recovery, listener_of_a_unit_is_had_by_name) {
        KitSocket first, second;
        char state[16];
        int control, port, peer;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        keeper_pass(&keeper, "web", listen_as_a_unit(&port));
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp','address':':0','name':'web'}");
        cr_assert(eq(int, kit_port(&first), port));
        KIT_EXPECT_TEXT(kit_text(first.reply, "sharing"), "shared");
        second = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:%d'}", port);
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        json_decref(kit_refused(control, "OptionConflict",
                                "{'network':'tcp4','address':'127.0.0.1:%d','sharing':'group'}", port));
        /* It outlives its clients, and the broker. */
        kit_release(control, &first);
        kit_release(control, &second);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp','address':':0','name':'web'}");
        peer = kit_connect_to(&first);
        kit_wait_readable(first.fd);
        cr_assert(eq(sz, kit_accept_all(first.fd), 1));
        close(peer);
        KIT_EXPECT_TEXT(state_of(control, &first, state), "live");
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(kit_resume(control, &first));
        kit_release(control, &first);
        close(control);
        end(&kit);
}

/* As systemd makes it of ListenStream=[::ffff:127.0.0.1]:PORT. *@ret: its port. */
static int listen_as_a_unit_mapped(int *ret) {
        struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                cr_skip_test("there is no IPv6");
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
        cr_assert(zero(int, setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int))));
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 8)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        *ret = ntohs(address.sin6_port);
        return fd;
}

/* It is at an address of IPv4, however that is written, and by what kind of socket nobody need know. */
static KitSocket acquire_mapped(int control, const char *format, int port) {
        char address[64], expected[64];
        struct sockaddr_in6 bound;
        socklen_t size = sizeof(bound);
        KitSocket held;

        snprintf(address, sizeof(address), "%s:%d", format, port);
        snprintf(expected, sizeof(expected), "127.0.0.1:%d", port);
        held = kit_acquire(control, "{'network':'tcp','address':'%s','sharing':'shared'}", address);
        KIT_EXPECT_TEXT(kit_text(held.reply, "network"), "tcp4");
        KIT_EXPECT_TEXT(kit_address(&held), expected);
        cr_assert(zero(int, getsockname(held.fd, (struct sockaddr *)&bound, &size)));
        cr_assert(eq(int, bound.sin6_family, AF_INET6));
        cr_assert(ne(int, IN6_IS_ADDR_V4MAPPED(&bound.sin6_addr), 0));
        return held;
}

static void expect_served_mapped(const KitSocket *held, int port) {
        struct sockaddr_storage address = { 0 };
        struct sockaddr_in *in = (struct sockaddr_in *)&address;
        struct sockaddr_in6 peer = { 0 };
        socklen_t size = sizeof(peer);
        int client, accepted;

        *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        client = kit_connect_address(&address, sizeof(*in), SOCK_STREAM);
        cr_assert(ge(int, client, 0));
        kit_wait_readable(held->fd);
        accepted = accept4(held->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
        cr_assert(ge(int, accepted, 0));
        cr_assert(ne(int, IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr), 0));
        kit_expect_byte(accepted, client);
        close(accepted);
        close(client);
}

Test(recovery, s3_9_listener_of_a_unit_that_serves_ipv4_by_ipv6) {
        KitSocket first, second;
        int control, port, listener;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        listener = listen_as_a_unit_mapped(&port);
        keeper_begin(&keeper, 64);
        keeper_pass(&keeper, "web", listener);
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "AddressInvalid",
                                "{'network':'tcp6','address':'[::ffff:127.0.0.1]:%d'}", port));
        first = acquire_mapped(control, "127.0.0.1", port);
        second = acquire_mapped(control, "[::ffff:127.0.0.1]", port);
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        kit_release(control, &second);
        second = kit_acquire(control, "{'network':'tcp','address':':0','name':'web'}");
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        kit_release(control, &second);
        expect_served_mapped(&first, port);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(kit_resume(control, &first));
        second = acquire_mapped(control, "127.0.0.1", port);
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        expect_served_mapped(&second, port);
        kit_release(control, &second);
        kit_release(control, &first);
        close(control);
        end(&kit);
}

Test(recovery, listener_of_a_unit_is_for_whom_policy_gives_it) {
        int control, port;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        keeper_pass(&keeper, "web", listen_as_a_unit(&port));
        keeper_pass(&keeper, "nothing", dup(0));
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness,
                             "[Broker]\nSocketMode=0666\n[Rule one]\nUser=*\nAddress=127.0.0.9\n");
        control = harness_connect(&kit.harness);
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'tcp','address':'127.0.0.1:%d'}",
                                port));
        json_decref(
                kit_refused(control, "PolicyDenied", "{'network':'tcp','address':':0','name':'web'}"));
        expect_status(control, "endpoints", 1);
        close(control);
        end(&kit);
}
