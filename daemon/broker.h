/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Owns every long-lived object: they start in one order and end in its exact reverse. */

#include <stdbool.h>

typedef struct Broker Broker;

typedef struct BrokerOptions {
        const char *socket;      /* path of the control socket */
        const char *config_file; /* --config, or NULL */
        bool replace;            /* --replace: one that runs is to hand over */
        bool own_only;           /* --user: the system's configuration is not read */
} BrokerOptions;

enum {
        _BROKER_E_SUCCESS,
        /* The configuration is wrong; the reason was logged. */
        BROKER_E_CONFIG,
        /* The control socket cannot be had; the reason was logged. */
        BROKER_E_SOCKET,
};

/* Starts everything. @options is borrowed for the broker's life. Returns 0, BROKER_E_*, or a negative
 * errno. */
int broker_new(const BrokerOptions *options, Broker **ret);

/* Where clients find it: the path of @options, or what the service manager has for it instead. */
const char *broker_path(const Broker *broker);

/* Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again. Returns 0 or a
 * negative errno. */
int broker_run(Broker *broker);

/* Takes NULL and half-started brokers; returns NULL. */
Broker *broker_free(Broker *broker);
