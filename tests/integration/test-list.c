/* SPDX-License-Identifier: BSD-2-Clause */

/* What GetStatus and List tell of what is held. */

#include <sys/time.h>
#include <time.h>

#include "tests/integration/acquire-kit.h"

TestSuite(list, .timeout = 60);

static long long now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static bool list_has_text(const json_t *array, const char *text) {
        const json_t *item;
        size_t i;

        json_array_foreach(array, i,
                           item) if (strcmp(json_string_value(item) ?: "", text) == 0) return true;
        return false;
}

Test(list, unknown_endpoint) {
        static const char *const endpoints[] = {
                "", "web", "e1", "e1-0000000000000000", "tcp4 127.0.0.1:1", "127.0.0.1:1"
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
                json_auto_t *reply = kit_expect_error(
                        kit_call(control, "List", "{'endpoint':'%s'}", endpoints[i]), "NoSuchEndpoint");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.endpoint"), endpoints[i]);
        }
        close(control);
        kit_stop(&kit);
}

Test(list, status_counts) {
        Kit kit;
        KitSocket first, second, third;
        int control, other;
        long long before = now_usec();

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        other = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        second = kit_acquire(other, "{'network':'tcp4','address':'%s'}", kit_address(&first));
        third = kit_acquire(other, "{'network':'udp4','address':'127.0.0.1:0'}");
        {
                json_auto_t *reply = kit_call(control, "GetStatus", "{}");

                cr_assert(eq(llong, kit_number(reply, "parameters.connections"), 2));
                cr_assert(eq(llong, kit_number(reply, "parameters.endpoints"), 2));
                cr_assert(eq(llong, kit_number(reply, "parameters.leases"), 3));
                cr_assert(ge(llong, kit_number(reply, "parameters.startedUsec"), before));
                cr_assert(le(llong, kit_number(reply, "parameters.startedUsec"), now_usec()));
                cr_assert(ne(str, (char *)kit_text(reply, "parameters.version"), (char *)""));
                cr_assert(
                        eq(int, list_has_text(kit_at(reply, "parameters.capabilities"), "ipv4"), true));
                cr_assert(eq(int, json_is_array(kit_at(reply, "parameters.warnings")), true));
        }
        kit_drop(&first);
        kit_drop(&second);
        kit_drop(&third);
        close(other);
        /* The end of the other connection has been seen when its descriptors are gone. */
        close(control);
        harness_expect_broker_fds(&kit.harness, kit.n_broker_fds);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_call(control, "GetStatus", "{}");

                cr_assert(eq(llong, kit_number(reply, "parameters.connections"), 1));
                cr_assert(zero(llong, kit_number(reply, "parameters.endpoints")));
                cr_assert(zero(llong, kit_number(reply, "parameters.leases")));
        }
        close(control);
        kit_stop(&kit);
}

static void expect_lease(const json_t *lease, const KitSocket *held, const char *lifetime,
                         long long before) {
        KIT_EXPECT_TEXT(kit_text(lease, "lease"), kit_lease(held));
        KIT_EXPECT_TEXT(kit_text(lease, "lifetime"), lifetime);
        cr_assert(eq(llong, kit_number(lease, "holder.uid"), geteuid()));
        cr_assert(eq(llong, kit_number(lease, "holder.gid"), getegid()));
        cr_assert(eq(llong, kit_number(lease, "holder.pid"), getpid()));
        cr_assert(ne(str, (char *)kit_text(lease, "holder.command"), (char *)""));
        cr_assert(ge(llong, kit_number(lease, "holder.sinceUsec"), before));
        cr_assert(le(llong, kit_number(lease, "holder.sinceUsec"), now_usec()));
}

/* Which member takes how many is told where the broker decides it. */
static void expect_steering(const json_t *endpoint, const json_t *member, bool steered) {
        KIT_EXPECT_TEXT(kit_text(endpoint, "steering"), steered ? "hash" : "");
        if (steered) {
                cr_assert(zero(llong, kit_number(member, "flows")));
                cr_assert(eq(int, json_is_false(kit_at(member, "stalled")), true));
        } else {
                cr_assert(zero(ptr, kit_at(member, "flows")));
                cr_assert(zero(ptr, kit_at(member, "stalled")));
        }
}

static void expect_endpoint(int control, const json_t *endpoint, const KitSocket *held,
                            size_t n_members) {
        bool steered = strcmp(kit_text(held->reply, "sharing"), "group") == 0 &&
                       kit_is_capable(control, "steer");

        KIT_EXPECT_TEXT(kit_text(endpoint, "endpoint"), kit_text(held->reply, "endpoint"));
        KIT_EXPECT_TEXT(kit_text(endpoint, "network"), kit_text(held->reply, "network"));
        KIT_EXPECT_TEXT(kit_text(endpoint, "address"), kit_address(held));
        KIT_EXPECT_TEXT(kit_text(endpoint, "sharing"), kit_text(held->reply, "sharing"));
        KIT_EXPECT_TEXT(kit_text(endpoint, "name"), kit_text(held->reply, "name"));
        cr_assert(zero(ptr, kit_at(endpoint, "networkNamespace")));
        cr_assert(eq(sz, json_array_size(kit_at(endpoint, "members")), n_members));
        for (size_t i = 0; i < n_members; i++) {
                const json_t *member = json_array_get(kit_at(endpoint, "members"), i);

                expect_steering(endpoint, member, steered);
                KIT_EXPECT_TEXT(kit_text(member, "state"), "live");
                cr_assert(eq(llong, kit_number(member, "weight"), 10));
                cr_assert(ne(str, (char *)kit_text(member, "member"), (char *)""));
        }
}

