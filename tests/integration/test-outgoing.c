/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dial: what is refused, and where a connection comes from. The numbers in the names are those of the
 * list of what go-libp2p, go-reuseport and Go's net do.
 */

#include "tests/integration/dial-kit.h"

static void refused(const char *error, const char *parameters) {
        json_decref(kit_dial_refused(scene.honest, error, "%s", parameters));
}

TestSuite(outgoing, .timeout = 60);

/* ---- refusals ------------------------------------------------------------------------------------ */

Test(outgoing, parameters_invalid) {
        static const char *const cases[][2] = {
                { "", "network" },
                { "'network':'tcp'", "remoteAddress" },
                { "'network':1,'remoteAddress':'127.0.0.1:80'", "network" },
                { "'network':'tcp','remoteAddress':null", "remoteAddress" },
                { TO("tcp", "127.0.0.1:80") ",'localAddress':80", "localAddress" },
                { TO("tcp", "127.0.0.1:80") ",'options':[]", "options" },
                { TO("tcp", "127.0.0.1:80") ",'options':{'nothing':1}", "options.nothing" },
                { TO("tcp", "127.0.0.1:80") ",'sharing':'group'", "sharing" },
        };

        begin(KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                json_auto_t *reply = kit_dial_refused(
                        scene.honest, "org.varlink.service.InvalidParameter", "%s", cases[i][0]);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.parameter"), cases[i][1]);
        }
        scene_end(&scene);
}

Test(outgoing, s1_2_networks_without_ports) {
        begin(KIT_CONFIG);
        refused("NetworkUnknown", TO("", "127.0.0.1:80"));
        refused("NetworkUnknown", TO("tcp5", "127.0.0.1:80"));
        refused("NetworkUnknown", TO("TCP", "127.0.0.1:80"));
        refused("NotSupported", TO("unix", "/run/s"));
        refused("NotSupported", TO("unixgram", "no path"));
        refused("NotSupported", TO("unixpacket", "@s"));
        refused("NotSupported", TO("vsock", "2:80"));
        refused("NotSupported", TO("mptcp", "127.0.0.1:80"));
        refused("NotSupported", TO("udplite4", "127.0.0.1:80"));
        refused("NotSupported", TO("ip4:icmp", "127.0.0.1"));
        scene_end(&scene);
}

Test(outgoing, s2_4_addresses_invalid) {
        begin(KIT_CONFIG);
        refused("AddressInvalid", TO("tcp", "127.0.0.1"));
        refused("AddressInvalid", TO("tcp", "127.0.0.1:0"));
        refused("AddressInvalid", TO("tcp", "127.0.0.1:80-90"));
        refused("AddressInvalid", TO("tcp", "example.org:80"));
        refused("AddressInvalid", TO("tcp4", "[::1]:80"));
        refused("AddressInvalid", TO("tcp6", "127.0.0.1:80"));
        refused("AddressInvalid", TO("tcp", "127.0.0.1:80") ",'localAddress':'127.0.0.1'");
        refused("AddressInvalid", TO("tcp", "127.0.0.1:80") ",'localAddress':'127.0.0.1:80-90'");
        refused("AddressInvalid", TO("tcp", "127.0.0.1:80") ",'localAddress':'[::1]:0'");
        refused("AddressInvalid", TO("tcp", "[::1]:80") ",'localAddress':'127.0.0.1:0'");
        refused("AddressInvalid", TO("udp", "127.0.0.1:80") ",'localAddress':'224.0.0.1:0'");
        refused("AddressInvalid", TO("udp", "127.0.0.1:80") ",'localAddress':'/run/s'");
        scene_end(&scene);
}

Test(outgoing, options_invalid) {
        static const char *const cases[][3] = {
                { "tcp", "'backlog':5", "backlog" },
                { "tcp", "'deferAcceptSec':1", "deferAcceptSec" },
                { "tcp", "'fastOpenQueue':1", "fastOpenQueue" },
                { "tcp", "'reuseAddress':true", "reuseAddress" },
                { "udp", "'reuseAddress':false", "reuseAddress" },
                { "udp", "'multicastGroups':['239.1.2.3']", "multicastGroups" },
                { "udp", "'keepAlive':true", "keepAlive" },
                { "tcp", "'broadcast':true", "broadcast" },
                { "tcp", "'ipv6Only':true", "ipv6Only" },
                { "tcp", "'timeToLive':256", "timeToLive" },
                { "tcp", "'congestion':'nonsense'", "congestion" },
                { "tcp", "'raw':[{'level':1,'name':2,'value':'01000000'}]", "raw" },
        };

        begin(KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                json_auto_t *reply =
                        kit_dial_refused(scene.honest, "OptionInvalid",
                                         "'network':'%s','remoteAddress':'127.0.0.1:80','options':{%s}",
                                         cases[i][0], cases[i][1]);

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), cases[i][2]);
        }
        scene_end(&scene);
}

