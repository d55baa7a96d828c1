/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The line to the broker, as a command needs it: opened as the settings say, failures reported.
 */

#include <jansson.h>

#include "client-lib/reuse-client.h"
#include "tools/settings.h"

/* Opens a connection, the caller's. Returns REPORT_OK, or another exit status with the
 * failure reported. */
int connection_open(const Settings *settings, reuse_client **ret);

/* Calls @method and waits for the answer. @parameters: a JSON object or NULL, borrowed. *ret_reply is
 * the caller's. Returns as connection_open(). */
int connection_ask(const Settings *settings, reuse_client *client, const char *method,
                   const json_t *parameters, json_t **ret_reply);

/* The same over a connection of its own. */
int connection_call(const Settings *settings, const char *method, const json_t *parameters,
                    json_t **ret_reply);
