/* SPDX-License-Identifier: BSD-2-Clause */

/* How new flows are spread over the live members of a group, and what is shown of it. */

#include "tests/integration/group-kit.h"

TestSuite(weights, .timeout = 60);

static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };
static const char *const modes[] = { "hash", "roundRobin", "leastLoad", "cpu", "source" };

enum {
        N_NETWORKS = sizeof(networks) / sizeof(networks[0]),
        N_MODES = sizeof(modes) / sizeof(modes[0]),
};

static Stage stage;

static KitSocket found(const char *network, const char *mode, const char *more) {
        char request[128];

        snprintf(request, sizeof(request), ",'steering':'%s'%s", mode, more);
        return stage_found(&stage, network, request);
}

/* @n_clients come, and as many of them reach each of @members. */
static void expect_counts(const KitSocket *members, size_t n, size_t n_clients, const size_t *expected) {
        size_t counts[GROUP_MEMBERS_MAX];

        group_count(members, n, n_clients, counts);
        for (size_t i = 0; i < n; i++)
                cr_assert(eq(sz, counts[i], expected[i]), "member %zu", i);
}

Test(weights, of_zero_takes_nothing_beside_others) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS * N_MODES; i++) {
                KitSocket members[2];

                members[0] = found(networks[i % N_NETWORKS], modes[i / N_NETWORKS], "");
                members[1] = stage_join(&stage, &members[0], ",'weight':0");
                group_expect_only(members, 2, 0);
                stage_set_weight(&stage, &members[1], 10);
                stage_set_weight(&stage, &members[0], 0);
                group_expect_only(members, 2, 1);
                stage_expect_no_event(&stage);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        stage_end(&stage);
}

/* There is nobody else: flows are not turned away. */
Test(weights, of_zero_serves_if_all_others_do_not) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[2];

                members[0] = stage_found(&stage, networks[i], ",'weight':0");
                group_expect_only(members, 1, 0);
                members[1] = stage_join(&stage, &members[0], ",'standby':true");
                group_expect_only(members, 2, 0);
                stage_set_weight(&stage, &members[1], 0);
                stage_ready(&stage, &members[1]);
                kit_expect_both_served(members[0].fd, members[1].fd);
                stage_say(&stage, "Drain", &members[0]);
                stage_expect(&stage, "drained", &members[0]);
                group_expect_only(members, 2, 1);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        stage_end(&stage);
}

Test(weights, are_kept_in_turn) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[3];

                members[0] = found(networks[i], "roundRobin", ",'weight':1");
                members[1] = stage_join(&stage, &members[0], ",'weight':3");
                expect_counts(members, 2, 40, (size_t[]){ 10, 30 });
                members[2] = stage_join(&stage, &members[0], ",'weight':4");
                expect_counts(members, 3, 40, (size_t[]){ 5, 15, 20 });
                stage_set_weight(&stage, &members[0], 100);
                stage_set_weight(&stage, &members[1], 50);
                stage_set_weight(&stage, &members[2], 50);
                cr_assert(eq(llong, stage_number(&stage, &members[0], "weight"), 100));
                cr_assert(eq(llong, stage_number(&stage, &members[1], "weight"), 50));
                expect_counts(members, 3, 40, (size_t[]){ 20, 10, 10 });
                stage_say(&stage, "Drain", &members[0]);
                stage_expect(&stage, "drained", &members[0]);
                expect_counts(members, 3, 40, (size_t[]){ 0, 20, 20 });
                stage_release(&stage, &members[0]);
                stage_release(&stage, &members[1]);
                stage_finish(&stage, &members[2]);
        }
        stage_end(&stage);
}

