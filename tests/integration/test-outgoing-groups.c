/* SPDX-License-Identifier: BSD-2-Clause */

/* Dial beside groups that are steered: their flows are the members' all the same, by turns. */

#include "tests/integration/dial-kit.h"

enum {
        FLOWS = 60,
        N_DIALS = 40,
};

TestSuite(outgoing_groups, .timeout = 60);

typedef struct Steered {
        KitSocket members[3];
        Dialled bound[N_DIALS];
        Dialled connected;
        int accepted;
} Steered;

static Steered steered;

static void take(const KitSocket *member, bool dgram) {
        char byte;
        int fd;

        if (dgram) {
                cr_assert(eq(int, (int)recv(member->fd, &byte, 1, 0), 1));
                return;
        }
        fd = accept(member->fd, NULL, NULL);
        cr_assert(fd >= 0, "%m");
        close(fd);
}

/* One flow after the other: each is a member's, and by turns, so the program chose it. */
static void expect_turns(size_t n, bool dgram) {
        int counts[3] = { 0 };

        for (int i = 0; i < FLOWS; i++) {
                int client = kit_connect(steered.members[0].fd);
                struct pollfd p[3];
                size_t which = 0;

                if (dgram)
                        cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                for (size_t j = 0; j < n; j++)
                        p[j] = (struct pollfd){ .fd = steered.members[j].fd, .events = POLLIN };
                cr_assert(eq(int, poll(p, n, KIT_PATIENCE_MSEC), 1), "flow %d", i);
                while (!p[which].revents)
                        which++;
                take(&steered.members[which], dgram);
                counts[which]++;
                close(client);
        }
        for (size_t j = 0; j < n; j++)
                cr_assert(eq(int, counts[j], FLOWS / (int)n));
}

/* While sockets of Dial are bound and connected there, and when they have gone. */
static void expect_steered(const char *network, int family, const char *host, const char *at) {
        bool dgram = strncmp(network, "udp", 3) == 0;
        const char *peer = family == AF_INET ? host : at;
        struct sockaddr_storage address;
        char from[64];
        int control;

        begin(KIT_CONFIG);
        if (!kit_is_capable(scene.honest, "steer")) {
                scene_end(&scene);
                cr_skip_test("the broker cannot steer here");
        }
        kit_become(KIT_UID, 0);
        control = harness_connect(&scene.kit.harness);
        kit_become_root();
        server = kit_listen(family, host, dgram ? SOCK_DGRAM : SOCK_STREAM);
        kit_bound_address(server, &address);
        kit_address_text(&address, server_text);
        for (int i = 0; i < 2; i++)
                steered.members[i] = kit_acquire(
                        control, "{'network':'%s','address':'%s:%d','steering':'roundRobin'}", network,
                        at, i == 0 ? 0 : kit_port(&steered.members[0]));
        for (int i = 0; i < N_DIALS; i++)
                steered.bound[i] = kit_dial(control, "'network':'%s','remoteAddress':'%s:%d'", network,
                                            peer, 2000 + i);
        steered.connected =
                kit_dial(control, "'network':'%s','remoteAddress':'%s'", network, server_text);
        cr_assert(kit_true(steered.connected.reply, "reused"));
        snprintf(from, sizeof(from), "%s:%d", peer, kit_port(&steered.members[0]));
        if (!dgram)
                steered.accepted = kit_connect_from(&steered.connected, server, from);
        expect_turns(2, dgram);
        /* A member comes, with all of them there. */
        steered.members[2] = kit_acquire(control, "{'network':'%s','address':'%s'}", network,
                                         kit_address(&steered.members[0]));
        expect_turns(3, dgram);
        for (int i = 0; i < N_DIALS; i++)
                kit_hang_up(&steered.bound[i]);
        expect_turns(3, dgram);
        if (dgram)
                expect_talk(&steered.connected, from);
        else
                close(steered.accepted);
        kit_hang_up(&steered.connected);
        for (int i = 0; i < 3; i++)
                kit_release(control, &steered.members[i]);
        close(control);
        close(server);
        scene_end(&scene);
}

Test(outgoing_groups, steered_connections_go_on) {
        kit_require_root();
        expect_steered("tcp4", AF_INET, "127.0.0.1", "127.0.0.1");
}

Test(outgoing_groups, steered_connections_of_ipv6_go_on) {
        kit_require_root();
        expect_steered("tcp6", AF_INET6, "::1", "[::1]");
}

Test(outgoing_groups, steered_datagrams_to_a_wildcard_go_on) {
        kit_require_root();
        expect_steered("udp4", AF_INET, "127.0.0.1", "");
}