Test(outgoing, more_and_oneway) {
        begin(KIT_CONFIG);
        kit_send(scene.honest, "Dial", ",'more':true", "{" TO("tcp", "127.0.0.1:80") "}");
        scene_expect_error(scene.honest, "org.varlink.service.InvalidParameter", "more");
        kit_send(scene.honest, "Dial", ",'oneway':true", "{" TO("tcp", "127.0.0.1:80") "}");
        kit_send(scene.honest, "Dial", ",'oneway':true", "{}");
        kit_ping(scene.honest);
        scene_end(&scene);
}

/* Who is given nothing has nothing to connect with either: it would go out as the broker's. */
Test(outgoing, t1_nothing_for_whom_no_rule_names) {
        static const char config[] = "[Broker]\nSocketMode=0666\nRetainSec=0\n"
                                     "[Rule root]\nUser=root\n"
                                     "[Rule looker]\nUser=65533\nObserve=yes\n"
                                     "[Rule web]\nUser=65534\nNetwork=tcp\nPort=80\nAddress=127.0.0.1\n";
        Dialled dialled;
        int other, looker;

        kit_require_root();
        begin(config);
        looker = kit_connect_as(&scene.kit, 65533, 0);
        json_decref(kit_dial_refused(looker, "PolicyDenied", "%s", TO("tcp", "127.0.0.1:80")));
        json_decref(kit_dial_refused(looker, "PolicyDenied", "%s,'localAddress':':0'",
                                     TO("tcp", "127.0.0.1:80")));
        other = kit_connect_as(&scene.kit, KIT_UID, 0);
        json_decref(kit_dial_refused(other, "PolicyDenied", "%s", TO("udp", "127.0.0.1:80")));
        json_decref(kit_dial_refused(other, "PolicyDenied", "%s,'localAddress':'127.0.0.1:81'",
                                     TO("tcp", "127.0.0.1:80")));
        json_decref(kit_dial_refused(other, "PolicyDenied", "%s,'localAddress':'10.9.9.1:0'",
                                     TO("tcp", "127.0.0.1:80")));
        json_decref(kit_dial_refused(other, "PolicyDenied", "%s,'options':{'mark':5}",
                                     TO("tcp", "127.0.0.1:80")));
        dialled = kit_dial(other, "%s", TO("tcp", "127.0.0.1:80"));
        kit_expect_origin(&dialled, "tcp4", NULL, false);
        kit_hang_up(&dialled);
        close(looker);
        close(other);
        scene_end(&scene);
}

/* The rule that gives the port must give what is asked for besides. */
Test(outgoing, t1_rights_are_those_of_the_rule) {
        KitSocket held;

        kit_require_root();
        begin("[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule all]\nUser=*\nOptions=mark\n");
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        refused("PolicyDenied", TO("tcp", "127.0.0.1:80") ",'options':{'priority':5}");
        refused("PolicyDenied", TO("tcp", "10.9.9.1:80") ",'options':{'freeBind':true}");
        kit_release(scene.honest, &held);
        scene_end(&scene);
}

Test(outgoing, s1_18_held_by_somebody_outside) {
        int foreign;

        begin(KIT_CONFIG);
        foreign = kit_listen(AF_INET, "127.0.0.1", SOCK_STREAM);
        json_decref(kit_dial_refused(scene.honest, "AddressInUse", "%s,'localAddress':'127.0.0.1:%d'",
                                     TO("tcp", "127.0.0.1:80"), kit_port_of(foreign)));
        refused("AddressUnavailable", TO("tcp", "127.0.0.1:80") ",'localAddress':'10.9.8.7:0'");
        refused("AddressUnavailable", TO("tcp", "127.0.0.1:80") ",'localAddress':'10.9.8.7:4000'");
        close(foreign);
        scene_end(&scene);
}

/* Datagram sockets are connected here, so it is here that there is no way. */
Test(outgoing, no_way_for_datagrams) {
        json_auto_t *reply = NULL;

        begin(KIT_CONFIG);
        reply = kit_dial_refused(scene.honest, "SystemFailure", "%s", TO("udp", "8.8.8.8:53"));
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "connect");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "ENETUNREACH");
        scene_end(&scene);
}

Test(outgoing, s1_10_undialable) {
        KitSocket held;
        json_t *reply;

        begin(KIT_CONFIG);
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'10.9.9.1:0'}");
        refused("AddressInvalid", TO("tcp4", "224.0.0.1:80"));
        refused("AddressInvalid", TO("tcp4", "0.0.0.0:80"));
        reply = kit_dial_refused(scene.honest, "AddressInvalid", "%s", TO("tcp", "169.254.1.1:80"));
        cr_assert(strncmp(kit_text(reply, "parameters.reason"), "undialable: ", 12) == 0);
        json_decref(reply);
        kit_release(scene.honest, &held);
        scene_end(&scene);
}

