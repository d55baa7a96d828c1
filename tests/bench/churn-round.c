/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Each round has a subject of its own, started for it: what one round left behind changes no other. The
 * load is another process; this one only sees that members leave when they should.
 */

#include "tests/bench/churn-round.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/error.h"
#include "tests/bench/broker.h"
#include "tests/bench/churn-peer.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/stats.h"
#include "tests/bench/store.h"

#define MSEC UINT64_C(1000000)

enum {
        /* For a round without departures: how often to look after the members. */
        ROUND_IDLE_MSEC = 50,
        /* A subject that answers nothing may take no longer than this. */
        ROUND_LIMIT_MSEC = 100 * 1000,
};

/* What is under load: of these, the ones that the subject needs. */
typedef struct Ground {
        Broker broker; /* or the store's */
        Store store;
        BrokerSettings broker_settings; /* the store's */
        Fleet *fleet;
        Peer peer;
} Ground;

static const char *const subjects[_SUBJECT_N] = {
        [SUBJECT_BROKER] = "reuseportd",
        [SUBJECT_PLAIN] = "SO_REUSEPORT",
        [SUBJECT_NGINX] = "nginx",
        [SUBJECT_HAPROXY] = "HAProxy",
};

static const char *const manners[_MANNER_N] = {
        [MANNER_STAY] = "stay", [MANNER_RELEASE] = "release", [MANNER_DRAIN] = "drain",
        [MANNER_KILL] = "kill", [MANNER_GAP] = "gap",         [MANNER_RELOAD] = "reload",
};

static bool subject_is_peer(Subject subject) {
        return subject == SUBJECT_NGINX || subject == SUBJECT_HAPROXY;
}

void round_label(const Round *round, char ret[static ROUND_LABEL_MAX]) {
        snprintf(ret, ROUND_LABEL_MAX, "%s %s %s%s%s", subjects[round->subject],
                 kind_network(round->kind), manners[round->manner], round->one_slow ? " slow" : "",
                 round->kill_msec > 0 ? " broker kill" : "");
}

static const char *ground_path(const Ground *ground, const Round *round) {
        if (round->subject != SUBJECT_BROKER)
                return NULL;
        return round->kill_msec > 0 ? ground->store.program.path : ground->broker.path;
}

static int ground_start_broker(Ground *ground, const Round *round, const RoundSettings *settings,
                               const char **ret_skipped) {
        bool able = true;
        int r;

        ground->broker_settings = (BrokerSettings){ .uid = geteuid() };
        if (round->kill_msec > 0)
                r = store_start(settings->daemon, settings->folder, "broker", &ground->broker_settings,
                                &ground->store);
        else
                r = broker_start(settings->daemon, settings->folder, "broker", &ground->broker);
        if (r == 0 && round->needs)
                r = lease_broker_can(ground_path(ground, round), round->needs, &able);
        if (r < 0)
                return error_trace(r);
        if (!able)
                *ret_skipped = "the broker says that it cannot do this here";
        return 0;
}

static int ground_start_fleet(Ground *ground, const Round *round, const RoundSettings *settings) {
        FleetOrder order = {
                .lease = {
                        .path = ground_path(ground, round),
                        .kind = round->kind,
                        .lifetime = round->lifetime ?: "connection",
                        .steering = round->steering,
                        .mortal = round->kill_msec > 0,
                },
                .members = round->members,
                .manner = round->manner,
                .work_nsec = settings->work_nsec,
                .one_slow = round->one_slow,
        };
        int r;

        ground->fleet = malloc(sizeof(*ground->fleet));
        if (!ground->fleet)
                return error_origin(-ENOMEM);
        r = fleet_start(&order, ground->fleet);
        return r < 0 ? error_trace(r) : 0;
}

static int ground_start_peer(Ground *ground, const Round *round, const RoundSettings *settings,
                             const char **ret_skipped) {
        PeerKind kind = round->subject == SUBJECT_NGINX ? PEER_NGINX : PEER_HAPROXY;
        int r;

        r = peer_start(kind, settings->folder, round->members, &ground->peer);
        if (r == PEER_E_MISSING)
                *ret_skipped = "not installed";
        return r < 0 ? error_trace(r) : 0;
}

