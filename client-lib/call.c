/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Calls: queued ones, the same ones waited for, and one-liners that connect for a single call.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-lib/internal.h"

enum {
        METHOD_TEXT_MAX = 256,
};

#define INTERFACE_PREFIX "io.reuseportd."

/* What a waiting call gets. */
typedef struct Answer {
        bool done;
        int number;
        reuse_error *error;
        reuse_sockets *sockets;
        Message *message;
} Answer;

/* But for the error, which has gone to the caller. */
static void answer_deinit(Answer *answer) {
        reuse_sockets_free(answer->sockets);
        message_free(answer->message);
}

static int answer_fill(reuse_client *client, reuse_reply *reply, void *userdata) {
        Answer *answer = userdata;

        (void)client;
        answer->done = true;
        answer->number = reply->number;
        answer->error = ptr_take(reply->error);
        answer->sockets = ptr_take(reply->sockets);
        answer->message = ptr_take(reply->message);
        return 0;
}

int call_refused(int number, reuse_error **ret_error) {
        switch (number) {
        case -ENOTCONN:
                return reuse_error_set(ret_error, number, "the connection to the broker has ended");
        case -E2BIG:
                return reuse_error_set(ret_error, number,
                                       "the call is longer than the %d bytes that the broker takes",
                                       CALL_SIZE_MAX);
        case -EINVAL:
                return reuse_error_set(ret_error, number, "the method or its parameters are not valid");
        default:
                return reuse_error_set(ret_error, number, "the call cannot be sent: %s",
                                       strerrordesc_np(-number));
        }
}

/*
 * Makes a call and waits. The answer is the caller's also when it is an error. It always comes: at the
 * latest when the deadline of the call ends the connection.
 */
static int client_ask_wait(reuse_client *client, Question *question, Answer *answer,
                           reuse_error **ret_error) {
        int r;

        question->handler = answer_fill;
        question->userdata = answer;
        r = client_ask(client, question);
        if (r < 0)
                return call_refused(r, ret_error);
        r = client_await_first(client);
        while (!answer->done) {
                if (r == 0)
                        r = reuse_client_wait(client, UINT64_MAX);
                if (r > 0)
                        (void)reuse_client_process(client); /* the handler is told of the end, too */
                else if (r < 0 && r != -EINTR)
                        (void)client_end(client, r, "cannot wait for the broker: %s",
                                         strerrordesc_np(-r));
                r = 0;
        }
        if (ret_error)
                *ret_error = answer->error;
        else
                reuse_error_free(answer->error);
        return answer->number;
}

/* ---- any method ---- */

/* Writes the name with its interface. */
static int method_qualify(const char *method, char buffer[static METHOD_TEXT_MAX]) {
        int n;

        if (!method || !*method || !text_is_utf8(method))
                return -EINVAL;
        n = snprintf(buffer, METHOD_TEXT_MAX, "%s%s", strchr(method, '.') ? "" : INTERFACE_PREFIX,
                     method);
        return n >= 0 && n < METHOD_TEXT_MAX ? 0 : -EINVAL;
}

_public_ int reuse_client_call_async(reuse_client *client, const char *method, const char *parameters,
                                     uint32_t flags, reuse_handler handler, void *userdata) {
        char name[METHOD_TEXT_MAX];
        Question question = {
                .call = { .method = name, .more = flags & REUSE_CALL_MORE },
                .text = parameters,
                .handler = handler,
                .userdata = userdata,
        };
        int r;

        if (!client || flags & ~REUSE_CALL_MORE)
                return -EINVAL;
        r = method_qualify(method, name);
        return r < 0 ? r : client_ask(client, &question);
}

_public_ int reuse_client_call(reuse_client *client, const char *method, const char *parameters,
                               char **ret_parameters, reuse_error **ret_error) {
        char name[METHOD_TEXT_MAX];
        Question question = { .call = { .method = name }, .text = parameters };
        _cleanup_(answer_deinit) Answer answer = { 0 };
        int r;

        reuse_error_clear(ret_error);
        r = client ? method_qualify(method, name) : -EINVAL;
        if (r < 0)
                return call_refused(r, ret_error);
        r = client_ask_wait(client, &question, &answer, ret_error);
        return r == 0 && ret_parameters ? message_parameters_text(answer.message, ret_parameters) : r;
}

int client_fetch(reuse_client *client, WireMethodId id, const void *in, Message **ret_message,
                 reuse_error **ret_error) {
        const WireMethod *method = &wire_methods[id];
        Question question = { .call = { .method = method->name }, .record = method->in, .value = in };
        _cleanup_(answer_deinit) Answer answer = { 0 };
        int r = client_ask_wait(client, &question, &answer, ret_error);

        if (r == 0 && ret_message)
                *ret_message = ptr_take(answer.message);
        return r;
}

int client_tell(reuse_client *client, WireMethodId id, const void *in, reuse_error **ret_error) {
        return client_fetch(client, id, in, NULL, ret_error);
}

