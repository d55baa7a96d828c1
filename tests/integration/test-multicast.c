/* SPDX-License-Identifier: BSD-2-Clause */

/* Every socket that joined a group gets each datagram that is sent there, and only what it joined. */

#include <net/if.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/integration/acquire-kit.h"

#define ANYWHERE "{'network':'udp4','address':':%d','options':{'multicastGroups':['%s']}}"

enum {
        PORT = 3702,
        MEMBERS = 3,
        DATAGRAMS = 5,
};

TestSuite(multicast, .timeout = 60);

static int begin(Kit *kit) {
        harness_private_network();
        kit_start(kit, KIT_CONFIG);
        return harness_connect(&kit->harness);
}

static void end(Kit *kit, int control) {
        close(control);
        kit_stop(kit);
}

/* Of 127.0.0.@last, so that what is sent leaves by lo. */
static int sender(unsigned last) {
        const struct sockaddr_in from = { .sin_family = AF_INET,
                                          .sin_addr.s_addr = htonl(0x7f000000 | last) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, bind(fd, (const struct sockaddr *)&from, sizeof(from))), "%m");
        return fd;
}

static void send_to_group(int fd, const char *group) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };

        cr_assert(eq(int, inet_pton(AF_INET, group, &to.sin_addr), 1));
        cr_assert(eq(int, (int)sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1), "%m");
}

/* lo delivers before sendto() returns. */
static size_t take_all(const KitSocket *held) {
        size_t n = 0;
        char byte;

        while (recv(held->fd, &byte, 1, MSG_DONTWAIT) == 1)
                n++;
        return n;
}

static void send_some(const char *group) {
        int fd = sender(1);

        for (int i = 0; i < DATAGRAMS; i++)
                send_to_group(fd, group);
        close(fd);
}

Test(multicast, refused) {
        static const struct {
                const char *groups;
                const char *reason;
        } table[] = {
                { "'10.0.0.1'", "not a multicast address" },
                { "'239.1.1.1@239.1.1.2'", "a source is an address of one host" },
                { "'239.1.1.1@fd00::1'", "a source of another family" },
                { "'ff02::1'", "an IPv6 group on an IPv4 socket" },
        };
        Kit kit;
        int control = begin(&kit);

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                json_auto_t *reply = kit_refused(
                        control, "OptionInvalid",
                        "{'network':'udp4','address':':3702','options':{'multicastGroups':[%s]}}",
                        table[i].groups);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "multicastGroups");
                cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), table[i].reason), NULL),
                          "%s", kit_text(reply, "parameters.reason"));
        }
        end(&kit, control);
}

/* D1: on a socket that anybody could take unicast datagrams from, nobody has it unless it is
 * asked for. */
Test(multicast, d1_reuse_address_is_for_what_is_bound_to_a_group) {
        static const struct {
                const char *request;
                int reuse_address;
        } table[] = {
                { "{'network':'udp4','address':'127.0.0.1:3702'}", 0 },
                { "{'network':'udp4','address':':3702','options':{'multicastGroups':['239.1.1.1%lo']}}",
                  0 },
                { "{'network':'udp4','address':'239.255.255.250:3702'}", 1 },
                { "{'network':'udp4','address':'239.255.255.250:3702','sharing':'shared'}", 1 },
                { "{'network':'udp4','address':'239.255.255.250:3702','sharing':'exclusive'}", 0 },
                { "{'network':'udp4','address':'239.255.255.250:3702','options':{'reuseAddress':false}}",
                  0 },
                { "{'network':'udp6','address':'[ff02::4242%lo]:3702'}", 1 },
        };
        Kit kit;
        int control = begin(&kit);

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                KitSocket held = kit_acquire(control, "%s", table[i].request);

                cr_assert(eq(int, kit_int_option(held.fd, SOL_SOCKET, SO_REUSEADDR),
                             table[i].reuse_address),
                          "%s", table[i].request);
                kit_release(control, &held);
        }
        end(&kit, control);
}

/* Go would bind the wildcard instead, and so get what is sent to any group at this port. */
Test(multicast, s3_15_what_is_bound_to_a_group_gets_that_group_alone) {
        Kit kit;
        int control = begin(&kit);
        KitSocket held = kit_acquire(control,
                                     "{'network':'udp4','address':'239.255.255.250:%d',"
                                     "'options':{'multicastGroups':['239.255.255.250%%lo']}}",
                                     PORT);
        KitSocket other = kit_acquire(control, ANYWHERE, PORT, "239.1.1.1%lo");

        KIT_EXPECT_TEXT(kit_address(&held), "239.255.255.250:3702");
        send_some("239.1.1.1");
        cr_assert(zero(sz, take_all(&held)));
        send_some("239.255.255.250");
        cr_assert(eq(sz, take_all(&held), DATAGRAMS));
        kit_release(control, &held);
        kit_release(control, &other);
        end(&kit, control);
}

