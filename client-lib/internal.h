/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the files of the library share and its users do not see. One block per file. */

#include <stdarg.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/un.h>

#include "client-lib/reuse-client.h"
#include "proto/channel.h"
#include "proto/cleanup.h"
#include "proto/fdlist.h"
#include "proto/limits.h"
#include "proto/message.h"

/* On the definition of each function of reuse-client.h; all others stay inside the library. */
#define _public_ __attribute__((visibility("default")))

#define _printf_(text, first) __attribute__((format(printf, text, first)))

CLEANUP_DEFINE(Message, message_free)
CLEANUP_DEFINE(reuse_error, reuse_error_free)
CLEANUP_DEFINE(reuse_request, reuse_request_free)
CLEANUP_DEFINE(reuse_sockets, reuse_sockets_free)
CLEANUP_DEFINE(reuse_client, reuse_client_free)

/* ---- reuse-error.c ---- */

struct reuse_error {
        int number; /* negative */
        char *name;
        char *message;
        char *parameters;
};

/* An error of the library with its sentence; NULL for lack of memory. */
reuse_error *reuse_error_new(int number, const char *format, ...) _printf_(2, 3);
reuse_error *reuse_error_newv(int number, const char *format, va_list arguments) _printf_(2, 0);

/* Sets *@ret_error, unless @ret_error is NULL. Returns @number, for `return reuse_error_set(...)`. */
int reuse_error_set(reuse_error **ret_error, int number, const char *format, ...) _printf_(3, 4);

/* At the start of each function that has a ret_error: what success leaves there. */
static inline void reuse_error_clear(reuse_error **ret_error) {
        if (ret_error)
                *ret_error = NULL;
}

/*
 * The error of a reply. Returns its negative errno; *@ret_error is the caller's, or NULL for lack of
 * memory.
 */
int reuse_error_from_reply(Message *message, const char *name, reuse_error **ret_error);

/* Adds to its sentence, if there is memory for that. NULL is left alone. */
void reuse_error_append(reuse_error *error, const char *format, ...) _printf_(2, 3);

/* NULL of NULL, and for lack of memory. */
reuse_error *reuse_error_copy(const reuse_error *error);

/* What stands for one that there was no memory for, where NULL would mean success. */
extern const reuse_error reuse_error_no_memory;

/* ---- refusal.c ---- */

/*
 * What an error of the broker means: *@ret_text, malloc'ed, says it to people, NULL for lack of memory.
 * Returns the negative errno for programs.
 */
int refusal_explain(Message *message, const char *name, char **ret_text);

/* ---- request.c ---- */

typedef struct RequestBlock RequestBlock;

struct reuse_request {
        SocketRequest sockets[SOCKETS_MAX];
        size_t n;
        int lifetime;         /* -1: not said */
        bool is_outgoing;     /* of the other keys than those of options most are not known */
        RequestBlock *blocks; /* everything that the sockets point to */
};

/* A copy of @text that the request owns; NULL for lack of memory. */
char *request_copy(reuse_request *request, const char *text);

/* reuse_request_set() for each of "key=value,key=value". NULL stands for none. */
int reuse_request_set_list(reuse_request *request, const char *list, reuse_error **ret_error);

/* The same for the socket added last, with keys of Options and networkNamespace alone. */
int reuse_request_set_outgoing(reuse_request *request, const char *list, reuse_error **ret_error);

/* ---- resolve.c ---- */

enum {
        /* Addresses of one host that are tried. */
        RESOLVED_MAX = 16,
};

/*
 * As reuse_resolve(), but all addresses that the host has, in the order in which they are to be tried.
 * Returns how many, at least 1; the texts are the caller's to free.
 */
int addresses_resolve(const char *network, const char *address, char *texts[static RESOLVED_MAX],
                      reuse_error **ret_error);

/* ---- text.c ---- */

/* Whether JSON can hold it. */
bool text_is_utf8(const char *text);

/* A whole decimal number with an optional minus, nothing before or after it. */
bool text_to_integer(const char *text, int64_t *ret);

