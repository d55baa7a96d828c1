/* SPDX-License-Identifier: BSD-2-Clause */

/* Dial of datagrams: they come connected, and what comes from elsewhere is not theirs. */

#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "tests/integration/dial-kit.h"

enum {
        N_DIALS = 40,
};

static void begin_with_receiver(int family, const char *host) {
        struct sockaddr_storage address;

        begin(KIT_CONFIG);
        server = kit_listen(family, host, SOCK_DGRAM);
        kit_bound_address(server, &address);
        kit_address_text(&address, server_text);
}

static Dialled dial_receiver(void) {
        return kit_dial(scene.honest, "'network':'udp','remoteAddress':'%s'", server_text);
}

TestSuite(outgoing_datagrams, .timeout = 60);

/* ---- where they come from ------------------------------------------------------------------------ */

static void expect_from(int family, const char *host, const char *endpoint, const char *network,
                        const char *origin_host) {
        char origin[64], seen[64];
        Dialled dialled;
        KitSocket held;

        begin_with_receiver(family, host);
        held = kit_acquire(scene.honest, "%s", endpoint);
        dialled = dial_receiver();
        snprintf(origin, sizeof(origin), "%s:%d", origin_host, kit_port(&held));
        snprintf(seen, sizeof(seen), "%s%s%s:%d", family == AF_INET ? "" : "[", host,
                 family == AF_INET ? "" : "]", kit_port(&held));
        kit_expect_origin(&dialled, network, origin, true);
        expect_talk(&dialled, seen);
        kit_expect_served(held.fd);
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        close(server);
        scene_end(&scene);
}

Test(outgoing_datagrams, s1_11_specific_by_route) {
        expect_from(AF_INET, "10.9.9.1", "{'network':'udp4','address':'10.9.9.1:0','sharing':'shared'}",
                    "udp4", "10.9.9.1");
}

Test(outgoing_datagrams, s1_11_specific_by_route_from_a_group) {
        harness_require_connected_found();
        expect_from(AF_INET, "10.9.9.1", "{'network':'udp4','address':'10.9.9.1:0'}", "udp4",
                    "10.9.9.1");
}

Test(outgoing_datagrams, s1_11_specific_by_route_of_ipv6) {
        expect_from(AF_INET6, "fd09::1", "{'network':'udp6','address':'[fd09::1]:0'}", "udp6",
                    "[fd09::1]");
}

Test(outgoing_datagrams, s1_12_loopback_from_an_exclusive_one) {
        expect_from(AF_INET, "127.0.0.1",
                    "{'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive'}", "udp4",
                    "127.0.0.1");
}

Test(outgoing_datagrams, s1_12_loopback_from_a_shared_one) {
        expect_from(AF_INET, "127.0.0.1",
                    "{'network':'udp4','address':'127.0.0.1:0','sharing':'shared'}", "udp4",
                    "127.0.0.1");
}

Test(outgoing_datagrams, s1_12_loopback_from_a_group) {
        harness_require_connected_found();
        expect_from(AF_INET, "127.0.0.1", "{'network':'udp4','address':'127.0.0.1:0'}", "udp4",
                    "127.0.0.1");
}

Test(outgoing_datagrams, s1_13_wildcard) {
        expect_from(AF_INET, "10.9.9.1", "{'network':'udp','address':':0'}", "udp4", "0.0.0.0");
}

Test(outgoing_datagrams, s1_13_wildcard_of_ipv6) {
        expect_from(AF_INET6, "fd09::1", "{'network':'udp','address':':0','sharing':'exclusive'}",
                    "udp6", "[::]");
}

/* 3.14: there is one peer, until its holder says otherwise. */
Test(outgoing_datagrams, s3_14_connected) {
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        Dialled dialled;
        char text[64];

        begin_with_receiver(AF_INET, "127.0.0.1");
        dialled = dial_receiver();
        kit_expect_origin(&dialled, "udp4", NULL, false);
        cr_assert(zero(int, getpeername(dialled.fd, (struct sockaddr *)&address, &size)));
        KIT_EXPECT_TEXT(kit_address_text(&address, text), server_text);
        kit_hang_up(&dialled);
        dialled = kit_dial(scene.honest,
                           "'network':'udp','remoteAddress':'%s','localAddress':'127.0.0.2:0'",
                           server_text);
        kit_bound_address(dialled.fd, &address);
        kit_expect_origin(&dialled, "udp4", kit_address_text(&address, text), false);
        expect_talk(&dialled, text);
        kit_hang_up(&dialled);
        close(server);
        scene_end(&scene);
}

