/* SPDX-License-Identifier: BSD-2-Clause */

/* Between a client that is lost and the next: the socket waits with its queue, and nothing is reset. */

#include "tests/integration/parking-kit.h"

TestSuite(parking, .timeout = 60);

#define PARKING_CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"
#define TENANT_CONFIG PARKING_CONFIG "Tenant=all\n"

/* A client that comes, gets @request and is lost without a word: its socket is parked. */
static KitSocket acquire_and_hang_up(Scene *scene, const char *request) {
        int lost = harness_connect(&scene->kit.harness);
        KitSocket held = kit_acquire(lost, "%s", request);

        json_decref(kit_event(scene->watch, "acquired"));
        close(lost);
        json_decref(kit_event(scene->watch, "released"));
        kit_expect_event(scene->watch, "parked", kit_text(held.reply, "endpoint"));
        return held;
}

/* The next client asks for the same. */
static KitSocket adopt(Scene *scene, const KitSocket *before, const char *more) {
        KitSocket held = kit_acquire(scene->control, "{'network':'%s','address':'%s'%s}",
                                     kit_text(before->reply, "network"), kit_address(before), more);

        cr_assert(eq(int, kit_true(held.reply, "adopted"), true));
        KIT_EXPECT_TEXT(kit_text(held.reply, "cookie"), kit_text(before->reply, "cookie"));
        KIT_EXPECT_TEXT(kit_text(held.reply, "endpoint"), kit_text(before->reply, "endpoint"));
        kit_expect_event(scene->watch, "adopted", kit_text(before->reply, "endpoint"));
        return held;
}

/* Ends what a test parked, so that the broker has nothing left. */
static void finish(Scene *scene, KitSocket *held) {
        char endpoint[64];

        snprintf(endpoint, sizeof(endpoint), "%s", kit_text(held->reply, "endpoint"));
        kit_release(scene->control, held);
        json_decref(kit_event(scene->watch, "released"));
        kit_expect_event(scene->watch, "closed", endpoint);
}

static void expect_gone(Scene *scene, const KitSocket *held) {
        json_decref(kit_expect_error(
                kit_call(scene->control, "List", "{'endpoint':'%s'}", kit_text(held->reply, "endpoint")),
                "NoSuchEndpoint"));
}

/* ---- what is not parked --------------------------------------------------------------------------- */

