/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is said to the next broker before the program's own calls: Resume of all that is held, as many
 * calls as that takes, and Acquire for each lease that it does not know. One at a time, at the head of
 * the queue; if the connection is lost meanwhile, all of it begins again.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/holdings.h"

/* Asks before everything that is in the queue. */
static int client_ask_first(reuse_client *client, Question *question) {
        PendingCall *call;
        int r;

        r = client_encode(client, question);
        if (r < 0)
                return r;
        r = pending_call_new(question, &client->buffer, &call);
        if (r < 0)
                return r;
        call->internal = true;
        call->deadline = UINT64_MAX; /* client->until holds */
        TAILQ_INSERT_HEAD(&client->calls, call, entry);
        client_send(client, call->frame, call->n_frame);
        return 0;
}

static int resume_failed(reuse_client *client, int number) {
        return client_end(client, number, "cannot take up the leases again: %s",
                          strerrordesc_np(-number));
}

/*
 * An answer from the next broker. One that is full at first, of clients that all come back at once, may
 * have room later. Returns 0, or 1 if this connection is of no use.
 */
static int resume_heard(reuse_client *client, reuse_reply *reply) {
        if (reply->number == -EDQUOT && !client->greeted) {
                reuse_error_free(client->refusal);
                client->refusal = ptr_take(reply->error);
                return client_lose(client);
        }
        client->greeted = true;
        client->until = client_deadline(client_now(), client->reconnect);
        return 0;
}

/* ---- Resume ---- */

static Holding *holdings_first(const reuse_client *client, HoldingState state) {
        Holding *holding = client->holdings;

        while (holding && holding->state != state)
                holding = holding->hh.next;
        return holding;
}

