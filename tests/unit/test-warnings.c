/* SPDX-License-Identifier: BSD-2-Clause */

/* A broker that lacks nothing warns of nothing; each lack has its words, and none is told twice. */

#include "daemon/warnings.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "daemon/rule.h"
#include "daemon/services.h"
#include "tests/unit/leaks.h"

static Config config = { .from_files = true };

/* Of a broker that lacks nothing. Steering is only asked whether it is there. */
static Services complete(void) {
        return (Services){
                .config = &config,
                .privileged_ports = true,
                .peer_pidfd = true,
                .steering = (Steering *)&config,
                .confinement = { .keeps = CAPABILITY(CAP_CHOWN), .filtered = true },
        };
}

/* There is one warning, with @text in it. */
static void expect_one(Services *services, const char *text) {
        warnings_gather(services);
        cr_assert(eq(sz, services->warnings.n, 1), "%s", text);
        cr_assert(strstr(services->warnings.items[0], text) != NULL, "%s", services->warnings.items[0]);
        warnings_deinit(&services->warnings);
}

TestSuite(warnings, .timeout = 10);

Test(warnings, none_where_nothing_is_missing) {
        Services services = complete();

        warnings_gather(&services);
        cr_assert(zero(sz, services.warnings.n));
        warnings_deinit(&services.warnings);
        warnings_deinit(&services.warnings);
        leaks_expect_none();
}

Test(warnings, one_for_each_lack) {
        Config none = { .from_files = false };
        Services services;

        services = complete();
        services.config = &none;
        expect_one(&services, "no configuration");
        services = complete();
        services.privileged_ports = false;
        expect_one(&services, "no CAP_NET_BIND_SERVICE");
        services = complete();
        services.confinement.stays_root = "for a reason";
        expect_one(&services, "the broker runs as root: for a reason");
        services = complete();
        services.confinement.asked = 1;
        expect_one(&services, "User= has changed");
        services = complete();
        services.confinement.filtered = false;
        services.confinement.no_filter = "for a reason";
        expect_one(&services, "no filter of system calls (seccomp): for a reason");
        services = complete();
        services.confinement.keeps = 0;
        expect_one(&services, "no CAP_CHOWN");
        services = complete();
        services.rights_refused = POLICY_RIGHT_MARK | POLICY_RIGHT_TRANSPARENT;
        expect_one(&services, "no CAP_NET_RAW (before Linux 5.17, CAP_NET_ADMIN): rules give mark, "
                              "transparent, which cannot be set");
        services.confinement.given_up = CAPABILITY(CAP_NET_RAW);
        expect_one(&services, "restart the broker");
        services = complete();
        services.gives_raw_ip = true;
        expect_one(&services, "no CAP_NET_RAW: rules give raw IP, of which no socket can be made");
        services.confinement.given_up = CAPABILITY(CAP_NET_RAW);
        expect_one(&services, "rules give raw IP since the broker gave up what it takes: restart");
        /* For an option it was kept, and the filter stays. */
        services.confinement.given_up = 0;
        services.confinement.keeps |= CAPABILITY(CAP_NET_RAW);
        expect_one(&services, "rules give raw IP since the broker gave up what it takes: restart");
        services.confinement.makes_raw_ip = true;
        warnings_gather(&services);
        cr_assert(zero(sz, services.warnings.n));
        warnings_deinit(&services.warnings);
        services = complete();
        services.namespaces.no_helper = "for a reason";
        services.gives_namespaces = true;
        expect_one(&services, "rules have NetworkNamespace=, and none can be entered: for a reason");
        services.namespaces.no_helper = NULL;
        expect_one(&services, "NetworkNamespace= since the broker gave up what it takes: restart");
        services = complete();
        services.steering = NULL;
        services.no_steering = "for a reason";
        expect_one(&services, "no steering (for a reason)");
        services = complete();
        services.bpf_kept = true;
        expect_one(&services, "CAP_BPF is kept");
        services = complete();
        services.peer_pidfd = false;
        expect_one(&services, "no SO_PEERPIDFD (Linux 6.5): processes are told apart");
        services.no_processes = true;
        expect_one(&services, "no lease of lifetime \"process\" can be given");
        /* Where the kernel has it, nobody has to look there. */
        services = complete();
        services.no_processes = true;
        warnings_gather(&services);
        cr_assert(zero(sz, services.warnings.n));
        warnings_deinit(&services.warnings);
        services = complete();
        services.reload_error = (char *)"FILE:1: what is wrong";
        expect_one(&services, "the configuration was not reloaded: FILE:1: what is wrong");
        leaks_expect_none();
}

/* To a broker of one user's own, whose sockets are all its own, nobody's socket must be given. */
Test(warnings, no_capability_is_missed_without_a_use) {
        Config none = { .from_files = false };
        Services services = complete();

        services.config = &none;
        services.confinement.keeps = 0;
        expect_one(&services, "no configuration");
        leaks_expect_none();
}

Test(warnings, gathered_again_they_are_no_more) {
        Config none = { .from_files = false };
        Services services = { .config = &none, .no_steering = "for a reason" };

        services.confinement.no_filter = "for a reason";
        warnings_gather(&services);
        cr_assert(eq(sz, services.warnings.n, 5));
        warnings_gather(&services);
        cr_assert(eq(sz, services.warnings.n, 5));
        warnings_log(&services.warnings);
        warnings_deinit(&services.warnings);
        leaks_expect_none();
}
