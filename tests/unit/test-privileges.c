/* SPDX-License-Identifier: BSD-2-Clause */

/* What the process may do is asked of the kernel, not guessed. */

#include "daemon/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define START_PATH "/proc/sys/net/ipv4/ip_unprivileged_port_start"

static void set_port_start(const char *text) {
        _cleanup_(fd_closep) int fd = open(START_PATH, O_WRONLY | O_CLOEXEC);

        cr_assert(eq(int, (int)write(fd, text, strlen(text)), (int)strlen(text)));
}

static void set_bind_service(cap_flag_value_t value) {
        cap_t caps = cap_get_proc();
        const cap_value_t cap = CAP_NET_BIND_SERVICE;

        cr_assert(ne(ptr, caps, NULL));
        cr_assert(zero(int, cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, value)));
        cr_assert(zero(int, cap_set_proc(caps)));
        cap_free(caps);
}

static bool can_bind_port_1(void) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(1) };
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

TestSuite(privileges, .timeout = 10);

Test(privileges, low_ports_are_what_the_kernel_gives) {
        static const struct {
                cap_flag_value_t cap;
                const char *start;
                bool expected;
        } cases[] = {
                { CAP_CLEAR, "1024", false }, { CAP_CLEAR, "2", false }, { CAP_CLEAR, "1", true },
                { CAP_CLEAR, "0", true },     { CAP_SET, "1024", true }, { CAP_SET, "0", true },
        };
        int n_fds = leaks_count_fds();

        if (!kit_own_network())
                cr_skip_test("needs root, for a network namespace");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                set_port_start(cases[i].start);
                set_bind_service(cases[i].cap);
                cr_assert(eq(int, privileges_low_ports(), cases[i].expected), "%zu", i);
                cr_assert(eq(int, can_bind_port_1(), cases[i].expected), "%zu", i);
        }
        leaks_expect_fds(n_fds);
}

Test(privileges, the_soft_limit_becomes_the_hard_one) {
        struct rlimit before, after;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &before)));
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, before.rlim_max })));
        for (int i = 0; i < 2; i++) {
                size_t n = 0;

                cr_assert(zero(int, privileges_raise_limits(&n)));
                cr_assert(eq(sz, n, before.rlim_max == RLIM_INFINITY ? 0 : (size_t)before.rlim_max));
                cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &after)));
                cr_assert(eq(u64, (uint64_t)after.rlim_cur, (uint64_t)before.rlim_max));
                cr_assert(eq(u64, (uint64_t)after.rlim_max, (uint64_t)before.rlim_max));
        }
}

/* ---- CAP_BPF -------------------------------------------------------------------------------------- */

static bool has_bpf(cap_flag_t set) {
        cap_flag_value_t value = CAP_CLEAR;
        cap_t caps = cap_get_proc();

        cr_assert(ne(ptr, caps, NULL));
        cr_assert(zero(int, cap_get_flag(caps, CAP_BPF, set, &value)));
        cap_free(caps);
        return value == CAP_SET;
}

typedef struct Trial {
        bool works; /* without the capability */
        int n_tries;
} Trial;

static bool trial(void *userdata) {
        Trial *t = userdata;

        t->n_tries++;
        cr_assert(not(has_bpf(CAP_EFFECTIVE)));
        return t->works;
}

Test(privileges, bpf_is_kept_where_it_is_needed_again_and_again) {
        Trial t = { .works = false };

        if (!has_bpf(CAP_EFFECTIVE))
                cr_skip_test("no CAP_BPF to give up");
        cr_assert(eq(int, privileges_drop_bpf(trial, &t), PRIVILEGES_E_KEPT));
        cr_assert(eq(int, t.n_tries, 1));
        cr_assert(has_bpf(CAP_EFFECTIVE));
}

Test(privileges, bpf_is_given_up_for_good) {
        Trial t = { .works = true };

        if (!has_bpf(CAP_EFFECTIVE))
                cr_skip_test("no CAP_BPF to give up");
        cr_assert(zero(int, privileges_drop_bpf(trial, &t)));
        cr_assert(not(has_bpf(CAP_EFFECTIVE)));
        cr_assert(not(has_bpf(CAP_PERMITTED)));
        cr_assert(not(has_bpf(CAP_INHERITABLE)));
        /* Who has none is not asked whether it works without. */
        cr_assert(zero(int, privileges_drop_bpf(trial, &t)));
        cr_assert(eq(int, t.n_tries, 1));
}

