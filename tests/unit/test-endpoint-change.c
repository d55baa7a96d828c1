/* SPDX-License-Identifier: BSD-2-Clause */

/* What an Acquire changed of an endpoint is put back, but not from under those who came since. */

#include "daemon/endpoint-change.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/unit/daemon-kit.h"

typedef struct Scene {
        Kit kit;
        Lease *lease;
        Endpoint *endpoint;
        int fd;
        EndpointChange change;
        SocketFailure failure;
} Scene;

/* An endpoint that is there already, with a lease that is to change it. */
static void scene_open(Scene *scene, const char *network, Sharing sharing) {
        kit_init(&scene->kit, 1000);
        scene->lease =
                kit_lease(&scene->kit, kit_open(&scene->kit, network, "127.0.0.1:0", sharing, 5), NULL);
        scene->endpoint = scene->lease->member->endpoint;
        scene->fd = scene->lease->member->fd;
        endpoint_change_begin(&scene->change, scene->lease);
}

static void scene_close(Scene *scene) {
        kit_end(&scene->kit);
}

static int backlog(int fd) {
        struct tcp_info info = { 0 };
        socklen_t n = sizeof(info);

        cr_assert(zero(int, getsockopt(fd, SOL_TCP, TCP_INFO, &info, &n)));
        return (int)info.tcpi_sacked;
}

static void expect_named(const Endpoint *endpoint, const char *name) {
        if (name)
                KIT_EXPECT_TEXT(endpoint->name, name);
        else
                cr_assert(eq(ptr, (void *)endpoint->name, NULL));
}

TestSuite(endpoint_change, .timeout = 10);

/* ---- nothing to put back ------------------------------------------------------------------------ */

Test(endpoint_change, what_was_not_begun_is_not_ended) {
        int n_fds = leaks_count_fds();
        EndpointChange change = { 0 };

        endpoint_change_undo(&change);
        endpoint_change_commit(&change);
        leaks_expect_fds(n_fds);
}

Test(endpoint_change, nothing_asked_is_nothing_changed) {
        Scene scene;

        scene_open(&scene, "tcp4", SHARING_GROUP);
        cr_assert(zero(int, endpoint_change_rename(&scene.change, NULL)));
        cr_assert(zero(int,
                       endpoint_change_reshape(&scene.change, SHARING_GROUP, 5, NULL, &scene.failure)));
        cr_assert(eq(ptr, scene.change.options, NULL));
        cr_assert(not(scene.change.reshaped));
        endpoint_change_undo(&scene.change);
        expect_named(scene.endpoint, NULL);
        cr_assert(eq(ptr, scene.endpoint->requested, NULL));
        cr_assert(eq(int, kit_int_option(scene.fd, SOL_SOCKET, SO_REUSEPORT), 1));
        scene_close(&scene);
}

Test(endpoint_change, undone_once) {
        Scene scene;

        scene_open(&scene, "tcp4", SHARING_GROUP);
        cr_assert(zero(int, endpoint_change_rename(&scene.change, "web")));
        endpoint_change_commit(&scene.change);
        endpoint_change_undo(&scene.change);
        expect_named(scene.endpoint, "web");
        scene_close(&scene);
}

/* ---- those who came since ----------------------------------------------------------------------- */

Test(endpoint_change, stays_for_who_acquired_since) {
        static const Sharing sharings[] = { SHARING_SHARED, SHARING_GROUP };

        for (int i = 0; i < 2; i++) {
                Options options = kit_no_options();
                Member *member;
                Scene scene;

                scene_open(&scene, "tcp4", SHARING_EXCLUSIVE);
                options.keep_alive = 1;
                cr_assert(zero(int, endpoint_change_reshape(&scene.change, sharings[i], 7, &options,
                                                            &scene.failure)));
                cr_assert(zero(int, endpoint_change_rename(&scene.change, "web")));
                member = i == 0 ? scene.lease->member : kit_join(scene.endpoint);
                kit_lease(&scene.kit, member, NULL);
                endpoint_change_undo(&scene.change);
                expect_named(scene.endpoint, "web");
                cr_assert(eq(int, (int)scene.endpoint->sharing, (int)sharings[i]));
                cr_assert(eq(u64, scene.endpoint->retain_usec, 7));
                cr_assert(eq(int, scene.endpoint->requested->keep_alive, 1));
                cr_assert(eq(int, kit_int_option(scene.fd, SOL_SOCKET, SO_KEEPALIVE), 1));
                cr_assert(eq(int, kit_int_option(scene.fd, SOL_SOCKET, SO_REUSEPORT), i));
                scene_close(&scene);
        }
}

