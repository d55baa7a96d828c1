/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sockets in other network namespaces: who gets none, that each is where it was asked for and nowhere
 * else, and that a namespace is not its name.
 */

#include <signal.h>

#include "tests/integration/group-kit.h"
#include "tests/unit/namespace-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

TestSuite(namespaces, .timeout = 60);

#define BROKER "[Broker]\nSocketMode=0666\nRetainSec=0\n"
#define OWN "[Rule own]\nUser=*\nOptions=*\nTenant=all\n"
#define BLUE "[Rule blue]\nUser=*\nOptions=*\nTenant=all\nNetworkNamespace=blue\n"
#define ALL "[Rule all]\nUser=*\nOptions=*\nTenant=all\nNetworkNamespace=*\n"
#define IN(name) "'network':'tcp4','address':'127.0.0.1:0','networkNamespace':'" name "'"

static void expect_reason(json_t *reply, const char *words) {
        json_auto_t *owned = reply;

        cr_assert(ne(ptr, strstr(kit_text(owned, "parameters.reason"), words), NULL), "%s",
                  kit_text(owned, "parameters.reason"));
}

static void expect_invalid(int control, const char *request, const char *words) {
        json_auto_t *reply = kit_refused(control, "OptionInvalid", "{%s}", request);

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "networkNamespace");
        expect_reason(json_incref(reply), words);
}

/* A client in the namespace called @name reaches @holder. */
static void expect_served_in(const char *name, int holder) {
        int home;

        namespace_kit_enter(name, &home);
        kit_expect_served(holder);
        namespace_kit_go_home(home);
}

static void expect_cookie(const KitSocket *held, uint64_t cookie) {
        cr_assert(eq(u64, namespace_kit_cookie(held->fd), cookie));
}

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(namespaces, what_is_no_name_and_no_path) {
        int control;
        Kit kit;

        namespace_kit_begin();
        kit_start(&kit, BROKER OWN ALL);
        control = harness_connect(&kit.harness);
        expect_invalid(control, IN(""), "give a name");
        expect_invalid(control, IN("."), "give a name");
        expect_invalid(control, IN(".."), "give a name");
        expect_invalid(control, IN("a/b"), "from the root on");
        expect_invalid(control, IN("/run/netns/../x"), "without empty parts");
        expect_invalid(control, IN("a b"), "blanks");
        expect_invalid(control, "'network':'unix','address':'/tmp/x','networkNamespace':'blue'",
                       "a path is the same");
        close(control);
        kit_stop(&kit);
}

Test(namespaces, t14_what_is_no_namespace_of_root_s) {
        int control, fd;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit,
                  BROKER OWN "[Rule all]\nUser=*\nNetworkNamespace=* /run/* /run/*/* /proc/*/ns/*\n");
        control = harness_connect(&kit.harness);
        expect_invalid(control, IN("red"), "/run/netns/red is not there");
        fd = open("/run/netns/red", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        close(fd);
        expect_invalid(control, IN("red"), "/run/netns/red is no network namespace");
        cr_assert(zero(int, mount("/proc/self/ns/uts", "/run/netns/red", NULL, MS_BIND, NULL)));
        expect_invalid(control, IN("red"), "/run/netns/red is no network namespace");
        cr_assert(zero(int, symlink("blue", "/run/netns/link")));
        expect_invalid(control, IN("link"), "/run/netns/link is a symbolic link");
        cr_assert(zero(int, symlink("netns", "/run/folder")));
        expect_invalid(control, IN("/run/folder/blue"), "/run/folder is a symbolic link");
        expect_invalid(control, IN("/proc/1/ns/net"), "/proc/1/ns");
        expect_invalid(control, IN("/proc/self/ns/net"), "/proc/self is a symbolic link");
        cr_assert(zero(int, mkdir("/run/open", 0777)));
        cr_assert(zero(int, chmod("/run/open", 0777)));
        namespace_kit_add_at("/run/open/blue");
        expect_invalid(control, IN("/run/open/blue"),
                       "/run/open is a folder that others than root may change");
        cr_assert(zero(int, mount("/proc/self/ns/net", "/run/netns/red", NULL, MS_BIND, NULL)));
        expect_invalid(control, IN("red"), "is the broker's own");
        close(control);
        kit_stop(&kit);
}

