/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The leases that were acquired over a connection, until their Release. A lease lives as long as the
 * connection or the process, whatever became of the object that brought it, so they are noted here: to
 * be taken up again with the next broker, or else to be asked for once more. Not so those that live as
 * long as a descriptor.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/holdings.h"

Holding *holding_free(Holding *holding) {
        if (!holding)
                return NULL;
        pending_call_unref(holding->call);
        free(holding->socket);
        free(holding);
        return NULL;
}

Holding *holdings_find(const reuse_client *client, const char *lease) {
        Holding *holding;

        HASH_FIND_STR(client->holdings, lease, holding);
        return holding;
}

void holdings_detach(reuse_client *client, Holding *holding) {
        HASH_DEL(client->holdings, holding);
}

void holdings_remove(reuse_client *client, Holding *holding) {
        holdings_detach(client, holding);
        holding_free(holding);
}

void holdings_free(reuse_client *client) {
        Holding *holding, *next;

        HASH_ITER (hh, client->holdings, holding, next)
                holdings_remove(client, holding);
        client->replacing = holding_free(client->replacing);
}

int holdings_attach(reuse_client *client, Holding *holding) {
        const char *lease = holding->socket->lease;
        Holding *old = holdings_find(client, lease);

        /* Of two leases of one name, only the later can be meant. */
        if (old)
                holdings_remove(client, old);
        HASH_ADD_KEYPTR(hh, client->holdings, lease, strlen(lease), holding);
        if (holding->hh.tbl)
                return 0;
        holding_free(holding);
        return -ENOMEM;
}

static int holdings_add(reuse_client *client, PendingCall *call, size_t index,
                        const SocketReply *socket) {
        _cleanup_(holding_freep) Holding *holding = calloc(1, sizeof(*holding));
        SocketReply known = {
                .lease = socket->lease,
                .endpoint = "",
                .cookie = socket->cookie,
                .network = socket->network,
                .address = socket->address,
        };
        void *copy;
        int r;

        if (!holding)
                return -ENOMEM;
        r = wire_copy(&wire_socket, &known, &copy);
        if (r < 0)
                return r;
        holding->socket = copy;
        holding->call = pending_call_ref(call);
        holding->index = index;
        holding->weight = WIRE_ABSENT;
        return holdings_attach(client, ptr_take(holding));
}

int holdings_doubt(reuse_client *client) {
        Holding *replacing = ptr_take(client->replacing);
        int r = replacing ? holdings_attach(client, replacing) : 0;

        for (Holding *holding = client->holdings; holding; holding = holding->hh.next)
                holding->state = HOLDING_UNSURE;
        return r;
}

/* ---- what calls change ---- */