Test(outgoing, too_often) {
        Dialled dialled;

        begin("[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule all]\nUser=*\nRateLimit=3/1h\n");
        dialled = kit_dial(scene.honest, "%s", TO("tcp", "127.0.0.1:80"));
        kit_hang_up(&dialled);
        dialled = kit_dial(scene.honest, "%s", TO("tcp", "127.0.0.1:80"));
        kit_hang_up(&dialled);
        refused("QuotaExceeded", TO("tcp", "127.0.0.1:80"));
        close(scene.honest);
        kit_stop(&scene.kit);
}

/* ---- of other tenants ---------------------------------------------------------------------------- */

#define TENANTS "[Broker]\nSocketMode=0666\nRetainSec=0\n"

/* Whom is shared with is another tenant all the same. */
static void expect_wall(const char *config, bool guest) {
        KitSocket held, joined;
        Dialled dialled;
        json_t *reply;
        int one, other;

        kit_require_root();
        begin(config);
        one = kit_connect_as(&scene.kit, KIT_UID, 0);
        other = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        held = kit_acquire(one, "{'network':'tcp4','address':'10.9.9.1:0'}");
        if (guest)
                joined = kit_acquire(other, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        dialled = kit_dial(other, "%s", TO("tcp", "10.9.9.1:80"));
        kit_expect_origin(&dialled, "tcp4", NULL, false);
        kit_hang_up(&dialled);
        /* The holder is the first to have come, and both have. */
        reply = kit_dial_refused(other, "AddressInUse", "%s,'localAddress':'%s'",
                                 TO("tcp", "10.9.9.1:80"), kit_address(&held));
        cr_assert(guest || kit_number(reply, "parameters.holder.uid") == KIT_UID);
        json_decref(reply);
        /* Nor at what overlaps. */
        json_decref(kit_dial_refused(other, "AddressInUse", "%s,'localAddress':':%d'",
                                     TO("tcp", "10.9.9.1:80"), kit_port(&held)));
        if (guest)
                kit_release(other, &joined);
        kit_release(one, &held);
        close(one);
        close(other);
        scene_end(&scene);
}

Test(outgoing, t3_never_from_another_tenant_s) {
        expect_wall(TENANTS "[Rule all]\nUser=*\n", false);
}

Test(outgoing, t3_never_from_what_is_shared_by_another_tenant) {
        expect_wall(TENANTS "[Rule one]\nUser=65534\nShareWith=65533\n[Rule all]\nUser=*\n", true);
}

/* One tenant: but what another process holds is used only if it is asked for. */
Test(outgoing, from_another_user_s_of_one_tenant) {
        KitSocket held;
        Dialled dialled;
        int one, other;

        kit_require_root();
        begin(KIT_CONFIG);
        one = kit_connect_as(&scene.kit, KIT_UID, 0);
        other = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        held = kit_acquire(one, "{'network':'tcp4','address':'10.9.9.1:0'}");
        dialled = kit_dial(other, "%s", TO("tcp", "10.9.9.1:80"));
        kit_expect_origin(&dialled, "tcp4", NULL, false);
        kit_hang_up(&dialled);
        dialled =
                kit_dial(other, "%s,'localAddress':'%s'", TO("tcp", "10.9.9.1:80"), kit_address(&held));
        kit_expect_origin(&dialled, "tcp4", kit_address(&held), true);
        kit_hang_up(&dialled);
        kit_release(one, &held);
        close(one);
        close(other);
        scene_end(&scene);
}

/* ---- the choice ---------------------------------------------------------------------------------- */

/* A connection to the server that comes from there. */
static void expect_from(const char *network, const char *origin, const char *seen) {
        Dialled dialled = kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s'", server_text);

        kit_expect_origin(&dialled, network, origin, origin != NULL);
        close(kit_connect_from(&dialled, server, seen));
        kit_hang_up(&dialled);
}

Test(outgoing, s1_11_specific_by_route_of_ipv4) {
        KitSocket loopback, wildcard, held, later;

        begin_with_server(AF_INET, "10.9.9.1");
        wildcard = kit_acquire(scene.honest, "{'network':'tcp','address':':0'}");
        loopback = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'10.9.9.1:0'}");
        later = kit_acquire(scene.honest, "{'network':'tcp4','address':'10.9.9.1:0'}");
        for (int i = 0; i < 5; i++)
                expect_from("tcp4", kit_address(&held), kit_address(&held));
        kit_release(scene.honest, &later);
        kit_release(scene.honest, &held);
        kit_release(scene.honest, &loopback);
        kit_release(scene.honest, &wildcard);
        end_with_server();
}

