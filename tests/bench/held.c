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
        unsigned network;
} Holder;

/* The address of the @i-th lease: a few in turn for shared endpoints, for others a new one each time. */
static void holder_aim(Holder *holder, size_t i) {
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

static int holder_start(Holder *holder, const char *daemon, const char *folder, const char *name,
                        const char *sharing, unsigned network) {
        int r;

        *holder = (Holder){ .broker = BROKER_NONE, .network = network };
        raw_client_init(&holder->client, holder->broker.path, sharing, "");
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

int held_measure(const char *daemon, const char *folder, const char *sharing, size_t n,
                 size_t iterations, Contest *contest, double *ret_bytes) {
        Holder few = { .broker = BROKER_NONE }, many = { .broker = BROKER_NONE };
        double bytes = 0;
        int r;

        raw_client_init(&few.client, "", sharing, "");
        raw_client_init(&many.client, "", sharing, "");
        r = holder_start(&few, daemon, folder, "few", sharing, HELD_NETWORK_FIRST);
        if (r == 0)
                r = holder_start(&many, daemon, folder, "many", sharing, HELD_NETWORK_FIRST + 1);
        if (r == 0)
                r = held_fill(&many, n, &bytes);
        if (r == 0) {
                holder_aim(&few, n);
                holder_aim(&many, n);
                contest_add(contest, HELD_NAME_FEW, raw_client_step_acquire, raw_client_step_release,
                            &few.client);
                contest_add(contest, HELD_NAME_MANY, raw_client_step_acquire, raw_client_step_release,
                            &many.client);
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
