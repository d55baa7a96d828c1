/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * All of an answer is charged before it is sent, since how much the kernel takes is known only
 * afterwards; then the charge becomes what really waits.
 */

#include "daemon/outbox.h"

#include "proto/error.h"
#include "proto/limits.h"

/* Makes the charge @n. Less is always possible. */
static int outbox_charge(Outbox *outbox, size_t n) {
        Charge *bytes = &outbox->bytes;

        if (!bytes->user)
                return n > 0 ? user_charge(outbox->user, RESOURCE_BYTES, n, bytes) : 0;
        if (n > bytes->n)
                return charge_grow(bytes, n - bytes->n);
        if (n > 0)
                charge_reduce(bytes, n);
        else
                charge_deinit(bytes);
        return 0;
}

/* After bytes have left, or not. @r: what the channel said. */
static int outbox_settle(Outbox *outbox, int r) {
        int charged = outbox_charge(outbox, channel_pending(outbox->channel));

        return r >= 0 && charged > 0 ? CHANNEL_E_EOF : r;
}

int outbox_reserve(Outbox *outbox, size_t n, size_t n_fds, Resource *ret_resource) {
        int r;

        *ret_resource = RESOURCE_IN_FLIGHT;
        r = n_fds > 0 ? flight_begin(&outbox->flight, outbox->user, outbox->channel->fd, n_fds) : 0;
        if (r != 0 || n <= QUEUED_BYTES_FREE)
                return r;
        *ret_resource = RESOURCE_BYTES;
        r = outbox_charge(outbox, channel_pending(outbox->channel) + n);
        if (r != 0 && n_fds > 0)
                flight_undo(&outbox->flight, n_fds);
        return r;
}

int outbox_send(Outbox *outbox, const char *data, size_t n, FDList *fds) {
        size_t n_fds = fds ? fds->n : 0;
        int r = channel_send(outbox->channel, data, n, fds);

        if (n_fds > 0 && r != 0 && r != CHANNEL_E_AGAIN)
                flight_undo(&outbox->flight, n_fds);
        r = outbox_settle(outbox, r);
        return r < 0 ? error_trace(r) : r;
}

int outbox_post(Outbox *outbox, const char *data, size_t n) {
        int r = channel_post(outbox->channel, data, n);

        r = outbox_settle(outbox, r < 0 ? r : CHANNEL_E_AGAIN);
        return r < 0 ? error_trace(r) : r;
}

int outbox_flush(Outbox *outbox) {
        int r = outbox_settle(outbox, channel_flush(outbox->channel));

        return r < 0 ? error_trace(r) : r;
}

void outbox_deinit(Outbox *outbox) {
        flight_end(&outbox->flight);
        charge_deinit(&outbox->bytes);
}
