/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Each round has a broker of its own, so that what one attack leaves behind is not taken for another's.
 * Counts are compared when the honest client has gone as well.
 */

#include "tests/bench/hostile-round.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/link.h"
#include "tests/bench/shared.h"
#include "tests/bench/user.h"

enum {
        /* RLIMIT_NOFILE of the broker. */
        ROUND_FDS = 16 * 1024,
        /* Fewer than all attacks together would take. */
        ROUND_FDS_ALL = 4 * 1024,
        /* So few that a broker of some clients has none left, or may have none more under way. */
        ROUND_FDS_FEW = 256,
        ROUND_FOES_MAX = 64,
        /* Of the broker, as its unit has them. */
        ROUND_NICE = -10,
        ROUND_CPU_WEIGHT = 1000,
        /* Between two looks at the broker. */
        ROUND_LOOK_MSEC = 20,
        /* For the attackers to be gone, while the honest client goes on: cleaning up may take
         * long, too. */
        ROUND_AFTERMATH_MSEC = 500,
        /* For everything to be as before. */
        ROUND_PATIENCE_MSEC = 5 * 1000,
        ROUND_REST_MSEC = 200,
};

#define STRING_OF(n) #n
#define STRING(n) STRING_OF(n)
/* What one user may have, parked sockets included: both together. */
#define CONNECTIONS_PER_USER 64
#define LEASES_PER_USER 1024

/* What is left of 127.0.0.0/8 and of the ports below 10000 is for nobody. */
static const char round_config[] =
        "[Broker]\n"
        "SocketMode=0666\n"
        "RetainSec=0\n"
        "MaxConnections=256\n"
        "MaxConnectionsPerUser=" STRING(
                CONNECTIONS_PER_USER) "\n"
                                      "MaxLeasesPerUser=" STRING(
                                              LEASES_PER_USER) "\n"
                                                               "[Rule everybody]\n"
                                                               "User=*\n"
                                                               "Network=tcp4\n"
                                                               "Address=127.0.0.0/16\n"
                                                               "Port=10000-65535\n";

typedef struct Round {
        const RoundOrder *order;
        Broker broker;
        char config[SCRATCH_PATH_MAX + 32];
        char log[SCRATCH_PATH_MAX + 32];
        int control; /* of root, or of the broker's own user */
        Honest honest;
        Child foes[ROUND_FOES_MAX];
        size_t n_foes;
        _Atomic uint64_t *blows; /* shared with the foes */
        Outcome *outcome;
} Round;

/* ---- the broker ---------------------------------------------------------------------------------- */

static size_t order_max_fds(const RoundOrder *order) {
        if (order->n_attacks > 1)
                return ROUND_FDS_ALL;
        return order->attacks->flags & ATTACK_FEW_FDS ? ROUND_FDS_FEW : ROUND_FDS;
}

static int round_open(Round *round) {
        const RoundOrder *order = round->order;
        BrokerSettings settings = { .config = round_config,
                                    .uid = user_or_own(USER_BROKER),
                                    .nice = ROUND_NICE,
                                    .max_fds = order_max_fds(order),
                                    .log = round->log };
        int r;

        snprintf(round->config, sizeof(round->config), "%s/broker.conf", order->folder);
        snprintf(round->log, sizeof(round->log), "%s/broker.log", order->folder);
        unlink(round->log);
        r = broker_start_with(order->daemon, order->folder, "broker", &settings, &round->broker);
        if (r == 0)
                r = cpu_shares_put(&order->shares, "broker", ROUND_CPU_WEIGHT, round->broker.child.pid);
        if (r == 0)
                r = link_connect(round->broker.path, &round->control);
        if (r == 0)
                r = reading_ask(&round->broker, round->control, &round->outcome->before);
        return r < 0 ? error_trace(r) : 0;
}

static bool round_has_died(const Round *round) {
        struct pollfd ended = { .fd = round->broker.child.pidfd, .events = POLLIN };

        return poll(&ended, 1, 0) > 0;
}

/* A sanitizer speaks up at the end. */
static void round_stop_broker(Round *round) {
        const Child *child = &round->broker.child;
        struct pollfd ended = { .fd = child->pidfd, .events = POLLIN };
        siginfo_t info = { 0 };

        kill(child->pid, SIGTERM);
        poll(&ended, 1, CHILD_PATIENCE_MSEC);
        /* Only a look: broker_stop() reaps it. */
        waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT | WNOHANG);
        round->outcome->failed = info.si_code != CLD_EXITED || info.si_status != EXIT_SUCCESS;
}