static int ground_start(Ground *ground, const Round *round, const RoundSettings *settings,
                        const char **ret_skipped) {
        int r = 0;

        *ground = (Ground){ .broker = BROKER_NONE, .store = STORE_NONE, .peer.child = CHILD_NONE };
        if (subject_is_peer(round->subject)) {
                r = ground_start_peer(ground, round, settings, ret_skipped);
                return r < 0 ? error_trace(r) : 0;
        }
        if (round->subject == SUBJECT_BROKER)
                r = ground_start_broker(ground, round, settings, ret_skipped);
        if (r == 0 && !*ret_skipped)
                r = ground_start_fleet(ground, round, settings);
        return r < 0 ? error_trace(r) : 0;
}

static void ground_stop(Ground *ground) {
        if (ground->fleet)
                fleet_stop(ground->fleet);
        free(ground->fleet);
        peer_stop(&ground->peer);
        broker_stop(&ground->broker);
        store_stop(&ground->store);
}

static int ground_turn(Ground *ground, const Round *round) {
        int r = 0;

        if (ground->fleet)
                r = fleet_turn(ground->fleet);
        else if (round->manner == MANNER_RELOAD)
                r = peer_reload(&ground->peer);
        return r < 0 ? error_trace(r) : 0;
}

/* Something to be done every so often. One that comes late is not made up for: they would pile up. */
typedef struct Beat {
        uint64_t interval; /* nsec */
        uint64_t next;
} Beat;

static bool beat_is_due(Beat *beat, uint64_t now) {
        if (now < beat->next)
                return false;
        beat->next = (now - beat->next < beat->interval ? beat->next : now) + beat->interval;
        return true;
}

/* Until the load has ended. */
static int round_churn(const Round *round, Ground *ground, const Load *load) {
        struct pollfd ended = { .fd = load->child.pidfd, .events = POLLIN };
        uint64_t begin = clock_nsec();
        Beat turns = { .interval = (round->interval_msec ?: ROUND_IDLE_MSEC) * MSEC, .next = begin };
        Beat kills = { .interval = round->kill_msec * MSEC, .next = begin + round->kill_msec * MSEC };
        int n = 0, r = 0;

        if (round->kill_msec == 0)
                kills.next = UINT64_MAX;
        while (r == 0 && n == 0) {
                uint64_t now = clock_nsec(), next;

                if (beat_is_due(&turns, now))
                        r = ground_turn(ground, round);
                if (r == 0 && beat_is_due(&kills, now))
                        r = store_kill(&ground->store);
                next = turns.next < kills.next ? turns.next : kills.next;
                now = clock_nsec();
                /* Rounded up: better a little late than a loop that is hot for the last millisecond. */
                n = poll(&ended, 1, now < next ? (int)((next - now + MSEC - 1) / MSEC) : 0);
                if (n < 0)
                        r = error_origin(-errno);
        }
        return r < 0 ? error_trace(r) : 0;
}

static int round_load(const Round *round, const RoundSettings *settings, Ground *ground, Load *load) {
        LoadOrder order = {
                .kind = round->kind,
                .request = subject_is_peer(round->subject) ? PEER_REQUEST : NULL,
                .answer = subject_is_peer(round->subject) ? PEER_ANSWER : NULL,
                .connections = round->connections,
                .timeout_nsec = round->kind == KIND_UDP4 ? settings->datagram_timeout_nsec
                                                         : settings->stream_timeout_nsec,
                .limit_nsec = ROUND_LIMIT_MSEC * MSEC,
        };
        int r;

        r = load_start(&order, load);
        if (r == 0)
                r = round_churn(round, ground, load);
        if (r < 0)
                return error_trace(r);
        if (load->result->fault < 0)
                fprintf(stderr, "churn: the load: %s\n", load->result->trace);
        return load->result->fault < 0 ? error_origin(load->result->fault) : 0;
}