Test(parking, not_after_release) {
        Scene scene;
        KitSocket held, next;
        struct sockaddr_storage address;
        socklen_t size;

        scene_open(&scene, PARKING_CONFIG);
        held = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:0','retainSec':60}");
        size = kit_bound_address(held.fd, &address);
        json_decref(kit_call(scene.control, "Release", "{'leases':['%s']}", kit_lease(&held)));
        expect_gone(&scene, &held);
        cr_assert(eq(int, kit_connect_address(&address, size, SOCK_STREAM), -1));
        next = kit_acquire(scene.control, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        cr_assert(zero(int, kit_true(next.reply, "adopted")));
        kit_drop(&held);
        kit_release(scene.control, &next);
        scene_close(&scene);
}

static void expect_not_parked(const char *config, const char *request) {
        Scene scene;
        KitSocket held;
        int lost;

        scene_open(&scene, config);
        lost = harness_connect(&scene.kit.harness);
        held = kit_acquire(lost, "%s", request);
        json_decref(kit_event(scene.watch, "acquired"));
        close(lost);
        json_decref(kit_event(scene.watch, "released"));
        kit_expect_event(scene.watch, "closed", kit_text(held.reply, "endpoint"));
        expect_gone(&scene, &held);
        kit_drop(&held);
        scene_close(&scene);
}

Test(parking, not_with_retain_zero) {
        expect_not_parked(PARKING_CONFIG, "{'network':'tcp4','address':'127.0.0.1:0','retainSec':0}");
}

Test(parking, not_with_retain_zero_by_default) {
        expect_not_parked(KIT_CONFIG, "{'network':'tcp4','address':'127.0.0.1:0'}");
}

/* As long as others serve, nothing is kept for a client to come. */
Test(parking, not_while_other_members_live) {
        Scene scene;
        KitSocket stays, held;
        int lost;

        scene_open(&scene, PARKING_CONFIG);
        stays = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        lost = harness_connect(&scene.kit.harness);
        held = kit_acquire(lost, "{'network':'tcp4','address':'%s'}", kit_address(&stays));
        close(lost);
        json_decref(kit_event(scene.watch, "acquired"));
        json_decref(kit_event(scene.watch, "acquired"));
        json_decref(kit_event(scene.watch, "released"));
        kit_ping(scene.control);
        cr_assert(zero(int, kit_is_readable(scene.watch)));
        for (int i = 0; i < 20; i++)
                kit_expect_served(stays.fd);
        kit_drop(&held);
        kit_release(scene.control, &stays);
        scene_close(&scene);
}

/* The retention ends by itself; the broker says when. */
Test(parking, ends_after_retain_sec) {
        Scene scene;
        KitSocket held;
        struct sockaddr_storage address;
        socklen_t size;

        scene_open(&scene, PARKING_CONFIG);
        held = acquire_and_hang_up(&scene, "{'network':'tcp4','address':'127.0.0.1:0','retainSec':1}");
        size = kit_bound_address(held.fd, &address);
        kit_expect_event(scene.watch, "closed", kit_text(held.reply, "endpoint"));
        expect_gone(&scene, &held);
        cr_assert(eq(int, kit_connect_address(&address, size, SOCK_STREAM), -1));
        kit_drop(&held);
        scene_close(&scene);
}

/* ---- what is -------------------------------------------------------------------------------------- */

/* Everything that came before, in and after the gap, is served by the one who adopts. */
static void expect_queue_kept(Scene *scene, const char *request) {
        enum { N = 3 };
        KitSocket held = acquire_and_hang_up(scene, request), next;
        bool dgram = kit_int_option(held.fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM;
        char sharing[32];
        int clients[N];

        /* With the descriptor of the lost client gone, only the broker keeps the socket. */
        snprintf(sharing, sizeof(sharing), ",'sharing':'%s'", kit_text(held.reply, "sharing"));
        clients[0] = kit_connect(held.fd);
        clients[1] = kit_connect(held.fd);
        fd_close(held.fd);
        for (int i = 0; i < 2; i++)
                cr_assert(eq(int, (int)send(clients[i], "x", 1, MSG_NOSIGNAL), 1));
        next = adopt(scene, &held, sharing);
        clients[2] = kit_connect(next.fd);
        cr_assert(eq(int, (int)send(clients[2], "x", 1, MSG_NOSIGNAL), 1));
        for (int i = 0; i < N; i++) {
                char byte = 0;
                int from;

                kit_wait_readable(next.fd);
                from = dgram ? next.fd : accept(next.fd, NULL, NULL);
                cr_assert(ge(int, from, 0));
                cr_assert(eq(int, (int)recv(from, &byte, 1, 0), 1));
                if (!dgram)
                        close(from);
        }
        for (int i = 0; i < N; i++)
                close(clients[i]);
        json_decref(held.reply);
        finish(scene, &next);
}

Test(parking, queue_is_kept) {
        Scene scene;
        char request[256];

        scene_open(&scene, PARKING_CONFIG);
        expect_queue_kept(&scene, "{'network':'tcp4','address':'127.0.0.1:0'}");
        expect_queue_kept(&scene, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'}");
        expect_queue_kept(&scene, "{'network':'tcp','address':':0','sharing':'exclusive'}");
        expect_queue_kept(&scene, "{'network':'udp4','address':'127.0.0.1:0'}");
        expect_queue_kept(&scene, "{'network':'udp6','address':'[::1]:0','sharing':'exclusive'}");
        for (int i = 0; i < 6; i++) {
                static const char *const networks[] = { "unix", "unixpacket", "unixgram" };

                snprintf(request, sizeof(request), "{'network':'%s','address':'%s%s/socket'}",
                         networks[i / 2], i % 2 ? "@" : "", scene.kit.harness.folder);
                expect_queue_kept(&scene, request);
        }
        scene_close(&scene);
}

/* Its holder talks to one peer alone, which is another datagram socket of its family. */
static void connect_to_one(int fd) {
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(fd, &address);
        int peer = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (address.ss_family == AF_UNIX)
                size = sizeof(sa_family_t);
        else
                ((struct sockaddr_in *)&address)->sin_port = 0;
        cr_assert(zero(int, bind(peer, (struct sockaddr *)&address, size)));
        size = kit_bound_address(peer, &address);
        cr_assert(zero(int, connect(fd, (struct sockaddr *)&address, size)));
        close(peer);
}

static void expect_peer_forgotten(Scene *scene, const char *socket) {
        char request[256];
        KitSocket held, next;
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        int device;

        snprintf(request, sizeof(request), "{'name':'one',%s}", socket);
        held = acquire_and_hang_up(scene, request);
        device = kit_int_option(held.fd, SOL_SOCKET, SO_BINDTOIFINDEX);
        connect_to_one(held.fd);
        next = kit_acquire(scene->control, "%s", request);
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true), "%s", request);
        KIT_EXPECT_TEXT(kit_text(next.reply, "cookie"), kit_text(held.reply, "cookie"));
        KIT_EXPECT_TEXT(kit_address(&next), kit_address(&held));
        kit_expect_event(scene->watch, "repaired", kit_text(held.reply, "endpoint"));
        kit_expect_event(scene->watch, "adopted", kit_text(held.reply, "endpoint"));
        cr_assert(eq(int, getpeername(next.fd, (struct sockaddr *)&peer, &size), -1));
        cr_assert(eq(int, kit_int_option(next.fd, SOL_SOCKET, SO_BINDTOIFINDEX), device));
        kit_expect_served(next.fd);
        kit_drop(&held);
        finish(scene, &next);
}

/* What a datagram socket was connected to is its holder's business, and ends with it. */
Test(parking, next_client_hears_everybody) {
        Scene scene;
        char request[256];

        scene_open(&scene, PARKING_CONFIG);
        expect_peer_forgotten(&scene, "'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive'");
        expect_peer_forgotten(&scene, "'network':'udp4','address':':0','sharing':'exclusive'");
        expect_peer_forgotten(&scene, "'network':'udp6','address':'[::1]:0','sharing':'shared'");
        expect_peer_forgotten(&scene, "'network':'udp','address':':0','sharing':'shared'");
        expect_peer_forgotten(&scene, "'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive',"
                                      "'options':{'bindToDevice':'lo'}");
        for (int i = 0; i < 2; i++) {
                snprintf(request, sizeof(request), "'network':'unixgram','address':'%s%s/socket'",
                         i ? "@" : "", scene.kit.harness.folder);
                expect_peer_forgotten(&scene, request);
        }
        scene_close(&scene);
}

Test(parking, next_client_hears_everybody_of_the_link, .init = harness_private_network) {
        Scene scene;

        if (system("ip addr add fe80::1/64 dev lo nodad") != 0)
                cr_skip_test("no address of IPv6 on the link");
        scene_open(&scene, PARKING_CONFIG);
        expect_peer_forgotten(&scene, "'network':'udp6','address':'[fe80::1%lo]:0','sharing':'shared'");
        scene_close(&scene);
}

/* Of IPv6 no more: what its holder made of it is not at the address any more. */
Test(parking, connected_and_of_another_family_is_not_adopted) {
        static const char request[] = "{'name':'one','network':'udp','address':':0','sharing':'shared'}";
        struct sockaddr_in6 peer = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
        KitSocket held, next;
        Scene scene;

        cr_assert(eq(int, inet_pton(AF_INET6, "::ffff:127.0.0.1", &peer.sin6_addr), 1));
        scene_open(&scene, PARKING_CONFIG);
        if (!kit_is_capable(scene.control, "dualStack"))
                cr_skip_test("an IPv6 socket cannot serve IPv4 here");
        held = acquire_and_hang_up(&scene, request);
        cr_assert(zero(int, connect(held.fd, (struct sockaddr *)&peer, sizeof(peer))));
        cr_assert(zero(
                int, setsockopt(held.fd, IPPROTO_IPV6, IPV6_ADDRFORM, &(int){ AF_INET }, sizeof(int))));
        held.fd = fd_close(held.fd);
        next = kit_acquire(scene.control, "%s", request);
        cr_assert(not(kit_true(next.reply, "adopted")));
        kit_expect_event(scene.watch, "closed", kit_text(held.reply, "endpoint"));
        kit_expect_event(scene.watch, "acquired", kit_text(next.reply, "endpoint"));
        kit_expect_served(next.fd);
        json_decref(held.reply);
        finish(&scene, &next);
        scene_close(&scene);
}

/* The kernel does not forget that a group had a connected one: it is made anew. */
Test(parking, connected_group_is_not_adopted) {
        static const char *const addresses[] = { "127.0.0.1:0", ":0" };
        Scene scene;

        scene_open(&scene, PARKING_CONFIG);
        for (int i = 0; i < 2; i++) {
                char request[128];
                KitSocket held, next;

                snprintf(request, sizeof(request), "{'network':'udp4','address':'%s'}", addresses[i]);
                held = acquire_and_hang_up(&scene, request);
                connect_to_one(held.fd);
                next = kit_acquire(scene.control, "{'network':'udp4','address':'%s'}",
                                   kit_address(&held));
                cr_assert(not(kit_true(next.reply, "adopted")));
                kit_expect_event(scene.watch, "closed", kit_text(held.reply, "endpoint"));
                kit_expect_event(scene.watch, "acquired", kit_text(next.reply, "endpoint"));
                kit_drop(&held);
                kit_expect_served(next.fd);
                finish(&scene, &next);
        }
        scene_close(&scene);
}

Test(parking, request_overrides_the_default) {
        Scene scene;
        KitSocket held, next;

        scene_open(&scene, KIT_CONFIG); /* keeps nothing by default */
        held = acquire_and_hang_up(&scene,
                                   "{'network':'tcp4','address':'127.0.0.1:0','retainSec':3600}");
        next = adopt(&scene, &held, "");
        kit_drop(&held);
        finish(&scene, &next);
        scene_close(&scene);
}

/* A client that does not know the port comes back by the name. */
Test(parking, adopted_by_name) {
        Scene scene;
        KitSocket held, next;

        scene_open(&scene, PARKING_CONFIG);
        held = acquire_and_hang_up(&scene, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        next = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        KIT_EXPECT_TEXT(kit_text(next.reply, "cookie"), kit_text(held.reply, "cookie"));
        json_decref(kit_event(scene.watch, "adopted"));
        kit_drop(&held);
        finish(&scene, &next);
        scene_close(&scene);
}

/* Of a group only the last is parked; whoever comes then adopts, and further ones join it. */
Test(parking, group_comes_back) {
        Scene scene;
        KitSocket held, first, second;

        scene_open(&scene, PARKING_CONFIG);
        held = acquire_and_hang_up(&scene, "{'network':'tcp4','address':'127.0.0.1:0'}");
        first = adopt(&scene, &held, "");
        second = kit_acquire(scene.control, "{'network':'tcp4','address':'%s'}", kit_address(&first));
        cr_assert(zero(int, kit_true(second.reply, "adopted")));
        kit_expect_both_served(first.fd, second.fd);
        kit_drop(&held);
        kit_release(scene.control, &second);
        kit_release(scene.control, &first);
        scene_close(&scene);
}

/* A call that fails later gives the parked socket back to where it was, with its queue and its time. */
Test(parking, failed_call_leaves_it_parked) {
        Scene scene;
        KitSocket held, next;
        int client;

        scene_open(&scene, PARKING_CONFIG);
        held = acquire_and_hang_up(&scene,
                                   "{'network':'tcp4','address':'127.0.0.1:0','retainSec':3600}");
        client = kit_connect(held.fd);
        json_decref(kit_refused(
                scene.control, "AddressUnavailable",
                "{'network':'tcp4','address':'%s'},{'network':'tcp4','address':'192.0.2.1:0'}",
                kit_address(&held)));
        {
                json_auto_t *reply = kit_call(scene.control, "List", "{}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.endpoints.0.members.0.state"), "parked");
                cr_assert(
                        eq(llong, kit_number(reply, "parameters.endpoints.0.members.0.queueLength"), 1));
        }
        next = adopt(&scene, &held, "");
        kit_wait_readable(next.fd);
        close(client);
        kit_drop(&held);
        finish(&scene, &next);
        scene_close(&scene);
}

/* ---- whose it
 * is ----------------------------------------------------------------------------------- */

/* What waits there was meant for another user: the newcomer gets a socket of its own. */
/* What waits is the tenant's: whoever else belongs to it is the next client as well. */
Test(parking, another_user_of_the_tenant_adopts) {
        Scene scene;
        KitSocket held, next;
        int lost, other, client;

        kit_require_root();
        scene_open(&scene, TENANT_CONFIG);
        lost = kit_connect_as(&scene.kit, KIT_UID, 0);
        held = kit_acquire(lost, "{'network':'tcp4','address':'127.0.0.1:0'}");
        client = kit_connect(held.fd);
        close(lost);
        json_decref(kit_event(scene.watch, "acquired"));
        json_decref(kit_event(scene.watch, "released"));
        json_decref(kit_event(scene.watch, "parked"));
        other = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        next = kit_acquire(other, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        cr_assert(eq(ullong, kit_cookie(next.fd), kit_cookie(held.fd)));
        kit_wait_readable(next.fd);
        close(accept(next.fd, NULL, NULL));
        close(client);
        kit_drop(&held);
        kit_release(other, &next);
        close(other);
        scene_close(&scene);
}

/* The address stays with its user while it is kept, however it was shared. */
Test(parking, is_kept_from_another_tenant) {
        Scene scene;
        KitSocket held, next;
        int lost, stranger;

        kit_require_root();
        scene_open(&scene, PARKING_CONFIG);
        lost = kit_connect_as(&scene.kit, KIT_UID, 0);
        held = kit_acquire(lost, "{'network':'tcp4','address':'127.0.0.1:0'}");
        close(lost);
        json_decref(kit_event(scene.watch, "acquired"));
        json_decref(kit_event(scene.watch, "released"));
        json_decref(kit_event(scene.watch, "parked"));
        stranger = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        for (int i = 0; i < 2; i++) {
                json_auto_t *reply = kit_refused(stranger, "AddressInUse",
                                                 "{'network':'tcp4','address':'%s','sharing':'%s'}",
                                                 kit_address(&held), i == 0 ? "exclusive" : "group");

                cr_assert(eq(llong, kit_number(reply, "parameters.holder.uid"), KIT_UID));
        }
        lost = kit_connect_as(&scene.kit, KIT_UID, 0);
        next = kit_acquire(lost, "{'network':'tcp4','address':'%s'}", kit_address(&held));
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        kit_drop(&held);
        kit_release(lost, &next);
        close(lost);
        close(stranger);
        scene_close(&scene);
}

/* Of several users of a shared socket, the one who held it last finds it again. */
Test(parking, belongs_to_the_last_holder) {
        Scene scene;
        KitSocket first, second, next;
        int control, other;

        kit_require_root();
        scene_open(&scene, TENANT_CONFIG);
        control = kit_connect_as(&scene.kit, KIT_UID, 0);
        other = kit_connect_as(&scene.kit, KIT_OTHER_UID, 0);
        first = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'}");
        second = kit_acquire(other, "{'network':'tcp4','address':'%s','sharing':'shared'}",
                             kit_address(&first));
        kit_release(other, &second);
        close(control);
        json_decref(kit_event(scene.watch, "acquired"));
        json_decref(kit_event(scene.watch, "acquired"));
        json_decref(kit_event(scene.watch, "released"));
        json_decref(kit_event(scene.watch, "released"));
        json_decref(kit_event(scene.watch, "parked"));
        control = kit_connect_as(&scene.kit, KIT_UID, 0);
        next = kit_acquire(control, "{'network':'tcp4','address':'%s','sharing':'shared'}",
                           kit_address(&first));
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        kit_drop(&first);
        kit_release(control, &next);
        close(control);
        close(other);
        scene_close(&scene);
}
