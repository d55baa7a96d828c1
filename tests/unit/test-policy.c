/* SPDX-License-Identifier: BSD-2-Clause */

/* What rules decide: whom they are for, which of them is the first, and what it gives. */

#include "tests/unit/policy-kit.h"

TestSuite(policy, .timeout = 10);

Test(policy, nothing_matches_denies_root_too) {
        static const PolicySubject root = {};
        _cleanup_(policy_freep) Policy *policy = policy_new();
        Decided verdict;

        verdict = decide(policy, &root, "tcp4", "127.0.0.1:80", SHARING_GROUP, 0);
        cr_assert(not(verdict.allowed));
        cr_assert(eq(ptr, (void *)verdict.rule, NULL));
        cr_assert(eq(str, verdict.reason,
                     (char *)"no rule gives uid 0 tcp4 127.0.0.1:80 (group); there is no rule that "
                             "gives anything"));

        add(policy, "other", "User=1000");
        cr_assert(not(decide(policy, &root, "tcp4", "127.0.0.1:80", SHARING_GROUP, 0).allowed));
}

Test(policy, rule_without_subject_covers_nobody) {
        static const PolicySubject root = {};
        _cleanup_(policy_freep) Policy *policy = one_rule("Port=80");

        cr_assert(not(decide(policy, &root, "tcp4", "127.0.0.1:80", SHARING_GROUP, 0).allowed));
}

Test(policy, subjects) {
        static const gid_t groups[] = { 7, 8, 9 };
        static const struct {
                const char *lines;
                bool covered;
        } rows[] = {
                { "User=1001", false },
                { "User=5", false },
                { "Group=1000", false },
                { "Group=10", false },
                { "User=1001\nGroup=10", false },
                { "User=1000\nUser=\nUser=1001", false },
                { "Group=*\nGroup=\nGroup=4", false },
                { "User=8", false },
                { "User=1000", true },
                { "User=1001,1000", true },
                { "User=1001\nUser=1000", true },
                { "User=1001 , 1000", true },
                { "User=*", true },
                { "User=1 *", true },
                { "Group=*", true },
                { "Group=5", true },
                { "Group=7", true },
                { "Group=9", true },
                { "User=1001\nGroup=8", true },
                { "User=1000\nGroup=10", true },
        };
        static const PolicySubject subject = { .uid = 1000, .gid = 5, .groups = groups, .n_groups = 3 };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(rows[i].lines);
                _cleanup_(policy_freep) Policy *refusing = one_rule(rows[i].lines);

                cr_assert(eq(int,
                             decide(policy, &subject, "udp4", "127.0.0.1:53", SHARING_GROUP, 0).allowed,
                             rows[i].covered),
                          "%s", rows[i].lines);

                cr_assert(eq(int, rule_set((Rule *)policy_find_rule(refusing, "r"), "Allow", "no", NULL),
                             0));
                add(refusing, "all", "User=*");
                cr_assert(
                        eq(int,
                           decide(refusing, &subject, "udp4", "127.0.0.1:53", SHARING_GROUP, 0).allowed,
                           !rows[i].covered),
                        "%s", rows[i].lines);
        }
        leaks_expect_none();
}

Test(policy, rights) {
        static const struct {
                const char *lines;
                unsigned rights;
                bool allowed;
        } rows[] = {
                { "User=*", POLICY_RIGHT_MARK, false },
                { "User=*\nOptions=mark", POLICY_RIGHT_MARK | POLICY_RIGHT_RAW, false },
                { "User=*\nOptions=mark", POLICY_RIGHT_TRANSPARENT, false },
                { "User=*\nOptions=*\nOptions=", POLICY_RIGHT_PRIORITY, false },
                { "User=*\nOptions=mark transparent freeBind bindToDevice raw", POLICY_RIGHTS_ALL,
                  false },
                { "User=*\nAllow=no\nOptions=raw", POLICY_RIGHT_RAW | POLICY_RIGHT_MARK, false },
                { "User=*\nAllow=no\nOptions=raw mark", POLICY_RIGHT_MARK, false },
                { "User=*\nAllow=no", 0, false },
                { "User=*\nAllow=no", POLICY_RIGHT_MARK, false },
                { "User=*\nOptions=mark", 0, true },
                { "User=*\nOptions=mark", POLICY_RIGHT_MARK, true },
                { "User=*\nOptions=mark,raw", POLICY_RIGHT_MARK | POLICY_RIGHT_RAW, true },
                { "User=*\nOptions=mark transparent freeBind bindToDevice raw priority",
                  POLICY_RIGHTS_ALL, true },
                { "User=*\nOptions=*", POLICY_RIGHTS_ALL, true },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(rows[i].lines);

                cr_assert(
                        eq(int,
                           decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, rows[i].rights).allowed,
                           rows[i].allowed),
                        "%s, rights %x", rows[i].lines, rows[i].rights);
        }

        /* Refused are only those that need the right; the next rule has the others. */
        {
                _cleanup_(policy_freep) Policy *policy = one_rule("User=*\nAllow=no\nOptions=raw");

                add(policy, "all", "User=*\nOptions=*");
                cr_assert(not(
                        decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, POLICY_RIGHT_RAW).allowed));
                cr_assert(
                        decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, POLICY_RIGHT_MARK).allowed);
        }
        leaks_expect_none();
}