static size_t count_lines(const char *path) {
        FILE *file = fopen(path, "re");
        size_t n = 0;

        for (int c; file && (c = getc(file)) != EOF;)
                n += c == '\n';
        if (file)
                fclose(file);
        return n;
}

/* ---- the attack ---------------------------------------------------------------------------------- */

typedef struct FoeOrder {
        Foe foe;
        const Attack *attack;
        uid_t uid;
} FoeOrder;

static int foe_run(void *userdata) {
        const FoeOrder *order = userdata;
        int r = order->attack->flags & ATTACK_ADMIN ? 0 : user_become(order->uid);

        if (r < 0)
                return r;
        order->attack->run(&order->foe);
        return -EINVAL;
}

static int round_add_foe(Round *round, const Attack *attack, unsigned index, unsigned user) {
        Child *child = &round->foes[round->n_foes];
        char name[32];
        FoeOrder order = {
                .foe = { .path = round->broker.path,
                         .config = round->config,
                         .broker = round->broker.child.pid,
                         .index = index,
                         .blows = round->blows },
                .attack = attack,
                .uid = user_or_own(USER_HOSTILE + user % USERS_HOSTILE),
        };
        int r;

        if (round->n_foes == ROUND_FOES_MAX)
                return error_origin(-E2BIG);
        r = child_run(foe_run, &order, child);
        if (r < 0)
                return error_trace(r);
        round->n_foes++;
        snprintf(name, sizeof(name), "user-%u", user % USERS_HOSTILE);
        r = cpu_shares_put(&round->order->shares, name, CPU_WEIGHT_DEFAULT, child->pid);
        return r < 0 ? error_trace(r) : 0;
}

static int round_attack(Round *round) {
        const RoundOrder *order = round->order;
        int r = 0;

        for (size_t i = 0; i < order->n_attacks; i++) {
                const Attack *attack = &order->attacks[i];
                unsigned n = order->n_attacks > 1 ? 1 : attack->n_processes;

                if (attack->flags & ATTACK_PARKS)
                        round->outcome->may_stay = CONNECTIONS_PER_USER + LEASES_PER_USER;
                for (unsigned k = 0; k < n && r == 0; k++)
                        r = round_add_foe(round, attack, k,
                                          order->n_attacks > 1           ? (unsigned)i
                                          : attack->flags & ATTACK_USERS ? k
                                                                         : 0);
        }
        round->outcome->n_processes = (unsigned)round->n_foes;
        return r < 0 ? error_trace(r) : 0;
}

/* All at once: none is to have the broker for itself meanwhile. */
static void round_end_attack(Round *round) {
        for (size_t i = 0; i < round->n_foes; i++)
                kill(round->foes[i].pid, SIGKILL);
        while (round->n_foes > 0)
                child_stop(&round->foes[--round->n_foes]);
}

/* ---- what comes of it ---------------------------------------------------------------------------- */

static void rest(unsigned msec) {
        clock_nanosleep(CLOCK_MONOTONIC, 0,
                        &(struct timespec){ .tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000L },
                        NULL);
}

/* Looks on for so long. Returns 0, also when the broker dies, or a negative errno. */
static int round_look_on(Round *round, unsigned msec) {
        uint64_t end = clock_nsec() + msec * UINT64_C(1000000);
        Reading *most = &round->outcome->most;
        Reading now;
        int r;

        do {
                r = interrupt_check();
                if (r < 0)
                        return r;
                round->outcome->died = round_has_died(round);
                if (round->outcome->died)
                        return 0;
                r = reading_take(&round->broker, &now);
                if (r < 0)
                        return error_trace(r);
                most->fds = now.fds > most->fds ? now.fds : most->fds;
                most->memory = now.memory > most->memory ? now.memory : most->memory;
                most->cpu_nsec = now.cpu_nsec;
                most->waited_nsec = now.waited_nsec;
                rest(ROUND_LOOK_MSEC);
        } while (clock_nsec() < end);
        return 0;
}