Test(endpoint_change, who_was_there_before_keeps_nothing_alive) {
        EndpointChange second;
        Scene scene;

        scene_open(&scene, "tcp4", SHARING_SHARED);
        endpoint_change_begin(&second, kit_lease(&scene.kit, scene.lease->member, NULL));
        cr_assert(zero(int, endpoint_change_rename(&second, "web")));
        endpoint_change_undo(&second);
        expect_named(scene.endpoint, NULL);
        cr_assert(eq(ptr, endpoint_find_named(&scene.kit.services.endpoints, "web"), NULL));
        endpoint_change_undo(&scene.change);
        scene_close(&scene);
}

Test(endpoint_change, a_name_taken_meanwhile_is_not_given_back) {
        Member *other;
        Scene scene;

        scene_open(&scene, "tcp4", SHARING_SHARED);
        cr_assert(zero(int, endpoint_rename(scene.endpoint, "old")));
        cr_assert(zero(int, endpoint_change_rename(&scene.change, "new")));
        other = kit_open(&scene.kit, "tcp4", "127.0.0.1:0", SHARING_SHARED, 0);
        cr_assert(zero(int, endpoint_rename(other->endpoint, "old")));
        endpoint_change_undo(&scene.change);
        expect_named(scene.endpoint, NULL);
        cr_assert(eq(ptr, endpoint_find_named(&scene.kit.services.endpoints, "old"), other->endpoint));
        cr_assert(eq(ptr, endpoint_find_named(&scene.kit.services.endpoints, "new"), NULL));
        scene_close(&scene);
}

/* ---- refused half-way --------------------------------------------------------------------------- */

/* The options are set in the order of their table, and the last is one that the kernel refuses. */
Test(endpoint_change, what_was_refused_half_way_is_put_back) {
        Options options = kit_no_options();
        int ttl, buffer;
        Scene scene;

        scene_open(&scene, "tcp4", SHARING_EXCLUSIVE);
        ttl = kit_int_option(scene.fd, SOL_IP, IP_TTL);
        buffer = kit_int_option(scene.fd, SOL_SOCKET, SO_RCVBUF);
        options.time_to_live = 9;
        options.receive_buffer = 8192;
        options.linger_sec = 3;
        options.backlog = 7;
        options.congestion = "none-such";
        cr_assert(eq(int,
                     endpoint_change_reshape(&scene.change, SHARING_GROUP, 7, &options, &scene.failure),
                     SOCKET_FACTORY_E_OPTION_INVALID));
        KIT_EXPECT_TEXT(scene.failure.refusal.option, "congestion");
        endpoint_change_undo(&scene.change);
        cr_assert(eq(int, kit_int_option(scene.fd, SOL_IP, IP_TTL), ttl));
        cr_assert(eq(int, kit_int_option(scene.fd, SOL_SOCKET, SO_RCVBUF), buffer));
        cr_assert(zero(int, kit_int_option(scene.fd, SOL_SOCKET, SO_LINGER)));
        cr_assert(zero(int, kit_int_option(scene.fd, SOL_SOCKET, SO_REUSEPORT)));
        cr_assert(ne(int, backlog(scene.fd), 7));
        cr_assert(eq(ptr, scene.endpoint->requested, NULL));
        cr_assert(eq(int, (int)scene.endpoint->sharing, (int)SHARING_EXCLUSIVE));
        cr_assert(eq(u64, scene.endpoint->retain_usec, 5));
        scene_close(&scene);
}

/* The group that was there before is the reason for the refusal, and stays. */
Test(endpoint_change, groups_refused_half_way) {
        const char *had[] = { "239.1.1.1%lo" }, *want[] = { "239.1.1.2%lo", "239.1.1.1%lo" };
        const char *alias[] = { "239.1.1.1" };
        Options options = kit_no_options();
        struct ip_mreqn group = { .imr_ifindex = (int)if_nametoindex("lo") };
        EndpointChange next;
        Scene scene;

        scene_open(&scene, "udp4", SHARING_EXCLUSIVE);
        options.multicast_groups = (WireList){ had, 1 };
        cr_assert(zero(int, endpoint_change_reshape(&scene.change, SHARING_EXCLUSIVE, 5, &options,
                                                    &scene.failure)));
        endpoint_change_commit(&scene.change);
        options.multicast_interface = "lo";
        for (int i = 0; i < 2; i++) {
                options.multicast_groups = i == 0 ? (WireList){ want, 2 } : (WireList){ alias, 1 };
                endpoint_change_begin(&next, scene.lease);
                cr_assert(eq(
                        int,
                        endpoint_change_reshape(&next, SHARING_EXCLUSIVE, 5, &options, &scene.failure),
                        SOCKET_FACTORY_E_OPTION_INVALID));
                endpoint_change_undo(&next);
                inet_pton(AF_INET, "239.1.1.2", &group.imr_multiaddr);
                cr_assert(lt(int,
                             setsockopt(scene.fd, SOL_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)),
                             0));
        }
        inet_pton(AF_INET, "239.1.1.1", &group.imr_multiaddr);
        cr_assert(zero(int, setsockopt(scene.fd, SOL_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group))));
        scene_close(&scene);
}