/* Whether there is such a name is told to nobody who can have nothing of it. */
Test(namespaces, t14_policy_decides_before_anything_is_looked_at) {
        static const char *const names[] = { "blue", "red", "/run/elsewhere", "/proc/1/ns/net" };
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_add("green");
        kit_start(&kit, BROKER "[Rule no]\nUser=*\nNetworkNamespace=blue\nAllow=no\n" OWN
                               "[Rule root]\nUser=12345\nNetworkNamespace=* /*/* /*/*/*/*\n"
                               "[Rule green]\nUser=*\nNetworkNamespace=green\nPort=81\n");
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                json_auto_t *reply = kit_refused(
                        control, "PolicyDenied",
                        "{'network':'tcp4','address':'127.0.0.1:80','networkNamespace':'%s'}", names[i]);
                json_auto_t *any = kit_refused(
                        control, "PolicyDenied",
                        "{'network':'tcp4','address':'127.0.0.1:0','networkNamespace':'%s'}", names[i]);

                expect_reason(json_incref(reply), "in network namespace");
                expect_reason(json_incref(any), "in network namespace");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.rule"), i == 0 ? "no" : "");
        }
        expect_reason(kit_refused(control, "PolicyDenied", "{" IN("green") ",'sharing':'exclusive'}"),
                      "Port=");
        /* By the name that a rule does not give, though it is the same namespace. */
        close(open("/run/netns/other", O_CREAT | O_RDONLY | O_CLOEXEC, 0));
        cr_assert(zero(int, mount("/run/netns/green", "/run/netns/other", NULL, MS_BIND, NULL)));
        json_decref(
                kit_refused(control, "PolicyDenied",
                            "{'network':'tcp4','address':'127.0.0.1:81','networkNamespace':'other'}"));
        close(control);
        kit_stop(&kit);
}

Test(namespaces, no_rule_asks_for_any_so_nothing_is_started) {
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit, BROKER OWN);
        control = harness_connect(&kit.harness);
        cr_assert(zero(int, namespace_kit_helper(kit.harness.pid)));
        cr_assert(not(kit_is_capable(control, "netns")));
        cr_assert(not(kit_is_warned(control, "namespace")));
        expect_reason(kit_refused(control, "PolicyDenied", "{" IN("blue") "}"),
                      "without NetworkNamespace= it covers the broker's own alone");
        /* The right to was given up. */
        harness_reload(&kit.harness, BROKER OWN BLUE);
        cr_assert(kit_is_warned(control, "NetworkNamespace= since the broker gave up what it takes"));
        cr_assert(not(kit_is_capable(control, "netns")));
        expect_reason(kit_refused(control, "NotSupported", "{" IN("blue") "}"), "no rule gave any");
        close(control);
        kit_stop(&kit);
}

Test(namespaces, without_the_right_it_is_said_so) {
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start_as_set(&kit, BROKER OWN BLUE, &(Harness){ .uid = 0, .no_bpf = true });
        control = harness_connect(&kit.harness);
        cr_assert(not(kit_is_capable(control, "netns")));
        cr_assert(kit_is_warned(control, "none can be entered: it takes CAP_SYS_ADMIN"));
        expect_reason(kit_refused(control, "NotSupported", "{" IN("blue") "}"), "CAP_SYS_ADMIN");
        close(control);
        kit_stop(&kit);
}

Test(namespaces, a_helper_that_has_gone) {
        KitSocket before, own;
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
        before = kit_acquire(control, "{" IN("blue") "}");
        cr_assert(kit_is_capable(control, "netns"));
        cr_assert(zero(int, kill(namespace_kit_helper(kit.harness.pid), SIGKILL)));
        for (int i = 0; i < 100000 && kit_is_capable(control, "netns"); i++)
                ;
        cr_assert(not(kit_is_capable(control, "netns")));
        cr_assert(kit_is_warned(control, "has ended: restart the broker"));
        for (int i = 0; i < 3; i++) {
                json_auto_t *reply = kit_refused(control, "SystemFailure", "{" IN("blue") "}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "namespace helper");
                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "EPIPE");
        }
        /* What is there serves on, and so does everything else. */
        expect_served_in("blue", before.fd);
        own = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_expect_served(own.fd);
        kit_release(control, &own);
        kit_release(control, &before);
        close(control);
        kit_stop(&kit);
}

