/* SPDX-License-Identifier: BSD-2-Clause */

/* The policy: what a rule may say, what it then covers, and the words of a refusal. */

#include "tests/unit/policy-kit.h"

TestSuite(policy, .timeout = 10);

Test(policy, values_refused) {
        static const struct {
                const char *key, *value, *reason;
        } rows[] = {
                { "User", "no-such-user", "no user \"no-such-user\"" },
                { "User", "0 no-such-user", "no user \"no-such-user\"" },
                { "User", "-1", "no user \"-1\"" },
                { "User", "4294967295", "no user" },
                { "User", "99999999999999999999999", "no user" },
                { "User", ",", "names nothing" },
                { "Group", "no-such-group", "no group \"no-such-group\"" },
                { "Group", "4294967295", "no group" },
                { "Group", " , ", "names nothing" },
                { "Unit", "nginx", "write nginx.service" },
                { "Unit", "/system.slice/a.service", "named by Cgroup=" },
                { "Cgroup", "a.service", "no control group" },
                { "Cgroup", "/a/", "no control group" },
                { "Cgroup", "/a//b", "no control group" },
                { "Label", " ", "names nothing" },
                { "Observe", "maybe", "\"maybe\" is none of yes no" },
                { "Tenant", "a b", "no name of a tenant" },
                { "Tenant", "a/b", "no name of a tenant" },
                { "Tenant", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                  "no name of a tenant" },
                { "MaxLeases", "0", "no number of 1 to 1000000" },
                { "MaxLeases", "-1", "no number" },
                { "MaxLeases", "1 2", "no number" },
                { "RateLimit", "10", "no rate" },
                { "RateLimit", "10/", "no rate" },
                { "RateLimit", "/1s", "no number" },
                { "RateLimit", "0/1s", "no number" },
                { "RateLimit", "1/0", "its time span is nothing" },
                { "RateLimit", "1/1 year", "no time span" },
                { "Network", "quic",
                  "\"quic\" is none of tcp tcp4 tcp6 udp udp4 udp6 mptcp mptcp4 mptcp6 sctp sctp4 sctp6 udplite "
                  "udplite4 udplite6 unix unixgram unixpacket *" },
                { "Network", "TCP", "\"TCP\" is none of" },
                { "Network", "tcp foo", "\"foo\" is none of" },
                { "Network", ",", "names nothing" },
                { "Address", "localhost", "\"localhost\" is no address" },
                { "Address", "10.0.0.256", "no address" },
                { "Address", "10.0.0", "no address" },
                { "Address", "[::1]", "no address" },
                { "Address", "fe80::1%lo", "no address" },
                { "Address", "/8", "no address" },
                { "Address", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/8",
                  "no address" },
                { "Address", "10.0.0.0/33", "no prefix length of 10.0.0.0; give 0 to 32" },
                { "Address", "::/129", "no prefix length of ::; give 0 to 128" },
                { "Address", "10.0.0.0/", "no prefix length" },
                { "Address", "10.0.0.0/-1", "no prefix length" },
                { "Address", "10.0.0.0/8/8", "no prefix length" },
                { "Address", "10.0.0.1/8", "write 10.0.0.0/8, or 10.0.0.1 for that address" },
                { "Address", "192.168.1.255/25", "write 192.168.1.128/25" },
                { "Address", "1.2.3.4/0", "write 0.0.0.0/0" },
                { "Address", "fe80::1/10", "write fe80::/10, or fe80::1 for" },
                {
                        "Address",
                        "2001:db8::/31",
                        "",
                },
                { "Address", "2001:db9::/31", "write 2001:db8::/31" },
                { "Address", "::ffff:10.0.0.1", "IPv4 in IPv6 notation; write 10.0.0.1/32" },
                { "Address", "::ffff:10.0.0.0/104", "write 10.0.0.0/8" },
                { "Port", "http", "\"http\" is no port" },
                { "Port", "0", "no port" },
                { "Port", "0-80", "no port" },
                { "Port", "65536", "no port" },
                { "Port", "80-", "no port" },
                { "Port", "-80", "no port" },
                { "Port", "+80", "no port" },
                { "Port", "80-90-100", "no port" },
                { "Port", "90-80", "write 80-90" },
                { "Port", "80 # web", "\"#\" is no port" },
                { "NetworkNamespace", "a/b", "\"a/b\" is no network namespace: give a name" },
                { "NetworkNamespace", "..", "no network namespace" },
                { "NetworkNamespace", "/run/../*", "no network namespace" },
                { "NetworkNamespace", "/", "no network namespace" },
                { "NetworkNamespace", ",", "names nothing" },
                { "Path", "run/x", "no path" },
                { "Path", "/", "no path" },
                { "Path", "/run/", "no path" },
                { "Path", "/run//x", "no path" },
                { "Path", "/run/./x", "no path" },
                { "Path", "/run/../x", "no path" },
                { "Path", "/run/../*", "no path" },
                { "Path", "/run//*", "no path" },
                { "Path", "/run/app*", "no / before its *" },
                { "Path", "/run/*/x", "a * that is not at its end" },
                { "Path", "/run/**", "a * that is not at its end" },
                { "Path", "@", "name is missing" },
                { "Path", "@a*b", "not at its end" },
                { "Path", "x*", "no / before" },
                { "Path",
                  "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  "aaaaa"
                  "aaaaaaaaaaaaaaaaaa",
                  "longer than the 107 bytes" },
                { "Sharing", "Group", "\"Group\" is none of exclusive shared group *" },
                { "Sharing", ",", "names nothing" },
                { "Options", "freebind",
                  "none of mark transparent freeBind bindToDevice raw priority *" },
                { "Options", "backlog", "none of" },
                { "SocketUser", "no-such-user", "no user \"no-such-user\"" },
                { "SocketUser", "*", "no user \"*\"" },
                { "SocketUser", "0 1", "no user \"0 1\"" },
                { "SocketUser", "4294967295", "no user" },
                { "SocketGroup", "no-such-group", "no group \"no-such-group\"" },
                { "SocketGroup", "*", "no group \"*\"" },
                { "SocketMode", "0778", "\"0778\" is no file mode" },
                { "SocketMode", "01777", "octal number of 0 to 0777" },
                { "SocketMode", "-1", "no file mode" },
                { "SocketMode", "u=rw", "no file mode" },
                { "SocketMode", "*", "no file mode" },
                { "SocketMode", "0600 0660", "no file mode" },
                { "SocketMode", "77777777777777777777777777", "no file mode" },
                { "Allow", "maybe", "none of yes no true false on off 1 0" },
                { "Allow", "yes no", "none of" },
                { "Allow", "Yes", "none of" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(policy_freep) Policy *policy = policy_new();
                _cleanup_(freep) char *reason = NULL;
                Rule *rule;

                cr_assert(eq(int, policy_add_rule(policy, "r", "f", 1, &rule), 0));
                if (!*rows[i].reason) {
                        cr_assert(eq(int, rule_set(rule, rows[i].key, rows[i].value, &reason), 0));
                        continue;
                }
                cr_assert(eq(int, rule_set(rule, rows[i].key, rows[i].value, &reason),
                             RULE_E_VALUE_INVALID),
                          "%s=%s", rows[i].key, rows[i].value);
                cr_assert(not(eq(ptr, strstr(reason, rows[i].reason), NULL)), "%s=%s: %s", rows[i].key,
                          rows[i].value, reason);
        }
        leaks_expect_none();
}

Test(policy, unknown_keys_refused) {
        static const struct {
                const char *key, *reason;
        } rows[] = {
                { "port", "did you mean Port=?" }, { "ALLOW", "did you mean Allow=?" },
                { "Prot", "unknown key" },         { "", "unknown key" },
                { "socketmode", "SocketMode=?" },  { "User ", "unknown key" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(policy_freep) Policy *policy = policy_new();
                _cleanup_(freep) char *reason = NULL;
                Rule *rule;

                cr_assert(eq(int, policy_add_rule(policy, "r", "f", 1, &rule), 0));
                cr_assert(eq(int, rule_set(rule, rows[i].key, "1", &reason), RULE_E_KEY_UNKNOWN));
                cr_assert(not(eq(ptr, strstr(reason, rows[i].reason), NULL)), "%s: %s", rows[i].key,
                          reason);
        }
        leaks_expect_none();
}

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

/* Every criterion but the subject, as a granting and as a refusing rule. */
static const struct {
        const char *lines, *network, *address;
        bool grants, refuses;
} coverage[] = {
        /* Network= */
        { "Network=tcp4", "tcp6", "[::1]:80", false, false },
        { "Network=tcp4", "udp4", "127.0.0.1:80", false, false },
        { "Network=tcp4", "unix", "/run/x", false, false },
        { "Network=tcp6", "tcp4", "127.0.0.1:80", false, false },
        { "Network=udp", "tcp", ":80", false, false },
        { "Network=unix", "unixgram", "/run/x", false, false },
        { "Network=unixgram", "unixpacket", "/run/x", false, false },
        { "Network=tcp udp", "unix", "/run/x", false, false },
        { "Network=tcp\nNetwork=\nNetwork=udp", "tcp4", "127.0.0.1:80", false, false },
        { "Network=tcp4", "tcp4", "127.0.0.1:80", true, true },
        { "Network=tcp", "tcp4", "127.0.0.1:80", true, true },
        { "Network=tcp", "tcp6", "[::1]:80", true, true },
        { "Network=udp unix", "unix", "@x", true, true },
        { "Network=unixpacket", "unixpacket", "/run/x", true, true },
        { "Network=*", "udp6", "[::1]:80", true, true },
        { "Network=tcp\nNetwork=", "udp6", "[::1]:80", true, true },
        /* A dual-stack socket is IPv4 and IPv6: both have to be granted, either may be refused. */
        { "Network=tcp4", "tcp", ":80", false, true },
        { "Network=tcp6", "tcp", ":80", false, true },
        { "Network=tcp4 udp6", "tcp", ":80", false, true },
        { "Network=tcp6", "tcp6", ":80", true, true },
        { "Network=tcp4", "tcp6", ":80", false, false },
        { "Network=tcp4 tcp6", "tcp", ":80", true, true },
        { "Network=tcp", "tcp", ":80", true, true },
        { "Network=udp", "udp", ":80", true, true },
        /* Address= */
        { "Address=10.0.0.0/8", "tcp4", "11.0.0.1:80", false, false },
        { "Address=10.0.0.0/8", "tcp6", "[::1]:80", false, false },
        { "Address=10.1.0.0/17", "tcp4", "10.1.128.1:80", false, false },
        { "Address=127.0.0.1", "tcp4", "127.0.0.2:80", false, false },
        { "Address=::1", "tcp4", "127.0.0.1:80", false, false },
        { "Address=::/1", "tcp6", "[8000::1]:80", false, false },
        { "Address=0.0.0.0", "tcp4", "127.0.0.1:80", false, false },
        { "Address=::/0", "tcp4", "127.0.0.1:80", false, false },
        { "Address=10.0.0.0/8", "tcp4", "10.255.0.1:80", true, true },
        { "Address=10.1.0.0/17", "udp4", "10.1.127.1:80", true, true },
        { "Address=127.0.0.1", "tcp4", "127.0.0.1:80", true, true },
        { "Address=10.0.0.0/8 ::1", "tcp6", "[::1]:80", true, true },
        { "Address=fe80::/10", "udp6", "[fe80::1%1]:80", true, true },
        { "Address=0.0.0.0/0", "tcp4", "10.0.0.1:80", true, true },
        { "Address=::/0", "tcp6", "[2001:db8::1]:80", true, true },
        { "Address=*", "tcp4", "127.0.0.1:80", true, true },
        { "Address=10.0.0.0/8 *", "tcp6", "[::1]:80", true, true },
        /* A wildcard serves every address: only itself or all may grant it, any may refuse it. */
        { "Address=0.0.0.0/8", "tcp4", "0.0.0.0:80", false, true },
        { "Address=10.0.0.0/8", "tcp4", ":80", false, true },
        { "Address=::/64", "tcp6", ":80", false, true },
        { "Address=10.0.0.0/8", "tcp6", ":80", false, false },
        { "Address=0.0.0.0", "tcp6", ":80", false, false },
        { "Address=0.0.0.0/0", "tcp", ":80", false, true },
        { "Address=::/0", "tcp", ":80", false, true },
        { "Address=:: 10.0.0.0/8", "tcp", ":80", false, true },
        { "Network=tcp6\nAddress=0.0.0.0 ::", "tcp", ":80", false, true },
        { "Network=tcp6\nAddress=0.0.0.0", "tcp", ":80", false, false },
        { "Address=0.0.0.0", "tcp4", ":80", true, true },
        { "Address=0.0.0.0/0", "tcp4", ":80", true, true },
        { "Address=::", "tcp6", ":80", true, true },
        { "Address=::/0", "tcp6", ":80", true, true },
        { "Address=:: 0.0.0.0", "tcp", ":80", true, true },
        { "Address=::/0 0.0.0.0/0", "udp", ":80", true, true },
        { "Address=*", "tcp", ":80", true, true },
        /* IPv4 in IPv6 notation is IPv4. */
        { "Address=::/0", "mapped", "10.0.0.1", false, false },
        { "Network=tcp6", "mapped", "10.0.0.1", false, false },
        { "Address=10.0.0.0/8", "mapped", "0.0.0.0", false, true },
        { "Address=10.0.0.0/8", "mapped", "10.0.0.1", true, true },
        { "Network=tcp4\nAddress=0.0.0.0", "mapped", "0.0.0.0", true, true },
        /* Port= */
        { "Port=80", "tcp4", "127.0.0.1:81", false, false },
        { "Port=8000-8099", "tcp4", "127.0.0.1:7999", false, false },
        { "Port=8000-8099", "tcp4", "127.0.0.1:8100", false, false },
        { "Port=80", "tcp4", "127.0.0.1:0", false, false },
        { "Port=1-65535", "tcp4", "127.0.0.1:0", false, false },
        { "Port=80\nPort=\nPort=81", "tcp4", "127.0.0.1:80", false, false },
        { "Address=::1\nPort=80", "tcp4", "127.0.0.1:80", false, false },
        { "Port=80", "tcp4", "127.0.0.1:80", true, true },
        { "Port=80", "udp", ":80", true, true },
        { "Port=8000-8099", "tcp4", "127.0.0.1:8000", true, true },
        { "Port=8000-8099", "tcp4", "127.0.0.1:8099", true, true },
        { "Port=80,443\nPort=8000", "tcp4", "127.0.0.1:8000", true, true },
        { "Port=65535", "tcp4", "127.0.0.1:65535", true, true },
        { "Port=*", "tcp4", "127.0.0.1:0", true, true },
        /* Path= */
        { "Path=/run/x", "unix", "/run/y", false, false },
        { "Path=/run/x", "unix", "/run/x/y", false, false },
        { "Path=/run/x", "unix", "/run/xy", false, false },
        { "Path=/run/x", "unix", "@/run/x", false, false },
        { "Path=/run/app/*", "unix", "/run/app", false, false },
        { "Path=/run/app/*", "unix", "/run/apple/x", false, false },
        { "Path=/run/app/*", "unix", "@/run/app/x", false, false },
        { "Path=@web", "unix", "/web", false, false },
        { "Path=@web", "unix", "@web2", false, false },
        { "Path=@web*", "unix", "@we", false, false },
        { "Path=/*", "unix", "@web", false, false },
        { "Path=@*", "unix", "/web", false, false },
        { "Path=/run/x", "unix", "/run/x", true, true },
        { "Path=/run/app/*", "unix", "/run/app/x", true, true },
        { "Path=/run/app/*", "unixgram", "/run/app/deep/er", true, true },
        { "Path=/run/app/*", "unix", "/run/app/..x", true, true },
        { "Path=/*", "unix", "/x", true, true },
        { "Path=@web", "unix", "@web", true, true },
        { "Path=@web*", "unix", "@web", true, true },
        { "Path=@web*", "unix", "@web/1", true, true },
        { "Path=@*", "unix", "@x", true, true },
        { "Path=*", "unix", "/run/x", true, true },
        { "Path=*", "unix", "@x", true, true },
        /* A path with dots may be any: never granted by its name, always refused. */
        { "Path=/run/app/*", "unix", "/run/app/../x", false, true },
        { "Path=/run/app/*", "unix", "/run/app/./x", false, true },
        { "Path=/run/app/*", "unix", "/run/app//x", false, true },
        { "Path=/run/app/*", "unix", "/run/app/", false, true },
        { "Path=/run/app/*", "unix", "/run/app/x/..", false, true },
        { "Path=/run/x", "unix", "relative", false, true },
        { "Path=@x", "unix", "/run/./x", false, false },
        { "Path=*", "unix", "/run/../x", true, true },
        /* What the keys imply when Network= is absent or everything. */
        { "Port=80", "unix", "/run/x", false, false },
        { "Port=*", "unix", "/run/x", false, false },
        { "Address=*", "unix", "@x", false, false },
        { "Path=/run/x", "tcp4", "127.0.0.1:80", false, false },
        { "Path=*", "udp", ":80", false, false },
        { "Network=*\nPort=80", "unix", "/run/x", false, false },
        { "Network=*\nPath=*", "tcp", ":80", false, false },
        { "Port=80\nPath=/run/x", "tcp4", "127.0.0.1:81", false, false },
        { "Port=80\nPath=/run/x", "unix", "/run/y", false, false },
        { "Port=80\nPath=/run/x", "tcp4", "127.0.0.1:80", true, true },
        { "Port=80\nPath=/run/x", "unix", "/run/x", true, true },
        { "Network=tcp unix\nPort=80", "unix", "/run/x", true, true },
        { "Port=80\nPort=", "unix", "/run/x", true, true },
        { "", "unix", "@x", true, true },
        { "", "tcp", ":80", true, true },
        /* Sharing=; the request is for a group. */
        { "Sharing=exclusive", "tcp", ":80", false, false },
        { "Sharing=exclusive shared", "unix", "@x", false, false },
        { "Sharing=group", "tcp", ":80", true, true },
        { "Sharing=shared,group", "tcp", ":80", true, true },
        { "Sharing=*", "tcp", ":80", true, true },
        { "Sharing=shared\nSharing=", "tcp", ":80", true, true },
        /* Options= of a request that needs none. */
        { "Options=mark", "tcp", ":80", true, false },
        { "Options=*", "tcp", ":80", true, false },
        { "Options=*\nOptions=", "tcp", ":80", true, true },
};

Test(policy, coverage_of_granting_rules) {
        for (size_t i = 0; i < sizeof(coverage) / sizeof(*coverage); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(coverage[i].lines);
                Decided verdict;

                cr_assert(
                        eq(int, rule_set((Rule *)policy_find_rule(policy, "r"), "User", "*", NULL), 0));
                verdict = decide(policy, &nobody, coverage[i].network, coverage[i].address,
                                 SHARING_GROUP, 0);
                cr_assert(eq(int, verdict.allowed, coverage[i].grants), "%s: %s %s: %s",
                          coverage[i].lines, coverage[i].network, coverage[i].address, verdict.reason);
        }
        leaks_expect_none();
}

Test(policy, coverage_of_refusing_rules) {
        for (size_t i = 0; i < sizeof(coverage) / sizeof(*coverage); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(coverage[i].lines);
                Rule *rule = (Rule *)policy_find_rule(policy, "r");
                Decided verdict;

                cr_assert(eq(int, rule_set(rule, "User", "*", NULL), 0));
                cr_assert(eq(int, rule_set(rule, "Allow", "no", NULL), 0));
                add(policy, "all", "User=*\nOptions=*");
                verdict = decide(policy, &nobody, coverage[i].network, coverage[i].address,
                                 SHARING_GROUP, 0);
                cr_assert(eq(int, !verdict.allowed, coverage[i].refuses), "%s: %s %s: %s",
                          coverage[i].lines, coverage[i].network, coverage[i].address, verdict.reason);
                cr_assert(eq(str, (char *)rule_name(verdict.rule),
                             (char *)(coverage[i].refuses ? "r" : "all")));
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

Test(policy, allow_words) {
        static const struct {
                const char *word;
                bool allowed;
        } rows[] = {
                { "no", false },  { "false", false }, { "off", false }, { "0", false }, { "yes", true },
                { "true", true }, { "on", true },     { "1", true },    { "", true },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule("User=*\nAllow=no");

                cr_assert(
                        eq(int,
                           rule_set((Rule *)policy_find_rule(policy, "r"), "Allow", rows[i].word, NULL),
                           0));
                cr_assert(eq(int, decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0).allowed,
                             rows[i].allowed),
                          "%s", rows[i].word);
        }
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

Test(policy, reasons) {
        static const struct {
                const char *lines, *network, *address;
                unsigned rights;
                const char *reason;
        } rows[] = {
                { "User=60001\nPort=8080", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): its Port= does not cover 80" },
                { "User=60001\nSharing=shared\nAddress=::1", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): its Address= does not cover this address, its Sharing= does not cover "
                  "group" },
                { "User=60001\nNetwork=udp", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): its Network= does not cover tcp4" },
                { "User=60001\nPath=/run/x", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): it covers UNIX sockets only" },
                { "User=60001\nPort=80", "unix", "@x", 0,
                  "no rule gives uid 60001 unix @x (group); nearest: rule \"r\" (test.conf:1): it "
                  "covers IP sockets only" },
                { "User=60001\nPath=/run/x", "unix", "@x", 0,
                  "no rule gives uid 60001 unix @x (group); nearest: rule \"r\" (test.conf:1): its "
                  "Path= does not cover this path" },
                { "User=60001\nOptions=mark", "tcp4", "127.0.0.1:80",
                  POLICY_RIGHT_MARK | POLICY_RIGHT_RAW,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): its Options= does not give raw" },
                { "User=0", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): it is for other users and groups" },
                { "User=*\nAllow=no", "tcp4", "127.0.0.1:80", 0,
                  "rule \"r\" (test.conf:1) refuses uid 60001 tcp4 127.0.0.1:80 (group)" },
                { "Unit=a.service", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): it is for a unit, and whose this client is is not known" },
                { "Label=x\nPort=81", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): its Port= does not cover 80, it is for a security label, and this "
                  "client has none" },
                { "User=*\nObserve=yes", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); nearest: rule \"r\" "
                  "(test.conf:1): it only lets people look" },
                { "User=0\nAllow=no", "tcp4", "127.0.0.1:80", 0,
                  "no rule gives uid 60001 tcp4 127.0.0.1:80 (group); there is no rule that gives "
                  "anything" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(rows[i].lines);
                Decided verdict;

                verdict = decide(policy, &nobody, rows[i].network, rows[i].address, SHARING_GROUP,
                                 rows[i].rights);
                cr_assert(not(verdict.allowed));
                cr_assert(eq(str, verdict.reason, (char *)rows[i].reason));
        }
        leaks_expect_none();
}

Test(policy, nearest_rules_are_for_the_subject_the_least_wrong_first) {
        static const char *const names[] = { "near", "later", "far" };
        _cleanup_(policy_freep) Policy *policy = policy_new();
        const char *at;
        Decided decided;

        add(policy, "other", "User=0\nPort=80");
        add(policy, "far", "User=60001\nNetwork=udp\nPort=81\nSharing=shared");
        add(policy, "near", "User=60001\nNetwork=udp\nPort=80");
        add(policy, "refuses", "User=0\nAllow=no");
        add(policy, "later", "User=60001\nNetwork=udp\nPort=80\nSharing=exclusive");
        decided = decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0);
        at = decided.reason;
        for (size_t i = 0; i < 3; i++) {
                at = strstr(at, names[i]);
                cr_assert(ne(ptr, (void *)at, NULL), "%s", decided.reason);
        }
        cr_assert(eq(ptr, strstr(decided.reason, "other"), NULL));
        cr_assert(eq(ptr, strstr(decided.reason, "\"refuses\""), NULL));
}

/* What was given is explained too: by which rule, and why not by one before it. */
Test(policy, rules_that_were_passed_over) {
        _cleanup_(policy_freep) Policy *policy = policy_new();
        Decided decided;

        add(policy, "first", "User=60001\nPort=81\nTenant=web");
        add(policy, "no", "User=*\nPort=82\nAllow=no");
        add(policy, "gives", "User=*\nTenant=mail");
        add(policy, "after", "User=*");
        decided = decide(policy, &nobody, "tcp4", "127.0.0.1:80", SHARING_GROUP, 0);
        cr_assert(decided.allowed);
        cr_assert(eq(str, decided.reason,
                     (char *)"rule \"gives\" (test.conf:1) gives uid 60001 tcp4 127.0.0.1:80 (group); "
                             "passed over: rule \"first\" (test.conf:1): its Port= does not cover 80; "
                             "rule \"no\" (test.conf:1): its Port= does not cover 80"));
        cr_assert(eq(str, decided.tenant.name, (char *)"mail"));
        cr_assert(zero(int, (int)decided.tenant.uid));
        decided = decide(policy, &nobody, "tcp4", "127.0.0.1:82", SHARING_GROUP, 0);
        cr_assert(not(decided.allowed));
        cr_assert(eq(str, decided.reason,
                     (char *)"rule \"no\" (test.conf:1) refuses uid 60001 tcp4 127.0.0.1:82 (group); "
                             "passed over: rule \"first\" (test.conf:1): its Port= does not cover 82"));
}

Test(policy, longest_reason_is_cut_after_the_address) {
        char name[65], path[108];
        _cleanup_(policy_freep) Policy *policy = policy_new();
        Decided decided;

        memset(path, 'p', sizeof(path) - 1);
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        for (int i = 0; i < POLICY_NEAREST_MAX; i++) {
                name[0] = (char)('a' + i);
                add(policy, name,
                    "User=0\nUnit=a.service\nLabel=x\nNetwork=tcp\nPath=/x\nSharing=group");
        }
        decided = decide(policy, &nobody, "unixpacket", path, SHARING_EXCLUSIVE, POLICY_RIGHTS_ALL);
        cr_assert(eq(sz, strlen(decided.reason), POLICY_REASON_MAX - 1));
        cr_assert(not(eq(ptr, strstr(decided.reason, path), NULL)));
        name[0] = 'a';
        cr_assert(not(eq(ptr, strstr(decided.reason, name), NULL)));
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

Test(policy, names_are_looked_up) {
        static const PolicySubject root = {};
        _cleanup_(policy_freep) Policy *policy = one_rule("User=root");

        cr_assert(decide(policy, &root, "tcp", ":80", SHARING_GROUP, 0).allowed);
        cr_assert(not(decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0).allowed));
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
