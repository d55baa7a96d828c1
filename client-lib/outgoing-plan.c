/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What to try next, and for how long. Nothing here has a socket or a clock in hand. The rules are those
 * of go-libp2p's reuseport, as it means them, and of Go's net package.
 */

#include <errno.h>
#include <string.h>

#include "client-lib/outgoing.h"

static const char *const names_unserved[] = {
        "org.varlink.service.InterfaceNotFound",
        "org.varlink.service.MethodNotFound",
        "org.varlink.service.MethodNotImplemented",
};

/* What the broker would say a second time as well. */
static const char *const names_final[] = {
        "io.reuseportd.AddressInvalid",         "io.reuseportd.NetworkUnknown",
        "io.reuseportd.OptionInvalid",          "io.reuseportd.PolicyDenied",
        "io.reuseportd.QuotaExceeded",          "org.varlink.service.InvalidParameter",
        "org.varlink.service.PermissionDenied",
};

static bool is_among(const char *name, const char *const *names, size_t n) {
        for (size_t i = 0; name && i < n; i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

bool outgoing_is_unserved(const OutgoingKind *kind, const char *answer) {
        /* Of TCP and UDP it is where to come from that is not supported. */
        return is_among(answer, names_unserved, sizeof(names_unserved) / sizeof(names_unserved[0])) ||
               (kind->protocol != 0 && answer && strcmp(answer, "io.reuseportd.NotSupported") == 0);
}

bool outgoing_may_retry(int number, const char *answer) {
        if (is_among(answer, names_final, sizeof(names_final) / sizeof(names_final[0])))
                return false;
        switch (number) {
        case 0:
        case -EAGAIN: /* to Go, as much a timeout as the other */
        case -ETIMEDOUT:
        case -ECANCELED:
        case -ECONNREFUSED: /* somebody answered: from another port it would be the same */
                return false;
        default:
                return true;
        }
}

uint64_t outgoing_share(uint64_t now, uint64_t deadline, size_t n_left) {
        uint64_t left, share;

        if (deadline == UINT64_MAX || deadline <= now)
                return deadline;
        left = deadline - now;
        share = left / n_left;
        if (share < OUTGOING_SHARE_MIN_USEC)
                share = left < OUTGOING_SHARE_MIN_USEC ? left : OUTGOING_SHARE_MIN_USEC;
        return now + share;
}

size_t outgoing_split(OutgoingAddress *remotes, size_t n) {
        size_t n_first = 0;

        for (size_t i = 0; i < n; i++) {
                OutgoingAddress remote = remotes[i];

                if (remote.u.sa.sa_family != remotes[0].u.sa.sa_family)
                        continue;
                memmove(&remotes[n_first + 1], &remotes[n_first], (i - n_first) * sizeof(*remotes));
                remotes[n_first++] = remote;
        }
        return n_first;
}
