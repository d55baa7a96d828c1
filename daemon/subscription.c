/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A slow reader loses events, and is told so as soon as it has read what was sent.
 *
 * One call may be a thousand events, each for all who watch: so none is sent by itself. They leave
 * together, in the turn of the user who watches, or as soon as there are many.
 */

#include "daemon/subscription.h"

#include <stddef.h>

#include "daemon/describe.h"
#include "daemon/judge.h"
#include "proto/error.h"
#include "proto/limits.h"

static bool may_see(const Subscription *subscription, const Event *event) {
        const Policy *policy = subscription->services->config->policy;

        if (event->subject && event->subject->uid == subscription->subject->uid)
                return true;
        if (event->endpoint)
                return judge_sees(policy, subscription->subject, event->endpoint);
        return judge_sees_all(policy, subscription->subject);
}

enum {
        /* So many bytes of events leave without waiting for a turn. */
        SEND_AT = 16 * 1024,
};

/* Into the buffer for events, if it is not there already. Returns 0 or a negative errno. */
static int encode_event(Services *services, const Event *event) {
        EventText text;
        EventInfo info;
        int r;

        if (services->hub.serial > 0 && services->event_serial == services->hub.serial)
                return 0;
        services->event_serial = 0;
        describe_event(event, &services->ids, &text, &info);
        r = message_encode_reply(&services->event_buffer, &(Reply){ .continues = true },
                                 wire_methods[WIRE_METHOD_WATCH].out, &(WatchOut){ .event = &info });
        if (r < 0)
                return error_trace(r);
        services->event_serial = services->hub.serial;
        return 0;
}

/* As outbox_flush(), where events that were posted have made many of a few. */
static int send_many(Subscription *subscription, size_t before) {
        size_t after = channel_pending(subscription->outbox->channel);

        return before / SEND_AT < after / SEND_AT ? outbox_flush(subscription->outbox) : CHANNEL_E_AGAIN;
}

/* Returns false if it would be too much. */
static bool post_event(Subscription *subscription, const Event *event) {
        MessageBuffer *buffer = &subscription->services->event_buffer;
        size_t before = channel_pending(subscription->outbox->channel);
        Resource resource;
        int r;

        r = encode_event(subscription->services, event);
        if (r == 0 && outbox_reserve(subscription->outbox, buffer->n, 0, &resource) != 0)
                return false;
        if (r == 0)
                r = outbox_post(subscription->outbox, buffer->data, buffer->n);
        if (r == CHANNEL_E_AGAIN)
                r = send_many(subscription, before);
        subscription->on_sent(subscription, r);
        return true;
}

static void on_event(Watcher *watcher, const Event *event) {
        Subscription *subscription = (Subscription *)((char *)watcher - offsetof(Subscription, watcher));

        if (event->audit_only || !may_see(subscription, event))
                return;
        if (subscription->overflow ||
            channel_pending(subscription->outbox->channel) > WATCH_BACKLOG_MAX ||
            !post_event(subscription, event))
                subscription->overflow = true;
}

int subscription_begin(Subscription *subscription) {
        int r = user_charge(subscription->outbox->user, RESOURCE_WATCHES, 1, &subscription->charge);

        if (r != 0)
                return r;
        subscription->watcher.notify = on_event;
        LIST_INSERT_HEAD(&subscription->services->hub.watchers, &subscription->watcher, entry);
        subscription->active = true;
        return 0;
}

void subscription_end(Subscription *subscription) {
        if (!subscription->active)
                return;
        LIST_REMOVE(&subscription->watcher, entry);
        charge_deinit(&subscription->charge);
        subscription->active = false;
}

void subscription_catch_up(Subscription *subscription) {
        if (!subscription->overflow)
                return;
        subscription->overflow = false;
        subscription->services->event_serial = 0;
        post_event(subscription,
                   &(Event){ .what = "overflow", .reason = "events were dropped: list again" });
}
