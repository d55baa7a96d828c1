/* SPDX-License-Identifier: BSD-2-Clause */

/* What clients hold of a broker that was killed goes on to get flows beside what the next one makes, and
 * a group is steered as soon as there is no such socket any more. */

#include "daemon/survivors.h"

#include "daemon/group-resume.h"
#include "tests/unit/group-kit.h"

enum {
        FLOWS = 64,
};

/* An earlier broker, of which only the program and what its clients hold is left. */
typedef struct Earlier {
        Steering *steering;
        SteeringGroup *group;
        Address address;
        int fds[2];
        uint32_t slots[2];
        uint64_t cookies[2];
} Earlier;

static void earlier_begin(Earlier *earlier, const char *network) {
        Address wanted = kit_address(network, kit_new_address(network));
        socklen_t size = sizeof(uint64_t);
        SteeringShare shares[2];
        const char *reason;

        cr_assert(zero(int, steering_new(&earlier->steering, &reason)));
        cr_assert(
                zero(int, steering_group_new(earlier->steering, STEERING_HASH, NULL, &earlier->group)));
        for (int i = 0; i < 2; i++) {
                earlier->fds[i] = kit_socket(&wanted, SHARING_GROUP, &earlier->address);
                cr_assert(zero(int, getsockopt(earlier->fds[i], SOL_SOCKET, SO_COOKIE,
                                               &earlier->cookies[i], &size)));
                if (i == 0)
                        cr_assert(zero(int, steering_group_attach(earlier->group, earlier->fds[0])));
                cr_assert(zero(int, steering_member_add(earlier->group, earlier->fds[i],
                                                        earlier->cookies[i], &earlier->slots[i])));
                shares[i] = (SteeringShare){ .slot = earlier->slots[i], .weight = 1 };
                cr_assert(zero(int, socket_factory_lock(earlier->fds[i])));
        }
        cr_assert(zero(int, steering_group_set(earlier->group, shares, 2)));
}

static void earlier_close_one(Earlier *earlier, int i) {
        fd_close(earlier->fds[i]);
        earlier->fds[i] = -1;
}

/* Its clients are done. */
static void earlier_close(Earlier *earlier) {
        for (int i = 0; i < 2; i++)
                earlier_close_one(earlier, i);
}

static void earlier_end(Earlier *earlier) {
        earlier_close(earlier);
        steering_group_set(earlier->group, NULL, 0);
        for (int i = 0; i < 2; i++)
                steering_member_remove(earlier->group, earlier->slots[i], earlier->cookies[i]);
        steering_group_free(earlier->group);
        steering_free(earlier->steering);
}

/* The first member of the next broker. */
static Member *found_at(Kit *kit, const Address *address, uint64_t retain_usec) {
        Address bound;
        int fd = kit_socket(address, SHARING_GROUP, &bound);
        Endpoint *endpoint;
        Member *member;

        cr_assert(zero(
                int, kit_endpoint_new(kit, &bound, NULL, SHARING_GROUP, NULL, retain_usec, &endpoint)));
        endpoint->group.mode = STEERING_ROUND_ROBIN;
        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(zero(int, member_enter(member, false, MEMBER_WEIGHT_DEFAULT)));
        return member;
}

static size_t count_waiting(int fd, bool udp) {
        size_t n = 0;
        char byte;
        int r;

        while ((r = udp ? (int)recv(fd, &byte, 1, 0) : accept(fd, NULL, NULL)) >= 0) {
                if (!udp)
                        close(r);
                n++;
        }
        return n;
}

static void expect_all_served(const Earlier *earlier, Member *member) {
        bool udp = earlier->address.transport == TRANSPORT_UDP;
        size_t n = 0, got;

        kit_flows(member->endpoint, FLOWS);
        for (int i = 0; i < 3; i++) {
                got = count_waiting(i < 2 ? earlier->fds[i] : member->fd, udp);
                cr_assert(ge(sz, got, 1), "socket %d", i);
                n += got;
        }
        cr_assert(eq(sz, n, FLOWS));
}

TestSuite(survivors, .timeout = 10);