/* As with any other program that listens there. */
Test(multicast, s3_15_a_group_is_shared_with_programs_that_know_no_broker) {
        const struct sockaddr_in address = { .sin_family = AF_INET,
                                             .sin_port = htons(PORT),
                                             .sin_addr.s_addr = htonl(0xeffffffa) };
        KitSocket held;
        Kit kit;
        int control = begin(&kit), fd;

        held = kit_acquire(control, "{'network':'udp4','address':'239.255.255.250:%d'}", PORT);
        cr_assert(zero(int, seteuid(KIT_OTHER_UID)));
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int))));
        cr_assert(zero(int, bind(fd, (const struct sockaddr *)&address, sizeof(address))), "%m");
        cr_assert(zero(int, seteuid(0)));
        close(fd);
        kit_release(control, &held);
        end(&kit, control);
}

Test(multicast, s3_17_each_process_gets_every_datagram) {
        KitSocket held[MEMBERS];
        int controls[MEMBERS];
        Kit kit;

        controls[0] = begin(&kit);
        for (size_t i = 0; i < MEMBERS; i++) {
                if (i > 0)
                        controls[i] = harness_connect(&kit.harness);
                held[i] = kit_acquire(controls[i], ANYWHERE, PORT, "239.255.255.250%lo");
        }
        kit_expect_members(controls[0], &held[0], MEMBERS);
        send_some("239.255.255.250");
        for (size_t i = 0; i < MEMBERS; i++)
                cr_assert(eq(sz, take_all(&held[i]), DATAGRAMS), "member %zu", i);
        for (size_t i = 0; i < MEMBERS; i++) {
                kit_release(controls[i], &held[i]);
                if (i > 0)
                        close(controls[i]);
        }
        end(&kit, controls[0]);
}

/* A member that is parked keeps what comes to it, and takes nothing from the others. */
Test(multicast, s3_17_a_parked_member_takes_nothing_away) {
        json_t *endpoint;
        KitSocket held[2];
        int controls[2];
        Kit kit;

        harness_private_network();
        kit_start(&kit, "[Broker]\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n");
        for (size_t i = 0; i < 2; i++) {
                controls[i] = harness_connect(&kit.harness);
                held[i] = kit_acquire(controls[i], ANYWHERE, PORT, "239.255.255.250%lo");
        }
        kit_drop(&held[1]);
        harness_hang_up(controls[1]);
        endpoint = kit_describe(controls[0], &held[0]);
        KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.state"), "parked");
        KIT_EXPECT_TEXT(kit_text(endpoint, "members.1.state"), "live");
        json_decref(endpoint);
        send_some("239.255.255.250");
        cr_assert(eq(sz, take_all(&held[0]), DATAGRAMS));
        kit_release(controls[0], &held[0]);
        close(controls[0]);
        harness_stop(&kit.harness);
}

/* By default the kernel gives a socket at a wildcard what is sent to any group that somebody
 * has joined. */
Test(multicast, s3_17_only_what_was_joined) {
        Kit kit;
        int control = begin(&kit);
        KitSocket one = kit_acquire(control, ANYWHERE, PORT, "239.1.1.1%lo");
        KitSocket other =
                kit_acquire(control,
                            "{'network':'udp4','address':'239.1.1.2:%d',"
                            "'options':{'multicastGroups':['239.1.1.2%%lo'],'reuseAddress':false}}",
                            PORT);

        send_some("239.1.1.2");
        cr_assert(zero(sz, take_all(&one)));
        cr_assert(eq(sz, take_all(&other), DATAGRAMS));
        send_some("239.1.1.1");
        cr_assert(eq(sz, take_all(&one), DATAGRAMS));
        cr_assert(zero(sz, take_all(&other)));
        kit_release(control, &one);
        kit_release(control, &other);
        end(&kit, control);
}

Test(multicast, one_source_and_no_other) {
        Kit kit;
        int control = begin(&kit), good, bad;
        KitSocket held = kit_acquire(control, ANYWHERE, PORT, "239.1.1.1%lo@127.0.0.7");

        good = sender(7);
        bad = sender(8);
        send_to_group(bad, "239.1.1.1");
        cr_assert(zero(sz, take_all(&held)));
        send_to_group(good, "239.1.1.1");
        cr_assert(eq(sz, take_all(&held), 1));
        close(good);
        close(bad);
        kit_release(control, &held);
        end(&kit, control);
}

