/* SPDX-License-Identifier: BSD-2-Clause */

/* Configuration files: what they set, and what later files change. */

#include "tests/unit/config-kit.h"

TestSuite(config, .init = setup, .fini = cleanup, .timeout = 60);

/* Some editors put it before the first byte. */
Test(config, byte_order_mark) {
        write_main("\xef\xbb\xbf[Rule a]\nUser=*\n");
        config_free(load());
        write_main("\xef\xbb\xbf# comment\n[Rule a]\nUser=*\n");
        config_free(load());
        write_main("[Rule a]\n\xef\xbb\xbfUser=*\n");
        expect_refusal("main.conf", "2: ", "unknown key");
}

Test(config, without_files_the_own_user_alone) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(freep) char *reason = NULL;

        cr_assert(zero(int, config_load_from(main_file, "/nonexistent", false, 1000, &config, &reason)));
        cr_assert(not(config->from_files));
        cr_assert(not(allows(config, 0, "tcp", ":80")));
        cr_assert(not(allows(config, 1001, "tcp", ":80")));
        cr_assert(allows(config, 1000, "tcp", ":80"));
        cr_assert(allows(config, 1000, "unix", "@x"));
        leaks_expect_none();
}

Test(config, own_only_reads_nothing) {
        _cleanup_(config_freep) Config *config = NULL, *named = NULL;
        _cleanup_(freep) char *reason = NULL;

        cr_assert(zero(int, config_load(NULL, true, 1000, &config, &reason)));
        cr_assert(not(config->from_files));
        cr_assert(allows(config, 1000, "tcp", ":80"));

        write_main("[Rule x]\nUser=1001\n");
        cr_assert(zero(int, config_load(main_file, true, 1000, &named, &reason)));
        cr_assert(named->from_files);
        cr_assert(not(allows(named, 1000, "tcp", ":80")));
        cr_assert(allows(named, 1001, "tcp", ":80"));
}

Test(config, an_empty_file_gives_nobody_anything) {
        _cleanup_(config_freep) Config *config = NULL;

        write_main("");
        config = load();
        cr_assert(config->from_files);
        cr_assert(not(allows(config, 1000, "tcp", ":80")));
        cr_assert(not(allows(config, 0, "tcp", ":80")));
        cr_assert(eq(uint, config->socket_mode, CONFIG_SOCKET_MODE));
        cr_assert(eq(uint, config->socket_group, (gid_t)-1));
        cr_assert(eq(u64, config->retain_usec, CONFIG_RETAIN_SEC * UINT64_C(1000000)));
        cr_assert(eq(sz, config->max_connections, CONFIG_MAX_CONNECTIONS));
        cr_assert(eq(sz, config->max_connections_per_user, CONFIG_MAX_CONNECTIONS_PER_USER));
        cr_assert(eq(sz, config->max_leases_per_user, CONFIG_MAX_LEASES_PER_USER));
}

Test(config, hidden_and_other_files_are_skipped) {
        _cleanup_(config_freep) Config *config = NULL;

        write_drop_in(".10-hidden.conf", "error\n");
        write_drop_in("10-backup.conf~", "error\n");
        write_drop_in("README", "error\n");
        write_drop_in("conf", "error\n");
        write_drop_in("10.conf.dpkg-new", "error\n");
        config = load();
        cr_assert(not(config->from_files));
}

Test(config, later_files_override) {
        _cleanup_(config_freep) Config *config = NULL;

        write_main("[Broker]\nMaxConnections=1\nMaxLeasesPerUser=1\nMaxConnectionsPerUser=1\nRetainSec="
                   "1\n");
        write_drop_in("b.conf", "[Broker]\nMaxConnections=4\nRetainSec=\nUser=\n");
        write_drop_in("B.conf", "[Broker]\nMaxConnections=3\n[Broker]\nMaxLeasesPerUser=3\n");
        write_drop_in("10.conf", "[Broker]\nMaxConnections=2\nMaxLeasesPerUser=2\nUser=0\n");
        config = load();
        cr_assert(eq(sz, config->max_connections, 4));
        cr_assert(eq(sz, config->max_leases_per_user, 3));
        cr_assert(eq(sz, config->max_connections_per_user, 1));
        cr_assert(eq(u64, config->retain_usec, CONFIG_RETAIN_SEC * UINT64_C(1000000)));
        cr_assert(eq(uint, config->user, (uid_t)-1));
}

