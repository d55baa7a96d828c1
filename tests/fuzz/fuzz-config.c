/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Any bytes as the configuration file. It is taken whole or refused with a line and a reason; by what is
 * taken, any request can be judged, and every time in the same way. Names of users and groups are looked
 * up in a table, not on the host.
 */

#include "daemon/config.h"

#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/policy.h"
#include "tests/fuzz/fuzz.h"

enum {
        OWN_UID = 999,
};

struct passwd *__wrap_getpwnam(const char *name);
struct group *__wrap_getgrnam(const char *name);

struct passwd *__wrap_getpwnam(const char *name) {
        static struct passwd root = { .pw_uid = 0 }, www = { .pw_uid = 33, .pw_gid = 33 };

        return strcmp(name, "root") == 0 ? &root : strcmp(name, "www-data") == 0 ? &www : NULL;
}

struct group *__wrap_getgrnam(const char *name) {
        static struct group root = { .gr_gid = 0 }, www = { .gr_gid = 33 };

        return strcmp(name, "root") == 0 ? &root : strcmp(name, "www-data") == 0 ? &www : NULL;
}

static const char *const requests[][2] = {
        { "tcp", ":80" },           { "tcp4", "127.0.0.1:0" },    { "tcp6", "[::1]:65535" },
        { "udp4", "224.0.0.1:53" }, { "udp6", "[fe80::1%1]:53" }, { "unix", "/run/web/socket" },
        { "unixgram", "@web" },
};

static void expect_verdict(const Policy *policy, const Address *address, uid_t uid) {
        gid_t groups[] = { 33, 100 };
        PolicyQuery query = {
                .subject = &(PolicySubject){ .uid = uid,
                                             .gid = uid,
                                             .groups = groups,
                                             .n_groups = 2,
                                             .cgroup = "/system.slice/a.service",
                                             .label = "x:y" },
                .address = address,
                .sharing = SHARING_GROUP,
        };
        PolicyVerdict first, second;
        char reason[POLICY_REASON_MAX];

        policy_decide(policy, &query, &first);
        policy_decide(policy, &query, &second);
        fuzz_expect(first.allowed == second.allowed && first.rule == second.rule);
        policy_explain(policy, &query, &first, reason);
        fuzz_expect(reason[0] != '\0' && strlen(reason) < sizeof(reason));
        fuzz_expect(!first.allowed || first.rule);
}

static void expect_verdicts(const Policy *policy) {
        static const uid_t uids[] = { 0, 33, 1000, OWN_UID };
        const AddressFamilies families = { .ipv4 = true, .ipv6 = true, .mapped = true };
        const char *reason;
        Address address;

        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                fuzz_expect(address_parse(requests[i][0], requests[i][1], &families, &address,
                                          &reason) == 0);
                for (size_t j = 0; j < sizeof(uids) / sizeof(uids[0]); j++)
                        expect_verdict(policy, &address, uids[j]);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int n_fds = fuzz_count_fds(), fd = memfd_create("fuzz-config", MFD_CLOEXEC), r;
        Config *config = NULL;
        char *reason = NULL;
        char path[32];

        fuzz_expect(fd >= 0 && write(fd, data, size) == (ssize_t)size);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        r = config_load_from(path, NULL, true, OWN_UID, &config, &reason);
        fuzz_expect(r == 0 || r == CONFIG_E_INVALID);
        if (r == 0) {
                fuzz_expect(config->from_files && !reason);
                expect_verdicts(config->policy);
        } else {
                fuzz_expect(!config && strncmp(reason, path, strlen(path)) == 0);
        }
        config_free(config);
        free(reason);
        close(fd);
        fuzz_expect(fuzz_count_fds() == n_fds);
        return 0;
}