/* Stopped it is late: one request waits for it, the others do not, and nobody else. */
Test(namespaces, a_helper_that_hangs) {
        KitSocket held;
        pid_t helper;
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
        helper = namespace_kit_helper(kit.harness.pid);
        cr_assert(zero(int, kill(helper, SIGSTOP)));
        for (int i = 0; i < 50; i++) {
                json_auto_t *reply = kit_refused(control, "SystemFailure", "{" IN("blue") "}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "ETIMEDOUT");
        }
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_release(control, &held);
        cr_assert(zero(int, kill(helper, SIGCONT)));
        for (int i = 0; i < 100000; i++) {
                json_auto_t *reply = kit_call(
                        control, "Acquire", "{'sockets':[{" IN("blue") ",'name':'x'},{" IN("red") "}]}");

                /* The first is given again, and the second never. */
                if (strstr(kit_text(reply, "error"), "PolicyDenied"))
                        break;
        }
        held = kit_acquire(control, "{" IN("blue") "}");
        expect_cookie(&held, namespace_kit_cookie_of("blue"));
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

/* ---- what is given ------------------------------------------------------------------------------ */

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

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
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

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
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

/* ---- zones --------------------------------------------------------------------------------------- */

#define ZONE(address) "'network':'udp6','address':'" address "','networkNamespace':'blue'"

static void expect_address_invalid(int control, const char *request, const char *words) {
        expect_reason(kit_refused(control, "AddressInvalid", "{%s}", request), words);
}

/* In blue, "inside" is what is "lo" elsewhere. */
static void begin_zones(void) {
        int home;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_enter("blue", &home);
        namespace_kit_rename_loopback("inside");
        namespace_kit_go_home(home);
}

Test(namespaces, zones_that_are_not_there) {
        json_t *reply;
        int control;
        Kit kit;

        begin_zones();
        kit_start(&kit, BROKER OWN BLUE "[Rule green]\nUser=12345\nNetworkNamespace=green\n");
        control = harness_connect(&kit.harness);
        expect_address_invalid(control, ZONE("[fe80::1%lo]:80"), "of that network namespace");
        expect_address_invalid(control, ZONE("[fe80::1]:80"), "means nothing without its interface");
        expect_address_invalid(control, ZONE("[fe80::1%]:80"), "means nothing without its interface");
        json_decref(kit_refused(control, "AddressInvalid",
                                "{'network':'udp6','address':'[fe80::1%%inside]:80'}"));
        json_decref(kit_refused(control, "AddressUnavailable", "{" ZONE("[fe80::2%%inside]:80") "}"));
        reply = kit_refused(control, "OptionInvalid",
                            "{" ZONE("[fe80::1%%inside]:80") ",'options':{'bindToDevice':'lo'}}");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "bindToDevice");
        json_decref(reply);
        /* Who may have nothing there is not told which there are. */
        for (int i = 0; i < 2; i++)
                json_decref(kit_refused(
                        control, "PolicyDenied",
                        "{'network':'udp6','address':'[fe80::1%%%s]:80','networkNamespace':'green'}",
                        i ? "inside" : "nope"));
        close(control);
        kit_stop(&kit);
}

/* Its name is nothing to who is elsewhere: it comes back as its index. */
Test(namespaces, zones_are_interfaces_of_the_namespace) {
        static const char *const requests[][3] = {
                { ZONE("[fe80::1%inside]:7000"), "[fe80::1%1]:7000", ZONE("[FE80::0:1%1]:7000") },
                { ZONE("[fe80::1%1]:7000"), "[fe80::1%1]:7000", ZONE("[fe80::1%inside]:7000") },
                { ZONE("[::1%nope]:7000"), "[::1]:7000", ZONE("[::1%inside]:7000") },
                { ZONE("[fe80::1%inside]:7000") ",'options':{'bindToDevice':'inside'}",
                  "[fe80::1%1]:7000", ZONE("[::]:7000") },
                { ZONE("[ff02::fb%inside]:7000"), "[ff02::fb%1]:7000", ZONE("[ff02::fb%1]:7000") },
        };
        int control;
        Kit kit;

        begin_zones();
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < ELEMENTS(requests); i++) {
                KitSocket held = kit_acquire(control, "{%s,'sharing':'exclusive'}", requests[i][0]);
                json_auto_t *endpoint = kit_describe(control, &held);
                json_t *reply;

                expect_cookie(&held, namespace_kit_cookie_of("blue"));
                KIT_EXPECT_TEXT(kit_text(endpoint, "address"), requests[i][1]);
                KIT_EXPECT_TEXT(kit_text(held.reply, "address"), requests[i][1]);
                json_decref(kit_refused(control, "AddressInUse", "{%s}", requests[i][2]));
                reply = kit_call(control, "Explain", "{'request':{%s}}", requests[i][0]);
                cr_assert(kit_true(reply, "parameters.allowed"));
                json_decref(reply);
                if (i < 4)
                        expect_served_in("blue", held.fd);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

Test(namespaces, a_zone_outlives_the_broker) {
        KitSocket held, more;
        int control;
        Kit kit;

        begin_zones();
        kit_start(&kit, "[Broker]\nRetainSec=1h\n" OWN BLUE);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{" ZONE("[fe80::1%%inside]:7000") ",'sharing':'shared'}");
        harness_replace(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        more = kit_acquire(control, "{" ZONE("[fe80::1%%inside]:7000") ",'sharing':'shared'}");
        KIT_EXPECT_TEXT(kit_text(more.reply, "endpoint"), kit_text(held.reply, "endpoint"));
        kit_drop(&held);
        expect_served_in("blue", more.fd);
        kit_release(control, &more);
        close(control);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
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

/* ---- what outlives the broker, or the name ------------------------------------------------------- */

/* The name is of another namespace now: what is there under the old one is not touched, and not found.
 */
Test(namespaces, a_name_made_anew_is_another) {
        static const char request[] =
                "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'blue'"
                ",'name':'web'%s}";
        KitSocket before, after, more;
        uint64_t first, second;
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit, BROKER OWN BLUE);
        control = harness_connect(&kit.harness);
        before = kit_acquire(control,
                             "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'blue'}");
        first = namespace_kit_cookie_of("blue");
        namespace_kit_delete("blue");
        expect_invalid(control, "'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'blue'",
                       "is not there");
        namespace_kit_add("blue");
        second = namespace_kit_cookie_of("blue");
        after = kit_acquire(control, request, "");
        more = kit_acquire(control, request, "");
        expect_cookie(&before, first);
        expect_cookie(&after, second);
        expect_cookie(&more, second);
        cr_assert(ne(str, (char *)kit_text(before.reply, "endpoint"),
                     (char *)kit_text(after.reply, "endpoint")));
        KIT_EXPECT_TEXT(kit_text(more.reply, "endpoint"), kit_text(after.reply, "endpoint"));
        kit_release(control, &more);
        kit_release(control, &after);
        kit_release(control, &before);
        close(control);
        kit_stop(&kit);
}

static Keeper keeper;

static void restart(Kit *kit, int *control) {
        close(*control);
        harness_kill(&kit->harness);
        harness_restart(&kit->harness);
        *control = harness_connect(&kit->harness);
}

/* One that is there, by its name, and one whose name has become another's meanwhile. */
Test(namespaces, a_restart_with_what_was_kept) {
        static const char request[] =
                "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'%s','retainSec':3600}";
        KitSocket blue, green, again, anew;
        uint64_t cookie;
        int control, home, old;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_add("green");
        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        kit.harness = (Harness){ .uid = 0, .keeper = &keeper };
        harness_start_as_set(&kit.harness, BROKER OWN ALL);
        control = harness_connect(&kit.harness);
        blue = kit_acquire(control, request, "blue");
        green = kit_acquire(control, request, "green");
        cookie = namespace_kit_cookie_of("blue");
        old = open("/run/netns/green", O_RDONLY | O_CLOEXEC);
        namespace_kit_delete("green");
        namespace_kit_add("green");
        restart(&kit, &control);
        expect_served_in("blue", blue.fd);
        home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        cr_assert(zero(int, setns(old, CLONE_NEWNET)));
        for (int i = 0; i < 10; i++)
                kit_expect_served(green.fd);
        namespace_kit_go_home(home);
        close(old);
        for (int i = 0; i < 2; i++) {
                json_auto_t *endpoint = kit_describe(control, i ? &green : &blue);

                KIT_EXPECT_TEXT(kit_text(endpoint, "networkNamespace"), i ? "green" : "blue");
        }
        again = kit_acquire(control, request, "blue");
        KIT_EXPECT_TEXT(kit_text(again.reply, "endpoint"), kit_text(blue.reply, "endpoint"));
        expect_cookie(&again, cookie);
        anew = kit_acquire(control, request, "green");
        cr_assert(ne(str, (char *)kit_text(anew.reply, "endpoint"),
                     (char *)kit_text(green.reply, "endpoint")));
        expect_cookie(&anew, namespace_kit_cookie_of("green"));
        kit_release(control, &again);
        kit_release(control, &anew);
        kit_drop(&blue);
        kit_drop(&green);
        close(control);
        harness_stop(&kit.harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit.n_fds);
}

Test(namespaces, one_broker_takes_the_place_of_another) {
        static const char request[] =
                "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'blue'"
                ",'sharing':'shared'%s}";
        KitSocket held, more;
        int control;
        Kit kit;

        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(&kit, "[Broker]\nRetainSec=1h\n" OWN BLUE);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, request, "");
        harness_replace(&kit.harness);
        close(control);
        control = harness_connect(&kit.harness);
        cr_assert(kit_is_capable(control, "netns"));
        more = kit_acquire(control, request, "");
        KIT_EXPECT_TEXT(kit_text(more.reply, "endpoint"), kit_text(held.reply, "endpoint"));
        kit_drop(&held);
        expect_served_in("blue", more.fd);
        kit_release(control, &more);
        close(control);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}
