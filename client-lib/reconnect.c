/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A connection that the broker lost, and the way to the next broker. Calls under way stay in their queue
 * and are asked again, but for those of which nobody can tell whether they were done. What then becomes
 * of the leases is the business of resume.c.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-lib/holdings.h"

enum {
        /* A call that the broker dies of each time must not be made for ever. */
        CALL_LOSSES_MAX = 3,
        OVERFLOW_TEXT_MAX = 256,
};

_public_ void reuse_client_set_reconnect(reuse_client *client, uint64_t usec) {
        if (client)
                client->reconnect = usec;
}

static bool call_watches(const PendingCall *call) {
        return call->method == WIRE_METHOD_WATCH && call->more;
}

/* Whoever answers, nothing comes of it but the answer. */
static bool call_reads(const PendingCall *call) {
        switch (call->method) {
        case WIRE_METHOD_LIST:
        case WIRE_METHOD_EXPLAIN:
        case WIRE_METHOD_GET_STATUS:
        case WIRE_METHOD_GET_INFO:
        case WIRE_METHOD_GET_INTERFACE_DESCRIPTION:
                return true;
        default:
                return false;
        }
}

bool client_comes_back(const reuse_client *client) {
        const PendingCall *call;

        if (client->reconnect == 0)
                return false;
        if (client->holdings || !TAILQ_EMPTY(&client->outgoings))
                return true;
        TAILQ_FOREACH (call, &client->calls, entry)
                if (call_watches(call) || call_reads(call))
                        return true;
        return false;
}

/* ---- losing ---- */

static void client_disconnect(reuse_client *client) {
        client_disarm(client);
        channel_deinit(&client->channel);
        channel_init(&client->channel, -1, REPLY_SIZE_MAX, true);
        client->unsendable = client->unread = client->patient = false;
        client->fault = 0;
}

/* What can be asked again stays; the rest is answered in its turn. Returns 0 or -ENOMEM. */
static int client_keep_calls(reuse_client *client) {
        PendingCall *call;

        TAILQ_FOREACH (call, &client->calls, entry) {
                int r = pending_call_repeatable(call);

                if (r < 0)
                        return r;
                if (call_watches(call)) {
                        client->missing = call->missed = true;
                } else if (!r || ++call->n_losses == CALL_LOSSES_MAX) {
                        client->failing = true;
                        call->failed = -ECONNRESET;
                }
        }
        return 0;
}

/* Returns 0, or ends the connection. */
static int client_away(reuse_client *client) {
        client->until = client_deadline(client_now(), client->reconnect);
        client->backoff = client->retry_at = 0;
        client->dial_fault = 0;
        for (Holding *holding = client->holdings; holding; holding = holding->hh.next)
                holding->told = false;
        if (client_keep_calls(client) < 0)
                return client_end(client, -ENOMEM, "no memory to make the calls again");
        return notice_add(client, REUSE_NOTICE_LOST, NULL, NULL, NULL);
}

int client_lose(reuse_client *client) {
        bool again = client->state == CLIENT_RESUMING;
        PendingCall *call;
        int r;

        if (!again && !client_comes_back(client))
                return client_end(client, -ECONNRESET, "the broker hung up");
        client_disconnect(client);
        client->state = CLIENT_RECONNECTING;
        call = TAILQ_FIRST(&client->calls);
        if (again && call && call->internal) {
                TAILQ_REMOVE(&client->calls, call, entry);
                pending_call_unref(call);
        }
        r = holdings_doubt(client);
        if (r < 0)
                return client_end(client, r, "no memory for the leases");
        if (again)
                /* Who takes connections and drops them is not asked in a busy loop. */
                client_back_off(client);
        else
                r = client_away(client);
        return r < 0 ? r : 1;
}

/* ---- calls meanwhile ---- */

void client_expire_calls(reuse_client *client) {
        uint64_t now = client_now();
        PendingCall *call;

        TAILQ_FOREACH (call, &client->calls, entry)
                if (now >= call->deadline && call->failed == 0) {
                        client->failing = true;
                        call->failed = -ETIMEDOUT;
                }
}

int client_answer_failed(reuse_client *client) {
        _cleanup_(reply_deinit) reuse_reply reply = { 0 };
        reuse_handler handler;
        PendingCall *call;
        void *userdata;
        int r;

        if (!client->failing)
                return 0;
        TAILQ_FOREACH (call, &client->calls, entry)
                if (call->failed < 0)
                        break;
        if (!call) {
                client->failing = false;
                return 0;
        }
        reply.number = call->failed;
        reply.error = reuse_error_new(call->failed,
                                      call->failed == -ETIMEDOUT
                                              ? "the broker hung up, and was not back in time"
                                              : "the broker hung up before its answer: whether it did "
                                                "what was asked is not known");
        handler = call->handler;
        userdata = call->userdata;
        TAILQ_REMOVE(&client->calls, call, entry);
        pending_call_unref(call);
        r = handler ? handler(client, &reply, userdata) : 0;
        return r < 0 ? r : 1;
}

/* What the broker itself says to a watcher who lost events. */
static int overflow_new(Message **ret) {
        char text[OVERFLOW_TEXT_MAX], reason[MESSAGE_TEXT_MAX];
        struct timespec now;
        Reply envelope;
        int n, r;

        clock_gettime(CLOCK_REALTIME, &now);
        n = snprintf(text, sizeof(text),
                     "{\"parameters\":{\"event\":{\"what\":\"overflow\",\"timeUsec\":%" PRId64
                     ",\"reason\":\"the broker was lost, and events with it\"}},\"continues\":true}",
                     (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
        r = message_parse(text, (size_t)n, ret, reason);
        return r == 0 ? message_reply(*ret, &envelope) : r;
}

int client_tell_missed(reuse_client *client) {
        _cleanup_(reply_deinit) reuse_reply reply = { .continues = true };
        PendingCall *call;
        int r;

        if (!client->missing)
                return 0;
        TAILQ_FOREACH (call, &client->calls, entry)
                if (call->missed)
                        break;
        if (!call) {
                client->missing = false;
                return 0;
        }
        call->missed = false;
        if (overflow_new(&reply.message) != 0)
                return client_end(client, -ENOMEM, "no memory to tell that events were missed");
        r = call->handler ? call->handler(client, &reply, call->userdata) : 0;
        return r < 0 ? r : 1;
}

/* ---- dialling ---- */

int client_give_up(reuse_client *client) {
        _cleanup_(reuse_error_freep) reuse_error *error = ptr_take(client->refusal);

        if (client->state == CLIENT_RESUMING && !error)
                return client_end(client, -ECONNRESET,
                                  "the broker hung up, and the next one at %s does not answer",
                                  client->address.sun_path);
        if (!error)
                (void)client_dial_error(client, client->dial_fault ?: -ETIMEDOUT, &error);
        return client_end(client, -ECONNRESET, "the broker hung up, and none has come back in time: %s",
                          reuse_error_get_message(error));
}

int client_redial(reuse_client *client) {
        int r;

        if (client_now() >= client->until)
                return client_give_up(client);
        r = client_dial(client);
        if (r < 0) {
                /* Whatever it is, it may pass: the next broker makes its socket anew. */
                client->dial_fault = r;
                client_back_off(client);
                return 0;
        }
        if (r > 0) {
                client->dial_fault = 0;
                client->greeted = false;
                client->state = CLIENT_RESUMING;
        }
        return r;
}
