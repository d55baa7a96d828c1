/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One call, as a method sees it: who asks, what there is to work on, and where the answer goes. A method
 * never sees the connection.
 */

#include <stdbool.h>

#include "daemon/lease.h"
#include "daemon/services.h"
#include "daemon/subject.h"
#include "proto/fdlist.h"
#include "proto/message.h"

typedef struct Context Context;

struct Context {
        Services *services;
        /* The caller. */
        Subject *subject;
        User *user;
        LeaseOwner *connection;
        /* Gives the caller's process, a borrowed reference; 0, SUBJECT_E_*, or a negative errno. */
        int (*get_process)(Context *context, Process **ret);
        /* Tells every further event to the caller. Returns 0, or ACCOUNT_E_* of RESOURCE_WATCHES. */
        int (*watch)(Context *context);
        /* Has the caller get all endpoints that it sees, later: the call is answered then. Returns 0 or
         * a negative errno. */
        int (*list)(Context *context);
        void *peer; /* of the callbacks */
        /* The call. Memory for the answer is allocated from the message. */
        Message *message;
        const WireMethod *method;
        bool more;
        bool silent;         /* oneway: nothing is ever answered */
        size_t n_port_tries; /* ports that others were found to have: see PORT_TRIES_MAX */
        /* The answer: encoded in services->buffer once answered. */
        bool answered;
        FDList fds;
        /* What the method does when it is known whether the answer, with its descriptors, has left. */
        void (*finish)(Context *context, bool delivered);
        void *finish_data;
};

/* Answers with @out, a struct of the method's reply record. Returns 0 or a negative errno. */
int context_reply(Context *context, const void *out);

/* Ends the call, once its answer was sent, or could not be. Everything of the call is freed. */
void context_finish(Context *context, bool delivered);

/* Answers with an error. Returns 0 or a negative errno. */
int context_refuse(Context *context, WireErrorId error, const ErrorParameters *parameters);
