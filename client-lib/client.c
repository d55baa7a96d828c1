/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One connection. Calls wait in a queue for their answers, which come in the same order; so whatever
 * breaks the order, a lost answer or one too many, ends the connection, and every call under way learns
 * of it. Nothing here blocks but client_await_first().
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "build-config.h"
#include "client-lib/internal.h"

#define USEC_PER_SEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

_public_ const char *reuse_version(void) {
        return PROJECT_VERSION;
}

uint64_t client_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC;
}

uint64_t client_deadline(uint64_t start, uint64_t timeout) {
        return timeout > UINT64_MAX - start ? UINT64_MAX : start + timeout;
}

/* All that serves to come back from a hang-up. */
static void client_deinit_return(reuse_client *client) {
        holdings_free(client);
        notices_free(client);
        client->refusal = reuse_error_free(client->refusal);
}

_public_ reuse_client *reuse_client_free(reuse_client *client) {
        PendingCall *call;

        if (!client)
                return NULL;
        outgoings_leave(client);
        while ((call = TAILQ_FIRST(&client->calls))) {
                TAILQ_REMOVE(&client->calls, call, entry);
                pending_call_unref(call);
        }
        client_deinit_return(client);
        channel_deinit(&client->channel);
        message_buffer_deinit(&client->buffer);
        fd_close(client->poll_fd);
        free(client);
        return NULL;
}

_public_ void reuse_client_set_timeout(reuse_client *client, uint64_t usec) {
        if (client)
                client->timeout = usec;
}

/* ---- asking ---- */

int client_encode(reuse_client *client, const Question *question) {
        int r;

        if (question->record)
                r = message_encode_call(&client->buffer, &question->call, question->record,
                                        question->value);
        else
                r = message_encode_call_text(&client->buffer, &question->call, question->text);
        if (r != 0)
                return r > 0 ? -EINVAL : r == -EMSGSIZE ? -E2BIG : r;
        /* The broker would hang up on it, and on the other calls. */
        return client->buffer.n > CALL_SIZE_MAX ? -E2BIG : 0;
}

void client_send(reuse_client *client, const char *data, size_t n) {
        int r;

        if (client->unsendable || client->fault < 0)
                return;
        r = channel_send(&client->channel, data, n, NULL);
        if (r == CHANNEL_E_EOF)
                client->unsendable = true;
        else if (r < 0)
                client->fault = r;
        client_arm(client);
}

int client_ask(reuse_client *client, const Question *question) {
        PendingCall *call;
        int r;

        if (client->state == CLIENT_ENDED || client->state == CLIENT_ALONE)
                return -ENOTCONN;
        r = client_encode(client, question);
        if (r < 0)
                return r;
        r = pending_call_new(question, &client->buffer, &call);
        if (r < 0)
                return r;
        call->deadline = call->more ? UINT64_MAX : client_deadline(client_now(), client->timeout);
        TAILQ_INSERT_TAIL(&client->calls, call, entry);
        client->asked = true;
        if (client->state == CLIENT_OPEN)
                client_send(client, call->frame, call->n_frame);
        return 0;
}

void client_send_held(reuse_client *client) {
        PendingCall *call;

        TAILQ_FOREACH (call, &client->calls, entry)
                client_send(client, call->frame, call->n_frame);
}

/* ---- answers ---- */

int client_end(reuse_client *client, int number, const char *format, ...) {
        _cleanup_(reuse_error_freep) reuse_error *why = NULL;
        PendingCall *call;
        va_list arguments;

        client->state = CLIENT_ENDED;
        va_start(arguments, format);
        why = reuse_error_newv(number, format, arguments);
        va_end(arguments);
        /* They have descriptors in the same epoll, and calls under way. */
        outgoings_end(client, number, why);
        client_disarm(client);
        client->poll_fd = fd_close(client->poll_fd);
        channel_deinit(&client->channel);
        while ((call = TAILQ_FIRST(&client->calls))) {
                _cleanup_(reply_deinit) reuse_reply reply = { .number = number };
                reuse_handler handler = call->handler;
                void *userdata = call->userdata;

                bool skipped = !handler || call->internal;

                TAILQ_REMOVE(&client->calls, call, entry);
                pending_call_unref(call);
                if (skipped)
                        continue;
                reply.error = reuse_error_copy(why);
                handler(client, &reply, userdata);
        }
        outgoings_tell_all(client);
        client_deinit_return(client);
        return number;
}

/* A reply that no call asked for: a broker refuses a connection so, before it hangs up. */
static int client_unasked(reuse_client *client, const reuse_reply *reply) {
        if (!client->asked && reply->number < 0)
                return client_end(client, reply->number, "%s", reuse_error_get_message(reply->error));
        return client_end(client, -EPROTO, "the broker sent an answer to nothing");
}

/* Descriptors and message together: what the call may have, and nothing more. */
static int client_claim(reuse_client *client, const PendingCall *call, reuse_reply *reply) {
        int r = 0;

        if (call->method == WIRE_METHOD_ACQUIRE && reply->number == 0)
                r = sockets_new(reply->message, call->n_sockets, &client->channel.in_fds,
                                &reply->sockets);
        else if (call->method == WIRE_METHOD_DIAL && reply->number == 0)
                r = sockets_claim_dialled(reply->message, &client->channel.in_fds, &reply->fds);
        switch (r) {
        case 0:
                break;
        case SOCKETS_E_MALFORMED:
                return client_end(client, -EPROTO, "the broker's answer does not %s",
                                  call->method == WIRE_METHOD_DIAL ? "describe a socket"
                                                                   : "list the sockets asked for");
        case SOCKETS_E_DESCRIPTORS:
                return client_end(client, -EPROTO,
                                  "the broker's answer and the descriptors beside it do not agree");
        case SOCKETS_E_COOKIE:
                return client_end(client, -EBADMSG, "a descriptor is not what the broker named");
        default:
                return client_end(client, r, "no memory for the sockets");
        }
        /* With more bytes in the channel, they may belong to the next reply. */
        if (client->channel.in_fds.n > 0 && !client->unread)
                return client_end(client, -EPROTO, "the broker sent a descriptor that no answer names");
        return 0;
}

