/* SPDX-License-Identifier: BSD-2-Clause */

/* What policy would answer. That it says no is an answer here, not an error. */

#include <errno.h>
#include <stdlib.h>

#include "client-lib/internal.h"

_public_ int reuse_client_explain(reuse_client *client, const reuse_request *request, uid_t uid,
                                  const gid_t *gids, size_t n_gids, char **ret_parameters,
                                  reuse_error **ret_error) {
        _cleanup_(message_freep) Message *message = NULL;
        _cleanup_(freep) int64_t *numbers = NULL;
        ExplainIn in = { .uid = uid == (uid_t)-1 ? WIRE_ABSENT : (int64_t)uid };
        ExplainOut out;
        int r;

        reuse_error_clear(ret_error);
        if (!client || !request || request->n != 1 || (n_gids > 0 && !gids))
                return reuse_error_set(ret_error, -EINVAL, "a request with one socket is needed");
        in.request = (SocketRequest *)&request->sockets[0];
        if (n_gids > 0) {
                numbers = calloc(n_gids, sizeof(*numbers));
                if (!numbers)
                        return -ENOMEM;
                for (size_t i = 0; i < n_gids; i++)
                        numbers[i] = gids[i];
                in.gids = (WireList){ .items = numbers, .n = n_gids };
        }

        r = client_fetch(client, WIRE_METHOD_EXPLAIN, &in, &message, ret_error);
        if (r < 0)
                return r;
        r = message_decode(message, wire_methods[WIRE_METHOD_EXPLAIN].out, false, &out);
        if (r > 0)
                return reuse_error_set(ret_error, -EPROTO,
                                       "the broker's answer does not say whether it is allowed");
        if (r == 0 && ret_parameters)
                r = message_parameters_text(message, ret_parameters);
        return r < 0 ? r : out.allowed;
}
