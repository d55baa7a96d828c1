/* SPDX-License-Identifier: BSD-2-Clause */

/* Sockets in other network namespaces: each is where it was asked for and nowhere else. */

#include "tests/integration/namespaces-kit.h"

TestSuite(namespaces, .timeout = 60);

Test(namespaces, one_port_in_three_namespaces) {
        static const char *const names[] = { NULL, "blue", "green" };
        KitSocket held[3];
        int control, home;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_add("green");
        kit_start(&kit, BROKER OWN ALL);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 3; i++)
                held[i] = kit_acquire(control,
                                      "{'network':'tcp4','address':'127.0.0.1:8080'"
                                      ",'sharing':'exclusive'%s%s%s}",
                                      names[i] ? ",'networkNamespace':'" : "", names[i] ?: "",
                                      names[i] ? "'" : "");
        expect_cookie(&held[0], namespace_kit_own_cookie());
        expect_cookie(&held[1], namespace_kit_cookie_of("blue"));
        expect_cookie(&held[2], namespace_kit_cookie_of("green"));
        for (int i = 0; i < 3; i++) {
                json_auto_t *endpoint = kit_describe(control, &held[i]);
                int client;

                KIT_EXPECT_TEXT(kit_text(endpoint, "networkNamespace"), names[i] ?: "");
                KIT_EXPECT_TEXT(kit_text(endpoint, "address"), "127.0.0.1:8080");
                if (names[i])
                        namespace_kit_enter(names[i], &home);
                client = kit_connect(held[i].fd);
                if (names[i])
                        namespace_kit_go_home(home);
                for (int k = 0; k < 3; k++)
                        cr_assert(eq(int, kit_is_readable(held[k].fd), k == i));
                close(accept(held[i].fd, NULL, NULL));
                close(client);
        }
        /* Each is in use where it is, and nowhere else. */
        json_decref(kit_refused(
                control, "AddressInUse",
                "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'/run/netns/blue'}"));
        kit_release(control, &held[1]);
        held[1] = kit_acquire(
                control,
                "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'/run/netns/blue'}");
        expect_served_in("blue", held[1].fd);
        for (int i = 0; i < 3; i++)
                kit_release(control, &held[i]);
        close(control);
        kit_stop(&kit);
}

Test(namespaces, explain_says_what_acquire_does_and_enters_none) {
        json_t *reply;
        int control;
        Kit kit;

        namespace_kit_begin();
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
        /* There is none. */
        reply = kit_call(control, "Explain", "{'request':{" IN("blue") "}}");
        cr_assert(kit_true(reply, "parameters.allowed"));
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.rule"), "blue");
        cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), "in network namespace blue"),
                     NULL));
        json_decref(reply);
        reply = kit_call(control, "Explain", "{'request':{" IN("red") "}}");
        cr_assert(not(kit_true(reply, "parameters.allowed")));
        json_decref(reply);
        json_decref(kit_expect_error(kit_call(control, "Explain", "{'request':{" IN("..") "}}"),
                                     "OptionInvalid"));
        close(control);
        kit_stop(&kit);
}

/* Its range of ports is its own; a wildcard is in the way of those beside it alone. */
Test(namespaces, ports_and_overlaps_are_those_of_the_namespace) {
        KitSocket held[4];
        int control, home, fd;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_enter("blue", &home);
        fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
        cr_assert(eq(int, (int)write(fd, "4001 4040", 9), 9));
        close(fd);
        namespace_kit_go_home(home);
        kit_start(&kit, BROKER "[Rule own]\nUser=*\n[Rule blue]\nUser=*\nNetworkNamespace=blue\n");
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{" IN("blue") "}");
        cr_assert(kit_port(&held[0]) >= 4001 && kit_port(&held[0]) <= 4040);
        held[1] = kit_acquire(
                control,
                "{'network':'tcp','address':':5000-5001','networkNamespace':'blue','name':'web'}");
        cr_assert(eq(int, kit_port(&held[1]), 5000));
        held[2] = kit_acquire(control, "{'network':'tcp','address':':5000'}");
        expect_served_in("blue", held[1].fd);
        kit_expect_served(held[2].fd);
        /* By its name, where it is. */
        held[3] = kit_acquire(control,
                              "{'network':'tcp','address':':0','networkNamespace':'blue','name':'web'}");
        KIT_EXPECT_TEXT(kit_text(held[3].reply, "endpoint"), kit_text(held[1].reply, "endpoint"));
        json_decref(
                kit_refused(control, "OptionConflict", "{'network':'tcp','address':':0','name':'web'}"));
        for (int i = 0; i < 4; i++)
                kit_release(control, &held[i]);
        close(control);
        kit_stop(&kit);
}