/* However it was made, it is what was asked for, also to who asks the kernel. */
Test(outgoing_datagrams, s1_11_a_socket_of_ipv4) {
        struct sockaddr_storage address;
        Dialled dialled;
        KitSocket held;

        harness_require_connected_found();
        begin_with_receiver(AF_INET, "127.0.0.1");
        held = kit_acquire(scene.honest, "{'network':'udp4','address':'127.0.0.1:0'}");
        dialled = kit_dial(scene.honest,
                           "'network':'udp','remoteAddress':'%s','options':{'typeOfService':32,"
                           "'timeToLive':9,'packetInfo':true,'freeBind':true,'receiveBuffer':65536}",
                           server_text);
        kit_expect_origin(&dialled, "udp4", kit_address(&held), true);
        cr_assert(eq(int, (int)kit_bound_address(dialled.fd, &address), sizeof(struct sockaddr_in)));
        cr_assert(eq(int, address.ss_family, AF_INET));
        cr_assert(eq(int, kit_int_option(dialled.fd, SOL_SOCKET, SO_DOMAIN), AF_INET));
        cr_assert(eq(int, kit_int_option(dialled.fd, SOL_IP, IP_TOS), 32));
        cr_assert(eq(int, kit_int_option(dialled.fd, SOL_IP, IP_TTL), 9));
        cr_assert(eq(int, kit_int_option(dialled.fd, SOL_IP, IP_PKTINFO), 1));
        cr_assert(eq(int, kit_int_option(dialled.fd, SOL_IP, IP_FREEBIND), 1));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        close(server);
        scene_end(&scene);
}

/* D1: with SO_REUSEADDR any user could take what comes. */
Test(outgoing_datagrams, d1_no_address_to_be_reused) {
        Dialled dialled;
        KitSocket held;

        begin_with_receiver(AF_INET, "127.0.0.1");
        held = kit_acquire(scene.honest, "{'network':'udp4','address':':0'}");
        dialled = dial_receiver();
        cr_assert(zero(int, kit_int_option(dialled.fd, SOL_SOCKET, SO_REUSEADDR)));
        cr_assert(eq(int, kit_int_option(dialled.fd, SOL_SOCKET, SO_REUSEPORT), 1));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        close(server);
        scene_end(&scene);
}

/* ---- what is not for them ------------------------------------------------------------------------ */

/* Datagrams of third parties are the endpoint's, all of them, also while sockets come and go
 * beside it. */
static void expect_third_parties(int family, const char *host, const char *endpoint) {
        Dialled dialled[N_DIALS];
        KitSocket held;
        char byte;

        begin_with_receiver(family, host);
        held = kit_acquire(scene.honest, "%s", endpoint);
        for (int i = 0; i < N_DIALS; i++) {
                dialled[i] = dial_receiver();
                cr_assert(kit_true(dialled[i].reply, "reused"));
                kit_expect_served(held.fd);
        }
        for (int i = 0; i < N_DIALS; i++) {
                cr_assert(eq(int, (int)recv(dialled[i].fd, &byte, 1, 0), -1));
                cr_assert(eq(int, errno, EAGAIN));
                kit_hang_up(&dialled[i]);
        }
        kit_release(scene.honest, &held);
        close(server);
        scene_end(&scene);
}

#define GROUP_OF_ALL "{'network':'udp4','address':':0'}"
#define GROUP_OF_ONE "{'network':'udp6','address':'[::1]:0'}"
#define GROUP_OF_ONE_OF_IPV4 "{'network':'udp4','address':'127.0.0.1:0'}"
#define GROUP_OF_BOTH "{'network':'udp','address':':0'}"
#define EXCLUSIVE "{'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive'}"

Test(outgoing_datagrams, third_parties_of_a_wildcard_s_group) {
        expect_third_parties(AF_INET, "127.0.0.1", GROUP_OF_ALL);
}

Test(outgoing_datagrams, third_parties_of_a_group) {
        expect_third_parties(AF_INET6, "::1", GROUP_OF_ONE);
}

Test(outgoing_datagrams, third_parties_of_a_group_of_ipv4) {
        harness_require_connected_found();
        expect_third_parties(AF_INET, "127.0.0.1", GROUP_OF_ONE_OF_IPV4);
}

