/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dial in another network namespace: who gets none, and that nothing of it is of another namespace than
 * the one named, neither the socket, nor what it comes from, nor the route.
 */

#include "tests/integration/dial-kit.h"
#include "tests/integration/library-kit.h"
#include "tests/unit/namespace-kit.h"

TestSuite(outgoing_namespaces, .timeout = 60);

#define BROKER "[Broker]\nSocketMode=0666\nRetainSec=0\n"
#define OWN "[Rule own]\nUser=*\nOptions=*\n"
#define BLUE "[Rule blue]\nUser=*\nOptions=*\nNetworkNamespace=blue\n"
#define IN_BLUE ",'networkNamespace':'blue'"

/* An address that only blue has, beside a loopback that is called otherwise there. */
static void begin_blue(const char *config) {
        struct ifreq alias = { .ifr_name = "inside:1" };
        struct sockaddr_in address = { .sin_family = AF_INET };
        int fd, home;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_enter("blue", &home);
        namespace_kit_rename_loopback("inside");
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        inet_pton(AF_INET, "10.7.7.1", &address.sin_addr);
        memcpy(&alias.ifr_addr, &address, sizeof(address));
        cr_assert(zero(int, ioctl(fd, SIOCSIFADDR, &alias)), "%m");
        close(fd);
        namespace_kit_go_home(home);
        scene_begin(&scene, config);
}

static void begin_blue_with_server(const char *host) {
        struct sockaddr_storage address;
        int home;

        begin_blue(BROKER OWN BLUE);
        namespace_kit_enter("blue", &home);
        server = kit_listen(AF_INET, host, SOCK_STREAM);
        namespace_kit_go_home(home);
        kit_bound_address(server, &address);
        kit_address_text(&address, server_text);
}

static void refused(const char *error, const char *parameters, const char *option, const char *words) {
        json_auto_t *reply = kit_dial_refused(scene.honest, error, "%s", parameters);

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), option);
        cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), words), NULL), "%s",
                  kit_text(reply, "parameters.reason"));
}

static void expect_in_blue(const Dialled *dialled) {
        cr_assert(eq(u64, namespace_kit_cookie(dialled->fd), namespace_kit_cookie_of("blue")));
}

/* ---- refusals ------------------------------------------------------------------------------------ */

Test(outgoing_namespaces, what_is_no_namespace) {
        begin_blue(BROKER OWN "[Rule all]\nUser=*\nNetworkNamespace=* /proc/*/ns/*\n");
        refused("OptionInvalid", TO("tcp", "127.0.0.1:80") ",'networkNamespace':''", "networkNamespace",
                "give a name");
        refused("OptionInvalid", TO("tcp", "127.0.0.1:80") ",'networkNamespace':'a/b'",
                "networkNamespace", "from the root on");
        refused("OptionInvalid", TO("tcp", "127.0.0.1:80") ",'networkNamespace':'red'",
                "networkNamespace", "is not there");
        refused("OptionInvalid", TO("udp", "127.0.0.1:80") ",'networkNamespace':'/proc/self/ns/net'",
                "networkNamespace", "is a symbolic link");
        refused("NotSupported", TO("unix", "@x") IN_BLUE, "", "no port to come from");
        refused("AddressInvalid", TO("tcp", "[fe80::1%lo]:80") IN_BLUE, "", "of that network namespace");
        json_decref(kit_dial_refused(scene.honest, "org.varlink.service.InvalidParameter", "%s",
                                     TO("tcp", "127.0.0.1:80") ",'networkNamespace':1"));
        scene_end(&scene);
}