/* ---- Acquire ---- */

/* @in is filled from @request, and @ret borrows it. */
static void acquire_prepare(const reuse_request *request, int lifetime, AcquireIn *in, Question *ret) {
        const WireMethod *method = &wire_methods[WIRE_METHOD_ACQUIRE];

        *in = (AcquireIn){
                .sockets = { .items = (void *)request->sockets, .n = request->n },
                .lifetime = lifetime,
        };
        *ret = (Question){
                .call = { .method = method->name },
                .record = method->in,
                .value = in,
                .n_sockets = request->n,
        };
}

_public_ int reuse_client_acquire_async(reuse_client *client, const reuse_request *request,
                                        reuse_handler handler, void *userdata) {
        Question question;
        AcquireIn in;

        if (!client || !request || request->n == 0)
                return -EINVAL;
        acquire_prepare(request, request->lifetime, &in, &question);
        question.handler = handler;
        question.userdata = userdata;
        return client_ask(client, &question);
}

static int client_acquire(reuse_client *client, const reuse_request *request, int lifetime,
                          reuse_sockets **ret_sockets, reuse_error **ret_error) {
        _cleanup_(answer_deinit) Answer answer = { 0 };
        Question question;
        AcquireIn in;
        int r;

        acquire_prepare(request, lifetime, &in, &question);
        r = client_ask_wait(client, &question, &answer, ret_error);
        if (r == 0)
                *ret_sockets = ptr_take(answer.sockets);
        return r;
}

static int acquire_refused(reuse_error **ret_error) {
        return reuse_error_set(ret_error, -EINVAL, "a request with at least one socket is needed");
}

_public_ int reuse_client_acquire(reuse_client *client, const reuse_request *request,
                                  reuse_sockets **ret_sockets, reuse_error **ret_error) {
        reuse_error_clear(ret_error);
        if (!client || !request || request->n == 0 || !ret_sockets)
                return acquire_refused(ret_error);
        return client_acquire(client, request, request->lifetime, ret_sockets, ret_error);
}

/* ---- one line ---- */

_public_ int reuse_acquire(reuse_request *request, reuse_sockets **ret_sockets,
                           reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *client = NULL;
        int r;

        reuse_error_clear(ret_error);
        if (!request || request->n == 0 || !ret_sockets)
                return acquire_refused(ret_error);
        r = reuse_request_resolve(request, ret_error);
        if (r < 0)
                return r;
        r = reuse_client_connect(NULL, &client, ret_error);
        if (r < 0)
                return r;
        return client_acquire(client, request, LIFETIME_PROCESS, ret_sockets, ret_error);
}

/* Networks that this library knows nothing of are left to the broker to judge. */
static bool network_is(const char *network, const char *const names[]) {
        size_t n = strcspn(network, ":");

        if (n > 0 && (network[n - 1] == '4' || network[n - 1] == '6'))
                n--;
        for (size_t i = 0; names[i]; i++)
                if (strlen(names[i]) == n && strncmp(names[i], network, n) == 0)
                        return true;
        return false;
}

static int listen_one(const char *network, const char *address, const char *options,
                      reuse_error **ret_error) {
        _cleanup_(reuse_request_freep) reuse_request *request = NULL;
        _cleanup_(reuse_sockets_freep) reuse_sockets *sockets = NULL;
        int r;

        r = reuse_request_new(&request);
        if (r < 0)
                return r;
        r = reuse_request_add(request, network, address);
        if (r == -EINVAL)
                return reuse_error_set(ret_error, r, "a network and an address are needed, in UTF-8");
        if (r < 0)
                return r;
        r = reuse_request_set_list(request, options, ret_error);
        if (r < 0)
                return r;
        r = reuse_acquire(request, &sockets, ret_error);
        return r < 0 ? r : reuse_sockets_take_fd(sockets, 0);
}

_public_ int reuse_listen(const char *network, const char *address, const char *options,
                          reuse_error **ret_error) {
        static const char *const packets[] = { "udp", "unixgram", "udplite", "ip", NULL };

        reuse_error_clear(ret_error);
        if (network && network_is(network, packets))
                return reuse_error_set(ret_error, -EPROTONOSUPPORT,
                                       "%s has packets, not connections: use reuse_listen_packet()",
                                       network);
        return listen_one(network, address, options, ret_error);
}

_public_ int reuse_listen_packet(const char *network, const char *address, const char *options,
                                 reuse_error **ret_error) {
        static const char *const streams[] = { "tcp",  "unix",  "unixpacket", "mptcp",
                                               "sctp", "vsock", NULL };

        reuse_error_clear(ret_error);
        if (network && network_is(network, streams))
                return reuse_error_set(ret_error, -EPROTONOSUPPORT,
                                       "%s has connections, not packets: use reuse_listen()", network);
        return listen_one(network, address, options, ret_error);
}
