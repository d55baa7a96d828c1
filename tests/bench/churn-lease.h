/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A member's socket from the broker, through the public library, and the ways to give it back. The
 * broker may be killed meanwhile: what the library does not mend by itself is done here, as a good
 * program would.
 */

#include <stdbool.h>

#include "client-lib/reuse-client.h"
#include "tests/bench/churn-kind.h"

typedef struct Lease {
        const char *path;     /* of the broker's socket; borrowed */
        reuse_client *client; /* the lease ends with it, at the latest */
        reuse_client *watch;  /* since lease_drain() */
        reuse_sockets *sockets;
        reuse_sockets *next; /* in place of those, which no broker knows any more; see lease_move() */
        int fd;              /* -1: given back */
        bool mortal;
        bool draining;
        bool missed; /* events were */
        bool drained;
        size_t n_replaced; /* sockets */
} Lease;

#define LEASE_NONE ((Lease){ .fd = -1 })

typedef struct LeaseOrder {
        const char *path; /* of the broker's socket */
        Kind kind;
        const char *lifetime; /* "connection", "process" */
        const char *steering; /* NULL: the broker's default */
        bool mortal;          /* the broker may be killed: who finds none there tries again */
} LeaseOrder;

/* Returns 0 or a negative errno; the caller ends @lease with lease_release() or lease_deinit(). */
int lease_take(const LeaseOrder *order, Lease *lease);

/* No new traffic from now on. Returns 0 or a negative errno. */
int lease_drain(Lease *lease);

/* To be polled for POLLIN, both, and lease_listen() called then. -1: there is nothing to wait for. */
int lease_client_fd(const Lease *lease);
int lease_watch_fd(const Lease *lease);

/* How long to poll at most before lease_listen() is called all the same; -1: without end. */
int lease_rest_msec(const Lease *lease);

/* Sets @drained once the broker has said so, and @next when there is another socket. Returns 0 or a
 * negative errno. */
int lease_listen(Lease *lease);

/* Closes the socket, in which nothing waits, and goes on with @next. Returns 0 or a negative errno. */
int lease_move(Lease *lease);

/* Closes the socket and releases it. Returns 0 or a negative errno. */
int lease_release(Lease *lease);
void lease_deinit(Lease *lease);

/* Whether GetStatus lists @capability. Returns 0 or a negative errno. */
int lease_broker_can(const char *path, const char *capability, bool *ret);