/* Neither is it told whether there is one. */
Test(outgoing_namespaces, t14_policy_decides) {
        static const char *const names[] = { "blue", "red", "/proc/1/ns/net" };

        begin_blue(BROKER OWN "[Rule root]\nUser=12345\nNetworkNamespace=* /*/*/*/*\n"
                              "[Rule green]\nUser=*\nNetworkNamespace=green\nNetwork=udp\n");
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                static const char *const locals[] = { "", ",'localAddress':':0'",
                                                      ",'localAddress':'127.0.0.1:4000'" };

                for (size_t k = 0; k < ELEMENTS(locals); k++) {
                        json_auto_t *reply = kit_dial_refused(
                                scene.honest, "PolicyDenied", "%s,'networkNamespace':'%s'%s",
                                TO("tcp", "127.0.0.1:80"), names[i], locals[k]);

                        cr_assert(
                                ne(ptr,
                                   strstr(kit_text(reply, "parameters.reason"), "in network namespace"),
                                   NULL));
                }
        }
        scene_end(&scene);
}

Test(outgoing_namespaces, t14_a_right_there_is_of_the_rule_that_gives_it) {
        begin_blue(BROKER OWN "[Rule blue]\nUser=*\nNetwork=udp\nNetworkNamespace=blue\n");
        refused("PolicyDenied", TO("tcp", "127.0.0.1:80") IN_BLUE, "", "Network=");
        refused("PolicyDenied", TO("udp", "127.0.0.1:80") IN_BLUE ",'options':{'mark':7}", "",
                "Options=");
        scene_end(&scene);
}

Test(outgoing_namespaces, none_can_be_entered) {
        begin_blue(BROKER OWN);
        harness_reload(&scene.kit.harness, BROKER OWN BLUE);
        refused("NotSupported", TO("tcp", "127.0.0.1:80") IN_BLUE, "", "no rule gave any");
        scene_end(&scene);
}

/* In blue, another user has the port, as has here whoever dials. */
Test(outgoing_namespaces, t3_never_from_another_tenant_s) {
        KitSocket theirs, own;
        Dialled dialled;
        int other;

        begin_blue(BROKER OWN BLUE);
        other = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        theirs = kit_acquire(other, "{'network':'tcp4','address':'10.7.7.1:4000'" IN_BLUE "}");
        own = kit_acquire(scene.honest, "{'network':'tcp4','address':'0.0.0.0:4000'}");
        dialled = kit_dial(scene.honest, "%s", TO("tcp", "10.7.7.1:80") IN_BLUE);
        kit_expect_origin(&dialled, "tcp4", NULL, false);
        expect_in_blue(&dialled);
        kit_hang_up(&dialled);
        json_decref(kit_dial_refused(scene.honest, "AddressInUse", "%s",
                                     TO("tcp", "10.7.7.1:80") IN_BLUE
                                     ",'localAddress':'10.7.7.1:4000'"));
        json_decref(kit_dial_refused(scene.honest, "AddressInUse", "%s",
                                     TO("tcp", "10.7.7.1:80") IN_BLUE ",'localAddress':':4000'"));
        json_decref(kit_dial_refused(scene.honest, "AddressUnavailable", "%s",
                                     TO("tcp", "127.0.0.1:80") ",'localAddress':'10.7.7.1:4001'"));
        kit_release(other, &theirs);
        kit_release(scene.honest, &own);
        close(other);
        scene_end(&scene);
}

/* ---- the choice ---------------------------------------------------------------------------------- */