/* Parses one frame. Returns 0, or ends the connection. */
static int client_parse(reuse_client *client, const char *frame, size_t n, reuse_reply *ret) {
        char reason[MESSAGE_TEXT_MAX] = "";
        Reply envelope;
        int r;

        r = message_parse(frame, n, &ret->message, reason);
        if (r < 0)
                return client_end(client, r, "no memory for the answer");
        if (r > 0)
                return client_end(client, -EPROTO, "the broker's answer is not JSON: %s", reason);
        r = message_reply(ret->message, &envelope);
        if (r != 0 || (envelope.error && (!*envelope.error || envelope.continues)))
                return client_end(client, -EPROTO, "the broker's answer is not Varlink");
        ret->continues = envelope.continues;
        if (envelope.error)
                ret->number = reuse_error_from_reply(ret->message, envelope.error, &ret->error);
        return 0;
}

/* Gives one frame to its call. Returns 1, or a negative errno. */
static int client_dispatch(reuse_client *client, const char *frame, size_t n) {
        _cleanup_(reply_deinit) reuse_reply reply = { 0 };
        PendingCall *call = TAILQ_FIRST(&client->calls);
        reuse_handler handler;
        void *userdata;
        int r;

        r = client_parse(client, frame, n, &reply);
        if (r < 0)
                return r;
        if (!call)
                return client_unasked(client, &reply);
        if (reply.continues && !call->more)
                return client_end(client, -EPROTO,
                                  "the broker's answer goes on where one was asked for");
        r = client_claim(client, call, &reply);
        if (r < 0)
                return r;
        r = reply.number == 0 ? holdings_note(client, call, &reply) : 0;
        if (r < 0)
                return client_end(client, r, "no memory to note the leases");

        handler = call->handler;
        userdata = call->userdata;
        /* Before the handler: it may make calls of its own, and wait for them. */
        if (!reply.continues) {
                TAILQ_REMOVE(&client->calls, call, entry);
                pending_call_unref(call);
        }
        r = handler ? handler(client, &reply, userdata) : 0;
        return r < 0 ? r : 1;
}

int client_dispatch_next(reuse_client *client) {
        char *frame;
        size_t n;

        if (!client->unread)
                return 0;
        switch (channel_next(&client->channel, &frame, &n)) {
        case 0:
                client->unread = frame_reader_pending(&client->channel.in) > 0;
                return client_dispatch(client, frame, n);
        case CHANNEL_E_AGAIN:
                client->unread = false;
                return 0;
        default:
                return client_end(client, -EPROTO, "the broker's answer is too long");
        }
}

int client_receive(reuse_client *client, bool wait) {
        int r;

        r = channel_receive(&client->channel, wait);
        switch (r) {
        case 0:
                client->unread = true;
                /* So many no reply can have: a broker that goes mad must not fill our table. */
                if (client->channel.in_fds.n > SOCKETS_MAX + 1)
                        return client_end(client, -EPROTO, "the broker sent too many descriptors");
                return 1;
        case CHANNEL_E_AGAIN:
                return 0;
        case CHANNEL_E_EOF:
                return client_lose(client);
        case CHANNEL_E_OVERSIZED:
                return client_end(client, -EPROTO, "the broker's answer is too long");
        case CHANNEL_E_DESCRIPTORS:
                return client_end(client, -EMFILE,
                                  "descriptors from the broker were lost: raise the limit of open files "
                                  "(RLIMIT_NOFILE), or see what the security module says");
        default:
                return client_end(client, r, "cannot read from the broker: %s", strerrordesc_np(-r));
        }
}

/* Makes reading wait, for as long as the connection's timeout. */
static bool client_be_patient(reuse_client *client) {
        struct timeval timeout = { 0 }; /* for ever */
        int flags;

        if (client->patient && client->patience == client->timeout)
                return true;
        if (client->timeout == 0)
                return false;
        if (client->timeout != REUSE_TIMEOUT_INFINITE) {
                timeout.tv_sec = (time_t)(client->timeout / USEC_PER_SEC);
                timeout.tv_usec = (suseconds_t)(client->timeout % USEC_PER_SEC);
        }
        flags = fcntl(client->channel.fd, F_GETFL);
        if (flags < 0 || fcntl(client->channel.fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
            setsockopt(client->channel.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return false;
        client->patience = client->timeout;
        return client->patient = true;
}

int client_await_first(reuse_client *client) {
        PendingCall *call = TAILQ_FIRST(&client->calls);
        /* Preparing costs what one call would save: it is worth it from the second on. */
        bool again = client->waited;

        client->waited = true;
        if (!again || client->state != CLIENT_OPEN || !TAILQ_EMPTY(&client->outgoings) ||
            client->unread || client->unsendable || client->fault < 0 ||
            channel_pending(&client->channel) > 0 || !call || TAILQ_NEXT(call, entry) ||
            !client_be_patient(client))
                return 0;
        return client_receive(client, true);
}
