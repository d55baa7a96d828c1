/* SPDX-License-Identifier: BSD-2-Clause */

/* Who may join and see an endpoint, and whose it is after the rules have changed. */

#include "daemon/judge.h"

#include "daemon/lease.h"
#include "tests/unit/daemon-kit.h"

enum {
        /* Neither root nor whoever runs the test. */
        OWNER = 61001,
        HOLDER = 61002,
        STRANGER = 61003,
};

typedef struct Scene {
        Kit kit;
        Policy *policy;
        Endpoint *endpoint;
} Scene;

/* Adds a rule of lines KEY=VALUE. */
static void add(Policy *policy, const char *name, const char *lines) {
        _cleanup_(freep) char *copy = strdup(lines), *reason = NULL;
        char *rest = copy, *line;
        Rule *rule;

        cr_assert(zero(int, policy_add_rule(policy, name, "test.conf", 1, &rule)));
        while ((line = strsep(&rest, "\n"))) {
                char *value = strchr(line, '=');

                *value++ = '\0';
                cr_assert(zero(int, rule_set(rule, line, value, &reason)), "%s", reason);
        }
}

static Policy *policy_of(const char *first, const char *second) {
        _cleanup_(freep) char *reason = NULL;
        Policy *policy = policy_new();
        const Rule *rule;

        if (first)
                add(policy, "first", first);
        if (second)
                add(policy, "second", second);
        cr_assert(zero(int, policy_resolve(policy, &rule, &reason)), "%s", reason);
        return policy;
}