/* Only blue has a route. */
Test(outgoing_namespaces, from_where_routing_there_prefers) {
        KitSocket loopback, wildcard, held, own;
        Dialled dialled;

        begin_blue_with_server("10.7.7.1");
        own = kit_acquire(scene.honest, "{'network':'tcp4','address':'0.0.0.0:4000'}");
        loopback = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:0'" IN_BLUE "}");
        wildcard = kit_acquire(scene.honest, "{'network':'tcp4','address':'0.0.0.0:0'" IN_BLUE "}");
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'10.7.7.1:0'" IN_BLUE "}");
        dialled = kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s'" IN_BLUE, server_text);
        kit_expect_origin(&dialled, "tcp4", kit_address(&held), true);
        expect_in_blue(&dialled);
        close(kit_connect_from(&dialled, server, kit_address(&held)));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        dialled = kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s'" IN_BLUE, server_text);
        kit_expect_origin(&dialled, "tcp4", kit_address(&wildcard), true);
        close(kit_connect_from(&dialled, server, NULL));
        kit_hang_up(&dialled);
        /* Of here nothing is come from there, and the other way round. */
        kit_release(scene.honest, &wildcard);
        dialled = kit_dial(scene.honest, "'network':'tcp','remoteAddress':'%s'" IN_BLUE, server_text);
        kit_expect_origin(&dialled, "tcp4", NULL, false);
        expect_in_blue(&dialled);
        kit_hang_up(&dialled);
        dialled = kit_dial(scene.honest, "%s", TO("tcp", "127.0.0.1:80"));
        kit_expect_origin(&dialled, "tcp4", "0.0.0.0:4000", true);
        cr_assert(eq(u64, namespace_kit_cookie(dialled.fd), namespace_kit_own_cookie()));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &loopback);
        kit_release(scene.honest, &own);
        end_with_server();
}

/* An exclusive one lends its port; by another name it is the same namespace, under that name's rule. */
Test(outgoing_namespaces, from_where_the_call_says) {
        KitSocket held;
        Dialled dialled;

        begin_blue_with_server("127.0.0.1");
        close(open("/run/netns/other", O_CREAT | O_RDONLY | O_CLOEXEC, 0));
        cr_assert(zero(int, mount("/run/netns/blue", "/run/netns/other", NULL, MS_BIND, NULL)));
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':'127.0.0.1:4000',"
                                         "'sharing':'exclusive'" IN_BLUE "}");
        dialled =
                kit_dial(scene.honest,
                         "'network':'tcp','remoteAddress':'%s','localAddress':'127.0.0.1:4000'" IN_BLUE,
                         server_text);
        kit_expect_origin(&dialled, "tcp4", "127.0.0.1:4000", true);
        close(kit_connect_from(&dialled, server, "127.0.0.1:4000"));
        kit_hang_up(&dialled);
        dialled = kit_dial(scene.honest,
                           "'network':'tcp','remoteAddress':'%s','networkNamespace':'/run/netns/blue'",
                           server_text);
        kit_expect_origin(&dialled, "tcp4", "127.0.0.1:4000", true);
        kit_hang_up(&dialled);
        json_decref(kit_dial_refused(scene.honest, "PolicyDenied",
                                     "'network':'tcp','remoteAddress':'%s','networkNamespace':'other'",
                                     server_text));
        dialled = kit_dial(scene.honest,
                           "'network':'tcp','remoteAddress':'%s','localAddress':':0'" IN_BLUE,
                           server_text);
        kit_expect_origin(&dialled, "tcp4", NULL, false);
        expect_in_blue(&dialled);
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        end_with_server();
}

Test(outgoing_namespaces, datagrams_and_zones) {
        struct sockaddr_in6 peer;
        socklen_t size = sizeof(peer);
        KitSocket held;
        Dialled dialled;

        begin_blue(BROKER OWN BLUE);
        held = kit_acquire(scene.honest, "{'network':'udp4','address':':4000'" IN_BLUE "}");
        dialled = kit_dial(scene.honest, "%s", TO("udp4", "10.7.7.1:4001") IN_BLUE);
        expect_in_blue(&dialled);
        kit_expect_origin(&dialled, "udp4", "0.0.0.0:4000", true);
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        held = kit_acquire(scene.honest,
                           "{'network':'udp6','address':'[fe80::1%%inside]:4000'" IN_BLUE "}");
        dialled = kit_dial(scene.honest, "%s",
                           TO("udp6", "[fe80::1%inside]:4001") IN_BLUE
                           ",'localAddress':'[fe80::1%inside]:4000'");
        expect_in_blue(&dialled);
        kit_expect_origin(&dialled, "udp6", "[fe80::1%1]:4000", true);
        cr_assert(zero(int, getpeername(dialled.fd, (struct sockaddr *)&peer, &size)));
        cr_assert(eq(u32, peer.sin6_scope_id, 1));
        kit_hang_up(&dialled);
        kit_release(scene.honest, &held);
        scene_end(&scene);
}