/* yes no true false on off 1 0 */
bool text_to_boolean(const char *text, bool *ret);

/* How many letters to change, add or drop; upper case is as good as lower case. At least 3 if it is
 * many. */
size_t text_distance(const char *a, const char *b);

/* ---- sockets.c ---- */

enum {
        _SOCKETS_E_SUCCESS,
        SOCKETS_E_MALFORMED,   /* fields are missing, or the number of sockets is wrong */
        SOCKETS_E_DESCRIPTORS, /* not as many descriptors came as are named, or their numbers are wrong
                                */
        SOCKETS_E_COOKIE,      /* a descriptor is not the socket, or the pipe, that the broker means */
};

/*
 * The sockets of a reply to Acquire, with their descriptors, which are taken out of @fds.
 * @expected: how many were asked for; 0: not known.
 * Returns 0, SOCKETS_E_* or -ENOMEM; in the latter cases the descriptors are closed.
 */
int sockets_new(Message *message, size_t expected, FDList *fds, reuse_sockets **ret);

/*
 * The descriptor of a reply to Dial, out of @fds into @ret, which is empty. Returns 0, SOCKETS_E_* or
 * -ENOMEM.
 */
int sockets_claim_dialled(Message *message, FDList *fds, FDList *ret);

/* What the broker said of them. */
const AcquireOut *sockets_describe(const reuse_sockets *sockets);

/* ---- reply.c ---- */

struct reuse_reply {
        int number; /* 0, or a negative errno */
        bool continues;
        reuse_error *error;
        Message *message; /* NULL if the library failed */
        char *parameters; /* made when asked for */
        reuse_sockets *sockets;
        FDList fds; /* of a Dial: its socket */
};

void reply_deinit(reuse_reply *reply);

/* ---- pending-call.c ---- */

typedef struct PendingCall {
        TAILQ_ENTRY(PendingCall) entry;
        reuse_handler handler;
        void *userdata;
        uint64_t deadline;
        size_t n_refs;
        int method;        /* WireMethodId; -1: one that is not known here */
        int failed;        /* negative: to be answered so, whatever the broker says */
        unsigned n_losses; /* of connections, since it was asked */
        bool more;
        bool internal; /* of the library's own: resume.c */
        bool missed;   /* of a Watch: to be told that events were missed */
        size_t n_sockets;
        size_t n_frame;
        char frame[];
} PendingCall;

typedef struct Question Question;

/* The call of @question, as it was encoded into @frame. Returns 0 or -ENOMEM. */
int pending_call_new(const Question *question, const MessageBuffer *frame, PendingCall **ret);

PendingCall *pending_call_ref(PendingCall *call);
PendingCall *pending_call_unref(PendingCall *call);

/* Its parameters, of a method that is known, which belong to *@ret_message. Returns 0, a positive
 * MESSAGE_E_* if they are not what the method takes, or -ENOMEM. */
int pending_call_decode(const PendingCall *call, Message **ret_message, void *ret);

/*
 * Whether it may be made again where nobody knows if it was served. Not Acquire for the process, whose
 * lease may be there and lasts; one for the connection went with it. Returns 1, 0 or -ENOMEM.
 */
int pending_call_repeatable(const PendingCall *call);

/* ---- client.c ---- */

typedef struct Holding Holding;

typedef enum ClientState {
        CLIENT_CONNECTING,
        CLIENT_OPEN,
        CLIENT_RECONNECTING, /* the broker hung up: the next is dialled */
        CLIENT_RESUMING,     /* it is there, and the library settles the leases with it */
        CLIENT_ALONE,        /* there is none, and none is looked for: client->refusal says why */
        CLIENT_ENDED,
} ClientState;

struct reuse_client {
        ClientState state;
        Channel channel;
        MessageBuffer buffer;
        TAILQ_HEAD(, PendingCall) calls; /* in the order in which they are answered */
        uint64_t timeout;                /* of further calls */
        int fault;                       /* negative: why the connection will be ended */
        bool asked;                      /* a call was queued once */
        bool unsendable;                 /* the broker reads no more; what it wrote is still there */
        bool unread;                     /* there may be a whole frame in the channel */
        bool waited;                     /* a call was waited for before */
        bool patient;                    /* reading may wait, as long as patience says */
        uint64_t patience;