Test(survivors, are_not_looked_for_without_a_descriptor) {
        Member *member;
        rlim_t limit;
        Kit kit;
        int r;

        kit_begin(&kit);
        member = kit_found(&kit, "tcp4", STEERING_HASH, 0)->member;
        limit = kit_refuse_fds();
        r = survivors_look(member->endpoint);
        kit_allow_fds(limit);
        cr_assert(eq(int, r, -EMFILE));
        cr_assert(eq(int, survivors_disarm(-1), -EBADF));
        cr_assert(eq(int, survivors_mark(-1), -EBADF));
        kit_end(&kit);
}

Test(survivors, are_none_in_a_group_that_is_new) {
        static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };
        Address bound;
        Kit kit;

        kit_begin(&kit);
        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                Address address = kit_address(networks[i], kit_new_address(networks[i]));
                int fd = kit_socket(&address, SHARING_GROUP, &bound);
                Member *member;

                cr_assert(zero(int, survivors_disarm(fd)));
                close(fd);
                member = kit_found(&kit, networks[i], STEERING_HASH, 0)->member;
                cr_assert(group_is_steered(member->endpoint));
                cr_assert(zero(int, survivors_look(member->endpoint)));
        }
        kit_end(&kit);
}

Test(survivors, are_not_those_at_other_addresses) {
        Address other = kit_address("tcp4", "127.0.0.2:0"), bound;
        Member *member;
        Kit kit;
        int fd;

        kit_begin(&kit);
        member = kit_found(&kit, "tcp4", STEERING_HASH, 0)->member;
        address_set_port(&other, address_port(&member->endpoint->address));
        fd = kit_socket(&other, SHARING_GROUP, &bound);
        cr_assert(zero(int, survivors_look(member->endpoint)));
        close(fd);
        kit_end(&kit);
}

Test(survivors, mark_is_found_once_and_steers_nothing) {
        Address address, bound;
        int fds[2];
        Kit kit;

        kit_begin(&kit);
        address = kit_address("udp4", kit_new_address("udp4"));
        fds[0] = kit_socket(&address, SHARING_GROUP, &bound);
        fds[1] = kit_socket(&address, SHARING_GROUP, &bound);
        cr_assert(zero(int, survivors_mark(fds[0])));
        for (int i = 0; i < FLOWS; i++) {
                int client = kit_connect(&address);

                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                close(client);
        }
        cr_assert(ge(sz, count_waiting(fds[0], true), 1));
        cr_assert(ge(sz, count_waiting(fds[1], true), 1));
        cr_assert(eq(int, survivors_disarm(fds[1]), 1));
        cr_assert(zero(int, survivors_disarm(fds[1])));
        close(fds[0]);
        close(fds[1]);
        kit_end(&kit);
}

Test(survivors, get_flows_beside_new_members) {
        static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };

        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                Earlier earlier;
                Member *member;
                Kit kit;

                kit_begin(&kit);
                earlier_begin(&earlier, networks[i]);
                member = found_at(&kit, &earlier.address, 0);
                cr_assert(not(group_is_steered(member->endpoint)));
                cr_assert(member->endpoint->group.survivors);
                expect_all_served(&earlier, member);
                earlier_end(&earlier);
                kit_end(&kit);
        }
}

Test(survivors, let_nobody_stand_by) {
        Earlier earlier;
        Member *member;
        Address bound;
        Kit kit;
        int fd;

        kit_begin(&kit);
        earlier_begin(&earlier, "tcp4");
        member = found_at(&kit, &earlier.address, 0);
        fd = kit_socket(&earlier.address, SHARING_GROUP, &bound);
        cr_assert(zero(int, endpoint_add_member(member->endpoint, fd, &member)));
        cr_assert(eq(int, member_enter(member, true, MEMBER_WEIGHT_DEFAULT), GROUP_E_SURVIVORS));
        member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        earlier_end(&earlier);
        kit_end(&kit);
}

Test(survivors, gone_have_the_group_steered) {
        Member *members[2];
        Earlier earlier;
        Kit kit;

        kit_begin(&kit);
        earlier_begin(&earlier, "tcp4");
        members[0] = found_at(&kit, &earlier.address, 0);
        members[1] = kit_join(members[0]->endpoint);
        kit_elapse(&kit, &kit.services.endpoints.survivors_look);
        cr_assert(not(group_is_steered(members[0]->endpoint)));
        earlier_close(&earlier);
        kit_elapse(&kit, &kit.services.endpoints.survivors_look);
        cr_assert(group_is_steered(members[0]->endpoint));
        cr_assert(not(kit.services.endpoints.survivors_look.armed));
        kit_expect_shares(members, "33");
        earlier_end(&earlier);
        kit_end(&kit);
}

