/* SPDX-License-Identifier: BSD-2-Clause */

/* Dial of datagrams beside groups, which the kernel keeps whole: whoever joins later has a share. */

#include "tests/integration/dial-kit.h"

enum {
        FLOWS = 60,
        N_DIALS = 40,
};

TestSuite(outgoing_apart, .timeout = 60);

static int bind_member(int family, const struct sockaddr_storage *address, socklen_t size) {
        int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int))));
        cr_assert(bind(fd, (const struct sockaddr *)address, size) == 0, "%m");
        return fd;
}

/* Of two members, with one connected socket bound in between: how many of the flows the first has.
 * @aside: of IPv4, it is made as the broker makes it. */
static int share_of_first(int family, const char *host, bool aside) {
        struct sockaddr_storage address, place, peer;
        struct sockaddr_in6 *mapped = (struct sockaddr_in6 *)&place;
        socklen_t size;
        int to, fds[3], n = 0;
        char byte;

        to = kit_listen(family, host, SOCK_DGRAM);
        fds[0] = kit_listen(family, host, SOCK_DGRAM);
        size = kit_bound_address(fds[0], &address);
        kit_bound_address(to, &peer);
        close(fds[0]);
        fds[0] = bind_member(family, &address, size);
        place = address;
        if (aside) {
                *mapped =
                        (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = mapped->sin6_port };
                cr_assert(eq(int, inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped->sin6_addr), 1));
        }
        fds[1] = bind_member(place.ss_family, &place, aside ? sizeof(*mapped) : size);
        cr_assert(zero(int, connect(fds[1], (struct sockaddr *)&peer, size)));
        if (aside)
                cr_assert(zero(int, setsockopt(fds[1], SOL_IPV6, IPV6_ADDRFORM, &(int){ AF_INET },
                                               sizeof(int))));
        fds[2] = bind_member(family, &address, size);
        for (int i = 0; i < FLOWS; i++) {
                int client = kit_connect(fds[0]);

                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                n += recv(fds[0], &byte, 1, MSG_DONTWAIT) == 1;
                close(client);
        }
        for (int i = 0; i < 3; i++)
                close(fds[i]);
        close(to);
        return n;
}

/* The first that is bound is found first. Of IPv4 it has nothing any more, since Linux 6.13. */
Test(outgoing_apart, a_connected_socket_of_ipv6_does_not_part_a_group_from_its_first) {
        int n;

        harness_private_network();
        n = share_of_first(AF_INET6, "::1", false);
        cr_assert(n > 0 && n < FLOWS, "%d", n);
}

Test(outgoing_apart, a_connected_socket_made_aside_does_not_part_a_group) {
        int n;

        harness_private_network();
        n = share_of_first(AF_INET, "127.0.0.1", true);
        cr_assert(n > 0 && n < FLOWS, "%d", n);
}

/* One after the other: those that came while sockets were dialled, and those that come when they have
 * gone, are of one group. */
static void expect_all_members(const KitSocket *members, size_t n) {
        int counts[4] = { 0 }, sum = 0;
        char byte;

        for (int i = 0; i < FLOWS; i++) {
                int client = kit_connect(members[0].fd);

                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                close(client);
        }
        for (size_t i = 0; i < n; i++) {
                while (recv(members[i].fd, &byte, 1, MSG_DONTWAIT) == 1)
                        counts[i]++;
                cr_assert(counts[i] > 0, "member %zu of %zu", i, n);
                sum += counts[i];
        }
        cr_assert(eq(int, sum, FLOWS));
}

/* The kernel chooses members, not the broker: it is the kernel's group that is looked at. */
static void expect_one_group(const char *host) {
        Dialled dialled[N_DIALS];
        KitSocket members[4];
        char text[64];

        harness_global_network();
        scene_begin_as_set(&scene, KIT_CONFIG, &(Harness){ .uid = geteuid(), .no_bpf = true });
        members[0] = kit_acquire(scene.honest, "{'network':'udp4','address':'%s:0'}", host);
        for (int i = 0; i < N_DIALS; i++) {
                dialled[i] = kit_dial(scene.honest, "'network':'udp4','remoteAddress':'127.0.0.1:%d'",
                                      2000 + i);
                cr_assert(kit_true(dialled[i].reply, "reused"));
        }
        snprintf(text, sizeof(text), "{'network':'udp4','address':'%s:%d'}", host,
                 kit_port(&members[0]));
        for (size_t i = 1; i < 3; i++) {
                members[i] = kit_acquire(scene.honest, "%s", text);
                expect_all_members(members, i + 1);
        }
        /* Who was there before them goes. */
        kit_release(scene.honest, &members[0]);
        members[0] = kit_acquire(scene.honest, "%s", text);
        expect_all_members(members, 3);
        for (int i = 0; i < N_DIALS; i++)
                kit_hang_up(&dialled[i]);
        members[3] = kit_acquire(scene.honest, "%s", text);
        expect_all_members(members, 4);
        for (int i = 0; i < 4; i++)
                kit_release(scene.honest, &members[i]);
        scene_end(&scene);
}