        /* Connections to others than the broker: under way, and not told of yet */
        TAILQ_HEAD(, reuse_outgoing) outgoings, settled;
        size_t n_connecting; /* descriptors of theirs that are polled */

        /* For the loop of a program */
        int poll_fd;    /* -1: nobody has asked for it */
        uint32_t armed; /* the events that it waits for */

        /* While connecting */
        struct sockaddr_un address;
        uint64_t since;
        uint64_t retry_at;
        uint64_t backoff;
        bool queue_full; /* the broker is there, and had no room at the last try */
        bool let_in;     /* since then, while we waited */

        /* From one broker to the next */
        uint64_t reconnect;
        Holding *holdings;  /* by lease, in the order in which they came */
        Holding *replacing; /* the one whose Acquire is under way */
        STAILQ_HEAD(, reuse_notice) notices;
        reuse_notice_handler notice_handler;
        void *notice_userdata;
        bool telling;         /* the handler runs */
        bool failing;         /* there may be calls to be answered without the broker */
        bool missing;         /* there may be watches to be told */
        bool greeted;         /* the broker has answered */
        uint64_t until;       /* by when it must have */
        int dial_fault;       /* why there is no connection */
        reuse_error *refusal; /* or why there was none to keep */
};

/* CLOCK_MONOTONIC in microseconds. */
uint64_t client_now(void);

/* @start + @timeout, never less than either. */
uint64_t client_deadline(uint64_t start, uint64_t timeout);

/* One call to be made. The parameters are a struct (@record, @value) or JSON text. All is borrowed. */
struct Question {
        Call call; /* the method with its interface */
        const Record *record;
        const void *value;
        const char *text;
        size_t n_sockets; /* of an Acquire; 0: not known */
        reuse_handler handler;
        void *userdata;
};

/* The frame of a call, into the client's buffer. Returns 0, -EINVAL, -E2BIG or -ENOMEM. */
int client_encode(reuse_client *client, const Question *question);

/* Sends it, or what can be sent now. What comes of it is told by client_process(), together with what
 * the broker last wrote. */
void client_send(reuse_client *client, const char *data, size_t n);

/*
 * Queues a call and sends what can be sent now. Calls no handler.
 * Returns 0, -EINVAL (the text is no JSON object), -E2BIG (longer than the broker takes), -ENOTCONN,
 * -ENOMEM.
 */
int client_ask(reuse_client *client, const Question *question);

/*
 * Waits for the answer to the only call under way by reading it, which spares a poll. Returns 1 (process
 * now), 0 (use reuse_client_wait()), or a negative errno with the connection ended.
 */
int client_await_first(reuse_client *client);

/* Sends what was asked before there was a connection. A fault ends the connection later. */
void client_send_held(reuse_client *client);

/* Reads once, with @wait as soon as there is something. Returns 1 if something came, or the connection
 * was lost and is made anew; 0 if not, or a negative errno with the connection ended. */
int client_receive(reuse_client *client, bool wait);

/* Serves the next whole frame. Returns 1 if there was one, 0 if not, or a negative errno. */
int client_dispatch_next(reuse_client *client);

/* Ends the connection: every call under way is answered with this error. Returns @number. */
int client_end(reuse_client *client, int number, const char *format, ...) _printf_(3, 4);

/* ---- outgoing.c ---- */

/* When one must be looked at; UINT64_MAX: never. */
uint64_t outgoings_due(const reuse_client *client);

/* Does what can be done, and calls at most one handler. Returns 1 if something was, 0, or what the
 * handler returned, if negative. */
int outgoings_process(reuse_client *client);

/* The connection ends: all that are under way have failed so. They are told by the second. */
void outgoings_end(reuse_client *client, int number, const reuse_error *why);
void outgoings_tell_all(reuse_client *client);