/* Each of @leases was asked for, and is told of once. */
static int resume_sort(reuse_client *client, const WireList *leases, HoldingState state) {
        for (size_t i = 0; i < leases->n; i++) {
                const char *lease = ((const char *const *)leases->items)[i];
                Holding *holding = holdings_find(client, lease);
                int r;

                if (!holding || holding->state != HOLDING_ASKED)
                        return client_end(client, -EPROTO,
                                          "the broker tells of a lease that it was not asked about");
                holding->state = state;
                if (state != HOLDING_HELD || holding->told)
                        continue;
                holding->told = true;
                r = notice_add(client, REUSE_NOTICE_RESUMED, lease, NULL, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int resume_read(reuse_client *client, Message *message) {
        ResumeOut out;
        int r;

        r = message_decode(message, wire_methods[WIRE_METHOD_RESUME].out, false, &out);
        if (r < 0)
                return resume_failed(client, r);
        if (r > 0)
                return client_end(client, -EPROTO,
                                  "the broker's answer does not say which leases go on");
        r = resume_sort(client, &out.resumed, HOLDING_HELD);
        return r < 0 ? r : resume_sort(client, &out.lost, HOLDING_LOST);
}

static int resume_answered(reuse_client *client, reuse_reply *reply, void *userdata) {
        Holding *holding;
        int r;

        (void)userdata;
        r = resume_heard(client, reply);
        if (r != 0)
                return r;
        if (reply->number == 0) {
                r = resume_read(client, reply->message);
                if (r < 0)
                        return r;
        }
        /* A broker that does not resume, or does not tell of a lease, does not know it. */
        while ((holding = holdings_first(client, HOLDING_ASKED)))
                holding->state = HOLDING_LOST;
        return 0;
}

/* As many leases as one call takes, of the lifetime of the first. Returns how many, or -ENOMEM. */
static int resume_collect(Holding *holding, ResumeRequest *requests, int *ret_lifetime) {
        int lifetime, r, n = 0;

        r = holding_lifetime(holding, ret_lifetime);
        for (; r == 0 && holding && n < LEASES_PER_CALL_MAX; holding = holding->hh.next) {
                if (holding->state != HOLDING_UNSURE)
                        continue;
                r = holding_lifetime(holding, &lifetime);
                if (r == 0 && lifetime == *ret_lifetime)
                        requests[n++] = (ResumeRequest){
                                .lease = holding->socket->lease,
                                .cookie = holding->socket->cookie,
                        };
        }
        return r < 0 ? r : n;
}

static int resume_ask(reuse_client *client, Holding *first) {
        const WireMethod *method = &wire_methods[WIRE_METHOD_RESUME];
        _cleanup_(freep) ResumeRequest *requests = calloc(LEASES_PER_CALL_MAX, sizeof(*requests));
        ResumeIn in = { .leases = { .items = requests } };
        Question question = {
                .call = { .method = method->name },
                .record = method->in,
                .value = &in,
                .handler = resume_answered,
        };
        int n, r;

        n = requests ? resume_collect(first, requests, &in.lifetime) : -ENOMEM;
        if (n < 0)
                return resume_failed(client, n);
        in.leases.n = (size_t)n;
        /* Long names make a long call. */
        while ((r = client_ask_first(client, &question)) == -E2BIG && in.leases.n > 1)
                in.leases.n /= 2;
        if (r < 0)
                return resume_failed(client, r);
        for (size_t i = 0; i < in.leases.n; i++)
                holdings_find(client, requests[i].lease)->state = HOLDING_ASKED;
        return 1;
}

/* ---- without leases ---- */

static int greeting_answered(reuse_client *client, reuse_reply *reply, void *userdata) {
        (void)userdata;
        return resume_heard(client, reply);
}

/* A broker that refuses the connection answers the first call, which must not be the program's. */
static int resume_greet(reuse_client *client) {
        const WireMethod *method = &wire_methods[WIRE_METHOD_GET_INFO];
        Question question = {
                .call = { .method = method->name },
                .record = method->in,
                .handler = greeting_answered,
        };
        int r = client_ask_first(client, &question);

        return r < 0 ? resume_failed(client, r) : 1;
}

/* ---- Acquire ---- */

/* Whether what has the address may be the old socket, which is nobody's but the program's now. */
static bool replace_blocked(const Holding *holding, const reuse_reply *reply) {
        const Record *record = wire_errors[WIRE_ERROR_ADDRESS_IN_USE].parameters;
        ErrorParameters parameters;

        return reply->number == -EADDRINUSE && !holding->in_way &&
               message_decode(reply->message, record, false, &parameters) == 0 && !parameters.holder;
}

/* A socket that is no member of a group is alone at its address: it has to go first. */
static int replace_once_closed(reuse_client *client, Holding *holding) {
        int r;

        holding->in_way = true;
        holding->state = HOLDING_LOST;
        r = notice_add(client, REUSE_NOTICE_CLOSE, holding->socket->lease, NULL, NULL);
        if (r < 0) {
                holding_free(holding);
                return r;
        }
        r = holdings_attach(client, holding);
        return r < 0 ? resume_failed(client, r) : 0;
}

static int replace_answered(reuse_client *client, reuse_reply *reply, void *userdata) {
        _cleanup_(holding_freep) Holding *old = NULL;
        int r;

        (void)userdata;
        r = resume_heard(client, reply);
        if (r != 0)
                return r;
        old = ptr_take(client->replacing);
        if (replace_blocked(old, reply))
                return replace_once_closed(client, ptr_take(old));
        if (reply->number < 0)
                r = notice_add(client, REUSE_NOTICE_GONE, old->socket->lease, NULL,
                               ptr_take(reply->error));
        else
                r = notice_add(client, REUSE_NOTICE_REPLACED, old->socket->lease,
                               ptr_take(reply->sockets), NULL);
        return r;
}

static int replace_ask(reuse_client *client, Holding *holding) {
        const WireMethod *method = &wire_methods[WIRE_METHOD_ACQUIRE];
        _cleanup_(message_freep) Message *message = NULL;
        SocketRequest request;
        AcquireIn in = { .sockets = { .items = &request, .n = 1 } };
        Question question = {
                .call = { .method = method->name },
                .record = method->in,
                .value = &in,
                .n_sockets = 1,
                .handler = replace_answered,
        };
        int r;

        r = holding_request(holding, &message, &request, &in.lifetime);
        return r != 0 ? r : client_ask_first(client, &question);
}

/* Says that @lost is gone, and why. */
static int replace_refused(reuse_client *client, Holding *lost, int number, const char *why) {
        _cleanup_(holding_freep) Holding *holding = lost;

        return notice_add(client, REUSE_NOTICE_GONE, holding->socket->lease, NULL,
                          reuse_error_new(number, "%s", why));
}

/*
 * One lease that the broker does not know. Returns 0, or ends the connection: so a program without a
 * handler, which could not serve another socket, learns that it has lost one.
 */
static int replace_one(reuse_client *client, Holding *lost) {
        int r;

        r = client_release_trim(client, lost->socket->lease);
        if (r < 0)
                return resume_failed(client, r);
        if (r > 0 || (lost->draining && !client->notice_handler)) {
                holdings_remove(client, lost);
                return 0;
        }
        if (!client->notice_handler)
                return client_end(client, -ECONNRESET,
                                  "the broker hung up, and the next one does not know the lease %s",
                                  lost->socket->lease);
        holdings_detach(client, lost);
        if (lost->draining)
                return replace_refused(client, lost, -ENOENT,
                                       "it was being drained, and is not acquired anew");
        r = replace_ask(client, lost);
        if (r > 0)
                return replace_refused(client, lost, -ENOENT, "what was asked for is not known");
        client->replacing = lost;
        return r < 0 ? resume_failed(client, r) : 0;
}

/* ---- the order of it ---- */

static int resume_end(reuse_client *client) {
        PendingCall *call;
        int r;

        client->state = CLIENT_OPEN;
        client->refusal = reuse_error_free(client->refusal);
        /* They wait for an answer from here on: a late one would end the connection. */
        TAILQ_FOREACH (call, &client->calls, entry)
                if (!call->more)
                        call->deadline = client_deadline(client_now(), client->timeout);
        client_send_held(client);
        r = notice_add(client, REUSE_NOTICE_BACK, NULL, NULL, NULL);
        return r < 0 ? r : 1;
}

int client_resume(reuse_client *client) {
        PendingCall *call = TAILQ_FIRST(&client->calls);
        Holding *holding;
        int r;

        if (call && call->internal)
                return 0;
        holding = holdings_first(client, HOLDING_UNSURE);
        if (holding)
                return resume_ask(client, holding);
        if (!client->greeted)
                return resume_greet(client);
        holding = holdings_first(client, HOLDING_LOST);
        if (!holding)
                return resume_end(client);
        r = replace_one(client, holding);
        return r < 0 ? r : 1;
}