Test(policy, first_match_decides) {
        _cleanup_(policy_freep) Policy *policy = policy_new();

        add(policy, "one", "User=60001\nPort=80\nAllow=no");
        add(policy, "two", "User=*\nPort=80-89");
        add(policy, "three", "User=*\nPort=81\nAllow=no");
        add(policy, "four", "User=*\nNetwork=tcp");

        cr_assert(eq(str,
                     (char *)rule_name(decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0).rule),
                     (char *)"one"));
        cr_assert(not(decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0).allowed));
        cr_assert(eq(str,
                     (char *)rule_name(decide(policy, &nobody, "tcp", ":81", SHARING_GROUP, 0).rule),
                     (char *)"two"));
        cr_assert(decide(policy, &nobody, "tcp", ":81", SHARING_GROUP, 0).allowed);
        cr_assert(eq(str,
                     (char *)rule_name(decide(policy, &nobody, "tcp", ":99", SHARING_GROUP, 0).rule),
                     (char *)"four"));
        cr_assert(eq(ptr, (void *)decide(policy, &nobody, "udp", ":99", SHARING_GROUP, 0).rule, NULL));
}

Test(policy, rights_of_options) {
        RawOption raw = { .level = 1, .name = 2, .value = "00" };
        Options options;

        cr_assert(eq(uint, policy_rights_of(NULL), 0));
        wire_init(&wire_options, &options);
        cr_assert(eq(uint, policy_rights_of(&options), 0));

        options.transparent = options.free_bind = false;
        options.bind_to_device = "";
        options.raw = (WireList){ .items = &raw, .n = 0 };
        options.backlog = 5;
        cr_assert(eq(uint, policy_rights_of(&options), 0));

        options.mark = 0;
        cr_assert(eq(uint, policy_rights_of(&options), POLICY_RIGHT_MARK));
        options.transparent = true;
        cr_assert(eq(uint, policy_rights_of(&options), POLICY_RIGHT_MARK | POLICY_RIGHT_TRANSPARENT));
        options.free_bind = true;
        options.bind_to_device = "lo";
        options.raw.n = 1;
        cr_assert(eq(uint, policy_rights_of(&options), POLICY_RIGHTS_ALL & ~POLICY_RIGHT_PRIORITY));
        options.priority = 0;
        cr_assert(eq(uint, policy_rights_of(&options), POLICY_RIGHTS_ALL));
}

/* What somebody may have, whoever it is; what is refused counts for nothing. */
Test(policy, rights_given) {
        _cleanup_(policy_freep) Policy *policy = policy_new();

        cr_assert(zero(uint, policy_rights_given(policy)));
        add(policy, "a", "User=*\nPort=80");
        add(policy, "b", "User=*\nAllow=no\nOptions=raw");
        cr_assert(zero(uint, policy_rights_given(policy)));
        add(policy, "c", "User=60001\nOptions=mark");
        add(policy, "d", "User=60002\nOptions=priority mark");
        cr_assert(eq(uint, policy_rights_given(policy), POLICY_RIGHT_MARK | POLICY_RIGHT_PRIORITY));
        add(policy, "e", "User=*\nOptions=*");
        cr_assert(eq(uint, policy_rights_given(policy), POLICY_RIGHTS_ALL));
}

Test(policy, own_rule_is_for_one_user) {
        static const PolicySubject root = {}, own = { .uid = 1000, .gid = 1000 };
        _cleanup_(policy_freep) Policy *policy = policy_new();
        Decided verdict;

        cr_assert(eq(int, policy_add_own(policy, 1000), 0));
        cr_assert(not(decide(policy, &root, "tcp", ":80", SHARING_GROUP, 0).allowed));
        cr_assert(not(decide(policy, &nobody, "unix", "@x", SHARING_SHARED, 0).allowed));

        verdict = decide(policy, &own, "tcp", ":80", SHARING_EXCLUSIVE, POLICY_RIGHTS_ALL);
        cr_assert(verdict.allowed);
        cr_assert(eq(str, (char *)rule_name(verdict.rule), (char *)"own"));
        cr_assert(decide(policy, &own, "unix", "/run/../x", SHARING_SHARED, POLICY_RIGHTS_ALL).allowed);
}

Test(policy, rules_are_found_by_name) {
        _cleanup_(policy_freep) Policy *policy = policy_new();
        Rule *rule;

        cr_assert(eq(ptr, (void *)policy_find_rule(policy, "a"), NULL));
        cr_assert(eq(int, policy_add_rule(policy, "a", "some.conf", 7, &rule), 0));
        cr_assert(eq(ptr, (void *)policy_find_rule(policy, "A"), NULL));
        cr_assert(eq(ptr, (void *)policy_find_rule(policy, "a"), rule));
        cr_assert(eq(str, (char *)rule_file(rule), (char *)"some.conf"));
        cr_assert(eq(uint, rule_line(rule), 7));
        cr_assert(eq(ptr, policy_free(NULL), NULL));
}
