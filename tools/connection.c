/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A command makes one call, so a connection for each call is all that most of them need.
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
        *ret = client;
        return REPORT_OK;
}

int connection_call(const Settings *settings, const char *method, const json_t *parameters,
                    json_t **ret_reply) {
        reuse_client *client;
        reuse_error *error = NULL;
        char *request = NULL, *text = NULL;
        json_t *reply;
        int status, r;

        if (parameters) {
                request = json_dumps(parameters, 0);
                if (!request)
                        return report_failure(settings, -ENOMEM, NULL);
        }

        status = connection_open(settings, &client);
        if (status != REPORT_OK) {
                free(request);
                return status;
        }

        r = reuse_client_call(client, method, request, &text, &error);
        reuse_client_free(client);
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
