/* SPDX-License-Identifier: BSD-2-Clause */

/* The words of a refusal. */

#include "tests/unit/policy-kit.h"

TestSuite(policy_reasons, .timeout = 10);

#define TCP "tcp4 127.0.0.1:80 (group)"
#define NOTHING_GIVES(socket) "no rule gives uid 60001 " socket "; "
#define NEAREST(socket) NOTHING_GIVES(socket) "nearest: rule \"r\" (test.conf:1): "

Test(policy_reasons, reasons) {
        static const struct {
                const char *lines, *network, *address;
                unsigned rights;
                const char *reason;
        } rows[] = {
                { "User=60001\nPort=8080", "tcp4", "127.0.0.1:80", 0,
                  NEAREST(TCP) "its Port= does not cover 80" },
                { "User=60001\nSharing=shared\nAddress=::1", "tcp4", "127.0.0.1:80", 0,
                  NEAREST(TCP) "its Address= does not cover this address, its Sharing= does not cover "
                               "group" },
                { "User=60001\nNetwork=udp", "tcp4", "127.0.0.1:80", 0,
                  NEAREST(TCP) "its Network= does not cover tcp4" },
                { "User=60001\nPath=/run/x", "tcp4", "127.0.0.1:80", 0,
                  NEAREST(TCP) "it covers UNIX sockets only" },
                { "User=60001\nPort=80", "unix", "@x", 0,
                  NEAREST("unix @x (group)") "it covers IP sockets only" },
                { "User=60001\nPath=/run/x", "unix", "@x", 0,
                  NEAREST("unix @x (group)") "its Path= does not cover this path" },
                { "User=60001\nOptions=mark", "tcp4", "127.0.0.1:80",
                  POLICY_RIGHT_MARK | POLICY_RIGHT_RAW, NEAREST(TCP) "its Options= does not give raw" },
                { "User=0", "tcp4", "127.0.0.1:80", 0, NEAREST(TCP) "it is for other users and groups" },
                { "User=*\nAllow=no", "tcp4", "127.0.0.1:80", 0,
                  "rule \"r\" (test.conf:1) refuses uid 60001 " TCP },
                { "Unit=a.service", "tcp4", "127.0.0.1:80", 0,
                  NEAREST(TCP) "it is for a unit, and whose this client is is not known" },
                { "Label=x\nPort=81", "tcp4", "127.0.0.1:80", 0,
                  NEAREST(TCP) "its Port= does not cover 80, it is for a security label, and this "
                               "client has none" },
                { "User=*\nObserve=yes", "tcp4", "127.0.0.1:80", 0,
                  NEAREST(TCP) "it only lets people look" },
                { "User=0\nAllow=no", "tcp4", "127.0.0.1:80", 0,
                  NOTHING_GIVES(TCP) "there is no rule that gives anything" },
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

Test(policy_reasons, nearest_rules_are_for_the_subject_the_least_wrong_first) {
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
Test(policy_reasons, rules_that_were_passed_over) {
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

Test(policy_reasons, longest_reason_is_cut_after_the_address) {
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
