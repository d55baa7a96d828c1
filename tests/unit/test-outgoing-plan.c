/* SPDX-License-Identifier: BSD-2-Clause */

/* What is tried next, and for how long. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "client-lib/outgoing.h"

TestSuite(outgoing_plan, .timeout = 10);

#define SEC UINT64_C(1000000)

/* ---- TestReuseError, and what a broker may answer ---- */

static const struct {
        int number;
        const char *answer;
        bool again;
} failures[] = {
        { 0, NULL, false },
        { -EADDRINUSE, NULL, true },
        { -EADDRNOTAVAIL, NULL, true },
        { -ECONNREFUSED, NULL, false },
        { -ETIMEDOUT, NULL, false },
        { -EAGAIN, NULL, false },
        { -ECANCELED, NULL, false },
        { -EBUSY, NULL, true },
        { -EINVAL, NULL, true },
        { -EHOSTUNREACH, NULL, true },
        { -EREMOTEIO, NULL, true },
        { -EADDRINUSE, "io.reuseportd.AddressInUse", true },
        { -EADDRNOTAVAIL, "io.reuseportd.AddressUnavailable", true },
        { -EACCES, "io.reuseportd.SystemFailure", true },
        { -ETIMEDOUT, "io.reuseportd.SystemFailure", false },
        { -EOPNOTSUPP, "io.reuseportd.NotSupported", true },
        { -EREMOTEIO, "io.reuseportd.Later", true },
        { -EACCES, "io.reuseportd.PolicyDenied", false },
        { -EINVAL, "io.reuseportd.OptionInvalid", false },
        { -EDQUOT, "io.reuseportd.QuotaExceeded", false },
        { -EPROTONOSUPPORT, "io.reuseportd.NetworkUnknown", false },
        { -EINVAL, "io.reuseportd.AddressInvalid", false },
        { -EINVAL, "org.varlink.service.InvalidParameter", false },
        { -EPERM, "org.varlink.service.PermissionDenied", false },
};

Test(outgoing_plan, s1_16_which_failures_are_worth_another_attempt) {
        for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
                cr_assert(eq(int, outgoing_may_retry(failures[i].number, failures[i].answer),
                             failures[i].again),
                          "row %zu", i);
}

Test(outgoing_plan, which_brokers_have_no_dial) {
        const OutgoingKind *tcp = outgoing_kind_find("tcp");

        cr_assert(not(outgoing_is_unserved(tcp, NULL)));
        cr_assert(not(outgoing_is_unserved(tcp, "io.reuseportd.NotSupported")));
        cr_assert(not(outgoing_is_unserved(outgoing_kind_find("udp6"), "io.reuseportd.NotSupported")));
        cr_assert(outgoing_is_unserved(tcp, "org.varlink.service.MethodNotImplemented"));
        cr_assert(outgoing_is_unserved(tcp, "org.varlink.service.MethodNotFound"));
        cr_assert(outgoing_is_unserved(tcp, "org.varlink.service.InterfaceNotFound"));
}

Test(outgoing_plan, which_networks_a_broker_does_not_dial) {
        static const char *const networks[] = { "mptcp", "sctp6", "udplite4" };

        for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
                const OutgoingKind *kind = outgoing_kind_find(networks[i]);

                cr_assert(not(outgoing_is_unserved(kind, NULL)));
                cr_assert(not(outgoing_is_unserved(kind, "io.reuseportd.PolicyDenied")));
                cr_assert(not(outgoing_is_unserved(kind, "io.reuseportd.OptionInvalid")));
                cr_assert(outgoing_is_unserved(kind, "io.reuseportd.NotSupported"));
        }
}

/* ---- TestDialerPartialDeadline ---- */

static const struct {
        uint64_t now, deadline;
        size_t n_left;
        uint64_t expected;
} shares[] = {
        /* Divided evenly. */
        { 0, 12 * SEC, 1, 12 * SEC },
        { 0, 12 * SEC, 2, 6 * SEC },
        { 0, 12 * SEC, 3, 4 * SEC },
        { 100 * SEC, 112 * SEC, 3, 104 * SEC },
        /* No less than 2 s, so that the last ones may get nothing. */
        { 0, 12 * SEC, 999, 2 * SEC },
        { 0, 3 * SEC, 2, 2 * SEC },
        /* Unless there is less. */
        { 10 * SEC, 12 * SEC, 999, 12 * SEC },
        { 10 * SEC + 1, 12 * SEC, 999, 12 * SEC },
        { 11 * SEC, 12 * SEC, 1, 12 * SEC },
        { 12 * SEC - 1, 12 * SEC, 1, 12 * SEC },
        /* Nothing is left. */
        { 12 * SEC, 12 * SEC, 1, 12 * SEC },
        { 13 * SEC, 12 * SEC, 2, 12 * SEC },
        /* For ever is not divided. */
        { 5 * SEC, UINT64_MAX, 1, UINT64_MAX },
        { 5 * SEC, UINT64_MAX, 3, UINT64_MAX },
};

Test(outgoing_plan, s3_21_time_is_divided) {
        for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
                cr_assert(eq(u64, outgoing_share(shares[i].now, shares[i].deadline, shares[i].n_left),
                             shares[i].expected),
                          "row %zu", i);
}

/* ---- families ---- */

/* Upper case is IPv6; the letters tell them apart. */
static const struct {
        const char *before, *after;
        size_t n_first;
} splits[] = {
        { "", "", 0 },           { "a", "a", 1 },           { "A", "A", 1 },     { "abc", "abc", 3 },
        { "aB", "aB", 1 },       { "Ba", "Ba", 1 },         { "aBc", "acB", 2 }, { "AbCd", "ACbd", 2 },
        { "aBCDe", "aeBCD", 2 }, { "abCDEf", "abfCDE", 3 },
};

Test(outgoing_plan, s3_21_families_are_split) {
        for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
                size_t n = strlen(splits[i].before);
                OutgoingAddress remotes[8] = { 0 };
                char after[8] = "";

                for (size_t j = 0; j < n; j++) {
                        char c = splits[i].before[j];

                        remotes[j].text[0] = c;
                        remotes[j].u.sa.sa_family = c < 'a' ? AF_INET6 : AF_INET;
                }
                cr_assert(eq(sz, outgoing_split(remotes, n), splits[i].n_first), "%s", splits[i].before);
                for (size_t j = 0; j < n; j++)
                        after[j] = remotes[j].text[0];
                cr_assert(eq(str, after, (char *)splits[i].after));
        }
}
