/* SPDX-License-Identifier: BSD-2-Clause */

/* What a client does with leases it has: they are named by text, and the broker judges the names. */

#include <errno.h>

#include "client-lib/internal.h"

int leases_check(const reuse_client *client, const char *const *leases, size_t n,
                 reuse_error **ret_error) {
        bool sendable = client && leases;

        reuse_error_clear(ret_error);
        for (size_t i = 0; sendable && i < n; i++)
                sendable = leases[i] && text_is_utf8(leases[i]);
        return sendable ? 0 : call_refused(-EINVAL, ret_error);
}

static int leases_tell(reuse_client *client, WireMethodId id, const char *const *leases, size_t n,
                       reuse_error **ret_error) {
        LeasesIn in = { .leases = { .items = (void *)leases, .n = n } };
        int r = leases_check(client, leases, n, ret_error);

        return r < 0 ? r : client_tell(client, id, &in, ret_error);
}

_public_ int reuse_client_release(reuse_client *client, const char *const *leases, size_t n,
                                  reuse_error **ret_error) {
        return leases_tell(client, WIRE_METHOD_RELEASE, leases, n, ret_error);
}

_public_ int reuse_client_ready(reuse_client *client, const char *const *leases, size_t n,
                                reuse_error **ret_error) {
        return leases_tell(client, WIRE_METHOD_READY, leases, n, ret_error);
}

_public_ int reuse_client_drain(reuse_client *client, const char *const *leases, size_t n,
                                reuse_error **ret_error) {
        return leases_tell(client, WIRE_METHOD_DRAIN, leases, n, ret_error);
}

_public_ int reuse_client_set_weight(reuse_client *client, const char *const *leases, size_t n,
                                     int weight, reuse_error **ret_error) {
        SetWeightIn in = { .leases = { .items = (void *)leases, .n = n }, .weight = weight };
        int r = leases_check(client, leases, n, ret_error);

        return r < 0 ? r : client_tell(client, WIRE_METHOD_SET_WEIGHT, &in, ret_error);
}
