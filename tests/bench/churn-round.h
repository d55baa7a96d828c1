/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* One line of the table: one subject under load, with members that come and go. */

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/churn-fleet.h"
#include "tests/bench/churn-tally.h"
#include "tests/bench/report.h"

typedef enum Subject {
        SUBJECT_BROKER,
        SUBJECT_PLAIN,
        SUBJECT_NGINX,
        SUBJECT_HAPROXY,
        _SUBJECT_N
} Subject;

typedef struct Round {
        Subject subject;
        Kind kind;
        Manner manner;
        size_t members;
        unsigned interval_msec; /* between two departures; 0: none */
        unsigned kill_msec;     /* between two ends of the broker, which is kept for; 0: it lives on */
        bool one_slow;
        const char *lifetime; /* NULL: "connection" */
        const char *steering; /* NULL: the broker's default */
        const char *needs;    /* a capability of the broker, or NULL */
        size_t connections;
} Round;

/* The same for all rounds. */
typedef struct RoundSettings {
        const char *daemon;
        const char *folder;
        uint64_t work_nsec;
        uint64_t stream_timeout_nsec;
        uint64_t datagram_timeout_nsec;
} RoundSettings;

typedef struct Outcome {
        const char *skipped; /* why there is nothing else in here */
        size_t departures;
        size_t kills;    /* of the broker */
        size_t replaced; /* sockets that members had to acquire anew after it */
        size_t made;
        Tally tally;
        double rate; /* answered connections per second */
        double p50_msec;
        double p99_msec;
} Outcome;

/* "reuseportd tcp4 release", for messages and to choose rounds by. */
enum {
        ROUND_LABEL_MAX = 64,
};
void round_label(const Round *round, char ret[static ROUND_LABEL_MAX]);

/* Starts the subject, puts the load on it, and stops it. Returns 0 or a negative errno. */
int round_run(const Round *round, const RoundSettings *settings, Outcome *ret);

/* A line of the table. */
void round_print_header(Report *report);
void round_print(const Round *round, const Outcome *outcome, Report *report);
void round_print_failed(const Round *round, const char *trace, Report *report);
