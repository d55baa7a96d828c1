/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What each right takes is asked of the kernel that is here, and of one that is made up: a broker on an
 * older one needs more. Needs root.
 */

#include "daemon/right-trial.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/rule.h"
#include "tests/unit/leaks.h"

#define RAW CAPABILITY(CAP_NET_RAW)
#define ADMIN CAPABILITY(CAP_NET_ADMIN)

static const unsigned taking[] = { POLICY_RIGHT_MARK, POLICY_RIGHT_TRANSPARENT,
                                   POLICY_RIGHT_BIND_TO_DEVICE, POLICY_RIGHT_PRIORITY };

/* In front of the C library's: a kernel before 5.17, to which a mark takes CAP_NET_ADMIN. */
static bool old_kernel;

int setsockopt(int fd, int level, int optname, const void *value, socklen_t size) {
        if (old_kernel && level == SOL_SOCKET && optname == SO_MARK &&
            !(privileges_effective() & ADMIN)) {
                errno = EPERM;
                return -1;
        }
        return (int)syscall(SYS_setsockopt, fd, level, optname, value, size);
}

static void require_network_capabilities(void) {
        if ((privileges_effective() & (RAW | ADMIN)) != (RAW | ADMIN))
                cr_skip_test("needs CAP_NET_RAW and CAP_NET_ADMIN, to do without them");
}

static CapabilitySet needs(unsigned rights) {
        CapabilitySet before = privileges_effective(), set;

        cr_assert(zero(int, right_trial_needs(rights, &set)));
        cr_assert(eq(u64, privileges_effective(), before));
        return set;
}

TestSuite(right_trial, .timeout = 10);

Test(right_trial, refused_without_capabilities) {
        int n_fds = leaks_count_fds();

        require_network_capabilities();
        cr_assert(zero(uint, right_trial_refused(POLICY_RIGHTS_ALL)));
        cr_assert(zero(int, privileges_use(0)));
        for (size_t i = 0; i < sizeof(taking) / sizeof(*taking); i++)
                cr_assert(eq(uint, right_trial_refused(taking[i]), taking[i]), "%zu", i);
        /* What "raw" could do by number. */
        cr_assert(
                eq(uint, right_trial_refused(POLICY_RIGHT_RAW), right_trial_refused(POLICY_RIGHTS_ALL)));
        cr_assert(zero(uint, right_trial_refused(POLICY_RIGHT_FREE_BIND)));
        cr_assert(zero(uint, right_trial_refused(0)));
        /* Who has none needs none. */
        cr_assert(zero(u64, needs(POLICY_RIGHTS_ALL)));
        leaks_expect_fds(n_fds);
}

/* With what is needed all is had, and with less it is not. */
Test(right_trial, the_least_that_serves) {
        CapabilitySet all, set;

        require_network_capabilities();
        all = privileges_effective();
        for (size_t i = 0; i < sizeof(taking) / sizeof(*taking); i++) {
                set = needs(taking[i]);
                cr_assert(set == RAW || set == ADMIN, "%zu", i);
                cr_assert(zero(int, privileges_use(set)));
                cr_assert(zero(uint, right_trial_refused(taking[i])));
                cr_assert(zero(int, privileges_use(all & ~(RAW | ADMIN))));
                cr_assert(eq(uint, right_trial_refused(taking[i]), taking[i]));
                cr_assert(zero(int, privileges_use(all)));
        }
        cr_assert(zero(u64, needs(0)));
        cr_assert(zero(u64, needs(POLICY_RIGHT_FREE_BIND)));
        cr_assert(eq(u64, needs(POLICY_RIGHT_BIND_TO_DEVICE), RAW));
}

Test(right_trial, an_older_kernel_takes_more) {
        require_network_capabilities();
        old_kernel = true;
        cr_assert(eq(u64, needs(POLICY_RIGHT_MARK), ADMIN));
        cr_assert(eq(u64, needs(POLICY_RIGHT_MARK | POLICY_RIGHT_BIND_TO_DEVICE), RAW | ADMIN));
        cr_assert(eq(u64, needs(POLICY_RIGHTS_ALL), RAW | ADMIN));
        /* What is not there does not count, nor does what it would be for. */
        cr_assert(zero(int, privileges_use(privileges_permitted() & ~ADMIN)));
        cr_assert(zero(u64, needs(POLICY_RIGHT_MARK)));
        cr_assert(eq(u64, needs(POLICY_RIGHTS_ALL), RAW));
}

Test(right_trial, names) {
        char text[128], little[8];

        cr_assert(eq(str, (char *)right_trial_names(0, text, sizeof(text)), (char *)""));
        cr_assert(eq(str, (char *)right_trial_names(POLICY_RIGHT_FREE_BIND, text, sizeof(text)),
                     (char *)""));
        cr_assert(eq(str, (char *)right_trial_names(POLICY_RIGHT_MARK, text, sizeof(text)),
                     (char *)"mark"));
        cr_assert(eq(str, (char *)right_trial_names(POLICY_RIGHTS_ALL, text, sizeof(text)),
                     (char *)"mark, transparent, bindToDevice, priority above 6"));
        cr_assert(eq(str, (char *)right_trial_names(POLICY_RIGHTS_ALL, little, sizeof(little)),
                     (char *)"mark, t"));
}