static int outcome_make(const Ground *ground, const Load *load, Outcome *ret) {
        const LoadResult *result = load->result;
        Samples samples = { .nsec = load->latencies,
                            .n = result->n_answered,
                            .size = result->n_answered };
        Outcome outcome = {
                .made = result->made,
                .departures = ground->fleet ? ground->fleet->departures : ground->peer.reloads,
                .kills = ground->store.board ? atomic_load(&ground->store.board->kills) : 0,
                .replaced = ground->fleet ? fleet_replaced(ground->fleet) : 0,
                .rate = (double)result->n_answered * 1e9 /
                        (double)(result->ended_nsec - result->began_nsec),
                .p50_msec = samples_percentile(&samples, 50) / 1000,
                .p99_msec = samples_percentile(&samples, 99) / 1000,
        };
        int r;

        r = tally_make(load, ground->fleet, &outcome.tally);
        if (r < 0)
                return error_trace(r);
        *ret = outcome;
        return 0;
}

int round_run(const Round *round, const RoundSettings *settings, Outcome *ret) {
        Outcome outcome = { 0 };
        Load load = LOAD_NONE;
        Ground ground;
        int r;

        r = ground_start(&ground, round, settings, &outcome.skipped);
        if (r == 0 && !outcome.skipped) {
                r = round_load(round, settings, &ground, &load);
                if (r == 0)
                        r = outcome_make(&ground, &load, &outcome);
        }
        load_stop(&load);
        ground_stop(&ground);
        if (r < 0)
                return error_trace(r);
        *ret = outcome;
        return 0;
}

void round_print_header(Report *report) {
        report_note(report, "%-12s %-5s %-12s %7s %9s %10s %7s %11s %7s %8s %8s %8s %8s", "", "", "", "",
                    "every", "", "broker", "connec-", "", "", "", "p50", "p99");
        report_note(report, "%-12s %-5s %-12s %7s %9s %10s %7s %11s %7s %8s %8s %8s %8s", "subject",
                    "kind", "departure", "members", "msec", "departures", "killed", "tions", "lost",
                    "in hand", "per sec", "msec", "msec");
}

/* What all lines begin with. */
static void round_print_columns(const Round *round, char *ret, size_t size) {
        char departure[16], interval[16] = "-";

        snprintf(departure, sizeof(departure), "%s%s", manners[round->manner],
                 round->one_slow ? ", 1 slow" : "");
        if (round->interval_msec > 0)
                snprintf(interval, sizeof(interval), "%u", round->interval_msec);
        snprintf(ret, size, "%-12s %-5s %-12s %7zu %9s", subjects[round->subject],
                 kind_network(round->kind), departure, round->members, interval);
}

/* What became of those that were lost, and of sockets. */
static void outcome_details(const Outcome *outcome, char *ret, size_t size) {
        size_t n = 0;

        *ret = '\0';
        for (LossKind kind = 0; kind < _LOSS_KIND_N; kind++)
                if (outcome->tally.kinds[kind] > 0)
                        n += (size_t)snprintf(ret + n, size - n, "%s %zu %s", n > 0 ? "," : " ",
                                              outcome->tally.kinds[kind], load_loss_name(kind));
        if (outcome->replaced > 0)
                snprintf(ret + n, size - n, "%s %zu sockets anew", n > 0 ? "," : " ", outcome->replaced);
}

void round_print(const Round *round, const Outcome *outcome, Report *report) {
        char columns[96], killed[24] = "-", details[160];

        round_print_columns(round, columns, sizeof(columns));
        if (outcome->skipped) {
                report_note(report, "%s skipped: %s", columns, outcome->skipped);
                return;
        }
        outcome_details(outcome, details, sizeof(details));
        if (round->kill_msec > 0)
                snprintf(killed, sizeof(killed), "%zu", outcome->kills);
        report_note(report, "%s %10zu %7s %11zu %7zu %8zu %8.0f %8.2f %8.2f%s", columns,
                    outcome->departures, killed, outcome->made, outcome->tally.lost,
                    outcome->tally.in_hand, outcome->rate, outcome->p50_msec, outcome->p99_msec,
                    details);
}

void round_print_failed(const Round *round, const char *trace, Report *report) {
        char columns[96];

        round_print_columns(round, columns, sizeof(columns));
        report_note(report, "%s failed: %s", columns, trace);
}
