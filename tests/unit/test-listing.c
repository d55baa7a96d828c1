/* SPDX-License-Identifier: BSD-2-Clause */

/* A list that is put together bit by bit, while what it lists comes and goes. */

#include "daemon/listing.h"

#include <jansson.h>

#include "daemon/config.h"
#include "daemon/policy.h"
#include "proto/cleanup.h"
#include "tests/unit/daemon-kit.h"

enum {
        OWNER = 61001,
        STRANGER = 61002,
        N_ENDPOINTS = 70,
        WALK_SEED = 4713,
};

typedef struct Scene {
        Kit kit;
        Config config;
        Listing *listing;
        Lease *leases[N_ENDPOINTS];
} Scene;

static void begin(Scene *scene, size_t n) {
        kit_init(&scene->kit, OWNER);
        scene->config = (Config){ .policy = policy_new() };
        scene->kit.services.config = &scene->config;
        for (size_t i = 0; i < n; i++)
                scene->leases[i] =
                        kit_lease(&scene->kit,
                                  kit_open(&scene->kit, "udp4", "127.0.0.1:0", SHARING_GROUP, 0), NULL);
        cr_assert(zero(int, listing_new(&scene->kit.services, scene->kit.subject, scene->kit.user,
                                        &scene->listing)));
}

static void end(Scene *scene) {
        scene->listing = listing_free(scene->listing);
        cr_assert(zero(sz, scene->kit.services.accounts.used[RESOURCE_BYTES]));
        scene->config.policy = policy_free(scene->config.policy);
        kit_end(&scene->kit);
}

static int step(Scene *scene) {
        int outcome;

        return listing_step(scene->listing, &outcome);
}

/* How many endpoints a whole reply has, and in *@ret_members, if not NULL, how many members. */
static size_t count(Scene *scene, size_t *ret_members) {
        const MessageBuffer *reply = listing_finish(scene->listing);
        json_auto_t *json = json_loadb(reply->data, reply->n - 1, JSON_REJECT_DUPLICATES, NULL);
        json_t *list = json_object_get(json_object_get(json, "parameters"), "endpoints"), *item;
        size_t i;

        cr_assert(eq(int, json_typeof(list), JSON_ARRAY), "%s", reply->data);
        cr_assert(eq(int, reply->data[reply->n - 1], '\0'));
        if (ret_members)
                *ret_members = 0;
        json_array_foreach(list, i, item) {
                cr_assert(ne(ptr, (void *)json_string_value(json_object_get(item, "endpoint")), NULL));
                if (ret_members)
                        *ret_members += json_array_size(json_object_get(item, "members"));
        }
        return json_array_size(list);
}

TestSuite(listing, .timeout = 20);

Test(listing, of_nothing) {
        Scene scene;

        begin(&scene, 0);
        cr_assert(zero(int, step(&scene)));
        cr_assert(zero(sz, count(&scene, NULL)));
        end(&scene);
}

Test(listing, of_what_one_may_not_see) {
        Subject *stranger = kit_subject(STRANGER);
        Scene scene;
        int outcome;

        begin(&scene, N_ENDPOINTS);
        listing_free(scene.listing);
        cr_assert(zero(int, listing_new(&scene.kit.services, stranger, scene.kit.user, &scene.listing)));
        while (listing_step(scene.listing, &outcome) == LISTING_E_AGAIN)
                ;
        cr_assert(zero(sz, count(&scene, NULL)));
        end(&scene);
        subject_unref(stranger);
}

Test(listing, that_is_not_paid_for) {
        Scene scene;
        int outcome = 0, r;

        begin(&scene, N_ENDPOINTS);
        scene.kit.services.accounts.limit_per_user[RESOURCE_BYTES] = 8 * 1024;
        do
                r = listing_step(scene.listing, &outcome);
        while (r == LISTING_E_AGAIN);
        cr_assert(eq(int, r, LISTING_E_QUOTA));
        cr_assert(eq(int, outcome, ACCOUNT_E_USER_LIMIT));
        end(&scene);
}

Test(listing, in_several_steps) {
        size_t n_steps = 1, n_members;
        Scene scene;

        begin(&scene, N_ENDPOINTS);
        while (step(&scene) == LISTING_E_AGAIN)
                n_steps++;
        cr_assert(gt(sz, n_steps, N_ENDPOINTS / LISTING_STEP));
        cr_assert(eq(sz, count(&scene, &n_members), N_ENDPOINTS));
        cr_assert(eq(sz, n_members, N_ENDPOINTS));
        end(&scene);
}

/* A group alone may be more than one step. */
Test(listing, of_many_members) {
        Lease *lease;
        size_t n_members;
        Scene scene;

        begin(&scene, 1);
        for (size_t i = 1; i < N_ENDPOINTS; i++)
                kit_lease(&scene.kit, kit_join(scene.leases[0]->member->endpoint), NULL);
        cr_assert(eq(int, step(&scene), LISTING_E_AGAIN));
        /* The very next one goes, and the last. */
        lease = LIST_FIRST(&scene.kit.connection.leases);
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
        while (step(&scene) == LISTING_E_AGAIN)
                ;
        cr_assert(eq(sz, count(&scene, &n_members), 1));
        cr_assert(eq(sz, n_members, N_ENDPOINTS - 1));
        end(&scene);
}

/* Endpoints go before, at and behind the cursor, and come: whatever is left is a whole list. */
Test(listing, while_endpoints_come_and_go) {
        srand(WALK_SEED);
        for (int round = 0; round < 50; round++) {
                size_t n_left = N_ENDPOINTS, n;
                bool gone[N_ENDPOINTS] = { 0 };
                Scene scene;

                begin(&scene, N_ENDPOINTS);
                while (step(&scene) == LISTING_E_AGAIN)
                        for (int k = 0; k < 20; k++) {
                                size_t i = (size_t)rand() % N_ENDPOINTS;

                                if (gone[i])
                                        continue;
                                lease_end(scene.leases[i], MEMBER_LEAVE_RELEASED, "done");
                                gone[i] = true;
                                n_left--;
                        }
                n = count(&scene, NULL);
                cr_assert(ge(sz, n, n_left), "seed %d round %d", WALK_SEED, round);
                cr_assert(le(sz, n, N_ENDPOINTS));
                end(&scene);
        }
}

Test(listing, that_is_given_up) {
        Scene scene;

        begin(&scene, N_ENDPOINTS);
        cr_assert(eq(int, step(&scene), LISTING_E_AGAIN));
        end(&scene);
        leaks_expect_none();
}