static int round_suffer(Round *round) {
        Outcome *outcome = round->outcome;
        uint64_t begun, cpu_nsec, waited_nsec, took;
        int r;

        honest_record(&round->honest);
        r = round_look_on(round, 0);
        cpu_nsec = outcome->most.cpu_nsec;
        waited_nsec = outcome->most.waited_nsec;
        begun = clock_nsec();
        if (r == 0)
                r = round_attack(round);
        if (r == 0)
                r = round_look_on(round, round->order->seconds * 1000);
        took = clock_nsec() - begun;
        outcome->busy = (double)(outcome->most.cpu_nsec - cpu_nsec) / (double)took;
        outcome->waiting = (double)(outcome->most.waited_nsec - waited_nsec) / (double)took;
        round_end_attack(round);
        outcome->blows = (double)*round->blows * 1e9 / (double)took;
        if (r == 0)
                r = round_look_on(round, ROUND_AFTERMATH_MSEC);
        honest_stop(&round->honest);
        return r < 0 ? error_trace(r) : 0;
}

/* The broker may have hung up on this one as well, or not answered in time. */
static bool round_ask(Round *round, Reading *ret) {
        if (round->control < 0 && link_connect(round->broker.path, &round->control) < 0)
                return false;
        if (reading_ask(&round->broker, round->control, ret) == 0)
                return true;
        round->control = fd_close(round->control);
        return false;
}

/* Waits until all is as before, and looks whether the broker then rests. */
static int round_recover(Round *round) {
        uint64_t begun = clock_nsec() - ROUND_AFTERMATH_MSEC * UINT64_C(1000000);
        Outcome *outcome = round->outcome;
        Reading later;
        bool back = false;
        int r;

        for (int i = 0; i < ROUND_PATIENCE_MSEC / ROUND_LOOK_MSEC && !back; i++) {
                r = interrupt_check();
                if (r < 0)
                        return r;
                if (round_has_died(round)) {
                        outcome->died = true;
                        return 0;
                }
                back = round_ask(round, &outcome->after) &&
                       reading_is_back(&outcome->before, &outcome->after);
                if (!back)
                        rest(ROUND_LOOK_MSEC);
        }
        outcome->clean_msec = back ? (double)(clock_nsec() - begun) / 1e6 : -1;
        rest(ROUND_REST_MSEC);
        r = reading_take(&round->broker, &later);
        if (r < 0)
                return error_trace(r);
        outcome->restless =
                later.cpu_nsec - outcome->after.cpu_nsec > ROUND_REST_MSEC * UINT64_C(1000000) / 2;
        return 0;
}

static void round_sum_up(Round *round) {
        Outcome *outcome = round->outcome;
        const char *reason;

        for (int i = 0; i < _HONEST_STEP_N; i++) {
                Samples *elapsed = honest_samples(&round->honest, i, HONEST_ELAPSED);
                Samples *awaited = honest_samples(&round->honest, i, HONEST_AWAITED);

                outcome->p50_usec[i] = samples_percentile(elapsed, 50);
                outcome->p99_usec[i] = samples_percentile(elapsed, 99);
                outcome->max_usec[i] = samples_percentile(elapsed, 100);
                outcome->awaited_p99_usec[i] = samples_percentile(awaited, 99);
        }
        outcome->served = honest_served(&round->honest);
        outcome->errors = honest_errors(&round->honest, &reason);
        snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
        outcome->log_lines = count_lines(round->log);
}

int round_run(const RoundOrder *order, Outcome *ret) {
        Round round = { .order = order,
                        .broker = BROKER_NONE,
                        .control = -1,
                        .honest = HONEST_NONE,
                        .outcome = ret };
        Reading warm;
        void *blows = NULL;
        int r;

        *ret = (Outcome){ 0 };
        snprintf(ret->name, sizeof(ret->name), "%s", order->name);
        r = shared_map(sizeof(*round.blows), &blows);
        if (r < 0)
                return error_trace(r);
        round.blows = blows;
        r = round_open(&round);
        if (r == 0)
                r = honest_start(round.broker.path, order->seconds + 60, &round.honest);
        if (r == 0)
                r = cpu_shares_put(&order->shares, "honest", CPU_WEIGHT_DEFAULT, round.honest.child.pid);
        if (r == 0)
                r = reading_take(&round.broker, &warm);
        if (r == 0) {
                ret->before.memory = warm.memory;
                r = round_suffer(&round);
        }
        if (r == 0 && !ret->died)
                r = round_recover(&round);
        round_end_attack(&round);
        if (r == 0) {
                round_stop_broker(&round);
                round_sum_up(&round);
        }
        honest_deinit(&round.honest);
        fd_close(round.control);
        broker_stop(&round.broker);
        shared_unmap(blows, sizeof(*round.blows));
        return r < 0 ? error_trace(r) : 0;
}