Test(outgoing, s1_11_specific_by_route_of_ipv6) {
        KitSocket held;

        begin_with_server(AF_INET6, "fd09::1");
        held = kit_acquire(scene.honest, "{'network':'tcp6','address':'[fd09::1]:0'}");
        expect_from("tcp6", kit_address(&held), kit_address(&held));
        kit_release(scene.honest, &held);
        end_with_server();
}

Test(outgoing, s1_12_loopback_for_loopback) {
        KitSocket wildcard, held;

        begin_with_server(AF_INET, "127.0.0.1");
        wildcard = kit_acquire(scene.honest, "{'network':'tcp4','address':':0'}");
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        expect_from("tcp4", kit_address(&held), kit_address(&held));
        kit_release(scene.honest, &held);
        kit_release(scene.honest, &wildcard);
        end_with_server();
}

static void expect_wildcard(int family, const char *host, const char *network, const char *listens) {
        char origin[64], seen[64];
        KitSocket held;

        begin_with_server(family, host);
        held = kit_acquire(scene.honest, "{'network':'%s','address':':0'}", listens);
        snprintf(origin, sizeof(origin), "%s:%d", family == AF_INET ? "0.0.0.0" : "[::]",
                 kit_port(&held));
        snprintf(seen, sizeof(seen), "%s%s%s:%d", family == AF_INET ? "" : "[", host,
                 family == AF_INET ? "" : "]", kit_port(&held));
        expect_from(network, origin, seen);
        kit_expect_served(held.fd);
        kit_release(scene.honest, &held);
        end_with_server();
}

Test(outgoing, s1_13_wildcard_of_ipv4) {
        expect_wildcard(AF_INET, "10.9.9.1", "tcp4", "tcp4");
}

Test(outgoing, s1_13_wildcard_of_ipv6) {
        expect_wildcard(AF_INET6, "fd09::1", "tcp6", "tcp6");
}

Test(outgoing, s1_13_wildcard_of_both_families) {
        expect_wildcard(AF_INET, "10.9.9.1", "tcp4", "tcp");
}

Test(outgoing, s1_13_wildcard_of_both_families_by_ipv6) {
        expect_wildcard(AF_INET6, "fd09::1", "tcp6", "tcp");
}

Test(outgoing, s1_14_none) {
        KitSocket six, loopback, datagrams;

        begin_with_server(AF_INET, "10.9.9.1");
        expect_from("tcp4", NULL, NULL);
        six = kit_acquire(scene.honest, "{'network':'tcp6','address':':0'}");
        loopback = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        datagrams = kit_acquire(scene.honest, "{'network':'udp','address':':0'}");
        expect_from("tcp4", NULL, NULL);
        kit_release(scene.honest, &datagrams);
        kit_release(scene.honest, &loopback);
        kit_release(scene.honest, &six);
        end_with_server();
}

Test(outgoing, s1_6_never_from_what_was_released) {
        KitSocket held, also;

        begin_with_server(AF_INET, "127.0.0.1");
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        also = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_release(scene.honest, &held);
        for (int i = 0; i < 20; i++)
                expect_from("tcp4", kit_address(&also), kit_address(&also));
        kit_release(scene.honest, &also);
        expect_from("tcp4", NULL, NULL);
        end_with_server();
}

/* Each of several is taken some time. */
Test(outgoing, s1_12_any_of_several) {
        KitSocket held[2];
        int times[2] = { 0, 0 };

        begin_with_server(AF_INET, "127.0.0.1");
        for (int i = 0; i < 2; i++)
                held[i] = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        for (int i = 0; i < 60; i++) {
                Dialled dialled =
                        kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s'", server_text);

                times[strcmp(kit_text(dialled.reply, "localAddress"), kit_address(&held[1])) == 0]++;
                kit_hang_up(&dialled);
        }
        cr_assert(times[0] > 0 && times[1] > 0, "%d and %d", times[0], times[1]);
        for (int i = 0; i < 2; i++)
                kit_release(scene.honest, &held[i]);
        end_with_server();
}

/* The process is the client, whatever connection it asks over. */
Test(outgoing, s1_1_over_another_connection) {
        KitSocket held;
        Dialled dialled;
        int control;

        begin_with_server(AF_INET, "127.0.0.1");
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'}");
        control = scene_connect(&scene);
        dialled = kit_dial(control, "'network':'tcp','remoteAddress':'%s'", server_text);
        kit_expect_origin(&dialled, "tcp4", kit_address(&held), true);
        kit_hang_up(&dialled);
        close(control);
        kit_release(scene.honest, &held);
        end_with_server();
}
