/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* One client's Watch: which events it is told, and that it lost some when it did not read. */

#include <stdbool.h>

#include "daemon/outbox.h"
#include "daemon/services.h"
#include "daemon/subject.h"

typedef struct Subscription Subscription;

/* Embedded in what it belongs to; services, subject, outbox and on_sent are set, and borrowed. */
struct Subscription {
        Services *services;
        Subject *subject;
        Outbox *outbox;
        /* After an event was posted, with what outbox_flush() would say. */
        void (*on_sent)(Subscription *subscription, int r);
        Watcher watcher;
        Charge charge;
        bool active;
        bool overflow; /* events were dropped, and the client has not been told */
};

/* From now on. Returns 0, or ACCOUNT_E_* of RESOURCE_WATCHES. */
int subscription_begin(Subscription *subscription);

/* One that never began is left alone. */
void subscription_end(Subscription *subscription);

/* All that was sent has left: tells of what was dropped meanwhile. */
void subscription_catch_up(Subscription *subscription);
