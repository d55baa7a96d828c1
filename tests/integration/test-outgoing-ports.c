/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dial: from the port that the call names, and beside each kind of endpoint, whose traffic it leaves
 * alone.
 */

#include <netinet/tcp.h>

#include "tests/integration/dial-kit.h"

TestSuite(outgoing_ports, .timeout = 60);

/* ---- as the call says ---------------------------------------------------------------------------- */

Test(outgoing_ports, s1_16_no_port_is_shared_if_asked_so) {
        static const char *const none[] = { ":0", "0.0.0.0:0", "[::]:0", ":" };
        KitSocket held;

        begin_with_server(AF_INET, "127.0.0.1");
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        for (size_t i = 0; i < ELEMENTS(none); i++) {
                Dialled dialled = kit_dial(scene.honest,
                                           "'network':'tcp','remoteAddress':'%s','localAddress':'%s'",
                                           server_text, none[i]);

                kit_expect_origin(&dialled, "tcp4", NULL, false);
                cr_assert(zero(int, kit_int_option(dialled.fd, SOL_SOCKET, SO_REUSEPORT)));
                close(kit_connect_from(&dialled, server, NULL));
                kit_hang_up(&dialled);
        }
        kit_release(scene.honest, &held);
        end_with_server();
}

Test(outgoing_ports, from_an_address_with_a_port_of_the_kernel_s) {
        Dialled dialled;
        char text[64];
        struct sockaddr_storage address;

        begin_with_server(AF_INET, "127.0.0.1");
        dialled = kit_dial(scene.honest,
                           "'network':'tcp','remoteAddress':'%s','localAddress':'127.0.0.2:0'",
                           server_text);
        kit_expect_origin(&dialled, "tcp4", "127.0.0.2:0", false);
        close(kit_connect_from(&dialled, server, NULL));
        kit_bound_address(dialled.fd, &address);
        kit_address_text(&address, text);
        cr_assert(strncmp(text, "127.0.0.2:", 10) == 0 && strcmp(text, "127.0.0.2:0") != 0, "%s", text);
        kit_hang_up(&dialled);
        end_with_server();
}

Test(outgoing_ports, from_a_port_that_nobody_has) {
        int foreign, port;
        Dialled dialled;
        char text[64];

        begin_with_server(AF_INET, "127.0.0.1");
        foreign = kit_listen(AF_INET, "127.0.0.1", SOCK_STREAM);
        port = kit_port_of(foreign);
        close(foreign);
        snprintf(text, sizeof(text), "127.0.0.1:%d", port);
        dialled = kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s','localAddress':'%s'",
                           server_text, text);
        kit_expect_origin(&dialled, "tcp4", text, false);
        close(kit_connect_from(&dialled, server, text));
        kit_hang_up(&dialled);
        end_with_server();
}

/* A wildcard has its port at each address, and only there. */
Test(outgoing_ports, from_an_address_of_a_wildcard_s) {
        KitSocket wildcard, specific;
        Dialled dialled;
        char text[64];

        begin_with_server(AF_INET, "127.0.0.1");
        wildcard = kit_acquire(scene.honest, "{'network':'tcp','address':':0'}");
        specific = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(text, sizeof(text), "127.0.0.3:%d", kit_port(&wildcard));
        dialled = kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s','localAddress':'%s'",
                           server_text, text);
        kit_expect_origin(&dialled, "tcp4", text, true);
        close(kit_connect_from(&dialled, server, text));
        kit_hang_up(&dialled);
        json_decref(kit_dial_refused(scene.honest, "AddressInUse",
                                     "'network':'tcp','remoteAddress':'%s','localAddress':':%d'",
                                     server_text, kit_port(&specific)));
        kit_release(scene.honest, &wildcard);
        kit_release(scene.honest, &specific);
        end_with_server();
}

/* ---- beside each kind of endpoint ---------------------------------------------------------------- */

static KitSocket hold(const char *network, const char *sharing) {
        return kit_acquire(scene.honest, "{'network':'%s','address':'127.0.0.1:0','sharing':'%s'}",
                           network, sharing);
}

static Dialled dial_server(int control) {
        return kit_dial(control, "'network':'tcp','remoteAddress':'%s'", server_text);
}

/* D3: the client could not do it itself, though it holds the listener. Two to one server are one too
 * many (1.18); to two they are not. */