Test(config, rules_are_tried_in_the_order_of_files) {
        _cleanup_(config_freep) Config *config = NULL;

        write_drop_in("20.conf", "[Rule late]\nUser=*\nPort=80-90\n");
        write_drop_in("10.conf", "[Rule early]\nUser=1000\nPort=81\nAllow=no\n");
        write_main("[Rule main]\nUser=1000\nPort=82\n[Rule second]\nUser=*\nPort=82\nAllow=no\n");
        config = load();
        cr_assert(not(allows(config, 1000, "tcp", ":81")));
        cr_assert(not(allows(config, 1001, "tcp", ":82")));
        cr_assert(allows(config, 1001, "tcp", ":81"));
        cr_assert(allows(config, 1000, "tcp", ":82"));
        leaks_expect_none();
}

Test(config, values_are_read) {
        _cleanup_(config_freep) Config *config = NULL;

        write_main("  [Broker]  ; with a comment\r\n"
                   "\tSocketMode = 0660 ; inline\n"
                   "SocketGroup=0\n"
                   "User=root\n"
                   "  # comment\n"
                   "MaxConnections=1000000\n"
                   "MaxConnectionsPerUser=1\n"
                   "MaxLeasesPerUser=7\n"
                   "RetainSec=1min 30s\n"
                   "[Rule " NAME64 "]# x\n"
                   "User=60001\n"
                   "User=60002\n"
                   "  Port=80\n"
                   "[Rule last]\n"
                   "User=60003");
        config = load();
        cr_assert(eq(uint, config->socket_mode, 0660));
        cr_assert(eq(uint, config->socket_group, 0));
        cr_assert(zero(uint, config->user));
        cr_assert(eq(sz, config->max_connections, 1000000));
        cr_assert(eq(sz, config->max_connections_per_user, 1));
        cr_assert(eq(sz, config->max_leases_per_user, 7));
        cr_assert(eq(u64, config->retain_usec, 90 * UINT64_C(1000000)));
        cr_assert(not(allows(config, 60001, "tcp", ":81")));
        cr_assert(allows(config, 60001, "tcp", ":80"));
        cr_assert(allows(config, 60002, "tcp", ":80"));
        cr_assert(allows(config, 60003, "unix", "@x"));
        cr_assert(ne(ptr, (void *)policy_find_rule(config->policy, NAME64), NULL));
}

Test(config, time_spans) {
        static const struct {
                const char *value;
                uint64_t usec;
        } rows[] = {
                { "0", 0 },
                { "10", 10000000 },
                { "10s", 10000000 },
                { "10 sec", 10000000 },
                { "500ms", 500000 },
                { "7us", 7 },
                { "5min", 300000000 },
                { "5m", 300000000 },
                { "1h", UINT64_C(3600000000) },
                { "2hr", UINT64_C(7200000000) },
                { "1h2min3s4ms5us", UINT64_C(3723004005) },
                { "1h  2 min", UINT64_C(3720000000) },
                { "24h", RETAIN_SEC_MAX * UINT64_C(1000000) },
                { "86400", RETAIN_SEC_MAX * UINT64_C(1000000) },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                _cleanup_(config_freep) Config *config = NULL;
                char text[128];

                snprintf(text, sizeof(text), "[Broker]\nRetainSec=%s\n", rows[i].value);
                write_main(text);
                config = load();
                cr_assert(eq(u64, config->retain_usec, rows[i].usec), "%s", rows[i].value);
        }
}

/* Where the tests run from elsewhere, $SOURCE_ROOT says where the sample is. */
Test(config, sample_loads) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(freep) char *reason = NULL;
        const char *root = getenv("SOURCE_ROOT") ?: ".";
        char path[4096];

        snprintf(path, sizeof(path), "%s/contrib/reuseportd.conf", root);
        if (access(path, R_OK) < 0)
                cr_skip_test("the sample is not here; set SOURCE_ROOT");
        cr_assert(zero(int, config_load(path, false, 1000, &config, &reason)), "%s", reason);
        cr_assert(not(allows(config, 0, "tcp", ":80")));
        cr_assert(not(allows(config, 1000, "unix", "/run/x")));
        cr_assert(allows(config, 1000, "tcp", ":8080"));
        cr_assert(eq(uint, config->socket_mode, CONFIG_SOCKET_MODE));
}
