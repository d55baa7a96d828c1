/* SPDX-License-Identifier: BSD-2-Clause */

/* Watch: what happens, in the order in which it happens, about what and by whom. */

#include <time.h>

#include "tests/integration/acquire-kit.h"

TestSuite(watch, .timeout = 60);

static long long now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

Test(watch, needs_more) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(
                kit_expect_error(kit_call(control, "Watch", "{}"), "org.varlink.service.ExpectedMore"));
        close(control);
        kit_stop(&kit);
}

/* An event about @held and its lease, by this process. */
static void expect_about(int watch, const char *what, const KitSocket *held, long long before) {
        json_auto_t *event = kit_event(watch, what);

        KIT_EXPECT_TEXT(kit_text(event, "endpoint"), kit_text(held->reply, "endpoint"));
        KIT_EXPECT_TEXT(kit_text(event, "lease"), kit_lease(held));
        cr_assert(ne(str, (char *)kit_text(event, "member"), (char *)""));
        cr_assert(eq(llong, kit_number(event, "holder.uid"), geteuid()));
        cr_assert(eq(llong, kit_number(event, "holder.pid"), getpid()));
        cr_assert(ge(llong, kit_number(event, "timeUsec"), before));
        cr_assert(le(llong, kit_number(event, "timeUsec"), now_usec()));
}

/* One about the endpoint, with a reason and who held it last. */
static void expect_of_endpoint(int watch, const char *what, const KitSocket *held) {
        json_auto_t *event = kit_event(watch, what);

        KIT_EXPECT_TEXT(kit_text(event, "endpoint"), kit_text(held->reply, "endpoint"));
        cr_assert(zero(ptr, kit_at(event, "lease")));
        cr_assert(eq(llong, kit_number(event, "holder.uid"), geteuid()));
        cr_assert(ne(str, (char *)kit_text(event, "reason"), (char *)""));
}

/* A whole life: made, joined, left, lost, adopted and given back. */
Test(watch, order_of_a_life) {
        Kit kit;
        KitSocket first, second, third;
        int control, other, watch;
        long long before = now_usec();

        kit_start(&kit, "[Broker]\nRetainSec=1h\n[Rule all]\nUser=*\n");
        other = harness_connect(&kit.harness);
        watch = kit_watch(&kit, other);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        expect_about(watch, "acquired", &first, before);
        second = kit_acquire(other, "{'network':'tcp4','address':'%s'}", kit_address(&first));
        expect_about(watch, "acquired", &second, before);
        json_decref(kit_call(other, "Release", "{'leases':['%s']}", kit_lease(&second)));
        expect_about(watch, "released", &second, before);
        close(control);
        expect_about(watch, "released", &first, before);
        expect_of_endpoint(watch, "parked", &first);
        third = kit_acquire(other, "{'network':'tcp4','address':'%s'}", kit_address(&first));
        expect_about(watch, "adopted", &third, before);
        json_decref(kit_call(other, "Release", "{'leases':['%s']}", kit_lease(&third)));
        expect_about(watch, "released", &third, before);
        expect_of_endpoint(watch, "closed", &third);
        cr_assert(zero(int, kit_is_readable(watch)));
        kit_drop(&first);
        kit_drop(&second);
        kit_drop(&third);
        close(watch);
        close(other);
        kit_stop(&kit);
}

Test(watch, denied) {
        Kit kit;
        int control, watch;

        kit_start(&kit, "[Rule no]\nUser=*\nPort=9\nAllow=no\n");
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        {
                json_auto_t *reply =
                        kit_refused(control, "PolicyDenied", "{'network':'tcp4','address':':9'}");
                json_auto_t *event = kit_event(watch, "denied");

                KIT_EXPECT_TEXT(kit_text(event, "reason"), kit_text(reply, "parameters.reason"));
                cr_assert(eq(llong, kit_number(event, "holder.pid"), getpid()));
                cr_assert(zero(ptr, kit_at(event, "endpoint")));
        }
        close(watch);
        close(control);
        kit_stop(&kit);
}

