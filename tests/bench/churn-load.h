/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The clients: each makes one short connection after the other (connect, one request, one answer, close)
 * and notes what became of it. For UDP a connection is one datagram and its answer.
 */

#include <stddef.h>
#include <stdint.h>

#include "tests/bench/child.h"
#include "tests/bench/churn-kind.h"

enum {
        LOAD_CLIENTS = 64,
};

/* What a client saw in place of an answer. */
typedef enum LossKind {
        LOSS_REFUSED,
        LOSS_RESET,
        LOSS_CLOSED, /* without a word */
        LOSS_TIMEOUT,
        LOSS_WRONG, /* another answer than the one to this request */
        _LOSS_KIND_N
} LossKind;

typedef struct Loss {
        uint64_t began_nsec;
        uint64_t ended_nsec;
        uint32_t peer; /* the client as the server saw it, see load_peer() */
        LossKind kind;
} Loss;

typedef struct LoadOrder {
        Kind kind;
        const char *request; /* NULL: one byte, another each time, which is also the answer */
        const char *answer;  /* how it has to begin */
        size_t connections;
        uint64_t timeout_nsec; /* for one connection */
        uint64_t limit_nsec;   /* for all of them: no more are begun then */
} LoadOrder;

typedef struct LoadResult {
        size_t made; /* connections begun, and ended in one way or the other */
        size_t n_answered;
        size_t n_lost;
        uint64_t began_nsec;
        uint64_t ended_nsec;
        int fault; /* a negative errno: the load itself could not go on */
        char trace[256];
} LoadResult;

/* While the child runs, what it notes may be incomplete. */
typedef struct Load {
        LoadOrder order;
        Child child;
        LoadResult *result;
        uint64_t *latencies; /* nsec, n_answered */
        Loss *losses;        /* n_lost, by the time they ended */
} Load;

#define LOAD_NONE ((Load){ .child = CHILD_NONE })

/*
 * Starts the clients, all in one process: it ends when all connections are made. Returns 0 or a negative
 * errno; the caller ends @load with load_stop().
 */
int load_start(const LoadOrder *order, Load *load);
void load_stop(Load *load);

/* The number by which loss and member speak of one connection: the port that a client connects from; for
 * UNIX sockets, the number in the name that it is bound to. */
uint32_t load_peer(const struct sockaddr_storage *client, socklen_t len);

/* "refused", "reset", ... */
const char *load_loss_name(LossKind kind);
