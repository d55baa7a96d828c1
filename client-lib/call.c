/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Calls: queued ones, the same ones waited for, and one-liners that connect for a single call.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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

/* At the default broker, over a connection that is the caller's to free. */
static int acquire_at_default(reuse_request *request, reuse_client **ret_client,
                              reuse_sockets **ret_sockets, reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *client = NULL;
        int r;

        r = reuse_request_resolve(request, ret_error);
        if (r < 0)
                return r;
        r = reuse_client_connect(NULL, &client, ret_error);
        if (r < 0)
                return r;
        r = client_acquire(client, request, LIFETIME_PROCESS, ret_sockets, ret_error);
        if (r == 0)
                *ret_client = ptr_take(client);
        return r;
}

_public_ int reuse_acquire(reuse_request *request, reuse_sockets **ret_sockets,
                           reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *client = NULL;

        reuse_error_clear(ret_error);
        if (!request || request->n == 0 || !ret_sockets)
                return acquire_refused(ret_error);
        return acquire_at_default(request, &client, ret_sockets, ret_error);
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

/* What a socket is for, and who else asks for such. */
typedef struct Use {
        bool packets;
        const char *refusal;
        const char *const *others; /* networks of the other use */
} Use;

static const Use use_connections = {
        .refusal = "has packets, not connections: use reuse_listen_packet()",
        .others = (const char *const[]){ "udp", "unixgram", "udplite", "ip", NULL },
};

static const Use use_packets = {
        .packets = true,
        .refusal = "has connections, not packets: use reuse_listen()",
        .others = (const char *const[]){ "tcp", "unix", "unixpacket", "mptcp", "sctp", "vsock", NULL },
};

static bool is_for(int fd, const Use *use) {
        socklen_t size = sizeof(int);
        int type = 0;

        (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
        return use->packets == (type != SOCK_STREAM && type != SOCK_SEQPACKET);
}

static int acquire_one(reuse_request *request, const Use *use, reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *client = NULL;
        _cleanup_(reuse_sockets_freep) reuse_sockets *sockets = NULL;
        const char *lease;
        int r;

        r = acquire_at_default(request, &client, &sockets, ret_error);
        if (r < 0)
                return r;
        if (is_for(reuse_sockets_get_fd(sockets, 0), use))
                return reuse_sockets_take_fd(sockets, 0);

        /* Nobody would have it, and it would be kept for as long as this process runs. */
        fd_close(reuse_sockets_take_fd(sockets, 0));
        lease = reuse_sockets_get_lease(sockets, 0);
        (void)reuse_client_release(client, &lease, 1, NULL);
        return reuse_error_set(ret_error, -EPROTONOSUPPORT, "what the broker has for %s %s",
                               request->sockets[0].network, use->refusal);
}

static int listen_one(const char *network, const char *address, const char *options, const Use *use,
                      reuse_error **ret_error) {
        _cleanup_(reuse_request_freep) reuse_request *request = NULL;
        int r;

        reuse_error_clear(ret_error);
        if (network && network_is(network, use->others))
                return reuse_error_set(ret_error, -EPROTONOSUPPORT, "%s %s", network, use->refusal);
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
        return acquire_one(request, use, ret_error);
}

_public_ int reuse_listen(const char *network, const char *address, const char *options,
                          reuse_error **ret_error) {
        return listen_one(network, address, options, &use_connections, ret_error);
}

_public_ int reuse_listen_packet(const char *network, const char *address, const char *options,
                                 reuse_error **ret_error) {
        return listen_one(network, address, options, &use_packets, ret_error);
}
