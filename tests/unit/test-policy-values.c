/* SPDX-License-Identifier: BSD-2-Clause */

/* What a rule may say, and what is refused. */

#include "tests/unit/policy-kit.h"

TestSuite(policy_values, .timeout = 10);

Test(policy_values, values_refused) {
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
                  "\"quic\" is none of tcp tcp4 tcp6 udp udp4 udp6 mptcp mptcp4 mptcp6 sctp sctp4 sctp6 "
                  "udplite "
                  "udplite4 udplite6 ip ip4 ip6 vsock unix unixgram unixpacket *" },
                { "Network", "ip:", "\"\" is no protocol of IP" },
                { "Network", "ip4:icmpx", "\"icmpx\" is no protocol of IP; give a number of 0 to 254" },
                { "Network", "ip4:256", "no protocol of IP" },
                { "Network", "ip:255", "\"255\" is no protocol of IP" },
                { "Network", "ip5:1", "\"ip5:1\" is none of" },
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
                { "Port", "4294967295", "no port" },
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

Test(policy_values, unknown_keys_refused) {
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

Test(policy_values, allow_words) {
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

Test(policy_values, names_are_looked_up) {
        static const PolicySubject root = {};
        _cleanup_(policy_freep) Policy *policy = one_rule("User=root");

        cr_assert(decide(policy, &root, "tcp", ":80", SHARING_GROUP, 0).allowed);
        cr_assert(not(decide(policy, &nobody, "tcp", ":80", SHARING_GROUP, 0).allowed));
}