static void expect_beside(const char *sharing) {
        Dialled first, second, third;
        int other_server, accepted[2];
        KitSocket held;

        begin_with_server(AF_INET, "127.0.0.1");
        other_server = kit_listen(AF_INET, "127.0.0.1", SOCK_STREAM);
        held = hold("tcp4", sharing);
        first = dial_server(scene.honest);
        second = dial_server(scene.honest);
        third = dial_server(scene.honest);
        kit_expect_origin(&first, "tcp4", kit_address(&held), true);
        accepted[0] = kit_connect_from(&first, server, kit_address(&held));
        accepted[1] = kit_connect_from(&second, other_server, kit_address(&held));
        {
                struct sockaddr_storage address;
                socklen_t size = kit_bound_address(server, &address);

                cr_assert(eq(int, connect(third.fd, (struct sockaddr *)&address, size), -1));
                cr_assert(eq(int, errno, EADDRNOTAVAIL));
        }
        kit_expect_served(held.fd);
        close(accepted[0]);
        close(accepted[1]);
        kit_hang_up(&first);
        kit_hang_up(&second);
        kit_hang_up(&third);
        close(other_server);
        kit_release(scene.honest, &held);
        end_with_server();
}

Test(outgoing_ports, d3_from_a_group_s) {
        expect_beside("group");
}

Test(outgoing_ports, d3_from_an_exclusive_one_s) {
        expect_beside("exclusive");
}

Test(outgoing_ports, d3_from_a_shared_one_s) {
        expect_beside("shared");
}

typedef struct Attempt {
        struct sockaddr_storage address;
        socklen_t size;
        int type;
} Attempt;

/* Every way of binding to where an endpoint is. Returns how many there are. */
static int bind_beside(void *userdata) {
        const Attempt *attempt = userdata;
        int n_bound = 0;

        for (int i = 0; i < 4; i++) {
                int fd = socket(attempt->address.ss_family, attempt->type, 0);

                setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ i & 1 }, sizeof(int));
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ i >> 1 }, sizeof(int));
                n_bound += bind(fd, (const struct sockaddr *)&attempt->address, attempt->size) == 0;
                close(fd);
        }
        return n_bound;
}

static void expect_not_beside(const KitSocket *held, uid_t uid) {
        Attempt attempt = { .type = kit_int_option(held->fd, SOL_SOCKET, SO_TYPE) };

        attempt.size = kit_bound_address(held->fd, &attempt.address);
        cr_assert(zero(int, harness_run_as(uid, bind_beside, &attempt)));
}

/* T2: what is lent to the broker's own is lent to nobody else, and no holder listens with it. */
static void expect_closed_to_others(const char *sharing) {
        Dialled bound, connected;
        KitSocket held;
        int client, accepted;

        kit_require_root();
        begin_with_server(AF_INET, "127.0.0.1");
        client = kit_connect_as(&scene.kit, KIT_UID, 0);
        held = kit_acquire(client, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'%s'}", sharing);
        bound = dial_server(client);
        connected = dial_server(client);
        accepted = kit_connect_from(&connected, server, kit_address(&held));
        expect_not_beside(&held, KIT_UID);
        expect_not_beside(&held, KIT_OTHER_UID);
        cr_assert(eq(int, listen(bound.fd, 5), -1));
        cr_assert(eq(int, errno, EADDRINUSE));
        for (int i = 0; i < 20; i++)
                kit_expect_served(held.fd);
        close(accepted);
        kit_hang_up(&bound);
        kit_hang_up(&connected);
        kit_release(client, &held);
        close(client);
        end_with_server();
}

Test(outgoing_ports, t2_group_s_port_is_closed_to_others) {
        expect_closed_to_others("group");
}

Test(outgoing_ports, t2_exclusive_port_is_closed_to_others) {
        expect_closed_to_others("exclusive");
}

/* The port is opened again while a connection lives that came from it, by whomever it is given to. */
static void expect_reopened(const char *sharing, const char *next) {
        Dialled dialled, unconnected;
        KitSocket held, again;
        int accepted, client;
        char address[64];

        kit_require_root();
        begin_with_server(AF_INET, "127.0.0.1");
        client = kit_connect_as(&scene.kit, KIT_UID, 0);
        held = kit_acquire(client, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'%s'}", sharing);
        snprintf(address, sizeof(address), "%s", kit_address(&held));
        dialled = dial_server(client);
        unconnected = dial_server(client);
        accepted = kit_connect_from(&dialled, server, address);
        kit_release(client, &held);
        close(client);
        client = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        again = kit_acquire(client, "{'network':'tcp4','address':'%s','sharing':'%s'}", address, next);
        cr_assert(eq(int, listen(unconnected.fd, 5), -1));
        kit_expect_served(again.fd);
        kit_expect_byte(accepted, dialled.fd);
        if (strcmp(next, "group") == 0) {
                KitSocket more = kit_acquire(client, "{'network':'tcp4','address':'%s'}", address);

                kit_expect_both_served(again.fd, more.fd);
                kit_release(client, &more);
        }
        close(accepted);
        kit_hang_up(&dialled);
        kit_hang_up(&unconnected);
        kit_release(client, &again);
        close(client);
        end_with_server();
}

