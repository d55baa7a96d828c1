/* SPDX-License-Identifier: BSD-2-Clause */

/* Who gets no socket in another network namespace, and what is no namespace. */

#include <signal.h>

#include "tests/integration/namespaces-kit.h"

TestSuite(namespaces_refusals, .timeout = 60);

Test(namespaces_refusals, what_is_no_name_and_no_path) {
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

Test(namespaces_refusals, t14_what_is_no_namespace_of_root_s) {
        int control, fd;
        Kit kit;

        control = kit_start_beside_blue(
                &kit,
                BROKER OWN "[Rule all]\nUser=*\nNetworkNamespace=* /run/* /run/*/* /proc/*/ns/*\n");
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
Test(namespaces_refusals, t14_policy_decides_before_anything_is_looked_at) {
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

Test(namespaces_refusals, no_rule_asks_for_any_so_nothing_is_started) {
        int control;
        Kit kit;

        control = kit_start_beside_blue(&kit, BROKER OWN);
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

Test(namespaces_refusals, without_the_right_it_is_said_so) {
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

Test(namespaces_refusals, a_helper_that_has_gone) {
        KitSocket before, own;
        int control;
        Kit kit;

        control = kit_start_beside_blue(&kit, BROKER OWN BLUE);
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
Test(namespaces_refusals, a_helper_that_hangs) {
        KitSocket held;
        pid_t helper;
        int control;
        Kit kit;

        control = kit_start_beside_blue(&kit, BROKER OWN BLUE);
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
