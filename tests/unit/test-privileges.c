/* SPDX-License-Identifier: BSD-2-Clause */

/* What the process may do is asked of the kernel, not guessed. */

#include "daemon/privileges.h"

#include <fcntl.h>
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
                cr_assert(zero(int, privileges_raise_limits()));
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