Test(outgoing_ports, t8_group_s_port_is_opened_again) {
        expect_reopened("group", "group");
}

Test(outgoing_ports, t8_exclusive_port_is_opened_again) {
        expect_reopened("exclusive", "exclusive");
}

Test(outgoing_ports, t8_exclusive_port_is_opened_as_a_group_s) {
        expect_reopened("exclusive", "group");
}

/* A listener's connections that others have accepted are in nobody's way. */
Test(outgoing_ports, s1_18_beside_accepted_connections) {
        Dialled dialled;
        KitSocket held;
        int client, accepted, control;

        kit_require_root();
        begin_with_server(AF_INET, "127.0.0.1");
        control = kit_connect_as(&scene.kit, KIT_UID, 0);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}");
        client = kit_connect(held.fd);
        kit_become(KIT_UID, 0);
        accepted = accept(held.fd, NULL, NULL);
        kit_become_root();
        dialled = dial_server(control);
        close(kit_connect_from(&dialled, server, kit_address(&held)));
        close(accepted);
        close(client);
        kit_hang_up(&dialled);
        kit_release(control, &held);
        close(control);
        end_with_server();
}

/* Without the kernel's help against old segments, who closes first keeps the pair of addresses: here it
 * is the client. */
Test(outgoing_ports, s1_22_no_redial_while_it_waits) {
        struct sockaddr_storage address;
        Dialled dialled;
        KitSocket held;
        socklen_t size;
        int accepted;

        begin_with_server(AF_INET, "127.0.0.1");
        harness_no_timestamps();
        size = kit_bound_address(server, &address);
        held = hold("tcp4", "group");
        dialled = dial_server(scene.honest);
        accepted = kit_connect_from(&dialled, server, kit_address(&held));
        kit_hang_up(&dialled);
        kit_wait_readable(accepted);
        close(accepted);
        dialled = dial_server(scene.honest);
        kit_expect_origin(&dialled, "tcp4", kit_address(&held), true);
        cr_assert(eq(int, connect(dialled.fd, (struct sockaddr *)&address, size), -1));
        cr_assert(eq(int, errno, EADDRNOTAVAIL));
        kit_hang_up(&dialled);
        /* That is about these two ends, and from another port they meet. */
        dialled = kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s','localAddress':':0'",
                           server_text);
        close(kit_connect_from(&dialled, server, NULL));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        end_with_server();
}

Test(outgoing_ports, s1_22_redial_while_it_waits) {
        Dialled dialled;
        KitSocket held;
        int accepted;

        begin_with_server(AF_INET, "127.0.0.1");
        harness_no_timestamps();
        held = hold("tcp4", "group");
        /* The server closes first: it has the pair, and the next connection may have it from there. */
        for (int i = 0; i < 3; i++) {
                dialled = dial_server(scene.honest);
                accepted = kit_connect_from(&dialled, server, kit_address(&held));
                close(accepted);
                kit_wait_readable(dialled.fd);
                kit_hang_up(&dialled);
        }
        /* With linger 0 nobody has. */
        for (int i = 0; i < 3; i++) {
                dialled = kit_dial(scene.honest,
                                   "'network':'tcp','remoteAddress':'%s','options':{'lingerSec':0}",
                                   server_text);
                accepted = kit_connect_from(&dialled, server, kit_address(&held));
                kit_hang_up(&dialled);
                kit_wait_readable(accepted);
                close(accepted);
        }
        kit_release(scene.honest, &held);
        end_with_server();
}

/* A broker that may give nothing away lends all the same. */
static void expect_unprivileged(const char *sharing) {
        struct sockaddr_storage address;
        int accepted, client;
        Dialled dialled;
        KitSocket held;

        kit_require_root();
        harness_global_network();
        scene_begin_limited(&scene, KIT_CONFIG, KIT_OTHER_UID, 0);
        server = kit_listen(AF_INET, "127.0.0.1", SOCK_STREAM);
        kit_bound_address(server, &address);
        kit_address_text(&address, server_text);
        client = kit_connect_as(&scene.kit, KIT_UID, 0);
        held = kit_acquire(client, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'%s'}", sharing);
        dialled = dial_server(client);
        accepted = kit_connect_from(&dialled, server, kit_address(&held));
        expect_not_beside(&held, KIT_UID);
        kit_expect_served(held.fd);
        close(accepted);
        kit_hang_up(&dialled);
        kit_release(client, &held);
        close(client);
        end_with_server();
}