/* Before the client is freed: nobody is told. */
void outgoings_leave(reuse_client *client);

/* ---- loop.c ---- */

/* Has the descriptor of the loop wait for what the connection waits for, if there is such
 * a descriptor. */
void client_arm(reuse_client *client);

/* Before the connection is closed. */
void client_disarm(reuse_client *client);

/* ---- holdings.c ---- */

/* What the successful answer to @call changes. Returns 0 or -ENOMEM. */
int holdings_note(reuse_client *client, PendingCall *call, const reuse_reply *reply);

void holdings_free(reuse_client *client);

/* ---- notice.c ---- */

/*
 * Queues a notice, if there is a handler. Consumes @sockets and @error, also on failure. Returns 0, or
 * -ENOMEM with the connection ended.
 */
int notice_add(reuse_client *client, uint32_t what, const char *lease, reuse_sockets *sockets,
               reuse_error *error);

/* Tells the next notice. Returns 1, 0 if there is none, or what the handler returned, if negative. */
int notice_tell(reuse_client *client);

void notices_free(reuse_client *client);

/* ---- reconnect.c ---- */

/* Whether it would be made anew: it is of use beyond the calls under way. */
bool client_comes_back(const reuse_client *client);

/*
 * The broker has hung up. Returns 1 if the connection is made anew, or -ECONNRESET or -ENOMEM with the
 * connection ended.
 */
int client_lose(reuse_client *client);

/* Tries to connect to the next broker. Returns 1, 0 (later), or a negative errno with the connection
 * ended. */
int client_redial(reuse_client *client);

/* Ends the connection, since no broker has come back in time. Returns -ECONNRESET. */
int client_give_up(reuse_client *client);

/* Marks the calls whose time is over. While nothing is sent, they can fail one by one. */
void client_expire_calls(reuse_client *client);

/* Answers the next call that has failed. Returns 1, 0 if there is none, or what its handler returned, if
 * negative. */
int client_answer_failed(reuse_client *client);

/* Tells the next Watch that events may have been missed. Returns as client_answer_failed(). */
int client_tell_missed(reuse_client *client);

/* ---- resume.c ---- */

/*
 * Goes on settling the leases with the new broker; the state is CLIENT_OPEN at the end. Returns 1, 0 if
 * an answer is waited for, or a negative errno with the connection ended.
 */
int client_resume(reuse_client *client);

/* ---- call.c ---- */

/* Says in *@ret_error why a call was not made. Returns @number. */
int call_refused(int number, reuse_error **ret_error);

/* Calls a method and waits until it is done. @in: the struct of its parameters. *@ret_message is the
 * answer, the caller's; it may be NULL. Returns 0 or a negative errno. */
int client_fetch(reuse_client *client, WireMethodId id, const void *in, Message **ret_message,
                 reuse_error **ret_error);

/* The same for a method that has nothing to answer. */
int client_tell(reuse_client *client, WireMethodId id, const void *in, reuse_error **ret_error);

/* ---- leases.c ---- */

/* Whether these leases can be sent at all. Clears or sets *@ret_error. Returns 0 or -EINVAL. */
int leases_check(const reuse_client *client, const char *const *leases, size_t n,
                 reuse_error **ret_error);

/* ---- dial.c ---- */

/* Puts the next try off, longer each time. */
void client_back_off(reuse_client *client);

/*
 * Tries to connect, if the time for that has come.
 * Returns 1 (connected), 0 (later: client->retry_at), or a negative errno.
 */
int client_dial(reuse_client *client);

/*
 * While the queue of the broker is full: blocks until there is room, or for @usec at most; the next try
 * is due then. Returns 0 or -EINTR.
 */
int client_queue(reuse_client *client, uint64_t usec);

/* One without a broker, which only connects to others. @why: what became of the broker, NULL if none is
 * needed; consumed. Returns 0 or -ENOMEM. */
int client_new_alone(reuse_error *why, reuse_client **ret);

/* Says in *@ret_error why there is no connection. Returns @number. */
int client_dial_error(const reuse_client *client, int number, reuse_error **ret_error);
