/* SPDX-License-Identifier: BSD-2-Clause */

/* Whom a broker becomes, and that there is no way back: in children, for none of it can be undone. */

#include "daemon/confinement.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/rule.h"
#include "daemon/syscall-filter.h"
#include "tests/unit/leaks.h"

enum {
        NOBODY = 65534,
        NOBODY_AT_ALL = 61234, /* in no passwd */
};

#define BASE (CAPABILITY(CAP_NET_BIND_SERVICE) | CAPABILITY(CAP_CHOWN))
#define NETWORK (CAPABILITY(CAP_NET_RAW) | CAPABILITY(CAP_NET_ADMIN))

static void require_root(void) {
        const CapabilitySet needed =
                BASE | NETWORK | CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID) | CAPABILITY(CAP_BPF);

        if (geteuid() != 0 || (privileges_effective() & needed) != needed)
                cr_skip_test("needs root with its capabilities, to give them up");
}

/* Who comes of it, or why root stays. */
static void expect_choice(uid_t uid, bool own, const char *name, const char *stays_root) {
        Confinement confinement = { 0 };

        cr_assert(zero(int, confinement_choose_user(uid, own, &confinement)));
        cr_assert(eq(int, confinement.changes_user, name != NULL), "%d", (int)uid);
        cr_assert(eq(str, confinement.name, (char *)(name ?: "")));
        cr_assert(eq(int, confinement.stays_root != NULL, stays_root != NULL), "%d", (int)uid);
        if (stays_root)
                cr_assert(strstr(confinement.stays_root, stays_root) != NULL, "%s",
                          confinement.stays_root);
}

TestSuite(confinement, .timeout = 10);

Test(confinement, who_is_not_root_becomes_nobody_else) {
        require_root();
        cr_assert(zero(int, seteuid(NOBODY)));
        expect_choice((uid_t)-1, false, NULL, NULL);
        expect_choice(0, false, NULL, NULL);
        expect_choice(1, true, NULL, NULL);
        expect_choice(NOBODY_AT_ALL, false, NULL, NULL);
}

Test(confinement, whom_root_becomes) {
        Confinement confinement = { 0 };
        const struct passwd *passwd = getpwnam(CONFINEMENT_USER);

        require_root();
        expect_choice(NOBODY, false, getpwuid(NOBODY)->pw_name, NULL);
        expect_choice(NOBODY, true, getpwuid(NOBODY)->pw_name, NULL);
        expect_choice(0, false, NULL, "User= says so");
        expect_choice((uid_t)-1, true, NULL, "--user");
        if (passwd)
                expect_choice((uid_t)-1, false, CONFINEMENT_USER, NULL);
        else
                expect_choice((uid_t)-1, false, NULL, "there is no user " CONFINEMENT_USER);
        cr_assert(eq(int, confinement_choose_user(NOBODY_AT_ALL, false, &confinement), -ESRCH));
        /* Root in name only. */
        cr_assert(zero(int, privileges_use(privileges_permitted() & ~CAPABILITY(CAP_SETGID))));
        expect_choice(NOBODY, false, NULL, "without CAP_SETUID and CAP_SETGID");
}

/* Runs @f in a child; it says on its standard error what it did not find as it should be. */
static void in_child(bool (*f)(void)) {
        int status;
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        if (pid == 0)
                _exit(f() ? 0 : 1);
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(zero(int, status));
}

#define FIND(condition) ((condition) || (fprintf(stderr, "not found: %s\n", #condition), false))

/* What holds of every broker, whoever it was. */
static bool is_confined(const Confinement *confinement, CapabilitySet kept) {
        return FIND(privileges_permitted() == kept) && FIND(privileges_effective() == kept) &&
               FIND(confinement->keeps == kept) && FIND((confinement->given_up & kept) == 0) &&
               FIND(confinement->filtered || confinement->no_filter) &&
               FIND(!confinement->filtered ||
                    (open("/dev/null", O_WRONLY | O_CLOEXEC) < 0 && errno == EPERM));
}

static bool enter_as_nobody(void) {
        const ConfinementNeeds needs = { 0 };
        Confinement confinement = { 0 };
        CapabilitySet had = privileges_permitted();
        gid_t groups[8];

        return FIND(confinement_choose_user(NOBODY, false, &confinement) == 0) &&
               FIND(confinement_enter(&confinement, &needs) == 0) && FIND(getuid() == NOBODY) &&
               FIND(geteuid() == NOBODY) && FIND(getgid() == getpwuid(NOBODY)->pw_gid) &&
               FIND(getgroups(8, groups) >= 1) && FIND(setuid(0) < 0) &&
               FIND(confinement.given_up == (had & ~BASE)) && is_confined(&confinement, BASE);
}

static bool enter_as_root(void) {
        const ConfinementNeeds needs = { .rights = POLICY_RIGHTS_ALL, .bpf = true };
        Confinement confinement = { 0 };
        CapabilitySet network;

        if (!FIND(confinement_choose_user(0, false, &confinement) == 0) ||
            !FIND(confinement_enter(&confinement, &needs) == 0))
                return false;
        network = privileges_permitted() & NETWORK;
        return FIND(getuid() == 0) && FIND(network != 0) &&
               is_confined(&confinement, BASE | CAPABILITY(CAP_BPF) | network);
}

static bool enter_for_raw_ip(void) {
        const ConfinementNeeds needs = { .raw_ip = true };
        Confinement confinement = { 0 };

        return FIND(confinement_choose_user(NOBODY, false, &confinement) == 0) &&
               FIND(confinement_enter(&confinement, &needs) == 0) && FIND(confinement.makes_raw_ip) &&
               FIND(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0) &&
               is_confined(&confinement, BASE | CAPABILITY(CAP_NET_RAW));
}

/* Kept for an option, it makes no raw sockets where there is a filter. */
static bool enter_for_a_mark(void) {
        const ConfinementNeeds needs = { .rights = POLICY_RIGHT_MARK };
        Confinement confinement = { 0 };

        return FIND(confinement_choose_user(0, false, &confinement) == 0) &&
               FIND(confinement_enter(&confinement, &needs) == 0) && FIND(!confinement.makes_raw_ip) &&
               FIND(!confinement.filtered ||
                    (socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) < 0 && errno == EPERM));
}

/* Nothing is there to be given up, and nothing is missed. */
static bool enter_with_nothing(void) {
        const ConfinementNeeds needs = {
                .rights = POLICY_RIGHTS_ALL, .bpf = true, .maps = true, .raw_ip = true
        };
        Confinement confinement = { 0 };

        return FIND(privileges_become("nobody", NOBODY, NOBODY) == 0) && FIND(privileges_keep(0) == 0) &&
               FIND(confinement_choose_user((uid_t)-1, false, &confinement) == 0) &&
               FIND(confinement_enter(&confinement, &needs) == 0) && FIND(confinement.given_up == 0) &&
               FIND(!confinement.makes_raw_ip) && is_confined(&confinement, 0);
}

Test(confinement, another_user_with_what_every_broker_needs) {
        require_root();
        in_child(enter_as_nobody);
}

Test(confinement, root_with_what_the_rules_need) {
        require_root();
        in_child(enter_as_root);
}

Test(confinement, raw_ip_if_rules_give_it) {
        require_root();
        in_child(enter_for_raw_ip);
        in_child(enter_for_a_mark);
}

Test(confinement, every_capability_absent) {
        require_root();
        in_child(enter_with_nothing);
}