Test(outgoing_datagrams, third_parties_of_an_exclusive_one) {
        expect_third_parties(AF_INET, "127.0.0.1", EXCLUSIVE);
}

static void send_without_end(const struct sockaddr_storage *address, socklen_t size) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
                int fd = socket(address->ss_family, SOCK_DGRAM, 0);

                (void)!sendto(fd, "z", 1, 0, (const struct sockaddr *)address, size);
                close(fd);
        }
}

/* Who sends without end sends nothing to a socket that is bound and not connected yet. */
static void expect_deaf(int family, const char *host, const char *endpoint) {
        struct sockaddr_storage address;
        KitSocket held;
        socklen_t size;
        pid_t pid;

        begin_with_receiver(family, host);
        held = kit_acquire(scene.honest, "%s", endpoint);
        size = kit_bound_address(held.fd, &address);
        if (family == AF_INET)
                ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0)
                send_without_end(&address, size);
        for (int i = 0; i < 300; i++) {
                Dialled dialled = dial_receiver();
                char byte;

                cr_assert(eq(int, (int)recv(dialled.fd, &byte, 1, 0), -1));
                kit_hang_up(&dialled);
        }
        kill(pid, SIGKILL);
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
        kit_release(scene.honest, &held);
        close(server);
        scene_end(&scene);
}

Test(outgoing_datagrams, t7_nothing_before_it_is_connected_from_a_wildcard) {
        expect_deaf(AF_INET, "127.0.0.1", GROUP_OF_ALL);
}

Test(outgoing_datagrams, t7_nothing_before_it_is_connected_from_a_group) {
        expect_deaf(AF_INET6, "::1", GROUP_OF_ONE);
}

Test(outgoing_datagrams, t7_nothing_before_it_is_connected_from_a_group_of_ipv4) {
        expect_deaf(AF_INET, "127.0.0.1", GROUP_OF_ONE_OF_IPV4);
}

Test(outgoing_datagrams, t7_nothing_before_it_is_connected_from_a_group_of_both) {
        expect_deaf(AF_INET, "127.0.0.1", GROUP_OF_BOTH);
}

Test(outgoing_datagrams, t7_nothing_before_it_is_connected_beside_an_exclusive_one) {
        expect_deaf(AF_INET, "127.0.0.1", EXCLUSIVE);
}

/* Nothing stays that the kernel would find before the one that is connected. */
Test(outgoing_datagrams, group_that_is_not_steered_is_not_lent) {
        Dialled dialled;
        KitSocket held;

        harness_global_network();
        scene_begin_as_set(&scene, KIT_CONFIG,
                           &(Harness){ .uid = geteuid(), .program = REUSEPORTD_BARE_PATH });
        held = kit_acquire(scene.honest, "{'network':'udp6','address':'[::1]:0'}");
        json_decref(kit_dial_refused(scene.honest, "NotSupported", "%s,'localAddress':'%s'",
                                     TO("udp", "[::1]:9"), kit_address(&held)));
        dialled = kit_dial(scene.honest, "%s", TO("udp", "[::1]:9"));
        kit_expect_origin(&dialled, "udp6", NULL, false);
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        scene_end(&scene);
}

/* Steered, there is the sentinel, also where the connected one is made beside the only member. */
static void expect_not_parted(bool from_wildcard) {
        KitSocket first, second, third, wildcard;
        Dialled dialled;
        size_t n;

        begin_with_receiver(AF_INET6, "::1");
        if (!kit_is_capable(scene.honest, "steer"))
                cr_skip_test("the broker cannot steer here");
        first = kit_acquire(scene.honest, "{'network':'udp6','address':'[::1]:0'}");
        wildcard = kit_acquire(scene.honest, "{'network':'udp','address':':%d'}", kit_port(&first));
        dialled = kit_dial(scene.honest, "'network':'udp','remoteAddress':'%s','localAddress':'%s:%d'",
                           server_text, from_wildcard ? "" : "[::1]", kit_port(&first));
        cr_assert(kit_true(dialled.reply, "reused"));
        second = kit_acquire(scene.honest, "{'network':'udp6','address':'%s'}", kit_address(&first));
        kit_expect_both_served(first.fd, second.fd);
        n = harness_broker_fds(&scene.kit.harness);
        kit_release(scene.honest, &first);
        harness_expect_broker_fds(&scene.kit.harness, n - 1);
        third = kit_acquire(scene.honest, "{'network':'udp6','address':'%s'}", kit_address(&second));
        kit_expect_both_served(second.fd, third.fd);
        kit_hang_up(&dialled);
        kit_release(scene.honest, &third);
        kit_release(scene.honest, &second);
        kit_release(scene.honest, &wildcard);
        close(server);
        scene_end(&scene);
}

