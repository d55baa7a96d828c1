/* SPDX-License-Identifier: BSD-2-Clause */

/* Whom a rule is for, beyond users and groups, whose its endpoints are, and who shares them. */

#include "tests/unit/policy-kit.h"

TestSuite(rule, .timeout = 10);

/* ---- who, beyond users and groups --------------------------------------------------------------- */

Test(rule, units_and_labels_narrow) {
        static const struct {
                const char *lines, *cgroup, *label;
                bool allowed;
        } rows[] = {
                { "Unit=a.service", NULL, NULL, false },
                { "Unit=a.service", "/", NULL, false },
                { "Unit=a.service", "/system.slice/a.service", NULL, true },
                { "Unit=a.service", "/system.slice/a.service/sub/b.service", NULL, true },
                { "Unit=a.service", "/system.slice/system-x.slice/a.service", NULL, true },
                { "Unit=a.service", "/a.service", NULL, true },
                { "Unit=a.service", "/system.slice/b.service", NULL, false },
                { "Unit=a.service", "/system.slice/b.service/a.service", NULL, false },
                /* What a user calls its own is inside of the unit that it was given. */
                { "Unit=a.service", "/user.slice/user-7.slice/user@7.service/app.slice/a.service", NULL,
                  false },
                { "Unit=user@*.service", "/user.slice/user-7.slice/user@7.service/a", NULL, true },
                { "Unit=b.service a@*.service", "/system.slice/system-a.slice/a@1.service", NULL, true },
                { "Unit=*", "/system.slice/a.service", NULL, true },
                { "Unit=*", "/system.slice", NULL, false },
                { "Unit=*", NULL, NULL, false },
                { "Cgroup=/", "/", NULL, true },
                { "Cgroup=/", "/x/y", NULL, true },
                { "Cgroup=/", NULL, NULL, false },
                { "Cgroup=/x", "/x", NULL, true },
                { "Cgroup=/x", "/x/y/z", NULL, true },
                { "Cgroup=/x", "/xy", NULL, false },
                { "Cgroup=/x", "/y/x", NULL, false },
                { "Cgroup=/x/*/z", "/x/y/z", NULL, true },
                { "Cgroup=/x/*/z", "/x/y/y/z", NULL, false },
                /* Either of the two. */
                { "Cgroup=/x\nUnit=a.service", "/system.slice/a.service", NULL, true },
                { "Label=c:d", NULL, NULL, false },
                { "Label=c:d", NULL, "c:d", true },
                { "Label=c:d", NULL, "c:d:e", false },
                { "Label=c:d*", NULL, "c:d:e,f", true },
                { "Label=x c:e,f", NULL, "c:e,f", true },
                /* All of them. */
                { "User=60001\nLabel=x", NULL, "x", true },
                { "User=60002\nLabel=x", NULL, "x", false },
                { "User=60001\nLabel=x\nUnit=a.service", NULL, "x", false },
                { "User=60001\nLabel=x\nUnit=a.service", "/a.service", "x", true },
                /* Of whom nothing is known is refused with those who are meant. */
                { "Unit=a.service\nAllow=no", NULL, NULL, false },
                { "Unit=a.service\nAllow=no", "/b.service", NULL, true },
                { "Unit=a.service\nAllow=no", "/a.service", NULL, false },
                { "Label=x\nAllow=no", NULL, NULL, false },
                { "Label=x\nAllow=no", NULL, "y", true },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                PolicySubject subject = nobody;
                _cleanup_(policy_freep) Policy *policy = policy_new();

                subject.cgroup = rows[i].cgroup;
                subject.label = rows[i].label;
                add(policy, "r", rows[i].lines);
                if (strstr(rows[i].lines, "Allow=no"))
                        add(policy, "all", "User=*");
                cr_assert(eq(int, decide(policy, &subject, "tcp", ":80", SHARING_GROUP, 0).allowed,
                             rows[i].allowed),
                          "%s for %s, %s", rows[i].lines, rows[i].cgroup, rows[i].label);
                cr_assert(eq(int, policy_asks_cgroup(policy),
                             strstr(rows[i].lines, "Unit=") || strstr(rows[i].lines, "Cgroup=")));
                cr_assert(eq(int, policy_asks_label(policy), strstr(rows[i].lines, "Label=") != NULL));
        }
        leaks_expect_none();
}

