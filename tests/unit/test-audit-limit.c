/* SPDX-License-Identifier: BSD-2-Clause */

/* Each user has a share of each kind; what is beyond is counted, and no count is lost. */

#include "daemon/audit-limit.h"

#include "tests/unit/leaks.h"

static AuditLimit limit;
static uint64_t n_told, n_counted;
static uid_t uid_told;
static AuditKind kind_told;

static void on_tell(AuditLimit *of, uid_t uid, AuditKind kind, uint64_t n) {
        cr_assert(eq(ptr, of, &limit));
        cr_assert(gt(ulong, n, 0));
        n_told++;
        n_counted += n;
        uid_told = uid;
        kind_told = kind;
}

/* How many of @n may be written at @now. */
static int take(uid_t uid, AuditKind kind, int n, uint64_t now) {
        int taken = 0;

        while (n-- > 0)
                taken += audit_limit_take(&limit, uid, kind, now);
        return taken;
}

static void expect_told(uint64_t times, uint64_t n) {
        cr_assert(eq(ulong, n_told, times));
        cr_assert(eq(ulong, n_counted, n));
        n_told = n_counted = 0;
}

TestSuite(audit_limit, .timeout = 10);

Test(audit_limit, a_flood_is_counted_and_told_once) {
        audit_limit_init(&limit, on_tell);
        cr_assert(eq(int, take(1000, AUDIT_DENIED, 5000, 1), AUDIT_BURST));
        audit_limit_tell(&limit);
        expect_told(1, 5000 - AUDIT_BURST);
        cr_assert(eq(uint, uid_told, 1000));
        cr_assert(eq(int, (int)kind_told, AUDIT_DENIED));
        audit_limit_tell(&limit);
        expect_told(0, 0);
        /* The interval later all of it again. */
        cr_assert(eq(int, take(1000, AUDIT_DENIED, 5000, 1 + AUDIT_INTERVAL_SEC * 1000000ULL),
                     AUDIT_BURST));
        audit_limit_deinit(&limit);
        expect_told(1, 5000 - AUDIT_BURST);
        leaks_expect_none();
}

Test(audit_limit, users_and_kinds_do_not_share) {
        audit_limit_init(&limit, on_tell);
        take(1000, AUDIT_DENIED, AUDIT_BURST + 1, 1);
        cr_assert(eq(int, take(1000, AUDIT_REVOKED, AUDIT_BURST, 1), AUDIT_BURST));
        cr_assert(eq(int, take(1001, AUDIT_DENIED, AUDIT_BURST, 1), AUDIT_BURST));
        take(1001, AUDIT_DENIED, 2, 1);
        audit_limit_deinit(&limit);
        expect_told(2, 3);
        leaks_expect_none();
}

/* The quietest goes, and is told of; who speaks stays. */
Test(audit_limit, users_are_forgotten) {
        audit_limit_init(&limit, on_tell);
        take(1, AUDIT_DENIED, AUDIT_BURST + 7, 1);
        take(2, AUDIT_DENIED, AUDIT_BURST + 1, 1);
        for (uid_t uid = 1000; uid < 1000 + AUDIT_USERS_MAX - 2; uid++)
                cr_assert(eq(int, take(uid, AUDIT_DENIED, 1, 1), 1));
        expect_told(0, 0);
        take(2, AUDIT_DENIED, 1, 1);
        cr_assert(eq(int, take(3, AUDIT_DENIED, 1, 1), 1));
        expect_told(1, 7);
        cr_assert(eq(uint, uid_told, 1));
        for (uid_t uid = 100000; uid < 200000; uid++) {
                take(uid, AUDIT_DENIED, 1, 1);
                take(2, AUDIT_DENIED, 1, 1);
        }
        cr_assert(eq(uint, HASH_COUNT(limit.by_uid), AUDIT_USERS_MAX));
        expect_told(0, 0);
        audit_limit_deinit(&limit);
        expect_told(1, 100002);
        leaks_expect_none();
}