Test(outgoing_groups, steered_datagrams_of_ipv4_go_on) {
        harness_require_connected_found();
        kit_require_root();
        expect_steered("udp4", AF_INET, "127.0.0.1", "127.0.0.1");
}

Test(outgoing_groups, steered_datagrams_go_on) {
        kit_require_root();
        expect_steered("udp6", AF_INET6, "::1", "[::1]");
}

/* ---- after a broker was lost --------------------------------------------------------------------- */

/* What comes from a port is nobody's member: the next broker steers the group at once. */
static void expect_no_survivor(const char *network, int family, const char *host, const char *at) {
        bool dgram = strncmp(network, "udp", 3) == 0;
        struct sockaddr_storage address;
        Dialled dialled, bound;
        json_t *endpoint;
        char text[64];

        begin("[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule all]\nUser=*\n");
        if (!kit_is_capable(scene.honest, "steer")) {
                scene_end(&scene);
                cr_skip_test("the broker cannot steer here");
        }
        server = kit_listen(family, host, dgram ? SOCK_DGRAM : SOCK_STREAM);
        kit_bound_address(server, &address);
        kit_address_text(&address, server_text);
        steered.members[0] = kit_acquire(scene.honest, "{'network':'%s','address':'%s:0'}", network, at);
        snprintf(text, sizeof(text), "%s", kit_address(&steered.members[0]));
        dialled = kit_dial(scene.honest, "'network':'%s','remoteAddress':'%s'", network, server_text);
        bound = kit_dial(scene.honest, "'network':'%s','remoteAddress':'%s:9'", network, at);
        if (!dgram)
                steered.accepted = kit_connect_from(&dialled, server, text);
        kit_drop(&steered.members[0]);
        close(scene.honest);
        harness_kill(&scene.kit.harness);
        harness_restart(&scene.kit.harness);
        scene_ready(&scene);
        for (int i = 0; i < 2; i++)
                steered.members[i] = kit_acquire(
                        scene.honest, "{'network':'%s','address':'%s','steering':'roundRobin'}", network,
                        text);
        endpoint = kit_describe(scene.honest, &steered.members[0]);
        KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), "roundRobin");
        json_decref(endpoint);
        expect_turns(2, dgram);
        if (!dgram)
                close(steered.accepted);
        kit_hang_up(&bound);
        kit_hang_up(&dialled);
        for (int i = 0; i < 2; i++)
                kit_release(scene.honest, &steered.members[i]);
        close(server);
        scene_end(&scene);
}

Test(outgoing_groups, no_survivor_of_connections) {
        expect_no_survivor("tcp4", AF_INET, "127.0.0.1", "127.0.0.1");
}

Test(outgoing_groups, no_survivor_of_datagrams_of_ipv4) {
        expect_no_survivor("udp4", AF_INET, "127.0.0.1", "127.0.0.1");
}

Test(outgoing_groups, no_survivor_of_datagrams) {
        expect_no_survivor("udp6", AF_INET6, "::1", "[::1]");
}

/* What is left of an endpoint that has gone does not part the group that comes to be there. */
Test(outgoing_groups, founded_beside_what_is_left) {
        Dialled dialled;
        KitSocket held;
        char text[64];

        begin(KIT_CONFIG);
        if (!kit_is_capable(scene.honest, "steer")) {
                scene_end(&scene);
                cr_skip_test("the broker cannot steer here");
        }
        held = kit_acquire(scene.honest, "{'network':'udp4','address':'127.0.0.1:0',"
                                         "'sharing':'exclusive'}");
        snprintf(text, sizeof(text), "%s", kit_address(&held));
        dialled = kit_dial(scene.honest, "%s", TO("udp", "127.0.0.1:9"));
        kit_expect_origin(&dialled, "udp4", text, true);
        kit_release(scene.honest, &held);
        /* Its port is nobody else's for as long. */
        json_decref(kit_refused(scene.honest, "AddressInUse",
                                "{'network':'udp4','address':'%s','sharing':'exclusive'}", text));
        for (size_t i = 0; i < 3; i++) {
                steered.members[i] = kit_acquire(scene.honest,
                                                 "{'network':'udp4','address':'%s',"
                                                 "'steering':'roundRobin'}",
                                                 text);
                expect_turns(i + 1, true);
        }
        kit_hang_up(&dialled);
        expect_turns(3, true);
        for (int i = 0; i < 3; i++)
                kit_release(scene.honest, &steered.members[i]);
        scene_end(&scene);
}