Test(outgoing_ports, broker_without_privileges_lends_a_group_s) {
        expect_unprivileged("group");
}

Test(outgoing_ports, broker_without_privileges_lends_an_exclusive_one_s) {
        expect_unprivileged("exclusive");
}

/* ---- options ------------------------------------------------------------------------------------- */

static struct linger linger_of(int fd) {
        struct linger linger = { -1, -1 };
        socklen_t size = sizeof(linger);

        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size)));
        return linger;
}

Test(outgoing_ports, s1_20_no_linger_by_itself) {
        Dialled dialled;
        KitSocket held;

        begin_with_server(AF_INET, "127.0.0.1");
        held = hold("tcp4", "group");
        dialled = dial_server(scene.honest);
        kit_ping(scene.honest); /* what the broker had of it is closed */
        cr_assert(zero(int, linger_of(dialled.fd).l_onoff));
        cr_assert(zero(int, kit_int_option(dialled.fd, SOL_SOCKET, SO_KEEPALIVE)));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        end_with_server();
}

/* An answer that has to wait for its reader makes no difference. */
Test(outgoing_ports, s1_20_no_linger_of_one_that_waited) {
        static HarnessReply reply;
        int control, n = 0;

        begin(KIT_CONFIG);
        control = scene_connect(&scene);
        for (; n < 24; n++)
                harness_send_frame(control, "{\"method\":\"org.varlink.service."
                                            "GetInterfaceDescription\",\"parameters\":"
                                            "{\"interface\":\"io.reuseportd\"}}");
        for (int i = 0; i < 3; i++)
                kit_send(control, "Dial", "", "{" TO("tcp", "127.0.0.1:80") "}");
        kit_ping(scene.honest);
        for (int i = 0; i < n; i++)
                cr_assert(harness_receive(control, &reply));
        for (int i = 0; i < 3; i++) {
                cr_assert(harness_receive(control, &reply));
                cr_assert(eq(sz, reply.n_fds, 1), "%s", reply.text);
                kit_ping(scene.honest);
                cr_assert(zero(int, linger_of(reply.fds[0]).l_onoff));
                harness_close(&reply);
        }
        close(control);
        scene_end(&scene);
}

Test(outgoing_ports, s1_21_options_on_request) {
        Dialled dialled;

        begin(KIT_CONFIG);
        dialled = kit_dial(scene.honest,
                           "%s,'options':{'lingerSec':0,'keepAlive':true,"
                           "'keepAliveIdleSec':30,'noDelay':true,'typeOfService':16}",
                           TO("tcp", "127.0.0.1:80"));
        cr_assert(eq(int, linger_of(dialled.fd).l_onoff, 1));
        cr_assert(zero(int, linger_of(dialled.fd).l_linger));
        cr_assert(eq(int, kit_int_option(dialled.fd, SOL_SOCKET, SO_KEEPALIVE), 1));
        cr_assert(eq(int, kit_int_option(dialled.fd, IPPROTO_TCP, TCP_KEEPIDLE), 30));
        cr_assert(eq(int, kit_int_option(dialled.fd, IPPROTO_TCP, TCP_NODELAY), 1));
        cr_assert(eq(int, kit_int_option(dialled.fd, IPPROTO_IP, IP_TOS), 16));
        kit_hang_up(&dialled);
        scene_end(&scene);
}

/* ---- what is left behind ------------------------------------------------------------------------- */

Test(outgoing_ports, d6_broker_keeps_nothing) {
        size_t before;
        KitSocket held;

        begin_with_server(AF_INET, "127.0.0.1");
        held = hold("tcp4", "exclusive");
        before = harness_broker_fds(&scene.kit.harness);
        for (int i = 0; i < 500; i++) {
                Dialled dialled = dial_server(scene.honest);

                kit_hang_up(&dialled);
        }
        harness_expect_broker_fds(&scene.kit.harness, before);
        cr_assert(eq(llong, scene_count(&scene, "leases"), 1));
        cr_assert(eq(llong, scene_count(&scene, "endpoints"), 1));
        kit_release(scene.honest, &held);
        end_with_server();
}
