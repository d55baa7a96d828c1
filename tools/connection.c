/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Most commands make one call, and a connection for it is all that they need.
 */

#include "tools/connection.h"

#include <errno.h>
#include <stdlib.h>

#include "tools/report.h"

int connection_open(const Settings *settings, reuse_client **ret) {
        reuse_client *client;
        reuse_error *error = NULL;
        int r;

        r = reuse_client_connect(settings->socket, &client, &error);
        if (r < 0)
                return report_failure(settings, r, error);

        reuse_client_set_timeout(client, settings->timeout_usec);
        /* What can be asked again of the next broker waits for it no longer, and no less. */
        reuse_client_set_reconnect(client, settings->timeout_usec);
        *ret = client;
        return REPORT_OK;
}

int connection_ask(const Settings *settings, reuse_client *client, const char *method,
                   const json_t *parameters, json_t **ret_reply) {
        reuse_error *error = NULL;
        char *request = NULL, *text = NULL;
        json_t *reply;
        int r;

        if (parameters) {
                request = json_dumps(parameters, 0);
                if (!request)
                        return report_failure(settings, -ENOMEM, NULL);
        }

        r = reuse_client_call(client, method, request, &text, &error);
        free(request);
        if (r < 0)
                return report_failure(settings, r, error);

        reply = json_loads(text, 0, NULL);
        free(text);
        if (!reply)
                return report_problem(settings, -EPROTO, "the broker's answer is not JSON");

        *ret_reply = reply;
        return REPORT_OK;
}

int connection_call(const Settings *settings, const char *method, const json_t *parameters,
                    json_t **ret_reply) {
        reuse_client *client = NULL;
        int status;

        status = connection_open(settings, &client);
        if (status != REPORT_OK)
                return status;

        status = connection_ask(settings, client, method, parameters, ret_reply);
        reuse_client_free(client);
        return status;
}
