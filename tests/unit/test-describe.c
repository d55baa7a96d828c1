/* SPDX-License-Identifier: BSD-2-Clause */

/* What is shown of an endpoint is what is there. */

#include "daemon/describe.h"

#include "daemon/continuity.h"
#include "tests/unit/daemon-kit.h"

enum {
        /* Neither root nor whoever runs the test. */
        OWNER = 61001,
        HOLDER = 61002,
        STRANGER = 61003,
};

static Message *empty_message(void) {
        char reason[MESSAGE_TEXT_MAX];
        Message *message;

        cr_assert(zero(int, message_parse("{}", 2, &message, reason)));
        return message;
}

TestSuite(describe, .timeout = 10);

Test(describe, a_member_nobody_holds) {
        EndpointInfo info;
        MemberInfo *members;
        HolderInfo holder;
        Message *message;
        Member *member;
        Kit kit;

        kit_init(&kit, OWNER);
        message = empty_message();
        member = kit_open(&kit, "unix", "@test-describe", SHARING_SHARED, 0);
        cr_assert(eq(ptr, describe_holder(member->endpoint, &holder), NULL));
        cr_assert(zero(int, describe_endpoint(member->endpoint, message, &info)));
        members = info.members.items;
        cr_assert(eq(sz, info.members.n, 1));
        cr_assert(zero(sz, members[0].leases.n));
        cr_assert(eq(i64, members[0].queue_length, WIRE_ABSENT));
        cr_assert(eq(ptr, (void *)info.name, NULL));
        cr_assert(eq(int, info.steering, -1));
        KIT_EXPECT_TEXT(info.continuity, "none");
        message_free(message);
        kit_end(&kit);
}

Test(describe, a_parked_member_is_its_last_holder_s) {
        HolderInfo holder;
        EndpointInfo info;
        Message *message;
        Member *member;
        Lease *lease;
        Kit kit;

        kit_init(&kit, OWNER);
        message = empty_message();
        member = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        lease = kit_lease_of(&kit, HOLDER, member);
        lease_commit(lease, false);
        cr_assert(eq(i64, describe_holder(member->endpoint, &holder)->uid, HOLDER));
        lease_end(lease, MEMBER_LEAVE_LOST, "gone");
        cr_assert(eq(i64, describe_holder(member->endpoint, &holder)->uid, HOLDER));
        cr_assert(zero(int, describe_endpoint(member->endpoint, message, &info)));
        cr_assert(eq(int, ((MemberInfo *)info.members.items)->state, MEMBER_PARKED));
        cr_assert(zero(sz, ((MemberInfo *)info.members.items)->leases.n));
        KIT_EXPECT_TEXT(info.continuity, "adopt");
        message_free(message);
        kit_end(&kit);
}

/* Without steering, nothing that follows from it is shown. */
static void expect_flows(const MemberInfo *member, bool steered) {
        cr_assert(eq(i64, member->flows, steered ? 0 : WIRE_ABSENT));
        cr_assert(eq(int, member->stalled, steered ? 0 : TRISTATE_ABSENT));
}

