/* SPDX-License-Identifier: BSD-2-Clause */

/* What a rule covers, criterion by criterion. */

#include "tests/unit/policy-kit.h"

TestSuite(policy_coverage, .timeout = 10);

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
        /* Raw IP is given by name alone, and refused with everything else. */
        { "Network=*", "ip4:1", "127.0.0.1", false, true },
        { "Sharing=*", "ip4:1", "127.0.0.1", false, true },
        { "Address=127.0.0.1", "ip4:1", "127.0.0.1", false, true },
        { "Address=127.0.0.2", "ip4:1", "127.0.0.1", false, false },
        { "Port=*", "ip4:1", "127.0.0.1", false, true },
        { "Port=1-65535", "ip4:1", "127.0.0.1", false, false },
        { "Path=*", "ip4:1", "127.0.0.1", false, false },
        { "Network=tcp udp", "ip4:6", "127.0.0.1", false, false },
        { "Network=ip6", "ip4:1", "127.0.0.1", false, false },
        { "Network=ip4:2", "ip4:1", "127.0.0.1", false, false },
        { "Network=ip6:icmp", "ip4:1", "127.0.0.1", false, false },
        { "Network=ip4\nPort=80", "ip4:1", "127.0.0.1", false, false },
        { "Network=ip4\nAddress=10.0.0.0/8", "ip4:1", "127.0.0.1", false, false },
        { "Network=ip4\nAddress=10.0.0.0/8", "ip4:1", "", false, true },
        { "Network=ip4", "tcp4", "127.0.0.1:80", false, false },
        { "Network=ip", "udp4", "127.0.0.1:80", false, false },
        { "Network=ip4:icmp", "udp4", "127.0.0.1:80", false, false },
        { "Network=ip4:icmp\nNetwork=\nNetwork=ip4:igmp", "ip4:1", "127.0.0.1", false, false },
        { "Network=ip", "ip4:1", "127.0.0.1", true, true },
        { "Network=ip", "ip6:58", "::1", true, true },
        { "Network=ip4", "ip4:254", "", true, true },
        { "Network=ip4:icmp", "ip4:1", "127.0.0.1", true, true },
        { "Network=ip4:1 ip6:ipv6-icmp", "ip6:58", "", true, true },
        { "Network=ip:OSPF", "ip4:89", "10.0.0.1", true, true },
        { "Network=ip:OSPF", "ip6:89", "::1", true, true },
        { "Network=* ip4:icmp", "ip4:1", "127.0.0.1", true, true },
        { "Network=* ip4:icmp\nPort=*", "ip4:1", "127.0.0.1", true, true },
        { "Network=* ip4:icmp", "tcp4", "127.0.0.1:80", true, true },
        { "Network=* ip4:icmp\nPort=80", "tcp4", "127.0.0.1:80", true, true },
        { "Network=* ip4:icmp\nPort=80", "unix", "@x", false, false },
        { "Network=tcp ip4:icmp", "tcp4", "127.0.0.1:80", true, true },
        { "Network=ip4\nAddress=127.0.0.0/8", "ip4:1", "127.0.0.1", true, true },
        /* Addresses are of IP; ports are of vsock, too, where it is named. */
        { "Network=tcp unix", "vsock", ":80", false, false },
        { "Network=vsock", "tcp4", "127.0.0.1:80", false, false },
        { "Network=vsock\nPort=80", "vsock", ":81", false, false },
        { "Network=vsock\nPort=80", "vsock", ":65616", false, false },
        { "Port=80", "vsock", ":80", false, true },
        { "Port=1-1023", "vsock", "2:80", false, true },
        { "Port=1-1023", "vsock", ":1024", false, false },
        { "Port=1-1023", "vsock", ":", false, false },
        { "Port=1-1024", "vsock", ":", false, true },
        { "Port=80\nAddress=127.0.0.1", "vsock", ":80", false, false },
        { "Network=*\nPort=80", "vsock", ":80", false, true },
        { "Address=*", "vsock", ":80", false, false },
        { "Path=*", "vsock", ":80", false, false },
        { "Network=vsock", "vsock", ":80", true, true },
        { "Network=vsock", "vsock", "2:", true, true },
        { "Network=*", "vsock", ":80", true, true },
        { "Sharing=*", "vsock", ":80", true, true },
        { "Network=vsock\nAddress=10.0.0.0/8", "vsock", "2:80", true, true },
        { "Network=tcp vsock\nPort=80", "vsock", "2:80", true, true },
        { "Network=vsock\nPort=70000-4294967294", "vsock", ":4294967294", true, true },
        { "Network=vsock\nPort=*", "vsock", ":", true, true },
        /* Which one the kernel takes nobody knows. */
        { "Network=vsock\nPort=80", "vsock", ":", false, false },
        { "Network=vsock\nPort=80 2000", "vsock", ":", false, true },
        { "Network=vsock\nPort=1-4294967294", "vsock", ":", false, true },
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

Test(policy_coverage, coverage_of_granting_rules) {
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

Test(policy_coverage, coverage_of_refusing_rules) {
        for (size_t i = 0; i < sizeof(coverage) / sizeof(*coverage); i++) {
                _cleanup_(policy_freep) Policy *policy = one_rule(coverage[i].lines);
                Rule *rule = (Rule *)policy_find_rule(policy, "r");
                Decided verdict;

                cr_assert(eq(int, rule_set(rule, "User", "*", NULL), 0));
                cr_assert(eq(int, rule_set(rule, "Allow", "no", NULL), 0));
                add(policy, "all", "User=*\nNetwork=* ip\nOptions=*");
                verdict = decide(policy, &nobody, coverage[i].network, coverage[i].address,
                                 SHARING_GROUP, 0);
                cr_assert(eq(int, !verdict.allowed, coverage[i].refuses), "%s: %s %s: %s",
                          coverage[i].lines, coverage[i].network, coverage[i].address, verdict.reason);
                cr_assert(eq(str, (char *)rule_name(verdict.rule),
                             (char *)(coverage[i].refuses ? "r" : "all")));
        }
        leaks_expect_none();
}