Test(outgoing_apart, s1_12_members_come_beside_sockets_of_ipv4) {
        harness_require_connected_found();
        kit_require_root();
        expect_one_group("127.0.0.1");
}

Test(outgoing_apart, s1_13_members_come_beside_sockets_of_a_wildcard) {
        kit_require_root();
        expect_one_group("");
}

/* Where the kernel has no room for them. */
Test(outgoing_apart, group_at_an_address_of_ipv4_is_not_lent_without_ipv6) {
        Dialled dialled;
        KitSocket held, wildcard;

        harness_global_network();
        scene_begin_as_set(&scene, KIT_CONFIG, &(Harness){ .uid = geteuid(), .no_ipv6 = true });
        held = kit_acquire(scene.honest, "{'network':'udp4','address':'127.0.0.1:0'}");
        json_decref(kit_dial_refused(scene.honest, "NotSupported", "%s,'localAddress':'%s'",
                                     TO("udp", "127.0.0.1:9"), kit_address(&held)));
        dialled = kit_dial(scene.honest, "%s", TO("udp", "127.0.0.1:9"));
        kit_expect_origin(&dialled, "udp4", NULL, false);
        kit_hang_up(&dialled);
        wildcard = kit_acquire(scene.honest, "{'network':'udp4','address':':%d'}", kit_port(&held));
        /* Nor is a wildcard, if that is where its socket would come to be. */
        dialled = kit_dial(scene.honest, "%s", TO("udp", "127.0.0.1:9"));
        kit_expect_origin(&dialled, "udp4", NULL, false);
        kit_hang_up(&dialled);
        json_decref(kit_dial_refused(scene.honest, "NotSupported", "%s,'localAddress':':%d'",
                                     TO("udp", "127.0.0.1:9"), kit_port(&wildcard)));
        dialled = kit_dial(scene.honest, "%s", TO("udp", "10.9.9.1:9"));
        cr_assert(kit_true(dialled.reply, "reused"));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &wildcard);
        kit_release(scene.honest, &held);
        scene_end(&scene);
}

Test(outgoing_apart, s1_13_group_where_a_wildcard_s_socket_comes_to_be) {
        struct sockaddr_storage address;
        KitSocket wildcard, held[2];
        Dialled dialled;
        char from[64];

        harness_require_connected_found();
        begin(KIT_CONFIG);
        server = kit_listen(AF_INET, "127.0.0.1", SOCK_DGRAM);
        kit_bound_address(server, &address);
        wildcard = kit_acquire(scene.honest, "{'network':'udp','address':':0'}");
        snprintf(from, sizeof(from), "127.0.0.1:%d", kit_port(&wildcard));
        held[0] = kit_acquire(scene.honest, "{'network':'udp4','address':'%s'}", from);
        dialled = kit_dial(scene.honest, "'network':'udp4','remoteAddress':'%s','localAddress':':%d'",
                           kit_address_text(&address, server_text), kit_port(&wildcard));
        cr_assert(kit_true(dialled.reply, "reused"));
        expect_talk(&dialled, from);
        held[1] = kit_acquire(scene.honest, "{'network':'udp4','address':'%s'}", from);
        expect_all_members(held, 2);
        kit_hang_up(&dialled);
        for (int i = 0; i < 2; i++)
                kit_release(scene.honest, &held[i]);
        kit_release(scene.honest, &wildcard);
        close(server);
        scene_end(&scene);
}

/* What was lent and is kept for the next client, where others may be connected from it, as a group: */
static void expect_kept(bool aside) {
        KitSocket held, again;
        Dialled dialled;
        int control;

        harness_global_network();
        scene_begin_as_set(&scene, "[Broker]\nSocketMode=0666\n[Rule all]\nUser=*\n",
                           &(Harness){ .uid = geteuid(), .no_ipv6 = !aside });
        control = scene_connect(&scene);
        held = kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive',"
                                    "'retainSec':3600}");
        dialled = kit_dial(control, "%s,'localAddress':'%s'", TO("udp", "127.0.0.1:9"),
                           kit_address(&held));
        cr_assert(kit_true(dialled.reply, "reused"));
        harness_hang_up(control);
        if (!aside)
                json_decref(kit_refused(scene.honest, "AddressInUse",
                                        "{'network':'udp4','address':'%s'}", kit_address(&held)));
        close(held.fd);
        control = scene_connect(&scene);
        again = kit_acquire(control, "{'network':'udp4','address':'%s','sharing':'%s'}",
                            kit_address(&held), aside ? "group" : "exclusive");
        cr_assert(kit_true(again.reply, "adopted"));
        if (aside) {
                KitSocket members[2] = { again };

                members[1] =
                        kit_acquire(control, "{'network':'udp4','address':'%s'}", kit_address(&held));
                expect_all_members(members, 2);
                kit_release(control, &members[1]);
        }
        kit_release(control, &again);
        kit_hang_up(&dialled);
        json_decref(held.reply);
        close(control);
        scene_end(&scene);
}

Test(outgoing_apart, what_was_lent_without_ipv6_becomes_no_group) {
        expect_kept(false);
}

Test(outgoing_apart, what_was_lent_becomes_a_group) {
        harness_require_connected_found();
        expect_kept(true);
}
