/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whose an endpoint is: by itself each user is kept from what is another's, as the kernel keeps the
 * sockets of users apart; the rules say who belongs together, and what is shared.
 */

#include "tests/integration/scene.h"

/* Two users on one broker. */
typedef struct Pair {
        Kit kit;
        int one, other;
} Pair;

#define RULES "[Broker]\nSocketMode=0666\nRetainSec=0\n"

static void pair_begin(Pair *pair, const char *config) {
        kit_require_root();
        kit_start(&pair->kit, config);
        pair->one = kit_connect_as(&pair->kit, KIT_UID, 0);
        pair->other = kit_connect_as(&pair->kit, KIT_OTHER_UID, 0);
}

static void pair_end(Pair *pair) {
        pair->one = fd_close(pair->one);
        pair->other = fd_close(pair->other);
        kit_stop(&pair->kit);
}

static void expect_in_use(const Pair *pair, int control, const char *request) {
        json_auto_t *reply = kit_refused(control, "AddressInUse", "%s", request);

        cr_assert(eq(llong, kit_number(reply, "parameters.holder.uid"), KIT_UID));
}

TestSuite(tenants, .timeout = 60);

/* ---- kept apart --------------------------------------------------------------------------------- */

/* T3: nobody joins another's group, or shares its socket. */
Test(tenants, t3_another_user_cannot_join) {
        static const struct {
                const char *network, *host, *more;
        } requests[] = {
                { "tcp4", "127.0.0.1", "" },
                { "tcp4", "127.0.0.1", ",'sharing':'shared'" },
                { "tcp4", "127.0.0.1", ",'sharing':'exclusive'" },
                /* Other spellings of the same, and what overlaps it. */
                { "tcp", "127.0.0.1", "" },
                { "tcp", "", "" },
                { "tcp4", "0.0.0.0", "" },
                { "tcp4", "127.0.0.1", ",'options':{'bindToDevice':'lo'}" },
                { "tcp4", "", ",'options':{'bindToDevice':'lo'}" },
                { "tcp4", "127.0.0.1", ",'options':{'freeBind':true}" },
        };
        Pair pair;
        KitSocket held;

        pair_begin(&pair, KIT_TENANTS_CONFIG);
        held = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0'}");
        for (size_t i = 0; i < ELEMENTS(requests); i++) {
                char request[256];

                snprintf(request, sizeof(request), "{'network':'%s','address':'%s:%d'%s}",
                         requests[i].network, requests[i].host, (int)kit_port(&held), requests[i].more);
                expect_in_use(&pair, pair.other, request);
        }
        kit_expect_served(held.fd);
        kit_release(pair.one, &held);
        pair_end(&pair);
}

/* What is bound to a device and what is not are one address, too. */
Test(tenants, t3_a_device_does_not_part_addresses) {
        Pair pair;
        KitSocket held;
        char request[128];

        pair_begin(&pair, KIT_TENANTS_CONFIG);
        held = kit_acquire(pair.one, "{'network':'udp4','address':'127.0.0.1:0',"
                                     "'options':{'bindToDevice':'lo'}}");
        snprintf(request, sizeof(request), "{'network':'udp4','address':'127.0.0.1:%d'}",
                 (int)kit_port(&held));
        expect_in_use(&pair, pair.other, request);
        snprintf(request, sizeof(request), "{'network':'udp','address':':%d'}", (int)kit_port(&held));
        expect_in_use(&pair, pair.other, request);
        kit_release(pair.one, &held);
        pair_end(&pair);
}

Test(tenants, unix_names_are_kept_apart) {
        Pair pair;
        KitSocket held;

        pair_begin(&pair, KIT_TENANTS_CONFIG);
        held = kit_acquire(pair.one, "{'network':'unix','address':'@reuseportd-test-tenants'}");
        expect_in_use(&pair, pair.other, "{'network':'unix','address':'@reuseportd-test-tenants'}");
        kit_release(pair.one, &held);
        pair_end(&pair);
}

/* While it is kept for its next client, too: nobody steps in between two of them. */
Test(tenants, t2_a_port_that_is_kept_is_nobody_else_s) {
        Pair pair;
        KitSocket held;
        char request[128];

        pair_begin(&pair, "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\n");
        held = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(request, sizeof(request), "{'network':'tcp4','address':'%s'}", kit_address(&held));
        fd_close(held.fd);
        pair.one = fd_close(pair.one);
        expect_in_use(&pair, pair.other, request);
        pair.one = kit_connect_as(&pair.kit, KIT_UID, 0);
        {
                KitSocket next = kit_acquire(pair.one, "%s", request);

                cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
                kit_release(pair.one, &next);
        }
        json_decref(held.reply);
        pair_end(&pair);
}