Test(namespaces, datagrams_and_abstract_names) {
        static const char *const requests[] = {
                "'network':'udp4','address':'127.0.0.1:5300'",
                "'network':'udp6','address':'[::1]:5300'",
                "'network':'udp','address':':5301'",
                "'network':'unix','address':'@somewhere'",
                "'network':'tcp6','address':'[::1]:80','options':{'bindToDevice':'lo'}",
                "'network':'udp4','address':':5302','options':{'multicastGroups':['239.1.1.1%lo']}",
                "'network':'udp4','address':':5303','options':{'multicastInterface':'lo'}",
        };
        KitSocket own, held;
        int control;
        Kit kit;

        control = kit_start_beside_blue(&kit, BROKER OWN BLUE);
        for (size_t i = 0; i < ELEMENTS(requests); i++) {
                own = kit_acquire(control, "{%s}", requests[i]);
                held = kit_acquire(control, "{%s,'networkNamespace':'blue'}", requests[i]);
                expect_cookie(&own, namespace_kit_own_cookie());
                expect_cookie(&held, namespace_kit_cookie_of("blue"));
                kit_expect_served(own.fd);
                expect_served_in("blue", held.fd);
                kit_release(control, &own);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

/* One name in each: of which one is in use says nothing of the other. */
Test(namespaces, abstract_names_are_those_of_the_namespace) {
        static const char *const networks[] = { "unix", "unixgram", "unixpacket" };
        KitSocket own, held;
        int control;
        Kit kit;

        control = kit_start_beside_blue(&kit, BROKER OWN BLUE);
        for (size_t i = 0; i < ELEMENTS(networks); i++) {
                held = kit_acquire(control,
                                   "{'network':'%s','address':'@x','sharing':'exclusive',"
                                   "'networkNamespace':'blue'}",
                                   networks[i]);
                own = kit_acquire(control, "{'network':'%s','address':'@x','sharing':'exclusive'}",
                                  networks[i]);
                json_decref(kit_refused(control, "AddressInUse",
                                        "{'network':'%s','address':'@x','networkNamespace':'blue'}",
                                        networks[i]));
                kit_release(control, &own);
                json_decref(kit_refused(control, "AddressInUse",
                                        "{'network':'%s','address':'@x','networkNamespace':'blue'}",
                                        networks[i]));
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

/* Beside a plain request nothing of the others is left: the broker is where it was, and what it has
 * open. */
Test(namespaces, t14_a_hundred_requests_leave_nothing) {
        char before[64] = "", after[64] = "", path[64];
        uint64_t own, blue, green;
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_add("green");
        own = namespace_kit_own_cookie();
        blue = namespace_kit_cookie_of("blue");
        green = namespace_kit_cookie_of("green");
        kit_start_as_set(&kit, BROKER OWN ALL, &(Harness){ .uid = 0, .user = "nobody" });
        control = harness_connect(&kit.harness);
        snprintf(path, sizeof(path), "/proc/%d/ns/net", kit.harness.pid);
        cr_assert(gt(int, (int)readlink(path, before, sizeof(before) - 1), 0));
        for (int i = 0; i < 100; i++) {
                KitSocket a = kit_acquire(control, i % 2 ? "{" IN("blue") "}" : "{" IN("green") "}");
                KitSocket b = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");

                expect_cookie(&a, i % 2 ? blue : green);
                expect_cookie(&b, own);
                expect_invalid(control, IN("red"), "is not there");
                kit_release(control, &a);
                kit_release(control, &b);
                harness_expect_broker_fds(&kit.harness, kit.n_broker_fds + 1);
        }
        cr_assert(gt(int, (int)readlink(path, after, sizeof(after) - 1), 0));
        KIT_EXPECT_TEXT(after, before);
        close(control);
        kit_stop(&kit);
}

/* ---- groups ------------------------------------------------------------------------------------- */

#define STAGE BROKER "[Rule all]\nUser=*\nOptions=*\nNetworkNamespace=blue\n"

static KitSocket stage_member_in_blue(Stage *stage, const char *network, const char *more) {
        KitSocket held =
                kit_acquire(stage->control,
                            "{'network':'%s','address':'127.0.0.1:8080','networkNamespace':'blue',"
                            "'steering':'roundRobin'%s}",
                            network, more);

        json_decref(kit_event(stage->watch, "acquired"));
        return held;
}

static void steer(const char *network) {
        size_t counts[GROUP_MEMBERS_MAX];
        KitSocket members[3];
        Stage stage;
        int home;

        namespace_kit_begin();
        namespace_kit_add("blue");
        stage_begin(&stage, STAGE);
        members[0] = stage_member_in_blue(&stage, network, "");
        members[1] = stage_member_in_blue(&stage, network, "");
        members[2] = stage_member_in_blue(&stage, network, ",'standby':true");
        namespace_kit_enter("blue", &home);
        group_count(members, 3, 20, counts);
        cr_assert(counts[0] == 10 && counts[1] == 10 && counts[2] == 0);
        stage_ready(&stage, &members[2]);
        group_count(members, 3, 30, counts);
        cr_assert(counts[0] == 10 && counts[1] == 10 && counts[2] == 10);
        /* Nothing waits there, so it is drained at once; handshakes are looked for in that namespace. */
        stage_say(&stage, "Drain", &members[0]);
        stage_expect(&stage, "drained", &members[0]);
        group_count(members, 3, 20, counts);
        cr_assert(counts[0] == 0 && counts[1] == 10 && counts[2] == 10);
        namespace_kit_go_home(home);
        for (int i = 0; i < 3; i++)
                stage_release(&stage, &members[i]);
        json_decref(kit_event(stage.watch, "closed"));
        stage_end(&stage);
}

Test(namespaces, a_tcp_group_is_steered) {
        steer("tcp4");
}

Test(namespaces, a_udp_group_is_steered) {
        steer("udp4");
}