/* ---- put back ----------------------------------------------------------------------------------- */

Test(endpoint_change, names_put_back) {
        static const char *const before[] = { NULL, "old" };

        for (int i = 0; i < 2; i++) {
                Scene scene;

                scene_open(&scene, "tcp4", SHARING_SHARED);
                if (before[i])
                        cr_assert(zero(int, endpoint_rename(scene.endpoint, before[i])));
                cr_assert(zero(int, endpoint_change_rename(&scene.change, "new")));
                expect_named(scene.endpoint, "new");
                endpoint_change_undo(&scene.change);
                expect_named(scene.endpoint, before[i]);
                cr_assert(eq(ptr, endpoint_find_named(&scene.kit.services.endpoints, "new"), NULL));
                cr_assert(eq(ptr, endpoint_find_named(&scene.kit.services.endpoints, "old"),
                             before[i] ? scene.endpoint : NULL));
                scene_close(&scene);
        }
}

Test(endpoint_change, every_sharing_put_back) {
        for (int i = 0; i < _SHARING_N * _SHARING_N; i++) {
                Sharing from = (Sharing)(i % _SHARING_N), to = (Sharing)(i / _SHARING_N);
                Scene scene;

                scene_open(&scene, "tcp4", from);
                cr_assert(
                        zero(int, endpoint_change_reshape(&scene.change, to, 7, NULL, &scene.failure)));
                cr_assert(eq(int, (int)scene.endpoint->sharing, (int)to));
                cr_assert(eq(int, kit_int_option(scene.fd, SOL_SOCKET, SO_REUSEPORT),
                             to == SHARING_GROUP));
                endpoint_change_undo(&scene.change);
                cr_assert(eq(int, (int)scene.endpoint->sharing, (int)from));
                cr_assert(eq(u64, scene.endpoint->retain_usec, 5));
                cr_assert(eq(int, kit_int_option(scene.fd, SOL_SOCKET, SO_REUSEPORT),
                             from == SHARING_GROUP));
                scene_close(&scene);
        }
}

/* Two sockets of one call are the same endpoint: undone from the last to the first. */
Test(endpoint_change, two_changes_of_one_endpoint) {
        for (int undo = 0; undo < 2; undo++) {
                Options options = kit_no_options();
                EndpointChange second;
                Scene scene;
                Lease *lease;

                scene_open(&scene, "tcp4", SHARING_EXCLUSIVE);
                options.backlog = 7;
                cr_assert(zero(int, endpoint_change_reshape(&scene.change, SHARING_SHARED, 7, &options,
                                                            &scene.failure)));
                lease = kit_lease(&scene.kit, scene.lease->member, NULL);
                endpoint_change_begin(&second, lease);
                cr_assert(zero(int, endpoint_change_rename(&second, "web")));
                if (undo) {
                        endpoint_change_undo(&second);
                        lease_end(lease, MEMBER_LEAVE_UNDONE, NULL);
                        endpoint_change_undo(&scene.change);
                } else {
                        endpoint_change_commit(&scene.change);
                        endpoint_change_commit(&second);
                }
                expect_named(scene.endpoint, undo ? NULL : "web");
                cr_assert(eq(int, scene.endpoint->requested == NULL, undo));
                cr_assert(eq(int, backlog(scene.fd) != 7, undo));
                scene_close(&scene);
        }
}

/* ---- committed ---------------------------------------------------------------------------------- */

Test(endpoint_change, what_is_committed_is_what_the_next_change_goes_back_to) {
        Options first = kit_no_options(), other = kit_no_options();
        EndpointChange next;
        Scene scene;

        scene_open(&scene, "tcp4", SHARING_GROUP);
        first.backlog = 7;
        first.time_to_live = 9;
        first.linger_sec = 2;
        cr_assert(zero(
                int, endpoint_change_reshape(&scene.change, SHARING_GROUP, 5, &first, &scene.failure)));
        endpoint_change_commit(&scene.change);
        endpoint_change_begin(&next, scene.lease);
        other.backlog = 8;
        other.time_to_live = 10;
        other.linger_sec = -1;
        cr_assert(zero(int, endpoint_change_reshape(&next, SHARING_GROUP, 5, &other, &scene.failure)));
        cr_assert(eq(i64, scene.endpoint->requested->time_to_live, 10));
        endpoint_change_undo(&next);
        cr_assert(eq(i64, scene.endpoint->requested->time_to_live, 9));
        cr_assert(eq(int, kit_int_option(scene.fd, SOL_IP, IP_TTL), 9));
        cr_assert(eq(int, kit_int_option(scene.fd, SOL_SOCKET, SO_LINGER), 1));
        cr_assert(eq(int, backlog(scene.fd), 7));
        scene_close(&scene);
}
