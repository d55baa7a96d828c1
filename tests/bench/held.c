/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Both brokers run at once and are asked in turns: a machine that slows down meanwhile slows both. The
 * clients close every descriptor at once; it is the broker that has to hold on.
 */

#include "tests/bench/held.h"

#include <stdio.h>
#include <string.h>

#include "proto/error.h"
#include "tests/bench/broker.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/raw-client.h"

enum {
        /* Below the ports that the kernel gives out by itself. */
        HELD_PORT_FIRST = 10000,
        HELD_PORTS = 1000,
        /* Nobody else's: the sockets of each broker are in a network of their own. */
        HELD_NETWORK_FIRST = 77,
};

typedef struct Holder {
        Broker broker;
        RawClient client;
        const HeldKind *kind;
        unsigned network;
} Holder;

/* The address of the @i-th lease: a few in turn for shared endpoints, for others a new one each time. */
static void holder_aim(Holder *holder, size_t i) {
        if (holder->kind->any_port) {
                snprintf(holder->client.address, sizeof(holder->client.address), "127.%u.0.1:0",
                         holder->network);
                return;
        }
        if (strcmp(holder->client.sharing, "shared") == 0)
                i %= HELD_SHARED_ENDPOINTS;
        snprintf(holder->client.address, sizeof(holder->client.address), "127.%u.0.%zu:%zu",
                 holder->network, 1 + i / HELD_PORTS, HELD_PORT_FIRST + i % HELD_PORTS);
}

/* From the @first lease to the one before @end. */
static int holder_fill(Holder *holder, size_t first, size_t end) {
        for (size_t i = first; i < end; i++) {
                int r;

                r = interrupt_check();
                if (r < 0)
                        return r;
                holder_aim(holder, i);
                r = raw_client_acquire(&holder->client);
                if (r < 0)
                        return error_trace(r);
                raw_client_drop(&holder->client);
        }
        return 0;
}

/* A step of the contest: the client has been told a port before. */
static int step_any_port(void *userdata) {
        Holder *holder = userdata;

        holder_aim(holder, 0);
        return raw_client_acquire(&holder->client);
}

static int step_told_port(void *userdata) {
        Holder *holder = userdata;

        return raw_client_acquire(&holder->client);
}

static int step_release(void *userdata) {
        Holder *holder = userdata;

        return raw_client_release(&holder->client);
}

static int holder_start(Holder *holder, const char *daemon, const char *folder, const char *name,
                        const HeldKind *kind, unsigned network) {
        int r;

        *holder = (Holder){ .broker = BROKER_NONE, .kind = kind, .network = network };
        raw_client_init(&holder->client, holder->broker.path, kind->sharing, "");
        r = broker_start(daemon, folder, name, &holder->broker);
        if (r == 0)
                r = raw_client_connect(&holder->client);
        if (r == 0)
                r = holder_fill(holder, 0, HELD_FEW);
        return r < 0 ? error_trace(r) : 0;
}

static void holder_stop(Holder *holder) {
        raw_client_deinit(&holder->client);
        broker_stop(&holder->broker);
}

static int held_fill(Holder *many, size_t n, double *ret_bytes) {
        size_t before, after;
        int r;

        r = broker_memory(&many->broker, &before);
        if (r == 0)
                r = holder_fill(many, HELD_FEW, n);
        if (r == 0)
                r = broker_memory(&many->broker, &after);
        if (r < 0)
                return error_trace(r);
        *ret_bytes = ((double)after - (double)before) / (double)(n - HELD_FEW);
        return 0;
}

int held_measure(const char *daemon, const char *folder, const HeldKind *kind, size_t iterations,
                 Contest *contest, double *ret_bytes) {
        Holder few = { .broker = BROKER_NONE }, many = { .broker = BROKER_NONE };
        int (*step)(void *userdata) = kind->any_port ? step_any_port : step_told_port;
        double bytes = 0;
        int r;

        raw_client_init(&few.client, "", kind->sharing, "");
        raw_client_init(&many.client, "", kind->sharing, "");
        r = holder_start(&few, daemon, folder, "few", kind, HELD_NETWORK_FIRST);
        if (r == 0)
                r = holder_start(&many, daemon, folder, "many", kind, HELD_NETWORK_FIRST + 1);
        if (r == 0)
                r = held_fill(&many, kind->n, &bytes);
        if (r == 0) {
                holder_aim(&few, kind->n);
                holder_aim(&many, kind->n);
                contest_add(contest, HELD_NAME_FEW, step, step_release, &few);
                contest_add(contest, HELD_NAME_MANY, step, step_release, &many);
                r = contest_run(contest, iterations);
                if (r < 0)
                        contest_deinit(contest);
        }
        holder_stop(&few);
        holder_stop(&many);
        if (r < 0)
                return error_trace(r);
        *ret_bytes = bytes;
        return 0;
}