static void expect_members(Kit *kit, bool steered) {
        char id[ID_TEXT_MAX], address[ADDRESS_TEXT_MAX];
        Message *message = empty_message();
        Endpoint *endpoint;
        EndpointInfo info;
        MemberInfo *members;
        LeaseInfo *leases;
        Lease *lease;

        endpoint = kit_open(kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->endpoint;
        cr_assert(zero(int, endpoint_rename(endpoint, "web")));
        lease = kit_lease_of(kit, HOLDER, TAILQ_FIRST(&endpoint->members));
        kit_lease_of(kit, OWNER, kit_join(endpoint));
        cr_assert(zero(int, describe_endpoint(endpoint, message, &info)));
        KIT_EXPECT_TEXT(info.endpoint, id_format(&kit->services.ids, 'e', endpoint->id, id));
        KIT_EXPECT_TEXT(info.name, "web");
        KIT_EXPECT_TEXT(info.network, "tcp4");
        KIT_EXPECT_TEXT(info.address, address_format(&endpoint->address, address));
        KIT_EXPECT_TEXT(info.continuity, continuity_of(endpoint).promise);
        KIT_EXPECT_TEXT(info.continuity_reason, continuity_of(endpoint).reason);
        cr_assert(eq(int, info.sharing, SHARING_GROUP));
        cr_assert(eq(int, info.steering, steered ? STEERING_HASH : -1));
        cr_assert(eq(sz, info.members.n, 2));
        members = info.members.items;
        expect_flows(&members[0], steered);
        expect_flows(&members[1], steered);
        cr_assert(eq(i64, members[1].weight, MEMBER_WEIGHT_DEFAULT));
        KIT_EXPECT_TEXT(members[0].member, id_format(&kit->services.ids, 'm', lease->member->id, id));
        cr_assert(eq(int, members[0].state, MEMBER_LIVE));
        cr_assert(zero(i64, members[0].queue_length));
        cr_assert(eq(sz, members[0].leases.n, 1));
        leases = members[0].leases.items;
        KIT_EXPECT_TEXT(leases[0].lease, id_format(&kit->services.ids, 'l', lease->id, id));
        cr_assert(eq(i64, leases[0].holder->uid, HOLDER));
        cr_assert(eq(i64, leases[0].holder->since_usec, (int64_t)lease->since_usec));
        cr_assert(eq(int, leases[0].lifetime, LIFETIME_CONNECTION));
        leases = members[1].leases.items;
        cr_assert(eq(i64, leases[0].holder->uid, OWNER));
        message_free(message);
}

Test(describe, every_member_and_lease_is_shown) {
        Kit kit;

        kit_init(&kit, OWNER);
        expect_members(&kit, false);
        kit_end(&kit);
}

Test(describe, of_a_steered_group_what_comes_to_each_member) {
        Kit kit;

        kit_init_steered(&kit, OWNER);
        expect_members(&kit, true);
        kit_end(&kit);
}

Test(describe, a_member_is_in_the_state_it_is_in) {
        static const MemberState states[] = { MEMBER_STANDBY, MEMBER_DRAINING, MEMBER_LIVE };
        Message *message;
        EndpointInfo info;
        Lease *lease;
        Kit kit;

        kit_init_steered(&kit, OWNER);
        lease = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        message = empty_message();
        for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
                lease->member->state = states[i];
                lease->member->health.stalled = i > 1;
                cr_assert(zero(int, describe_endpoint(lease->member->endpoint, message, &info)));
                cr_assert(eq(int, ((MemberInfo *)info.members.items)->state, states[i]));
                cr_assert(eq(int, ((MemberInfo *)info.members.items)->stalled, i > 1));
        }
        message_free(message);
        kit_end(&kit);
}

Test(describe, an_event_says_what_applies_and_no_more) {
        char id[ID_TEXT_MAX];
        EventText text;
        EventInfo info;
        Lease *lease;
        Kit kit;

        kit_init(&kit, OWNER);
        describe_event(&(Event){ .what = "overflow" }, &kit.services.ids, &text, &info);
        KIT_EXPECT_TEXT(info.what, "overflow");
        cr_assert(gt(i64, info.time_usec, 0));
        cr_assert(eq(ptr, (void *)info.endpoint, NULL));
        cr_assert(eq(ptr, (void *)info.member, NULL));
        cr_assert(eq(ptr, (void *)info.lease, NULL));
        cr_assert(eq(ptr, info.holder, NULL));
        cr_assert(eq(ptr, (void *)info.reason, NULL));

        lease = kit_lease_of(&kit, HOLDER, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0));
        describe_event(&(Event){ .what = "released",
                                 .endpoint = lease->member->endpoint,
                                 .member = lease->member,
                                 .lease = lease,
                                 .subject = lease->subject,
                                 .reason = "why" },
                       &kit.services.ids, &text, &info);
        KIT_EXPECT_TEXT(info.endpoint,
                        id_format(&kit.services.ids, 'e', lease->member->endpoint->id, id));
        KIT_EXPECT_TEXT(info.member, id_format(&kit.services.ids, 'm', lease->member->id, id));
        KIT_EXPECT_TEXT(info.lease, id_format(&kit.services.ids, 'l', lease->id, id));
        KIT_EXPECT_TEXT(info.reason, "why");
        cr_assert(eq(i64, info.holder->uid, HOLDER));
        cr_assert(eq(i64, info.holder->since_usec, (int64_t)lease->since_usec));
        /* Of a refusal there is no lease: the time is that of the event. */
        describe_event(&(Event){ .what = "denied", .subject = lease->subject }, &kit.services.ids, &text,
                       &info);
        cr_assert(eq(i64, info.holder->since_usec, info.time_usec));
        kit_end(&kit);
}
