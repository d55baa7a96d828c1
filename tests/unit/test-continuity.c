/* SPDX-License-Identifier: BSD-2-Clause */

/* What is promised is what there is: in a namespace of its own, where the kernel's switch can be set. */

#include "daemon/continuity.h"

#include "tests/unit/daemon-kit.h"

typedef struct Promise {
        const char *network;
        Sharing sharing;
        int n_members;
        uint64_t retain_usec;
        bool steered, migrate_req;
        const char *word;
        const char *reason; /* a fragment */
} Promise;

static const Promise promises[] = {
        /* Nobody else is there. */
        { "tcp4", SHARING_GROUP, 1, 0, false, false, "none", "retainSec is 0" },
        { "tcp4", SHARING_GROUP, 1, 0, true, true, "none", "retainSec is 0" },
        { "udp4", SHARING_EXCLUSIVE, 1, 0, false, true, "none", "retainSec is 0" },
        { "tcp4", SHARING_GROUP, 1, 1, false, true, "adopt", "another client" },
        { "tcp4", SHARING_GROUP, 1, 1, true, false, "adopt", "another client" },
        { "udp4", SHARING_GROUP, 1, 1, false, false, "adopt", "another client" },
        { "tcp4", SHARING_SHARED, 1, 1, false, true, "adopt", "another client" },
        { "tcp4", SHARING_EXCLUSIVE, 1, 1, false, false, "adopt", "another client" },
        /* Without steering. */
        { "tcp4", SHARING_GROUP, 2, 1, false, false, "none", "tcp_migrate_req is off" },
        { "udp4", SHARING_GROUP, 2, 1, false, false, "none", "datagrams" },
        { "udp4", SHARING_GROUP, 2, 1, false, true, "none", "datagrams" },
        { "tcp4", SHARING_GROUP, 2, 0, false, true, "migrate", "tcp_migrate_req is on" },
        { "tcp4", SHARING_GROUP, 2, 1, false, true, "migrate", "tcp_migrate_req is on" },
        /* With. */
        { "tcp4", SHARING_GROUP, 2, 1, true, false, "migrate", "steering program" },
        { "tcp4", SHARING_GROUP, 2, 0, true, false, "migrate", "steering program" },
        { "udp4", SHARING_GROUP, 2, 1, true, false, "adopt", "off the list" },
        { "udp4", SHARING_GROUP, 2, 0, true, false, "none", "datagrams" },
};

TestSuite(continuity, .timeout = 10);

static void set_migrate_req(bool on) {
        FILE *file = fopen("/proc/sys/net/ipv4/tcp_migrate_req", "we");

        if (!file)
                cr_skip_test("this kernel has no tcp_migrate_req");
        fputs(on ? "1" : "0", file);
        fclose(file);
        cr_assert(eq(int, group_migrate_req(), on));
}

static void expect_promise(Kit *kit, const Promise *promise) {
        Lease *first = kit_lease(
                kit,
                kit_open(kit, promise->network, "127.0.0.1:0", promise->sharing, promise->retain_usec),
                NULL);
        Endpoint *endpoint = first->member->endpoint;
        Continuity continuity;

        for (int n = 1; n < promise->n_members; n++)
                kit_lease(kit, kit_join(endpoint), NULL);
        continuity = continuity_of(endpoint);
        KIT_EXPECT_TEXT(continuity.promise, promise->word);
        cr_assert(ne(ptr, strstr(continuity.reason, promise->reason), NULL), "%s", continuity.reason);
        lease_owner_end(&kit->connection, MEMBER_LEAVE_RELEASED, NULL);
}

static void expect_promises(bool steered) {
        Kit kit;

        if (!kit_own_network())
                cr_skip_test("no network namespace of its own: needs root");
        if (steered)
                kit_init_steered(&kit, 1000);
        else
                kit_init(&kit, 1000);
        for (size_t i = 0; i < sizeof(promises) / sizeof(promises[0]); i++) {
                if (promises[i].steered != steered)
                        continue;
                set_migrate_req(promises[i].migrate_req);
                expect_promise(&kit, &promises[i]);
        }
        kit_end(&kit);
}

Test(continuity, is_what_is_true_without_steering) {
        expect_promises(false);
}

Test(continuity, is_what_is_true_with_steering) {
        expect_promises(true);
}