static int holdings_note_acquired(reuse_client *client, PendingCall *call, const AcquireOut *out) {
        const SocketReply *sockets = out->sockets.items;

        /* They are whose the descriptor is, which may be another process: there is nothing to take up
         * again, and who has given it away has nothing to acquire anew. */
        if (out->lifetime_file_descriptor != WIRE_ABSENT)
                return 0;
        for (size_t i = 0; i < out->sockets.n; i++) {
                int r = holdings_add(client, call, i, &sockets[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void holding_note(reuse_client *client, Holding *holding, int method, int64_t weight) {
        switch (method) {
        case WIRE_METHOD_RELEASE:
                holdings_remove(client, holding);
                break;
        case WIRE_METHOD_READY:
                holding->ready = true;
                holding->draining = false;
                break;
        case WIRE_METHOD_DRAIN:
                holding->draining = true;
                break;
        case WIRE_METHOD_SET_WEIGHT:
                holding->weight = weight;
                break;
        }
}

static int holdings_note_told(reuse_client *client, const PendingCall *call) {
        _cleanup_(message_freep) Message *message = NULL;
        /* Begins as LeasesIn does. */
        SetWeightIn in = { .weight = WIRE_ABSENT };
        const char *const *leases;
        int r;

        r = pending_call_decode(call, &message, &in);
        if (r != 0)
                return r < 0 ? r : 0;
        leases = in.leases.items;
        for (size_t i = 0; i < in.leases.n; i++) {
                Holding *holding = holdings_find(client, leases[i]);

                if (holding)
                        holding_note(client, holding, call->method, in.weight);
        }
        return 0;
}

int holdings_note(reuse_client *client, PendingCall *call, const reuse_reply *reply) {
        switch (call->method) {
        case WIRE_METHOD_ACQUIRE:
                return holdings_note_acquired(client, call, sockets_describe(reply->sockets));
        case WIRE_METHOD_RELEASE:
        case WIRE_METHOD_READY:
        case WIRE_METHOD_DRAIN:
        case WIRE_METHOD_SET_WEIGHT:
                return client->holdings ? holdings_note_told(client, call) : 0;
        default:
                return 0;
        }
}

/* ---- what is asked for again ---- */

int holding_lifetime(const Holding *holding, int *ret) {
        _cleanup_(message_freep) Message *message = NULL;
        AcquireIn in = { .lifetime = -1 };
        int r;

        r = pending_call_decode(holding->call, &message, &in);
        if (r < 0)
                return r;
        *ret = in.lifetime;
        return 0;
}

int holding_request(const Holding *holding, Message **ret_message, SocketRequest *ret,
                    int *ret_lifetime) {
        _cleanup_(message_freep) Message *message = NULL;
        AcquireIn in;
        int r;

        r = pending_call_decode(holding->call, &message, &in);
        if (r < 0)
                return r;
        if (r > 0 || holding->index >= in.sockets.n)
                return HOLDING_E_UNKNOWN;
        *ret = ((const SocketRequest *)in.sockets.items)[holding->index];
        /* Where it was, and not at some other port: others have been told of that one. */
        ret->network = holding->socket->network;
        ret->address = holding->socket->address;
        ret->same_port_as = WIRE_ABSENT;
        if (holding->ready)
                ret->standby = TRISTATE_ABSENT;
        if (holding->weight != WIRE_ABSENT)
                ret->weight = holding->weight;
        *ret_lifetime = in.lifetime;
        *ret_message = ptr_take(message);
        return 0;
}

/* ---- calls under way ---- */

/* Takes @lease out of a Release. Returns 1, 0 if it is not in there, or -ENOMEM. */
static int release_trim(reuse_client *client, PendingCall *call, const char *lease) {
        _cleanup_(message_freep) Message *message = NULL;
        const WireMethod *method = &wire_methods[WIRE_METHOD_RELEASE];
        Question question = {
                .call = { .method = method->name },
                .record = method->in,
                .handler = call->handler,
                .userdata = call->userdata,
        };
        PendingCall *shorter;
        const char **leases;
        size_t n = 0;
        LeasesIn in;
        int r;

        r = pending_call_decode(call, &message, &in);
        if (r != 0)
                return r < 0 ? r : 0;
        leases = in.leases.items;
        for (size_t i = 0; i < in.leases.n; i++)
                if (strcmp(leases[i], lease) != 0)
                        leases[n++] = leases[i];
        if (n == in.leases.n)
                return 0;
        in.leases.n = n;
        question.value = &in;
        r = client_encode(client, &question);
        if (r == 0)
                r = pending_call_new(&question, &client->buffer, &shorter);
        if (r != 0)
                return r;
        shorter->deadline = call->deadline;
        shorter->n_losses = call->n_losses;
        shorter->failed = call->failed;
        TAILQ_INSERT_BEFORE(call, shorter, entry);
        TAILQ_REMOVE(&client->calls, call, entry);
        pending_call_unref(call);
        return 1;
}

int client_release_trim(reuse_client *client, const char *lease) {
        PendingCall *call = TAILQ_FIRST(&client->calls);
        bool trimmed = false;

        while (call) {
                PendingCall *next = TAILQ_NEXT(call, entry);

                if (call->method == WIRE_METHOD_RELEASE) {
                        int r = release_trim(client, call, lease);

                        if (r < 0)
                                return r;
                        trimmed |= r > 0;
                }
                call = next;
        }
        return trimmed;
}