Test(list, group_shows_every_member) {
        Kit kit;
        KitSocket first, second;
        int control;
        long long before = now_usec();

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        {
                char parameters[256];

                snprintf(parameters, sizeof(parameters),
                         "{'sockets':[{'network':'tcp4','address':'%s'}],'lifetime':'process'}",
                         kit_address(&first));
                kit_acquire_call(control, parameters, 1, &second);
        }
        {
                json_auto_t *reply = kit_call(control, "List", "{}");
                const json_t *endpoint = kit_at(reply, "parameters.endpoints.0");

                cr_assert(eq(sz, json_array_size(kit_at(reply, "parameters.endpoints")), 1));
                expect_endpoint(control, endpoint, &first, 2);
                expect_lease(kit_at(endpoint, "members.0.leases.0"), &first, "connection", before);
                expect_lease(kit_at(endpoint, "members.1.leases.0"), &second, "process", before);
                cr_assert(ne(str, (char *)kit_text(endpoint, "members.0.member"),
                             (char *)kit_text(endpoint, "members.1.member")));
                cr_assert(ne(str, (char *)kit_text(endpoint, "continuityReason"), (char *)""));
        }
        kit_release(control, &second);
        kit_drop(&first);
        close(control);
        kit_stop(&kit);
}

Test(list, shared_member_shows_every_lease) {
        Kit kit;
        KitSocket held[3];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:0','sharing':'shared'}");
        for (int i = 1; i < 3; i++)
                held[i] = kit_acquire(control, "{'network':'udp4','address':'%s','sharing':'shared'}",
                                      kit_address(&held[0]));
        {
                json_auto_t *reply = kit_call(control, "List", "{}");

                expect_endpoint(control, kit_at(reply, "parameters.endpoints.0"), &held[0], 1);
                cr_assert(eq(sz,
                             json_array_size(kit_at(reply, "parameters.endpoints.0.members.0.leases")),
                             3));
                cr_assert(zero(llong, kit_number(reply, "parameters.endpoints.0.members.0.drops")));
                cr_assert(zero(ptr, kit_at(reply, "parameters.endpoints.0.members.0.queueLength")));
        }
        for (int i = 0; i < 3; i++)
                kit_drop(&held[i]);
        close(control);
        kit_stop(&kit);
}

static void expect_queue(int control, const KitSocket *held, long long length, long long limit) {
        json_auto_t *reply =
                kit_call(control, "List", "{'endpoint':'%s'}", kit_text(held->reply, "endpoint"));

        cr_assert(eq(llong, kit_number(reply, "parameters.endpoints.0.members.0.queueLength"), length));
        cr_assert(eq(llong, kit_number(reply, "parameters.endpoints.0.members.0.queueLimit"), limit));
}

Test(list, queue_of_a_listener) {
        Kit kit;
        KitSocket held;
        int control, clients[2];

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control,
                           "{'network':'tcp4','address':'127.0.0.1:0','options':{'backlog':5}}");
        expect_queue(control, &held, 0, 5);
        for (int i = 0; i < 2; i++) {
                clients[i] = kit_connect(held.fd);
                kit_wait_readable(held.fd);
        }
        expect_queue(control, &held, 2, 5);
        close(accept(held.fd, NULL, NULL));
        expect_queue(control, &held, 1, 5);
        for (int i = 0; i < 2; i++)
                close(clients[i]);
        kit_drop(&held);
        close(control);
        kit_stop(&kit);
}

/* By id, by name, and by network and address. */
Test(list, one_endpoint) {
        Kit kit;
        KitSocket held, other;
        char by_address[128];
        const char *names[3];
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        other = kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:0'}");
        snprintf(by_address, sizeof(by_address), "tcp4 %s", kit_address(&held));
        names[0] = "web";
        names[1] = kit_text(held.reply, "endpoint");
        names[2] = by_address;
        for (int i = 0; i < 3; i++) {
                json_auto_t *reply = kit_call(control, "List", "{'endpoint':'%s'}", names[i]);

                cr_assert(eq(sz, json_array_size(kit_at(reply, "parameters.endpoints")), 1));
                expect_endpoint(control, kit_at(reply, "parameters.endpoints.0"), &held, 1);
        }
        kit_drop(&held);
        kit_drop(&other);
        close(control);
        kit_stop(&kit);
}

/* Root and the broker's own user see everything, others what is theirs. */
Test(list, others_do_not_see_it) {
        Kit kit;
        KitSocket held;
        int control, stranger;

        kit_require_root();
        kit_start(&kit, KIT_TENANTS_CONFIG);
        control = kit_connect_as(&kit, KIT_UID, 0);
        stranger = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        {
                json_auto_t *reply = kit_call(stranger, "List", "{}");

                cr_assert(zero(sz, json_array_size(kit_at(reply, "parameters.endpoints"))));
                json_decref(kit_expect_error(kit_call(stranger, "List", "{'endpoint':'web'}"),
                                             "NoSuchEndpoint"));
        }
        kit_drop(&held);
        close(control);
        close(stranger);
        kit_stop(&kit);
}

/* What an endpoint promises about connections when a member leaves, by what it is. */
Test(list, continuity) {
        static const struct {
                const char *request;
                const char *continuity;
        } table[] = {
                { "'network':'tcp4','address':'127.0.0.1:0','retainSec':5", "adopt" },
                { "'network':'tcp4','address':'127.0.0.1:0','retainSec':0", "none" },
                { "'network':'udp4','address':'127.0.0.1:0','retainSec':5", "adopt" },
        };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                KitSocket held = kit_acquire(control, "{%s}", table[i].request);
                json_auto_t *reply = kit_call(control, "List", "{}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.endpoints.0.continuity"),
                                table[i].continuity);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}
