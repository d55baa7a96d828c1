/* SPDX-License-Identifier: BSD-2-Clause */

/* A namespace is not its name, and is still there when the broker is another. */

#include "tests/integration/namespaces-kit.h"

TestSuite(namespaces_lasting, .timeout = 60);

/* The name is of another namespace now: what is there under the old one is not touched, and
 * not found. */
Test(namespaces_lasting, a_name_made_anew_is_another) {
        static const char request[] =
                "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'blue'"
                ",'name':'web'%s}";
        KitSocket before, after, more;
        uint64_t first, second;
        int control;
        Kit kit;

        control = kit_start_beside_blue(&kit, BROKER OWN BLUE);
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
Test(namespaces_lasting, a_restart_with_what_was_kept) {
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

Test(namespaces_lasting, one_broker_takes_the_place_of_another) {
        static const char request[] =
                "{'network':'tcp4','address':'127.0.0.1:8080','networkNamespace':'blue'"
                ",'sharing':'shared'%s}";
        KitSocket held, more;
        int control;
        Kit kit;

        control = kit_start_beside_blue(&kit, "[Broker]\nRetainSec=1h\n" OWN BLUE);
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