Test(rule, observers) {
        static const PolicySubject root = {};
        _cleanup_(policy_freep) Policy *policy = policy_new();

        add(policy, "ops", "User=60001\nObserve=yes");
        add(policy, "not", "User=0\nObserve=no");
        cr_assert(policy_may_observe(policy, &nobody));
        cr_assert(not(policy_may_observe(policy, &root)));
        /* To look is all that it gives; with sockets named it gives those too. */
        cr_assert(not(decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0).allowed));
        cr_assert(decide(policy, &root, "tcp", ":80", SHARING_GROUP, 0).allowed);
        add(policy, "more", "User=60001\nObserve=yes\nPort=80");
        cr_assert(decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0).allowed);
        cr_assert(zero(uint, policy_rights_given(policy)));
        add(policy, "rights", "User=0\nOptions=mark raw");
        add(policy, "none", "User=0\nOptions=priority\nAllow=no");
        cr_assert(eq(uint, policy_rights_given(policy), POLICY_RIGHT_MARK | POLICY_RIGHT_RAW));
}

Test(rule, rules_that_make_no_sense) {
        static const struct {
                const char *lines, *reason;
        } rows[] = {
                { "Port=80", "says for nobody" },
                { "Unit=a.service\nUnit=", "says for nobody" },
                { "User=*\nAllow=no\nObserve=yes", "its Observe= means nothing" },
                { "User=*\nAllow=no\nTenant=a", "its Tenant= means nothing" },
                { "User=*\nAllow=no\nShareWith=0", "its ShareWith= means nothing" },
                { "User=*\nAllow=no\nMaxLeases=1", "its MaxLeases= means nothing" },
                { "User=*\nAllow=no\nRateLimit=1/1s", "its RateLimit= means nothing" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(rows[i].lines);
                _cleanup_(freep) char *reason = NULL;

                cr_assert(eq(int, rule_check(policy_find_rule(policy, "r"), &reason),
                             RULE_E_VALUE_INVALID));
                cr_assert(ne(ptr, strstr(reason, rows[i].reason), NULL), "%s", reason);
        }
        leaks_expect_none();
}

Test(rule, whom_a_rule_shares_with) {
        const Tenant web = tenant_of("web", 0), own = tenant_of(NULL, 60001),
                     mail = tenant_of("mail", 0);
        _cleanup_(policy_freep) Policy *policy = policy_new();
        char *reason = NULL;
        const Rule *rule;

        add(policy, "a", "User=0\nShareWith=web 60001");
        add(policy, "b", "User=1\nTenant=web");
        add(policy, "c", "User=1\nShareWith=*");
        cr_assert(zero(int, policy_resolve(policy, &rule, &reason)));
        cr_assert(rule_shares(policy_find_rule(policy, "a"), 1, &web));
        cr_assert(rule_shares(policy_find_rule(policy, "a"), 60001, &own));
        cr_assert(rule_shares(policy_find_rule(policy, "a"), 60001, &mail));
        cr_assert(not(rule_shares(policy_find_rule(policy, "a"), 60002, &mail)));
        cr_assert(not(rule_shares(policy_find_rule(policy, "b"), 60001, &own)));
        cr_assert(rule_shares(policy_find_rule(policy, "c"), 60002, &mail));

        add(policy, "d", "User=1\nShareWith=nobody-by-that-name");
        cr_assert(eq(int, policy_resolve(policy, &rule, &reason), RULE_E_VALUE_INVALID));
        cr_assert(eq(str, (char *)rule_name(rule), (char *)"d"));
        cr_assert(ne(ptr, strstr(reason, "neither a user nor the Tenant="), NULL), "%s", reason);
        free(reason);
        add(policy, "e", "User=1\nTenant=60001");
        cr_assert(eq(int, policy_resolve(policy, &rule, &reason), RULE_E_VALUE_INVALID));
        cr_assert(eq(str, (char *)rule_name(rule), (char *)"a"));
        cr_assert(ne(ptr, strstr(reason, "a user and a tenant"), NULL), "%s", reason);
        free(reason);
        leaks_expect_none();
}

Test(rule, tenants_are_not_taken_for_users) {
        Tenant named = tenant_of("1000", 5), own = tenant_of(NULL, 1000), other = tenant_of(NULL, 5);
        char text[TENANT_TEXT_MAX];

        cr_assert(not(tenant_equal(&named, &own)));
        cr_assert(not(tenant_equal(&named, &other)));
        cr_assert(not(tenant_equal(&own, &other)));
        cr_assert(eq(str, (char *)tenant_text(&named, text), (char *)"1000"));
        cr_assert(eq(str, (char *)tenant_text(&own, text), (char *)"uid 1000"));
}

Test(rule, users_of_a_tenant) {
        static const PolicySubject root = {};
        const Tenant web = tenant_of("web", 0), own = tenant_of(NULL, 60001);
        _cleanup_(policy_freep) Policy *policy = one_rule("User=60001\nTenant=web\nPort=80");

        cr_assert(policy_has_tenant(policy, &nobody, &web));
        cr_assert(not(policy_has_tenant(policy, &root, &web)));
        cr_assert(not(policy_has_tenant(policy, &nobody, &own)));
}
Test(rule, how_the_file_of_a_path_is_made) {
        static const struct {
                const char *lines;
                uid_t uid;
                gid_t gid;
                mode_t mode;
        } rows[] = {
                { "User=*", (uid_t)-1, (gid_t)-1, 0666 },
                { "User=*\nPath=/run/x", (uid_t)-1, (gid_t)-1, 0666 },
                { "User=*\nSocketMode=0600", (uid_t)-1, (gid_t)-1, 0600 },
                { "User=*\nSocketMode=0", (uid_t)-1, (gid_t)-1, 0 },
                { "User=*\nSocketUser=root\nSocketGroup=root", 0, 0, 0666 },
                { "User=*\nSocketUser=60001\nSocketMode=640", 60001, (gid_t)-1, 0640 },
                { "User=*\nSocketGroup=60001\nSocketGroup=60002", (uid_t)-1, 60002, 0666 },
                { "User=*\nSocketUser=60001\nSocketUser=\nSocketMode=0600\nSocketMode=", (uid_t)-1,
                  (gid_t)-1, 0666 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(rows[i].lines);
                SocketFile file;

                rule_socket_file(policy_find_rule(policy, "r"), &file);
                cr_assert(eq(u32, file.uid, rows[i].uid), "row %zu", i);
                cr_assert(eq(u32, file.gid, rows[i].gid), "row %zu", i);
                cr_assert(eq(u32, file.mode, rows[i].mode), "row %zu", i);
                cr_assert(not(file.follow_links));
                cr_assert(zero(ullong, file.inode));
        }
        leaks_expect_none();
}

/* ---- network namespaces -------------------------------------------------------------------------- */

static bool covers(const Policy *policy, const char *path) {
        Address address = address_of("tcp4", "127.0.0.1:80");
        PolicyVerdict verdict;

        policy_decide(policy,
                      &(PolicyQuery){ .subject = &nobody,
                                      .address = &address,
                                      .sharing = SHARING_GROUP,
                                      .network_namespace = path },
                      &verdict);
        return verdict.allowed;
}

Test(rule, network_namespaces) {
        static const struct {
                const char *lines, *path;
                bool given, refused; /* with Allow=no in front of a rule that gives all */
        } rows[] = {
                /* To give takes a name, to refuse does not. */
                { "", "/run/netns/blue", false, true },
                { "Port=80", "/run/netns/blue", false, true },
                { "Port=81", "/run/netns/blue", false, false },
                { "NetworkNamespace=blue", NULL, false, false },
                { "NetworkNamespace=*", NULL, false, false },
                { "NetworkNamespace=blue\nNetworkNamespace=", "/run/netns/blue", false, true },
                { "NetworkNamespace=green", "/run/netns/blue", false, false },
                { "NetworkNamespace=blu", "/run/netns/blue", false, false },
                { "NetworkNamespace=blue", "/run/netns/blue2", false, false },
                { "NetworkNamespace=blue", "/run/netns/x/blue", false, false },
                { "NetworkNamespace=blue", "/elsewhere/blue", false, false },
                { "NetworkNamespace=*", "/run/netns/x/blue", false, false },
                { "NetworkNamespace=*", "/elsewhere/blue", false, false },
                { "NetworkNamespace=/run/*", "/run/netns/blue", false, false },
                { "NetworkNamespace=blue\nPort=81", "/run/netns/blue", false, false },
                { "", NULL, true, true },
                { "NetworkNamespace=blue\nNetworkNamespace=", NULL, true, true },
                { "NetworkNamespace=blue", "/run/netns/blue", true, true },
                { "NetworkNamespace=green,blue", "/run/netns/blue", true, true },
                { "NetworkNamespace=bl*", "/run/netns/blue", true, true },
                { "NetworkNamespace=*", "/run/netns/blue", true, true },
                { "NetworkNamespace=/run/netns/blue", "/run/netns/blue", true, true },
                { "NetworkNamespace=/run/*/blue", "/run/netns/blue", true, true },
                { "NetworkNamespace=/run/app/*", "/run/app/net", true, true },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                _cleanup_(policy_freep) Policy *giving = one_rule(rows[i].lines);
                _cleanup_(policy_freep) Policy *refusing = one_rule(rows[i].lines);

                add(giving, "somebody", "User=0\nNetworkNamespace=/*/* /*/*/* /*/*/*/*");
                cr_assert(zero(int, rule_set((Rule *)policy_find_rule(giving, "r"), "User", "*", NULL)));
                cr_assert(eq(int, covers(giving, rows[i].path), rows[i].given), "%s", rows[i].lines);
                /* Whoever is given something there may enter. */
                if (rows[i].given && rows[i].path)
                        cr_assert(policy_may_enter(giving, &nobody, rows[i].path), "%s", rows[i].lines);
                cr_assert(
                        zero(int, rule_set((Rule *)policy_find_rule(refusing, "r"), "User", "*", NULL)));
                cr_assert(zero(int,
                               rule_set((Rule *)policy_find_rule(refusing, "r"), "Allow", "no", NULL)));
                add(refusing, "own", "User=*");
                add(refusing, "all", "User=*\nNetworkNamespace=/*/* /*/*/* /*/*/*/*");
                cr_assert(eq(int, !covers(refusing, rows[i].path), rows[i].refused), "%s",
                          rows[i].lines);
        }
        leaks_expect_none();
}

/* What no request could have is no reason to keep a right. */
Test(rule, who_gives_raw_ip) {
        static const struct {
                const char *lines;
                bool gives;
        } rows[] = {
                { "User=*", false },
                { "User=*\nNetwork=*", false },
                { "User=*\nNetwork=ip\nAllow=no", false },
                { "User=*\nNetwork=ip\nNetworkNamespace=blue", false },
                { "User=*\nNetwork=ip4:icmp\nNetworkNamespace=*", false },
                { "User=*\nNetwork=tcp ip6\nPort=1-65535", false },
                { "User=*\nNetwork=ip", true },
                { "User=*\nNetwork=ip\nPort=*", true },
                { "User=*\nNetwork=tcp ip4:icmp", true },
                { "User=*\nNetwork=ip6\nAddress=::1", true },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                _cleanup_(policy_freep) Policy *policy = policy_new();

                add(policy, "r", rows[i].lines);
                cr_assert(eq(int, policy_gives_raw_ip(policy), rows[i].gives), "%s", rows[i].lines);
        }
}

Test(rule, who_may_enter_a_namespace) {
        _cleanup_(policy_freep) Policy *policy = policy_new();

        add(policy, "own", "User=*");
        cr_assert(not(policy_gives_namespaces(policy)));
        cr_assert(not(policy_may_enter(policy, &nobody, "/run/netns/blue")));
        add(policy, "no", "User=*\nNetworkNamespace=red\nAllow=no");
        cr_assert(not(policy_gives_namespaces(policy)));
        /* One port of many: what is asked for is not looked at yet. */
        add(policy, "some", "User=*\nNetworkNamespace=green\nPort=81\nAllow=no");
        add(policy, "blue", "User=60001\nNetworkNamespace=blue\nPort=1");
        cr_assert(policy_gives_namespaces(policy));
        cr_assert(policy_may_enter(policy, &nobody, "/run/netns/blue"));
        cr_assert(not(policy_may_enter(policy, &nobody, "/run/netns/green")));
        add(policy, "all", "User=*\nNetworkNamespace=*");
        cr_assert(policy_may_enter(policy, &nobody, "/run/netns/green"));
        cr_assert(not(policy_may_enter(policy, &nobody, "/run/netns/red")));
        cr_assert(not(policy_may_enter(policy, &nobody, "/elsewhere")));
        leaks_expect_none();
}