/* ---- becoming another user, and giving up --------------------------------------------------------- */

static void require_root(void) {
        const CapabilitySet needed = CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID) |
                                     CAPABILITY(CAP_SETPCAP) | CAPABILITY(CAP_NET_BIND_SERVICE);

        if (geteuid() != 0 || (privileges_effective() & needed) != needed)
                cr_skip_test("needs root, with the capabilities to change its user");
}

Test(privileges, another_user_keeps_what_it_may) {
        uid_t uid[3];
        gid_t gid[3], group = 1;
        int signal = 0;
        CapabilitySet before;

        require_root();
        before = privileges_permitted();
        cr_assert(zero(int, setgroups(1, &group)));
        cr_assert(zero(int, prctl(PR_SET_PDEATHSIG, SIGTERM)));
        cr_assert(zero(int, privileges_become("nobody", KIT_OTHER_UID, KIT_OTHER_UID)));
        cr_assert(zero(int, getresuid(&uid[0], &uid[1], &uid[2])));
        cr_assert(zero(int, getresgid(&gid[0], &gid[1], &gid[2])));
        for (int i = 0; i < 3; i++) {
                cr_assert(eq(uint, uid[i], KIT_OTHER_UID));
                cr_assert(eq(uint, gid[i], KIT_OTHER_UID));
        }
        cr_assert(eq(int, getgroups(1, &group), 1));
        cr_assert(eq(uint, group, KIT_OTHER_UID));
        cr_assert(eq(u64, privileges_permitted(), before));
        cr_assert(zero(int, prctl(PR_GET_PDEATHSIG, &signal)));
        cr_assert(eq(int, signal, SIGTERM));
        cr_assert(zero(int, prctl(PR_GET_KEEPCAPS)));
}

/* In a process with one thread, as the broker is: of several, the C library changes all or aborts. */
Test(privileges, who_may_not_become_another_does_not) {
        int status;
        pid_t pid;

        require_root();
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0)
                _exit(privileges_use(0) == 0 &&
                      privileges_become("nobody", KIT_OTHER_UID, KIT_OTHER_UID) == -EPERM &&
                      getuid() == 0);
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(eq(int, status, W_EXITCODE(1, 0)));
}

/* In all sets, as user or as root; what is not there is not gained. */
Test(privileges, all_but_what_is_kept_is_given_up) {
        const CapabilitySet bind_service = CAPABILITY(CAP_NET_BIND_SERVICE);

        require_root();
        cr_assert(zero(int, privileges_become("nobody", KIT_OTHER_UID, KIT_OTHER_UID)));
        cr_assert(zero(int, privileges_keep(bind_service | CAPABILITY(CAP_LAST_CAP))));
        cr_assert(eq(u64, privileges_permitted() & ~CAPABILITY(CAP_LAST_CAP), bind_service));
        cr_assert(eq(u64, privileges_effective(), privileges_permitted()));
        for (unsigned long cap = 0; cap < CAP_LAST_CAP; cap++)
                cr_assert(eq(int, prctl(PR_CAPBSET_READ, cap), cap == CAP_NET_BIND_SERVICE));
        cr_assert(eq(int, setuid(0), -1));
        /* And once more, with less. */
        cr_assert(zero(int, privileges_keep(0)));
        cr_assert(zero(u64, privileges_permitted()));
        cr_assert(zero(int, privileges_keep(bind_service)));
        cr_assert(zero(u64, privileges_permitted()));
}

/* What a service manager gave as ambient is not passed on. */
Test(privileges, nothing_is_left_to_inherit) {
        cap_t caps;

        require_root();
        caps = cap_get_proc();
        cr_assert(zero(int, cap_set_flag(caps, CAP_INHERITABLE, 1,
                                         &(cap_value_t){ CAP_NET_BIND_SERVICE }, CAP_SET)));
        cr_assert(zero(int, cap_set_proc(caps)));
        cap_free(caps);
        cr_assert(zero(int, cap_set_ambient(CAP_NET_BIND_SERVICE, CAP_SET)));
        cr_assert(zero(int, privileges_keep(CAPABILITY(CAP_NET_BIND_SERVICE))));
        cr_assert(zero(int, cap_get_ambient(CAP_NET_BIND_SERVICE)));
        cr_assert(eq(u64, privileges_permitted(), CAPABILITY(CAP_NET_BIND_SERVICE)));
}
