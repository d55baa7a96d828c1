/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the two files of the broker share: broker-start.c makes it ready, broker.c has it from
 * then on. */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/audit.h"
#include "daemon/broker.h"
#include "daemon/inherited.h"
#include "daemon/listener.h"
#include "daemon/notify.h"
#include "daemon/services.h"

struct Broker {
        const BrokerOptions *options;
        uid_t started_by;
        Inherited inherited; /* until the broker has started */
        Services services;
        Audit *audit;
        Listener *listener;
        bool replaced;    /* by another, which has everything */
        int successor_of; /* a broker that waits to end: see handover_take(); -1: none */
        bool owns;        /* what an earlier broker left is its own */
        sd_event_source *hangup;
        sd_event_source *helper_gone;
        Watchdog watchdog;
        size_t n_failures; /* of the event loop, one after the other */
};

/* Loads the configuration. Returns 0, BROKER_E_CONFIG with what is wrong in *@ret_reason, or a negative
 * errno. */
int broker_configure(Broker *broker, char **ret_reason);

/* Of what the configuration asks for, and what there is. */
void broker_take_stock(Services *services);

/* Returns 0 or a negative errno. */
int broker_handle_signals(Broker *broker);

/* Returns 0, BROKER_E_*, or a negative errno; broker_free() may follow each. */
int broker_start(Broker *broker);