/* A name is a name of one's own: nobody can sit on those of others. */
Test(tenants, names_are_each_tenant_s_own) {
        Pair pair;
        KitSocket first, second, again;

        pair_begin(&pair, KIT_TENANTS_CONFIG);
        first = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        second = kit_acquire(pair.other, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        cr_assert(ne(llong, kit_port(&first), kit_port(&second)));
        again = kit_acquire(pair.other, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        cr_assert(eq(llong, kit_port(&second), kit_port(&again)));
        json_decref(kit_refused(pair.other, "OptionConflict",
                                "{'network':'tcp4','address':'127.0.0.2:0','name':'web'}"));
        kit_release(pair.one, &first);
        kit_release(pair.other, &again);
        kit_release(pair.other, &second);
        pair_end(&pair);
}

/* ---- together ----------------------------------------------------------------------------------- */

Test(tenants, users_of_one_tenant_share) {
        Pair pair;
        KitSocket first, second;
        int third;

        pair_begin(&pair, RULES "[Rule web]\nUser=65534 65533\nTenant=web\n[Rule all]\nUser=*\n");
        first = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        second = kit_acquire(pair.other, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        kit_expect_both_served(first.fd, second.fd);
        {
                json_auto_t *reply = kit_call(pair.other, "List", "{'endpoint':'web'}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.endpoints.0.tenant"), "web");
        }
        third = harness_connect(&pair.kit.harness);
        {
                char request[128];

                snprintf(request, sizeof(request), "{'network':'tcp4','address':'%s'}",
                         kit_address(&first));
                expect_in_use(&pair, third, request);
        }
        close(third);
        kit_release(pair.one, &first);
        kit_release(pair.other, &second);
        pair_end(&pair);
}

Test(tenants, whom_a_rule_shares_with) {
        Pair pair;
        KitSocket first, second;
        char request[128];

        pair_begin(&pair, RULES "[Rule one]\nUser=65534\nShareWith=65533\n[Rule all]\nUser=*\n");
        first = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0'}");
        second = kit_acquire(pair.other, "{'network':'tcp4','address':'%s'}", kit_address(&first));
        kit_expect_both_served(first.fd, second.fd);
        kit_release(pair.other, &second);
        kit_release(pair.one, &first);

        /* Not the other way round. */
        first = kit_acquire(pair.other, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(request, sizeof(request), "{'network':'tcp4','address':'%s'}", kit_address(&first));
        json_decref(kit_refused(pair.one, "AddressInUse", "%s", request));
        kit_release(pair.other, &first);
        pair_end(&pair);
}

/* Whoever shares cannot draw others away from what is their own, by giving it the same name. */
Test(tenants, names_that_others_share) {
        Pair pair;
        KitSocket own, shared, again;

        pair_begin(&pair, RULES "[Rule one]\nUser=65534\nShareWith=65533\n[Rule all]\nUser=*\n");
        own = kit_acquire(pair.other, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        shared = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        cr_assert(ne(int, kit_port(&own), kit_port(&shared)));
        again = kit_acquire(pair.other, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        cr_assert(eq(int, kit_port(&again), kit_port(&own)));
        kit_release(pair.other, &again);
        kit_release(pair.other, &own);
        /* Without one of its own the name means what is shared. */
        again = kit_acquire(pair.other, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        cr_assert(eq(int, kit_port(&again), kit_port(&shared)));
        kit_release(pair.other, &again);
        kit_release(pair.one, &shared);
        pair_end(&pair);
}

/* Guests join what others share, and name nothing there: not in use, nor when it is kept. */
Test(tenants, guests_give_no_names) {
        Pair pair;
        KitSocket first, second;
        char request[128];

        pair_begin(&pair, RULES "[Rule one]\nUser=65534\nShareWith=65533\n[Rule all]\nUser=*\n");
        first = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0','retainSec':60}");
        snprintf(request, sizeof(request), "{'network':'tcp4','address':'%s','name':'web'}",
                 kit_address(&first));
        json_decref(kit_refused(pair.other, "OptionConflict", "%s", request));
        pair.one = fd_close(pair.one);
        pair.one = kit_connect_as(&pair.kit, KIT_UID, 0);
        {
                json_auto_t *reply;

                do
                        reply = kit_call(pair.other, "GetStatus", "{}");
                while (kit_number(reply, "parameters.leases") > 0 && (json_decref(reply), true));
        }
        json_decref(kit_refused(pair.other, "OptionConflict", "%s", request));
        second = kit_acquire(pair.one, "%s", request);
        cr_assert(kit_true(second.reply, "adopted"));
        kit_drop(&first);
        first = kit_acquire(pair.other, "%s", request);
        kit_release(pair.other, &first);
        kit_release(pair.one, &second);
        pair_end(&pair);
}

/* A guest finds what its owner left, queue included, as its owner made it. */
Test(tenants, a_guest_adopts_and_changes_nothing) {
        KitSocket held, next;
        char address[64];
        Pair pair;

        pair_begin(&pair,
                   "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule one]\nUser=65534\nShareWith=65533\n"
                   "[Rule all]\nUser=*\n");
        held = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'}");
        snprintf(address, sizeof(address), "%s", kit_address(&held));
        fd_close(held.fd);
        json_decref(held.reply);
        pair.one = fd_close(pair.one);
        harness_expect_broker_fds(&pair.kit.harness, pair.kit.n_broker_fds + 2);
        json_decref(kit_refused(pair.other, "AddressInUse",
                                "{'network':'tcp4','address':'%s','sharing':'exclusive'}", address));
        json_decref(
                kit_refused(pair.other, "OptionConflict", "{'network':'tcp4','address':'%s'}", address));
        next = kit_acquire(pair.other, "{'network':'tcp4','address':'%s','sharing':'shared'}", address);
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        kit_release(pair.other, &next);
        pair_end(&pair);
}

/* The rules in force decide, of what is there as well. */
Test(tenants, after_a_reload) {
        Pair pair;
        KitSocket first, second;
        char request[128];

        pair_begin(&pair, RULES "[Rule all]\nUser=*\n");
        first = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0'}");
        snprintf(request, sizeof(request), "{'network':'tcp4','address':'%s'}", kit_address(&first));
        expect_in_use(&pair, pair.other, request);
        harness_reload(&pair.kit.harness, RULES "[Rule all]\nUser=*\nTenant=all\n");
        second = kit_acquire(pair.other, "%s", request);
        kit_release(pair.other, &second);
        harness_reload(&pair.kit.harness, RULES "[Rule all]\nUser=*\n");
        expect_in_use(&pair, pair.other, request);
        kit_release(pair.one, &first);
        pair_end(&pair);
}

/* ---- who may look ------------------------------------------------------------------------------- */

Test(tenants, only_observers_see_what_is_not_theirs) {
        Pair pair;
        KitSocket held;
        int watch;

        pair_begin(&pair, RULES "[Rule ops]\nUser=65533\nObserve=yes\n[Rule one]\nUser=65534\n");
        held = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        {
                json_auto_t *reply = kit_call(pair.other, "List", "{}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.endpoints.0.name"), "web");
        }
        kit_become(KIT_OTHER_UID, 0);
        watch = kit_watch(&pair.kit, pair.other);
        kit_become_root();
        /* To look is not to have. */
        json_decref(kit_refused(pair.other, "PolicyDenied", "{'network':'tcp4','address':'%s'}",
                                kit_address(&held)));
        kit_release(pair.one, &held);
        json_decref(kit_event(watch, "denied"));
        json_decref(kit_event(watch, "released"));
        close(watch);
        harness_reload(&pair.kit.harness, RULES "[Rule one]\nUser=*\n");
        held = kit_acquire(pair.one, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        {
                json_auto_t *reply = kit_call(pair.other, "List", "{}");

                cr_assert(zero(sz, json_array_size(json_object_get(json_object_get(reply, "parameters"),
                                                                   "endpoints"))));
        }
        kit_release(pair.one, &held);
        pair_end(&pair);
}

/* ---- limits of rules ----------------------------------------------------------------------------- */

static void expect_quota(int control, const char *request, const char *resource, long long limit) {
        json_auto_t *reply = kit_refused(control, "QuotaExceeded", "%s", request);

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.resource"), resource);
        cr_assert(eq(llong, kit_number(reply, "parameters.limit"), limit));
}

Test(tenants, leases_by_a_rule) {
        static const char request[] = "{'network':'tcp4','address':'127.0.0.1:0'}";
        KitSocket held[3], others, udp;
        Pair pair;

        pair_begin(&pair, RULES "[Rule some]\nUser=*\nNetwork=tcp\nMaxLeases=3\n[Rule all]\nUser=*\n");
        for (size_t i = 0; i < 3; i++)
                held[i] = kit_acquire(pair.one, "%s", request);
        expect_quota(pair.one, request, "leases by rule \"some\"", 3);
        /* Each user has so many, and by another rule more. */
        others = kit_acquire(pair.other, "%s", request);
        udp = kit_acquire(pair.one, "{'network':'udp4','address':'127.0.0.1:0'}");
        kit_release(pair.one, &held[1]);
        held[1] = kit_acquire(pair.one, "%s", request);
        expect_quota(pair.one, request, "leases by rule \"some\"", 3);
        for (size_t i = 0; i < 3; i++)
                kit_release(pair.one, &held[i]);
        kit_release(pair.one, &udp);
        kit_release(pair.other, &others);
        pair_end(&pair);
}

/* Coming again over another connection does not help, nor does a file that is read again. */
Test(tenants, requests_by_a_rule) {
        static const char request[] = "{'network':'tcp4','address':'127.0.0.1:0'}";
        static const char config[] = RULES "[Rule some]\nUser=*\nRateLimit=3/1h\n";
        KitSocket held;
        Pair pair;

        pair_begin(&pair, config);
        for (int i = 0; i < 3; i++) {
                held = kit_acquire(pair.one, "%s", request);
                kit_release(pair.one, &held);
                close(pair.one);
                pair.one = kit_connect_as(&pair.kit, KIT_UID, 0);
        }
        expect_quota(pair.one, request, "requests in its time by rule \"some\"", 3);
        harness_reload(&pair.kit.harness, config);
        expect_quota(pair.one, request, "requests in its time by rule \"some\"", 3);
        held = kit_acquire(pair.other, "%s", request);
        kit_release(pair.other, &held);
        pair_end(&pair);
}