/* An endpoint that OWNER made by the rules. */
static void scene_begin(Scene *scene, const char *first, const char *second) {
        PolicyVerdict verdict;

        kit_init(&scene->kit, OWNER);
        scene->policy = policy_of(first, second);
        scene->endpoint = kit_open(&scene->kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->endpoint;
        judge_socket(scene->policy, scene->kit.subject, &scene->endpoint->address, SHARING_GROUP, 0,
                     NULL, &verdict);
        if (verdict.allowed)
                scene->endpoint->tenant = verdict.tenant;
}

static void scene_end(Scene *scene) {
        policy_free(scene->policy);
        kit_end(&scene->kit);
}

static bool may_join(const Scene *scene, uid_t uid) {
        const Subject subject = { .uid = uid, .gid = uid };
        PolicyVerdict verdict;

        judge_socket(scene->policy, &subject, &scene->endpoint->address, SHARING_GROUP, 0, NULL,
                     &verdict);
        cr_assert(verdict.allowed);
        return judge_may_join(scene->policy, scene->endpoint, subject.uid, &verdict);
}

static bool may_see(const Scene *scene, uid_t uid) {
        return judge_sees(scene->policy, &(Subject){ .uid = uid, .gid = uid }, scene->endpoint);
}

TestSuite(judge, .timeout = 10);

/* ---- who may join ------------------------------------------------------------------------------- */

Test(judge, users_are_tenants_of_their_own) {
        Scene scene;

        scene_begin(&scene, "User=*", NULL);
        cr_assert(may_join(&scene, OWNER));
        cr_assert(not(may_join(&scene, STRANGER)));
        cr_assert(not(may_join(&scene, 0)));
        scene_end(&scene);
}

Test(judge, a_tenant_is_whom_its_rules_name) {
        Scene scene;

        scene_begin(&scene, "User=61001 61002\nTenant=web", "User=*");
        cr_assert(may_join(&scene, OWNER));
        cr_assert(may_join(&scene, HOLDER));
        cr_assert(not(may_join(&scene, STRANGER)));
        scene_end(&scene);
}

Test(judge, two_rules_of_one_tenant) {
        Scene scene;

        scene_begin(&scene, "User=61001\nTenant=web", "User=61002\nTenant=web");
        cr_assert(may_join(&scene, HOLDER));
        scene_end(&scene);
}

Test(judge, whom_the_rule_shares_with) {
        Scene scene;

        scene_begin(&scene, "User=61001\nShareWith=61002", "User=*");
        cr_assert(may_join(&scene, HOLDER));
        cr_assert(not(may_join(&scene, STRANGER)));
        scene_end(&scene);

        /* It is for whoever made it to share. */
        scene_begin(&scene, "User=61002\nShareWith=61001", "User=*");
        cr_assert(not(may_join(&scene, HOLDER)));
        scene_end(&scene);
}

Test(judge, shared_by_the_rules_in_force) {
        Scene scene;

        scene_begin(&scene, "User=61001\nShareWith=*", "User=*");
        cr_assert(may_join(&scene, HOLDER));
        policy_free(scene.policy);
        scene.policy = policy_of("User=61001", "User=*");
        judge_tenants(scene.policy, &scene.kit.services.endpoints);
        cr_assert(not(may_join(&scene, HOLDER)));
        scene_end(&scene);
}

Test(judge, tenants_after_the_rules_have_changed) {
        Scene scene;

        scene_begin(&scene, "User=*\nTenant=web", NULL);
        cr_assert(may_join(&scene, HOLDER));
        policy_free(scene.policy);
        scene.policy = policy_of("User=61001\nTenant=mail", "User=61002\nTenant=web");
        judge_tenants(scene.policy, &scene.kit.services.endpoints);
        KIT_EXPECT_TEXT(scene.endpoint->tenant.name, "mail");
        cr_assert(not(may_join(&scene, HOLDER)));
        /* What would not be given any more stays whose it was. */
        policy_free(scene.policy);
        scene.policy = policy_of("User=61002\nTenant=mail", NULL);
        judge_tenants(scene.policy, &scene.kit.services.endpoints);
        KIT_EXPECT_TEXT(scene.endpoint->tenant.name, "mail");
        cr_assert(may_join(&scene, HOLDER));
        scene_end(&scene);
}

/* ---- who may see -------------------------------------------------------------------------------- */

Test(judge, a_stranger_sees_nothing) {
        const Subject of_a_group = { .uid = STRANGER, .gid = HOLDER };
        Scene scene;
        Lease *lease;

        scene_begin(&scene, "User=*", NULL);
        kit_lease_of(&scene.kit, HOLDER, TAILQ_FIRST(&scene.endpoint->members));
        cr_assert(not(may_see(&scene, STRANGER)));
        /* A group in common is not enough. */
        cr_assert(not(judge_sees(scene.policy, &of_a_group, scene.endpoint)));
        /* Nor is a lease of another endpoint. */
        lease = kit_lease_of(&scene.kit, STRANGER,
                             kit_open(&scene.kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0));
        cr_assert(not(may_see(&scene, STRANGER)));
        cr_assert(judge_sees(scene.policy, &(Subject){ .uid = STRANGER }, lease->member->endpoint));
        scene_end(&scene);
}

Test(judge, a_lease_lets_see_and_only_while_it_lasts) {
        Scene scene;
        Lease *lease;

        scene_begin(&scene, "User=*", NULL);
        kit_lease_of(&scene.kit, OWNER, TAILQ_FIRST(&scene.endpoint->members));
        cr_assert(not(may_see(&scene, HOLDER)));
        lease = kit_lease_of(&scene.kit, HOLDER, kit_join(scene.endpoint));
        cr_assert(may_see(&scene, HOLDER));
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
        cr_assert(not(may_see(&scene, HOLDER)));
        scene_end(&scene);
}

Test(judge, root_the_broker_observers_and_who_made_it_see) {
        Scene scene;

        scene_begin(&scene, "User=61001", "User=61002\nObserve=yes");
        cr_assert(may_see(&scene, 0));
        cr_assert(may_see(&scene, geteuid()));
        cr_assert(may_see(&scene, OWNER));
        cr_assert(may_see(&scene, HOLDER));
        cr_assert(not(may_see(&scene, STRANGER)));
        cr_assert(judge_sees_all(scene.policy, &(Subject){ .uid = HOLDER }));
        cr_assert(not(judge_sees_all(scene.policy, &(Subject){ .uid = OWNER })));
        scene_end(&scene);
}

Test(judge, users_of_its_tenant_see) {
        Scene scene;

        scene_begin(&scene, "User=61001 61002\nTenant=web\nPort=1-65535", "User=*");
        cr_assert(may_see(&scene, HOLDER));
        cr_assert(not(may_see(&scene, STRANGER)));
        scene_end(&scene);
}

/* ---- who may connect from there ------------------------------------------------------------------ */

static bool is_own(const Scene *scene, uid_t uid) {
        return judge_is_own(scene->policy, scene->endpoint, &(Subject){ .uid = uid, .gid = uid }, NULL);
}

Test(judge, connections_are_of_the_tenant_alone) {
        Scene scene;

        scene_begin(&scene, "User=61001\nShareWith=61002", "User=*");
        cr_assert(not(is_own(&scene, STRANGER)));
        /* It shares, and that is all. */
        cr_assert(may_join(&scene, HOLDER));
        cr_assert(not(is_own(&scene, HOLDER)));
        cr_assert(is_own(&scene, OWNER));
        scene.endpoint->passed = true;
        cr_assert(not(is_own(&scene, OWNER)));
        scene.endpoint->passed = false;
        scene_end(&scene);
        scene_begin(&scene, "User=61001 61002\nTenant=web", NULL);
        cr_assert(is_own(&scene, HOLDER));
        cr_assert(not(is_own(&scene, STRANGER)));
        scene_end(&scene);
}

/* As the rules are now, not as they were. */
Test(judge, connections_end_with_the_rule) {
        Scene scene;

        scene_begin(&scene, "User=61001", NULL);
        cr_assert(is_own(&scene, OWNER));
        policy_free(scene.policy);
        scene.policy = policy_of("User=61003", NULL);
        cr_assert(not(is_own(&scene, OWNER)));
        scene_end(&scene);
}

static bool may_go_out(const char *first, const char *second, const char *from, unsigned rights) {
        Policy *policy = policy_of(first, second);
        const Address address = kit_address("tcp4", from);
        PolicyVerdict verdict;

        judge_outgoing(policy, &(Subject){ .uid = OWNER, .gid = OWNER }, &address, rights, NULL,
                       &verdict);
        policy_free(policy);
        return verdict.allowed;
}

Test(judge, outgoing_leaves_open_what_the_kernel_chooses) {
        static const char rule[] = "User=61001\nPort=80\nAddress=127.0.0.1\nSharing=group\nOptions=mark";

        cr_assert(not(may_go_out("User=61002", NULL, ":0", 0)));
        cr_assert(not(may_go_out("User=61001\nNetwork=udp", NULL, ":0", 0)));
        cr_assert(not(may_go_out("User=61001\nAllow=no", "User=*", ":0", 0)));
        cr_assert(not(may_go_out("User=61001\nObserve=yes\nAllow=no", NULL, ":0", 0)));
        cr_assert(not(may_go_out(rule, NULL, ":0", POLICY_RIGHT_RAW)));
        cr_assert(not(may_go_out(rule, NULL, "127.0.0.2:0", 0)));
        cr_assert(may_go_out(rule, NULL, ":0", POLICY_RIGHT_MARK));
        cr_assert(may_go_out(rule, NULL, "127.0.0.1:0", 0));
        cr_assert(may_go_out("User=61001\nPort=1-79\nAllow=no", "User=*", ":0", 0));
}