Test(multicast, two_sources) {
        Kit kit;
        int control = begin(&kit);
        KitSocket held =
                kit_acquire(control, ANYWHERE, PORT, "239.1.1.1%lo@127.0.0.7','239.1.1.1%lo@127.0.0.8");

        for (unsigned last = 6; last < 10; last++) {
                int fd = sender(last);

                send_to_group(fd, "239.1.1.1");
                cr_assert(eq(sz, take_all(&held), last == 7 || last == 8), "127.0.0.%u", last);
                close(fd);
        }
        kit_release(control, &held);
        end(&kit, control);
}

/* lo brings everything back whatever is asked, so it is the option that is looked at. There is no route
 * to the group but by the interface that is named. */
Test(multicast, s3_16_loop_and_interface) {
        const struct sockaddr_in to = { .sin_family = AF_INET,
                                        .sin_port = htons(PORT),
                                        .sin_addr.s_addr = htonl(0xef010101) };
        Kit kit;
        int control = begin(&kit);
        KitSocket plain = kit_acquire(control, "{'network':'udp4','address':':0'}");
        KitSocket held = kit_acquire(control, "{'network':'udp4','address':':0','options':{"
                                              "'multicastLoop':false,'multicastInterface':'lo'}}");

        cr_assert(eq(int, kit_int_option(plain.fd, IPPROTO_IP, IP_MULTICAST_LOOP), 1));
        cr_assert(zero(int, kit_int_option(held.fd, IPPROTO_IP, IP_MULTICAST_LOOP)));
        cr_assert(
                lt(int, (int)sendto(plain.fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to)), 0));
        cr_assert(eq(int, errno, ENETUNREACH));
        cr_assert(eq(int, (int)sendto(held.fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to)), 1));
        kit_release(control, &plain);
        kit_release(control, &held);
        end(&kit, control);
}

/* ---- the program --------------------------------------------------------------------------------- */

static pid_t start_asking(int out) {
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        if (pid > 0)
                return pid;
        dup2(out, STDOUT_FILENO);
        execl(MULTICAST_PATH, "multicast", "127.0.0.1:12345", "239.255.255.250:3702", "20", NULL);
        _exit(127);
}

/* Answers who asks, until @n answers have arrived, by what comes out of @in. */
static void answer(const KitSocket *device, int in, size_t n) {
        char text[4096];
        size_t heard = 0;

        while (heard < n) {
                struct pollfd p[] = { { .fd = device->fd, .events = POLLIN },
                                      { .fd = in, .events = POLLIN } };
                struct sockaddr_in from;
                socklen_t size = sizeof(from);

                cr_assert(gt(int, poll(p, 2, KIT_PATIENCE_MSEC), 0));
                if (recvfrom(device->fd, text, sizeof(text), 0, (struct sockaddr *)&from, &size) > 0) {
                        cr_assert(eq(int, ntohs(from.sin_port), 12345));
                        cr_assert(eq(int,
                                     (int)sendto(device->fd, "me", 2, 0, (struct sockaddr *)&from, size),
                                     2));
                }
                if (p[1].revents) {
                        ssize_t got = read(in, text, sizeof(text) - 1);

                        cr_assert(gt(int, (int)got, 0));
                        text[got] = '\0';
                        cr_assert(ne(ptr, strstr(text, ":3702: me"), NULL), "%s", text);
                        heard++;
                }
        }
}

/* The second one could not be started in the text that this comes from: "bind: address already
 * in use". */
Test(multicast, s3_18_asks_from_the_port_it_listens_on_and_is_started_twice) {
        int control, out[2], status;
        KitSocket device;
        pid_t pids[2];
        Kit kit;

        control = begin(&kit);
        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", kit.harness.socket, 1)));
        device = kit_acquire(control, ANYWHERE, PORT, "239.255.255.250%lo");
        cr_assert(zero(int, pipe2(out, O_CLOEXEC)));
        for (size_t i = 0; i < 2; i++)
                pids[i] = start_asking(out[1]);
        close(out[1]);
        answer(&device, out[0], 4);
        for (size_t i = 0; i < 2; i++) {
                cr_assert(zero(int, waitpid(pids[i], &status, WNOHANG)), "it has ended");
                kill(pids[i], SIGKILL);
                waitpid(pids[i], &status, 0);
        }
        close(out[0]);
        kit_release(control, &device);
        close(control);
        harness_stop(&kit.harness);
}
