/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What is on its way to one client, and who pays for it: bytes that wait in the broker, descriptors that
 * wait in the kernel.
 */

#include "daemon/account.h"
#include "daemon/flight.h"
#include "proto/channel.h"

/* Embedded, with the channel and the user borrowed. */
typedef struct Outbox {
        Channel *channel;
        User *user;
        Charge bytes;
        Flight flight;
} Outbox;

/*
 * Before an answer of @n bytes and @n_fds descriptors: whether the user may have so much more under way.
 * What is small may always leave; if it then has to wait, and may not, the client is hung up on.
 * Returns 0, or ACCOUNT_E_* with *@ret_resource.
 */
int outbox_reserve(Outbox *outbox, size_t n, size_t n_fds, Resource *ret_resource);

/* Sends what was reserved. As channel_send(), CHANNEL_E_EOF also if the client is to be hung up on. */
int outbox_send(Outbox *outbox, const char *data, size_t n, FDList *fds);

/* What was reserved, without descriptors, waits for outbox_flush(). Returns CHANNEL_E_AGAIN,
 * CHANNEL_E_EOF if the client is to be hung up on, or a negative errno. */
int outbox_post(Outbox *outbox, const char *data, size_t n);

/* As channel_flush(). */
int outbox_flush(Outbox *outbox);

void outbox_deinit(Outbox *outbox);