Test(watch, quota) {
        Kit kit;
        KitSocket held;
        int control, watch;

        kit_start(&kit, "[Broker]\nMaxLeasesPerUser=1\nRetainSec=0\n[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        watch = kit_watch(&kit, control);
        json_decref(kit_refused(control, "QuotaExceeded", "{'network':'tcp4','address':'127.0.0.1:0'}"));
        {
                json_auto_t *event = kit_event(watch, "quota");

                KIT_EXPECT_TEXT(kit_text(event, "reason"), "the limit is 1 leases for each user");
                cr_assert(eq(llong, kit_number(event, "holder.pid"), getpid()));
                cr_assert(zero(ptr, kit_at(event, "endpoint")));
        }
        kit_drop(&held);
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* Errors that neither policy nor a limit of users are between the broker and its client. */
Test(watch, other_refusals_are_no_events) {
        Kit kit;
        int control, watch;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        json_decref(kit_refused(control, "AddressUnavailable",
                                "{'network':'tcp4','address':'192.0.2.1:0'}"));
        json_decref(kit_refused(control, "NetworkUnknown", "{'network':'tcp5','address':':0'}"));
        json_decref(kit_expect_error(kit_call(control, "Release", "{'leases':['l1']}"), "NoSuchLease"));
        cr_assert(zero(int, kit_is_readable(watch)));
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* It is an entry of the audit alone: the first that is told is what came after. */
Test(watch, dial_is_no_event) {
        int fds[HARNESS_FDS_MAX];
        KitSocket held;
        json_t *reply;
        size_t n_fds;
        Kit kit;
        int control, watch;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        kit_send(control, "Dial", "",
                 "{'network':'tcp4','remoteAddress':'127.0.0.1:80','localAddress':'127.0.0.1:0'}");
        reply = kit_receive(control, fds, &n_fds);
        kit_expect_success(reply);
        cr_assert(eq(sz, n_fds, 1));
        close(fds[0]);
        json_decref(reply);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        json_decref(kit_event(watch, "acquired"));
        kit_release(control, &held);
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* Several watchers are told the same; one that goes does not disturb the others. */
Test(watch, several) {
        Kit kit;
        KitSocket held;
        int control, watches[3];
        long long before = now_usec();

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 3; i++)
                watches[i] = kit_watch(&kit, control);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        for (int i = 0; i < 3; i++)
                expect_about(watches[i], "acquired", &held, before);
        close(watches[1]);
        json_decref(kit_call(control, "Release", "{'leases':['%s']}", kit_lease(&held)));
        for (int i = 0; i < 3; i += 2) {
                expect_about(watches[i], "released", &held, before);
                json_decref(kit_event(watches[i], "closed"));
                close(watches[i]);
        }
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* A user is told of its own endpoints, root of all. */
Test(watch, of_ones_own) {
        Kit kit;
        KitSocket held;
        int control, owner, stranger, root;

        kit_require_root();
        kit_start(&kit, KIT_TENANTS_CONFIG);
        control = kit_connect_as(&kit, KIT_UID, 0);
        kit_become(KIT_UID, 0);
        owner = kit_watch(&kit, control);
        kit_become(KIT_OTHER_UID, KIT_UID);
        stranger = kit_watch(&kit, control);
        kit_become_root();
        root = kit_watch(&kit, control);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_release(control, &held);
        json_decref(kit_event(owner, "acquired"));
        json_decref(kit_event(owner, "released"));
        json_decref(kit_event(owner, "closed"));
        json_decref(kit_event(root, "acquired"));
        json_decref(kit_event(root, "released"));
        json_decref(kit_event(root, "closed"));
        cr_assert(zero(int, kit_is_readable(stranger)));
        close(owner);
        close(stranger);
        close(root);
        close(control);
        kit_stop(&kit);
}