/* ---- by the library ------------------------------------------------------------------------------- */

/* The socket is connected by who is not in blue. */
Test(outgoing_namespaces, by_the_library) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        reuse_client *client;
        KitSocket held;
        int fd;

        begin_blue_with_server("10.7.7.1");
        client = library_connect(&scene.kit);
        cr_assert(lt(int,
                     reuse_client_dial(client, "tcp", server_text, NULL, NULL, REUSE_TIMEOUT_DEFAULT,
                                       &outgoing, NULL),
                     0));
        cr_assert(eq(int,
                     reuse_client_dial(client, "tcp", server_text, NULL, "networkNamespace=red",
                                       REUSE_TIMEOUT_DEFAULT, &outgoing, &error),
                     -EACCES));
        reuse_error_free(error);
        held = kit_acquire(scene.honest, "{'network':'tcp4','address':':4000'" IN_BLUE "}");
        cr_assert(zero(int, reuse_client_dial(client, "tcp", server_text, NULL, "networkNamespace=blue",
                                              REUSE_TIMEOUT_DEFAULT, &outgoing, NULL)));
        cr_assert(eq(int, reuse_outgoing_get_reused(outgoing), 1));
        KIT_EXPECT_TEXT(reuse_outgoing_get_local_address(outgoing), "10.7.7.1:4000");
        cr_assert(eq(u64, namespace_kit_cookie(reuse_outgoing_get_fd(outgoing)),
                     namespace_kit_cookie_of("blue")));
        kit_wait_readable(server);
        fd = accept(server, NULL, NULL);
        cr_assert(ge(int, fd, 0));
        close(fd);
        reuse_outgoing_free(outgoing);
        /* What is "lo" here has another name there. */
        cr_assert(zero(int, reuse_client_dial(client, "udp6", "[fe80::1%1]:4001", "[fe80::1%inside]:0",
                                              "networkNamespace=blue", REUSE_TIMEOUT_DEFAULT, &outgoing,
                                              NULL)));
        cr_assert(ne(ptr, strstr(reuse_outgoing_get_local_address(outgoing), "[fe80::1%1]:"), NULL));
        KIT_EXPECT_TEXT(reuse_outgoing_get_remote_address(outgoing), "[fe80::1%1]:4001");
        reuse_outgoing_free(outgoing);
        reuse_client_free(client);
        kit_release(scene.honest, &held);
        end_with_server();
}

/* ---- nothing is left ----------------------------------------------------------------------------- */

Test(outgoing_namespaces, t14_a_hundred_leave_nothing) {
        begin_blue(BROKER OWN BLUE);
        for (int i = 0; i < 100; i++) {
                Dialled there = kit_dial(scene.honest, "%s", TO("tcp4", "10.7.7.1:80") IN_BLUE);
                Dialled here = kit_dial(scene.honest, "%s", TO("tcp4", "127.0.0.1:80"));

                expect_in_blue(&there);
                cr_assert(eq(u64, namespace_kit_cookie(here.fd), namespace_kit_own_cookie()));
                kit_hang_up(&there);
                kit_hang_up(&here);
                json_decref(kit_dial_refused(scene.honest, "OptionInvalid", "%s",
                                             TO("tcp4", "10.7.7.1:80") IN_BLUE
                                             ",'options':{'backlog':1}"));
                harness_expect_broker_fds(&scene.kit.harness, scene.kit.n_broker_fds + 1);
        }
        scene_end(&scene);
}