Test(outgoing_datagrams, group_is_not_parted_when_its_first_member_goes) {
        expect_not_parted(false);
}

Test(outgoing_datagrams, group_is_not_parted_by_who_comes_from_a_wildcard) {
        expect_not_parted(true);
}

static volatile int *dials_over;

/* Sends until it is told that the dials are over. Returns how many. */
static int send_until_over(const struct sockaddr_storage *address, socklen_t size) {
        int fds[16], n = 0;

        for (int i = 0; i < 16; i++)
                fds[i] = socket(address->ss_family, SOCK_DGRAM, 0);
        for (; !*dials_over; n++)
                if (sendto(fds[n % 16], "z", 1, 0, (const struct sockaddr *)address, size) != 1)
                        _exit(1);
        return n;
}

static int count_taken(int fd) {
        int n = 0;
        char byte;

        while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
                n++;
        return n;
}

/* Not steered, too: of what comes to a port of IPv4 while sockets are made beside it, all is the
 * endpoint's. */
static void expect_nothing_lost(const char *endpoint) {
        struct sockaddr_storage address;
        KitSocket held;
        socklen_t size;
        int *sent, got = 0;
        pid_t pid;

        harness_require_connected_found();
        harness_global_network();
        scene_begin_as_set(&scene, KIT_CONFIG, &(Harness){ .uid = geteuid(), .no_bpf = true });
        server = kit_listen(AF_INET, "127.0.0.1", SOCK_DGRAM);
        size = kit_bound_address(server, &address);
        kit_address_text(&address, server_text);
        held = kit_acquire(scene.honest, "%s", endpoint);
        ((struct sockaddr_in *)&address)->sin_port = htons((uint16_t)kit_port(&held));
        sent = mmap(NULL, 2 * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        cr_assert(ne(ptr, sent, MAP_FAILED));
        cr_assert(zero(int,
                       setsockopt(held.fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 1 << 28 }, sizeof(int))));
        dials_over = sent + 1;
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                *sent = send_until_over(&address, size);
                _exit(0);
        }
        for (int i = 0; i < 300; i++) {
                Dialled dialled = dial_receiver();

                cr_assert(kit_true(dialled.reply, "reused"));
                got += count_taken(held.fd);
                kit_hang_up(&dialled);
        }
        *dials_over = 1;
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
        got += count_taken(held.fd);
        cr_assert(eq(int, got, *sent));
        munmap(sent, 2 * sizeof(int));
        kit_release(scene.honest, &held);
        close(server);
        scene_end(&scene);
}

Test(outgoing_datagrams, nothing_lost_of_a_group_of_ipv4) {
        kit_require_root();
        expect_nothing_lost(GROUP_OF_ONE_OF_IPV4);
}

Test(outgoing_datagrams, nothing_lost_of_a_group_of_both) {
        kit_require_root();
        expect_nothing_lost(GROUP_OF_BOTH);
}

Test(outgoing_datagrams, nothing_lost_of_a_wildcard_s_group) {
        kit_require_root();
        expect_nothing_lost(GROUP_OF_ALL);
}

Test(outgoing_datagrams, nothing_lost_of_an_exclusive_one) {
        kit_require_root();
        expect_nothing_lost(EXCLUSIVE);
}

/* ---- holders ------------------------------------------------------------------------------------- */

/* Nobody else can bind beside it, and its holder steers nothing. */
Test(outgoing_datagrams, t3_no_program_of_a_holder_s) {
        struct sock_filter nobody = { .code = BPF_RET | BPF_K, .k = 0 };
        struct sock_fprog program = { .len = 1, .filter = &nobody };
        Dialled dialled;
        KitSocket held;

        begin_with_receiver(AF_INET, "127.0.0.1");
        held = kit_acquire(scene.honest,
                           "{'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive'}");
        dialled = dial_receiver();
        cr_assert(eq(
                int,
                setsockopt(dialled.fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)),
                -1));
        cr_assert(eq(int, errno, EPERM));
        cr_assert(eq(int,
                     setsockopt(dialled.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
                     -1));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        close(server);
        scene_end(&scene);
}