Test(survivors, gone_are_noticed_by_who_joins) {
        Member *members[2];
        Earlier earlier;
        Kit kit;

        kit_begin(&kit);
        earlier_begin(&earlier, "tcp4");
        members[0] = found_at(&kit, &earlier.address, 0);
        earlier_close(&earlier);
        members[1] = kit_join(members[0]->endpoint);
        cr_assert(group_is_steered(members[0]->endpoint));
        kit_expect_shares(members, "33");
        earlier_end(&earlier);
        kit_end(&kit);
}

/* The second broker was killed as well, and had left the group to the kernel. */
Test(survivors, of_two_brokers_are_found_by_the_third) {
        Earlier earlier;
        Member *member;
        Address bound;
        Kit kit;
        int fd;

        kit_begin(&kit);
        earlier_begin(&earlier, "tcp4");
        fd = kit_socket(&earlier.address, SHARING_GROUP, &bound);
        cr_assert(eq(int, survivors_disarm(fd), 1));
        cr_assert(zero(int, survivors_mark(fd)));
        member = found_at(&kit, &earlier.address, 0);
        cr_assert(not(group_is_steered(member->endpoint)));
        close(fd);
        expect_all_served(&earlier, member);
        earlier_end(&earlier);
        kit_end(&kit);
}

Test(survivors, of_a_broker_without_steering_are_found) {
        Member *member;
        Kit kit;

        if (!kit_own_network())
                cr_skip_test("no network namespace of its own: needs root");
        kit_init(&kit, 1000);
        member = kit_open(&kit, "tcp4", kit_new_address("tcp4"), SHARING_GROUP, 0);
        kit_join(member->endpoint);
        cr_assert(eq(int, survivors_disarm(member->fd), 1));
        kit_end(&kit);
}

/* UDP knows no shutdown: who has given it back may still have the descriptor, and is to get nothing. */
Test(survivors, are_not_what_this_broker_has_closed) {
        Address address;
        Member *member;
        Lease *lease;
        Kit kit;
        int kept;

        kit_begin(&kit);
        lease = kit_found(&kit, "udp4", STEERING_HASH, 0);
        address = lease->member->endpoint->address;
        kept = dup(lease->member->fd);
        cr_assert(ge(int, kept, 0));
        kit_release(lease);
        kit_depart(&kit);
        cr_assert(zero(sz, endpoint_registry_count(&kit.services.endpoints)));
        member = found_at(&kit, &address, 0);
        cr_assert(group_is_steered(member->endpoint));
        kit_flows(member->endpoint, FLOWS);
        cr_assert(eq(sz, kit_serve(member), FLOWS));
        close(kept);
        kit_end(&kit);
}

/* A store was full: what it did not take is not among the members that are back. */
Test(survivors, keep_a_group_that_is_resumed_from_being_steered) {
        Earlier earlier;
        Member *member;
        Endpoint *endpoint;
        Kit kit;

        kit_begin(&kit);
        earlier_begin(&earlier, "tcp4");
        cr_assert(zero(
                int, kit_endpoint_new(&kit, &earlier.address, NULL, SHARING_GROUP, NULL, 0, &endpoint)));
        cr_assert(zero(int, endpoint_add_member(endpoint, dup(earlier.fds[0]), &member)));
        cr_assert(zero(int, member_resume(member, MEMBER_LIVE, MEMBER_WEIGHT_DEFAULT)));
        /* As recovery does. */
        steering_take_out(steering_get_members_fd(earlier.steering), earlier.slots[0]);
        group_set_survivors(endpoint, true);
        cr_assert(zero(int, group_resume(endpoint, -1)));
        cr_assert(not(group_is_steered(endpoint)));
        kit_flows(endpoint, FLOWS);
        cr_assert(ge(sz, count_waiting(earlier.fds[0], false), 1));
        cr_assert(ge(sz, count_waiting(earlier.fds[1], false), 1));
        earlier_close_one(&earlier, 1);
        kit_elapse(&kit, &kit.services.endpoints.survivors_look);
        cr_assert(group_is_steered(endpoint));
        kit_flows(endpoint, FLOWS);
        cr_assert(eq(sz, kit_serve(member), FLOWS));
        earlier_end(&earlier);
        kit_end(&kit);
}