/* Of standbys it counts from Ready on. */
Test(weights, can_be_set_before_they_count) {
        KitSocket members[2];

        stage_begin(&stage, KIT_CONFIG);
        members[0] = found("tcp4", "roundRobin", "");
        members[1] = stage_join(&stage, &members[0], ",'standby':true");
        stage_set_weight(&stage, &members[1], 30);
        stage_expect_state(&stage, &members[1], "standby");
        group_expect_only(members, 2, 0);
        stage_ready(&stage, &members[1]);
        expect_counts(members, 2, 40, (size_t[]){ 10, 30 });
        stage_release(&stage, &members[0]);
        stage_finish(&stage, &members[1]);
        stage_end(&stage);
}

Test(weights, are_shares_of_a_hash) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                size_t counts[GROUP_MEMBERS_MAX];
                KitSocket members[2];

                members[0] = found(networks[i], "hash", ",'weight':10");
                members[1] = stage_join(&stage, &members[0], ",'weight':90");
                group_count(members, 2, 200, counts);
                cr_assert(gt(sz, counts[1], 2 * counts[0]), "%zu and %zu", counts[0], counts[1]);
                stage_release(&stage, &members[0]);
                stage_finish(&stage, &members[1]);
        }
        stage_end(&stage);
}

Test(weights, one_peer_stays_with_one_member) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS; i++) {
                KitSocket members[3];
                size_t which;

                members[0] = found(networks[i], "source", "");
                members[1] = stage_join(&stage, &members[0], "");
                members[2] = stage_join(&stage, &members[0], "");
                which = group_serve(members, 3);
                group_expect_only(members, 3, which);
                for (size_t k = 0; k < 3; k++)
                        if (k != which)
                                stage_release(&stage, &members[k]);
                group_expect_only(&members[which], 1, 0);
                stage_finish(&stage, &members[which]);
        }
        stage_end(&stage);
}

/*
 * Who has more waiting is spared: the kernel alone would go on to give it half. A flow that comes while
 * the broker puts the numbers right may go astray.
 */
Test(weights, least_load_spares_who_has_much) {
        enum { N = 24, ASTRAY_MAX = 4 };
        KitSocket members[2];
        int waiting[2 * N];
        long long n;

        stage_begin(&stage, KIT_CONFIG);
        members[0] = found("tcp4", "leastLoad", "");
        for (size_t i = 0; i < N; i++)
                waiting[i] = group_come(&members[0]);
        members[1] = stage_join(&stage, &members[0], "");
        for (size_t i = N; i < 2 * N; i++)
                waiting[i] = group_come(&members[0]);
        n = stage_number(&stage, &members[1], "flows");
        cr_assert(ge(llong, n, N - ASTRAY_MAX));
        cr_assert(eq(llong, stage_number(&stage, &members[0], "flows"), 2 * N - n));
        for (size_t i = 0; i < 2 * N; i++) {
                group_take(&members[(long long)i < n]);
                close(waiting[i]);
        }
        for (size_t i = 0; i < 2; i++)
                cr_assert(not(kit_is_readable(members[i].fd)));
        stage_release(&stage, &members[0]);
        stage_finish(&stage, &members[1]);
        stage_end(&stage);
}

Test(weights, flows_are_counted) {
        stage_begin(&stage, KIT_CONFIG);
        for (size_t i = 0; i < N_NETWORKS * N_MODES; i++) {
                size_t counts[GROUP_MEMBERS_MAX];
                KitSocket members[3];

                members[0] = found(networks[i % N_NETWORKS], modes[i / N_NETWORKS], "");
                members[1] = stage_join(&stage, &members[0], "");
                members[2] = stage_join(&stage, &members[0], ",'standby':true");
                group_count(members, 3, GROUP_CLIENTS, counts);
                for (size_t k = 0; k < 3; k++)
                        cr_assert(eq(llong, stage_number(&stage, &members[k], "flows"),
                                     (long long)counts[k]),
                                  "%s %s", networks[i % N_NETWORKS], modes[i / N_NETWORKS]);
                stage_release(&stage, &members[2]);
                stage_release(&stage, &members[1]);
                stage_finish(&stage, &members[0]);
        }
        stage_end(&stage);
}
